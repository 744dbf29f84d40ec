"""Starts Beam's worker processes on this machine: `python -m pipeline.flink.worker_pool --port N`.

Flink asks for new workers with every job and some stages. Beam's own pool starts a new Python for
each, which imports TensorFlow and TFX for ten seconds and more; this one forks them from a server
process that has imported them already. And it listens on the loopback address alone.
"""

import argparse
import logging
import multiprocessing
import multiprocessing.forkserver
import signal
import sys
import threading
from concurrent import futures
from multiprocessing.process import BaseProcess

import grpc
from apache_beam.portability.api import beam_fn_api_pb2 as fn_api
from apache_beam.portability.api import beam_fn_api_pb2_grpc as fn_api_grpc

from pipeline import beam_worker
from pipeline.flink.service import LOOPBACK

_SECONDS_TO_STOP = 5


class Pool(fn_api_grpc.BeamFnExternalWorkerPoolServicer):
    """Beam's service for EXTERNAL environments, on forked processes."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(beam_worker.PRELOADED))
        multiprocessing.forkserver.ensure_running()
        self._lock = threading.Lock()  # multiprocessing's bookkeeping knows no threads
        self._workers: dict[str, BaseProcess] = {}

    def StartWorker(  # noqa: N802 - Beam's name
        self, request: fn_api.StartWorkerRequest, _: grpc.ServicerContext
    ) -> fn_api.StartWorkerResponse:
        """Flink calls it for each worker that it wants."""
        with self._lock:
            worker = self._context.Process(
                target=beam_worker.work,
                args=(request.control_endpoint.url, request.worker_id),
                daemon=True,  # ends with the pool
            )
            worker.start()
            self._workers[request.worker_id] = worker
        return fn_api.StartWorkerResponse()

    def StopWorker(  # noqa: N802 - Beam's name
        self, request: fn_api.StopWorkerRequest, _: grpc.ServicerContext
    ) -> fn_api.StopWorkerResponse:
        """Flink calls it for a worker that it no longer needs."""
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
            if worker:
                worker.terminate()
                worker.join(_SECONDS_TO_STOP)
                if worker.is_alive():
                    worker.kill()
                    worker.join()
        return fn_api.StopWorkerResponse()


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is terminated."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args(arguments).port
    logging.basicConfig(level=logging.INFO)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    fn_api_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(Pool(), server)
    server.add_insecure_port(f"{LOOPBACK}:{port}")
    server.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    server.stop(None).wait()
    return 0


if __name__ == "__main__":
    # What is forked must find its function by its module's name, not under __main__.
    from pipeline.flink import worker_pool

    sys.exit(worker_pool.main())
