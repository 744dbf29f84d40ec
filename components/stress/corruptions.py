"""How a model's decisions hold when films are worse than those it was tested on.

The kinds of corruption, at five strengths each, follow MedMNIST-C's for chest X-rays (Di Salvo et
al., "MedMNIST-C: Comprehensive benchmark and improved classifier robustness by simulating
realistic image corruptions", 2024); `cut above` is ours, a beam collimated lower. So are the
strengths: those of blur and pixels are relative to the film, whatever its size.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.examples import batches
from components.pictures import png
from components.statistics import area_under_roc

Pixels = NDArray[np.uint8]
Predict = Callable[[list[bytes]], NDArray[np.float32]]

_SIDE: Final = 512  # the shorter side while corrupting; the model looks at fewer pixels


def _noise(film: Pixels, deviation: float) -> Pixels:
    noise = np.random.default_rng(film.size).normal(0, 255 * deviation, film.shape)
    return _clipped(film + noise)


def _through(resample: Image.Resampling) -> Callable[[Pixels, float], Pixels]:
    def resampled(film: Pixels, pixels: float) -> Pixels:
        """Through so many pixels on the shorter side, and back."""
        image = Image.fromarray(film)
        share = min(1.0, pixels / min(image.size))
        small = image.resize(
            (max(1, round(image.width * share)), max(1, round(image.height * share))),
            Image.Resampling.BOX,
        )
        return np.asarray(small.resize(image.size, resample))

    return resampled


def _compress(film: Pixels, quality: float) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(film).save(file, "JPEG", quality=round(quality))
    return np.asarray(Image.open(file))


def _brighten(film: Pixels, share: float) -> Pixels:
    return _clipped(film + 255 * share)


def _stretch(film: Pixels, factor: float) -> Pixels:
    return _clipped((film - film.mean()) * factor + film.mean())


def _gamma(film: Pixels, exponent: float) -> Pixels:
    return _clipped(255 * (film / 255.0) ** exponent)


def _rotate(film: Pixels, degrees: float) -> Pixels:
    return np.asarray(Image.fromarray(film).rotate(degrees, Image.Resampling.BILINEAR))


def _borders(film: Pixels, share: float) -> Pixels:
    rows, columns = (round(side * share) for side in film.shape)
    return np.pad(film, ((rows, rows), (columns, columns)))


def _cut_above(film: Pixels, share: float) -> Pixels:
    return film[round(film.shape[0] * share) :]


def _clipped(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


# Each with the parameter of its five strengths.
CORRUPTIONS: Final[dict[str, tuple[Callable[[Pixels, float], Pixels], tuple[float, ...]]]] = {
    "noise": (_noise, (0.02, 0.04, 0.07, 0.10, 0.15)),
    "blur": (_through(Image.Resampling.BICUBIC), (192, 144, 112, 80, 56)),
    "pixels": (_through(Image.Resampling.NEAREST), (192, 144, 112, 80, 56)),
    "jpeg": (_compress, (50, 30, 20, 10, 5)),
    "brighter": (_brighten, (0.05, 0.10, 0.15, 0.20, 0.30)),
    "darker": (_brighten, (-0.05, -0.10, -0.15, -0.20, -0.30)),
    "more contrast": (_stretch, (1.15, 1.3, 1.5, 1.75, 2.0)),
    "less contrast": (_stretch, (0.85, 0.7, 0.55, 0.4, 0.3)),
    "gamma": (_gamma, (1.2, 1.4, 1.7, 2.1, 2.6)),
    "rotation": (_rotate, (2, 5, 8, 12, 16)),
    "black borders": (_borders, (0.02, 0.05, 0.08, 0.12, 0.16)),
    "cut above": (_cut_above, (0.03, 0.06, 0.09, 0.13, 0.17)),
}
STRENGTHS: Final = 5


@dataclass(frozen=True)
class CorruptionRow:
    """What a model reaches on films corrupted in one way; strength 0 is none."""

    corruption: str
    strength: int
    auc: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Robustness:
    """The figures of all corruptions and strengths on the same films.

    rows: by corruption and strength. sick, healthy: films.
    """

    sick: int
    healthy: int
    clean: CorruptionRow
    rows: tuple[CorruptionRow, ...]

    @property
    def mean_drop(self) -> float:
        """Of sensitivity or specificity, the larger, over all corruptions and strengths."""
        return max(
            float(np.mean([getattr(self.clean, name) - getattr(row, name) for row in self.rows]))
            for name in ("sensitivity", "specificity")
        )


def corrupt(film: Pixels, corruption: str, strength: int) -> Pixels:
    """A film, corrupted in one way.

    Args:
        film: uint8[H,W].
        corruption: one of CORRUPTIONS.
        strength: 1 to 5; 0 leaves the film as it is.

    Returns:
        uint8[h,w].
    """
    function, parameters = CORRUPTIONS[corruption]
    return function(film, parameters[strength - 1]) if strength else film


def measure(
    films: Sequence[Pixels],
    labels: NDArray[np.int64],
    predict: Predict,
    threshold: float,
    advance: Callable[[int], object] = lambda _: None,
) -> Robustness:
    """Asks a model of every film, corrupted in every way.

    Args:
        films: uint8[H,W] each, of any size; larger ones are made smaller first.
        labels: int64[N], 0 or 1, both present.
        predict: encoded images to probabilities; called with at most 16.
        threshold: a film is called sick from this probability on.
        advance: called with the number of films after each call of the model.

    Raises:
        ValueError: a class is missing.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("the films lack a class; take more")
    small = [_shrunk(film) for film in films]

    def row(corruption: str, strength: int) -> CorruptionRow:
        images = (png(corrupt(film, corruption, strength)) for film in small)
        scores = np.concatenate(list(_asked(images, predict, advance)))
        called = scores >= np.float32(threshold)
        sick = labels == 1
        return CorruptionRow(
            corruption=corruption,
            strength=strength,
            auc=area_under_roc(scores, sick),
            sensitivity=float(called[sick].mean()),
            specificity=float(1 - called[~sick].mean()),
        )

    return Robustness(
        sick=int(labels.sum()),
        healthy=int(len(labels) - labels.sum()),
        clean=row("noise", 0),
        rows=tuple(
            row(name, strength) for name in CORRUPTIONS for strength in range(1, STRENGTHS + 1)
        ),
    )


def asked(films: int) -> int:
    """How many predictions `measure` takes, for a progress bar."""
    return films * (len(CORRUPTIONS) * STRENGTHS + 1)


def _asked(
    images: Iterator[bytes], predict: Predict, advance: Callable[[int], object]
) -> Iterator[NDArray[np.float32]]:
    for batch in batches(images):
        yield predict(batch)
        advance(len(batch))


def _shrunk(film: Pixels) -> Pixels:
    share = _SIDE / min(film.shape)
    if share >= 1:
        return film
    size = tuple(math.ceil(side * share) for side in reversed(film.shape))
    return np.asarray(Image.fromarray(film).resize(size, Image.Resampling.BOX))
