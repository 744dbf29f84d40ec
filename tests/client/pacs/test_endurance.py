"""Hundreds of films while everything is killed or stopped: each is answered once."""

import io
import signal
import subprocess
import threading

import psutil
import pydicom
import pytest

from tests.client.fake_server import FakeModel, serve
from tests.client.pacs.conftest import GatewayProcess
from tests.client.pacs.films import film
from tests.client.pacs.orthanc import Orthanc, wait_for
from tests.ports import free_port

pytestmark = [pytest.mark.pacs, pytest.mark.slow]
FILMS = 500


def send_all(folder, port: int) -> None:
    """Sends what is in a folder as a modality does: whatever was refused or cut off, again."""
    for path in sorted(folder.glob("*.dcm")):
        command = ["storescu", "-aet", "STORESCU", "-aec", "PNEUMONIA", "127.0.0.1", str(port)]

        def stored(command=command, path=path) -> bool:
            return subprocess.run([*command, path], capture_output=True).returncode == 0

        wait_for(stored)


def test_500_films_through_kills_and_restarts_are_each_answered_once(tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    for number in range(FILMS):
        (films / f"{number:03}.dcm").write_bytes(film(number))
    listen, port, model = (
        free_port(),
        free_port(),
        FakeModel(quality=0.9, familiarity=0.9, delay=0.02),
    )
    orthanc = Orthanc(tmp_path / "orthanc", listen)
    orthanc.start()
    gateway = GatewayProcess(
        tmp_path, port, "--pacs", orthanc.address, "--listen", str(listen), "--caller", "STORESCU",
        listen=listen,
    )  # fmt: skip
    gateway.start()
    sending = threading.Thread(target=send_all, args=(films, listen))
    memory: list[int] = []

    def answered() -> int:
        assert gateway.process
        memory.append(psutil.Process(gateway.process.pid).memory_info().rss)
        return gateway.films()["stored"]

    try:
        sending.start()
        # What happens once so many films are stored: the gateway is killed five times, the server
        # leaves twice, the PACS is stopped once.
        for kill, until in ((False, 40), (True, 80), (True, 140), (True, 200)):
            with serve(model, port=port):
                wait_for(lambda until=until: answered() >= until)
                if kill:
                    gateway.stop(signal.SIGKILL)
                    gateway.start()
        with serve(model, port=port):
            wait_for(lambda: answered() >= 260)
            orthanc.stop()
            wait_for(lambda: gateway.get("/readyz").status_code == 503)
            gateway.stop(signal.SIGKILL)
            gateway.start()
            orthanc.start()
            wait_for(lambda: answered() >= 320)
            gateway.stop(signal.SIGKILL)
            gateway.start()
            wait_for(lambda: answered() == FILMS)
        sending.join(60)
        assert not sending.is_alive()
        states = gateway.films()
        assert states["stored"] == FILMS
        assert sum(states.values()) == FILMS
        ids = orthanc.answers()
        assert len(ids) == 3 * FILMS  # Orthanc has each UID once
        found = orthanc.get("/statistics")
        assert found["CountStudies"] == FILMS
        assert found["CountInstances"] == 3 * FILMS
        some = [pydicom.dcmread(io.BytesIO(orthanc.file(one))) for one in ids[:30]]
        assert {dataset.Modality for dataset in some} <= {"SR", "OT", "PR"}
        half = len(memory) // 2
        assert max(memory[half:]) < 1.5 * max(memory[:half]) + 50 * 2**20
    finally:
        gateway.stop()
        orthanc.stop()
