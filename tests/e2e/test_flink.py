"""Whole runs on the Flink inside the job server, beside the direct runner's."""

import collections
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import tensorflow as tf

from components import names
from tests.e2e.conftest import ANY_MODEL, DONE, ROOT, Ended, Run, settings

pytestmark = pytest.mark.distributed

INTERRUPTED = 130
# Who starts tests in the background of a shell script has them ignore Ctrl-C.
LISTENING = ("env", "--default-signal=INT")
FLINK = ("beam.runner=flink", "beam.workers=2")
WORDS = settings(*ANY_MODEL, *FLINK)


@pytest.fixture(scope="module")
def on_flink(tmp_path_factory: pytest.TempPathFactory, films: Path, pneumonia: Run) -> Ended:
    cwd = tmp_path_factory.mktemp("on-flink")
    return cwd, pneumonia(cwd, "run", "--data", str(films), *WORDS)


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


def test_an_identical_second_run_is_all_cache(on_flink: Ended, films: Path, pneumonia: Run) -> None:
    cwd, _ = on_flink
    again = pneumonia(cwd, "run", "--data", str(films), *WORDS)
    assert again.returncode == DONE, again.stdout + again.stderr
    steps = [line for line in again.stdout.splitlines() if "✓" in line]
    assert len(steps) >= 10
    assert not [line for line in steps if "cached" not in line and "Resolver" not in line]


def test_an_interrupted_run_leaves_no_process(tmp_path: Path, films: Path) -> None:
    run = subprocess.Popen(
        [*LISTENING, sys.executable, "-m", "cli", "run", "--data", str(films), *WORDS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any(process.name() == "java" for process in running_in(tmp_path)):
        assert run.poll() is None
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == INTERRUPTED, said
    assert not running_in(tmp_path)


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
    """How often each record is there; patients' ids, drawn anew in every run, are left out."""
    found: collections.Counter[bytes] = collections.Counter()
    files = [str(path) for path in folder.iterdir()]
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        example = tf.train.Example.FromString(record)
        example.features.feature.pop(names.PATIENT_ID, None)
        found[example.SerializeToString(deterministic=True)] += 1
    return found
