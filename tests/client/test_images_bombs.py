"""A small file that asks for much memory or time is one refused film, and the next one is read."""

import io
import os
import signal
import struct
import subprocess
import sys
import zlib

import numpy as np
import psutil
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from client import decoding, images
from client.images import ImageError, Reason
from tests.client.image_files import dicom, encoded, grey
from tests.conftest import REPOSITORY

EMPTY_ELEMENT = b"\x09\x00\x01\x10LO\0\0"
PIXEL_DATA = b"\xe0\x7f\x10\x00"


def refused(data: bytes, **caps) -> ImageError:
    with pytest.raises(ImageError) as caught:
        images.read(data, **caps)
    return caught.value


def in_dicom(content: bytes, syntax: str, rows: int, columns: int) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(dicom(bits=8, syntax=JPEG2000Lossless)))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelData = encapsulate([content])
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content


def jpeg2000(side: int, tile: int, levels=5, block=4, layers=1, precincts=b"") -> bytes:
    """A grey codestream of that shape without any data."""
    shape = struct.pack(">H8IH3B", 0, side, side, 0, 0, tile, tile, 0, 0, 1, 7, 1, 1)
    coding = (bool(precincts), 0, layers, 0, levels, block, block, 0, 1)
    return (
        b"\xff\x4f"
        + segment(0xFF51, shape)
        + segment(0xFF52, struct.pack(">BBHBBBBBB", *coding) + precincts)
        + segment(0xFF5C, b"\x40" + bytes([0x40] * (1 + 3 * levels)))
        + segment(0xFF90, struct.pack(">HIBB", 0, 14, 0, 1))
        + b"\xff\x93\xff\xd9"
    )


@pytest.mark.parametrize(
    ("said", "bomb"),
    [
        ("tiles", jpeg2000(2000, 1)),
        ("packets", jpeg2000(7000, 7000, precincts=bytes(6))),
        ("packets", jpeg2000(7000, 512, layers=65_535)),
        ("code blocks", jpeg2000(7000, 7000, levels=1, block=0)),
    ],
)
def test_a_jpeg_2000_that_promises_more_than_its_picture_is_not_decoded(said, bomb):
    side = struct.unpack_from(">I", bomb, 8)[0]
    error = refused(in_dicom(bomb, JPEG2000Lossless, side, side))
    assert error.reason == Reason.UNREADABLE
    assert said in str(error)


def progressive(scans: int) -> bytes:
    data = encoded(np.zeros((600, 600), np.uint8), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def test_the_cap_of_scans_holds_inside_a_dicom():
    error = refused(in_dicom(progressive(3000), JPEGBaseline8Bit, 600, 600))
    assert "scans" in str(error)


@pytest.mark.parametrize(
    "filler",
    [b"\xff" * 2**21, bytes(2**21), b"\xff\xfe\x00\x02" * 2**19],
    ids=["fill bytes", "junk", "empty segments"],
)
def test_a_padded_header_is_not_gone_through(filler):
    data = encoded(grey(), "JPEG")
    assert refused(data[:20] + filler + data[20:]).reason == Reason.UNREADABLE  # after JFIF's


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_chunk(chunks: bytes) -> bytes:
    data = encoded(grey(), "PNG")
    return data[:33] + chunks + data[33:]  # after IHDR


def test_a_png_of_chunks_without_number_is_refused():
    assert "chunks" in str(refused(with_chunk(chunk(b"tEXt", b"a\0b") * 60_000)))


@pytest.mark.parametrize(
    "chunks",
    [
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**26))),
        chunk(b"zTXt", b"text\0\0" + zlib.compress(bytes(2**22))) * 200,
        chunk(b"iTXt", b"text\0\1\0\0\0" + zlib.compress(bytes(2**22))),
        chunk(b"iCCP", b"icc\0\0" + b"no zlib stream"),
        chunk(b"zTXt", b"text"),
        chunk(b"eXIf", b"\0\x08\0\2\1\x12"),
        chunk(b"pHYs", b"short"),
        chunk(b"tEXt", b"text\0wrong")[:-4] + b"sum?",
    ],
    ids=["icc bomb", "text bombs", "utf8 bomb", "icc", "text", "exif", "density", "checksum"],
)
def test_what_is_wrong_beside_a_pngs_sound_pixels_harms_nobody(chunks):
    data = with_chunk(chunks)
    xray = images.read(data)
    assert xray.data in (data, encoded(grey(), "PNG"))
    assert len(xray.data) < 2**16 or b"bomb" not in chunks
    np.testing.assert_array_equal(np.asarray(images.Image.open(io.BytesIO(xray.data))), grey())


@pytest.mark.parametrize(
    "chunks",
    [
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**26))),
        chunk(b"zTXt", b"text\0\0" + zlib.compress(bytes(2**19))) * 40,
    ],
)
def test_no_bomb_beside_the_pixels_is_passed_on(chunks):
    assert images.read(with_chunk(chunks)).data == encoded(grey(), "PNG")


def with_elements(syntax: str, count: int) -> bytes:
    data = dicom(syntax=syntax)
    if syntax == ExplicitVRLittleEndian:
        at = data.index(PIXEL_DATA)
        return data[:at] + EMPTY_ELEMENT * count + data[at:]
    head = 144 + int.from_bytes(data[140:144], "little")
    content = zlib.decompress(data[head:], -zlib.MAX_WBITS)
    at = content.index(PIXEL_DATA)
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    longer = content[:at] + EMPTY_ELEMENT * count + content[at:]
    return data[:head] + squeeze.compress(longer) + squeeze.flush()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_dicom_of_millions_of_elements_is_given_up(syntax):
    error = refused(with_elements(syntax, 4_000_000))
    assert error.reason == Reason.TOO_LARGE
    assert images.read(dicom())


def test_decoders_work_within_a_limit_of_memory():
    images.read(dicom())
    worker = psutil.Process(decoding._pool._idle[-1]._process.pid)
    limit = worker.rlimit(psutil.RLIMIT_AS)[0]
    assert 2**28 < limit < worker.memory_info().vms + 2**30


def test_a_worker_that_was_killed_while_it_waited_is_replaced():
    images.read(dicom())
    for worker in decoding._pool._idle:
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
    assert images.read(dicom())


def test_workers_end_with_the_process_that_asks(tmp_path):
    film = tmp_path / "film.dcm"
    film.write_bytes(dicom())
    asks = (
        "import os, sys; from client import decoding, images; images.read(sys.argv[1]); "
        "print(decoding._pool._idle[0]._process.pid, flush=True); os._exit(0)"  # no clean-up
    )
    command = [sys.executable, "-c", asks, str(film)]
    worker = int(subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout)
    left = [psutil.Process(worker)] if psutil.pid_exists(worker) else []
    assert not psutil.wait_procs(left, 60)[1]
