"""A PNG's chunks: those that make its picture, apart from those that only speak about it."""

import re
import zlib
from collections.abc import Iterator

from client.image_errors import ImageError, Reason

MAGIC = b"\x89PNG\r\n\x1a\n"
_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_XMP = b"XML:com.adobe.xmp\0\0"  # of an iTXt chunk, not compressed
# What stands before the compressed bytes (PNG specification, 11.3.2.3 and 11.3.3).
_COMPRESSED = {
    b"iCCP": re.compile(rb"[^\0]{1,79}\0\0", re.DOTALL),
    b"zTXt": re.compile(rb"[^\0]{1,79}\0\0", re.DOTALL),
    b"iTXt": re.compile(rb"[^\0]{1,79}\0\x01\0[^\0]*\0[^\0]*\0", re.DOTALL),
}
# Readers give a file up where these are of another length, or where there is part of an animation.
_LENGTHS = {b"pHYs": 9, b"gAMA": 4, b"sRGB": 1, b"cHRM": 32} | dict.fromkeys(
    (b"acTL", b"fcTL", b"fdAT"), -1
)
_MOST_INFLATED, _MOST_COMPRESSED = 2**20, 20
_MOST_CHUNKS = 50_000  # writers put 4 KB or more of pixels in each


def split(data: bytes) -> tuple[bytes, bool]:
    """The picture alone, and whether what is left out of it is sound, too.

    Args:
        data: a PNG file.

    Returns:
        The PNG file with no chunks but the picture's and those that may tell its orientation, and
        whether every chunk left out is whole and inflates to no more than a megabyte.

    Raises:
        ImageError: several pictures, chunks without number, or damage in what makes the picture.
        EOFError: it is cut off.
    """
    kept, is_sound = [MAGIC], True
    previous, has_pixels, compressed = b"", False, 0
    for number, (kind, content, whole) in enumerate(_chunks(data)):
        if number >= _MOST_CHUNKS:
            raise ImageError(Reason.UNREADABLE, f"a PNG of more than {_MOST_CHUNKS:,} chunks")
        is_whole = zlib.crc32(kind + content) == int.from_bytes(whole[-4:])
        if kind in _PICTURE:
            if not is_whole or (kind == b"IHDR") != (number == 0):
                raise ImageError(Reason.UNREADABLE, f"the PNG is damaged (in {kind.decode()})")
            # Decoders part ways where something stands between the pieces of the pixels.
            is_sound = is_sound and not (kind == b"IDAT" and has_pixels and previous != b"IDAT")
            has_pixels = has_pixels or kind == b"IDAT"
            kept.append(whole)
        elif kind == b"acTL" and is_whole and int.from_bytes(content[:4]) > 1:
            raise ImageError(Reason.UNSUPPORTED, "an animation, not one picture")
        elif is_whole and (kind == b"eXIf" or (kind == b"iTXt" and content.startswith(_XMP))):
            kept.append(whole)
        else:
            compressed += kind in _COMPRESSED
            is_sound = is_sound and is_whole and compressed <= _MOST_COMPRESSED
            is_sound = is_sound and _inflates(kind, content)
            is_sound = is_sound and len(content) == _LENGTHS.get(kind, len(content))
        if kind == b"IEND":
            return b"".join(kept), is_sound
        previous = kind
    raise EOFError


def significant_bits(data: bytes) -> int | None:
    """What the sBIT chunk says of the first channel; None without one."""
    for kind, content, _ in _chunks(data):
        if kind == b"sBIT" and content:
            return content[0]
        if kind == b"IDAT":
            break
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Each chunk's type, its content, and all of it; raises EOFError where one is cut off."""
    position = len(MAGIC)
    while position < len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4])
        if end > len(data):
            raise EOFError
        whole = data[position:end]
        yield whole[4:8], whole[8:-4], whole
        position = end


def _inflates(kind: bytes, content: bytes) -> bool:
    """Whether what is compressed in a chunk inflates, and to no bomb."""
    before = _COMPRESSED[kind].match(content) if kind in _COMPRESSED else None
    if before is None:
        return kind not in (b"iCCP", b"zTXt")
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(content[before.end() :], _MOST_INFLATED)
    except zlib.error:
        return False
    return inflater.eof
