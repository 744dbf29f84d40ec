"""Writes a labelled set of synthetic chest films, laid out and named like the public data set."""

import csv
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.files import replacing_folder
from components.progress import tracked
from pipeline.datasets.synthetic import files, film
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.datasets.synthetic.plan import FEWEST, PlannedFilm, plan

TRUTH = ".truth.json"  # hidden from ingest; its presence says that the set is synthetic
MANIFEST = "manifest.csv"
SOURCE = "synthetic"
_VERSION = 1  # raised whenever the same recipe draws other films


class SynthesisError(ValueError):
    """A synthetic set that cannot be written; the message says why and what to do."""


@dataclass(frozen=True)
class Recipe:
    """What decides every byte of a set, on one version of numpy and Pillow.

    Attributes:
        images: how many films, at least FEWEST.
        seed: 0 or more.
        dicom: whether a quarter of the films are DICOM, of both photometric interpretations, and a
            manifest lists every film.
        version: of the program that draws.
    """

    images: int = 280
    seed: int = 20
    dicom: bool = False
    version: int = _VERSION


def synthesize(out: Path, recipe: Recipe = Recipe()) -> bool:
    """Writes a synthetic set, whole or not at all.

    Args:
        out: a new or empty folder, or another synthetic set's, which it replaces.
        recipe: what to draw.

    Returns:
        Whether it wrote the set; False where the very same set is there already.

    Raises:
        SynthesisError: `out` holds something else, or the recipe asks for too few images or a
            negative seed.
        OSError: the disk refuses.
    """
    if recipe.seed < 0:
        raise SynthesisError(f"--seed {recipe.seed}: give 0 or more")
    if recipe.images < FEWEST:
        raise SynthesisError(f"--images {recipe.images}: give at least {FEWEST}")
    if out.exists():
        if _recipe(out) == asdict(recipe):
            return False
        if not is_synthetic(out) and not (out.is_dir() and not any(out.iterdir())):
            raise SynthesisError(f"{out}: holds something else; name a new folder or remove it")
    with replacing_folder(out) as part:
        _write(part, recipe)
    return True


def is_synthetic(folder: Path) -> bool:
    """Whether `synthesize` wrote the folder."""
    return _recipe(folder) is not None


def read_truth(folder: Path) -> dict[str, NDArray[np.bool_]]:
    """Reads where opacity was drawn.

    Returns:
        By path below the folder, bool[32,32] over the whole film; rows run down the film, and a
        healthy film's grid is all False.
    """
    content = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    return {
        path: np.array([[cell == "#" for cell in row] for row in rows])
        for path, rows in content["opacity"].items()
    }


def _recipe(folder: Path) -> dict[str, Any] | None:
    try:
        recipe = json.loads((folder / TRUTH).read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return recipe if isinstance(recipe, dict) else None


def _write(folder: Path, recipe: Recipe) -> None:
    films = plan(recipe.images, recipe.seed, recipe.dicom)
    for place in {(folder / planned.path).parent for planned in films}:
        place.mkdir(parents=True, exist_ok=True)
    opacity = dict(tracked(_drawn(folder, films), "drawing films", len(films)))
    if recipe.dicom:
        _write_manifest(folder / MANIFEST, films)
    truth = {
        "notice": files.COMMENT,
        "recipe": asdict(recipe),
        "opacity": {planned.path: opacity[planned.path] for planned in films},
    }
    (folder / TRUTH).write_text(json.dumps(truth, indent=1), encoding="utf-8")


def _drawn(folder: Path, films: list[PlannedFilm]) -> Iterator[tuple[str, list[str]]]:
    """Draws the films, on all cores: numpy and Pillow let go of the interpreter's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda planned: (planned.path, _draw(folder, planned)), films)


def _draw(folder: Path, planned: PlannedFilm) -> list[str]:
    """Draws and writes one film; returns where its opacities are, a string of . and # per row."""
    anatomy_rng = np.random.default_rng(planned.patient_seed)
    rng = np.random.default_rng(planned.film_seed)
    anatomy = random_anatomy(anatomy_rng)
    quality = int(rng.integers(80, 96))
    opacities = film.random_opacities(anatomy_rng, anatomy, planned.etiology)
    drawn = film.render(anatomy, opacities, rng)
    content = files.encode(drawn.pixels, planned.kind, planned.patient_id, quality)
    (folder / planned.path).write_bytes(content)
    return ["".join("#" if cell else "." for cell in row) for row in drawn.truth]


def _write_manifest(path: Path, films: list[PlannedFilm]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "patient_id", "split", "etiology", "source"])
        for planned in films:
            writer.writerow(
                [
                    planned.path,
                    planned.label,
                    planned.patient_id,
                    planned.split,
                    planned.etiology,
                    SOURCE,
                ]
            )
