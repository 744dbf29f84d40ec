"""Beam's direct runner with several processes, as `beam.workers` starts them."""

import os
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.beam.arguments import beam_args
from pipeline.config import BeamConfig


class NeedsTfdv(beam.DoFn):
    """Works only where TFDV can be imported, as StatisticsGen's own steps do."""

    def process(self, element: int) -> Iterator[tuple[int, int]]:
        import tensorflow_data_validation as tfdv  # here: a worker process has not loaded it yet

        assert tfdv.StatsOptions
        yield element, os.getpid()


def test_worker_processes_load_what_tfx_sends_them(tmp_path):
    out = tmp_path / "out"
    options = PipelineOptions(beam_args(BeamConfig(workers=2)))
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create(range(8))
            | beam.Reshuffle()
            | beam.ParDo(NeedsTfdv())
            | beam.MapTuple(lambda element, process: f"{element} {process}")
            | beam.io.WriteToText(str(out))
        )
    lines = [
        line.split() for part in tmp_path.glob("out*") for line in part.read_text().splitlines()
    ]
    assert sorted(int(element) for element, _ in lines) == list(range(8))
    assert str(os.getpid()) not in {process for _, process in lines}
