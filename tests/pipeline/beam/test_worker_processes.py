"""Steps on a Beam runner in another process, with workers in processes of their own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types.standard_artifacts import Examples, ExampleStatistics

from components import names
from pipeline.beam.arguments import beam_args
from pipeline.config import BeamConfig
from tests.components.ingest import xray_sets
from tests.ports import free_port

pytestmark = pytest.mark.distributed
WORKER = Path(sys.executable).with_name("pneumonia-beam-worker")


@contextlib.contextmanager
def server(module: str, *arguments: str, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(60)
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def portable() -> Iterator[list[str]]:
    """Arguments for Beam's job service and a worker pool, both running."""
    job, pool = free_port(), free_port()
    service = "apache_beam.runners.portability.local_job_service_main"
    workers = "apache_beam.runners.worker.worker_pool_main"
    with (
        server(service, f"--port={job}", port=job),
        server(workers, f"--service_port={pool}", f"--container_executable={WORKER}", port=pool),
    ):
        yield beam_args(
            BeamConfig(
                runner="portable",
                job_endpoint=f"localhost:{job}",
                worker_pool=f"localhost:{pool}",
            )
        )


def statistics(examples: Examples, folder: Path, args: list[str]) -> bytes:
    """The training split's statistics, in an order of their own."""
    made = ExampleStatistics()
    made.uri = str(folder)
    context = BaseBeamExecutor.Context(beam_pipeline_args=args)
    statistics_gen.Executor(context).Do({"examples": [examples]}, {"statistics": [made]}, {})
    import tensorflow_data_validation as tfdv  # here: it imports only after tfx

    found = tfdv.load_stats_binary(str(folder / "Split-train" / "FeatureStats.pb"))
    for dataset in found.datasets:
        dataset.features.sort(key=lambda feature: feature.path.step[0])
    return found.SerializeToString(deterministic=True)


def test_ingestion_and_statistics_equal_the_direct_runners(
    tmp_path: Path, portable: list[str]
) -> None:
    films = xray_sets.write(tmp_path / "films", xray_sets.both_classes())
    here = xray_sets.ingest(films, tmp_path / "here")
    there = xray_sets.ingest(films, tmp_path / "there", beam_args=portable)
    drawn = {names.PATIENT_ID: b""}  # anew in every run

    def known(ingested: xray_sets.Ingested) -> dict[str, dict[str, object]]:
        return {name: film | drawn for name, film in ingested.by_name().items()}

    assert known(there) == known(here)
    assert sum(len(there.films(split)) for split in names.SPLITS) == 40
    direct = beam_args(BeamConfig())
    assert statistics(here.examples, tmp_path / "local", direct) == statistics(
        here.examples, tmp_path / "remote", portable
    )
