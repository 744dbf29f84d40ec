"""Which films an ablation trains on and is judged on: whole patients, the same each time."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from components.xray_example_gen import listing, patients, splitting

SEED = 20
_SHARES = {"judge": 0.2, "tune": 0.1}
# Of normal and sick films. Training keeps the public set's imbalance; the others need both alike.
_LIMITS = {"train": (350, 900), "tune": (130, 170), "judge": (200, 200)}


@dataclass(frozen=True)
class Film:
    """One encoded film and its label, 0 or 1."""

    image_bytes: bytes
    label: int


def choose(xrays: Path) -> dict[str, list[Film]]:
    """Films of `kermany224`: `train`, `tune` (for best epoch and threshold) and `judge`.

    No patient is in two of them. Raises IngestError where the folder is missing or has no classes.
    """
    pattern = patients.compile_pattern(None)
    groups: dict[str, list[listing.Entry]] = defaultdict(list)
    for entry in listing.entries(xrays):
        if entry.label is not None:
            patient = patients.from_name(entry.path, pattern) or entry.path
            groups[patients.group(patient, SEED)].append(entry)
    films = [(group, entry.label or 0) for group, owned in groups.items() for entry in owned]
    chosen: dict[str, list[Film]] = defaultdict(list)
    for group, split in sorted(splitting.assign(films, _SHARES).items()):
        for entry in groups[group]:
            label = entry.label or 0
            if sum(film.label == label for film in chosen[split]) < _LIMITS[split][label]:
                chosen[split].append(Film((xrays / entry.path).read_bytes(), label))
    return dict(chosen)


def of_folder(folder: Path) -> list[Film]:
    """All films of a folder of classes."""
    return [
        Film((folder / entry.path).read_bytes(), entry.label)
        for entry in listing.entries(folder)
        if entry.label is not None
    ]
