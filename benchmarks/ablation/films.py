"""Which films an ablation trains on and is judged on: whole patients, the same each time."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.ablation import looks
from components.ingest import listing, patients, splitting

SEED = 20
# Of normal and sick films. Training keeps the public set's imbalance; the others need both alike.
_LIMITS = {"train": (250, 650), "tune": (80, 120), "judge": (120, 120), "unlike": (120, 120)}
_MORE = {"train": (500, 1300), "tune": (100, 150)}
# The eighth of a class that looks most like the other one is kept for judging; the third or half
# next to it is left out of training, where the look shall tell the class as it does in public sets.
_UNLIKE, _BETWEEN = 0.12, (0.5, 0.3)


@dataclass(frozen=True)
class Film:
    """One encoded film and its label, 0 or 1."""

    image_bytes: bytes
    label: int


@dataclass(frozen=True)
class _Candidate:
    """A film, whose it is, and how far the other class's look goes in it, 0 to 1 of its class."""

    film: Film
    patient: str
    unlikeness: float

    @property
    def tells(self) -> bool:
        """Whether the look gives the class away."""
        return self.unlikeness < 1 - _BETWEEN[self.film.label]


def choose(xrays: Path, every_look: bool = False) -> dict[str, list[Film]]:
    """Films of `kermany224`: `train`, `tune` (for best epoch and threshold), `judge`, `unlike`.

    `unlike` are those that look most like the other class. `train` and `tune` hold only films that
    look like their own class or, with `every_look`, twice as many as they come. No patient is in
    two of the four. Raises IngestError where the folder is missing or has no classes.
    """
    found = sorted(_candidates(xrays), key=lambda one: one.patient)
    places = _of_every_look(found) if every_look else _of_own_look(found)
    limits = _LIMITS | (_MORE if every_look else {})
    chosen: dict[str, list[Film]] = defaultdict(list)
    for split, film in places:
        if sum(other.label == film.label for other in chosen[split]) < limits[split][film.label]:
            chosen[split].append(film)
    return dict(chosen)


def _of_own_look(found: list[_Candidate]) -> Iterator[tuple[str, Film]]:
    apart = {one.patient for one in found if one.unlikeness >= 1 - _UNLIKE}
    splits = _splits([one for one in found if one.patient not in apart], judge=0.2)
    for one in found:
        if one.unlikeness >= 1 - _UNLIKE:
            yield "unlike", one.film
        elif one.patient not in apart and (one.tells or splits[one.patient] == "judge"):
            yield splits[one.patient], one.film


def _of_every_look(found: list[_Candidate]) -> Iterator[tuple[str, Film]]:
    splits = _splits(found, judge=0.45)
    for one in found:
        split = splits[one.patient]
        unlike = split == "judge" and one.unlikeness >= 1 - looks.UNLIKE
        yield "unlike" if unlike else split, one.film


def _splits(found: list[_Candidate], judge: float) -> dict[str, str]:
    shares = {"judge": judge, "tune": 0.1}
    return splitting.assign([(one.patient, one.film.label) for one in found], shares)


def of_folder(folder: Path, each: int = 1) -> list[Film]:
    """Films of a folder of classes, one of `each`."""
    return [film for film, _ in _labelled(folder)][::each]


def _candidates(xrays: Path) -> list[_Candidate]:
    pattern = patients.compile_pattern(None)
    films, owners = [], []
    for film, name in _labelled(xrays):
        films.append(film)
        owners.append(patients.group(patients.from_name(name, pattern) or name, SEED))
    described = np.stack(
        [looks.describe(film.image_bytes) for film in tqdm(films, desc="looks", unit="film")]
    )
    labels = np.array([film.label for film in films])
    place = looks.unlikeness(described, labels, owners)
    return [_Candidate(*one) for one in zip(films, owners, place.tolist(), strict=True)]


def _labelled(folder: Path) -> Iterator[tuple[Film, str]]:
    for entry in listing.entries(folder):
        if entry.label is not None and not entry.left_out:
            yield Film((folder / entry.path).read_bytes(), entry.label), entry.path
