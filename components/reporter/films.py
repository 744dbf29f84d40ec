"""Chooses the test films that the report shows: missed, false alarms and borderline."""

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import tensorflow as tf
from PIL import Image

from components import names
from components.examples import Split, batches, parsed
from components.image.pixels import decoded
from components.pictures import thumbnail
from components.progress import bar

_SIDE = 320  # pixels; the longer one of a picture


@dataclass(frozen=True)
class JudgedFilm:
    """A test film and what the model says of it.

    Attributes:
        position: among the split's records, from 0.
        name: the file's.
        sha256: of its bytes as they are stored.
        patient: the patient's pseudonym.
        etiology: one of listing.ETIOLOGIES.
        label: 0 or 1.
        probability: of pneumonia, in [0,1].
        threshold: the model's, in [0,1].
    """

    position: int
    name: str
    sha256: str
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
class FilmPicture:
    """A film with two JPEGs as data URIs: the film, and the heat map over it."""

    film: JudgedFilm
    plain: str
    overlay: str


@dataclass(frozen=True)
class Gallery:
    """Some films of one kind, the most telling first.

    Attributes:
        title: the kind's name.
        text: what the kind is and how its films are sorted.
        total: how many films of the kind there are; None where every film could be one.
        pictures: those that are shown.
    """

    title: str
    text: str
    total: int | None
    pictures: tuple[FilmPicture, ...]


def ask(model: tf.Module, split: Split, total: int) -> list[JudgedFilm]:
    """Asks a model for its answer to each film of a split.

    Args:
        model: a loaded SavedModel with the signature `serving_default`.
        split: raw examples.
        total: the split's number of films, for the progress line.

    Returns:
        The films in the split's order.
    """
    films: list[JudgedFilm] = []
    with bar("asking the model", total) as progress:
        for records in batches(split.records()):
            answer = model.signatures[names.SERVING_DEFAULT](tf.constant(records))
            examples = parsed(records)
            films += [
                JudgedFilm(
                    position=len(films) + offset,
                    name=examples[names.FILENAME][offset],
                    sha256=examples[names.SHA256][offset],
                    patient=examples[names.PATIENT_ID][offset],
                    etiology=examples[names.ETIOLOGY][offset],
                    label=int(examples[names.LABEL][offset]),
                    probability=float(answer[names.PROBABILITY][offset]),
                    threshold=float(answer[names.THRESHOLD][offset]),
                )
                for offset in range(len(records))
            ]
            progress.update(len(records))
    return films


def galleries(
    model: tf.Module, split: Split, films: Sequence[JudgedFilm], count: int
) -> list[Gallery]:
    """Chooses films of each kind and asks for their heat maps.

    Args:
        model: a loaded SavedModel with the signature `cam`.
        split: raw examples.
        films: what `ask` returned for the same model and split.
        count: the most films of each kind.

    Returns:
        The missed, the false alarms, and the borderline films, which repeat none of those shown.
    """
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
            pictures=tuple(pictures(model, split, chosen[:count])),
        )
        for title, text, chosen, counted in kinds
    ]


def pictures(model: tf.Module, split: Split, films: Sequence[JudgedFilm]) -> Iterable[FilmPicture]:
    """Asks a model for the heat maps of some of a split's films.

    Args:
        model: a loaded SavedModel.
        split: holds the films.
        films: those that are wanted.

    Yields:
        A picture of each film, in their order.
    """
    images = split.images([film.position for film in films])
    overlays: list[bytes] = []
    for batch in batches(images):
        overlays += model.signatures[names.CAM](tf.constant(batch))[names.OVERLAY].numpy().tolist()
    for film, image, overlay in zip(films, images, overlays, strict=True):
        grey = Image.fromarray(decoded(image))
        with Image.open(io.BytesIO(overlay)) as drawn:
            yield FilmPicture(film, thumbnail(grey, _SIDE), thumbnail(drawn.convert("RGB"), _SIDE))


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-7), 1 - 1e-7)
    return math.log(inside) - math.log1p(-inside)
