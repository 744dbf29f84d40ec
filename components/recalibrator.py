"""Fits a trained model's calibration and threshold to another hospital's films; its weights stay.

Ranking films is what the weights do; where a probability is high and where the cut lies depends on
how a hospital takes its films and whom it films. So little has to be learned that a few hundred
local films are enough.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from scipy import special
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import names
from components.examples import Split, batches
from components.model import card, operating_point, variables
from components.model.card import EXTRA, RECALIBRATION, SUMMARY
from components.model.operating_point import OperatingPoint
from components.model.settings import OperatingPointConfig
from components.progress import bar
from components.quantiser import carried
from components.statistics import area_under_roc, newcombe, wilson

_ENOUGH: Final = 20  # films of either class to fit on; with fewer the cut is one film's chance
_POINT: Final = ("slope", "intercept", "threshold", "heat_scale")


class RecalibrationError(ValueError):
    """The model or the films do not allow it; the message says why and what to do."""


@dataclass(frozen=True)
class Figures:
    """What decisions and probabilities are worth on some films.

    threshold: a film is called sick from this probability on. sensitivity, specificity, precision:
    in [0,1], nan where not defined, each with its 95 % Wilson interval. brier: mean squared error
    of the probability.
    """

    threshold: float
    sensitivity: float
    sensitivity_interval: tuple[float, float]
    specificity: float
    specificity_interval: tuple[float, float]
    precision: float
    precision_interval: tuple[float, float]
    brier: float


@dataclass(frozen=True)
class Recalibration:
    """What was changed, and what came of it on local films that it was not fitted on.

    fitted_on: films by class. auc: the same before and after, as ranks stay.
    """

    base_sha256: str
    fitted_on: Mapping[str, int]
    judged_on: Mapping[str, int]
    auc: float
    auc_interval: tuple[float, float]
    before: Figures
    after: Figures


@component
def Recalibrator(  # noqa: N802 - the step's name
    examples: InputArtifact[standard_artifacts.Examples],
    model: OutputArtifact[standard_artifacts.Model],
    base: Parameter[str],
    settings: Parameter[str],
    code_version: Parameter[str],
) -> None:
    """Stands in Trainer's place where a model is there and only its operating point is not.

    Args:
        examples: raw examples with the splits train, val and test. The point is fitted on train
            and val and judged on test.
        model: the SavedModel with its new point; `recalibration.json` and a new model card lie
            below its `assets.extra`.
        base: path of the SavedModel to start from, a pushed version's.
        settings: `operating_point`, the fields of OperatingPointConfig, and `base_sha256`, as JSON;
            the digest is there because the cache does not look into the base.
        code_version: fingerprint of the sources; part of the cache key.

    Raises:
        RecalibrationError: the base is no version of this project's, or the films are too few.
    """
    splits = {
        split: Path(artifact_utils.get_split_uri([examples], split))
        for split in artifact_utils.decode_split_names(examples.split_names)
    }
    target = Path(path_utils.serving_model_dir(model.uri))
    recalibrate(Path(base), splits, json.loads(settings), target)


def recalibrate(
    base: Path, splits: Mapping[str, Path], settings: Mapping[str, Any], target: Path
) -> None:
    """Writes the model with a new operating point, and its int8 form where that still holds.

    Args:
        base: the SavedModel of a pushed version.
        splits: folders of raw examples by split.
        settings: as Recalibrator's.
        target: where the SavedModel is written.

    Raises:
        RecalibrationError: the base is no version of this project's, or the films are too few.
    """
    summary = _summary(base)
    model = tf.saved_model.load(str(base))
    parts = {name: _examined(model, Split(folder), name) for name, folder in splits.items()}
    margins, labels = (
        np.concatenate(pair) for pair in zip(parts[names.TRAIN], parts[names.VAL], strict=True)
    )
    _check(labels)
    config = OperatingPointConfig(**settings["operating_point"])
    # Fitted on calibrated logits, so it comes on top of what the base has.
    fitted = operating_point.choose(margins, labels, config)
    old = {name: float(getattr(model, name)) for name in _POINT}
    point = replace(
        fitted,
        slope=fitted.slope * old["slope"],
        intercept=fitted.slope * old["intercept"] + fitted.intercept,
        heat_scale=fitted.slope * old["heat_scale"],  # full heat stays as much evidence as it was
    )
    found = _judged(parts[names.TEST], fitted, old["threshold"], settings, labels)
    variables.rewrite(base, {name: getattr(point, name) for name in _POINT}, target)
    carried.keep_if_proven(target, Split(splits[names.TEST]).all_images())
    _describe(target / EXTRA, summary, point, config, found)


def figures(probability: np.ndarray, labels: np.ndarray, threshold: float) -> Figures:
    """A model's figures on films whose labels are known.

    Args:
        probability: float32[N], in [0,1].
        labels: int64[N], 0 or 1.
        threshold: a film is called sick from this probability on.

    Returns:
        The figures with their 95 % intervals; nan where no film counts.
    """
    called = probability >= np.float32(threshold)
    hits, spared = int(called[labels == 1].sum()), int((~called[labels == 0]).sum())
    sick, healthy, alarms = int(labels.sum()), int((labels == 0).sum()), int(called.sum())
    return Figures(
        threshold=threshold,
        sensitivity=hits / sick if sick else math.nan,
        sensitivity_interval=wilson(hits, sick),
        specificity=spared / healthy if healthy else math.nan,
        specificity_interval=wilson(spared, healthy),
        precision=hits / alarms if alarms else math.nan,
        precision_interval=wilson(hits, alarms),
        brier=float(np.mean((probability - labels) ** 2)),
    )


def read(saved_model: Path) -> dict[str, Any] | None:
    """What `recalibrate` noted of a model, as plain values; None: it was never recalibrated."""
    path = saved_model / RECALIBRATION
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _summary(base: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((base / EXTRA / SUMMARY).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise RecalibrationError(
            f"{base}: holds no readable {SUMMARY} ({error}); name a version that 'pneumonia run' "
            "pushed"
        ) from error


def _examined(model: Any, split: Split, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated logits by place, float32[N,h,w], and labels, int64[N]."""
    labels = np.array(split.labels())
    with bar(f"films of {name}", len(labels)) as progress:
        margins = []
        for batch in batches(split.all_images()):
            margins.append(model.examine(tf.constant(batch))[0].numpy())
            progress.update(len(batch))
    return np.concatenate(margins), labels


def _check(labels: np.ndarray) -> None:
    normal, sick = np.bincount(labels, minlength=2)
    if min(normal, sick) < _ENOUGH:
        raise RecalibrationError(
            f"{normal} NORMAL and {sick} PNEUMONIA films are left to fit on, which takes at least "
            f"{_ENOUGH} of each; add films, or lower data.test_fraction"
        )


def _judged(
    test: tuple[np.ndarray, np.ndarray],
    fitted: OperatingPoint,
    old_threshold: float,
    settings: Mapping[str, Any],
    fit_labels: np.ndarray,
) -> Recalibration:
    margins, labels = test
    logits = margins.mean(axis=(1, 2))
    auc = area_under_roc(logits, labels)
    sick = int(labels.sum())
    return Recalibration(
        base_sha256=settings["base_sha256"],
        fitted_on=_by_class(fit_labels),
        judged_on=_by_class(labels),
        auc=auc,
        auc_interval=newcombe(auc, sick, len(labels) - sick),
        before=figures(special.expit(logits), labels, old_threshold),
        after=figures(fitted.probability(logits), labels, fitted.threshold),
    )


def _by_class(labels: np.ndarray) -> dict[str, int]:
    return dict(zip(names.CLASSES, np.bincount(labels, minlength=2).tolist(), strict=True))


def _describe(
    folder: Path,
    summary: dict[str, Any],
    point: OperatingPoint,
    config: OperatingPointConfig,
    found: Recalibration,
) -> None:
    summary |= {
        "operating_point": asdict(point),
        "recalibration": asdict(found),
        "recalibrated_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    summary["config"]["operating_point"] = asdict(config)
    files = {
        RECALIBRATION.name: json.dumps(asdict(found), indent=1).encode(),
        **card.documents(summary),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
