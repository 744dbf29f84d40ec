"""The answer's objects for a DICOM file, wherever it came from."""

import io
from pathlib import Path

import pydicom

from client import images
from client.pacs import answers
from client.pacs.answers.model import Model
from client.results import Prediction


def build(path: Path, answer: Prediction, model: str) -> dict[str, bytes]:
    """As `client.pacs.answers.build`; nothing for a file that is no DICOM.

    Raises ValueError where the file cannot be read any more, or has no place in a study.
    """
    content = path.read_bytes()
    xray = images.read(content)
    if xray.source_format != "dicom":
        return {}
    film = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    return answers.build(film, xray, answer, Model(model, answer.version))
