"""The one reader of X-ray files: JPEG, PNG or DICOM in, a JPEG or PNG that TensorFlow reads out.

Ingest, clients and the web page share it, so that the model is trained on what it is later asked.
"""

import dataclasses
import hashlib
import io
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from client import codestream
from client.image_errors import ImageError, Reason, check_pixels

__all__ = ["MAX_BYTES", "MAX_PIXELS", "ImageError", "Reason", "XRay", "read"]

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000

_ORIENTATION = 0x0112  # EXIF
_PLAIN_JPEG = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive Huffman
_MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}
_PLUGINS: dict[str, Callable[[BinaryIO], Image.Image]] = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
}  # Image.open would warn of large headers
_END = {"jpeg": b"\xff\xd9", "png": b"\0\0\0\0IEND\xaeB`\x82"}
# Damaged on purpose, a picture of thousands of scans decodes for minutes.
_START_OF_SCAN, _MOST_SCANS = b"\xff\xda", 200
_TAIL = 64  # bytes in which a whole file's end is looked for


@dataclasses.dataclass(frozen=True)
class XRay:
    """One X-ray, ready to be stored or sent.

    data: a JPEG or PNG file, 8 bits, grey or RGB, upright; the source's own bytes where it already
        was that. format, width, height, sha256 (hexadecimal) are those of `data`.
    source_format: jpeg, png or dicom.
    patient_id: a DICOM's own, raw: hash it before it is written anywhere. identity: that id and
        the patient's names. Neither is in the repr.
    """

    data: bytes = dataclasses.field(repr=False)
    format: str
    width: int
    height: int
    sha256: str
    source_format: str
    patient_id: str | None = dataclasses.field(default=None, repr=False)
    identity: tuple[str, ...] = dataclasses.field(default=(), repr=False)


def read(
    source: str | Path | bytes | BinaryIO,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> XRay:
    """Reads an X-ray from a path, from bytes or from a binary file; content decides, not the name.

    Passed through byte for byte: an 8-bit grey or RGB JPEG (baseline or progressive) or PNG.
    Normalised once, to PNG, as a viewer shows it: EXIF orientation is applied; 16-bit grey becomes
    round(value * 255 / 65535), the sample depth scaling of the PNG specification (13.12); 16-bit
    colour keeps its high bytes, as in Pillow; 1, 2 and 4 bits and palettes are expanded; what is
    transparent lies on black; CMYK becomes RGB. A DICOM is rendered by `client.dicom`.
    Colour profiles and gamma chunks are ignored, as TensorFlow ignores them.

    Raises ImageError with a Reason and one line; the caps are checked before anything is decoded.
    """
    content = _content(source, max_bytes)
    source_format = next((name for magic, name in _MAGIC.items() if content.startswith(magic)), "")
    if source_format:
        return _read_picture(content, source_format, max_pixels)
    if content[128:132] == b"DICM":  # PS3.10, 7.1: after a preamble of 128 bytes
        return _read_dicom(content, max_bytes, max_pixels)
    raise ImageError(Reason.NOT_AN_IMAGE, "neither JPEG, PNG nor DICOM by its first bytes")


def _content(source: str | Path | bytes | BinaryIO, max_bytes: int) -> bytes:
    if isinstance(source, bytes):
        content = source
    elif isinstance(source, str | Path):
        content = _file_content(Path(source), max_bytes)
    else:
        content = source.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ImageError(Reason.TOO_LARGE, f"over the cap of {max_bytes:,} bytes")
    if not content:
        raise ImageError(Reason.NOT_AN_IMAGE, "the file is empty")
    return content


def _file_content(path: Path, max_bytes: int) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise ImageError(Reason.UNREADABLE, "not a regular file")
        if status.st_size > max_bytes:
            message = f"{status.st_size:,} bytes, over the cap of {max_bytes:,}"
            raise ImageError(Reason.TOO_LARGE, message)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        message = getattr(error, "strerror", None) or str(error)
        raise ImageError(Reason.UNREADABLE, message) from None


def _read_picture(content: bytes, name: str, max_pixels: int) -> XRay:
    try:
        image = _PLUGINS[name](io.BytesIO(content))
        check_pixels(*image.size, max_pixels)
        is_plain = _is_plain_jpeg if name == "jpeg" else _is_plain_png
        if is_plain(image, content) and image.getexif().get(_ORIENTATION) not in range(2, 9):
            return _xray(content, name, image.size, name)
        return _png_xray(_normalise(image), name)
    except ImageError:
        raise
    except Exception as error:  # the decoders raise whatever a damaged file provokes
        reason = Reason.UNREADABLE if _END[name] in content[-_TAIL:] else Reason.TRUNCATED
        state = "cut off" if reason is Reason.TRUNCATED else "damaged"
        message = f"the {name.upper()} is {state} ({type(error).__name__})"
        raise ImageError(reason, message) from None


def _is_plain_jpeg(image: Image.Image, content: bytes) -> bool:
    """Whether TensorFlow reads these bytes as a viewer does; raises where they are damaged."""
    if content.count(_START_OF_SCAN) > _MOST_SCANS:
        raise ImageError(Reason.UNREADABLE, f"a JPEG of more than {_MOST_SCANS} scans")
    frame = codestream.frame(content)
    if frame is None or frame.start_of_frame not in _PLAIN_JPEG or image.mode == "CMYK":
        return False
    try:
        # Pillow fills in what damaged entropy coding lost and says nothing; this one says it.
        simplejpeg.decode_jpeg(content, "GRAY", strict=True)
    except ValueError as error:
        # Harmless between two segments. Before the end's marker, decoding lost its way in the scan.
        if "extraneous bytes" not in str(error) or str(error).endswith("0xd9"):
            raise
        return False
    return True


def _is_plain_png(image: Image.Image, content: bytes) -> bool:
    """Whether TensorFlow reads these bytes as a viewer does; raises where they are damaged."""
    PngImageFile(io.BytesIO(content)).verify()  # checksums, which decoding skips
    image.load()
    if getattr(image, "n_frames", 1) != 1:
        raise ImageError(Reason.UNSUPPORTED, "an animation, not one picture")
    if _END["png"] not in content:
        raise EOFError
    depth, colour_type = content[24:26]  # of IHDR, always the first chunk
    return depth == 8 and colour_type in (0, 2) and not image.has_transparency_data


def _normalise(image: Image.Image) -> Image.Image:
    """The same picture upright, in 8 bits of grey (mode L) or RGB."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":  # Pillow's own conversion clips at 255
        wide = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image.convert(mode)


def _read_dicom(content: bytes, max_bytes: int, max_pixels: int) -> XRay:
    from client import dicom  # pydicom takes a while, and most X-rays are not DICOM

    radiograph = dicom.read(content, max_bytes=max_bytes, max_pixels=max_pixels)
    xray = _png_xray(Image.fromarray(radiograph.pixels), "dicom")
    return dataclasses.replace(xray, patient_id=radiograph.patient_id, identity=radiograph.identity)


def _png_xray(image: Image.Image, source_format: str) -> XRay:
    png = io.BytesIO()
    # A fresh image: what the source said about itself must not travel along.
    Image.frombytes(image.mode, image.size, image.tobytes()).save(png, "PNG")
    return _xray(png.getvalue(), "png", image.size, source_format)


def _xray(data: bytes, name: str, size: tuple[int, int], source_format: str) -> XRay:
    return XRay(data, name, *size, hashlib.sha256(data).hexdigest(), source_format)
