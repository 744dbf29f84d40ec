"""The servers under test, each a process of its own that is asked the same thing."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import requests
from PIL import Image
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks import packages
from pipeline import pretrained

PATIENCE = 120.0
_FASTAPI = ("fastapi==0.115.*", "uvicorn==0.34.*", "python-multipart==0.0.20")


class Direct:
    """The SavedModel called in a loop, without a server."""

    def __init__(self, model: Path, image: Path) -> None:
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.direct", str(model), str(image)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"
        self.first_answer = time.perf_counter() - start

    def call(self, signature: str, count: int = 1) -> float:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{signature} {count}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Embedded:
    """`python -m serving`, asked over gRPC."""

    def __init__(self, model: Path, image: Path, *flags: str, code: Path | None = None) -> None:
        port = free_port()
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "serving", f"--port={port}", "--model_name=pneumonia"),
                *(f"--model_base_path={model.parent}", *flags),
            ],
            stderr=subprocess.DEVNULL,
            cwd=code,  # of the code that serves; None: this code
        )
        self.address, self.pid = f"127.0.0.1:{port}", self._process.pid
        self._channel = grpc.insecure_channel(self.address)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._image = image.read_bytes()
        grpc.channel_ready_future(self._channel).result(PATIENCE)
        self.call("predict_image")
        self.first_answer = time.perf_counter() - start

    def call(self, signature: str, count: int = 1) -> float:
        start = time.perf_counter()
        for _ in range(count):
            self._stub.Predict(self.request(signature), timeout=PATIENCE)
        return time.perf_counter() - start

    def request(self, signature: str) -> Any:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "pneumonia"
        request.model_spec.signature_name = signature
        tensor = request.inputs["image_bytes"]
        tensor.dtype = types_pb2.DT_STRING
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(self._image)
        return request

    def stop(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()


class Peer:
    """FastAPI around the SavedModel, asked over HTTP; its packages go into a folder of its own."""

    def __init__(self, model: Path, image: Path) -> None:
        self._packages = packages.install(Path(tempfile.mkdtemp()), *_FASTAPI)
        port = free_port()
        environment = {**os.environ, "SAVED_MODEL": str(model), "PORT": str(port)}
        # After the interpreter's own folders, so that only what is missing comes from there.
        code = (
            f"import sys, runpy; sys.path.append({self._packages!r}); "
            "runpy.run_module('benchmarks.serving.peer', run_name='__main__')"
        )
        self._url = f"http://127.0.0.1:{port}"
        self._image = image.read_bytes()
        self._session = requests.Session()
        start = time.perf_counter()
        self._process = subprocess.Popen([sys.executable, "-c", code], env=environment)
        while time.perf_counter() - start < PATIENCE:
            try:
                self.call("predict_image")
                break
            except requests.ConnectionError:
                time.sleep(0.02)
        self.first_answer = time.perf_counter() - start

    def call(self, signature: str, count: int = 1) -> float:
        start = time.perf_counter()
        for _ in range(count):
            answer = self._session.post(f"{self._url}/{signature}", files={"file": self._image})
            answer.raise_for_status()
        return time.perf_counter() - start

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._packages)


@contextmanager
def published(folder: Path) -> Iterator[Embedded]:
    """Serves the model that comes with the project; `folder` takes its files."""
    version = pretrained.unpack(folder / "models")
    server = Embedded(folder / "models" / str(version), write_image(folder / "xray.jpg"))
    try:
        yield server
    finally:
        server.stop()


def write_image(path: Path) -> Path:
    """A grey JPEG of an X-ray's size, 1800 x 1400, about half a megabyte."""
    noise = np.random.default_rng(0).normal(128, 12, (1400, 1800)).clip(0, 255)
    Image.fromarray(noise.astype(np.uint8)).save(path, quality=80)
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
