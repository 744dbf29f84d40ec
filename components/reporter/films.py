"""Which test films the report shows: missed, called sick though healthy, and close to the cut."""

import base64
import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from components import names
from components.examples import Split, batches, parsed
from components.image.pixels import decoded

_SIDE = 320  # pixels; the longer one of a picture


@dataclass(frozen=True)
class Film:
    """A test film and what the model says of it; `position` among the split's records."""

    position: int
    name: str
    patient: str
    etiology: str
    label: int
    probability: float
    threshold: float

    @property
    def called(self) -> int:
        """The model's decision, 0 or 1."""
        return int(self.probability >= self.threshold)

    @property
    def distance(self) -> float:
        """From the threshold, in logits."""
        return abs(_logit(self.probability) - _logit(self.threshold))


@dataclass(frozen=True)
class Picture:
    """A film with two JPEGs as data URIs: the film, and the heat map over it."""

    film: Film
    plain: str
    overlay: str


@dataclass(frozen=True)
class Gallery:
    """Some films of one kind, the most telling first; `total` of them there are."""

    title: str
    text: str
    total: int | None
    pictures: tuple[Picture, ...]


def ask(model: tf.Module, split: Split, total: int) -> list[Film]:
    """Asks a loaded SavedModel of each film of a split; `total` is for the progress bar."""
    films: list[Film] = []
    with tqdm(total=total, desc="asking the model", unit="film", file=sys.stderr) as progress:
        for records in batches(split.records()):
            answer = model.signatures[names.SERVING_DEFAULT](tf.constant(records))
            given = parsed(records)
            films += [
                Film(
                    position=len(films) + offset,
                    name=given[names.FILENAME][offset],
                    patient=given[names.PATIENT_ID][offset],
                    etiology=given[names.ETIOLOGY][offset],
                    label=int(given[names.LABEL][offset]),
                    probability=float(answer[names.PROBABILITY][offset]),
                    threshold=float(answer[names.THRESHOLD][offset]),
                )
                for offset in range(len(records))
            ]
            progress.update(len(records))
    return films


def galleries(model: tf.Module, split: Split, films: Sequence[Film], count: int) -> list[Gallery]:
    """Chooses up to `count` films of each kind and asks for their heat maps."""
    missed = sorted(
        (film for film in films if film.label and not film.called),
        key=lambda film: film.probability,
    )
    alarms = sorted(
        (film for film in films if film.called and not film.label),
        key=lambda film: -film.probability,
    )
    shown = {film.position for film in (*missed[:count], *alarms[:count])}
    close = sorted(
        (film for film in films if film.position not in shown), key=lambda film: film.distance
    )
    kinds = (
        ("Missed pneumonias", "Sick, called healthy; the surest error first.", missed, True),
        ("False alarms", "Healthy, called sick; the surest error first.", alarms, True),
        ("Borderline", "Closest to the threshold, on either side of it.", close, False),
    )
    return [
        Gallery(
            title=title,
            text=text,
            total=len(chosen) if counted else None,
            pictures=tuple(_pictures(model, split, chosen[:count])),
        )
        for title, text, chosen, counted in kinds
    ]


def _pictures(model: tf.Module, split: Split, films: Sequence[Film]) -> Iterable[Picture]:
    images = split.images([film.position for film in films])
    overlays: list[bytes] = []
    for batch in batches(images):
        overlays += model.signatures[names.CAM](tf.constant(batch))[names.OVERLAY].numpy().tolist()
    for film, image, overlay in zip(films, images, overlays, strict=True):
        grey = Image.fromarray(decoded(image))
        with Image.open(io.BytesIO(overlay)) as drawn:
            yield Picture(film, _data_uri(grey), _data_uri(drawn.convert("RGB")))


def _data_uri(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-7), 1 - 1e-7)
    return math.log(inside) - math.log1p(-inside)
