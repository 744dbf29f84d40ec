"""The answer over the film itself: a presentation state with lines of equal heat."""

from typing import Final

import numpy as np
from contourpy import contour_generator
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from client.pacs.answers.capture import headline
from client.pacs.answers.model import MANUFACTURER, NOTICE, ModelVersion
from client.pacs.answers.reference import UTF_8
from client.results import Prediction

KIND: Final = "contours"
LEVELS: Final = (0.25, 0.5, 0.75)  # of the heat map's fixed scale


def build(film: Dataset, answer: Prediction, model: ModelVersion) -> Dataset:
    """Builds lines of equal heat and words, to lay over the film in full resolution.

    Args:
        film: what `reference` made of it.
        answer: the model's; a film that was not judged gets the words alone.
        model: which model answered.

    Returns:
        The presentation state's data set (PS3.3, A.33.1).
    """
    layer = GraphicLayer("PNEUMONIA", order=1, description=NOTICE)
    words = [
        TextObject(
            text_value=text,
            units="DISPLAY",
            bounding_box=(0.02, 0.02 + 0.04 * line, 0.98, 0.06 + 0.04 * line),
        )
        for line, text in enumerate((headline(answer), NOTICE))
    ]
    heat = answer.heatmap if answer.judged else None
    shapes = [] if heat is None else outlines(heat, film.Rows, film.Columns)
    annotation = GraphicAnnotation(
        referenced_images=[film],
        graphic_layer=layer,
        graphic_objects=[GraphicObject("POLYLINE", shape, "PIXEL") for shape in shapes] or None,
        text_objects=words,
    )
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=[film],
        series_instance_uid=model.uid(film.SOPInstanceUID, f"{KIND} series"),
        series_number=9903,
        sop_instance_uid=model.uid(film.SOPInstanceUID, KIND),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model.name,
        software_versions=str(model.version),
        device_serial_number=str(model.version),
        content_label="PNEUMONIA",
        content_description=NOTICE,
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        series_description=f"Pneumonia outlines. {NOTICE}",
        specific_character_set=UTF_8,
    )
    state.BodyPartExamined = film.BodyPartExamined
    return state


def outlines(heat: NDArray[np.float32], rows: int, columns: int) -> list[NDArray[np.float64]]:
    """Draws closed lines of equal heat, at LEVELS.

    Args:
        heat: float32[S,S] in [0,1], the whole film squashed to a square.
        rows: the film's, in pixels.
        columns: the film's, in pixels.

    Returns:
        Lines of float64[points, 2], column and row in the film's pixels.
    """
    heat = np.asarray(Image.fromarray(heat).reduce(2))  # still finer than the model's own map
    padded = np.pad(heat, 1)  # a line that leaves the film follows its edge
    centres = np.arange(-1, len(heat) + 1) + 0.5
    places = np.clip(centres / len(heat), 0, 1)
    lines = contour_generator(places * columns, places * rows, padded)
    found = (np.asarray(line) for level in LEVELS for line in lines.lines(level))
    return [line for line in found if len(line) > 2]
