"""Beam is told where to work, whatever the way to say it."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, WorkerOptions

from pipeline.beam.arguments import beam_args
from pipeline.config import BeamConfig


def test_a_site_s_job_server_works_in_its_own_pool():
    config = BeamConfig(
        runner="portable",
        workers=4,
        job_endpoint="beam.test:8099",
        artifact_endpoint="beam.test:8098",
        worker_pool="localhost:50000",
    )
    told = PipelineOptions(beam_args(config)).view_as(PortableOptions)
    assert (told.job_endpoint, told.artifact_endpoint) == ("beam.test:8099", "beam.test:8098")
    assert (told.environment_type, told.environment_config) == ("EXTERNAL", "localhost:50000")
    assert int(told.sdk_worker_parallelism) == 4


def test_a_site_s_job_server_starts_workers_of_an_image():
    config = BeamConfig(
        runner="portable", job_endpoint="beam.test:8099", worker_image="registry.test/pneumonia:1"
    )
    told = PipelineOptions(beam_args(config))
    assert told.view_as(PortableOptions).environment_type == "DOCKER"
    assert told.view_as(WorkerOptions).sdk_container_image == "registry.test/pneumonia:1"


@pytest.mark.parametrize(
    "fields",
    [
        {"runner": "portable", "worker_pool": "a:1"},
        {"runner": "portable", "job_endpoint": "a:1"},
        {"runner": "portable", "job_endpoint": "a:1", "worker_pool": "a:2", "worker_image": "i"},
        {"runner": "direct", "worker_pool": "a:1"},
    ],
)
def test_a_job_server_is_described_in_one_whole_way(fields):
    with pytest.raises(ValueError, match="runner portable"):
        BeamConfig(**fields)
