"""Starts Beam's workers on this machine: `python -m tests.flink.worker_pool --port N`.

Flink asks for new workers with every job and some stages. Beam's own pool starts a new Python for
each; this one forks them. And it listens on the loopback address alone.
"""

import argparse
import collections
import logging
import signal
import socket
import sys
import threading
from concurrent import futures
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import grpc
from apache_beam.portability.api import beam_fn_api_pb2 as fn_api
from apache_beam.portability.api import beam_fn_api_pb2_grpc as fn_api_grpc

from pipeline.beam import forking
from tests.flink.processes import LOOPBACK

_SECONDS_TO_ANSWER = 2


class Pool(fn_api_grpc.BeamFnExternalWorkerPoolServicer):
    """Beam's service for EXTERNAL environments, on forked processes."""

    def __init__(self) -> None:
        forking.warm_up()
        self._lock = threading.Lock()  # multiprocessing's bookkeeping knows no threads
        self._workers: dict[str, list[_Worker]] = collections.defaultdict(list)

    def StartWorker(  # noqa: N802 - Beam's name
        self, request: fn_api.StartWorkerRequest, _: grpc.ServicerContext
    ) -> fn_api.StartWorkerResponse:
        """Flink calls it for each worker that it wants."""
        with self._lock:
            endpoint = request.control_endpoint.url
            started = _Worker(forking.start(endpoint, request.worker_id), endpoint)
            self._workers[request.worker_id].append(started)
        return fn_api.StartWorkerResponse()

    def StopWorker(  # noqa: N802 - Beam's name
        self, request: fn_api.StopWorkerRequest, _: grpc.ServicerContext
    ) -> fn_api.StopWorkerResponse:
        """Flink calls it for a worker that it no longer needs.

        Task managers number their workers each for itself, so those of two may share an id; who
        gives one up has closed its control endpoint before.
        """
        with self._lock:
            workers = self._workers.pop(request.worker_id, [])
            for worker in workers:
                if len(workers) > 1 and _listens(worker.control_endpoint):
                    self._workers[request.worker_id].append(worker)
                else:
                    forking.end(worker.process)
        return fn_api.StopWorkerResponse()


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    control_endpoint: str  # of its own: Flink opens one for each worker


def _listens(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except OSError:
        return False
    return True


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
    sys.exit(main())
