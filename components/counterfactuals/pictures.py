"""Pictures of the films that gave a model away, with its heat maps over them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from components import names
from components.counterfactuals.blending import LungFilm, Pixels
from components.counterfactuals.changes import Changed
from components.pictures import png

HEAT: Final = "heat"
_PIXELS: Final = 320  # the longer side of a picture


@dataclass(frozen=True)
class PicturePair:
    """Two JPEG files beside each other, and what is said below each.

    kind: of the change, or HEAT. change: in words. film: its name, of the class `label`.
    """

    kind: str
    change: str
    film: str
    label: int
    left: str
    left_says: str
    right: str
    right_says: str

    def below(self, folder: Path) -> "PicturePair":
        """With the files' paths as seen from outside the folder that holds them."""
        return replace(self, left=str(folder / self.left), right=str(folder / self.right))


def pairs(
    model: Any,
    films: Sequence[LungFilm],
    titles: Sequence[str],
    telling: Sequence[tuple[Changed, float, float]],
    folder: Path,
) -> list[PicturePair]:
    """Film and changed film, each under its heat map.

    Args:
        model: a loaded SavedModel.
        films: as they are.
        titles: their names.
        telling: changed films with the probability before and after.
        folder: where the files go.
    """
    shown = []
    for number, (changed, before, after) in enumerate(telling):
        overlays = _overlaid(model, [films[changed.film].pixels, changed.pixels])
        files = [f"{changed.kind}_{number:02d}_{side}.jpg" for side in ("before", "after")]
        for overlay, file in zip(overlays, files, strict=True):
            _save(overlay, folder / file)
        shown.append(
            PicturePair(
                kind=changed.kind,
                change=changed.change,
                film=titles[changed.film],
                label=films[changed.film].label,
                left=files[0],
                left_says=f"as it is: {before:.3f}",
                right=files[1],
                right_says=f"changed: {after:.3f}",
            )
        )
    return shown


def heated(
    model: Any,
    films: Sequence[LungFilm],
    titles: Sequence[str],
    positions: Sequence[int],
    inside: NDArray[np.float64],
    folder: Path,
) -> list[PicturePair]:
    """Films whose heat lies beside the lungs: the film, and its heat map over it.

    Args:
        model: a loaded SavedModel.
        films: all of them.
        titles: their names.
        positions: of the films to show.
        inside: of each film, the share of the heat that lies in the lungs.
        folder: where the files go.
    """
    shown = []
    for number, position in enumerate(positions):
        film = films[position]
        files = [f"{HEAT}_{number:02d}_{side}.jpg" for side in ("film", "map")]
        _save(Image.fromarray(film.pixels), folder / files[0])
        _save(_overlaid(model, [film.pixels])[0], folder / files[1])
        shown.append(
            PicturePair(
                kind=HEAT,
                change="heat beside the lungs",
                film=titles[position],
                label=film.label,
                left=files[0],
                left_says="the film",
                right=files[1],
                right_says=f"{inside[position]:.2f} of its heat in the lungs",
            )
        )
    return shown


def _overlaid(model: Any, films: Sequence[Pixels]) -> list[Image.Image]:
    answer = model.signatures[names.CAM](tf.constant([png(film) for film in films]))
    drawn = answer[names.OVERLAY].numpy()
    return [Image.open(io.BytesIO(overlay)).convert("RGB") for overlay in drawn]


def _save(image: Image.Image, path: Path) -> None:
    small = image.copy()
    small.thumbnail((_PIXELS, _PIXELS), Image.Resampling.LANCZOS)
    path.parent.mkdir(parents=True, exist_ok=True)
    small.save(path, "JPEG", quality=80, optimize=True)
