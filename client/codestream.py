"""What JPEG, JPEG 2000 and RLE codestreams declare, read without decoding them."""

import dataclasses
import itertools
import re
import struct

from client import jpeg2000
from client.image_errors import ImageError, Reason

_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # 0xF7: JPEG-LS
_START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xDA)) | {0x01}
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SCAN = b"\xff\xda"
# Each scan goes over the whole picture; ten are usual in a progressive one.
_MOST_SCANS, _MOST_SCANNED = 200, 1_000_000_000  # the latter in pixels
# Parsers go through headers in Python, byte by byte where these are padded.
_MOST_SEGMENTS, _MOST_PADDING, _LARGEST_HEADER = 5_000, 2**16, 2**24


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

    Raises:
        ImageError: the codestream asks for far more work than its picture is worth.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg_frame(data)
        if size := jpeg2000.size(data):
            return Frame(*size)
    except struct.error:
        pass
    return None


def _jpeg_frame(data: bytes) -> Frame | None:
    found, position, padding = None, 2, 0
    for _ in range(_MOST_SEGMENTS):
        match = _MARKER.search(data, position, position + _MOST_PADDING + 2)
        if match is None:
            _refuse_if(len(data) - position > _MOST_PADDING, "a JPEG padded beyond reason")
            return found
        padding += match.end() - 2 - position
        _refuse_if(padding > _MOST_PADDING, "a JPEG padded beyond reason")
        _refuse_if(match.end() > _LARGEST_HEADER, "a JPEG whose header is beyond reason")
        position, marker = match.end(), match[0][1]
        if marker == _START_OF_SCAN:
            _check_scans(data, found)
            return found
        if marker in _WITHOUT_LENGTH:
            continue
        if marker in _STARTS_OF_FRAME and found is None:
            height, width, components = struct.unpack_from(">HHB", data, position + 3)
            found = Frame(width, height, components, marker)
        position += max(2, int.from_bytes(data[position : position + 2]))
    raise ImageError(Reason.UNREADABLE, f"a JPEG of more than {_MOST_SEGMENTS:,} segments")


def _check_scans(data: bytes, found: Frame | None) -> None:
    scans = data.count(_SCAN)
    pixels = found.width * found.height if found else 0
    _refuse_if(scans > _MOST_SCANS, f"a JPEG of more than {_MOST_SCANS} scans")
    _refuse_if(scans * pixels > _MOST_SCANNED, f"a JPEG of {scans} scans, too many for its size")


def _refuse_if(condition: bool, message: str) -> None:
    if condition:
        raise ImageError(Reason.UNREADABLE, message)


def rle_exceeds(data: bytes, limit: int) -> bool:
    """Tells whether a segment of a DICOM RLE frame decodes to too many bytes.

    Args:
        data: the frame, its header of 64 bytes first.
        limit: bytes that a segment may have.

    Returns:
        True where a segment has more.

    Raises:
        struct.error: the header is cut off.

    Source: DICOM PS3.5, G.3 to G.5.
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
