"""The answer as a picture that any viewer shows: the heat over the film, its scale and a notice."""

from typing import Final

import numpy as np
from highdicom import CoordinateSystemNames
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit

from client.pacs.answers.model import MANUFACTURER, NOTICE, ModelVersion
from client.pacs.answers.reference import UTF_8, pointer
from client.results import Prediction

KIND: Final = "capture"
_SIDE: Final = 1024  # the picture's longer one
_NARROWEST: Final = 640  # so that the words fit
_BAR: Final = (40, 320)  # width and height of the scale
_MARGIN: Final = 24
_LINE: Final = 34
_WHITE: Final = (255, 255, 255)
_AMBER: Final = (255, 184, 107)
_OPACITY: Final = 0.7  # of the hottest colour, as in the overlay that the model draws
# matplotlib's plasma at sixteen steps, that overlay's colours.
_PLASMA: Final = (
    "0d0887 330597 5002a2 6a00a8 8405a7 9c179e b12a90 c33d80 "
    "d35171 e16462 ed7953 f68f44 fca636 fec029 f9dc24 f0f921"
)


def build(film: Dataset, seen: Image.Image, answer: Prediction, model: ModelVersion) -> Dataset:
    """Builds a Secondary Capture in colour; a film that was not judged is shown without heat.

    Args:
        film: what `reference` made of it.
        seen: the film as the model sees it, in mode L.
        answer: the model's, with its heat map.
        model: which model answered.

    Returns:
        The data set (PS3.3, A.8.1).
    """
    pixels = picture(seen, answer, model)
    capture = SCImage.from_ref_dataset(
        film,
        pixel_array=pixels,
        photometric_interpretation="YBR_FULL_422",
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "F"),  # replaced below: it must not be empty here
        series_instance_uid=model.uid(film.SOPInstanceUID, f"{KIND} series"),
        series_number=9902,
        sop_instance_uid=model.uid(film.SOPInstanceUID, KIND),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model.name,
        software_versions=str(model.version),
        series_description=f"Pneumonia heat map. {NOTICE}",
        transfer_syntax_uid=JPEGBaseline8Bit,
        specific_character_set=UTF_8,
    )
    capture.BodyPartExamined = film.BodyPartExamined
    capture.PatientOrientation = film.get("PatientOrientation") or ""
    capture.BurnedInAnnotation = "NO"  # of the patient's identity (PS3.3, C.7.6.1)
    capture.DerivationDescription = "The model's heat map over the film"
    capture.LossyImageCompression = "01"
    capture.LossyImageCompressionRatio = f"{pixels.nbytes / len(capture.PixelData):.1f}"
    capture.LossyImageCompressionMethod = "ISO_10918_1"
    capture.SourceImageSequence = [pointer(film)]
    return capture


def picture(seen: Image.Image, answer: Prediction, model: ModelVersion) -> NDArray[np.uint8]:
    """Draws the film with its heat, a scale at its right, words below.

    Args:
        seen: the film as the model sees it, in mode L.
        answer: the model's, with its heat map.
        model: which model answered.

    Returns:
        uint8[height, width, 3].
    """
    scale = _SIDE / max(seen.size)
    width, height = (max(1, round(side * scale)) for side in seen.size)
    film = seen.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2).convert("RGB")
    heat = answer.heatmap if answer.judged else None
    if heat is not None:
        lay_over(film, heat)
    scale_width = _BAR[0] + 2 * _MARGIN + 60
    doubt = [answer.warning] if answer.judged and answer.warning else []
    words = [headline(answer), *doubt, NOTICE, f"Model {model.name} {model.version}"]
    size = (max(film.width + scale_width, _NARROWEST), max(film.height, _BAR[1] + 4 * _LINE))
    canvas = Image.new("RGB", (size[0], size[1] + len(words) * _LINE + _MARGIN))
    canvas.paste(film, (0, 0))
    draw = ImageDraw.Draw(canvas)
    draw.fontmode = "L"
    font = ImageFont.load_default(24)
    for line, text in enumerate(words):
        colour = _AMBER if text == NOTICE else _WHITE
        draw.text((_MARGIN, size[1] + _MARGIN // 2 + line * _LINE), text, colour, font)
    if heat is not None:
        left, top = film.width + _MARGIN, 2 * _LINE
        canvas.paste(Image.fromarray(colour_bar(*_BAR)), (left, top))
        for share, text in ((0.0, "high"), (1.0, "none")):
            draw.text((left + _BAR[0] + 8, top + share * _BAR[1]), text, _WHITE, font, anchor="lm")
        draw.text((left, _LINE), "Evidence", _WHITE, font, anchor="lm")
    return np.asarray(canvas)


def headline(answer: Prediction) -> str:
    """The answer in one line."""
    if not answer.judged:
        return "NOT JUDGED: does not look like a frontal chest radiograph"
    shown = f"probability {answer.probability:.3f}, threshold {answer.threshold:.3f}"
    found = "Pneumonia suspected" if answer.positive else "No pneumonia found"
    return f"{found}: {shown}"


def lay_over(film: Image.Image, heat: NDArray[np.float32]) -> None:
    """Lays heat over a film; where there is none the film is unchanged.

    Args:
        film: RGB; it is painted on.
        heat: float32[S,S] in [0,1], over the whole film squashed to a square.
    """
    grey = Image.fromarray(np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8))
    grey = grey.resize(film.size, Image.Resampling.BILINEAR)
    colours = grey.copy()
    colours.putpalette(_colours(256).tobytes())
    film.paste(colours.convert("RGB"), mask=grey.point(lambda value: value * _OPACITY))


def colour_bar(width: int, height: int) -> NDArray[np.uint8]:
    """Draws the heat's colours over black, the hottest on top.

    Args:
        width: in pixels.
        height: in pixels.

    Returns:
        uint8[height, width, 3].
    """
    column = np.rint(_colours(height) * np.linspace(0, 1, height)[:, None])[::-1]
    return np.repeat(column.astype(np.uint8)[:, None], width, axis=1)


def _colours(steps: int) -> NDArray[np.uint8]:
    """uint8[steps,3], from no heat to the hottest."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in _PLASMA.split()], float)
    heat, places = np.linspace(0, 1, steps), np.linspace(0, 1, len(stops))
    planes = [np.interp(heat, places, plane) for plane in stops.T]
    return np.rint(np.stack(planes, axis=-1)).astype(np.uint8)
