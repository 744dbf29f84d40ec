"""A fake model server, and X-rays to send to it."""

import io

import numpy as np
import pytest
from PIL import Image

from client import PneumoniaClient
from tests.client.fake_server import FakeModel, serve
from tests.ports import free_port


def jpeg(brightness: int = 200, size: tuple[int, int] = (64, 48)) -> bytes:
    """An evenly grey JPEG; the fake model's probability is brightness / 255."""
    file = io.BytesIO()
    Image.new("L", size, brightness).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def port(model):
    with serve(model) as port:
        yield port


@pytest.fixture
def client(port):
    with PneumoniaClient(f"127.0.0.1:{port}", timeout=20) as client:
        yield client


@pytest.fixture
def unused_port():
    return free_port()


@pytest.fixture
def noise_png():
    """Five million bytes that do not compress: larger than gRPC's defaults."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (2240, 2240), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()
