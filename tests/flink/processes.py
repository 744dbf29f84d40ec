"""Java and other servers of the test bed: fetched by Maven, started, awaited, ended."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from components.files import cache_dir

LOOPBACK = "127.0.0.1"
_HERE = Path(__file__).parent
_SECONDS_TO_START = 120
_SECONDS_TO_STOP = 10
# Flink 1.16 looks into the JDK's own classes, which Java 17 and newer close.
_OPENED = (
    *("io", "lang", "lang.reflect", "net", "nio", "text", "time", "util"),
    *("util.concurrent", "util.concurrent.atomic", "util.concurrent.locks"),
)


def free_port() -> int:
    """A port on the loopback address that nobody listens on now."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def started(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a session of its own; it and what it started end with this."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when a gRPC server answers on a port of this machine."""
    deadline = time.monotonic() + _SECONDS_TO_START
    with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        ready = grpc.channel_ready_future(channel)
        while time.monotonic() < deadline:
            try:
                return ready.result(0.2)
            except grpc.FutureTimeoutError:
                assert process.poll() is None, log.read_text()
    raise AssertionError(f"silent after {_SECONDS_TO_START} s: {log.read_text()}")


def java(main: str, *arguments: str, heap: str = "512m") -> list[str]:
    """Java with what Flink needs; its servers stay on the loopback address, by rules for Byteman.

    The heap's size is a bound that the data does not move: Flink sorts and spills beside the heap.
    """
    jars = _jars()
    (agent,) = jars.glob("byteman-*.jar")
    return [
        # Flink's many threads would each leave what they freed in an arena of their own.
        *("env", "MALLOC_ARENA_MAX=2", "java"),
        *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED),
        "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
        *(f"-Xms{heap}", f"-Xmx{heap}"),
        "-XX:+AlwaysPreTouch",  # what it will take is seen at once, not after many films
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # it moves keys: compiling better took longer than the work
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        f"-javaagent:{agent}=script:{_HERE / 'loopback.btm'}",
        *("-cp", f"{jars}/*", main, *arguments),
    ]


def _jars() -> Path:
    """The folder of what pom.xml names, which Maven fetches once (170 MB)."""
    folder = cache_dir() / "flink-test-bed"
    pom = folder / "pom.xml"
    wanted = (_HERE / "pom.xml").read_bytes()
    if not pom.is_file() or pom.read_bytes() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fetch = ["mvn", "-q", "-B", "--strict-checksums", "-f", str(_HERE / "pom.xml")]
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        subprocess.run([*fetch, *goal, "-DincludeScope=runtime"], cwd=folder, check=True)
        pom.write_bytes(wanted)
    return folder
