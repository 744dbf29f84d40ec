"""The gate's verdict on a run, read from what Evaluator, ServingCheck and AtomicPusher wrote."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from components import versions
from pipeline import features, intervals
from pipeline.run_folder import RunFolder

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measured figure, with its 95 % interval where it has one."""

    name: str
    value: float
    interval: Interval | None = None


@dataclasses.dataclass(frozen=True)
class Bound:
    """A figure that blessing asks for; `limit` is the least, or with `at_most` the largest."""

    figure: Figure
    limit: float
    ok: bool
    at_most: bool = False


@dataclasses.dataclass(frozen=True)
class Counts:
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


@dataclasses.dataclass(frozen=True)
class Slice:
    """The figures of all test X-rays (no key), or of those with one value of a slice key."""

    key: str
    value: str
    counts: Counts
    recall: Figure
    precision: Figure
    specificity: Figure
    auc: Figure
    others: tuple[Figure, ...]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What Evaluator measured, and each bound; a slice without a class has nan for its figures."""

    bounds: tuple[Bound, ...]
    overall: Slice
    slices: tuple[Slice, ...]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a run's model may be used, why, and what became of it."""

    evaluation: Evaluation
    blessed: bool
    compared: bool  # with a model that was served before
    serving: Mapping[str, Any] | None  # ServingCheck's findings; None: it was not part of the run
    pushed: bool  # by this very run
    version: int | None  # the version that holds the model; None: refused, or deleted since
    served: int | None  # the version that is served now
    serving_dir: Path
    warnings: tuple[str, ...] = ()  # what nobody is refused for, and should be known

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; figures that could not be measured are None."""
        return _plain(dataclasses.asdict(self))


class NoVerdictError(LookupError):
    """The newest run did not get as far as a verdict."""


def of_run(folder: RunFolder) -> Verdict:
    """The verdict on the newest run in the folder; raises NoVerdictError where it broke off."""
    from components.serving_check import REPORT
    from pipeline import lineage

    steps = lineage.latest_steps(folder.metadata)
    pusher = steps.get("AtomicPusher")
    if pusher is None or not pusher.succeeded:
        raise NoVerdictError(
            f"{folder.root}: the newest run broke off; start it again to finish it"
        )
    evaluator = steps["Evaluator"].outputs
    blessing, pushed = evaluator["blessing"].properties, pusher.outputs["pushed_model"].properties
    check, reporter = steps.get("ServingCheck"), steps.get("Reporter")
    report = reporter.outputs.get("report") if reporter else None
    serving = check.outputs["infra_blessing"] if check else None
    there = versions.versions(folder.serving)
    version = int(pushed["pushed_version"]) if pushed.get("pushed") == 1 else None
    return Verdict(
        evaluation=read_evaluation(evaluator["evaluation"].uri),
        blessed=blessing.get("blessed") == 1
        and (serving is None or serving.properties.get("blessed") == 1),
        compared="baseline_model" in blessing,
        serving=json.loads((serving.uri / REPORT).read_text("utf-8")) if serving else None,
        pushed=not pusher.cached and pushed.get("published") == 1,
        version=version if version in there else None,
        served=there[-1] if there else None,
        serving_dir=folder.serving,
        warnings=tuple(str(report.properties.get("warnings", "")).splitlines()) if report else (),
    )


def read_evaluation(folder: Path) -> Evaluation:
    """Reads the folder that Evaluator wrote; the bounds are the ones it was run with."""
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(str(folder))
    if result.config is None:
        raise NoVerdictError(
            f"{folder} holds no evaluation any more: was the run moved, or its artifacts deleted?"
        )
    if len(result.config.model_specs) > 1:
        result = tfma.load_eval_result(str(folder), model_name=tfma.CANDIDATE_KEY)
    failures = {
        (failure.metric_key.name, failure.metric_key.is_diff)
        for validation in tfma.load_validation_result(str(folder)).metric_validations_per_slice
        for failure in validation.failures
    }
    overall, *by_key = slices(result)
    total = next(metrics for key, metrics in result.slicing_metrics if not key)
    return Evaluation(
        bounds=tuple(_bounds(result.config, _values(total, features.LABEL), overall, failures)),
        overall=overall,
        slices=tuple(by_key),
    )


def slices(result: Any) -> list[Slice]:
    """The slices of one model's tfma.EvalResult: all films, then by key and value."""
    found = [_slice(key, metrics) for key, metrics in result.slicing_metrics]
    return sorted(found, key=lambda item: (item.key, item.value))


def _bounds(
    config: Any, values: Mapping[str, float], overall: Slice, failures: set[tuple[str, bool]]
) -> Iterable[Bound]:
    from pipeline.evaluation import TOLERANCE

    shown = {figure.name: figure for figure in (overall.recall, overall.precision)}
    for metric in (metric for spec in config.metrics_specs for metric in spec.metrics):
        name = json.loads(metric.config or "{}").get("name")
        for per_slice in metric.per_slice_thresholds:
            threshold = per_slice.threshold
            if threshold.HasField("value_threshold"):
                yield Bound(
                    figure=shown.get(name, Figure(name, values[name])),
                    limit=round(threshold.value_threshold.lower_bound.value + TOLERANCE, 9),
                    ok=(name, False) not in failures,
                )
            if threshold.HasField("change_threshold"):
                yield Bound(
                    figure=Figure(f"{name}_drop", -values[f"{name}_diff"]),
                    limit=round(-threshold.change_threshold.absolute.value - TOLERANCE, 9),
                    ok=(name, True) not in failures,
                    at_most=True,
                )


def _slice(key: tuple[tuple[str, Any], ...], metrics: Mapping[str, Any]) -> Slice:
    from pipeline import evaluation

    decisions, probabilities = _values(metrics, features.LABEL), _values(metrics, "")
    counts = Counts(**{name: round(decisions[name]) for name in evaluation.CONFUSION})
    predicted = counts.true_positives + counts.false_positives
    both = counts.positives and counts.negatives  # TFMA gives a one-class slice an AUC of 0
    auc = probabilities[evaluation.AUC] if both else math.nan
    name, value = key[0] if key else ("", "")
    return Slice(
        key=name,
        value=str(value),
        counts=counts,
        recall=_share(evaluation.RECALL, counts.true_positives, counts.positives),
        precision=_share(evaluation.PRECISION, counts.true_positives, predicted),
        specificity=_share(evaluation.SPECIFICITY, counts.true_negatives, counts.negatives),
        auc=Figure(
            evaluation.AUC,
            auc,
            intervals.newcombe(auc, counts.positives, counts.negatives),
        ),
        others=(
            Figure(evaluation.PR_AUC, probabilities[evaluation.PR_AUC] if both else math.nan),
            Figure(evaluation.CALIBRATION, probabilities[evaluation.CALIBRATION]),
            Figure(evaluation.BRIER, probabilities[evaluation.BRIER]),
        ),
    )


def _share(name: str, part: int, whole: int) -> Figure:
    return Figure(name, part / whole if whole else math.nan, intervals.wilson(part, whole))


def _values(metrics: Mapping[str, Any], output: str) -> dict[str, float]:
    return {name: float(value["doubleValue"]) for name, value in metrics[output][""].items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, Path) else value
