"""A model's answer as DICOM objects of the film's own study."""

import io

from PIL import Image
from pydicom import Dataset

from client.pacs.answers import capture, contours, report
from client.pacs.answers.model import ModelVersion
from client.pacs.answers.reference import reference
from client.results import Prediction


def build(
    film: Dataset,
    picture: Image.Image,
    answer: Prediction,
    model: ModelVersion,
    previous: ModelVersion | None = None,
) -> dict[str, bytes]:
    """Builds DICOM files of an answer; the same film and model get the same UIDs.

    Args:
        film: the DICOM's data set; it needs no pixels.
        picture: its pixels as the model sees them, in mode L.
        answer: the model's, with its heat map.
        model: which model answered.
        previous: an earlier version, whose report for this film the new one replaces.

    Returns:
        Files by kind: report, capture and contours.

    Raises:
        ValueError: the film has no place in a study.
    """
    source = reference(film)
    objects = {
        report.KIND: report.build(source, answer, model, previous),
        capture.KIND: capture.build(source, picture, answer, model),
        contours.KIND: contours.build(source, answer, model),
    }
    return {kind: _file(dataset) for kind, dataset in objects.items()}


def _file(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
