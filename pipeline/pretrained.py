"""A pushed version without what it shares with ImageNet's VGG-16: small enough to publish.

Training leaves the early blocks as they were, so their weights need not travel: whoever unpacks the
model has them from the public source, checked. What training made travels in float16.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf

from components import names
from components.files import replacing_folder
from components.model import imagenet, reexport, variables
from components.pusher import versions
from pipeline.datasets.synthetic import files, film
from pipeline.datasets.synthetic.anatomy import random_anatomy

PACKED: Final = Path(__file__).parent.parent / "pretrained"
_TENSORS: Final = "trained.npz"
_MANIFEST: Final = "manifest.json"
_LARGE = 10_000  # values from which on a tensor is stored in float16
_TOLERANCE = 0.01  # of a probability, between the version and what is unpacked


class PretrainedError(RuntimeError):
    """The model cannot be packed or unpacked; the message says why and what to do."""


def pack(version: Path, target: Path, made_by: str) -> None:
    """Writes a version's trained part, its graph and its model card to a folder of their own.

    Args:
        version: a pushed SavedModel.
        target: a new folder, or one with a packed model, which is replaced as a whole.
        made_by: the commands that make this version anew.

    Raises:
        PretrainedError: the target holds something else, or unpacked again, the model would answer
            otherwise than the version does.
    """
    target = target.resolve()
    if target.exists() and not (target / _MANIFEST).is_file():
        raise PretrainedError(f"{target}: is there and holds no packed model; name a new folder")
    with tempfile.TemporaryDirectory() as scratch:
        _pack(_as_today(version, Path(scratch) / "model"), version, target, made_by)


def _as_today(version: Path, anew: Path) -> Path:
    """The version, or the same model with the signatures that today's code gives it."""
    if not reexport.is_worthwhile(version):
        return version
    reexport.reexport(version, anew)
    return anew


def _pack(source: Path, version: Path, target: Path, made_by: str) -> None:
    start = _imagenet()
    shared_names = {array.tobytes(): name for name, array in start.arrays.items()}
    shared, trained = {}, {}
    for key, tensor in variables.read(source).items():
        if isinstance(tensor, bytes):  # the object graph
            trained[key] = np.frombuffer(tensor, np.uint8)
        elif name := shared_names.get(tensor.tobytes()):
            shared[key] = name
        else:
            large = np.size(tensor) >= _LARGE
            trained[key] = np.asarray(tensor, np.float16 if large else np.float32)
    with replacing_folder(target) as part:
        ignore = shutil.ignore_patterns(
            versions.RECORD.name, versions.MANIFEST.name, *variables.FILES
        )
        shutil.copytree(source, part, ignore=ignore, dirs_exist_ok=True)
        np.savez_compressed(part / _TENSORS, allow_pickle=False, **trained)
        manifest = {
            "sha256": _digest(part / _TENSORS),
            "imagenet_sha256": start.sha256,
            "shared": shared,
            "made_by": made_by,
        }
        (part / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        with tempfile.TemporaryDirectory() as scratch:
            _write(part, Path(scratch))
            if (difference := _difference(version, Path(scratch))) > _TOLERANCE:
                raise PretrainedError(
                    f"{version}: packed, its probabilities differ by {difference:.3f}; "
                    "float16 does not hold these weights"
                )


def unpack(serving: Path, packed: Path = PACKED) -> int:
    """Puts the packed model into a serving folder, once.

    What was pushed or promoted there since, a recalibrated version say, stays served.

    Args:
        serving: the serving folder; made where it is missing.
        packed: the packed model's folder.

    Returns:
        The version that is served.

    Raises:
        PretrainedError: nothing is packed there, it is damaged, or there are no ImageNet weights.
        PublishError: the version cannot be written.
    """
    sha256 = versions.digest(packed)
    there = versions.holders(serving, sha256)
    if any(not versions.damage(serving, version) for version in there):
        return versions.versions(serving)[-1]
    model = versions.PublishedModel(uri=str(packed), sha256=sha256)
    with tempfile.TemporaryDirectory() as scratch:
        _write(packed, Path(scratch))
        return versions.publish(
            serving, Path(scratch), versions.PublishedRecord(model, baseline=None)
        )


def _write(packed: Path, target: Path) -> None:
    """Puts the whole SavedModel together."""
    manifest = _manifest(packed)
    if _digest(packed / _TENSORS) != manifest["sha256"]:
        raise PretrainedError(f"{packed / _TENSORS} is damaged; fetch it again (git checkout)")
    start = _imagenet()
    if start.sha256 != manifest["imagenet_sha256"]:
        raise PretrainedError(
            f"{packed}: was packed beside other ImageNet weights than {start.source} gives; "
            "remove them from the cache (PNEUMONIA_CACHE) to fetch them again"
        )
    tensors: variables.Variables = {
        key: start.arrays[name] for key, name in manifest["shared"].items()
    }
    with np.load(packed / _TENSORS) as trained:
        for key, array in trained.items():
            bare = array.dtype == np.uint8
            tensors[key] = array.tobytes() if bare else array.astype(np.float32)
    shutil.copytree(
        packed, target, ignore=shutil.ignore_patterns(_TENSORS, _MANIFEST), dirs_exist_ok=True
    )
    variables.write(target, tensors)


def _imagenet() -> imagenet.ImagenetWeights:
    try:
        return imagenet.load("auto", width=1, seed=0)
    except imagenet.WeightsError as error:
        raise PretrainedError(str(error)) from error


def _difference(one: Path, other: Path) -> float:
    """The largest difference of two versions' probabilities, on a few drawn films."""
    films = tf.constant([_drawn(etiology) for etiology in ("normal", "bacteria", "virus")])
    first, second = (
        tf.saved_model.load(str(model))
        .signatures[names.PREDICT_IMAGE](films)[names.PROBABILITY]
        .numpy()
        for model in (one, other)
    )
    return float(np.abs(first - second).max())


def _drawn(etiology: str) -> bytes:
    rng = np.random.default_rng(0)
    anatomy = random_anatomy(rng)
    drawn = film.render(anatomy, film.random_opacities(rng, anatomy, etiology), rng)
    return files.encode(drawn.pixels, "jpeg", etiology, 90)


def _manifest(packed: Path) -> dict:
    try:
        return json.loads((packed / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PretrainedError(
            f"{packed}: holds no packed model ({error}); train one with 'pneumonia run'"
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
