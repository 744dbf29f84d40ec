"""The server under pressure: batches, a full queue, callers that leave, TLS, hostile senders."""

import asyncio
import base64
import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import tensorflow as tf

from tests.serving.conftest import WAIT, Client, InProcess
from tests.serving.tiny_model import export, png, request

Start = Callable[..., InProcess]
Code = grpc.StatusCode


def serve(start: Start, base: Path, *arguments: str) -> InProcess:
    return start("--model_name=pneumonia", f"--model_base_path={base}", *arguments)


@pytest.fixture
def batching(tmp_path: Path) -> tuple[str, str]:
    """Flags for batches of up to 8 that wait for each other for long."""
    file = tmp_path / "batching.txt"
    file.write_text(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 10000000 } "
        "num_batch_threads { value: 1 }"
    )
    return "--enable_batching", f"--batching_parameters_file={file}"


def test_an_undecodable_image_fails_its_own_request_alone(
    start: Start, base_path: Path, batching: tuple[str, str]
) -> None:
    server = serve(start, base_path, "--enable_model_warmup=false", *batching)
    images = [png(grey) for grey in (0, 51, 102, 153, 204, 255)]
    images[2:2] = [b"no image", png(51)[:50]]

    calls = [
        server.prediction.Predict.future(request("predict_image", [image]), timeout=WAIT)
        for image in images
    ]
    codes = [call.code() for call in calls]

    assert codes == [Code.OK] * 2 + [Code.INVALID_ARGUMENT] * 2 + [Code.OK] * 4
    fine = [
        call.result().outputs["probability"].float_val[0] for call in calls if not call.exception()
    ]
    assert fine == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    page = server.server._metrics.page().decode()
    assert ":tensorflow:serving:batching_session:processed_batch_size_sum 8.0" in page
    assert ":tensorflow:serving:batching_session:processed_batch_size_count 1.0" in page


@pytest.fixture
def slow_base(tmp_path: Path) -> Path:
    """A version whose every request takes long, and stops at its deadline."""
    export(tmp_path / "slow" / "1", work=1_000_000)
    return tmp_path / "slow"


@pytest.fixture
def tiny_queue(tmp_path: Path) -> tuple[str, ...]:
    """Flags for one thread and a queue of two."""
    file = tmp_path / "queue.txt"
    file.write_text(
        "max_batch_size { value: 1 } max_enqueued_batches { value: 2 } "
        "num_batch_threads { value: 1 }"
    )
    flags = "--enable_batching", f"--batching_parameters_file={file}"
    return *flags, "--enable_model_warmup=false", "--drain_seconds=0"


def waiting(server: InProcess, count: int) -> None:
    end = time.monotonic() + WAIT
    while server.server._batcher.queued() != count:
        assert time.monotonic() < end
        time.sleep(0.005)


def filled(server: InProcess, message: Any) -> list[grpc.Future]:
    """Calls of which one runs and two wait; who comes before the first one runs may be refused."""
    calls: list[grpc.Future] = []
    end = time.monotonic() + WAIT
    while len(calls) < 3 or server.server._batcher.queued() != 2:
        assert time.monotonic() < end
        if len(calls) < 3:
            calls.append(server.prediction.Predict.future(message, timeout=15.0))
        time.sleep(0.1)
        calls = [call for call in calls if not call.done()]
    return calls


def test_beyond_the_queue_requests_are_shed_and_the_server_stays_responsive(
    start: Start, slow_base: Path, tiny_queue: tuple[str, ...]
) -> None:
    server = serve(start, slow_base, *tiny_queue)
    message = request("predict_image", [png(51)])
    calls = filled(server, message)

    with pytest.raises(grpc.RpcError) as caught:
        server.predict([png(51)])
    body = {"instances": [{"b64": base64.b64encode(png(51)).decode()}]}
    status, answer = server.http(
        "/v1/models/pneumonia:predict", {"signature_name": "predict_image", **body}
    )

    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    assert status == 429
    assert "is full" in answer["error"]
    assert server.states() == {1: "AVAILABLE"}

    for call in calls[1:]:  # whoever leaves makes room
        call.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.Predict(message, timeout=0.3)
    assert caught.value.code() is Code.DEADLINE_EXCEEDED


def test_a_deadline_ends_the_work_itself(
    start: Start, slow_base: Path, tiny_queue: tuple[str, ...]
) -> None:
    server = serve(start, slow_base, *tiny_queue)

    for _ in range(3):  # one thread: a run that went on would hold up the next
        with pytest.raises(grpc.RpcError) as caught:
            server.prediction.Predict(request("predict_image", [png(51)]), timeout=0.3)
        assert caught.value.code() is Code.DEADLINE_EXCEEDED
    waiting(server, 0)


def test_an_http_request_is_given_up_after_its_time(
    start: Start, slow_base: Path, tiny_queue: tuple[str, ...]
) -> None:
    server = serve(start, slow_base, *tiny_queue, "--rest_api_timeout_in_ms=300")
    body = {
        "signature_name": "predict_image",
        "instances": [{"b64": base64.b64encode(png(51)).decode()}],
    }

    assert server.http("/v1/models/pneumonia:predict", body)[0] == 504


def test_a_slow_sender_is_cut_off_and_holds_nobody_up(start: Start, base_path: Path) -> None:
    server = serve(start, base_path, "--rest_api_timeout_in_ms=300")
    head = b"POST /v1/models/pneumonia:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    senders = [socket.create_connection(("127.0.0.1", server.rest_port), WAIT) for _ in range(30)]
    for sender in senders:
        sender.sendall(head)

    assert server.http("/v1/models/pneumonia")[0] == 200
    for sender in senders:
        assert sender.recv(100).startswith(b"HTTP/1.1 504")
        sender.close()


# Malformed requests


def hostile_predict(chance: random.Random) -> bytes:
    """A PredictRequest with one thing wrong, serialized."""
    message = request("predict_image", [png(chance.randrange(256))])
    tensor = message.inputs["image_bytes"]
    kind = chance.randrange(10)
    if kind == 0:
        tensor.string_val[0] = chance.randbytes(chance.randrange(2000))
    elif kind == 1:
        tensor.string_val[0] = tensor.string_val[0][: chance.randrange(60)]
    elif kind == 2:
        tensor.tensor_shape.dim[0].size = chance.choice([-1, 0, 2, 10**9, 2**62])
    elif kind == 3:
        tensor.dtype = chance.randrange(-1, 140)
    elif kind == 4:
        message.model_spec.name = chance.choice(["", "x" * 10_000, "\x00", "é"])
    elif kind == 5:
        message.output_filter.extend(chance.choice([["x"], ["label"] * 2, ["\x00"]]))
    elif kind == 6:
        tensor.CopyFrom(tf.make_tensor_proto([[1.0] * 9]))
        tensor.tensor_shape.dim.add(size=2**40)
    elif kind == 8:
        for _ in range(chance.choice([32, 64, 254, 255, 10_000])):
            tensor.tensor_shape.dim.add(size=chance.choice([0, 1, 2**62]))
    elif kind == 9:
        tensor.int64_val.extend([0] * chance.randrange(100_000))
    data = bytearray(message.SerializeToString())
    if kind == 7:
        for _ in range(5):
            data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def hostile_http(chance: random.Random) -> bytes:
    """One HTTP request as it goes over the wire, with something wrong."""
    bodies = [
        b"",
        b"{",
        chance.randbytes(100),
        b'{"instances": [{"b64": "!!"}]}',
        b'{"instances": ' + b"[" * 5000,
        b'{"signature_name": "predict_image", "instances": [{"b64": "AAAA"}]}',
        b'{"instances": [1e999, NaN, null]}',
        b'{"inputs": {"examples": {"b64": 3}}}',
        b'{"instances": [' + b'"",' * chance.randrange(1_000_000) + b'""]}',
        b'{"instances": [{' + b'"k":1,' * chance.randrange(1000) + b'"k":1}]}',
    ]
    body = chance.choice(bodies)
    path = chance.choice(
        ["/v1/models/pneumonia:predict", "/v1/models/%00:predict", "/v1/models/pneumonia:nothing"]
    )
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    length = chance.choice([len(body), len(body), len(body) + 7, -1])
    if chance.random() < 0.1:
        return chance.randbytes(200) + b"\r\n\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + body


def throw_at(server: Client, count: int, seed: int) -> float:
    """Sends `count` malformed requests; returns the seconds that the slowest answer took.

    A failure must be an answer, never a dead server.
    """
    chance = random.Random(seed)
    slowest = 0.0
    raw = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    for _ in range(count // 2):
        data = hostile_predict(chance)
        start = time.monotonic()
        call = raw.future(data, timeout=WAIT)
        assert call.code() not in (Code.UNKNOWN, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
        assert call.code() is Code.OK or call.details()
        slowest = max(slowest, time.monotonic() - start)
    for _ in range(count - count // 2):
        with socket.create_connection(("127.0.0.1", server.rest_port), WAIT) as connection:
            start = time.monotonic()
            answer = b""
            # Where the length is no number, the server answers and closes amid the body: the rest
            # may not be taken, and what the server said may be lost with the connection.
            with contextlib.suppress(OSError):
                connection.sendall(hostile_http(chance))
                if chance.random() < 0.3:  # leaves without reading; at times with a reset
                    if chance.random() < 0.5:
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    continue
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(100)
            assert answer[9:10] != b"5", answer
            slowest = max(slowest, time.monotonic() - start)
    return slowest


def test_malformed_requests_are_answered_and_the_server_goes_on(
    start: Start, base_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(start, base_path)

    throw_at(server, 400, seed=1)

    assert server.predict([png(51)]).model_spec.version.value == 1
    assert "request broke" not in caplog.messages
    waiting(server, 0)


@pytest.mark.slow
def test_ten_thousand_malformed_requests_leave_no_trace(
    start: Start, base_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(start, base_path)
    throw_at(server, 1000, seed=2)
    caplog.clear()
    before = psutil.Process().memory_info().rss

    for seed in range(3, 13):
        throw_at(server, 1000, seed)
        assert "request broke" not in caplog.messages
        caplog.clear()

    assert psutil.Process().memory_info().rss - before < 32 * 2**20
    assert server.predict([png(51)]).model_spec.version.value == 1


# TensorFlow Serving's own example client, as its documentation has it


def test_the_documented_asynchronous_client_works_unchanged(shared: InProcess) -> None:
    """example/mnist_client.py: a future with a callback that reads `float_val`."""
    done = threading.Event()
    values: list[float] = []

    def read(future: Any) -> None:
        values.extend(future.result().outputs["probability"].float_val)
        done.set()

    future = shared.prediction.Predict.future(request("predict_image", [png(51)]), 5.0)
    future.add_done_callback(read)

    assert done.wait(WAIT)
    assert values == pytest.approx([0.3])


def test_an_asyncio_client_can_ask_many_things_at_once(shared: InProcess) -> None:
    async def ask() -> list[float]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{shared.flags.port}") as channel:
            predict = channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=type(shared.predict([png(0)])).FromString,
            )
            answers = await asyncio.gather(
                *(predict(request("predict_image", [png(5 * i)]), timeout=WAIT) for i in range(40))
            )
            return [answer.outputs["probability"].float_val[0] for answer in answers]

    assert asyncio.run(ask()) == pytest.approx([5 * i / 255 + 0.1 for i in range(40)])
