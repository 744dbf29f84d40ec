"""The answer in figures: a structured report (TID 1500, Measurement Report)."""

from typing import Final

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComprehensiveSRStorage

from client.pacs.answers.model import MANUFACTURER, NOTICE, ModelVersion
from client.pacs.answers.reference import UTF_8
from client.results import Prediction

KIND: Final = "report"
PNEUMONIA: Final = CodedConcept("233604007", "SCT", "Pneumonia")
DETECTED: Final = CodedConcept("260373001", "SCT", "Detected")
NOT_DETECTED: Final = CodedConcept("260415000", "SCT", "Not detected")
UNDETERMINED: Final = codes.DCM.PresenceUndetermined
INSUFFICIENT: Final = codes.DCM.InsufficientQualityForInterpretation
PROBABILITY: Final = codes.DCM.Probability
THRESHOLD: Final = codes.DCM.ThresholdValue
# No scheme known to pydicom's dictionaries has these.
QUALITY: Final = CodedConcept("QUALITY", "99PNEUMONIA", "Likeness to a frontal chest radiograph")
FAMILIARITY: Final = CodedConcept("FAMILIARITY", "99PNEUMONIA", "Likeness to the training films")
_CHEST_FILM: Final = CodedConcept("399208008", "SCT", "Plain chest X-ray")


def build(
    film: Dataset, answer: Prediction, model: ModelVersion, previous: ModelVersion | None
) -> Dataset:
    """Builds a structured report of an answer.

    Args:
        film: what `reference` made of it.
        answer: the model's; a film that was not judged has no probability in its report.
        model: which model answered.
        previous: an earlier version, whose report this one replaces.

    Returns:
        The data set (PS3.16, TID 1500).
    """
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            model.uid(film.SOPInstanceUID, "finding"), "Pneumonia"
        ),
        finding_type=PNEUMONIA,
        algorithm_id=AlgorithmIdentification(
            name=model.name,
            version=str(model.version),
            parameters=[NOTICE, *([f"Model card: {model.card}"] if model.card else [])],
            manufacturer=MANUFACTURER,
        ),
        finding_sites=None,
        measurements=[
            Measurement(name=name, value=value, unit=codes.UCUM.NoUnits)
            for name, value in _figures(answer)
        ],
        qualitative_evaluations=[
            QualitativeEvaluation(name, value) for name, value in _evaluations(answer)
        ],
        source_images=[SourceImageForMeasurementGroup.from_source_image(film)],
    )
    device = DeviceObserverIdentifyingAttributes(
        uid=model.uid("", "device"),
        name=model.name,
        manufacturer_name=MANUFACTURER,
        model_name=model.name,
        serial_number=str(model.version),
    )
    content = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(codes.DCM.Device, device)
        ),
        procedure_reported=_CHEST_FILM,
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    return ComprehensiveSR(
        evidence=[film],
        content=content[0],
        series_instance_uid=model.uid(film.SOPInstanceUID, f"{KIND} series"),
        series_number=9901,
        sop_instance_uid=model.uid(film.SOPInstanceUID, KIND),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model.name,
        software_versions=str(model.version),
        series_description=f"Pneumonia report. {NOTICE}",
        is_complete=True,
        is_final=False,
        previous_versions=[_pointer(film, previous)] if previous else None,
        specific_character_set=UTF_8,
    )


def _figures(answer: Prediction) -> list[tuple[CodedConcept, float]]:
    figures = [(PROBABILITY, answer.probability)] if answer.judged else []
    figures.append((THRESHOLD, answer.threshold))
    quality = None if answer.familiarity is None else answer.quality  # an older model's is likeness
    for name, value in ((QUALITY, quality), (FAMILIARITY, answer.likeness)):
        if value is not None:
            figures.append((name, value))
    return figures


def _evaluations(answer: Prediction) -> list[tuple[CodedConcept, CodedConcept]]:
    if not answer.judged:
        return [(PNEUMONIA, UNDETERMINED), (codes.DCM.QualityAssessment, INSUFFICIENT)]
    return [(PNEUMONIA, DETECTED if answer.positive else NOT_DETECTED)]


def _pointer(film: Dataset, model: ModelVersion) -> Dataset:
    """Enough of an earlier report to point at it."""
    pointer = Dataset()
    pointer.PatientID, pointer.StudyInstanceUID = film.PatientID, film.StudyInstanceUID
    pointer.AccessionNumber = film.AccessionNumber
    pointer.SeriesInstanceUID = model.uid(film.SOPInstanceUID, f"{KIND} series")
    pointer.SOPInstanceUID = model.uid(film.SOPInstanceUID, KIND)
    pointer.SOPClassUID = ComprehensiveSRStorage
    return pointer
