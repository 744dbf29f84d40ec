"""What a run on Flink asks for before its first step, and how it names its runner."""

import pytest

from pipeline.beam.arguments import beam_args
from pipeline.beam.flink import engine, jars
from pipeline.beam.flink.jars import FlinkError
from pipeline.beam.flink.runner import reason
from pipeline.config import BeamConfig, ConfigError, load

FAILED = """java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received \
from SDK harness for instruction 7: Traceback (most recent call last):
  File "sdk_worker.py", line 1, in _execute
ValueError: no such film

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "common.py", line 2, in process
components.errors.IngestError: no such film [while running 'Split-ptransform-23']

\tat java.base/java.util.concurrent.CompletableFuture.get(CompletableFuture.java:1999)
Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 7
"""


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))


@pytest.mark.usefixtures("no_java")
def test_java_is_missed_before_the_first_step(tmp_path) -> None:
    with (
        pytest.raises(FlinkError, match="Java"),
        engine.running(BeamConfig(runner="flink"), tmp_path / "log"),
    ):
        raise AssertionError("the first step began")


@pytest.mark.usefixtures("no_java")
def test_a_running_job_server_needs_no_java() -> None:
    engine.check(BeamConfig(runner="flink", args=("--job_endpoint=localhost:8099",)))


@pytest.mark.usefixtures("no_java")
def test_the_direct_runner_needs_no_java(tmp_path) -> None:
    with engine.running(BeamConfig(), tmp_path / "log"):
        assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    "argument",
    ["--flink_master=cluster:8081", "--flink_master=http://cluster:8081", "--job_endpoint=far:1"],
)
def test_a_cluster_elsewhere_needs_workers_of_its_own(argument: str) -> None:
    with pytest.raises(FlinkError, match=r"another machine.*--environment_type"):
        engine.check(BeamConfig(runner="flink", args=(argument,)))


@pytest.mark.parametrize("master", ["127.0.0.1:8081", "http://localhost:8081", "[::1]:8081"])
def test_a_cluster_here_gets_its_workers_from_the_run(
    master: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "java", lambda: "java")
    monkeypatch.setattr(jars, "class_path", lambda _: "a.jar")
    engine.check(BeamConfig(runner="flink", args=(f"--flink_master={master}",)))


def test_the_users_arguments_come_last() -> None:
    args = beam_args(BeamConfig(runner="flink", workers=4, args=("--flink_master=cluster:8081",)))
    assert {"--parallelism=4", "--sdk_worker_parallelism=4"} < set(args)
    assert args[-1] == "--flink_master=cluster:8081"


def test_the_arguments_are_the_same_in_every_run() -> None:
    assert beam_args(BeamConfig(runner="flink")) == beam_args(BeamConfig(runner="flink"))


def test_a_misspelt_runner_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"beam\.runner"):
        load(None, ["beam.runner=flnk"])


def test_a_failure_is_told_by_the_python_error_in_it() -> None:
    assert reason(FAILED).startswith("components.errors.IngestError: no such film")
    assert reason("the cluster is gone\nmore") == "the cluster is gone"
