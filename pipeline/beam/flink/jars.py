"""Java, and the class path that Flink needs: resolved once by Maven, or a jar that is named."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from components.files import cache_dir

POM = Path(__file__).with_name("pom.xml")
JAR = "PNEUMONIA_FLINK_JAR"


class FlinkError(RuntimeError):
    """Flink cannot be used, or a step failed on it; one line that says what to do or what was."""


def java() -> str:
    """The Java of JAVA_HOME, else the one on PATH. Raises FlinkError."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(str(Path(home, "bin", "java")) if home else "java")
    if not found:
        raise FlinkError(
            "beam.runner=flink needs Java 11 or newer: install it (Debian: default-jre-headless) "
            "or set JAVA_HOME"
        )
    return found


def class_path(named: str | None = None, cache: Path | None = None) -> str:
    """The job server's: the jar that is named here or in PNEUMONIA_FLINK_JAR, else Maven's.

    Maven resolves pom.xml, checks what it fetches against the repository's sums, and is asked once:
    the jars stay in a folder of the cache that the pom's own hash names. Mirrors, proxies and
    passwords are Maven's settings. Raises FlinkError.
    """
    if given := named or os.environ.get(JAR):
        if not Path(given).is_file():
            raise FlinkError(f"{given}: no such file; name Beam's job server jar for Flink")
        return given
    return str(folder(cache) / "*")


def folder(cache: Path | None = None) -> Path:
    """Where Maven's jars are, fetched if they are not there yet. Raises FlinkError."""
    root = cache or cache_dir()
    jars = root / f"flink-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not jars.exists():
        root.mkdir(parents=True, exist_ok=True)
        print("Flink: Maven fetches its jars, once (170 MB)", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            _resolve(Path(scratch) / "jars")
            try:
                (Path(scratch) / "jars").rename(jars)
            except OSError:  # another run was faster
                if not jars.exists():
                    raise
    return jars


def _resolve(target: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise FlinkError(
            "beam.runner=flink needs Maven to fetch Flink once: install it (Debian: maven), or "
            f"name a copy of Beam's job server jar for Flink in {JAR}"
        )
    goal = [f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    command = [maven, "-q", "-B", "--strict-checksums", "-f", str(POM)]
    done = subprocess.run(
        [*command, "dependency:copy-dependencies", *goal],
        cwd=target.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        reason = lines[0].removeprefix("[ERROR]").strip() if lines else done.stderr.strip()
        raise FlinkError(
            f"beam.runner=flink: Maven could not fetch Flink: {reason[:300]}; see its settings, or "
            f"name a copy of Beam's job server jar for Flink in {JAR}"
        )
