"""Renders the report: one file that loads nothing from elsewhere."""

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
import yaml
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from components import names
from components.counterfactuals import findings
from components.evaluator import results
from components.evaluator.results import Evaluation, Results
from components.examples import Split
from components.files import replacing
from components.model.card import CARD, EXTRA, SUMMARY
from components.pusher import versions
from components.quantiser import proof
from components.reporter import charts, data, films, html
from components.reporter.html import TEMPLATES
from components.serving_check.component import REPORT
from components.stress.component import FILE

SECOND: Final = "second_infra_blessing"
INT8: Final = "int8_form"
_JUDGES: Final = ("blessing", "infra_blessing", "counterfactuals", SECOND)
_SOFTWARE: Final = ("tensorflow", "keras", "tfx", "tensorflow-model-analysis", "apache-beam")


def write(
    artifacts: Mapping[str, Artifact], config: Mapping[str, Any], data_version: str, target: Path
) -> list[str]:
    """Writes the report of one model and returns its warnings; Reporter calls it.

    Args:
        artifacts: Reporter's inputs by name; SECOND and INT8 may be missing.
        config: the run's configuration, plain values.
        data_version: the X-rays' fingerprint.
        target: the page.
    """
    uris = {name: Path(artifact.uri) for name, artifact in artifacts.items()}
    saved_model = Path(path_utils.serving_model_path(artifacts["model"].uri))
    measured = results.read(uris["evaluation"])
    changed = findings.read(uris["counterfactuals"])
    training = json.loads((saved_model / EXTRA / SUMMARY).read_text("utf-8"))
    serving = json.loads((uris["infra_blessing"] / REPORT).read_text("utf-8"))
    counts = measured.candidate.overall.counts
    model = tf.saved_model.load(str(saved_model))
    split = Split(Path(artifact_utils.get_split_uri([artifacts["examples"]], names.TEST)))
    asked = films.ask(model, split, counts.positives + counts.negatives)
    settings = config["report"]
    stress = json.loads((uris["stress_test"] / FILE).read_text("utf-8"))
    held = data.read(uris["ingest_report"], uris["data_summary"], artifacts["statistics"])
    int8 = proof.read(uris[INT8]) if INT8 in uris else None
    warnings = [*held.warnings, *_warnings(stress, config["gate"], measured)]
    if int8 and int8.faults:
        warnings.append(f"there is no int8 form of the model: {int8.summary}")
    evaluation = measured.evaluation.and_also(changed.bounds)
    template = html.environment(TEMPLATES).get_template("report.html")
    page = template.render(
        name=config["name"],
        classes=names.CLASSES,
        results=measured,
        evaluation=evaluation,
        counterfactuals=changed,
        overall=measured.candidate.overall,
        curves=measured.candidate.curves,
        **judgement(artifacts, evaluation, serving),
        serving=serving,
        int8=int8,
        explorer=_explorer(measured, asked[0].threshold if asked else 0.5),
        charts=charts,
        galleries=films.galleries(model, split, asked, settings["films_per_gallery"]),
        data=held,
        stress=stress,
        warnings=warnings,
        max_drop=config["gate"]["max_robustness_drop"],
        training=training,
        card=json.loads((saved_model / EXTRA / CARD).read_text("utf-8")),
        lineage=_lineage(artifacts, data_version, saved_model, training),
        artifacts=artifacts,
        config=yaml.safe_dump(dict(config), sort_keys=False),
        font=html.font(),
    )
    with replacing(target) as file:
        file.write(page.encode())
    return warnings


def judgement(
    artifacts: Mapping[str, Artifact], evaluation: Evaluation, serving: Mapping[str, Any]
) -> dict[str, Any]:
    """Whether every judge blesses the model, and the reasons of those that refuse it.

    Args:
        artifacts: as of `write`.
        evaluation: with the bounds of Evaluator and Counterfactuals.
        serving: ServingCheck's findings.
    """
    blessed = {name: _is_blessed(artifacts[name]) for name in _JUDGES if name in artifacts}
    reasons = [bound.reason for bound in evaluation.bounds if not bound.ok]
    if not serving["ok"]:
        reasons.append(serving["summary"])
    if not blessed.get(SECOND, True):
        reasons.append("InfraValidator refused it; that step's log says why")
    return {"blessed": all(blessed.values()), "reasons": reasons}


def _warnings(
    stress: Mapping[str, Any], gate: Mapping[str, Any], measured: Results
) -> Iterator[str]:
    """What the gate does not refuse for, and people should know."""
    floor = gate["slice_recall"]
    if floor is not None and gate["slice_action"] == "warn":
        for figure in results.lowest(measured.candidate.slices):
            if figure.value < floor:
                yield f"{figure.title} {figure.text} is below {floor:.4f}"
    if stress["robustness"] and stress["robustness"]["mean_drop"] > gate["max_robustness_drop"]:
        yield (
            f"on corrupted films sensitivity or specificity drops by "
            f"{stress['robustness']['mean_drop']:.4f} on average, more than "
            f"{gate['max_robustness_drop']:.4f}"
        )
    if cam := stress["cam"]:
        flagged = sum(place["flagged"] for place in cam["places"])
        if flagged * 2 > len(cam["places"]):
            yield f"{flagged} of {len(cam['places'])} heat maps look beside the lungs"
        if not cam["is_faithful"]:
            yield "the hottest places of the heat maps matter no more to the model than any others"


def _is_blessed(blessing: Artifact) -> bool:
    return blessing.get_int_custom_property("blessed") == 1


def _explorer(measured: Results, threshold: float) -> dict[str, Any]:
    """What the page's script needs: the counts at each threshold where a decision changes.

    The model's own threshold lies between TFMA's, so it is put among them with the counts of its
    own decisions.
    """
    counts = measured.candidate.overall.counts
    points = [
        (point.threshold, point.counts.true_positives, point.counts.false_positives)
        for point in measured.candidate.curves.turns()
    ]
    own = (threshold, counts.true_positives, counts.false_positives)
    ordered = sorted([*points, own])
    return {
        "points": ordered,
        "own": ordered.index(own),
        "sick": counts.positives,
        "healthy": counts.negatives,
    }


def _lineage(
    artifacts: Mapping[str, Artifact], data_version: str, saved_model: Path, training: Any
) -> list[tuple[str, str]]:
    examples = artifacts["examples"]
    software = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _SOFTWARE)
    return [
        (
            "Data",
            f"version {data_version}; span {examples.span}, by split: {', '.join(names.SPLITS)}",
        ),
        ("Training code", f"SHA-256 {training['code_version']}"),
        ("Starting weights", f"{training['weights']['source']}, {training['weights']['sha256']}"),
        ("Model", f"SHA-256 {versions.digest(saved_model)}"),
        ("Trained", training["trained_at"]),
        ("Software", software),
    ]
