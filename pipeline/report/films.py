"""Which test films the report shows: missed, called sick though healthy, and close to the cut."""

import base64
import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from pipeline import features, imaging
from pipeline.signatures import SLICE

_SIDE = 320  # pixels; the longer one of a picture
_BRIEF = (features.LABEL, features.FILENAME, features.PATIENT_ID, features.ETIOLOGY)
_SPEC = {
    features.IMAGE: tf.io.FixedLenFeature([], tf.string),
    features.LABEL: tf.io.FixedLenFeature([], tf.int64),
    features.FILENAME: tf.io.FixedLenFeature([], tf.string, ""),
    features.PATIENT_ID: tf.io.FixedLenFeature([], tf.string, ""),
    features.ETIOLOGY: tf.io.FixedLenFeature([], tf.string, ""),
}


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


class Split:
    """The records of one split, in the same order at each reading."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(str(path) for path in folder.iterdir())

    def records(self) -> Iterator[bytes]:
        """Serialized raw examples."""
        yield from tf.data.TFRecordDataset(self._files, "GZIP").as_numpy_iterator()

    def images(self, positions: Sequence[int]) -> list[bytes]:
        """The encoded images at some positions, in the order asked for."""
        wanted = set(positions)
        found = {
            position: tf.io.parse_single_example(record, _SPEC)[features.IMAGE].numpy()
            for position, record in enumerate(self.records())
            if position in wanted
        }
        return [found[position] for position in positions]


def ask(model: tf.Module, split: Split, total: int) -> list[Film]:
    """Asks a loaded SavedModel of each film of a split; `total` is for the progress bar."""
    films: list[Film] = []
    with tqdm(total=total, desc="asking the model", unit="film", file=sys.stderr) as progress:
        for records in _batches(split.records()):
            answer = model.signatures[features.SERVING_DEFAULT](tf.constant(records))
            parsed = tf.io.parse_example(records, {key: _SPEC[key] for key in _BRIEF})
            texts = (parsed[key].numpy() for key in _BRIEF[1:])
            rows = zip(
                parsed[features.LABEL].numpy(),
                *texts,
                answer[features.PROBABILITY].numpy(),
                answer[features.THRESHOLD].numpy(),
                strict=True,
            )
            films += [
                Film(
                    position=len(films) + offset,
                    name=name.decode("utf-8", "replace"),
                    patient=patient.decode("utf-8", "replace"),
                    etiology=etiology.decode("utf-8", "replace"),
                    label=int(label),
                    probability=float(probability),
                    threshold=float(threshold),
                )
                for offset, (label, name, patient, etiology, probability, threshold) in enumerate(
                    rows
                )
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
    for batch in _batches(images):
        overlays += (
            model.signatures[features.CAM](tf.constant(batch))[features.OVERLAY].numpy().tolist()
        )
    for film, image, overlay in zip(films, images, overlays, strict=True):
        # TensorFlow's own decoding: what the model saw, 16-bit and all.
        grey = Image.fromarray(np.asarray(imaging.decode_grey(tf.constant(image))))
        with Image.open(io.BytesIO(overlay)) as drawn:
            yield Picture(film, _data_uri(grey), _data_uri(drawn.convert("RGB")))


def _data_uri(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _batches(values: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for value in values:
        batch.append(value)
        if len(batch) == SLICE:
            yield batch
            batch = []
    if batch:
        yield batch


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-7), 1 - 1e-7)
    return math.log(inside) - math.log1p(-inside)
