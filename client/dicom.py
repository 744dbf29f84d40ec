"""A DICOM radiograph as the grey picture that a viewer shows."""

import dataclasses
import io
import logging
import struct
import warnings
import zlib

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import filereader
from pydicom.encaps import get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    RLELossless,
)

from client import codestream, gdcm_process
from client.image_errors import ImageError, Reason, check_pixels

MODALITIES = ("CR", "DX", "RG")  # computed, digital and conventional radiography
_PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")
_IDENTITY = ("PatientID", "OtherPatientIDs", "PatientName", "OtherPatientNames", "PatientBirthName")
_DECODERS = {JPEGBaseline8Bit: "pillow", RLELossless: "pydicom"} | dict.fromkeys(
    JPEG2000TransferSyntaxes, "pylibjpeg"
)
_LAST_NAME = 0x00101005  # the greatest of these tags
_SHORTEST_NAME = 3
_MAY_BE_EMPTY = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")
_PREAMBLE = 132
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # either byte order (PS3.5, 7.5)
_MOST_ITEMS = 20_000
_RLE_PADDING = 64  # bytes


@dataclasses.dataclass(frozen=True)
class Radiograph:
    """A DICOM's picture, uint8[height, width] with 0 black, and whose it is."""

    pixels: NDArray[np.uint8]
    patient_id: str | None = dataclasses.field(repr=False)
    identity: tuple[str, ...] = dataclasses.field(repr=False)


def read(data: bytes, *, max_bytes: int, max_pixels: int) -> Radiograph:
    """Decodes a CR, DX or RG image of one frame, 8 to 16 bits, in any syntax pydicom decodes.

    Modality LUT, VOI LUT or window (the first where there are several), and MONOCHROME1 inverted,
    as in PS3.3 C.11.1, C.11.2 and C.7.6.3.1.2. The window's or LUT's whole output range becomes
    0..255, rounded; without either, the range that the picture's own values span does.

    Raises ImageError: unreadable, truncated, too_large (headers are compared with the caps before
    anything is inflated or decoded) or unsupported (other modalities, colour, frames, no pixels).
    """
    dataset = checked(data, max_bytes=max_bytes, max_pixels=max_pixels)
    identity = _identity(dataset)
    try:
        pixels = _display(_stored_values(dataset, data), dataset)
    except Exception as error:  # the decoders raise whatever a damaged file provokes
        raise _refusal(error, identity) from None
    return Radiograph(pixels, str(dataset.get("PatientID") or "").strip() or None, identity)


def checked(data: bytes, *, max_bytes: int, max_pixels: int) -> pydicom.Dataset:
    """The data set of what `read` would go on to decode; raises as `read` does."""
    _silence_pydicom()
    identity: tuple[str, ...] = ()
    try:
        _check_items(data)
        _check_inflated_size(data, max_bytes)
        identity = _identity(filereader.read_partial(io.BytesIO(data), _is_past_names))
        dataset = pydicom.dcmread(io.BytesIO(data))
        if not dataset:  # what pydicom makes of a file that ends within an element
            raise ImageError(Reason.TRUNCATED, "the DICOM is cut off")
        _check_header(dataset, max_pixels)
    except Exception as error:  # pydicom raises whatever a damaged file provokes
        raise _refusal(error, identity) from None
    return dataset


def _refusal(error: Exception, identity: tuple[str, ...]) -> ImageError:
    if isinstance(error, ImageError):
        return ImageError(error.reason, str(error), identity)
    reason = Reason.TRUNCATED if _is_cut(error) else Reason.UNREADABLE
    state = "cut off" if reason is Reason.TRUNCATED else "damaged"
    return ImageError(reason, f"the DICOM is {state} ({type(error).__name__})", identity)


def _silence_pydicom() -> None:
    """Its warnings quote values that break the standard, a patient's name among them."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _check_inflated_size(data: bytes, max_bytes: int) -> None:
    """pydicom inflates a deflated data set without a bound, so the bound is tried first.

    Where the stream begins only pydicom's own reading can tell: the length that the header gives
    for itself may be wrong, and pydicom does not heed it.
    """
    file = io.BytesIO(data)
    file.seek(_PREAMBLE)
    meta = filereader._read_file_meta_info(file)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    filereader._read_command_set_elements(file)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    _check_items(inflater.decompress(file.read(), max_bytes))
    if inflater.unconsumed_tail:
        raise ImageError(Reason.TOO_LARGE, f"inflates to more than {max_bytes:,} bytes")


def _check_items(content: bytes) -> None:
    """pydicom makes a data set of each item of a sequence, be it of eight bytes."""
    if sum(content.count(tag) for tag in _ITEM_TAGS) > _MOST_ITEMS:
        raise ImageError(Reason.UNREADABLE, f"a DICOM of more than {_MOST_ITEMS:,} items")


def _check_header(dataset: pydicom.Dataset, max_pixels: int) -> None:
    modality = str(dataset.get("Modality") or "none")
    if modality not in MODALITIES:
        wanted = ", ".join(MODALITIES)
        raise ImageError(Reason.UNSUPPORTED, f"DICOM of modality {modality[:16]!r}, not {wanted}")
    if "PixelData" not in dataset:
        raise ImageError(Reason.UNSUPPORTED, "DICOM without pixels")
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise ImageError(Reason.UNSUPPORTED, f"DICOM of {dataset.NumberOfFrames} frames")
    if dataset.PhotometricInterpretation not in _PHOTOMETRIC or dataset.SamplesPerPixel != 1:
        raise ImageError(Reason.UNSUPPORTED, "DICOM in colour, not MONOCHROME1 or MONOCHROME2")
    if not 8 <= dataset.BitsStored <= dataset.BitsAllocated <= 16:
        raise ImageError(Reason.UNSUPPORTED, f"DICOM of {dataset.BitsStored} bits, not 8 to 16")
    declared = (dataset.Columns, dataset.Rows)
    check_pixels(*declared, max_pixels)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        content = get_frame(dataset.PixelData, 0, number_of_frames=1)
        if not _is_as_declared(content, syntax, declared):
            raise ImageError(Reason.UNREADABLE, "the DICOM's header and its codestream disagree")


def _is_as_declared(content: bytes, syntax: str, declared: tuple[int, int]) -> bool:
    """Whether a compressed frame is no larger than its header says, told without decoding it."""
    if syntax == RLELossless:
        return not codestream.rle_exceeds(content, declared[0] * declared[1] + _RLE_PADDING)
    inner = codestream.frame(content)
    return inner is not None and ((inner.width, inner.height), inner.components) == (declared, 1)


def _is_past_names(tag: int, *_: object) -> bool:
    return tag > _LAST_NAME


def _stored_values(dataset: pydicom.Dataset, data: bytes) -> NDArray:
    """The decoder is named, or pydicom would go on to GDCM wherever another one refuses."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated and syntax not in _DECODERS:
        return gdcm_process.decode(data)
    return pixel_array(dataset, decoding_plugin=_DECODERS.get(syntax, ""))


def _display(stored: NDArray, dataset: pydicom.Dataset) -> NDArray[np.uint8]:
    for keyword in _MAY_BE_EMPTY:  # to pydicom, what is there without a value is there
        if keyword in dataset and dataset[keyword].is_empty:
            del dataset[keyword]
    values = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    values = values.astype(np.float64, copy=False)
    low, high = _output_range(dataset) or (values.min(), values.max())
    # In place: at 8 bytes a pixel, each copy of a large film counts.
    values -= low
    values /= (high - low) or 1
    np.clip(values, 0, 1, out=values)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        np.subtract(1, values, out=values)
    values *= 255
    return np.rint(values, out=values).astype(np.uint8)


def _output_range(dataset: pydicom.Dataset) -> tuple[float, float] | None:
    """What VOI LUT or window map the darkest and the brightest value to; None without either."""
    if dataset.get("VOILUTSequence"):
        return 0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    if "WindowCenter" not in dataset or "WindowWidth" not in dataset:
        return None
    with np.errstate(over="ignore"):
        low, high = apply_voi_lut(np.array([-np.inf, np.inf]), dataset)
    return low, high


def _identity(dataset: pydicom.Dataset) -> tuple[str, ...]:
    """The patient's ids, names and their parts, the longest first."""
    values = [str(value) for key in _IDENTITY if (value := dataset.get(key))]
    parts = {part for value in values for part in value.replace("^", " ").split()} | set(values)
    return tuple(sorted((p for p in parts if len(p) >= _SHORTEST_NAME), key=len, reverse=True))


def _is_cut(error: Exception) -> bool:
    if isinstance(error, EOFError | struct.error):
        return True
    return "less than" in str(error)  # pydicom: fewer bytes of pixels than expected
