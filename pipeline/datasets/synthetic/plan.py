"""Plans what a synthetic set holds: splits, classes, patients, names and file formats."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components import names
from pipeline.datasets.synthetic.files import SUFFIXES

FEWEST = 20  # films, for both classes and several patients in every split
_SHARES = {names.TEST: 0.3, names.VAL: 0.06}  # of the films; the rest is train
_SICK = 0.6
_BACTERIA = 0.65  # of the sick
_FILMS_PER_PATIENT = (0.72, 0.2, 0.08)  # chances of one, two, three
_KINDS = ("jpeg", "jpeg", "png", "jpeg", "jpeg")  # in turn, alike in both classes
_KINDS_WITH_DICOM = ("jpeg", "monochrome1", "jpeg", "png", "jpeg", "monochrome2", "jpeg", "jpeg")


@dataclass(frozen=True)
class PlannedFilm:
    """One film to draw."""

    path: str  # below the set's root, with slashes
    split: str
    label: str
    patient_id: str
    etiology: str
    kind: str  # a key of files.SUFFIXES
    patient_seed: tuple[int, ...]
    film_seed: tuple[int, ...]


def plan(images: int, seed: int, dicom: bool) -> list[PlannedFilm]:
    """Plans the films of a set; the same arguments give the same films.

    A patient's films share split and seed. Of the test films 60 % are sick: 40 sick ones need about
    220 images.

    Args:
        images: the number of films, at least FEWEST.
        seed: 0 or more.
        dicom: whether a quarter of the films are DICOM.

    Returns:
        The films, split by split and class by class.
    """
    rng = np.random.default_rng(seed)
    counts = {split: round(images * share) for split, share in _SHARES.items()}
    counts[names.TRAIN] = images - sum(counts.values())
    kinds = _KINDS_WITH_DICOM if dicom else _KINDS
    numbers = {"normal": 0, "bacteria": 0, "virus": 0}  # of the last patient
    films: list[PlannedFilm] = []
    for split in names.SPLITS:
        sick = round(counts[split] * _SICK)
        for label, count in zip(names.CLASSES, (counts[split] - sick, sick), strict=True):
            patients = _patients(rng, label, count, numbers)
            for turn, (etiology, number, index, several) in enumerate(patients):
                patient_id, name = _names(etiology, number, index, several, len(films))
                kind = kinds[turn % len(kinds)]
                person = (seed, list(numbers).index(etiology), number)
                path = f"{split}/{label}/{name}{SUFFIXES[kind]}"
                films.append(
                    PlannedFilm(
                        path, split, label, patient_id, etiology, kind, person, (*person, index + 1)
                    )
                )
    return films


def _patients(
    rng: np.random.Generator, label: str, films: int, numbers: dict[str, int]
) -> Iterator[tuple[str, int, int, int]]:
    """Yields, for each film, etiology, patient's number, film's index and the patient's films."""
    while films:
        etiology = "bacteria" if rng.random() < _BACTERIA else "virus"
        etiology = "normal" if label == names.CLASSES[0] else etiology
        numbers[etiology] += 1
        several = min(films, 1 + int(rng.choice(3, p=_FILMS_PER_PATIENT)))
        for index in range(several):
            yield etiology, numbers[etiology], index, several
        films -= several


def _names(etiology: str, number: int, index: int, several: int, position: int) -> tuple[str, str]:
    """Makes patient id and file name without suffix, in the public data set's manner."""
    if etiology != "normal":
        patient_id = f"person{number}_{etiology}"
        return patient_id, f"{patient_id}_{position + 1}"
    patient_id = f"{'NORMAL2-' if number % 3 == 0 else ''}IM-{number + 114:04d}"
    return patient_id, f"{patient_id}-0001" + (f"-{index + 1:04d}" if several > 1 else "")
