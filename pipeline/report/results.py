"""What TFMA measured, as the report shows it: figures, curves and calibration."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma

from pipeline import verdict
from pipeline.verdict import Counts, Evaluation, Slice


@dataclass(frozen=True)
class Point:
    """The decisions at one threshold: pneumonia is what lies above it."""

    threshold: float
    counts: Counts

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
    """Films with a probability in [low, high); probability is their mean, share the sick one."""

    low: float
    high: float
    films: int
    sick: int
    probability: float

    @property
    def share(self) -> float:
        """How many of the films are sick."""
        return self.sick / self.films


@dataclass(frozen=True)
class Curves:
    """Of all test films: points by rising threshold, and the calibration's buckets with films."""

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
        """The points at which a decision changes, by rising threshold."""
        kept = list(self.points[:1])
        for point in self.points[1:]:
            if point.counts != kept[-1].counts:
                kept.append(point)
        return kept

    def histogram(self, bins: int) -> list[tuple[float, float, int, int]]:
        """Low and high end of each bin of the probability, its healthy and its sick films."""
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
    """Reads the folder that Evaluator wrote."""
    result = tfma.load_eval_result(str(folder))
    compared = len(result.config.model_specs) > 1
    if compared:
        result = tfma.load_eval_result(str(folder), model_name=tfma.CANDIDATE_KEY)
    return Results(
        evaluation=verdict.read_evaluation(folder),
        candidate=_measured(result),
        baseline=_measured(tfma.load_eval_result(str(folder), model_name=tfma.BASELINE_KEY))
        if compared
        else None,
    )


def _measured(result: Any) -> Measured:
    overall, *slices = verdict.slices(result)
    plots = next(plots for key, plots in result.plots if not key)[""][""]
    return Measured(
        overall=overall,
        slices=tuple(slices),
        curves=Curves(
            points=_points(plots["confusionMatrixAtThresholds"]["matrices"], overall.counts),
            buckets=tuple(_buckets(plots["calibrationHistogramBuckets"]["buckets"])),
        ),
    )


def _points(matrices: Sequence[Mapping[str, float]], all_films: Counts) -> tuple[Point, ...]:
    """TFMA leaves zeros out of its JSON."""
    points = []
    for matrix in matrices:
        found = round(matrix.get("truePositives", 0))
        alarms = round(matrix.get("falsePositives", 0))
        counts = Counts(
            true_positives=found,
            false_negatives=all_films.positives - found,
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
