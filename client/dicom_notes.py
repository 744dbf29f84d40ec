"""What a DICOM's header says that makes its picture doubtful for a model of frontal chest films."""

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from client import dicom_elements

_CHESTS = ("CHEST", "THORA", "TORAX", "LUNG")
_FRONTAL = ("PA", "AP", "POSTERO", "ANTERO")


def notes(dataset: Dataset) -> Iterator[str]:
    """One line for each thing; nothing that tells whose film it is."""
    intent = dicom_elements.term(dataset, "PresentationIntentType")
    if intent == "FOR PROCESSING" or (
        not intent
        and dicom_elements.value(dataset, "SOPClassUID") == DigitalXRayImageStorageForProcessing
    ):
        yield "its PresentationIntentType is FOR PROCESSING: raw values, not made to be looked at"
    part = dicom_elements.term(dataset, "BodyPartExamined")
    if part and not any(word in part for word in _CHESTS):
        yield f"its BodyPartExamined is {part}, not CHEST"
    view = dicom_elements.term(dataset, "ViewPosition")
    if view and not view.startswith(_FRONTAL):
        yield f"its ViewPosition is {view}, not PA or AP"
