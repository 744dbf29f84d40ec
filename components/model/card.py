"""The model card that travels with each version.

Fields after M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from components.model.settings import FILM, KIND

EXTRA: Final = "assets.extra"  # of a version; servers read nothing but warm-up requests in there
SUMMARY: Final = "training.json"
CARD: Final = "model_card.json"
RECALIBRATION: Final = Path(EXTRA, "recalibration.json")  # in versions that are one

Card = dict[str, dict[str, Any]]


def build(summary: Mapping[str, Any]) -> Card:
    """Sections of Mitchell et al. by title, each a mapping of field to text or figures.

    Args:
        summary: of the training, as `components.trainer.run` writes it.
    """
    point = summary["operating_point"]
    validation = summary["validation"]
    network = summary.get("network") or _of_before(summary)
    return {
        "Model details": {
            "Name": "pneumonia",
            "Kind": network["kind"],
            "Version": summary["trained_at"],
            "Code version": summary["code_version"],
            "Starting weights": summary["weights"],
            "Trained layers": network["trained"],
            "Input": "JPEG or PNG of a frontal chest X-ray",
            "Output": "probability of pneumonia, decision, heat map",
            "Licence": "Apache-2.0; the starting weights are Oxford VGG's, CC BY 4.0",
        },
        "Intended use": {
            "Use": "research on the detection of pneumonia in frontal chest X-rays",
            "Users": "research teams with a radiologist among them",
            "Out of scope": "diagnosis, triage or any clinical decision: this is not a medical "
            "device; other views, other body parts, other diseases",
        },
        "Factors": {
            "Relevant": "age, hospital, exposure, projection, image size and compression",
            "Evaluated": "etiology, image size class and source, in the evaluation report",
        },
        **_recalibrated(summary),
        "Metrics": {
            "Gate": "recall (a missed pneumonia is the costly error), its lower 95 % bound, "
            "precision",
            "Calibration": summary["config"]["operating_point"]["calibration"],
            "Decision": f"pneumonia from a calibrated probability of {point['threshold']:.4f} on: "
            "the best specificity at a sensitivity of at least "
            f"{summary['config']['operating_point']['sensitivity']} "
            + ("on the local films" if "recalibration" in summary else "on the validation split"),
        },
        "Training data": {
            "Films, augmented copies included": summary["train"],
            "Splits": "by patient",
        },
        "Evaluation data": {
            "Validation": summary["val"],
            "Test": "the test split, by patient; results in the run's evaluation report",
        },
        "Quantitative analyses": {
            "Validation AUC": validation["auc"],
            "Validation sensitivity": validation["sensitivity"],
            "Validation specificity": validation["specificity"],
        },
        "Ethical considerations": {
            "Data": "published, de-identified X-rays or the user's own, for which the user answers",
            "Risks": "a missed pneumonia delays treatment; a heat map is no proof of cause",
        },
        "Caveats and recommendations": {
            "Bias": "learnt from one source, the model may read how films were taken and saved "
            "there instead of the lungs; figures from elsewhere can be much lower",
            "Before use elsewhere": "measure on local films and fit calibration and threshold anew",
        },
    }


def documents(summary: Mapping[str, Any]) -> dict[str, bytes]:
    """What lies below a version's `assets.extra` of its training: the summary and the card.

    Args:
        summary: of the training, as `components.trainer.run` writes it.

    Returns:
        Contents by file name.
    """
    card = build(summary)
    return {
        SUMMARY: json.dumps(summary, indent=1).encode(),
        CARD: json.dumps(card, indent=1).encode(),
        "model_card.md": markdown(card).encode(),
    }


def _of_before(summary: Mapping[str, Any]) -> dict[str, str]:
    """The network of a version from before its summary said which it is."""
    model = summary["config"]["model"]
    return {
        "kind": KIND.format(model.get("evidence", FILM)),
        "trained": f"{model['first_trainable']} and after",
    }


def _recalibrated(summary: Mapping[str, Any]) -> Card:
    """What `pneumonia recalibrate` changed; nothing of a model as it was trained."""
    if found := summary.get("unlabelled"):
        return {
            "Recalibration": {
                "Done": summary["recalibrated_at"],
                "Changed": f"the logit, by {-found['shift']:+.2f}; weights and threshold are the "
                f"base model's, SHA-256 {found['base_sha256']}",
                "Fitted on": f"{found['films']} films without labels",
                "Shift there": f"{found['shift']:+.2f} {_text(found['shift_interval'])}",
                "Sick films there": f"{found['share']:.2f} {_text(found['share_interval'])}",
                "Assumed": "that both classes' logits moved alike",
                "Judged on": "nothing: there are no labels",
            }
        }
    if "recalibration" not in summary:
        return {}
    found = summary["recalibration"]
    return {
        "Recalibration": {
            "Done": summary["recalibrated_at"],
            "Changed": "calibration, threshold and the heat map's scale; the weights are the "
            f"base model's, SHA-256 {found['base_sha256']}",
            "Fitted on": found["fitted_on"],
            "Judged on": found["judged_on"],
            "AUC": found["auc"],
            "Before": found["before"],
            "After": found["after"],
        }
    }


def markdown(card: Card) -> str:
    """The card as Markdown, a heading per section and a list item per field."""
    lines = ["# Model card", ""]
    for section, fields in card.items():
        lines += [f"## {section}", ""]
        lines += [f"- **{name}**: {_text(value)}" for name, value in fields.items()]
        lines.append("")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, tuple | list):
        return f"({' to '.join(map(_text, value))})"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)
