"""Beam's direct runner with several processes, as `beam.workers` starts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import psutil
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


_STUCK = """
import pathlib, time
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from pipeline.beam.arguments import beam_args
from pipeline.config import BeamConfig

def stick(element):
    pathlib.Path("begun").touch()
    time.sleep(3600)

with beam.Pipeline(options=PipelineOptions(beam_args(BeamConfig(workers=2)))) as pipeline:
    pipeline | beam.Create(range(8)) | beam.Reshuffle() | beam.Map(stick)
"""


def test_an_interrupted_run_ends_and_leaves_no_worker(tmp_path):
    run = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-c", _STUCK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (tmp_path / "begun").exists():
            assert run.poll() is None
            time.sleep(0.2)
        started = psutil.Process(run.pid).children(recursive=True)
        for process in started:
            if process.ppid() != run.pid:  # a worker, which now does not notice that the run ends
                process.suspend()
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=60) != 0
        assert not psutil.wait_procs(started, timeout=60)[1]
    finally:
        run.kill()
