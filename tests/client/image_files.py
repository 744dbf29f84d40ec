"""X-ray files of every kind, small, for tests."""

import io
import random
import struct
import zlib

import gdcm
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

PATIENT_NAME = "Wintergreen^Ottoline"
PATIENT_ID = "MRN-5550199"


def grey(height: int = 48, width: int = 56, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth picture with grain, uint8[height, width]; each seed another one."""
    rng = np.random.default_rng(seed)
    phase, slope = rng.uniform(0, 6, 2), rng.uniform(2, 9, 2)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    smooth = 120 + 60 * np.sin(slope[0] * y + phase[0]) + 50 * np.cos(slope[1] * x * y + phase[1])
    return np.clip(smooth + rng.normal(0, 4, (height, width)), 0, 255).astype(np.uint8)


def colour(height: int = 48, width: int = 56) -> NDArray[np.uint8]:
    return np.stack([grey(height, width, seed) for seed in range(3)], axis=-1)


def encoded(image: Image.Image | NDArray, kind: str, **options: object) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(data: bytes) -> NDArray:
    return np.asarray(Image.open(io.BytesIO(data)))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header alone is that large."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b"x"))
    body = b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in (*chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def dicom(
    values: NDArray | None = None,
    bits: int = 12,
    photometric: str = "MONOCHROME2",
    syntax: UID = ExplicitVRLittleEndian,
    **elements: object,
) -> bytes:
    """A CR image of `values` (uint8, uint16 or int16), by default `grey()` over all its bits.

    An element given as None is left out.
    """
    if values is None:
        values = grey() if bits == 8 else grey().astype(np.uint16) << (bits - 8)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    data.Modality = "CR"
    data.PatientName = PATIENT_NAME
    data.PatientID = PATIENT_ID
    data.Rows, data.Columns = values.shape
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = photometric
    data.BitsAllocated = values.dtype.itemsize * 8
    data.BitsStored, data.HighBit = bits, bits - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelData = values.tobytes()
    for name, value in elements.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    if syntax in (RLELossless, JPEG2000Lossless):
        # GDCM, which pydicom would ask first, aborts on some sizes when it writes RLE.
        data.compress(syntax, encoding_plugin="pydicom" if syntax == RLELossless else "")
    elif syntax == JPEGBaseline8Bit:
        data.PixelData = encapsulate([encoded(values, "JPEG")])
        data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = (
        syntax if syntax != JPEGLosslessSV1 else ExplicitVRLittleEndian
    )
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def recoded_by_gdcm(source: str, target: str, syntax: str = "JPEGLosslessProcess14_1") -> None:
    """Writes a DICOM file again in one of GDCM's syntaxes: lossless JPEG, which only it can."""
    reader = gdcm.ImageReader()
    reader.SetFileName(source)
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(target)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def every_kind() -> dict[str, bytes]:
    """One sound file of each kind that the reader knows, by name; each shows another picture."""

    def twelve_bits(seed: int) -> NDArray[np.uint16]:
        return grey(seed=seed).astype(np.uint16) << 4

    return {
        "grey.jpg": encoded(grey(seed=10), "JPEG"),
        "colour.jpg": encoded(colour(), "JPEG"),
        "progressive.jpg": encoded(grey(seed=11), "JPEG", progressive=True),
        "cmyk.jpg": encoded(Image.fromarray(colour()).convert("CMYK"), "JPEG"),
        "grey.png": encoded(grey(seed=12), "PNG"),
        "colour.png": encoded(colour(), "PNG"),
        "wide.png": encoded(grey(seed=13).astype(np.uint16) * 257, "PNG"),
        "palette.png": encoded(Image.fromarray(colour()).quantize(32), "PNG"),
        "alpha.png": encoded(np.dstack([colour(), grey(seed=14)]), "PNG"),
        "bilevel.png": encoded(Image.fromarray(grey(seed=15)).convert("1"), "PNG"),
        "window.dcm": dicom(twelve_bits(16), WindowCenter=2000, WindowWidth=3000),
        "inverted.dcm": dicom(twelve_bits(17), photometric="MONOCHROME1"),
        "wide.dcm": dicom(twelve_bits(18) << 4, bits=16),
        "deflated.dcm": dicom(twelve_bits(19), syntax=DeflatedExplicitVRLittleEndian),
        "rle.dcm": dicom(twelve_bits(20), syntax=RLELossless),
        "jpeg2000.dcm": dicom(twelve_bits(21), syntax=JPEG2000Lossless),
        "jpeg.dcm": dicom(grey(seed=22), bits=8, syntax=JPEGBaseline8Bit),
    }


def mutated(data: bytes, seed: object) -> bytes:
    """The file with one or several bytes changed, lost, added, or its end cut off."""
    dice = random.Random(f"{seed}")
    content = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        # Headers are where damage does most, and they stand in front.
        at = dice.randrange(len(content) if dice.random() < 0.5 else min(len(content), 700))
        match dice.randrange(6):
            case 0:
                content[at] = dice.randrange(256)
            case 1:
                content[at] ^= 1 << dice.randrange(8)
            case 2:
                del content[at : at + dice.randrange(1, 9)]
            case 3:
                content[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 4:
                content[at : at + 4] = dice.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
            case 5 if dice.random() < 0.3:
                del content[at:]
        content = content or bytearray(b"x")
    return bytes(content)
