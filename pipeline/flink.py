"""What Beam needs to work on Apache Flink: Java, and Beam's job server for Flink."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from apache_beam.utils.subprocess_server import JavaHelper, JavaJarServer

from pipeline.config import BeamConfig
from pipeline.download import DownloadError, download

VERSION: Final = "1.20"  # of Flink
_TARGET: Final = f":runners:flink:{VERSION}:job-server:shadowJar"
_JAR: Final = "PNEUMONIA_FLINK_JAR"
_REPOSITORY: Final = "PNEUMONIA_MAVEN_REPOSITORY"


class FlinkError(RuntimeError):
    """Flink cannot be used; the message says what to do."""


def with_job_server(config: BeamConfig) -> BeamConfig:
    """The configuration with the job server's jar among Beam's arguments, where Flink needs it.

    A jar or a running job server that the user names stays. Raises FlinkError.
    """
    named = ("--flink_job_server_jar", "--job_endpoint")
    if config.runner != "flink" or any(arg.startswith(named) for arg in config.args):
        return config
    return replace(config, args=(f"--flink_job_server_jar={job_server()}", *config.args))


def job_server(cache: Path | None = None) -> Path:
    """The job server's jar: the one that PNEUMONIA_FLINK_JAR names, else Maven's, fetched once.

    PNEUMONIA_MAVEN_REPOSITORY is asked in Maven Central's place. What is fetched is held against
    the repository's SHA-1 and kept in Beam's own cache. Raises FlinkError.
    """
    if not shutil.which(JavaHelper.get_java()):
        raise FlinkError("beam.runner=flink needs Java 11 or newer: install it or set JAVA_HOME")
    if given := os.environ.get(_JAR):
        if not Path(given).is_file():
            raise FlinkError(f"{_JAR}={given}: no such file; name Beam's job server jar for Flink")
        return Path(given)
    repository = os.environ.get(_REPOSITORY)
    url = JavaJarServer.path_to_beam_jar(_TARGET, maven_repository_url=repository)
    jar = (cache or Path(JavaJarServer.JAR_CACHE)) / url.rpartition("/")[2]
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        try:
            _fetch(url, jar)
        except DownloadError as error:
            raise FlinkError(
                f"beam.runner=flink: {error}; name a copy of {jar.name} in {_JAR}, or a Maven "
                f"repository that has it in {_REPOSITORY}"
            ) from None  # the run prints the innermost cause, which knows no remedy
    return jar


def _fetch(url: str, jar: Path) -> None:
    """Raises DownloadError."""
    with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
        fetched, expected = Path(folder) / jar.name, Path(folder) / "sha1"
        download(f"{url}.sha1", expected, _quietly)
        download(url, fetched, _quietly)
        with fetched.open("rb") as file:
            actual = hashlib.file_digest(file, "sha1").hexdigest()
        if [actual] != expected.read_text().split()[:1]:
            raise DownloadError(f"{url}: not what its SHA-1 says")
        fetched.replace(jar)


def _quietly(_done: int, _total: int | None) -> None: ...
