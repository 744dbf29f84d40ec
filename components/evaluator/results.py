"""Reads back what Evaluator measured: figures, bounds, slices, curves and calibration."""

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma

from components import names
from components.evaluator import config
from components.statistics import Interval, newcombe, wilson


class NoVerdictError(LookupError):
    """The newest run did not get as far as a verdict."""


@dataclass(frozen=True)
class Figure:
    """A measured figure, with its 95 % interval where it has one."""

    name: str
    value: float
    interval: Interval | None = None

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def text(self) -> str:
        """The value to four digits; a dash where it could not be measured."""
        return "–" if math.isnan(self.value) else f"{self.value:.4f}"

    @property
    def interval_text(self) -> str:
        """The interval to four digits; empty where there is none."""
        if not self.interval or math.isnan(self.interval[0]):
            return ""
        return f"{self.interval[0]:.4f} to {self.interval[1]:.4f}"


@dataclass(frozen=True)
class Bound:
    """A figure with the limit that a blessed model keeps to.

    Attributes:
        figure: what was measured.
        limit: the least value, or with `at_most` the largest.
        ok: whether the figure keeps to it.
        at_most: whether `limit` is the largest value.
    """

    figure: Figure
    limit: float
    ok: bool
    at_most: bool = False

    @property
    def reason(self) -> str:
        """Why an unmet bound refuses the model."""
        if math.isnan(self.figure.value):
            return f"{self.figure.title} could not be measured"
        side = "above" if self.at_most else "below"
        return f"{self.figure.title} {self.figure.text} is {side} {self.limit:.4f}"


@dataclass(frozen=True)
class ConfusionCounts:
    """Decisions at the model's own threshold, in X-rays."""

    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int

    @property
    def positives(self) -> int:
        """X-rays with pneumonia."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """X-rays without."""
        return self.true_negatives + self.false_positives


@dataclass(frozen=True)
class Slice:
    """The figures of all test X-rays, or of those with one value of a slice key.

    Attributes:
        key: one of names.SLICE_KEYS or names.GROUP_KEYS; empty for all X-rays.
        value: the key's value, such as `bacteria`; empty for all X-rays.
        counts: decisions at the model's own threshold.
        recall: nan without a sick X-ray.
        precision: nan where no X-ray is called sick.
        specificity: nan without a healthy X-ray.
        auc: area under the ROC curve; nan without both classes.
        others: area under the precision-recall curve, calibration and Brier score.
    """

    key: str
    value: str
    counts: ConfusionCounts
    recall: Figure
    precision: Figure
    specificity: Figure
    auc: Figure
    others: tuple[Figure, ...]

    @property
    def is_small(self) -> bool:
        """Whether a class has some films, but too few for its figure to carry weight."""
        counts = (self.counts.positives, self.counts.negatives)
        return any(0 < count < config.FEW for count in counts)


@dataclass(frozen=True)
class Evaluation:
    """What Evaluator measured, and each bound; a slice without a class has nan for its figures."""

    bounds: tuple[Bound, ...]
    overall: Slice
    slices: tuple[Slice, ...]

    def and_also(self, bounds: Iterable[Bound]) -> "Evaluation":
        """With what other steps ask of the model, too."""
        return replace(self, bounds=(*self.bounds, *bounds))


@dataclass(frozen=True)
class Point:
    """The decisions at one threshold: pneumonia is what lies above it."""

    threshold: float
    counts: ConfusionCounts

    @property
    def sensitivity(self) -> float:
        """Share of the sick that are found; nan without any."""
        return _share(self.counts.true_positives, self.counts.positives)

    @property
    def specificity(self) -> float:
        """Share of the healthy that are left alone; nan without any."""
        return _share(self.counts.true_negatives, self.counts.negatives)

    @property
    def precision(self) -> float:
        """Share of those called sick that are; nan where none is called."""
        called = self.counts.true_positives + self.counts.false_positives
        return _share(self.counts.true_positives, called)


@dataclass(frozen=True)
class Bucket:
    """Films with a probability in [low, high).

    Attributes:
        low: in [0,1].
        high: in [0,1].
        films: how many there are.
        sick: how many of them have pneumonia.
        probability: their mean.
    """

    low: float
    high: float
    films: int
    sick: int
    probability: float

    @property
    def share(self) -> float:
        """Share of the films that are sick."""
        return self.sick / self.films


@dataclass(frozen=True)
class Curves:
    """Curves over all test films.

    Attributes:
        points: by rising threshold.
        buckets: of the calibration, those that hold films.
    """

    points: tuple[Point, ...]
    buckets: tuple[Bucket, ...]

    @property
    def ece(self) -> float:
        """Expected calibration error over ten equal buckets, in [0,1]; nan without films.

        Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
        """
        films = sum(bucket.films for bucket in self.buckets)
        return _share(sum(b.films * abs(b.share - b.probability) for b in self.buckets), films)

    def turns(self) -> list[Point]:
        """Selects the points at which a decision changes, by rising threshold."""
        kept = list(self.points[:1])
        for point in self.points[1:]:
            if point.counts != kept[-1].counts:
                kept.append(point)
        return kept

    def histogram(self, bins: int) -> list[tuple[float, float, int, int]]:
        """Counts films by probability in equal bins.

        Returns:
            Low end, high end, healthy films and sick films of each bin.
        """
        thresholds = [point.threshold for point in self.points]
        # The first threshold is a little below 0: all films lie above it.
        at = [0, *(bisect_left(thresholds, edge / bins) for edge in range(1, bins + 1))]
        above = [self.points[min(index, len(thresholds) - 1)].counts for index in at]
        return [
            (
                number / bins,
                (number + 1) / bins,
                low.false_positives - high.false_positives,
                low.true_positives - high.true_positives,
            )
            for number, (low, high) in enumerate(pairwise(above))
        ]


@dataclass(frozen=True)
class Measured:
    """One model on the test split."""

    overall: Slice
    slices: tuple[Slice, ...]
    curves: Curves


@dataclass(frozen=True)
class Results:
    """The candidate with its bounds, and the model that was served before it, if there was one."""

    evaluation: Evaluation
    candidate: Measured
    baseline: Measured | None


def read(folder: Path) -> Results:
    """Reads the folder that Evaluator wrote; the bounds are the ones that it was run with.

    Raises:
        NoVerdictError: there is no evaluation in it.
    """
    result = tfma.load_eval_result(str(folder))
    if result.config is None:
        raise NoVerdictError(
            f"{folder} holds no evaluation any more: was the run moved, or its artifacts deleted?"
        )
    compared = len(result.config.model_specs) > 1
    if compared:
        result = tfma.load_eval_result(str(folder), model_name=tfma.CANDIDATE_KEY)
    candidate = _measured(result)
    failures = {
        (failure.metric_key.name, failure.metric_key.is_diff)
        for validation in tfma.load_validation_result(str(folder)).metric_validations_per_slice
        for failure in validation.failures
    }
    total = next(metrics for key, metrics in result.slicing_metrics if not key)
    bounds = _bounds(result.config, _values(total, names.LABEL), candidate, failures)
    return Results(
        evaluation=Evaluation(tuple(bounds), candidate.overall, candidate.slices),
        candidate=candidate,
        baseline=_measured(tfma.load_eval_result(str(folder), model_name=tfma.BASELINE_KEY))
        if compared
        else None,
    )


def lowest(slices: Iterable[Slice]) -> list[Figure]:
    """The recall of the slices with enough sick films, the lowest first, named after the slice."""
    judged = [item for item in slices if item.counts.positives >= config.FEW]
    return [
        replace(item.recall, name=f"recall, {item.key} {item.value}")
        for item in sorted(judged, key=lambda item: item.recall.value)
    ]


def _measured(result: Any) -> Measured:
    """Reads one model's tfma.EvalResult; sorts the slices by key and value."""
    found = [_slice(key, metrics) for key, metrics in result.slicing_metrics]
    overall, *slices = sorted(found, key=lambda item: (item.key, item.value))
    plots = next(plots for key, plots in result.plots if not key)[""][""]
    return Measured(
        overall=overall,
        slices=tuple(slices),
        curves=Curves(
            points=_points(plots["confusionMatrixAtThresholds"]["matrices"], overall.counts),
            buckets=tuple(_buckets(plots["calibrationHistogramBuckets"]["buckets"])),
        ),
    )


def _bounds(
    eval_config: Any, values: Mapping[str, float], found: Measured, failures: set[tuple[str, bool]]
) -> Iterable[Bound]:
    shown = {figure.name: figure for figure in (found.overall.recall, found.overall.precision)}
    if judged := lowest(found.slices):
        shown[config.SLICE_RECALL] = judged[0]
    for metric in (metric for spec in eval_config.metrics_specs for metric in spec.metrics):
        name = json.loads(metric.config or "{}").get("name")
        for per_slice in metric.per_slice_thresholds:
            threshold = per_slice.threshold
            if threshold.HasField("value_threshold"):
                yield Bound(
                    figure=shown.get(name, Figure(name, values[name])),
                    limit=round(threshold.value_threshold.lower_bound.value + config.TOLERANCE, 9),
                    ok=(name, False) not in failures,
                )
            if threshold.HasField("change_threshold"):
                yield Bound(
                    figure=Figure(f"{name}_drop", -values[f"{name}_diff"]),
                    limit=round(-threshold.change_threshold.absolute.value - config.TOLERANCE, 9),
                    ok=(name, True) not in failures,
                    at_most=True,
                )


def _slice(key: tuple[tuple[str, Any], ...], metrics: Mapping[str, Any]) -> Slice:
    decisions, probabilities = _values(metrics, names.LABEL), _values(metrics, "")
    counts = ConfusionCounts(**{name: round(decisions[name]) for name in config.CONFUSION})
    predicted = counts.true_positives + counts.false_positives
    both = counts.positives and counts.negatives  # TFMA gives a one-class slice an AUC of 0
    auc = probabilities[config.AUC] if both else math.nan
    name, value = key[0] if key else ("", "")
    return Slice(
        key=name,
        value=str(value),
        counts=counts,
        recall=_proportion(config.RECALL, counts.true_positives, counts.positives),
        precision=_proportion(config.PRECISION, counts.true_positives, predicted),
        specificity=_proportion(config.SPECIFICITY, counts.true_negatives, counts.negatives),
        auc=Figure(
            config.AUC,
            auc,
            newcombe(auc, counts.positives, counts.negatives),
        ),
        others=(
            Figure(config.PR_AUC, probabilities[config.PR_AUC] if both else math.nan),
            Figure(config.CALIBRATION, probabilities[config.CALIBRATION]),
            Figure(config.BRIER, probabilities[config.BRIER]),
        ),
    )


def _proportion(name: str, part: int, whole: int) -> Figure:
    return Figure(name, part / whole if whole else math.nan, wilson(part, whole))


def _values(metrics: Mapping[str, Any], output: str) -> dict[str, float]:
    return {name: float(value["doubleValue"]) for name, value in metrics[output][""].items()}


def _points(
    matrices: Sequence[Mapping[str, float]], all_films: ConfusionCounts
) -> tuple[Point, ...]:
    """Reads the points; TFMA leaves zeros out of its JSON."""
    points = []
    for matrix in matrices:
        hits = round(matrix.get("truePositives", 0))
        alarms = round(matrix.get("falsePositives", 0))
        counts = ConfusionCounts(
            true_positives=hits,
            false_negatives=all_films.positives - hits,
            false_positives=alarms,
            true_negatives=all_films.negatives - alarms,
        )
        points.append(Point(matrix.get("threshold", 0.0), counts))
    return tuple(sorted(points, key=lambda point: point.threshold))


def _buckets(buckets: Sequence[Mapping[str, Any]]) -> list[Bucket]:
    found = []
    for bucket in buckets:
        films = round(bucket.get("numWeightedExamples", 0))
        if films:
            found.append(
                Bucket(
                    low=max(float(bucket.get("lowerThresholdInclusive", 0)), 0.0),
                    high=min(float(bucket.get("upperThresholdExclusive", 0)), 1.0),
                    films=films,
                    sick=round(bucket.get("totalWeightedLabel", 0)),
                    probability=bucket.get("totalWeightedRefinedPrediction", 0.0) / films,
                )
            )
    return found


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
