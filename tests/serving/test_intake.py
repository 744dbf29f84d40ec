"""What callers can make the server take in: memory, time, and everybody else's turn."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2

from serving import wire
from serving.errors import ServingError
from serving.intake import MAX_BODY_BYTES, MAX_MESSAGE_BYTES
from tests.serving.conftest import WAIT, Process
from tests.serving.tiny_model import png, request

PREDICT = "/tensorflow.serving.PredictionService/Predict"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
Code = grpc.StatusCode
MEBI = 2**20


@pytest.fixture
def server(launch: Callable[..., Process], base_path: Path) -> Process:
    return launch(base_path)


@pytest.fixture
def channels() -> Iterator[Callable[[Process], grpc.Channel]]:
    """Connections of their own, closed with the test."""
    with ExitStack() as stack:

        def connect(server: Process) -> grpc.Channel:
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
            return stack.enter_context(grpc.insecure_channel(server.address, options))

        yield connect


def healthy(server: Process, seconds: float = WAIT) -> bool:
    check = health_pb2_grpc.HealthStub(server.channel).Check
    answer = check(health_pb2.HealthCheckRequest(), timeout=seconds)
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def memory(server: Process, field: str = "VmRSS") -> float:
    """In MiB; VmHWM is the highest there ever was."""
    for line in Path(f"/proc/{server.popen.pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise AssertionError(field)


def dimensions(count: int, size: int) -> bytes:
    """A PredictRequest whose tensor claims so many dimensions."""
    message = predict_pb2.PredictRequest()
    message.ParseFromString(request("predict_image", [png(51)]).SerializeToString())
    dims = message.inputs["image_bytes"].tensor_shape.dim
    for _ in range(count):
        dims.add(size=size)
    return message.SerializeToString()


def test_a_tensor_of_very_many_dimensions_is_refused_at_once(server: Process) -> None:
    predict = server.channel.unary_unary(PREDICT)

    for count in (255, 50_000, 300_000):
        with pytest.raises(grpc.RpcError) as caught:
            predict(dimensions(count, 2**40), timeout=20)  # their product alone took minutes
        assert caught.value.code() is Code.INVALID_ARGUMENT

    assert healthy(server)


def test_a_message_of_millions_of_parts_is_refused_before_it_is_parsed(server: Process) -> None:
    def nested(tag: bytes, content: bytes) -> bytes:
        length, size = b"", len(content)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return tag + length + bytes([size]) + content

    shape = nested(b"\x12", b"\x12\x00" * 20_000_000)  # a byte's length each, 48 bytes parsed
    numbers = nested(b"\x52", b"\x01" * 60_000_000)  # int64_val
    keys = nested(b"\x0a", b"\x0a\x01x")
    server.predict([png(51)])
    before = memory(server)
    predict = server.channel.unary_unary(PREDICT)

    for tensor in (shape, numbers):
        with pytest.raises(grpc.RpcError) as caught:
            predict(nested(b"\x12", keys + nested(b"\x12", tensor)), timeout=WAIT)
        assert caught.value.code() is Code.INVALID_ARGUMENT

    assert memory(server, "VmHWM") < before + 250


def test_the_look_at_a_message_lets_every_request_of_many_films_pass() -> None:
    films = [png(grey % 256) for grey in range(1024)]
    data = request("predict_image", films).SerializeToString()

    wire.check(data, predict_pb2.PredictRequest.DESCRIPTOR)


@pytest.mark.parametrize("data", [b"\xff" * 30, b"\x0a\xff\xff\xff\xff\x7f", b"\x0b\x0c", b"\x12"])
def test_the_look_at_what_is_no_message_ends(data: bytes) -> None:
    wire.check(data, predict_pb2.PredictRequest.DESCRIPTOR)


def test_the_look_at_a_message_counts_across_its_parts() -> None:
    message = predict_pb2.PredictRequest()
    for name in ("a", "b"):
        message.inputs[name].string_val.extend([b""] * 40_000)

    with pytest.raises(ServingError, match="more than 65536 fields"):
        wire.check(message.SerializeToString(), predict_pb2.PredictRequest.DESCRIPTOR)


def test_many_large_messages_at_once_are_bounded_and_their_memory_given_back(
    server: Process, channels: Callable[[Process], grpc.Channel]
) -> None:
    server.predict([png(51)])
    before = memory(server)
    film = png(51) + bytes(60 * MEBI)  # what follows a PNG's end is not looked at
    data = request("predict_image", [film]).SerializeToString()
    calls = [channels(server).unary_unary(PREDICT).future(data, timeout=WAIT) for _ in range(15)]
    while not all(call.done() for call in calls):
        assert healthy(server, 5.0)
        time.sleep(0.05)
    codes = {call.code() for call in calls}

    assert codes <= {Code.OK, Code.RESOURCE_EXHAUSTED}
    assert Code.OK in codes
    assert memory(server, "VmHWM") < 1500
    end = time.monotonic() + WAIT
    while memory(server) > before + 100:
        assert time.monotonic() < end, f"{memory(server):.0f} MiB of {before:.0f} are kept"
        time.sleep(0.1)


def test_many_large_bodies_at_once_are_bounded(server: Process) -> None:
    body = b'{"instances": [{"b64": "' + b"A" * (80 * MEBI) + b'"}]}'
    path = "/v1/models/pneumonia:predict"

    def status(_: int) -> int:
        try:
            return server.http(path, body)[0]
        except URLError:  # refused before the body is read, and closed while it is sent
            return 429

    with ThreadPoolExecutor(15) as pool:
        answers = list(pool.map(status, range(15)))

    # The film is none; there is no room; who sends slowly while others wait loses the place.
    assert set(answers) <= {400, 429, 504}
    assert memory(server, "VmHWM") < 1500
    assert healthy(server)


def test_a_message_too_long_is_refused(server: Process) -> None:
    data = request("predict_image", [bytes(MAX_MESSAGE_BYTES)]).SerializeToString()

    with pytest.raises(grpc.RpcError) as caught:
        server.channel.unary_unary(PREDICT)(data, timeout=WAIT)

    assert caught.value.code() is Code.RESOURCE_EXHAUSTED


def test_a_message_that_unpacks_to_gigabytes_is_refused(server: Process) -> None:
    data = request("predict_image", [bytes(60 * MEBI)]).SerializeToString() * 8  # 0.5 MB packed
    before = memory(server)

    with pytest.raises(grpc.RpcError) as caught:
        server.channel.unary_unary(PREDICT)(data, timeout=WAIT, compression=grpc.Compression.Gzip)

    assert caught.value.code() is Code.UNIMPLEMENTED
    assert memory(server, "VmHWM") < before + 100


def silent(channel: grpc.Channel, method: str, stop: Any) -> Any:
    """A call whose message never comes."""

    def messages() -> Iterator[bytes]:
        while not stop.is_set():
            stop.wait(0.5)
        return
        yield b""

    return channel.stream_stream(method)(messages(), timeout=WAIT)


@pytest.mark.parametrize("method", [PREDICT, CHECK, WATCH, REFLECT])
def test_four_connections_that_send_nothing_shut_nobody_out(
    server: Process, channels: Callable[[Process], grpc.Channel], method: str
) -> None:
    """HTTP/2's 128 calls on each of four connections; each gets its headers through, no more."""
    stop = threading.Event()
    try:
        calls = [
            silent(channel, method, stop)
            for channel in [channels(server) for _ in range(4)]
            for _ in range(24)
        ]
        time.sleep(1.0)

        assert healthy(server, 10.0)
        assert server.predict([png(51)]).model_spec.version.value == 1
        assert server.states() == {1: "AVAILABLE"}
        assert len(calls) == 96
    finally:
        stop.set()


def test_large_bodies_that_stop_half_way_shut_nobody_out(server: Process) -> None:
    head = (
        b"POST /v1/models/pneumonia:predict HTTP/1.1\r\nHost: x\r\n"
        b"Content-Length: %d\r\n\r\n" % MAX_BODY_BYTES
    )
    body = {"signature_name": "predict_image", "instances": [{"b64": "AAAA"}]}
    with ExitStack() as stack:
        for _ in range(12):
            sender = socket.create_connection(("127.0.0.1", server.rest_port), WAIT)
            stack.enter_context(sender)
            sender.sendall(head)
            sender.setblocking(False)
            with suppress(BlockingIOError):
                sender.send(bytes(20 * MEBI))

        for _ in range(3):
            status, answer = server.http("/v1/models/pneumonia:predict", body)
            assert status == 400, answer  # no film, and no 429 or 504
        assert healthy(server, 5.0)
        assert memory(server, "VmHWM") < 1500


def test_json_of_millions_of_keys_is_refused_before_it_is_parsed(server: Process) -> None:
    keys = ",".join(f'"{key}":1' for key in range(4_000_000))
    bodies = [
        f'{{"instances": [{{{keys}}}]}}'.encode(),
        b'{"instances": [' + b'"",' * 20_000_000 + b'""]}',
        json.dumps({"instances": [[0.5] * 3_000_000]}).encode(),
    ]
    server.predict([png(51)])

    for body in bodies:
        status, answer = server.http("/v1/models/pneumonia:predict", body)
        assert status == 400
        assert "more than" in answer["error"]

    assert memory(server, "VmHWM") < 900
    assert psutil.Process(server.popen.pid).is_running()
