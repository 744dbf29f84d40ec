"""Changes of an encoded film that leave the lungs alone: what a shortcut learns or trips over.

`swap` gives a film the other class's look; `corrupt` draws one mild fault that any hospital's films
may have; `cut` collimates a normal film lower.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from components.counterfactuals import looks

Values = NDArray[np.float64]

_CUT = 0.12  # of the height


def swap(image_bytes: bytes, label: int) -> bytes:
    """The film with the other class's look, as PNG."""
    return _png(Image.fromarray(looks.swap(np.asarray(_opened(image_bytes)), label)))


def corrupt(image_bytes: bytes, seed: int) -> bytes:
    """The film with one mild fault, which depends on the seed alone, as PNG."""
    draw = np.random.default_rng(seed)
    fault = _FAULTS[draw.integers(len(_FAULTS))]
    return _png(looks.compressed(fault(_opened(image_bytes), draw), 95))


def cut(image_bytes: bytes, label: int) -> bytes:
    """A normal film as if collimated lower, as the sick ones were, as PNG; a sick one as it is."""
    if label:
        return image_bytes
    film = _opened(image_bytes)
    below = film.crop((0, round(film.height * _CUT), film.width, film.height))
    return _png(below.resize(film.size, Image.Resampling.BICUBIC))


def _opened(image_bytes: bytes) -> Image.Image:
    return Image.open(io.BytesIO(image_bytes)).convert("L")


def _values(change: Callable[[Values], Values], film: Image.Image) -> Image.Image:
    values = change(np.asarray(film, np.float64) / 255)
    return Image.fromarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))


_FAULTS: tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...] = (
    lambda film, draw: looks.resampled(film, 0.6),
    lambda film, draw: film.filter(looks.SHARPER),
    lambda film, draw: looks.compressed(film, 25),
    lambda film, draw: _values(lambda v: v**0.7, film),
    lambda film, draw: _values(lambda v: v**1.4, film),
    lambda film, draw: _values(lambda v: v + draw.choice([-0.12, 0.12]), film),
    lambda film, draw: _values(lambda v: 0.5 + (v - 0.5) * draw.choice([0.7, 1.3]), film),
    lambda film, draw: _values(lambda v: v + draw.normal(0, 0.03, v.shape), film),
    lambda film, draw: film.rotate(float(draw.choice([-6, 6])), Image.Resampling.BICUBIC),
    lambda film, draw: ImageOps.pad(ImageOps.scale(film, 0.92), film.size, color=0),
)


def _png(film: Image.Image) -> bytes:
    file = io.BytesIO()
    film.save(file, "PNG", compress_level=1)
    return file.getvalue()
