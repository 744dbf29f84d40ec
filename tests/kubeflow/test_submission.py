"""Runs are submitted and followed through Kubeflow's API, and its refusals come in clear words."""

import argparse
import socket
from datetime import UTC, datetime
from pathlib import Path

import kfp_server_api as api
import pytest

from kubeflow import command, submission
from tests.kubeflow.kfp_api import FakeApi
from tests.kubeflow.test_launcher import package, step

PARAMETERS = {"data_root": {"parameterType": "STRING"}, "data_version": {"parameterType": "STRING"}}


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch, tmp_path):
    for name in (submission.ENDPOINT, submission.TOKEN, submission.COOKIE, "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def compiled(tmp_path) -> Path:
    return package(tmp_path, PARAMETERS, one=step("pass", cachingOptions={"enableCache": True}))


def invoke(*words: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_a_run_is_submitted_with_its_parameters_into_its_experiment(compiled, capsys):
    with FakeApi() as fake:
        done = invoke(
            "submit",
            compiled,
            "--endpoint",
            fake.url,
            "--data-root=/mnt/other",
            "--data-version=june",
            "--pipeline-root=s3://bucket/root",
            "--service-account=pneumonia",
        )
    (run,) = fake.runs.values()
    assert done == 0
    assert run.runtime_config.parameters == {"data_root": "/mnt/other", "data_version": "june"}
    assert run.runtime_config.pipeline_root == "s3://bucket/root"
    assert run.service_account == "pneumonia"
    assert run.experiment_id == fake.experiments["pneumonia"].experiment_id
    assert compiled.read_text() in fake.files[run.pipeline_version_reference.pipeline_version_id]
    assert f"{fake.url}/#/runs/details/run-1" in capsys.readouterr().out


def test_each_file_is_one_version_of_the_pipeline_that_it_names(compiled):
    with FakeApi(multi_user=True) as fake:
        for comment in ("", "", "# changed"):
            compiled.write_text(compiled.read_text() + comment)
            assert invoke("submit", compiled, "--endpoint", fake.url, "--namespace=chest") == 0
    (pipeline,) = fake.pipelines.values()
    assert (pipeline.display_name, pipeline.namespace) == ("small", "chest")
    references = [run.pipeline_version_reference for run in fake.runs.values()]
    assert {held.pipeline_id for held in references} == {pipeline.pipeline_id}
    first, again, changed = (held.pipeline_version_id for held in references)
    assert first == again != changed


def test_without_a_word_for_the_data_they_are_read_anew_each_time(compiled, monkeypatch):
    times = iter([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)])
    monkeypatch.setattr(
        command, "datetime", type("Clock", (), {"now": staticmethod(lambda _zone: next(times))})
    )
    with FakeApi() as fake:
        invoke("submit", compiled, "--endpoint", fake.url)
        invoke("submit", compiled, "--endpoint", fake.url)
    first, second = (run.runtime_config.parameters["data_version"] for run in fake.runs.values())
    assert first != second
    assert len(fake.experiments) == 1


def test_no_cache_runs_every_step_anew(compiled):
    with FakeApi() as fake:
        invoke("submit", compiled, "--endpoint", fake.url, "--no-cache")
    (run,) = fake.runs.values()
    assert not run.pipeline_spec["root"]["dag"]["tasks"]["one"]["cachingOptions"].get("enableCache")
    assert not fake.versions


def test_endpoint_and_token_come_from_the_environment(compiled, monkeypatch):
    with FakeApi(token="secret", multi_user=True) as fake:
        monkeypatch.setenv(submission.ENDPOINT, fake.url)
        monkeypatch.setenv(submission.TOKEN, "secret")
        assert invoke("submit", compiled, "--namespace", "radiology") == 0
    assert fake.experiments["pneumonia"].namespace == "radiology"


def test_a_wrong_token_is_said_at_once_with_the_remedy(compiled, monkeypatch, capsys):
    with FakeApi(token="secret") as fake:
        monkeypatch.setenv(submission.TOKEN, "wrong")
        assert invoke("submit", compiled, "--endpoint", fake.url) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "401" in line
    assert submission.TOKEN in line
    assert "wrong" not in line


def test_an_endpoint_that_does_not_answer_is_named(compiled, capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert invoke("submit", compiled, "--endpoint", endpoint) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert endpoint in line
    assert "no answer" in line


def test_without_an_endpoint_the_user_is_told_how_to_get_one(compiled, capsys):
    assert invoke("submit", compiled) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert submission.ENDPOINT in line
    assert "port-forward" in line


def test_a_package_that_is_not_there_is_bad_usage(tmp_path, capsys):
    assert invoke("submit", tmp_path / "none.yaml") == 2
    assert "compile writes it" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "name: demo", "{", "- 1", "\x00"])
def test_a_file_that_compile_did_not_write_is_bad_usage(tmp_path, capsys, content):
    other = tmp_path / "other.yaml"
    other.write_text(content)
    assert invoke("submit", other, "--endpoint", "http://127.0.0.1:9") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "not what compile wrote" in line


def test_status_lists_the_steps_and_leaves_out_kubeflow_s_own(compiled, capsys):
    with FakeApi() as fake:
        invoke("submit", compiled, "--endpoint", fake.url)
        fake.runs["run-1"].run_details = api.V2beta1RunDetails(
            task_details=[
                _task("Trainer", "SUCCEEDED", seconds=90),
                _task("Trainer-driver", "SUCCEEDED", seconds=3),
                _task("root", "RUNNING"),
                _task("Evaluator", "RUNNING"),
            ]
        )
        fake.finish = ["RUNNING"]
        capsys.readouterr()
        assert invoke("status", "run-1", "--endpoint", fake.url) == 0
    shown = capsys.readouterr().out
    assert "Trainer-driver" not in shown
    assert "root" not in shown
    (trainer,) = (line for line in shown.splitlines() if "Trainer" in line)
    assert "90" in trainer
    assert "Evaluator" in shown


def test_status_waits_for_the_end_and_a_failed_run_is_exit_code_1(compiled, monkeypatch, capsys):
    waits = []
    monkeypatch.setattr(command.time, "sleep", waits.append)
    with FakeApi() as fake:
        invoke("submit", compiled, "--endpoint", fake.url)
        fake.runs["run-1"].error = api.GoogleRpcStatus(code=13, message="Trainer ran out of memory")
        fake.finish = ["PENDING", "RUNNING", "FAILED"]
        assert invoke("status", "run-1", "--wait", "--endpoint", fake.url) == 1
    assert len(waits) == 2
    assert "Trainer ran out of memory" in capsys.readouterr().out


def test_a_run_that_kubeflow_does_not_know_is_said_so(capsys):
    with FakeApi() as fake:
        assert invoke("status", "run-9", "--endpoint", fake.url) == 1
    assert "404" in capsys.readouterr().err


def _task(name: str, state: str, *, seconds: float | None = None) -> api.V2beta1PipelineTaskDetail:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return api.V2beta1PipelineTaskDetail(
        display_name=name,
        state=state,
        start_time=start,
        end_time=datetime.fromtimestamp(start.timestamp() + seconds, UTC) if seconds else None,
    )
