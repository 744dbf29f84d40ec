"""Chest films as a modality sends them."""

import io

import pydicom
from pydicom.uid import UID, generate_uid

from tests.client.image_files import PATIENT_ID, PATIENT_NAME, dicom, grey

ACCESSION = "ACC-77120934"
BIRTH_DATE = "19370412"
IDENTIFIERS = (PATIENT_NAME, "Wintergreen", "Ottoline", PATIENT_ID, ACCESSION, BIRTH_DATE)


def film(number: int = 0, size: tuple[int, int] = (96, 80), **elements: object) -> bytes:
    """A CR film, file format; each number is another patient's study, always of the same UIDs."""
    uids = {
        f"{level}InstanceUID": generate_uid(entropy_srcs=[f"{level} {number}"])
        for level in ("Study", "Series", "SOP")
    }
    defaults = {
        "PatientName": PATIENT_NAME,
        "PatientBirthDate": BIRTH_DATE,
        "PatientSex": "F",
        "AccessionNumber": ACCESSION,
        "StudyID": "1",
        "StudyDate": "20261130",
        "StudyTime": "081500",
        "ReferringPhysicianName": "",
        "StudyDescription": "Chest",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        "BurnedInAnnotation": "NO",
        "Manufacturer": "",
    }
    pixels = grey(*size, seed=number).astype("uint16") << 4
    content = dicom(
        pixels,
        **{
            name: value
            for name, value in (defaults | uids | elements).items()
            if value is not None or name not in defaults | uids
        },
    )
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
