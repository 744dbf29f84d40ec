"""The page, in this process for its API, or as the command that users start."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from client import PneumoniaClient
from client.web.app import create_app
from client.web.limits import PageLimits

ROOT = Path(__file__).resolve().parents[3]
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def make_page(port):
    """Flask's test client for a page on the fake server, or on another port."""
    clients = []

    def make(server_port=port, hosts=None, **limits):
        clients.append(PneumoniaClient(f"127.0.0.1:{server_port}", timeout=10))
        return create_app(clients[-1], PageLimits(**limits), hosts).test_client()

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def page(make_page):
    return make_page()


@contextmanager
def running_page(port, server_port, *, env=None):
    """`pneumonia web` as a process, once it answers."""
    command = [sys.executable, "-m", "cli", "web", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--server", f"127.0.0.1:{server_port}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
    ) as process:
        try:
            _await(f"http://127.0.0.1:{port}/health", process)
            yield process
        finally:
            process.terminate()


def _await(url, process):
    for _ in range(300):
        if process.poll() is not None:
            pytest.fail(f"the page ended: {process.stdout.read()}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail("the page never answered")
