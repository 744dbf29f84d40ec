"""TFRecord files, without TensorFlow: written whole, read to the last whole record.

Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/lib/hash/crc32c.h.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import google_crc32c

_LENGTH: Final = struct.Struct("<Q")
_CHECK: Final = struct.Struct("<I")
_HEAD: Final = _LENGTH.size + _CHECK.size
_LARGEST: Final = 2**30  # bytes of a record; more is a damaged length


def framed(record: bytes) -> bytes:
    """A record as it stands in a file: length, check of the length, the bytes, their check."""
    length = _LENGTH.pack(len(record))
    return length + _checked(length) + record + _checked(record)


def read(path: Path) -> Iterator[bytes]:
    """The records of a file up to the first that is not whole.

    A process that is killed leaves half a record at the end, and nothing is lost but that.
    """
    with path.open("rb") as file:
        while len(head := file.read(_HEAD)) == _HEAD:
            length, check = head[: _LENGTH.size], head[_LENGTH.size :]
            (size,) = _LENGTH.unpack(length)
            if check != _checked(length) or size > _LARGEST:
                return
            record, check = file.read(size), file.read(_CHECK.size)
            if len(record) < size or check != _checked(record):
                return
            yield record


def _checked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return _CHECK.pack((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
