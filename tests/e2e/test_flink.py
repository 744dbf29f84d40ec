"""Whole runs on the Flink inside the job server, beside the direct runner's."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
import tensorflow as tf
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from components import names
from tests.e2e.conftest import ANY_MODEL, DONE, ROOT, Ended, Run, settings
from tests.flink import job_server

pytestmark = pytest.mark.distributed

INTERRUPTED = 130
# Who starts tests in the background of a shell script has them ignore Ctrl-C.
LISTENING = ("env", "--default-signal=INT")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """The fields of `beam` for the job server, which is running."""
    with job_server.running(tmp_path_factory.mktemp("flink") / "log") as fields:
        yield fields


@pytest.fixture(scope="module")
def words(there: dict[str, object]) -> list[str]:
    """The settings of a run on it."""
    return settings(*ANY_MODEL, *(f"beam.{name}={json.dumps(v)}" for name, v in there.items()))


@pytest.fixture(scope="module")
def on_flink(
    tmp_path_factory: pytest.TempPathFactory, films: Path, pneumonia: Run, words: list[str]
) -> Ended:
    cwd = tmp_path_factory.mktemp("on-flink")
    return cwd, pneumonia(cwd, "run", "--data", str(films), *words)


def test_a_run_on_flink_ends_blessed_and_leaves_no_process(on_flink: Ended) -> None:
    cwd, ended = on_flink
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    assert len(list((cwd / "runs/default/serving/pneumonia").glob("[0-9]*"))) == 1
    assert not running_in(cwd)


@pytest.mark.parametrize(
    ("output", "splits"),
    [
        ("XrayExampleGen/examples", names.SPLITS),
        ("Transform/transformed_examples", (names.TRAIN, names.VAL)),
        ("Augmenter/augmented_examples", (names.TRAIN, names.VAL)),
    ],
)
def test_the_records_equal_the_direct_runners(
    on_flink: Ended, any_run: Ended, output: str, splits: tuple[str, ...]
) -> None:
    for split in splits:
        (there,) = written(on_flink[0], output, split)
        first, *_ = written(any_run[0], output, split)
        assert records(there) == records(first)
        assert records(there)


def test_an_identical_second_run_is_all_cache(
    on_flink: Ended, films: Path, pneumonia: Run, words: list[str]
) -> None:
    cwd, _ = on_flink
    again = pneumonia(cwd, "run", "--data", str(films), *words)
    assert again.returncode == DONE, again.stdout + again.stderr
    steps = [line for line in again.stdout.splitlines() if "✓" in line]
    assert len(steps) >= 10
    assert not [line for line in steps if "cached" not in line and "Resolver" not in line]


def test_an_interrupted_run_cancels_its_job(
    tmp_path: Path, films: Path, there: dict[str, object], words: list[str]
) -> None:
    with grpc.insecure_channel(str(there["job_endpoint"])) as channel:
        jobs = beam_job_api_pb2_grpc.JobServiceStub(channel)

        before: set[str] = set()

        def states() -> dict[str, int]:
            listed = jobs.GetJobs(beam_job_api_pb2.GetJobsRequest()).job_info  # in any order
            return {job.job_id: job.state for job in listed if job.job_id not in before}

        before.update(states())
        with no_worker(str(there["worker_pool"])):  # so small a job ends before it is cancelled
            run = subprocess.Popen(
                [*LISTENING, sys.executable, "-m", "cli", "run", "--data", str(films), *words],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            while beam_job_api_pb2.JobState.RUNNING not in states().values():
                assert run.poll() is None
                time.sleep(0.2)
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=60)
        assert run.returncode == INTERRUPTED, said
        assert not running_in(tmp_path)
        going = (beam_job_api_pb2.JobState.RUNNING, beam_job_api_pb2.JobState.CANCELLING)
        while set(states().values()) & set(going):
            time.sleep(0.2)
        assert beam_job_api_pb2.JobState.CANCELLED in states().values()


@contextlib.contextmanager
def no_worker(worker_pool: str) -> Iterator[None]:
    """The pool is there, but what works and what starts workers stands still."""
    (pool,) = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and worker_pool.endswith(f":{connection.laddr[1]}")
    }
    stopped = psutil.Process(pool).children(recursive=True)
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def running_in(folder: Path) -> list[psutil.Process]:
    """Processes whose working directory it is, as it is of all that a run starts."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def written(cwd: Path, output: str, split: str) -> list[Path]:
    """The folders of a split, the earliest run's first."""
    found = (cwd / "runs/default/artifacts" / output).glob(f"*/Split-{split}")
    return sorted(found, key=lambda path: int(path.parent.name))


def records(folder: Path) -> collections.Counter[bytes]:
    """How often each record is there, without patients and names, which are drawn in every run."""
    found: collections.Counter[bytes] = collections.Counter()
    files = [str(path) for path in folder.iterdir()]
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        example = tf.train.Example.FromString(record)
        for drawn in (names.PATIENT_ID, names.FILENAME):
            example.features.feature.pop(drawn, None)
        found[example.SerializeToString(deterministic=True)] += 1
    return found
