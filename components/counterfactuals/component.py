"""Lets a candidate pass only where it decides by the lungs and not by what lies around them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from scipy import special
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import names
from components.counterfactuals import changes, figures, findings, pictures
from components.counterfactuals.blending import LungFilm, Pixels, widened
from components.counterfactuals.changes import Changed
from components.counterfactuals.figures import Answers
from components.counterfactuals.findings import Findings
from components.examples import SLICE, Split, parsed, sample
from components.image.heatmap import HEATMAP_SIZE
from components.image.lung_network import lung_fields, lungs_found
from components.image.pixels import decoded
from components.pictures import png
from components.progress import bar

_SIDE: Final = 512  # the shorter side of a film while it is changed; the model looks at fewer
_SHOWN: Final = 4  # pictures of a kind


@component
def Counterfactuals(  # noqa: N802 - the step's name
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    settings: Parameter[str],
    code_version: Parameter[str],
    split: Parameter[str] = names.TEST,
) -> None:
    """Asks the candidate about films that were changed where a sound model does not look.

    Args:
        model: the candidate.
        examples: raw examples.
        blessing: for AtomicPusher: custom property `blessed`, 1 or 0; the folder holds
            `counterfactuals.json` and pictures.
        settings: `films` to ask, `seed`, and `bounds` by the names of `figures.BOUNDS`, as JSON.
        code_version: fingerprint of the sources; part of the cache key.
        split: the split to take films from.
    """
    told = json.loads(settings)
    loaded = tf.saved_model.load(path_utils.serving_model_path(model.uri))
    films = Split(Path(artifact_utils.get_split_uri([examples], split)))
    folder = Path(blessing.uri)
    found = judge(loaded, films, told["films"], told["seed"], told["bounds"], folder)
    findings.write(found, folder)
    blessing.set_int_custom_property("blessed", int(found.ok))


def judge(
    model: Any,
    split: Split,
    count: int,
    seed: int,
    limits: Mapping[str, float | None],
    folder: Path,
) -> Findings:
    """Asks a loaded SavedModel of a sample of a split.

    Args:
        model: with the signatures `predict_image` and `cam`.
        split: test films.
        count: of films, as many of either class as there are, at most half each; 0: none is asked.
        seed: of the sample and of all that is drawn.
        limits: by the names of `figures.BOUNDS`; None: no bound.
        folder: where pictures are written.
    """
    if not count:
        return Findings(0, 0)
    positions = sample(np.array(split.labels()), count, seed)
    titles, films = _films(split, positions)
    if not films:
        return Findings(0, len(positions), bounds=tuple(figures.bounds(figures.UNKNOWN, limits)))
    before, heat = _examined(model, films)
    asked, after, telling = _asked(model, films, before, seed)
    faults = figures.gave_away(asked, before, after)
    differ = np.array([before.called[one.film] != before.called[one.donor] for one in asked], bool)
    inside = _share_inside(heat, films)
    sick = before.called & ~np.isnan(inside)
    found = figures.figures(asked, faults, inside[sick], differ)
    labels = np.array([film.label for film in films])
    shown = pictures.pairs(model, films, titles, telling, folder)
    if limits["heat_in_lungs"] is not None:
        beside = [n for n in np.argsort(inside) if sick[n] and inside[n] < limits["heat_in_lungs"]]
        shown += pictures.heated(model, films, titles, beside[:_SHOWN], inside, folder)
    return Findings(
        films=len(films),
        without_lungs=len(positions) - len(films),
        figures=tuple(found),
        bounds=tuple(figures.bounds(found, limits)),
        rows=tuple(figures.rows(asked, before, after, labels)),
        pictures=tuple(shown),
    )


def _films(split: Split, positions: Sequence[int]) -> tuple[list[str], list[LungFilm]]:
    """Names and films of those positions on which two lungs are found.

    The lungs are looked for here, not asked of the candidate: a model that called the whole film
    lungs would be asked nothing.
    """
    wanted = set(positions)
    titles, films = [], []
    for position, record in enumerate(split.records()):
        if position in wanted:
            given = parsed([record])
            pixels = _shrunk(decoded(given[names.IMAGE][0]))
            lungs = lung_fields(tf.constant(_squashed(pixels)[None], tf.float32))
            if lungs_found(lungs)[0]:
                titles.append(given[names.FILENAME][0])
                label = int(given[names.LABEL][0])
                films.append(LungFilm(pixels, widened(lungs[0].numpy()), label))
    return titles, films


def _examined(model: Any, films: Sequence[LungFilm]) -> tuple[Answers, NDArray[np.float32]]:
    """Answers to the films as they are, and their heat maps, float32[N,224,224]."""
    parts, maps = [], []
    for start in range(0, len(films), SLICE):
        images = [png(film.pixels) for film in films[start : start + SLICE]]
        answer = model.signatures[names.CAM](tf.constant(images))
        parts.append(_answers(answer))
        maps.append(answer[names.HEATMAP].numpy())
    return _joined(parts), np.concatenate(maps)


def _asked(
    model: Any, films: Sequence[LungFilm], before: Answers, seed: int
) -> tuple[list[Changed], Answers, list[tuple[Changed, float, float]]]:
    """All changes without their pixels, the answers, and the first ones that gave it away.

    Of those the pixels are kept, with the probabilities before and after.
    """
    asked: list[Changed] = []
    parts: list[Answers] = []
    telling: list[tuple[Changed, float, float]] = []
    of_kind: Counter[str] = Counter()
    with bar("changed films", None) as progress:
        for batch in _in_batches(changes.of_films(films, seed)):
            images = [png(changed.pixels) for changed in batch]
            answers = _answers(model.signatures[names.PREDICT_IMAGE](tf.constant(images)))
            for number in np.flatnonzero(figures.gave_away(batch, before, answers)):
                changed = batch[number]
                of_kind[changed.kind] += 1
                if of_kind[changed.kind] <= _SHOWN:
                    pair = (before.logits[changed.film], answers.logits[number])
                    was, became = special.expit(pair).tolist()
                    telling.append((changed, was, became))
            asked += [replace(changed, pixels=np.empty((0, 0), np.uint8)) for changed in batch]
            parts.append(answers)
            progress.update(len(batch))
    return asked, _joined(parts), telling


def _in_batches(values: Iterator[Changed]) -> Iterator[list[Changed]]:
    while batch := [value for _, value in zip(range(SLICE), values, strict=False)]:
        yield batch


def _answers(answer: Mapping[str, tf.Tensor]) -> Answers:
    # A probability of 1 in float32 has no logit; what is beyond counts no more.
    inside = np.clip(answer[names.PROBABILITY].numpy().astype(np.float64), 1e-7, 1 - 1e-7)
    called = answer[names.LABEL].numpy() == 1
    return Answers(special.logit(inside), called, answer[names.QUALITY].numpy())


def _joined(parts: Sequence[Answers]) -> Answers:
    return Answers(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("logits", "called", "quality")
        )
    )


def _share_inside(heat: NDArray[np.float32], films: Sequence[LungFilm]) -> NDArray[np.float64]:
    """Of each map's heat, what lies in the lungs; nan for a map without heat."""
    total = heat.sum(axis=(1, 2), dtype=np.float64)
    inside = np.array([(map_ * film.inside).sum() for map_, film in zip(heat, films, strict=True)])
    return np.divide(inside, total, out=np.full(len(films), np.nan), where=total > 0)


def _shrunk(pixels: Pixels) -> Pixels:
    share = min(1.0, _SIDE / min(pixels.shape))
    height, width = (max(1, round(side * share)) for side in pixels.shape)
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def _squashed(pixels: Pixels) -> Pixels:
    square = (HEATMAP_SIZE, HEATMAP_SIZE)
    return np.asarray(Image.fromarray(pixels).resize(square, Image.Resampling.BOX))
