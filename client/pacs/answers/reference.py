"""What the answers take over from the film: whose it is, which study, and how to point at it."""

from typing import Any, Final

from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
)
from pydicom.valuerep import DA, TM

_TEXTS: Final = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
)
_TIMES: Final = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}
_SEXES: Final = ("M", "F", "O")
_AS_THEY_ARE: Final = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "Modality",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
)
_MODALITIES: Final = {
    ComputedRadiographyImageStorage: "CR",
    DigitalXRayImageStorageForPresentation: "DX",
    DigitalXRayImageStorageForProcessing: "DX",
}
# Which way round it lies, and how its grey values are shown.
_IF_THERE: Final = (
    "PatientOrientation",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
)
_PAIRS: Final = (("WindowCenter", "WindowWidth"), ("RescaleIntercept", "RescaleSlope"))
UTF_8: Final = "ISO_IR 192"


def reference(film: Dataset) -> Dataset:
    """A film's identity and geometry, without its pixels, in UTF-8.

    Films break the standard in many ways that highdicom refuses to repeat: what must be there is
    there, empty at least, and a date, time or sex that is none becomes empty.

    Raises ValueError where the film has no place in a study.
    """
    # The reader of films does without these.
    defaults = {"Modality": _MODALITIES.get(str(film.get("SOPClassUID"))), "SamplesPerPixel": 1}
    kept = {keyword: film.get(keyword) for keyword in _AS_THEY_ARE}
    kept |= {keyword: value for keyword, value in defaults.items() if kept[keyword] in (None, "")}
    missing = [keyword for keyword, value in kept.items() if value in (None, "")]
    if missing:
        raise ValueError(f"the DICOM lacks {missing[0]}")
    found = Dataset()
    found.SpecificCharacterSet = UTF_8
    for keyword in _TEXTS:
        setattr(found, keyword, str(film.get(keyword) or ""))
    for keyword, kind in _TIMES.items():
        setattr(found, keyword, _valid(kind, film.get(keyword)))
    found.PatientSex = film.get("PatientSex") if film.get("PatientSex") in _SEXES else ""
    for keyword, value in kept.items():
        setattr(found, keyword, value)
    found.BodyPartExamined = str(film.get("BodyPartExamined") or "CHEST")
    for keyword in _IF_THERE:
        if film.get(keyword) not in (None, ""):
            setattr(found, keyword, film[keyword].value)
    for keywords in _PAIRS:  # half of a pair says nothing
        if len({found[keyword].VM if keyword in found else 0 for keyword in keywords}) > 1:
            for keyword in keywords:
                found.pop(keyword, None)
    return found


def pointer(film: Dataset) -> Dataset:
    """A reference to the film (PS3.3, 10.3)."""
    found = Dataset()
    found.ReferencedSOPClassUID = film.SOPClassUID
    found.ReferencedSOPInstanceUID = film.SOPInstanceUID
    return found


def _valid(kind: Any, value: Any) -> str:
    try:
        return str(kind(str(value or "")) or "")
    except ValueError:
        return ""
