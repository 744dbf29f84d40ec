"""Baseline, gate and push over a series of runs of TFX's LocalDagRunner on one run folder."""

import logging
from pathlib import Path

import pytest
from tfx.components.evaluator.component import Evaluator
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.evaluator import config
from components.evaluator.settings import GateConfig
from components.pusher import promotion, versions
from components.pusher.component import AtomicPusher
from components.serving_check.component import ServingCheck
from pipeline.resolvers import served_model_resolver
from pipeline.runs import lineage, verdict
from pipeline.runs.folder import RunFolder
from pipeline.runs.verdict import Verdict
from tests.components.evaluator.gate_harness import (
    BEAM_ARGS,
    Case,
    cases,
    write_examples,
    write_model,
)

GATE = GateConfig(recall=0.9, recall_lower_bound=0.8, precision=0.8, max_recall_drop=0.02)


class Runs:
    """The pipeline from the Trainer's model on; the model is imported instead of trained."""

    def __init__(self, root: Path) -> None:
        self.folder = RunFolder(root / "run")
        self.folder.root.mkdir()
        self.examples = root / "examples"
        write_examples(
            self.examples / "Split-test",
            [*cases(tp=95, fn=0, fp=5, tn=60), *[Case(1, 0.4)] * 3, *[Case(1, 0.1)] * 2],
        )
        self.models = root / "models"
        self.uris: dict[str, str] = {}

    def train(self, name: str, threshold: float, image_error: float = 0.0) -> None:
        self.uris[name] = str(self.models / name)
        write_model(Path(self.uris[name]), threshold, image_error)

    def __call__(self, name: str, gate: GateConfig = GATE, tried: bool = False) -> Verdict:
        trainer = Importer(
            source_uri=self.uris[name], artifact_type=standard_artifacts.Model
        ).with_id("Trainer")
        ingest = Importer(
            source_uri=str(self.examples),
            artifact_type=standard_artifacts.Examples,
            properties={"split_names": '["test"]'},
        ).with_id("Ingest")
        model = trainer.outputs["result"]
        resolver = served_model_resolver(self.folder.serving)(model)
        evaluator = Evaluator(
            examples=ingest.outputs["result"],
            example_splits=["test"],
            model=model,
            baseline_model=resolver.outputs["model"],
            eval_config=config.eval_config(gate, "1"),
        )
        check = ServingCheck(model=model, examples=ingest.outputs["result"], code_version="1")
        pusher = AtomicPusher(
            model=model,
            model_blessing=evaluator.outputs["blessing"],
            infra_blessing=check.outputs["infra_blessing"] if tried else None,
            serving_dir=str(self.folder.serving),
            keep_versions=3,
        )
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="gate",
                pipeline_root=str(self.folder.artifacts),
                components=[
                    trainer,
                    ingest,
                    resolver,
                    evaluator,
                    *([check] if tried else []),
                    pusher,
                ],
                enable_cache=True,
                metadata_connection_config=sqlite_metadata_connection_config(
                    str(self.folder.metadata)
                ),
                beam_pipeline_args=BEAM_ARGS,
            )
        )
        return verdict.of_run(self.folder)

    @property
    def cached(self) -> bool:
        steps = lineage.latest_steps(self.folder.metadata)
        return steps["Evaluator"].cached and steps["AtomicPusher"].cached

    @property
    def baseline(self) -> str | None:
        """The model that the newest run compared its candidate with."""
        blessing = lineage.latest_steps(self.folder.metadata)["Evaluator"].outputs["blessing"]
        uri = blessing.properties.get("baseline_model")
        return next((name for name in self.uris if self.uris[name] == uri), None)


@pytest.fixture
def runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Runs:
    caplog.set_level(logging.ERROR)
    return Runs(tmp_path)


def test_a_life_of_runs_pushes_and_rollbacks(runs: Runs) -> None:
    runs.train("first", threshold=0.5)
    first = runs("first")
    assert first.blessed
    assert first.pushed
    assert not first.compared
    assert first.version == first.served

    again = runs("first")
    assert runs.cached, "an identical run has nothing left to do"
    assert not again.pushed
    assert again.served == first.served

    runs.train("second", threshold=0.45)
    second = runs("second")
    assert runs.baseline == "first"
    assert second.pushed
    runs("second")
    assert runs.cached

    rolled_back = promotion.promote(runs.folder.serving, int(first.version or 0))
    after = runs("second")
    assert runs.cached, "an identical run does not undo a rollback"
    assert after.served == rolled_back

    runs.train("worse", threshold=0.92)
    refused = runs("worse")
    assert runs.baseline == "first", "the model that the rollback serves again"
    assert not refused.blessed
    assert refused.version is None
    assert refused.served == rolled_back
    assert versions.versions(runs.folder.serving) == [first.version, second.version, rolled_back]

    other_bounds = runs("first", GateConfig(recall=0.91, recall_lower_bound=0.8, precision=0.8))
    assert not runs.cached
    assert other_bounds.blessed
    assert not other_bounds.pushed, "the model is there already"
    assert other_bounds.served == rolled_back


def test_beside_a_served_model_of_another_run_the_newest_of_this_run_counts(runs: Runs) -> None:
    runs.train("first", threshold=0.5)
    runs("first")
    runs.train("elsewhere", threshold=0.45)
    model = Path(runs.uris["elsewhere"])
    recalibrated = versions.PublishedModel(str(model), "its own")
    record = versions.PublishedRecord(recalibrated, baseline=None)
    served = versions.publish(runs.folder.serving, model / "Format-Serving", record)
    runs.train("second", threshold=0.55)
    assert runs("second").served != served
    assert runs.baseline == "first"


def test_a_model_with_good_figures_that_serves_otherwise_is_refused(runs: Runs) -> None:
    runs.train("first", threshold=0.5, image_error=0.01)
    refused = runs("first", tried=True)
    assert all(bound.ok for bound in refused.evaluation.bounds)
    assert not refused.blessed
    assert refused.serving is not None
    assert "predict_image" in refused.serving["summary"]
    assert versions.versions(runs.folder.serving) == []


def test_a_run_that_broke_off_has_no_verdict(runs: Runs) -> None:
    runs.train("first", threshold=0.5)
    (Path(runs.uris["first"]) / "Format-Serving" / "saved_model.pb").write_bytes(b"half a file")
    with pytest.raises(Exception, match="saved_model"):
        runs("first")
    with pytest.raises(verdict.NoVerdictError, match="broke off"):
        verdict.of_run(runs.folder)
