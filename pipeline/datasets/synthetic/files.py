"""Encodes a drawn film as JPEG, PNG or DICOM, marked as synthetic in each format's own way."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

COMMENT = "SYNTHETIC: drawn by a program, no patient; not for diagnosis"
SUFFIXES = {"jpeg": ".jpeg", "png": ".png", "monochrome1": ".dcm", "monochrome2": ".dcm"}
_DIGITAL_XRAY = "1.2.840.10008.5.1.4.1.1.1.1"  # Digital X-Ray Image Storage - For Presentation


def encode(pixels: NDArray[np.uint16], kind: str, patient_id: str, quality: int) -> bytes:
    """Encodes a film.

    Args:
        pixels: uint16[H,W], 0 black to 4095 white; JPEG and PNG keep the upper 8 bits, DICOM all
            12.
        kind: a key of SUFFIXES.
        patient_id: written into DICOM alone.
        quality: of the JPEG, 1 to 95; the other kinds lose nothing.

    Returns:
        The file's bytes.
    """
    file = io.BytesIO()
    if kind in ("monochrome1", "monochrome2"):
        _write_dicom(file, pixels, kind.upper(), patient_id)
        return file.getvalue()
    image = Image.fromarray((pixels >> 4).astype(np.uint8))
    if kind == "jpeg":
        image.save(file, "JPEG", quality=quality, comment=COMMENT.encode())
    else:
        notice = PngInfo()
        notice.add_text("Comment", COMMENT)
        image.save(file, "PNG", pnginfo=notice)
    return file.getvalue()


def _write_dicom(
    file: io.BytesIO, pixels: NDArray[np.uint16], interpretation: str, patient_id: str
) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    stored = 4095 - pixels if interpretation == "MONOCHROME1" else pixels
    content = stored.astype("<u2").tobytes()
    data = Dataset()
    data.SOPClassUID = _DIGITAL_XRAY
    data.SOPInstanceUID = generate_uid(
        entropy_srcs=[patient_id, hashlib.sha256(content).hexdigest()]
    )
    data.StudyInstanceUID = generate_uid(entropy_srcs=[patient_id, "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[patient_id, "series"])
    data.PatientName = f"Synthetic^{patient_id}"
    data.PatientID = patient_id
    data.Modality = "DX"
    data.BodyPartExamined = "CHEST"
    data.ViewPosition = "AP"
    data.PresentationIntentType = "FOR PRESENTATION"
    data.BurnedInAnnotation = "YES"
    data.ImageComments = COMMENT
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = interpretation
    data.PresentationLUTShape = "INVERSE" if interpretation == "MONOCHROME1" else "IDENTITY"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = 0
    data.WindowCenter, data.WindowWidth = 2048, 4096
    data.PixelData = content
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(file, enforce_file_format=True)
