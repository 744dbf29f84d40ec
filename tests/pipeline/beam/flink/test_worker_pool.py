"""The pool that starts Beam's workers for Flink."""

import multiprocessing
import socket
from unittest.mock import Mock

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2 as fn_api

from pipeline.beam import worker
from pipeline.beam.flink.worker_pool import Pool

SHARED = "1-1"
CALL = Mock(spec=grpc.ServicerContext)


def start(pool: Pool, endpoint: socket.socket) -> int:
    """The process id of a new worker, all of which have the same id for Flink."""
    before = alive()
    request = fn_api.StartWorkerRequest(worker_id=SHARED)
    request.control_endpoint.url = f"127.0.0.1:{endpoint.getsockname()[1]}"
    pool.StartWorker(request, CALL)
    (started,) = alive() - before
    return started


def alive() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid}


def test_of_workers_with_one_id_the_one_that_was_given_up_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "PRELOADED", ())
    pool = Pool()
    stop = fn_api.StopWorkerRequest(worker_id=SHARED)
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        of_one, of_other = start(pool, one), start(pool, other)
        other.close()
        pool.StopWorker(stop, CALL)
        assert {of_one, of_other} & alive() == {of_one}
        pool.StopWorker(stop, CALL)
        assert of_one not in alive()
    assert pool.StopWorker(stop, CALL) == fn_api.StopWorkerResponse()
