"""Beam's direct runner; its worker processes are forked."""

from multiprocessing.process import BaseProcess
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    GrpcWorkerHandler,
    WorkerHandler,
)

from pipeline.beam import forking


class DirectRunner(FnApiRunner):
    """Beam's own, named by its path: with its module come the workers below."""


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class _ForkedWorker(GrpcWorkerHandler):
    """Takes the place of Beam's own for processes, which starts a new Python for each."""

    _process: BaseProcess

    def __init__(self, _command: bytes, *connections: Any) -> None:
        super().__init__(*connections)

    def start_worker(self) -> None:
        self._process = forking.start(self.control_address, self.worker_id)

    def stop_worker(self) -> None:
        forking.end(self._process)
