"""Configures what TFMA measures on the test split, and the bounds that a blessed model meets."""

import json
from collections.abc import Collection, Iterator
from typing import Any, Final

from tensorflow_model_analysis.metrics import confusion_matrix_metrics, metric_types
from tensorflow_model_analysis.proto import config_pb2

from components import names
from components.evaluator.settings import GateConfig
from components.statistics import wilson

RECALL: Final = "recall"
RECALL_LOWER_BOUND: Final = "recall_lower_bound"
SLICE_RECALL: Final = "slice_recall"
PRECISION: Final = "precision"
SPECIFICITY: Final = "specificity"
CONFUSION: Final = ("true_positives", "false_negatives", "false_positives", "true_negatives")
AUC: Final = "auc"
PR_AUC: Final = "pr_auc"
CALIBRATION: Final = "calibration"
BRIER: Final = "brier_score"

FEW: Final = 30  # films of a class: from there on a slice's figure carries weight
_OWN: Final = ("RecallLowerBound", "SliceRecall")

# TFMA's bounds are inclusive, but a difference of two shares such as 0.93 - 0.95 comes out a little
# below -0.02. Every bound is given this much, far less than one X-ray weighs, so that "at least"
# holds on the bound itself.
TOLERANCE: Final = 1e-9


class RecallLowerBound(confusion_matrix_metrics.ConfusionMatrixMetric):
    """Lower bound of recall's two-sided 95 % Wilson interval; nan without a positive example.

    Args:
        name: the metric's.
        code_version: unused here; makes edited code miss TFX's cache.
    """

    def __init__(self, name: str = RECALL_LOWER_BOUND, code_version: str = "") -> None:
        super().__init__(name=name)

    def result(self, tp: float, tn: float, fp: float, fn: float) -> float:
        """Computes the bound; TFMA calls it once per slice, with the counts at the threshold.

        Args:
            tp: sick films called sick.
            tn: healthy films called healthy.
            fp: healthy films called sick.
            fn: sick films called healthy.

        Returns:
            The bound in [0,1]; nan without a sick film.
        """
        return wilson(tp, tp + fn)[0]


class SliceRecall(confusion_matrix_metrics.ConfusionMatrixMetric):
    """Recall where enough films are sick to judge it by; else 1, so that no bound refuses it.

    Args:
        name: the metric's.
        code_version: unused here; makes edited code miss TFX's cache.
    """

    def __init__(self, name: str = SLICE_RECALL, code_version: str = "") -> None:
        super().__init__(name=name)

    def result(self, tp: float, tn: float, fp: float, fn: float) -> float:
        """Computes it; TFMA calls it once per slice. Arguments as in RecallLowerBound.result."""
        return tp / (tp + fn) if tp + fn >= FEW else 1.0


for _own in (RecallLowerBound, SliceRecall):
    metric_types.register_metric(_own)


def eval_config(
    gate: GateConfig, code_version: str, groups: Collection[str] = ()
) -> config_pb2.EvalConfig:
    """Makes TFMA's configuration for a model's `serving_default` on raw examples.

    The decision metrics read the output `label`, which the model took at its own threshold (TFMA
    asks for more than 0.5, labels are 0 and 1); the others read `probability`. The only ModelSpec
    is unnamed: the Evaluator adds the baseline's itself where it is given a baseline model, and
    leaves out the bound on the drop of recall where it is not. The bounds hold for all examples
    together; slices are measured, and judged only where `slice_action` is to refuse.

    Args:
        gate: the bounds.
        code_version: fingerprint of this module; makes edited metrics miss TFX's cache.
        groups: of names.GROUP_KEYS, those that the data tell; slices beside names.SLICE_KEYS.

    Returns:
        What the Evaluator takes as `eval_config`.
    """
    keys = (*names.SLICE_KEYS, *groups)
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name=names.SERVING_DEFAULT,
                label_key=names.LABEL,
                prediction_key=names.PROBABILITY,
                model_type="tf_generic",
            )
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                output_names=[names.LABEL], metrics=_decision_metrics(gate, code_version, keys)
            ),
            config_pb2.MetricsSpec(metrics=_probability_metrics()),
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[key]) for key in keys),
        ],
    )


def _decision_metrics(
    gate: GateConfig, code_version: str, keys: Collection[str]
) -> list[config_pb2.MetricConfig]:
    return [
        _metric("Recall", RECALL, floor=gate.recall, max_drop=gate.max_recall_drop),
        _metric(
            "RecallLowerBound",
            RECALL_LOWER_BOUND,
            floor=gate.recall_lower_bound,
            code_version=code_version,
        ),
        _metric("Precision", PRECISION, floor=gate.precision),
        _metric("Specificity", SPECIFICITY),
        *(_metric(name.title().replace("_", ""), name) for name in CONFUSION),
        *_slice_metrics(gate, code_version, keys),
    ]


def _slice_metrics(
    gate: GateConfig, code_version: str, keys: Collection[str]
) -> Iterator[config_pb2.MetricConfig]:
    """The bound on every slice's recall, where one refuses a model for it."""
    if gate.slice_recall is not None and gate.slice_action == "refuse":
        metric = _metric("SliceRecall", SLICE_RECALL, code_version=code_version)
        metric.per_slice_thresholds.append(
            config_pb2.PerSliceMetricThreshold(
                slicing_specs=[config_pb2.SlicingSpec(feature_keys=[key]) for key in keys],
                threshold=_threshold(gate.slice_recall, None),
            )
        )
        yield metric


def _probability_metrics() -> list[config_pb2.MetricConfig]:
    return [
        config_pb2.MetricConfig(class_name="ExampleCount"),
        _metric("AUC", AUC),
        _metric("AUC", PR_AUC, curve="PR"),
        _metric("Calibration", CALIBRATION),
        _metric("MeanSquaredError", BRIER),
        config_pb2.MetricConfig(class_name="ConfusionMatrixPlot"),
        _metric("CalibrationPlot", "calibration_plot", num_buckets=10),
    ]


def _metric(
    class_name: str,
    name: str,
    floor: float | None = None,
    max_drop: float | None = None,
    **settings: Any,
) -> config_pb2.MetricConfig:
    """Makes a metric that is met from `floor` up and to `max_drop` below the baseline's value."""
    metric = config_pb2.MetricConfig(
        class_name=class_name,
        module=__name__ if class_name in _OWN else "",
        config=json.dumps({"name": name, **settings}),
    )
    if floor is not None or max_drop is not None:
        # A bound without a slice would be asked of every slice, one-class ones included.
        metric.per_slice_thresholds.append(
            config_pb2.PerSliceMetricThreshold(
                slicing_specs=[config_pb2.SlicingSpec()], threshold=_threshold(floor, max_drop)
            )
        )
    return metric


def _threshold(floor: float | None, max_drop: float | None) -> config_pb2.MetricThreshold:
    threshold = config_pb2.MetricThreshold()
    if floor is not None:
        threshold.value_threshold.lower_bound.value = floor - TOLERANCE
    if max_drop is not None:
        threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
        threshold.change_threshold.absolute.value = -max_drop - TOLERANCE
    return threshold
