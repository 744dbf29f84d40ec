"""`--precision=int8`: OpenVINO computes the network, and the answers are those of the model."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.model.int8 import quantised, runner, runners, save, served
from components.names import SEEN
from serving import flags, int8, runtime, servable
from serving.errors import Code, ServingError
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained
from tests.serving.conftest import Process
from tests.serving.test_swap import until

FILMS = [harness.jpeg(i % 2, 6000 + i, 60 + i % 7 * 20, 64 + i % 5 * 30) for i in range(20)]


@pytest.fixture(scope="module")
def base(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A serving folder with one version that has an int8 form."""
    base = tmp_path_factory.mktemp("serving")
    shutil.copytree(trained.model, base / "1")
    folder = base / "1" / int8.NETWORK.parent
    folder.mkdir()
    grey = trained.loaded.prepare(tf.constant(FILMS))["grey"].numpy()
    save(quantised(served(trained.loaded), grey), folder)
    return base


@pytest.fixture(scope="module")
def fast(base: Path) -> servable.Servable:
    return servable.load("pneumonia", 1, base / "1", kind=int8.kind(base / "1", 0))


@pytest.fixture(scope="module")
def expected(trained: Trained, base: Path) -> dict[str, np.ndarray]:
    """What the model's parts make of FILMS with the int8 network between them."""
    run = runner(base / "1" / int8.NETWORK)
    images = tf.constant(FILMS)
    grey = trained.loaded.prepare(images)["grey"]
    seen = run(grey.numpy())
    answer = trained.loaded.conclude(images, grey, *(tf.constant(seen[name]) for name in SEEN))
    return {name: value.numpy() for name, value in answer.items()}


def example(film: bytes) -> bytes:
    made = tf.train.Example()
    made.features.feature["image/encoded"].bytes_list.value.append(film)
    return made.SerializeToString()


@pytest.mark.parametrize("count", [0, 1, 2, 16, 20])
@pytest.mark.parametrize("signature", ["serving_default", "predict_image", "cam"])
def test_every_output_is_what_the_int8_network_leads_to(
    fast: servable.Servable, expected: dict[str, np.ndarray], signature: str, count: int
) -> None:
    outputs = sorted(fast.signatures[signature].outputs)
    name, given = "image_bytes", FILMS[:count]
    if signature == "serving_default":
        name, given = "examples", [example(film) for film in given]
    answer = fast.run(signature, {name: np.array(given, object)}, outputs)
    for output in outputs:
        rows = expected[output][:count]
        assert (answer[output].shape, answer[output].dtype) == (rows.shape, rows.dtype)
        if rows.dtype == object:
            assert all(picture.startswith(b"\x89PNG") for picture in answer[output])
        else:
            np.testing.assert_allclose(answer[output], rows, atol=1e-4)


def test_int8_is_what_answers(trained: Trained, expected: dict[str, np.ndarray]) -> None:
    exact = trained.loaded.signatures["predict_image"](tf.constant(FILMS))["probability"]
    difference = np.abs(expected["probability"] - exact)
    assert difference.max() > 1e-4
    assert difference.mean() < 0.03  # a thin model has few channels for errors to even out in


def test_films_in_company_have_the_answers_that_they_have_alone(fast: servable.Servable) -> None:
    together = fast.run("cam", {"image_bytes": np.array(FILMS, object)}, ["probability", "heatmap"])
    for i, film in enumerate(FILMS[:4]):
        alone = fast.run("cam", {"image_bytes": np.array([film], object)}, [*together])
        for name, rows in together.items():
            np.testing.assert_allclose(alone[name][0], rows[i], atol=1e-5)


def test_a_film_that_is_none_fails_and_leaves_the_model_at_work(
    fast: servable.Servable,
) -> None:
    bad = {"image_bytes": np.array([FILMS[0], b"no picture"], object)}
    with pytest.raises(ServingError) as caught:
        fast.run("predict_image", bad, ["probability"])
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert fast.run("predict_image", {"image_bytes": np.array(FILMS[:1], object)}, ["label"])


@pytest.mark.parametrize("shape", [(), (1, 1)])
def test_a_tensor_of_another_shape_is_refused(
    fast: servable.Servable, shape: tuple[int, ...]
) -> None:
    odd = np.array(FILMS[:1], object).reshape(shape)
    with pytest.raises(ServingError, match="Cannot feed value of shape") as caught:
        fast.run("predict_image", {"image_bytes": odd}, ["probability"])
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_a_deadline_ends_the_work_between_films(fast: servable.Servable) -> None:
    inputs = {"image_bytes": np.array(FILMS * 20, object)}
    with pytest.raises(ServingError) as caught:
        fast.run("predict_image", inputs, ["probability"], timeout=0.05)
    assert caught.value.code == Code.DEADLINE_EXCEEDED


def events(server: Process, name: str) -> list[dict[str, Any]]:
    return [event for event in server.events() if event["event"] == name]


def probabilities(server: Process) -> np.ndarray:
    return np.array(server.predict(FILMS[:4]).outputs["probability"].float_val)


def test_a_server_answers_in_int8_and_of_a_version_without_it_in_float32(
    trained: Trained,
    base: Path,
    launch: Callable[..., Process],
    expected: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(base, tmp_path / "served")
    server = launch(folder, "--precision=int8", "--file_system_poll_wait_seconds=1")
    np.testing.assert_allclose(probabilities(server), expected["probability"][:4], atol=1e-4)
    assert not events(server, "served in float32")
    shutil.copytree(trained.model, tmp_path / "2")
    (tmp_path / "2").rename(folder / "2")
    until(lambda: server.states().get(2) == "AVAILABLE")
    exact = trained.loaded.signatures["predict_image"](tf.constant(FILMS[:4]))["probability"]
    np.testing.assert_allclose(probabilities(server), exact, atol=1e-5)
    (told,) = events(server, "served in float32")
    assert told["reason"] == "assets.extra/int8 is not among the version's files"


def test_a_damaged_form_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    version = shutil.copytree(base / "1", tmp_path / "1")
    (version / int8.NETWORK.with_suffix(".bin")).write_bytes(b"")
    with pytest.raises(ServingError, match=r"network\.xml: OpenVINO cannot load it") as caught:
        int8.kind(version, 0)
    assert caught.value.code == Code.INTERNAL


def test_without_openvino_the_flag_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "has_openvino", lambda: False)
    parsed = flags.parse(["--model_base_path=/models", "--precision=float32"])
    asked = type(parsed)(**{**vars(parsed), "precision": "int8"})
    assert "pip install 'pneumonia[fast]'" in (flags.fault(asked) or "")


@pytest.mark.parametrize(("proven", "form"), [("false", 0), ("true", -1)])
def test_the_rest_is_computed_in_bfloat16_only_where_that_was_proven(
    trained: Trained, base: Path, tmp_path: Path, proven: str, form: int
) -> None:
    shutil.copytree(base / "1" / int8.NETWORK.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "int8.json").write_text(f'{{"bfloat16": {proven}}}')
    path = tmp_path / int8.NETWORK.name
    grey = trained.loaded.prepare(tf.constant(FILMS))["grey"].numpy()

    found = int8.Int8Network(path)(grey)["evidence"]

    expected = runners(path)[form](grey)["evidence"]
    np.testing.assert_array_equal(found, expected)
