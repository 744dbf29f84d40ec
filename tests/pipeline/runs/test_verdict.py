"""What the run prints of the gate's verdict."""

import dataclasses
import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from components.evaluator.results import (
    Bound,
    ConfusionCounts,
    Evaluation,
    Figure,
    NoVerdictError,
    Slice,
    read,
)
from pipeline.commands import tables
from pipeline.runs.verdict import Verdict


def a_slice(key: str = "", value: str = "", recall: float = 0.95) -> Slice:
    return Slice(
        key=key,
        value=value,
        counts=ConfusionCounts(95, 5, 10, 90),
        recall=Figure("recall", recall, (0.888, 0.978)),
        precision=Figure("precision", 95 / 105, (0.83, 0.95)),
        specificity=Figure("specificity", 0.9, (0.82, 0.95)),
        auc=Figure("auc", 0.98, (0.96, 1.0)),
        others=(Figure("pr_auc", 0.97), Figure("calibration", 1.01), Figure("brier_score", 0.04)),
    )


BLESSED = Verdict(
    evaluation=Evaluation(
        bounds=(Bound(Figure("recall", 0.95, (0.888, 0.978)), 0.93, ok=True),),
        overall=a_slice(),
        slices=(a_slice("etiology", "virus", math.nan),),
    ),
    blessed=True,
    compared=False,
    serving=None,
    counterfactuals=None,
    pushed=True,
    version=1800000000,
    served=1800000000,
    serving_dir=Path("runs/demo/serving/pneumonia"),
)


def refused(bound: Bound) -> Verdict:
    evaluation = dataclasses.replace(BLESSED.evaluation, bounds=(bound,))
    return dataclasses.replace(
        BLESSED, evaluation=evaluation, blessed=False, pushed=False, version=None, served=7
    )


def printed(verdict: Verdict) -> str:
    console = Console(file=io.StringIO(), width=200, record=True)
    tables.show(verdict, console)
    return console.export_text()


def test_a_pushed_model_is_named_with_its_version_and_folder() -> None:
    last = printed(BLESSED).strip().splitlines()[-1]
    assert last == "pushed: version 1800000000 is served from runs/demo/serving/pneumonia"


def test_each_bound_stands_with_its_figure_interval_and_limit() -> None:
    (row,) = (line for line in printed(BLESSED).splitlines() if line.startswith("recall  "))
    assert row.split() == ["recall", "0.9500", "0.8880", "to", "0.9780", "≥", "0.9300", "ok"]


def test_the_confusion_matrix_names_its_classes() -> None:
    lines = [line.split() for line in printed(BLESSED).splitlines()]
    assert ["called", "PNEUMONIA", "called", "NORMAL"] in lines
    assert ["PNEUMONIA", "95", "5"] in lines


def test_a_figure_that_could_not_be_measured_is_a_dash() -> None:
    (row,) = (line for line in printed(BLESSED).splitlines() if "etiology virus" in line)
    assert row.split()[4] == "–"


def test_a_line_fits_a_narrow_terminal() -> None:
    assert max(map(len, printed(BLESSED).splitlines())) <= 80


@pytest.mark.parametrize(
    ("bound", "reason"),
    [
        (Bound(Figure("recall", 0.92), 0.93, ok=False), "recall 0.9200 is below 0.9300"),
        (
            Bound(Figure("recall_drop", 0.031), 0.02, ok=False, at_most=True),
            "recall drop 0.0310 is above 0.0200",
        ),
        (Bound(Figure("precision", math.nan), 0.8, ok=False), "precision could not be measured"),
    ],
)
def test_a_refusal_gives_its_reason_and_what_is_still_served(bound: Bound, reason: str) -> None:
    last = printed(refused(bound)).strip().splitlines()[-1]
    assert last == f"refused: {reason}; not pushed: version 7 is served as before"


def test_a_model_that_serves_otherwise_is_refused_for_that() -> None:
    serving = {"ok": False, "summary": "not loaded: no [/tags] in it", "latency_ms": {}}
    verdict = dataclasses.replace(BLESSED, serving=serving, blessed=False, pushed=False)
    assert "refused: not loaded: no [/tags] in it; not pushed" in printed(verdict)


@pytest.mark.parametrize(
    ("version", "said"), [(1800000000, "version 1800000000 holds this model"), (None, "deleted")]
)
def test_a_push_by_an_earlier_run_is_said(version: int | None, said: str) -> None:
    verdict = dataclasses.replace(BLESSED, pushed=False, version=version, served=1800000009)
    last = printed(verdict).strip().splitlines()[-1]
    assert last.startswith("blessed; pushed by an earlier run, ")
    assert said in last
    assert last.endswith("version 1800000009 is served")


def test_a_first_run_says_that_there_was_nothing_to_compare_with() -> None:
    assert "no model to compare with" in printed(BLESSED)
    assert "no model to compare with" not in printed(dataclasses.replace(BLESSED, compared=True))


def test_the_verdict_is_valid_json() -> None:
    values = json.loads(json.dumps(BLESSED.as_json(), allow_nan=False))
    assert values["evaluation"]["slices"][0]["recall"]["value"] is None
    assert values["evaluation"]["bounds"][0]["ok"] is True
    assert values["serving_dir"] == "runs/demo/serving/pneumonia"


def test_an_evaluation_that_is_gone_is_said_to_be(tmp_path):
    with pytest.raises(NoVerdictError, match="was the run moved, or its artifacts deleted"):
        read(tmp_path / "deleted")
