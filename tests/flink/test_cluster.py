"""On a cluster of two task managers and a pool of workers, one of which is killed at work."""

import collections
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from components import names
from components.augmenter import parts
from components.ingest import passes, work_lists
from pipeline.beam.arguments import beam_args
from pipeline.config import BeamConfig
from tests.components.augmenter import test_component as augmenting
from tests.components.ingest import xray_sets
from tests.flink import cluster, halting, job_server

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    with cluster.running(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def args(flink: cluster.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Beam's arguments for the cluster; the job server and the workers are running."""
    log = tmp_path_factory.mktemp("job-server") / "log"
    with job_server.running(log, master=flink.master, of_each=1) as fields:
        yield beam_args(BeamConfig(**fields))


def test_a_killed_worker_loses_and_doubles_no_record(
    tmp_path: Path, args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [augmenting.ROWS[start::4] for start in range(4)]
    here = augmenting.augment(tmp_path / "here", files, balance=1)
    monkeypatch.setattr(parts, "CopyToParts", partial(halting.HaltingSplit, tmp_path))
    killing = halting.when_halted(tmp_path, lambda worker: os.kill(worker, signal.SIGKILL))
    there = augmenting.augment(tmp_path / "there", files, balance=1, beam_args=args)
    killing.result()

    def counted(folder: Path) -> collections.Counter[bytes]:
        return collections.Counter(augmenting.read(folder / "Split-train"))

    assert counted(there) == counted(here)


def test_a_killed_task_manager_loses_and_doubles_no_record(
    tmp_path: Path,
    flink: cluster.Cluster,
    args: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last test of this file: the cluster is one task manager short after it."""
    monkeypatch.setattr(work_lists, "FILES_PER_LIST", 5)
    films = xray_sets.write(tmp_path / "films", xray_sets.both_classes())
    here = xray_sets.ingest(films, tmp_path / "here")
    monkeypatch.setattr(passes, "StoreList", partial(halting.HaltingStore, tmp_path))
    killing = halting.when_halted(tmp_path, flink.kill_task_manager_of)
    there = xray_sets.ingest(films, tmp_path / "there", beam_args=args)
    killing.result()
    drawn = {names.PATIENT_ID: b""}  # anew in every run

    def known(ingested: xray_sets.Ingested) -> dict[str, dict[str, object]]:
        return {name: film | drawn for name, film in ingested.by_name().items()}

    assert known(there) == known(here)
    assert sum(len(there.films(split)) for split in names.SPLITS) == 40
