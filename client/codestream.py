"""The size that a JPEG or JPEG 2000 codestream declares, read without decoding it."""

import dataclasses
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
    start = data.find(_J2K_START)
    if start < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    components = struct.unpack_from(">H", data, start + 40)[0]
    return Frame(right - left, bottom - top, components)
