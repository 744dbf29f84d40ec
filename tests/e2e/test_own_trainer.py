"""Another team's trainer: gate, checks, push and trackers take it without a change."""

import json

import mlflow
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.e2e.conftest import DONE, NO_FLOORS, NO_REPORT, ROOT, TINY, settings

USAGE = 2


@pytest.fixture(scope="module")
def own(tmp_path_factory, films, pneumonia):
    """A finished run of the example's trainer, logged to a store of files."""
    cwd = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", (cwd / "mlruns").as_uri())
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        config = ROOT / "examples/small_network.yaml"
        values = settings(*TINY, *NO_FLOORS, *NO_REPORT, "train.epochs=2")
        ended = pneumonia(cwd, "run", "--data", str(films), "--config", str(config), *values)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    return cwd, ended.stdout


@pytest.mark.slow
def test_its_model_is_checked_in_a_server_and_pushed_with_its_own_card(own):
    cwd, told = own
    assert "pushed: version" in told
    assert "X-rays as evaluated" in (cwd / "runs/small-network/report.html").read_text()
    (card,) = (cwd / "runs/small-network/serving").rglob("model_card.json")
    details = json.loads(card.read_text())["Model details"]
    assert details["Kind"] == "8 convolutions, average over the lungs, one logit"
    assert details["Trained layers"] == "all"


@pytest.mark.slow
def test_mlflow_has_its_settings_figures_and_files(own, monkeypatch):
    cwd, told = own
    assert "MLflow: small-network.1 in file:" in told
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient((cwd / "mlruns").as_uri())
    (experiment,) = client.search_experiments(filter_string="name = 'pneumonia'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["code.run_fn"] == "examples.small_network.run_fn"
    assert run.data.params["train.epochs"] == "2"
    assert run.data.metrics["blessed"] == 1
    assert run.data.metrics["recall_low"] <= run.data.metrics["recall"]
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val_auc")] == [1, 2]
    files = {
        file.path for part in ("", "model") for file in client.list_artifacts(run.info.run_id, part)
    }
    assert {"report.html", "model/training.json", "model/model_card.json"} <= files


@pytest.mark.slow
def test_tensorboard_reads_its_curves(own):
    cwd, _ = own
    (logs,) = (cwd / "runs/small-network/artifacts/Trainer/model_run").iterdir()
    events = EventAccumulator(str(logs), size_guidance={"tensors": 0})
    events.Reload()
    assert [event.step for event in events.Tensors("auc/val")] == [1, 2]


@pytest.mark.slow
def test_a_store_that_refuses_does_not_fail_the_run(own, films, pneumonia, monkeypatch):
    """MLflow keeps no runs in files unless told to."""
    cwd, _ = own
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (cwd / "elsewhere").as_uri())
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    config = ROOT / "examples/small_network.yaml"
    values = settings(*TINY, *NO_FLOORS, *NO_REPORT, "train.epochs=2")
    ended = pneumonia(cwd, "run", "--data", str(films), "--config", str(config), *values)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    assert "not logged to MLflow: " in ended.stdout


def test_a_function_that_is_not_there_is_named_before_anything_runs(tmp_path, films, pneumonia):
    ended = pneumonia(
        tmp_path, "run", "--data", str(films), *settings("code.run_fn=nowhere.run_fn")
    )
    assert ended.returncode == USAGE
    assert "code.run_fn: no module 'nowhere'; put its folder on PYTHONPATH" in ended.stderr
    assert not (tmp_path / "runs").exists()
