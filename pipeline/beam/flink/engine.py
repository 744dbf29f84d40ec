"""What runs beside a pipeline on Flink: one job server and one pool of workers, from the first step
on Beam to the pipeline's end.
"""

import atexit
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from apache_beam.options import pipeline_options

from pipeline.beam.flink import jars
from pipeline.beam.flink.jars import FlinkError
from pipeline.beam.flink.service import LOOPBACK, Service, free_port
from pipeline.config import BeamConfig

CONFIGURATION: Final = Path(__file__).with_name("flink-conf.yaml")
DRIVER: Final = "org.apache.beam.runners.flink.FlinkJobServerDriver"
EMBEDDED: Final = ("[auto]", "[local]")  # Beam's names for a Flink inside the job server
_RULES: Final = Path(__file__).with_name("loopback.btm")
_OPEN: Final = (
    "Beam's job server answers on all of this machine's addresses, without a password, and whoever "
    "reaches it may run commands here; keep it behind a firewall"
)
_HERE: Final = ("localhost", LOOPBACK, "::1")
# Flink 1.16 looks into the JDK's own classes, which Java 17 and newer close.
_OPENED: Final = (
    *("io", "lang", "lang.reflect", "net", "nio", "text", "time", "util"),
    *("util.concurrent", "util.concurrent.atomic", "util.concurrent.locks"),
)
_LOGGING: Final = (
    "defaultLogLevel=warn",
    "showDateTime=true",
    "dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
    "log.org.apache.flink.metrics.MetricGroup=error",  # warns of every metric that two tasks share
)


def java_command(class_path: str, heap: str = "512m") -> list[str]:
    """Java with what Flink needs, up to the main class.

    Its servers stay on the loopback address, by rules that need Byteman beside the class path;
    where it is missing, that is told.

    The heap's size is a bound that the data does not move: Flink sorts and spills beside the heap.
    """
    agent = next(Path(class_path).parent.glob("byteman-*.jar"), None)
    if not agent:
        print(f"Flink: {class_path} has no byteman-*.jar beside it: {_OPEN}", file=sys.stderr)
    return [
        # Flink's many threads would each leave what they freed in an arena of their own.
        *("env", "MALLOC_ARENA_MAX=2"),
        jars.java(),
        *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED),
        "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
        f"-Xms{heap}",
        f"-Xmx{heap}",
        "-XX:+AlwaysPreTouch",  # what it will take is seen at once, not after many films
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # it moves keys: compiling better took longer than the work
        *(f"-Dorg.slf4j.simpleLogger.{setting}" for setting in _LOGGING),
        *([f"-javaagent:{agent}=script:{_RULES}"] if agent else []),
        "-cp",
        class_path,
    ]


class Engine:
    """Starts what the first step on Beam asks for; the later steps find it running."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log.resolve() if log else None
        self._lock = threading.Lock()
        self._started = ExitStack()
        self._endpoints: dict[str, str] = {}

    def workers(self) -> str:
        """The endpoint of the pool of workers on this machine. Raises FlinkError."""
        port = free_port()
        command = [sys.executable, "-m", "pipeline.beam.flink.worker_pool", f"--port={port}"]
        return self._endpoint("the pool of Beam's workers", lambda: command, port)

    def job_server(self, master: str, jar: str | None, parallelism: int) -> str:
        """The endpoint of Beam's job server, before a Flink at `master` or with one inside.

        Args:
            master: host:port of a cluster, or one of EMBEDDED.
            jar: of the job server; None: as jars.class_path says.
            parallelism: workers that a Flink inside is to have memory for.

        Raises:
            FlinkError: it does not start.
        """
        port = free_port()

        def command() -> list[str]:
            scratch = tempfile.TemporaryDirectory(prefix="pneumonia-flink-")
            folder = Path(self._started.enter_context(scratch))
            configuration = CONFIGURATION.read_text() + _memory(max(parallelism, 1))
            (folder / CONFIGURATION.name).write_text(configuration)
            return [
                *java_command(jars.class_path(jar)),
                DRIVER,
                f"--flink-master={master}",
                f"--flink-conf-dir={folder}",
                f"--job-host={LOOPBACK}",
                f"--job-port={port}",
                "--artifact-port=0",
                f"--artifacts-dir={folder / 'staged'}",
                "--expansion-port=-1",  # for transforms in other languages: not used
                "--clean-artifacts-per-job",
            ]

        return self._endpoint("Beam's job server for Flink", command, port)

    def stop(self) -> None:
        """Stops what was started, the last first."""
        with self._lock:
            self._endpoints.clear()
            self._started.close()

    def _endpoint(self, name: str, command: Callable[[], list[str]], port: int) -> str:
        with self._lock:
            if name not in self._endpoints:
                service = Service(name, command(), self._log)
                self._started.callback(service.stop)
                service.wait_for(port)
                self._endpoints[name] = f"{LOOPBACK}:{port}"
            return self._endpoints[name]


def _memory(parallelism: int) -> str:
    """For the largest job, StatisticsGen's: 16 MB a worker were too little to sort in.

    Between two stages every task writes to every other, so that takes the square.
    """
    network = max(128, 2 * parallelism**2)
    return (
        f"taskmanager.memory.managed.size: {64 * parallelism}m\n"
        f"taskmanager.memory.network.min: {network}m\n"
        f"taskmanager.memory.network.max: {network}m\n"
    )


_current: Engine | None = None


def current() -> Engine:
    """The running pipeline's; for a step that runs alone, one that ends with the process."""
    global _current
    if _current is None:
        _current = Engine()
        atexit.register(_current.stop)
    return _current


@contextmanager
def running(config: BeamConfig, log: Path) -> Iterator[None]:
    """Steps on Flink find their engine while this lasts; then everything it started is stopped.

    What Flink lacks is told before the first step. Raises FlinkError.
    """
    global _current
    if config.runner == "flink":
        check(config)
    former, _current = _current, Engine(log)
    try:
        yield
    finally:
        _current.stop()
        _current = former


def check(config: BeamConfig) -> None:
    """Raises FlinkError where a run with these Beam arguments would miss something."""
    options = pipeline_options.PipelineOptions(list(config.args))
    portable = options.view_as(pipeline_options.PortableOptions)
    flink = options.view_as(pipeline_options.FlinkRunnerOptions)
    elsewhere = [
        address
        for address in (portable.job_endpoint, flink.flink_master)
        if address and address not in EMBEDDED and _host(address) not in _HERE
    ]
    if elsewhere and not portable.environment_type:
        raise FlinkError(
            f"{elsewhere[0]} is another machine, where nobody starts workers for this run; say "
            "who does with --environment_type and --environment_config in beam.args"
        )
    if not portable.job_endpoint:
        jars.java()
        jars.class_path(flink.flink_job_server_jar)


def _host(address: str) -> str:
    return address.rpartition("://")[2].rpartition(":")[0].strip("[]")
