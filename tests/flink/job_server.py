"""Beam's job server for Flink and a pool of workers, as a site's own would stand there."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.flink.processes import LOOPBACK, free_port, java, started, wait_for

_CONFIGURATION = Path(__file__).with_name("flink-conf.yaml")
# Through files between stages: then memory does not depend on how many run at once, and what a
# lost worker had finished is not repeated. A worker is kept for the job's next stage.
_BATCH = ("--execution_mode_for_batch=BATCH_FORCED", "--environment_cache_millis=5000")


@contextmanager
def running(
    log: Path, workers: int = 2, master: str = "[auto]", of_each: int | None = None
) -> Iterator[dict[str, object]]:
    """Yields the fields of BeamConfig with which a run works there.

    Args:
        log: gets what both print.
        workers: Flink's parallelism.
        master: host:port of a Flink cluster; without one a Flink works inside the job server.
        of_each: workers that a task manager starts; as many as there are in all if not given.
    """
    pool_port, job_port = free_port(), free_port()
    pool = [sys.executable, "-m", "tests.flink.worker_pool", f"--port={pool_port}"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, _CONFIGURATION.name).write_text(_CONFIGURATION.read_text() + _memory(workers))
        server = java(
            "org.apache.beam.runners.flink.FlinkJobServerDriver",
            f"--flink-master={master}",
            f"--flink-conf-dir={folder}",
            f"--job-host={LOOPBACK}",
            f"--job-port={job_port}",
            "--artifact-port=0",
            f"--artifacts-dir={folder}/staged",
            "--expansion-port=-1",  # for transforms in other languages: not used
            "--clean-artifacts-per-job",
        )
        with started(pool, log) as first, started(server, log) as second:
            wait_for(pool_port, first, log)
            wait_for(job_port, second, log)
            yield {
                "runner": "portable",
                "workers": of_each or workers,
                "job_endpoint": f"{LOOPBACK}:{job_port}",
                "worker_pool": f"{LOOPBACK}:{pool_port}",
                "args": (f"--parallelism={workers}", *_BATCH),
            }


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
