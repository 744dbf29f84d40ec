"""A look at encoded pictures before they are decoded, which nobody can stop once it has begun.

TensorFlow decodes a picture in one operation: no deadline ends it, nor a caller that hangs up.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from serving import wire
from serving.errors import invalid_argument

MAX_PIXELS = 50_000_000
MAX_SCANS = 200  # of a progressive JPEG; each goes over the whole picture
MAX_SCANNED = 1_000_000_000  # pixels of all scans
_MAX_SEGMENTS = 5_000
_MAX_PADDING = 2**16
_MAX_FIELDS = 2**18  # of all tf.Examples; 1,024 of the training set's have some 80,000
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# GIF, WebP and JPEG XL, which tf.io.decode_jpeg takes too: a few bytes of them make gigabytes. It
# refuses BMP by itself, and many a feature's text begins with BM.
_OTHERS = (b"GIF8", b"RIFF", b"\xff\x0a", b"\0\0\0\x0cJXL ")
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_SCAN, _IS_SCAN = b"\xff\xda", 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # ITU-T T.81, table B.1
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})


def check(inputs: Mapping[str, np.ndarray]) -> None:
    """Raises ServingError INVALID_ARGUMENT for a picture that asks for far too much work.

    Args:
        inputs: string tensors of JPEG, PNG or tf.Example; what is no picture, nor holds one, is
            left to the model.
    """
    from tensorflow.core.example import example_pb2

    fields = 0
    for array in inputs.values():
        for value in array.flat if array.dtype == object else ():
            _check(value)
            if not value.startswith((_PNG, _JPEG)):
                fields = wire.check(value, example_pb2.Example.DESCRIPTOR, fields, _MAX_FIELDS)
                for feature in features(value).values():
                    for held in feature.bytes_list.value:
                        _check(held)


def features(value: bytes) -> Mapping[str, Any]:
    """The features of a tf.Example that `check` has passed, by name; none of what is none."""
    from tensorflow.core.example import example_pb2

    try:
        return example_pb2.Example.FromString(value).features.feature
    except DecodeError:
        return {}


def _check(value: bytes) -> None:
    if value.startswith(_OTHERS):
        raise invalid_argument("The image is neither a JPEG nor a PNG")
    if value.startswith(_PNG):  # W3C PNG, 11.2.1: IHDR comes first
        width, height = (int.from_bytes(value[at : at + 4]) for at in (16, 20))
        scans = 1
    elif value.startswith(_JPEG):
        width, height = _jpeg_size(value)
        scans = value.count(_SCAN)
    else:
        return
    pixels = width * height
    if pixels > MAX_PIXELS:
        raise invalid_argument(f"The image has {pixels} pixels; at most {MAX_PIXELS} are decoded")
    if scans > MAX_SCANS or scans * pixels > MAX_SCANNED:
        raise invalid_argument(f"The image is a JPEG of {scans} scans, too many for its size")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height as the header says; (0, 0) where it has none, which no decoder takes."""
    size, position = (0, 0), 2
    for _ in range(_MAX_SEGMENTS):
        match = _MARKER.search(data, position, position + _MAX_PADDING)
        if match is None or match[1][0] == _IS_SCAN:
            if match is None and len(data) - position > _MAX_PADDING:
                break
            return size
        position = match.end()
        if match[1][0] in _FRAMES:
            height, width = (
                int.from_bytes(data[position + at : position + at + 2]) for at in (3, 5)
            )
            size = max(size, (width, height), key=lambda one: one[0] * one[1])
        if match[1][0] not in _WITHOUT_LENGTH:
            position += max(2, int.from_bytes(data[position : position + 2]))
    raise invalid_argument("The image is a JPEG whose header is beyond reason")
