"""Over the network: TLS both ways, and a queue that is full."""

import io
import re
import ssl
from contextlib import contextmanager

import pydicom
import pytest
from pynetdicom import AE, evt

from client.pacs.destination import ANSWERS
from client.pacs.intake import OUT_OF_RESOURCES, SUCCESS
from tests.client.pacs.films import film
from tests.client.pacs.orthanc import wait_for
from tests.client.pacs.sender import association, body, store
from tests.serving.test_tls import certificate


def uid(content: bytes) -> str:
    return str(pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID)


def send(port: int, content: bytes, **options: object) -> int | None:
    with association(port, **options) as caller:
        return store(caller, body(content), uid(content))


def test_a_full_queue_refuses_until_there_is_room(start_gateway, gateway_port, unused_port):
    gateway = start_gateway(
        "--pacs", f"AWAY@127.0.0.1:{unused_port}", "--listen", str(gateway_port),
        "--caller", "STORESCU", "--disk-limit", "5",
    )  # fmt: skip
    assert send(gateway.listen, film(1)) == SUCCESS  # its answers may take four of the five
    assert send(gateway.listen, film(2)) == OUT_OF_RESOURCES
    assert send(gateway.listen, film(1)) in (SUCCESS, OUT_OF_RESOURCES)
    assert gateway.get("/readyz").json()["queue"] == "full"
    wait_for(lambda: gateway.films()["answered"] == 1)
    (row,) = gateway.get("/api/worklist").json()
    assert "ignore" in gateway.look("ignore", row["film"])
    assert send(gateway.listen, film(2)) == SUCCESS
    page = gateway.get("/metrics").text
    assert re.search(r'refused_total\{reason="queue full"\} [12]', page)


@pytest.fixture
def pem(tmp_path) -> dict[str, str]:
    """A certificate for localhost that vouches for itself, its key, and a stranger's."""
    files = {}
    for owner in ("own", "strange"):
        for name, text in zip(("key", "cert"), certificate(), strict=True):
            path = tmp_path / f"{owner}-{name}.pem"
            path.write_text(text)
            files[f"{owner}-{name}"] = str(path)
    return files


@contextmanager
def pacs(pem: dict[str, str], port: int):
    """A Storage SCP that speaks TLS alone; yields what it has stored."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem["own-cert"], pem["own-key"])
    context.load_verify_locations(pem["own-cert"])
    context.verify_mode = ssl.CERT_REQUIRED
    stored = []

    def keep(event) -> int:
        stored.append(event.dataset)
        return SUCCESS

    ae = AE("PACS")
    for sop_class in {sop_class for sop_class, _ in ANSWERS}:
        ae.add_supported_context(sop_class)
    server = ae.start_server(
        ("127.0.0.1", port),
        block=False,
        ssl_context=context,
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    try:
        yield stored
    finally:
        server.shutdown()


def client(pem: dict[str, str], owner: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pem["own-cert"])
    if owner:
        context.load_cert_chain(pem[f"{owner}-cert"], pem[f"{owner}-key"])
    return context


def test_films_and_answers_go_over_tls_and_no_stranger_is_heard(
    start_gateway, gateway_port, unused_port, pem
):
    with pacs(pem, unused_port) as stored:
        gateway = start_gateway(
            "--pacs", f"PACS@localhost:{unused_port}", "--listen", str(gateway_port),
            "--caller", "STORESCU", "--dicom-cert", pem["own-cert"],
            "--dicom-key", pem["own-key"], "--dicom-ca", pem["own-cert"],
        )  # fmt: skip
        content = film(1)
        for tls in (None, client(pem, ""), client(pem, "strange")):
            with association(gateway.listen, tls=tls) as caller:
                assert not caller.is_established
        assert send(gateway.listen, content, tls=client(pem, "own")) == SUCCESS
        wait_for(lambda: gateway.films()["stored"] == 1)
    study = pydicom.dcmread(io.BytesIO(content)).StudyInstanceUID
    assert {dataset.Modality for dataset in stored} == {"SR", "OT", "PR"}
    assert {dataset.StudyInstanceUID for dataset in stored} == {study}
    (capture,) = (dataset for dataset in stored if dataset.Modality == "OT")
    assert capture.PhotometricInterpretation == "RGB", "it takes no JPEG"
    assert len(capture.PixelData) == pytest.approx(capture.Rows * capture.Columns * 3, abs=1)
