"""A PACS, a gateway process and a fake model server."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.client.fake_server import FakeModel, serve
from tests.client.pacs.orthanc import Orthanc, wait_for
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]


class GatewayProcess:
    """`pneumonia pacs` as a user runs it; all that it writes is kept in `log`."""

    def __init__(self, folder: Path, server: int, *options: str, listen: int | None = None):
        self.listen, self.http = listen or free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.log = folder / "gateway.log"
        self.queue = folder / "queue"
        self._command = [sys.executable, "cli.py", "pacs", "--queue", str(self.queue)]
        self._command += ["--server", f"127.0.0.1:{server}", "--timeout", "10"]
        self._command += ["--http", str(self.http), *options]
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)
        wait_for(self._answers)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(600)
        self.process = None
        return code

    def look(self, *arguments: str) -> str:
        command = [*self._command[:3], *arguments, "--queue", str(self.queue)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
        return done.stdout + done.stderr

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=200)

    def films(self) -> dict[str, int]:
        """Films by state, from the metrics."""
        start = 'pneumonia_pacs_films{state="'
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith(start)]
        return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/healthz").ok
        except requests.ConnectionError:
            return False


@pytest.fixture
def model():
    return FakeModel(quality=0.9, familiarity=0.9)


@pytest.fixture
def server(model):
    with serve(model) as port:
        yield port


@pytest.fixture
def gateway_port():
    return free_port()


@pytest.fixture
def orthanc(tmp_path, gateway_port):
    orthanc = Orthanc(tmp_path / "orthanc", gateway_port)
    orthanc.start()
    yield orthanc
    orthanc.stop()


@pytest.fixture
def start_gateway(tmp_path, server, gateway_port):
    """Starts a gateway with these options; it is stopped at the end."""
    started = []

    def start(*options: str) -> GatewayProcess:
        gateway = GatewayProcess(tmp_path, server, *options, listen=gateway_port)
        gateway.start()
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture
def gateway(start_gateway, orthanc, gateway_port):
    """One that Orthanc forwards to, and that stores in it by C-STORE."""
    return start_gateway(
        "--pacs", orthanc.address, "--listen", str(gateway_port), "--caller", "STORESCU",
        "--caller", "ORTHANC",
    )  # fmt: skip
