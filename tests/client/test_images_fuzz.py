"""Whatever the bytes are, the reader answers with a picture or a reason, soon and within memory."""

import io
import resource

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from client import images
from tests.client.image_files import every_kind, mutated

KINDS = every_kind()
MAX_PIXELS = 2_000_000
MAX_SECONDS = 1  # of the processor, per file of a few kilobytes; a hang is what is looked for
MAX_GROWTH = 600 * 2**10  # kilobytes over all files; one picture at the cap takes far less


def check(data: bytes) -> None:
    started = processor_seconds()
    try:
        xray = images.read(data, max_pixels=MAX_PIXELS)
    except images.ImageError as refusal:
        answer = str(refusal)
    else:
        answer = repr(xray)
        image = Image.open(io.BytesIO(xray.data))
        assert np.asarray(image).shape[:2] == (xray.height, xray.width)
        assert xray.width * xray.height <= MAX_PIXELS
    assert len(answer.splitlines()) == 1
    assert processor_seconds() - started < MAX_SECONDS


def processor_seconds() -> float:
    """Of this process: a worker that decodes is ended by the system after as many."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def fuzz(kind: str, count: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(count):
        check(mutated(KINDS[kind], f"{kind} {seed}"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files(kind):
    fuzz(kind, 40)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_mutated_files(kind):
    fuzz(kind, 10_000 // len(KINDS))


@pytest.mark.parametrize("start", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", bytes(128) + b"DICM"])
@given(rest=st.binary(max_size=200))
def test_magic_bytes_and_then_anything(start, rest):
    check(start + rest)
