"""A DICOM radiograph as the grey picture that a viewer shows.

Whoever calls this decodes what a stranger wrote: `client.decoding` does, in a process of its own.
"""

import dataclasses
import io
import logging
import struct
import warnings
import zlib

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import filereader, uid
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import UID

from client import codestream, dicom_elements, dicom_notes, gdcm_frame, greys
from client.image_errors import ImageError, Reason, check_pixels

PREAMBLE = bytes(128) + b"DICM"  # PS3.10, 7.1
MODALITIES = ("CR", "DX", "DR", "RG")  # computed, digital (twice) and conventional radiography
_STORAGES = {
    uid.ComputedRadiographyImageStorage: "CR",
    uid.DigitalXRayImageStorageForPresentation: "DX",
    uid.DigitalXRayImageStorageForProcessing: "DX",
}
_PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")
_IDENTITY = ("PatientID", "OtherPatientIDs", "PatientName", "OtherPatientNames", "PatientBirthName")
# The plugin is named, or pydicom would go on to GDCM wherever a safer one refuses.
_DECODERS = (
    dict.fromkeys(uid.UncompressedTransferSyntaxes, "")
    | {uid.JPEGBaseline8Bit: "pillow", uid.RLELossless: "pydicom"}
    | dict.fromkeys((uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1), "gdcm")
    | dict.fromkeys(uid.JPEGLSTransferSyntaxes, "gdcm")
    | dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), "pylibjpeg")
    | dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), "pylibjpeg")
)
_NAKED = {  # what pydicom finds where a file says nothing: (implicit, little endian)
    (True, True): uid.ImplicitVRLittleEndian,
    (False, True): uid.ExplicitVRLittleEndian,
    (False, False): uid.ExplicitVRBigEndian,
}
_NEWER = {  # than pydicom's dictionary
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
_LAST_NAME = 0x00101005  # the greatest of these tags
_SHORTEST_NAME = 3
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # either byte order (PS3.5, 7.5)
_MOST_ITEMS = 20_000
_RLE_PADDING = 64  # bytes


@dataclasses.dataclass(frozen=True)
class Radiograph:
    """A DICOM's picture, uint8[height, width] with 0 black, whose it is, and what is odd.

    uids: of its study and of itself, raw.
    """

    pixels: NDArray[np.uint8]
    patient_id: str | None = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()
    uids: tuple[str, ...] = dataclasses.field(default=(), repr=False)


def identity(data: bytes, max_bytes: int) -> tuple[str, ...]:
    """The patient's ids, names and their parts, the longest first; first of all that is read.

    Args:
        data: a DICOM file, with its preamble.
        max_bytes: of a deflated data set when inflated.

    Returns:
        The texts, each of at least three characters.

    Raises:
        ImageError: too large when inflated, or more items than any film has.
        Exception: whatever pydicom makes of a damaged file.
    """
    _silence_pydicom()
    _check_items(data)
    _check_inflated_size(data, max_bytes)
    dataset = filereader.read_partial(io.BytesIO(data), _is_past_names)
    values = [str(value) for key in _IDENTITY if (value := dataset.get(key))]
    parts = {part for value in values for part in value.replace("^", " ").split()} | set(values)
    return tuple(sorted((p for p in parts if len(p) >= _SHORTEST_NAME), key=len, reverse=True))


def opened(data: bytes, max_pixels: int) -> pydicom.FileDataset:
    """The data set of a CR, DX, DR or RG image of one frame, 8 to 16 bits; nothing is decoded.

    Args:
        data: a DICOM file that `identity` has let through.
        max_pixels: compared with the header.

    Raises:
        ImageError: truncated, too_large, unreadable or unsupported (other modalities and syntaxes,
            colour, frames, no pixels).
        Exception: whatever pydicom makes of a damaged file.
    """
    _silence_pydicom()
    dataset = pydicom.dcmread(io.BytesIO(data))
    if not dataset:  # what pydicom makes of a file that ends within an element
        raise ImageError(Reason.TRUNCATED, "the DICOM is cut off")
    _check_kind(dataset)
    _settle_transfer_syntax(dataset)
    _check_header(dataset, max_pixels)
    return dataset


def checked(data: bytes, *, max_bytes: int, max_pixels: int) -> pydicom.FileDataset:
    """The data set of what could be decoded: for those who want its header, not its picture.

    Args:
        data: a DICOM file.
        max_bytes: that it may have when it is inflated.
        max_pixels: that its header may promise.

    Raises:
        ImageError: as of `identity` and `opened`, damaged files included.
    """
    try:
        identity(data, max_bytes)
        dataset = opened(data, max_pixels)
        _frame(dataset)
        return dataset
    except Exception as error:  # pydicom raises whatever a damaged file provokes
        raise refusal(error) from None


def decoded(dataset: pydicom.FileDataset) -> Radiograph:
    """Decodes what `opened` returned, as `greys.display` shows it.

    Raises:
        ImageError: unreadable or unsupported.
        Exception: whatever the decoders make of a damaged file.
    """
    pixels, notes = greys.display(_stored_values(dataset), dataset)
    notes += tuple(dicom_notes.notes(dataset))
    uids = tuple(str(dataset.get(f"{of}InstanceUID") or "") for of in ("Study", "SOP"))
    return Radiograph(pixels, str(dataset.get("PatientID") or "").strip() or None, notes, uids)


def refusal(error: Exception) -> ImageError:
    """What an exception while reading means."""
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        return ImageError(Reason.TOO_LARGE, "the DICOM takes more memory than a film may")
    is_cut = isinstance(error, EOFError | struct.error) or "less than" in str(error)  # pydicom's
    reason = Reason.TRUNCATED if is_cut else Reason.UNREADABLE
    state = "cut off" if is_cut else "damaged"
    return ImageError(reason, f"the DICOM is {state} ({type(error).__name__})")


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
    file.seek(len(PREAMBLE))
    meta = filereader._read_file_meta_info(file)
    if meta.get("TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
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


def _is_past_names(tag: int, *_: object) -> bool:
    return tag > _LAST_NAME


def _check_kind(dataset: pydicom.Dataset) -> None:
    """Sets that were made anonymous by a list of what may stay often lack the modality."""
    storages = (dataset.get("SOPClassUID"), dataset.file_meta.get("MediaStorageSOPClassUID"))
    told = dicom_elements.term(dataset, "Modality")
    modality = told or next((_STORAGES[uid] for uid in storages if uid in _STORAGES), "none")
    if modality not in MODALITIES:
        wanted = ", ".join(MODALITIES)
        raise ImageError(Reason.UNSUPPORTED, f"DICOM of modality {modality!r}, not {wanted}")
    if not isinstance(dicom_elements.value(dataset, "PixelData"), bytes):
        raise ImageError(Reason.UNSUPPORTED, "DICOM without pixels")


def _settle_transfer_syntax(dataset: pydicom.FileDataset) -> None:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not dataset.file_meta and not dataset["PixelData"].is_undefined_length:
        syntax = _NAKED.get(dataset.original_encoding)
        dataset.file_meta.TransferSyntaxUID = syntax
    if not syntax:
        raise ImageError(Reason.UNREADABLE, "the DICOM lacks TransferSyntaxUID")
    if syntax not in _DECODERS:
        name = syntax.name if syntax.is_transfer_syntax else _NEWER.get(syntax, "no known syntax")
        raise ImageError(Reason.UNSUPPORTED, f"DICOM in {name}, for which there is no decoder")


def _check_header(dataset: pydicom.Dataset, max_pixels: int) -> None:
    """Checks what the pixels' shape depends on, and leaves it as whole numbers."""
    frames = dicom_elements.whole(dataset, "NumberOfFrames", absent=1)
    if frames > 1:
        raise ImageError(Reason.UNSUPPORTED, f"DICOM of {frames} frames")
    photometric = dicom_elements.term(dataset, "PhotometricInterpretation")
    samples = dicom_elements.whole(dataset, "SamplesPerPixel", absent=1)
    for keyword in ("NumberOfFrames", "PhotometricInterpretation", "SamplesPerPixel"):
        dataset.pop(keyword, None)  # whose VR may be another
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = photometric, samples
    if photometric not in _PHOTOMETRIC or samples != 1:
        raise ImageError(Reason.UNSUPPORTED, "DICOM in colour, not MONOCHROME1 or MONOCHROME2")
    for keyword in ("BitsAllocated", "BitsStored", "PixelRepresentation", "Rows", "Columns"):
        number = dicom_elements.whole(dataset, keyword)
        dataset.pop(keyword)
        setattr(dataset, keyword, number)
    if dataset.PixelRepresentation > 1:
        raise ImageError(Reason.UNREADABLE, "the DICOM's PixelRepresentation is neither 0 nor 1")
    if not 8 <= dataset.BitsStored <= dataset.BitsAllocated <= 16:
        bits = f"{dataset.BitsStored} of {dataset.BitsAllocated} bits"
        raise ImageError(Reason.UNSUPPORTED, f"DICOM of {bits}, not 8 to 16")
    check_pixels(dataset.Columns, dataset.Rows, max_pixels)


def _stored_values(dataset: pydicom.FileDataset) -> NDArray:
    """The pixels as they were stored, once it is known what decoding them will take."""
    syntax = dataset.file_meta.TransferSyntaxUID
    content = _frame(dataset)
    if content and syntax == uid.JPEGExtended12Bit and dataset.BitsStored > 8:
        return gdcm_frame.decode(content, dataset)
    values = pixel_array(dataset, decoding_plugin=_DECODERS[syntax])
    if values.itemsize > 2:
        raise ImageError(Reason.UNSUPPORTED, "DICOM whose codestream has more than 16 bits")
    if values.shape != (dataset.Rows, dataset.Columns):
        raise ImageError(Reason.UNREADABLE, "the DICOM's header and its pixels disagree")
    return values


def _frame(dataset: pydicom.FileDataset) -> bytes | None:
    """The compressed frame, found to be what the header says; None where it is not compressed."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in uid.UncompressedTransferSyntaxes:
        return None
    content = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if not _is_as_declared(content, syntax, (dataset.Columns, dataset.Rows)):
        raise ImageError(Reason.UNREADABLE, "the DICOM's header and its codestream disagree")
    return content


def _is_as_declared(content: bytes, syntax: UID, declared: tuple[int, int]) -> bool:
    """Whether a compressed frame is no larger than its header says, told without decoding it."""
    if syntax == uid.RLELossless:
        return not codestream.rle_exceeds(content, declared[0] * declared[1] + _RLE_PADDING)
    inner = codestream.frame(content)
    return inner is not None and ((inner.width, inner.height), inner.components) == (declared, 1)
