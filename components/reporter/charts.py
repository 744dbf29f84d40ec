"""Draws the report's plots as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components import statistics
from components.evaluator.results import Curves, Figure, Interval, Measured, Results
from components.reporter.plot import Axis, Plot, count_axis, range_axis, unit_axis
from components.stress.corruptions import STRENGTHS
from components.stress.heat_maps import STEPS

_BINS = 40


def roc(results: Results) -> Markup:
    """Draws sensitivity over the false-positive rate, the operating point with its intervals."""
    overall = results.candidate.overall
    plot = Plot(
        f"ROC curve, area {overall.auc.value:.4f}",
        unit_axis("1 − specificity: healthy films called sick"),
        unit_axis("sensitivity: sick films found"),
    )
    plot.line([(0, 0), (1, 1)], "chance")
    for model, css in _models(results):
        plot.line(_roc_points(model.curves), css)
    plot.live("roc", "dot")
    plot.cross(
        (1 - overall.specificity.value, overall.recall.value),
        "operating",
        across=_mirrored(overall.specificity.interval),
        along=overall.recall.interval,
    )
    return plot.svg()


def precision_recall(results: Results) -> Markup:
    """Draws precision over sensitivity, the operating point with its intervals."""
    overall = results.candidate.overall
    area = next(figure for figure in overall.others if figure.name == "pr_auc")
    plot = Plot(
        f"Precision-recall curve, area {area.value:.4f}",
        unit_axis("sensitivity: sick films found"),
        unit_axis("precision: called sick and sick"),
    )
    counts = overall.counts
    share = counts.positives / (counts.positives + counts.negatives)
    plot.line([(0, share), (1, share)], "chance")
    for model, css in _models(results):
        turns = model.curves.turns()
        plot.line([(point.sensitivity, point.precision) for point in turns], css)
    plot.live("pr", "dot")
    plot.cross(
        (overall.recall.value, overall.precision.value),
        "operating",
        across=overall.recall.interval,
        along=overall.precision.interval,
    )
    return plot.svg()


def distribution(curves: Curves) -> Markup:
    """Draws how many healthy (up) and sick films (down) have which probability."""
    bins = curves.histogram(_BINS)
    most = max((max(healthy, sick) for _, _, healthy, sick in bins), default=1) or 1
    plot = Plot(
        "Films by probability: healthy upwards, sick downwards",
        unit_axis("probability of pneumonia"),
        range_axis("films", [-most, most]).absolute(),
        height=260,
    )
    plot.bars([(low, high, 0, healthy) for low, high, healthy, _ in bins], "healthy")
    plot.bars([(low, high, -sick, 0) for low, high, _, sick in bins], "sick")
    plot.live("threshold", "rule")
    return plot.svg()


def calibration(curves: Curves) -> Markup:
    """Draws the observed over the predicted share of sick films, in ten buckets with intervals."""
    plot = Plot(
        f"Calibration in ten buckets, expected calibration error {curves.ece:.4f}",
        unit_axis("mean predicted probability"),
        unit_axis("share that is sick"),
    )
    films = sum(bucket.films for bucket in curves.buckets)
    plot.bars([(b.low, b.high, 0, b.films / films) for b in curves.buckets], "films")
    plot.line([(0, 0), (1, 1)], "chance")
    plot.line([(bucket.probability, bucket.share) for bucket in curves.buckets], "model")
    for bucket in curves.buckets:
        interval = statistics.wilson(bucket.sick, bucket.films)
        plot.cross((bucket.probability, bucket.share), "model", along=interval)
    return plot.svg()


def over_runs(
    title: str, figures: Sequence[Figure | None], limits: Sequence[float | None]
) -> Markup:
    """Draws one figure from run to run with its intervals, and the bound on it as a line.

    Args:
        title: the figure's name.
        figures: one for each run, the oldest first; None where it was not measured.
        limits: the bound of each run; None where there was none.
    """
    ends = [end for f in figures if f for end in (f.value, *(f.interval or ()))]
    drawn = [(number, limit) for number, limit in enumerate(limits, 1) if limit is not None]
    plot = Plot(
        f"{title} by run",
        count_axis("run", len(figures)),
        range_axis("", [*ends, *(limit for _, limit in drawn)]),
        height=260,
    )
    # Half a run to either side, so that the bound of a single run is a line, too.
    plot.line([(n + side, limit) for n, limit in drawn for side in (-0.5, 0.5)], "kept")
    known = [(number, figure) for number, figure in enumerate(figures, 1) if figure]
    plot.line([(number, figure.value) for number, figure in known], "model")
    for number, figure in known:
        plot.cross((number, figure.value), "model", along=_if_known(figure.interval))
    return plot.svg()


def robustness(rows: Sequence[Mapping[str, Any]], clean: Mapping[str, Any]) -> Markup:
    """Draws sensitivity, specificity and AUC of one corruption by its strength, 0 to 5.

    Args:
        rows: the corruption's results: `corruption` (its name), `strength` from 1 up, and
            `sensitivity`, `specificity` and `auc`, each in [0,1].
        clean: the same three figures of the films as they are.

    Returns:
        The plot as SVG.
    """
    plot = Plot(
        f"Robustness to {rows[0]['corruption']}",
        Axis("", 0, STRENGTHS, tuple((float(n), str(n)) for n in range(STRENGTHS + 1))),
        unit_axis(""),
        height=250,
    )
    for name, css in (("auc", "baseline"), ("specificity", "healthy"), ("sensitivity", "sick")):
        points = [(0, clean[name]), *((row["strength"], row[name]) for row in rows)]
        plot.line(points, css, dots=True)
    return plot.svg()


def faithfulness(curve: Mapping[str, Sequence[float]]) -> Markup:
    """Draws the mean probability as the hottest places are taken away or put back."""
    plot = Plot(
        "Deletion and insertion of the hottest places",
        unit_axis("share of the film changed, hottest first"),
        unit_axis("mean probability of pneumonia"),
    )
    for name, css in (("random", "baseline"), ("insertion", "healthy"), ("deletion", "sick")):
        plot.line(list(zip(STEPS, curve[name], strict=True)), css, dots=True)
    return plot.svg()


def losses(epochs: Sequence[Mapping[str, Any]], best: int) -> Markup:
    """Draws the cross-entropy by epoch.

    Args:
        epochs: each with `number` from 1 up, `loss` and `val_loss`.
        best: the number of the epoch whose weights were kept.

    Returns:
        The plot as SVG.
    """
    series = {key: [(e["number"], e[key]) for e in epochs] for key in ("loss", "val_loss")}
    plot = Plot(
        "Cross-entropy by epoch",
        count_axis("epoch", epochs[-1]["number"]),
        range_axis("cross-entropy", [value for line in series.values() for _, value in line]),
        height=280,
    )
    plot.vertical(best, "kept")
    plot.line(series["loss"], "baseline", dots=True)
    plot.line(series["val_loss"], "model", dots=True)
    return plot.svg()


def areas(epochs: Sequence[Mapping[str, Any]], best: int) -> Markup:
    """Draws the validation AUC by epoch.

    Args:
        epochs: each with `number` from 1 up and `val_auc` in [0,1].
        best: the number of the epoch whose weights were kept.

    Returns:
        The plot as SVG.
    """
    points = [(epoch["number"], epoch["val_auc"]) for epoch in epochs]
    plot = Plot(
        "Validation AUC by epoch",
        count_axis("epoch", epochs[-1]["number"]),
        range_axis("AUC on the validation split", [value for _, value in points]),
        height=280,
    )
    plot.vertical(best, "kept")
    plot.line(points, "model", dots=True)
    return plot.svg()


def _models(results: Results) -> list[tuple[Measured, str]]:
    """Lists the baseline first, so that the candidate lies over it."""
    before = [(results.baseline, "baseline")] if results.baseline else []
    return [*before, (results.candidate, "model")]


def _roc_points(curves: Curves) -> list[tuple[float, float]]:
    return [(1 - point.specificity, point.sensitivity) for point in curves.turns()]


def _if_known(interval: Interval | None) -> Interval | None:
    return None if interval is None or math.isnan(interval[0]) else interval


def _mirrored(interval: Interval | None) -> Interval | None:
    known = _if_known(interval)
    return (1 - known[1], 1 - known[0]) if known else None
