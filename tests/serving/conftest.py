"""Servers for the tests: in this process (fast) or in one of their own (signals)."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving import flags
from serving.server import Server
from tests.ports import free_port
from tests.serving import tiny_model

ROOT = Path(__file__).parents[2]
WAIT = 60.0


def refusal(call: Callable[..., Any], message: Any) -> tuple[grpc.StatusCode, str]:
    """The code and the words with which a call is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=WAIT)
    return caught.value.code(), caught.value.details()


class Client:
    """What a test asks a server, over gRPC and over HTTP."""

    def __init__(self, grpc_port: int, rest_port: int, credentials: Any = None) -> None:
        address = f"localhost:{grpc_port}" if credentials else f"127.0.0.1:{grpc_port}"
        self.address = address
        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials
            else grpc.insecure_channel(address, options)
        )
        self.rest_port = rest_port
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, images: list[bytes], signature: str = "predict_image", **kwargs: Any) -> Any:
        message = tiny_model.request(signature, images, **kwargs)
        return self.prediction.Predict(message, timeout=WAIT)

    def states(self, model: str = "pneumonia") -> dict[int, str]:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        answer = self.models.GetModelStatus(request, timeout=WAIT)
        names = get_model_status_pb2.ModelVersionStatus.State
        return {s.version: names.Name(s.state) for s in answer.model_version_status}

    def http(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer; `body` is sent as it is if it is bytes, else as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.rest_port}{path}"
        message = urllib.request.Request(url, data=data, method=method)
        try:
            with urllib.request.urlopen(message, timeout=WAIT) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


class InProcess(Client):
    """A server on an event loop in a thread of this process."""

    def __init__(self, arguments: list[str], credentials: Any = None) -> None:
        self.flags = flags.parse(
            [f"--port={free_port()}", f"--rest_api_port={free_port()}", *arguments]
        )
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(WAIT)
        super().__init__(self.flags.port, self.flags.rest_api_port, credentials)
        grpc.channel_ready_future(self.channel).result(WAIT)

    async def _serve(self) -> None:
        self.server = Server(self.flags)
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self.server.run()

    def stop(self) -> None:
        self.channel.close()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()


class Process(Client):
    """`python -m serving` on a model folder, its log in a file."""

    def __init__(self, base: Path, log: Path, *arguments: str) -> None:
        ports = free_port(), free_port()
        self.log = log
        with log.open("w") as stream:
            self.popen = subprocess.Popen(
                [
                    *(sys.executable, "-m", "serving"),
                    *(f"--port={ports[0]}", f"--rest_api_port={ports[1]}"),
                    *("--model_name=pneumonia", f"--model_base_path={base}", *arguments),
                ],
                cwd=ROOT,
                stderr=stream,
            )
        super().__init__(*ports)
        grpc.channel_ready_future(self.channel).result(WAIT)

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def begin(base: Path, *arguments: str) -> Process:
        made.append(Process(base, tmp_path / "server.log", *arguments))
        return made[-1]

    yield begin
    for one in made:
        one.channel.close()
        one.popen.kill()
        one.popen.wait(WAIT)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 (probability = grey), 2 (a tenth more) and 3 (two tenths more); read only."""
    base = tmp_path_factory.mktemp("exported")
    for number, bias in ((1, 0.0), (2, 0.1), (3, 0.2)):
        tiny_model.export(base / str(number), bias)
    return base


@pytest.fixture
def base_path(tmp_path: Path, exported: Path) -> Path:
    """A model's own folder, holding version 1."""
    base = tmp_path / "models"
    shutil.copytree(exported / "1", base / "1")
    return base


@pytest.fixture
def start() -> Iterator[Callable[..., InProcess]]:
    """Starts servers in this process; they are stopped with the test."""
    servers: list[InProcess] = []

    def begin(*arguments: str, credentials: Any = None) -> InProcess:
        servers.append(InProcess(list(arguments), credentials))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def shared(exported: Path) -> Iterator[InProcess]:
    """One server on versions 1 and 2, for tests that change nothing."""
    config = exported.parent / "models.config"
    config.write_text(
        f"""model_config_list {{ config {{
            name: "pneumonia" base_path: "{exported}" model_platform: "tensorflow"
            model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
            version_labels {{ key: "stable" value: 1 }} }} }}"""
    )
    server = InProcess(
        [f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models"]
    )
    yield server
    server.stop()


@pytest.fixture(scope="session")
def big_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with 60 MB of variables."""
    return tiny_model.export(tmp_path_factory.mktemp("big") / "1", ballast=15_000_000)
