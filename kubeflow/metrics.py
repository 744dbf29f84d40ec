"""An evaluation's figures, as Kubeflow's pages show them and compare runs by them."""

import json
import math
from pathlib import Path
from typing import Any, Final

SCALARS: Final = "system.Metrics"
CURVES: Final = "system.ClassificationMetrics"
# What the Evaluator's task puts out beyond what TFX declares, by type.
OUTPUTS: Final = {"metrics": SCALARS, "classification_metrics": CURVES}

Json = dict[str, Any]


def read(evaluation: Path, model: Path, blessed: bool) -> dict[str, Json]:
    """The metadata of each of OUTPUTS; the artifacts themselves hold no file.

    Args:
        evaluation: folder that Evaluator wrote.
        model: folder of the Model artifact that it looked at.
        blessed: what it decided.

    Returns:
        Under `metrics` the figures at the model's own threshold, without those that a test split
        of one class does not have; under `classification_metrics` the confusion matrix there and
        the ROC curve of the probabilities.
    """
    from kfp.dsl import ClassificationMetrics
    from tfx.utils import path_utils

    from components.evaluator import results
    from components.model.card import EXTRA, SUMMARY
    from components.names import CLASSES

    measured = results.read(evaluation).candidate
    overall, counts = measured.overall, measured.overall.counts
    assets = Path(path_utils.serving_model_path(str(model))) / EXTRA
    threshold = json.loads((assets / SUMMARY).read_text("utf-8"))["operating_point"]["threshold"]
    scalars = {
        "recall": overall.recall.value,
        "recall_lower_bound": overall.recall.interval[0] if overall.recall.interval else math.nan,
        "precision": overall.precision.value,
        "specificity": overall.specificity.value,
        "auc": overall.auc.value,
        "threshold": threshold,
        "blessed": float(blessed),
    }
    curves = ClassificationMetrics()
    curves.log_confusion_matrix(
        list(CLASSES),
        [
            [counts.true_negatives, counts.false_positives],
            [counts.false_negatives, counts.true_positives],
        ],
    )
    if counts.positives and counts.negatives:
        for point in measured.curves.turns():
            # TFMA's first and last threshold are a little outside [0,1].
            at = min(max(point.threshold, 0.0), 1.0)
            curves.log_roc_data_point(1 - point.specificity, point.sensitivity, at)
    return {
        "metrics": {name: value for name, value in scalars.items() if math.isfinite(value)},
        "classification_metrics": curves.metadata,
    }
