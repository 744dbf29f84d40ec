"""Beam's worker processes, forked from one that has imported what the steps need.

Each step starts its workers anew, and to import TensorFlow, TFX and Beam takes each of them ten
seconds and more.
"""

import multiprocessing
import multiprocessing.forkserver
from multiprocessing.process import BaseProcess
from typing import Final

# tfx is first of all: TFDV 1.16.1 imports only after it.
_PRELOADED: Final = (
    "tfx",
    "tfx.components.statistics_gen.executor",
    "tfx.components.transform.executor",
    "tfx.components.evaluator.executor",
    "components.ingest.component",
    "components.augmenter.component",
    "components.transform",
    "components.evaluator.config",
    "pipeline.beam.worker",
)
_SECONDS_TO_STOP: Final = 5
_context: Final = multiprocessing.get_context("forkserver")


def warm_up() -> None:
    """Lets the process that is forked start its imports; returns at once."""
    _context.set_forkserver_preload(list(_PRELOADED))
    multiprocessing.forkserver.ensure_running()


def start(control_endpoint: str, worker_id: str) -> BaseProcess:
    """Starts a worker; it ends when its runner hangs up, or with this process.

    Args:
        control_endpoint: the runner's, as host:port.
        worker_id: by which the runner knows this worker.
    """
    warm_up()
    process = _context.Process(target=_work, args=(control_endpoint, worker_id), daemon=True)
    process.start()
    return process


def end(process: BaseProcess) -> None:
    """Stops a worker whose runner has hung up: amid a bundle it would not notice for long."""
    process.terminate()
    process.join(_SECONDS_TO_STOP)
    if process.is_alive():
        process.kill()
        process.join()


def _work(control_endpoint: str, worker_id: str) -> None:
    from pipeline.beam import worker  # here: Beam takes seconds, and has been loaded there

    worker.work(control_endpoint, worker_id)
