"""Puts a model to harder tests than the gate's: corruptions, and what its heat maps are worth."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from components import names
from components.examples import Split, batches, sample
from components.files import replacing
from components.image.heatmap import HEATMAP_SIZE
from components.image.lung_network import lung_fields, lungs_found
from components.image.pixels import decoded
from components.pictures import png
from components.progress import bar
from components.stress import corruptions, heat_maps

FILE: Final = "stress_test.json"
_FAITHFULNESS_FILMS: Final = 6  # each costs 21 predictions


class StressFindings(Artifact):
    """A folder with `stress_test.json`."""

    TYPE_NAME = "pneumonia.StressTest"  # Kubeflow wants namespace.Name


@component
def StressTest(  # noqa: N802 - the step's name
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    findings: OutputArtifact[StressFindings],
    settings: Parameter[str],
    code_version: Parameter[str],
    split: Parameter[str] = names.TEST,
) -> None:
    """Tests a model on a sample of a split; a step apart, so that a page alone costs nothing.

    Args:
        model: the candidate.
        examples: raw examples.
        findings: `stress_test.json`, with the keys `robustness` and `cam`, each null where it was
            switched off or not possible.
        settings: `robustness_films` and `cam_films` of ReportConfig, and `seed`, as JSON.
        code_version: fingerprint of the sources; part of the cache key.
        split: the split to take films from.
    """
    loaded = tf.saved_model.load(path_utils.serving_model_path(model.uri))
    films = Split(Path(artifact_utils.get_split_uri([examples], split)))
    labels = np.array(films.labels())
    told = json.loads(settings)
    found = {
        "robustness": _robustness(loaded, films, labels, told),
        "cam": _cam(loaded, films, labels, told),
    }
    with replacing(Path(findings.uri) / FILE) as file:
        file.write(json.dumps(found, indent=1).encode())


def _robustness(
    model: Any, split: Split, labels: NDArray[np.int64], settings: dict[str, int]
) -> dict[str, Any] | None:
    positions = sample(labels, settings["robustness_films"], settings["seed"])
    if len(np.unique(labels[positions])) < 2:
        return None
    films = [decoded(image) for image in split.images(positions)]
    total = corruptions.asked(len(films))
    with bar("corrupted films", total) as progress:
        found = corruptions.measure(
            films,
            labels[positions],
            lambda images: _scores(model, images),
            _threshold(model, films[0]),
            progress.update,
        )
    return {**asdict(found), "mean_drop": found.mean_drop}


def _cam(
    model: Any, split: Split, labels: NDArray[np.int64], settings: dict[str, int]
) -> dict[str, Any] | None:
    """On films with pneumonia: only they must have heat in the lungs."""
    positions = np.flatnonzero(labels == 1)
    positions = np.random.default_rng(settings["seed"]).permutation(positions)
    images = split.images(positions[: settings["cam_films"]].tolist())
    films = [_squashed(decoded(image)) for image in images]
    if not films:
        return None
    maps = np.concatenate(
        [
            model.signatures[names.CAM](tf.constant(batch))[names.HEATMAP].numpy()
            for batch in batches(png(film) for film in films)
        ]
    )
    fields = lung_fields(tf.constant(np.stack(films), tf.float32))
    lungs = tf.where(lungs_found(fields)[:, None, None], fields, 1.0).numpy()
    places = heat_maps.place(maps, lungs)
    if not places:
        return None
    found = [place for place in places if not np.isnan(place.lungs)]
    few = [index for index in range(len(films)) if maps[index].any()][:_FAITHFULNESS_FILMS]
    some, heat = [films[index] for index in few], maps[few]
    curve = heat_maps.curves(some, heat, lambda batch: _scores(model, batch), png)
    return {
        "films": len(films),
        "places": [{"flagged": place.flagged} for place in places],
        "lungs": float(np.median([place.lungs for place in found])) if found else None,
        "by_chance": float(np.median([place.by_chance for place in found])) if found else None,
        "corners": float(np.median([place.corners for place in places])),
        "curve": asdict(curve),
        "curve_films": len(few),
        "is_faithful": curve.is_faithful,
        "likeness": _likeness(model, [png(film) for film in some], settings["seed"]),
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
    return heat_maps.likeness(before, after)


def _scores(model: Any, images: Sequence[bytes]) -> NDArray[np.float32]:
    answer = model.signatures[names.PREDICT_IMAGE](tf.constant(list(images)))
    scores: NDArray[np.float32] = answer[names.PROBABILITY].numpy()
    return scores


def _threshold(model: Any, film: NDArray[np.uint8]) -> float:
    answer = model.signatures[names.PREDICT_IMAGE](tf.constant([png(film)]))
    return float(answer[names.THRESHOLD][0])


def _squashed(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = HEATMAP_SIZE
    return np.asarray(Image.fromarray(film).resize((side, side), Image.Resampling.BOX))
