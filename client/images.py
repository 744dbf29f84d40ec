"""The one reader of X-ray files: JPEG, PNG or DICOM in, a JPEG or PNG that TensorFlow reads out.

Ingest, clients and the web page share it, so that the model is trained on what it is later asked.
"""

import dataclasses
import hashlib
import io
import os
import re
import stat
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import Image, ImageChops, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from client import codestream, png, tables, walking
from client.image_errors import ImageError, Reason, check_pixels

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "ImageError",
    "Reason",
    "XRay",
    "file_content",
    "read",
    "read_dicom",
]

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000

_ORIENTATION = 0x0112  # EXIF
_PLAIN_JPEG = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive Huffman
_MAGIC = {b"\xff\xd8\xff": "jpeg", png.MAGIC: "png"}
_END = {"jpeg": b"\xff\xd9", "png": b"\0\0\0\0IEND\xaeB`\x82"}
# Group 2 or 8, a small element, then a VR or, without one, a length of at most 255.
_WITHOUT_PREAMBLE = re.compile(rb"[\2\x08]\0.\0([A-Z]{2}|.\0\0\0)", re.DOTALL)
_DETECTORS = (8, 10, 12, 14)  # bits
_MOST_UNSCALED = _DETECTORS[-1]
_DARK_COLOUR = "a PNG of 16 bits and dark colours: its values may use fewer bits"
_TAIL = 64  # bytes in which a whole file's end is looked for


@dataclasses.dataclass(frozen=True)
class XRay:
    """One X-ray, ready to be stored or sent.

    Attributes:
        data: a JPEG or PNG file, 8 bits, grey or RGB, upright; the source's own bytes where it
            already was that.
        format: of `data`: jpeg or png.
        width: of `data`, in pixels.
        height: of `data`, in pixels.
        sha256: of `data`, hexadecimal.
        source_format: jpeg, png or dicom.
        notes: what a reader should know of how it was read or what it shows, a line each.
        patient_id: a DICOM's own, raw: hash it before it is written anywhere. Like `identity` and
            `uids` it is not in the repr.
        identity: that id and the patient's names, raw.
        uids: of a DICOM's study and of the film, raw.
    """

    data: bytes = dataclasses.field(repr=False)
    format: str
    width: int
    height: int
    sha256: str
    source_format: str
    notes: tuple[str, ...] = ()
    patient_id: str | None = dataclasses.field(default=None, repr=False)
    identity: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    uids: tuple[str, ...] = dataclasses.field(default=(), repr=False)


def read(
    source: str | Path | bytes | BinaryIO,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> XRay:
    """Reads an X-ray; its content decides what it is, not its name.

    Passed through byte for byte: an 8-bit grey or RGB JPEG (baseline or progressive) or PNG.
    Normalised once, to PNG, as a viewer shows it: EXIF orientation is applied; 16-bit grey becomes
    round(value * 255 / 65535), the sample depth scaling of the PNG specification (13.12), or less
    than 65535 where a note says that its values use fewer bits; 16-bit colour keeps its high bytes,
    as in Pillow; 1, 2 and 4 bits and palettes are expanded; what is transparent lies on black; CMYK
    becomes RGB. A DICOM is rendered by `client.dicom`. Colour profiles and gamma chunks are
    ignored, as TensorFlow ignores them; damaged ones are left out.

    Args:
        source: a path, the file's bytes, or an open binary file.
        max_bytes: the cap on the file, and on a deflated DICOM when inflated.
        max_pixels: the cap on width * height, checked before anything is decoded.

    Returns:
        The X-ray, 8 bits, upright.

    Raises:
        ImageError: it cannot be used; a Reason and one line say why.
    """
    content = _content(source, max_bytes)
    source_format = next((name for magic, name in _MAGIC.items() if content.startswith(magic)), "")
    if source_format:
        return _read_picture(content, source_format, max_pixels)
    if content[128:132] != b"DICM":  # PS3.10, 7.1: after a preamble of 128 bytes
        if not _WITHOUT_PREAMBLE.match(content):
            raise ImageError(Reason.NOT_AN_IMAGE, "neither JPEG, PNG nor DICOM by its first bytes")
        content = bytes(128) + b"DICM" + content
    return read_dicom(content, max_bytes=max_bytes, max_pixels=max_pixels)[0]


def read_dicom(
    content: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> tuple[XRay, Image.Image]:
    """Reads a DICOM film, and gives its picture, too, to those who draw on it.

    Args:
        content: the file, with its preamble.
        max_bytes: the cap on a deflated one when inflated.
        max_pixels: the cap on width * height, checked before anything is decoded.

    Returns:
        What `read` makes of it, and the same in mode L.

    Raises:
        ImageError: as `read`.
    """
    from client import decoding  # most X-rays are not DICOM

    film = decoding.decode(content, max_bytes=max_bytes, max_pixels=max_pixels)
    picture = Image.fromarray(film.pixels)
    xray = dataclasses.replace(
        _png_xray(picture, "dicom"),
        patient_id=film.patient_id,
        identity=film.identity,
        uids=film.uids,
        notes=film.notes,
    )
    return xray, picture


def _content(source: str | Path | bytes | BinaryIO, max_bytes: int) -> bytes:
    if isinstance(source, bytes):
        content = source
    elif isinstance(source, str | Path):
        content = file_content(Path(source), max_bytes)
    else:
        content = source.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ImageError(Reason.TOO_LARGE, f"over the cap of {max_bytes:,} bytes")
    if not content:
        raise ImageError(Reason.NOT_AN_IMAGE, "the file is empty")
    return content


def file_content(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Reads a regular file's bytes.

    What is no stored file is not opened: a pipe would be waited for, a device may do anything.

    Args:
        path: the file.
        max_bytes: the cap.

    Returns:
        The bytes; one more than the cap where the file has grown meanwhile.

    Raises:
        ImageError: the file cannot be read, is over the cap or no regular file.
    """
    try:
        _check_status(path.stat(), max_bytes)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        message = getattr(error, "strerror", None) or str(error)
        raise ImageError(Reason.UNREADABLE, message) from None


def _check_status(status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode) or walking.is_kernels(status):
        raise ImageError(Reason.UNREADABLE, "not a regular file")
    if status.st_size > max_bytes:
        message = f"{status.st_size:,} bytes, over the cap of {max_bytes:,}"
        raise ImageError(Reason.TOO_LARGE, message)


def _read_picture(content: bytes, name: str, max_pixels: int) -> XRay:
    read = _read_jpeg if name == "jpeg" else _read_png
    try:
        return read(content, max_pixels)
    except ImageError:
        raise
    except Exception as error:  # the decoders raise whatever a damaged file provokes
        reason = Reason.UNREADABLE if _END[name] in content[-_TAIL:] else Reason.TRUNCATED
        state = "cut off" if reason is Reason.TRUNCATED else "damaged"
        message = f"the {name.upper()} is {state} ({type(error).__name__})"
        raise ImageError(reason, message) from None


def _read_jpeg(content: bytes, max_pixels: int) -> XRay:
    frame = codestream.frame(content)  # before Pillow goes through the header byte by byte
    image = JpegImageFile(io.BytesIO(content))
    # Four colours are made three, and compressed anew: it takes twice as long.
    check_pixels(*image.size, max_pixels // 2 if image.mode == "CMYK" else max_pixels)
    is_plain = frame is not None and frame.start_of_frame in _PLAIN_JPEG and image.mode != "CMYK"
    if is_plain and _is_clean(content) and _is_upright(image):
        return _xray(content, "jpeg", image.size, "jpeg")
    return _png_xray(_normalise(image), "jpeg")


def _is_clean(content: bytes) -> bool:
    """Whether a JPEG has nothing between its segments; raises where its scans are damaged."""
    try:
        # Pillow fills in what damaged entropy coding lost and says nothing; this one says it.
        simplejpeg.decode_jpeg(content, "GRAY", strict=True)
    except ValueError as error:
        # Harmless between two segments. Before the end's marker, decoding lost its way in the scan.
        if "extraneous bytes" not in str(error) or str(error).endswith("0xd9"):
            raise
        return False
    return True


def _read_png(content: bytes, max_pixels: int) -> XRay:
    picture, is_rest_sound = png.split(content)
    image = PngImageFile(io.BytesIO(picture))
    check_pixels(*image.size, max_pixels)
    image.load()
    depth, colour_type = picture[24:26]  # of IHDR, always the first chunk
    is_plain = depth == 8 and colour_type in (0, 2) and not image.has_transparency_data
    if is_plain and _is_upright(image):
        return _xray(content if is_rest_sound else picture, "png", image.size, "png")
    if depth != 16:
        return _png_xray(_normalise(image), "png")
    eight_bits, notes = _of_sixteen_bits(image, png.significant_bits(content))
    return dataclasses.replace(_png_xray(_normalise(eight_bits), "png"), notes=notes)


def _of_sixteen_bits(
    image: Image.Image, declared: int | None
) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture in 8 bits, and a note where its values use far fewer than 16 bits.

    Such a file holds a detector's values as they are: a viewer shows it black.
    """
    if image.mode != "I;16":  # Pillow has cut the values to 8 bits
        brightest = int(np.asarray(image)[..., :3].max())
        return image, (_DARK_COLOUR,) if brightest < 2 ** (_MOST_UNSCALED - 8) else ()
    wide = np.asarray(image)
    brightest = int(wide.max())
    if declared and brightest < 2**declared:
        bits = declared
    else:
        bits = next((bits for bits in _DETECTORS if 0 < brightest < 2**bits), 16)
    # Pillow's own conversion clips at 255. A table, since a film has more pixels than values.
    top = 2**bits - 1
    table = (np.minimum(np.arange(2**16), top) * 255 + top // 2) // top
    grey = Image.fromarray(tables.looked_up(table.astype(np.uint8), wide))
    grey.info = image.info
    return grey, () if bits == 16 else (f"a PNG of 16 bits whose greys use {bits}: read as such",)


def _is_upright(image: Image.Image) -> bool:
    """Viewers show a picture as it is where what tells its orientation is damaged."""
    try:
        return image.getexif().get(_ORIENTATION) not in range(2, 9)
    except Exception:  # Pillow raises whatever a damaged block provokes
        return True


def _normalise(image: Image.Image) -> Image.Image:
    """The same picture upright, in 8 bits of grey (mode L) or RGB."""
    image.load()  # may rotate by what it finds
    upright = image if _is_upright(image) else ImageOps.exif_transpose(image)
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if not upright.has_transparency_data:
        return upright.convert(mode)
    both = "LA" if mode == "L" else "RGBA"
    layered = upright if upright.mode == both else upright.convert(both)
    black = layered.convert(mode)
    black.paste(0, mask=ImageChops.invert(layered.getchannel("A")))
    return black


def _png_xray(image: Image.Image, source_format: str) -> XRay:
    image.info.clear()  # what the source said about itself must not travel along
    file = io.BytesIO()
    # A fifth of the usual time, and a smaller file: films have grain, which does not repeat.
    image.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return _xray(file.getvalue(), "png", image.size, source_format)


def _xray(data: bytes, name: str, size: tuple[int, int], source_format: str) -> XRay:
    return XRay(data, name, *size, hashlib.sha256(data).hexdigest(), source_format)
