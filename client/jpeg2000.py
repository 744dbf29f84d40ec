"""What a JPEG 2000 codestream promises, and whether keeping it is worth the memory.

A decoder's memory follows the tiles, precincts and code blocks that the header declares, not the
pixels: a few hundred bytes can ask for gigabytes. Source: ITU-T T.800, annexes A, B and I.
"""

import itertools
import math
import struct

from client.image_errors import ImageError, Reason

_START = b"\xff\x4f\xff\x51"
_BOX = b"\x00\x00\x00\x0cjP  "
_CODING_DEFAULT, _CODING_COMPONENT, _START_OF_TILE = 0xFF52, 0xFF53, 0xFF90
_START_OF_DATA = 0xFF93
_WHOLE = 15  # the exponent of a precinct's side where none is declared
# Films of 50 million pixels need at most a fifth of these as common encoders write them.
_MOST_TILES, _MOST_PACKETS, _MOST_BLOCKS = 4_096, 1_000_000, 250_000
_MOST_LEVELS, _MOST_BOXES, _MOST_MARKERS = 32, 1_000, 50_000


def size(data: bytes) -> tuple[int, int, int] | None:
    """Width, height and components of a codestream or JP2 file; None where it is neither.

    Raises:
        ImageError: it promises more tiles, packets or code blocks than any film needs.
        struct.error: its header is cut off.
    """
    start = _codestream_in_boxes(data) if data.startswith(_BOX) else 0
    if start is None or not data.startswith(_START, start):
        return None
    *area, tile_width, tile_height, tile_left, tile_top = struct.unpack_from(">8I", data, start + 8)
    right, bottom, left, top = area
    components = struct.unpack_from(">H", data, start + 40)[0]
    tile = (tile_width or 1, tile_height or 1)
    tiles = -(-(right - tile_left) // tile[0]) * -(-(bottom - tile_top) // tile[1])
    _check(tiles, _MOST_TILES, "tiles")
    width, height = right - left, bottom - top
    sides = (min(tile[0], width), min(tile[1], height))
    for coding in _codings(data, start + 2):
        _check_coding(coding, sides, tiles)
    return width, height, components


def _codings(data: bytes, position: int) -> list[bytes]:
    """The coding styles of the main header and of each tile part's, from the levels' count on."""
    found: list[bytes] = []
    part_end = 0
    for count in itertools.count():
        if position + 4 > len(data):
            break
        _check(count, _MOST_MARKERS, "markers")
        marker, length = struct.unpack_from(">HH", data, position)
        if marker == _START_OF_DATA:
            if part_end <= position:
                break
            position = part_end
            continue
        if marker == _CODING_DEFAULT:  # its style, then progression, layers, transform
            found.append(data[position + 4 : position + 2 + length])
        elif marker == _CODING_COMPONENT:
            message = "a JPEG 2000 with a coding style of its own for a component"
            raise ImageError(Reason.UNSUPPORTED, message)
        elif marker == _START_OF_TILE:
            part_length = struct.unpack_from(">I", data, position + 6)[0]
            part_end = position + part_length if part_length else len(data)
        elif not 0xFF50 <= marker <= 0xFF6F:
            break  # damaged, or the end of the codestream
        position += 2 + max(2, length)
    return found


def _check_coding(coding: bytes, sides: tuple[int, int], tiles: int) -> None:
    """Counts what one tile holds, by resolution. Source: ITU-T T.800, A.6.1, B.5 to B.7."""
    has_precincts, _, layers, _, levels, block_width, block_height = struct.unpack_from(
        ">BBHBBBB", coding
    )
    if levels > _MOST_LEVELS:
        raise ImageError(Reason.UNREADABLE, f"a JPEG 2000 of {levels} levels")
    exponents = coding[10:] if has_precincts & 1 else b""
    packets = blocks = 0
    for resolution in range(levels + 1):
        exponent = exponents[resolution] if resolution < len(exponents) else _WHOLE * 17
        precinct = (1 << (exponent & 15), 1 << (exponent >> 4))
        # A precinct of a higher resolution has half its side in each of the subbands.
        block = [
            min(1 << (2 + (code & 15)), side // 2 if resolution else side) or 1
            for code, side in zip((block_width, block_height), precinct, strict=True)
        ]
        extents = [math.ceil(side / 2 ** (levels - resolution)) for side in sides]
        # One more each way: tiles need not begin where precincts and blocks do.
        packets += math.prod(n // side + 1 for n, side in zip(extents, precinct, strict=True))
        blocks += math.prod(n // side + 1 for n, side in zip(extents, block, strict=True))
    _check(packets * tiles * max(1, layers), _MOST_PACKETS, "packets")
    _check(blocks * tiles, _MOST_BLOCKS, "code blocks")


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise ImageError(Reason.UNREADABLE, f"a JPEG 2000 that promises {count:,} {what}")


def _codestream_in_boxes(data: bytes) -> int | None:
    """Where a JP2 file's codestream begins. Source: ITU-T T.800, I.4."""
    position = 0
    for _ in range(_MOST_BOXES):
        if position + 8 > len(data):
            break
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
