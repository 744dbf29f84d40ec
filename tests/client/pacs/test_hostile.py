"""What a gateway is sent that is no film: each is refused, and nothing of it stays or is said."""

import io
import re
import socket
import struct

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForProcessing,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from client.pacs.intake import MISMATCH, NOT_UNDERSTOOD, SUCCESS
from tests.client.pacs.conftest import GatewayProcess
from tests.client.pacs.films import IDENTIFIERS, film
from tests.client.pacs.orthanc import wait_for
from tests.client.pacs.sender import association, body, store

MARKUP = "<script>alert('Wintergreen')</script>"
SECRETS = (*IDENTIFIERS, MARKUP, "<script>", "alert(")  # the pages have scripts by name


@pytest.fixture
def gateway(start_gateway, gateway_port, unused_port) -> GatewayProcess:
    """Its PACS is away: nothing may leave, and all that stays would be seen."""
    pacs = f"AWAY@127.0.0.1:{unused_port}"
    return start_gateway(
        "--pacs", pacs, "--listen", str(gateway_port), "--caller", "STORESCU", "--tries", "1",
        "--film-limit", "1",
    )  # fmt: skip


def changed(**elements: object) -> bytes:
    """A film's data set with other elements; None leaves one out. Its name has markup."""
    return body(film(99, **({"PatientName": MARKUP} | elements)))


def _bomb() -> bytes:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item * 60_000
    return sequence + changed()


def _header(**elements: int) -> bytes:
    """A film whose header says other sizes than its pixels have."""
    dataset = pydicom.dcmread(io.BytesIO(film(99, PatientName=MARKUP)))
    for name, value in elements.items():
        setattr(dataset, name, value)
    file = io.BytesIO()
    dataset.save_as(file)
    return body(file.getvalue())


CONTEXTS = {  # SOP class and transfer syntax that are not accepted
    "a CT": (CTImageStorage, None),
    "an MR": (MRImageStorage, None),
    "a capture": (SecondaryCaptureImageStorage, None),
    "a film for processing": (DigitalXRayImageStorageForProcessing, None),
    "a PDF": (EncapsulatedPDFStorage, None),
    "a report": (EnhancedSRStorage, None),
    "a deflated film": (None, DeflatedExplicitVRLittleEndian),
}
CALLERS = {
    "a wrong called title": {"called": "OTHER"},
    "a wrong calling title": {"caller": "STRANGER"},
    "a title with markup": {"caller": "<b>STORESCU"},
    "a title of another case": {"caller": "storescu"},
}
UID = str(pydicom.dcmread(io.BytesIO(film(99))).SOPInstanceUID)
OTHER_UID = str(pydicom.dcmread(io.BytesIO(film(98))).SOPInstanceUID)  # the queue knows the first
BODIES = {  # data set, announced instance and status
    "another class inside": (changed(SOPClassUID=CTImageStorage), UID, MISMATCH),
    "another instance inside": (changed(), "1.2.3.4", MISMATCH),
    "a UID that is a path": (changed(), "../../etc/passwd", MISMATCH),
    "a UID with markup": (changed(), "1.2.<b>", MISMATCH),
    "a CT's modality": (changed(Modality="CT"), UID, MISMATCH),
    "no modality, no film's class": (
        changed(Modality=None, SOPClassUID=SecondaryCaptureImageStorage),
        UID,
        MISMATCH,
    ),
    "no pixels": (changed(PixelData=None), UID, MISMATCH),
    "frames": (changed(NumberOfFrames=2), UID, MISMATCH),
    "colour": (changed(PhotometricInterpretation="RGB"), UID, MISMATCH),
    "32 bits": (_header(BitsAllocated=32, BitsStored=32), UID, MISMATCH),
    "no study": (changed(StudyInstanceUID=""), UID, MISMATCH),
    "a series with markup": (changed(SeriesInstanceUID=MARKUP), UID, MISMATCH),
    "a study that is a path": (changed(StudyInstanceUID="../.."), UID, MISMATCH),
    "65535 x 65535 pixels": (_header(Rows=65535, Columns=65535), UID, NOT_UNDERSTOOD),
    "no rows": (_header(Rows=0), UID, NOT_UNDERSTOOD),
    "60,000 items": (_bomb(), UID, NOT_UNDERSTOOD),
    "nothing": (b"", UID, None),  # hung up on: a C-STORE has a data set
    "noise": (np.random.default_rng(0).bytes(5000), UID, MISMATCH),
    "half a header": (changed()[:90], UID, MISMATCH),
    "a side view": (changed(ViewPosition="LL"), UID, SUCCESS),
    "a hand": (changed(BodyPartExamined="HAND"), UID, SUCCESS),
    "half of the pixels": (changed(SOPInstanceUID=OTHER_UID)[:-4000], OTHER_UID, SUCCESS),
}
COMPRESSED = {  # data set in a transfer syntax and its status
    "JPEG that is noise": (JPEGBaseline8Bit, b"\xff\xd8" + b"noise" * 99, NOT_UNDERSTOOD),
    "JPEG 2000 that is noise": (JPEG2000Lossless, b"\xff\x4f" + b"noise" * 99, NOT_UNDERSTOOD),
    "RLE that swells": (RLELossless, struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 9**5,
                        NOT_UNDERSTOOD),
}  # fmt: skip


def encapsulated(content: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(film(99, PatientName=MARKUP)))
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = pydicom.encaps.encapsulate([content])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    file = pydicom.filebase.DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    pydicom.filewriter.write_dataset(file, dataset)
    return file.getvalue()


def test_forty_hostile_objects_are_refused_and_leave_nothing(gateway, model):
    for name, (sop_class, syntax) in CONTEXTS.items():
        offer = {"sop_class": sop_class, "syntax": syntax}
        with association(gateway.listen, **{k: v for k, v in offer.items() if v}) as caller:
            assert not caller.accepted_contexts, name
    for name, titles in CALLERS.items():
        with association(gateway.listen, **titles) as caller:
            assert caller.is_rejected, name
    for name, (content, instance, status) in BODIES.items():
        with association(gateway.listen) as caller:
            assert store(caller, content, instance) == status, name
    for name, (syntax, content, status) in COMPRESSED.items():
        with association(gateway.listen, syntax=syntax) as caller:
            assert store(caller, encapsulated(content), UID) == status, name
    with association(gateway.listen) as caller:
        size = 2**22  # four times what the gateway takes of a film
        huge = changed() + struct.pack("<HH2sHI", 0x7FE1, 0x1000, b"OB", 0, size) + bytes(size)
        assert store(caller, huge, UID) is None  # hung up on
    half = [b"", b"\x01\x00\x00\x00\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff" * 4096]
    for words in half:
        with socket.create_connection(("127.0.0.1", gateway.listen)) as caller:
            caller.sendall(words)
    with association(gateway.listen) as caller:
        caller.abort()
    assert len({*CONTEXTS, *CALLERS, *BODIES, *COMPRESSED}) + 1 + len(half) + 1 >= 40

    with association(gateway.listen) as caller:  # and it goes on
        assert caller.is_established
    wait_for(lambda: gateway.films()["failed"] == 1)
    assert gateway.films() == dict.fromkeys(gateway.films(), 0) | {"failed": 1, "ignored": 1}
    assert model.calls == []
    refused = re.findall(r'refused_total\{reason="([^"]+)"\} (\d+)', gateway.get("/metrics").text)
    assert dict(refused)["caller"] == str(len(CALLERS))
    wait_for(lambda: (gateway.queue / "queue.db-wal").stat().st_size == 0)
    gateway.stop()
    assert_says_nothing(gateway)


def assert_says_nothing(gateway: GatewayProcess, *more: str) -> None:
    """No secret in any file that the gateway wrote, its log among them."""
    files = [gateway.log, *(path for path in gateway.queue.rglob("*") if path.is_file())]
    assert len(files) > 2
    for path in files:
        content = path.read_bytes()
        found = [word for word in (*SECRETS, *more) if word.encode() in content]
        assert not found, f"{path.name}: {found}"
        assert not [word for word in SECRETS if word in path.name]


def test_no_answered_film_leaves_a_name_on_disk_or_in_a_log(
    start_gateway, gateway_port, unused_port, model
):
    """Its answers wait, for the PACS is away; once they are ignored nothing of them is left."""
    gateway = start_gateway(
        "--pacs", f"AWAY@127.0.0.1:{unused_port}", "--listen", str(gateway_port),
        "--caller", "STORESCU",
    )  # fmt: skip
    contents = [film(number) for number in range(5)]
    for content in contents:
        instance = str(pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID)
        with association(gateway.listen) as caller:
            assert store(caller, body(content), instance) == SUCCESS
    wait_for(lambda: gateway.films()["answered"] == 5)
    assert (
        IDENTIFIERS[1].encode()
        in (gateway.queue / "queue.db").read_bytes() + (gateway.queue / "queue.db-wal").read_bytes()
    )  # the answers have it, so the test would see it
    for path in ("/metrics", "/", "/api/worklist", "/readyz", "/healthz"):
        text = gateway.get(path).text
        assert not [word for word in SECRETS if word in text], path
    assert gateway.get("/readyz").status_code == 503
    assert gateway.get("/readyz").json()["pacs"] == "no association"
    keys = [row["film"] for row in gateway.get("/api/worklist").json()]
    assert gateway.look("ignore", *keys).count("ignore\n") == 5
    wait_for(lambda: (gateway.queue / "queue.db-wal").stat().st_size == 0)
    gateway.stop()
    assert_says_nothing(gateway)
