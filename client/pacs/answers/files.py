"""The answer's objects for a DICOM file, wherever it came from."""

import io
from pathlib import Path

import pydicom
from PIL import Image

from client import images
from client.pacs import answers
from client.pacs.answers.model import ModelVersion
from client.results import Prediction


def build(path: Path, answer: Prediction, model: str) -> dict[str, bytes]:
    """Builds the DICOM files of an answer for a file, as `client.pacs.answers.build` does.

    Args:
        path: the file that was asked about.
        answer: the model's, with its heat map.
        model: the model's name.

    Returns:
        Files by kind; nothing for a file that is no DICOM.

    Raises:
        OSError: the file cannot be read any more.
        ValueError: the file cannot be used any more, or has no place in a study.
    """
    content = path.read_bytes()
    xray = images.read(content)
    if xray.source_format != "dicom":
        return {}
    film = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    picture = Image.open(io.BytesIO(xray.data))
    return answers.build(film, picture, answer, ModelVersion(model, answer.version))
