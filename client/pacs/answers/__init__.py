"""A model's answer as DICOM objects of the film's own study."""

import io

from pydicom import Dataset

from client.images import XRay
from client.pacs.answers import capture, contours, report
from client.pacs.answers.model import Model
from client.pacs.answers.reference import reference
from client.results import Prediction


def build(
    film: Dataset, xray: XRay, answer: Prediction, model: Model, previous: Model | None = None
) -> dict[str, bytes]:
    """DICOM files by kind: report, capture and contours. The same film and model, the same UIDs.

    film: the DICOM's data set, which needs no pixels; xray: what was sent to the model.
    previous: an earlier version whose report for this film the new one replaces.
    """
    source = reference(film)
    objects = {
        report.KIND: report.build(source, answer, model, previous),
        capture.KIND: capture.build(source, xray, answer, model),
        contours.KIND: contours.build(source, answer, model),
    }
    return {kind: _file(dataset) for kind, dataset in objects.items()}


def _file(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
