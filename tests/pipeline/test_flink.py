"""Flink's job server: found, fetched once and checked, or asked for in one line."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pipeline import flink
from pipeline.beam import beam_args
from pipeline.config import BeamConfig, ConfigError, load

CONTENT = b"a jar"


@pytest.fixture(autouse=True)
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "jre" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jre"))
    monkeypatch.delenv("PNEUMONIA_FLINK_JAR", raising=False)
    return program


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository's folder, served on this machine."""
    folder = tmp_path / "repository"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("PNEUMONIA_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()


def publish(repository: Path, sha1: str) -> Path:
    version = "2.77.0"
    name = f"beam-runners-flink-{flink.VERSION}-job-server"
    jar = repository / "org/apache/beam" / name / version / f"{name}-{version}.jar"
    jar.parent.mkdir(parents=True)
    jar.write_bytes(CONTENT)
    jar.with_name(f"{jar.name}.sha1").write_text(sha1)
    return jar


def test_the_jar_is_fetched_once(repository: Path, tmp_path: Path) -> None:
    there = publish(repository, hashlib.sha1(CONTENT).hexdigest())
    fetched = flink.job_server(tmp_path / "cache")
    there.unlink()
    assert flink.job_server(tmp_path / "cache") == fetched
    assert fetched.read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [fetched.name]


def test_a_jar_that_is_not_what_its_sum_says_is_not_kept(repository: Path, tmp_path: Path) -> None:
    publish(repository, hashlib.sha1(b"another").hexdigest())
    with pytest.raises(flink.FlinkError, match="SHA-1"):
        flink.job_server(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.usefixtures("repository")
def test_a_repository_without_the_jar_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(flink.FlinkError, match=r"404.*PNEUMONIA_FLINK_JAR") as told:
        flink.job_server(tmp_path / "cache")
    assert told.value.__cause__ is None, "`pneumonia run` prints the innermost cause"


def test_the_named_jar_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = tmp_path / "mine.jar"
    monkeypatch.setenv("PNEUMONIA_FLINK_JAR", str(jar))
    with pytest.raises(flink.FlinkError, match=r"mine\.jar: no such file"):
        flink.job_server()
    jar.write_bytes(CONTENT)
    assert flink.job_server() == jar


def test_without_java_the_remedy_is_told(java: Path) -> None:
    java.unlink()
    with pytest.raises(flink.FlinkError, match="Java 11 or newer"):
        flink.job_server()


def test_a_running_job_server_needs_neither(java: Path) -> None:
    java.unlink()
    given = BeamConfig(runner="flink", args=("--job_endpoint=localhost:8099",))
    assert flink.with_job_server(given) == given


def test_the_direct_runner_needs_neither(java: Path) -> None:
    java.unlink()
    assert flink.with_job_server(BeamConfig()) == BeamConfig()


def test_the_users_arguments_come_last() -> None:
    args = beam_args(BeamConfig(runner="flink", workers=4, args=("--flink_master=cluster:8081",)))
    assert {"--runner=FlinkRunner", "--parallelism=4"} < set(args)
    assert args[-1] == "--flink_master=cluster:8081"


def test_a_misspelt_runner_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"beam\.runner"):
        load(None, ["beam.runner=flnk"])
