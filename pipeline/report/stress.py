"""Puts a model to the test on a sample of films: corruptions, and what its heat maps are worth."""

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from pipeline import cam_quality, features, imaging, robustness
from pipeline.atomic import replacing
from pipeline.report.split import Split, batches
from pipeline.segmentation import lung_mask

_FAITHFULNESS_FILMS: Final = 6  # each costs 21 predictions


def run(saved_model: Path, examples: Path, settings: dict[str, int], target: Path) -> None:
    """Writes what came of it as JSON; StressTest calls it.

    Args:
        saved_model: the candidate.
        examples: folder of the test split's raw examples.
        settings: `robustness_films` and `cam_films` of ReportConfig, and `seed`.
        target: keys `robustness` and `cam`, each null where it was switched off or not possible.
    """
    model = tf.saved_model.load(str(saved_model))
    split = Split(examples)
    labels = np.array(split.labels())
    findings = {
        "robustness": _robustness(model, split, labels, settings),
        "cam": _cam(model, split, labels, settings),
    }
    with replacing(target) as file:
        file.write(json.dumps(findings, indent=1).encode())


def sample(labels: NDArray[np.int64], count: int, seed: int) -> list[int]:
    """Positions of `count` records, as many of either class as there are, at most half each."""
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    for label in (0, 1):
        positions = generator.permutation(np.flatnonzero(labels == label))
        chosen += positions[: count // 2].tolist()
    return sorted(chosen)


def _robustness(
    model: Any, split: Split, labels: NDArray[np.int64], settings: dict[str, int]
) -> dict[str, Any] | None:
    positions = sample(labels, settings["robustness_films"], settings["seed"])
    if len(np.unique(labels[positions])) < 2:
        return None
    films = [_decoded(image) for image in split.images(positions)]
    total = robustness.asked(len(films))
    with tqdm(total=total, desc="corrupted films", unit="film", file=sys.stderr) as bar:
        found = robustness.measure(
            films,
            labels[positions],
            lambda images: _scores(model, images),
            _threshold(model, films[0]),
            bar.update,
        )
    return {**asdict(found), "mean_drop": found.mean_drop}


def _cam(
    model: Any, split: Split, labels: NDArray[np.int64], settings: dict[str, int]
) -> dict[str, Any] | None:
    """On films with pneumonia: only they must have heat in the lungs."""
    positions = np.flatnonzero(labels == 1)
    positions = np.random.default_rng(settings["seed"]).permutation(positions)
    images = split.images(positions[: settings["cam_films"]].tolist())
    films = [_squashed(_decoded(image)) for image in images]
    if not films:
        return None
    maps = np.concatenate(
        [
            model.signatures[features.CAM](tf.constant(batch))[features.HEATMAP].numpy()
            for batch in batches(_png(film) for film in films)
        ]
    )
    lungs = np.stack([lung_mask(tf.constant(film, tf.float32)).numpy() for film in films])
    places = cam_quality.place(maps, lungs)
    if not places:
        return None
    found = [place for place in places if not np.isnan(place.lungs)]
    few = [index for index in range(len(films)) if maps[index].any()][:_FAITHFULNESS_FILMS]
    some, heat = [films[index] for index in few], maps[few]
    curve = cam_quality.curves(some, heat, lambda batch: _scores(model, batch), _png)
    return {
        "films": len(films),
        "places": [{"flagged": place.flagged} for place in places],
        "lungs": float(np.median([place.lungs for place in found])) if found else None,
        "by_chance": float(np.median([place.by_chance for place in found])) if found else None,
        "corners": float(np.median([place.corners for place in places])),
        "curve": asdict(curve),
        "curve_films": len(few),
        "is_faithful": curve.is_faithful,
        "likeness": _likeness(model, [_png(film) for film in some], settings["seed"]),
    }


def _likeness(model: Any, images: list[bytes], seed: int) -> float:
    """Of the evidence before and after the head and the last convolution are shuffled."""
    before = model.examine(tf.constant(images))[0].numpy()
    top = list(model.weights)[-4:]
    kept = [variable.numpy() for variable in top]
    generator = np.random.default_rng(seed)
    for variable, values in zip(top, kept, strict=True):
        variable.assign(generator.permutation(values.ravel()).reshape(values.shape))
    after = model.examine(tf.constant(images))[0].numpy()
    for variable, values in zip(top, kept, strict=True):
        variable.assign(values)
    return cam_quality.likeness(before, after)


def _scores(model: Any, images: Sequence[bytes]) -> NDArray[np.float32]:
    answer = model.signatures[features.PREDICT_IMAGE](tf.constant(list(images)))
    scores: NDArray[np.float32] = answer[features.PROBABILITY].numpy()
    return scores


def _threshold(model: Any, film: NDArray[np.uint8]) -> float:
    answer = model.signatures[features.PREDICT_IMAGE](tf.constant([_png(film)]))
    return float(answer[features.THRESHOLD][0])


def _decoded(image: bytes) -> NDArray[np.uint8]:
    return np.asarray(imaging.decode_grey(tf.constant(image)))


def _squashed(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = imaging.HEATMAP_SIZE
    return np.asarray(Image.fromarray(film).resize((side, side), Image.Resampling.BOX))


def _png(film: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(film).save(file, "PNG", compress_level=1)
    return file.getvalue()
