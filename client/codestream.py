"""The size that a JPEG or JPEG 2000 codestream declares, read without decoding it."""

import dataclasses
import itertools
import struct

_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # 0xF7: JPEG-LS
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD9)) | {0x01, 0xFF}
_J2K_START = b"\xff\x4f\xff\x51"
_J2K_BOX = b"\x00\x00\x00\x0cjP  "


@dataclasses.dataclass(frozen=True)
class Frame:
    """What a codestream's header says; `start_of_frame` is a JPEG's second marker byte, else 0."""

    width: int
    height: int
    components: int
    start_of_frame: int = 0


def frame(data: bytes) -> Frame | None:
    """The frame header of a JPEG, JPEG-LS or JPEG 2000 codestream, or None where none is found.

    Source: ITU-T T.81, B.2.2; T.87, C.2.2; T.800, A.5.1.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg_frame(data)
        if data.startswith((_J2K_START, _J2K_BOX)):
            return _jpeg2000_frame(data)
    except struct.error:
        pass
    return None


def _jpeg_frame(data: bytes) -> Frame | None:
    position = 2
    while 0 <= (position := data.find(b"\xff", position)) < len(data) - 1:
        marker = data[position + 1]
        if marker in _WITHOUT_LENGTH or marker == 0:
            position += 1 if marker == 0xFF else 2
        elif marker in _STARTS_OF_FRAME:
            height, width, components = struct.unpack_from(">HHB", data, position + 5)
            return Frame(width, height, components, marker)
        else:
            position += 2 + max(2, struct.unpack_from(">H", data, position + 2)[0])
    return None


def _jpeg2000_frame(data: bytes) -> Frame | None:
    start = _codestream_in_boxes(data) if data.startswith(_J2K_BOX) else 0
    if start is None or not data.startswith(_J2K_START, start):
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    components = struct.unpack_from(">H", data, start + 40)[0]
    return Frame(right - left, bottom - top, components)


def _codestream_in_boxes(data: bytes) -> int | None:
    """Where a JP2 file's codestream begins. Source: ITU-T T.800, I.4."""
    position = 0
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1:
            length, header = struct.unpack_from(">Q", data, position + 8)[0], 16
        if kind == b"jp2c":
            return position + header
        if length < header:  # 0: to the end of the file
            return None
        position += length
    return None


def rle_exceeds(data: bytes, limit: int) -> bool:
    """Whether a segment of a DICOM RLE frame decodes to more than `limit` bytes; PS3.5, G.3 to G.5.

    Raises struct.error where the header is cut off.
    """
    count, *offsets = struct.unpack_from("<16I", data)
    return any(
        _segment_exceeds(data, start, end, limit)
        for start, end in itertools.pairwise([*offsets[:count], len(data)])
    )


def _segment_exceeds(data: bytes, position: int, end: int, limit: int) -> bool:
    total = 0
    while position < min(end, len(data)) and total <= limit:
        control = data[position]
        if control < 128:  # so many bytes and one more as they are
            total += control + 1
            position += control + 2
        else:  # the next byte repeated; 128 says nothing
            total += 257 - control if control > 128 else 0
            position += 2 if control > 128 else 1
    return total > limit
