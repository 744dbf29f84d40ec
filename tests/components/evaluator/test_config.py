"""The gate, as TFX's Evaluator and TFMA apply it to exported models."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils, proto_utils

from components import statistics
from components.evaluator import config, results
from components.evaluator.results import Evaluation
from components.evaluator.settings import GateConfig
from pipeline.commands import tables
from pipeline.runs.verdict import Verdict
from tests.components.evaluator.gate_harness import (
    BEAM_ARGS,
    Case,
    artifact_at,
    cases,
    write_examples,
    write_model,
)


class Judged(NamedTuple):
    blessed: bool
    evaluation: Evaluation

    @property
    def failed(self) -> list[str]:
        return [bound.figure.name for bound in self.evaluation.bounds if not bound.ok]


def judge(
    folder: Path,
    rows: Iterable[Case],
    gate: GateConfig,
    threshold: float = 0.5,
    baseline_threshold: float | None = None,
) -> Judged:
    """Runs TFX's Evaluator on a model with the threshold, against one with the other."""
    write_examples(folder / "examples" / "Split-test", rows)
    examples = artifact_at(standard_artifacts.Examples, folder / "examples")
    examples.split_names = artifact_utils.encode_split_names(["test"])
    write_model(folder / "candidate", threshold)
    inputs = {
        "examples": [examples],
        "model": [artifact_at(standard_artifacts.Model, folder / "candidate", 1)],
    }
    if baseline_threshold is not None:
        write_model(folder / "baseline", baseline_threshold)
        inputs["baseline_model"] = [artifact_at(standard_artifacts.Model, folder / "baseline", 2)]
    outputs = {
        "evaluation": [artifact_at(standard_artifacts.ModelEvaluation, folder / "evaluation")],
        "blessing": [artifact_at(standard_artifacts.ModelBlessing, folder / "blessing")],
    }
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=BEAM_ARGS, tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    Executor(context).Do(
        inputs,
        outputs,
        {
            "eval_config": proto_utils.proto_to_json(config.eval_config(gate, "1")),
            "example_splits": json_utils.dumps(["test"]),
        },
    )
    return Judged(
        blessed=outputs["blessing"][0].get_int_custom_property("blessed") == 1,
        evaluation=results.read(folder / "evaluation").evaluation,
    )


def test_a_model_exactly_on_every_bound_is_blessed(tmp_path: Path) -> None:
    """93 of 100 found where the model before found 95: a drop of 0.02, in floats a little more."""
    rows = [
        *[Case(1, 0.9, "bacteria")] * 93,
        *[Case(1, 0.4, "virus")] * 2,
        *[Case(1, 0.1, "virus")] * 5,
        *[Case(0, 0.8, "normal")] * 7,
        *[Case(0, 0.1, "normal")] * 60,
    ]
    gate = GateConfig(
        recall=0.93,
        recall_lower_bound=statistics.wilson(93, 100)[0],
        precision=0.93,
        max_recall_drop=0.02,
    )
    judged = judge(tmp_path, rows, gate, threshold=0.5, baseline_threshold=0.3)

    assert judged.blessed
    assert [(bound.figure.name, bound.limit) for bound in judged.evaluation.bounds] == [
        ("recall", 0.93),
        ("recall_drop", 0.02),
        ("recall_lower_bound", pytest.approx(gate.recall_lower_bound)),
        ("precision", 0.93),
    ]
    assert [bound.figure.value for bound in judged.evaluation.bounds] == pytest.approx(
        [0.93, 0.02, gate.recall_lower_bound, 0.93]
    )

    counts = judged.evaluation.overall.counts
    assert (counts.true_positives, counts.false_negatives) == (93, 7)
    assert (counts.false_positives, counts.true_negatives) == (7, 60)
    assert judged.evaluation.overall.specificity.value == pytest.approx(60 / 67)
    slices = {(item.key, item.value): item for item in judged.evaluation.slices}
    assert slices["etiology", "bacteria"].recall.value == 1.0
    assert slices["etiology", "virus"].recall.value == 0.0
    assert slices["size_class", "small"].counts == counts


def test_a_drop_of_recall_by_more_than_the_amount_is_refused(tmp_path: Path) -> None:
    rows = [*cases(tp=96, fn=0, fp=2, tn=60), *[Case(1, 0.4)] * 3, *[Case(1, 0.1)]]
    gate = GateConfig(recall=0.9, recall_lower_bound=0.8, precision=0.8, max_recall_drop=0.02)
    judged = judge(tmp_path, rows, gate, threshold=0.5, baseline_threshold=0.3)
    assert not judged.blessed
    assert judged.failed == ["recall_drop"]


def test_a_model_that_calls_everything_pneumonia_is_refused(tmp_path: Path) -> None:
    judged = judge(tmp_path, cases(tp=60, fn=0, fp=10, tn=30), GateConfig(), threshold=0.0)
    assert not judged.blessed
    assert judged.failed == ["precision"]
    assert judged.evaluation.overall.recall.value == 1.0
    assert judged.evaluation.overall.counts.true_negatives == 0


def test_a_model_below_the_recall_floor_is_refused(tmp_path: Path) -> None:
    """Recall is taken at the model's own threshold: 0.5 would find every one."""
    gate = GateConfig(recall=0.93, recall_lower_bound=0.8, precision=0.8)
    rows = [*cases(tp=92, fn=0, fp=2, tn=60), *[Case(1, 0.6)] * 8]
    judged = judge(tmp_path, rows, gate, threshold=0.7)
    assert not judged.blessed
    assert judged.failed == ["recall"]
    assert judged.evaluation.overall.recall.value == pytest.approx(0.92)


def test_no_pneumonia_in_the_test_split_is_refused_and_shown(tmp_path: Path) -> None:
    judged = judge(tmp_path, cases(tp=0, fn=0, fp=5, tn=50), GateConfig())
    assert not judged.blessed
    assert judged.failed == ["recall", "recall_lower_bound", "precision"]

    console = Console(record=True, width=120, file=(tmp_path / "out").open("w"))
    outcome = Verdict(
        evaluation=judged.evaluation,
        blessed=False,
        compared=False,
        serving=None,
        counterfactuals=None,
        pushed=False,
        version=None,
        served=None,
        serving_dir=tmp_path,
    )
    tables.show(outcome, console)
    assert "recall could not be measured" in console.export_text()
    assert outcome.as_json()["evaluation"]["overall"]["recall"]["value"] is None


@pytest.mark.parametrize(
    ("sick", "action", "blessed"),
    [(30, "refuse", False), (29, "refuse", True), (30, "warn", True)],
)
def test_a_slice_below_its_floor_is_refused_where_enough_films_judge_it(
    tmp_path: Path, sick: int, action: str, blessed: bool
) -> None:
    missed = 6
    rows = [
        *cases(tp=200, fn=0, fp=2, tn=60),
        *[Case(1, 0.9, "virus")] * (sick - missed),
        *[Case(1, 0.1, "virus")] * missed,
    ]
    gate = GateConfig(slice_recall=0.85, slice_action=action)
    judged = judge(tmp_path, rows, gate)
    assert judged.blessed == blessed
    slices = {(item.key, item.value): item for item in judged.evaluation.slices}
    assert slices["etiology", "virus"].is_small == (sick < 30)
    if not blessed:
        (unmet,) = (bound for bound in judged.evaluation.bounds if not bound.ok)
        assert unmet.reason == "recall, etiology virus 0.8000 is below 0.8500"
    lowest, *_ = results.lowest(judged.evaluation.slices)
    assert lowest.name == ("recall, etiology virus" if sick >= 30 else "recall, size_class small")


def test_edited_metric_code_makes_another_configuration() -> None:
    """TFX's cache key of Evaluator holds its configuration, not this project's code."""
    before = config.eval_config(GateConfig(), "1")
    assert config.eval_config(GateConfig(), "1") == before
    assert config.eval_config(GateConfig(), "edited") != before
