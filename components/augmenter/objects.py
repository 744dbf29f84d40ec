"""What lies on films and says nothing of the lungs: markers, text, arrows, cables, collimation."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from components.augmenter.choice import Candidates

_MOST = 3  # objects on a film
_PATCH = 0.2  # of the side: a corner that may hold a lead letter
_LEAD = 250  # lead is as bright as this, and covers between these shares of its corner
_COVERS = (0.004, 0.15)
_MARKS = ("R", "L", "R", "L", "AP", "PA", "D", "S", "RL", "LL")
_TEXTS = ("KV59", "09:32:25", "AP SUPINE", "PORTABLE", "12-04 KV70", "A-1", "No 3")


def corners(images: np.ndarray) -> np.ndarray:
    """The upper corners of films that hold something like a lead letter; none give none.

    Args:
        images: uint8[N,S,S].

    Returns:
        uint8[M,P,P].
    """
    side = round(_PATCH * images.shape[1])
    found = np.concatenate([images[:, :side, :side], images[:, :side, -side:]])
    lead = (found >= _LEAD).mean(axis=(1, 2))
    return found[(lead > _COVERS[0]) & (lead < _COVERS[1])]


def lay(image: np.ndarray, patches: Candidates, draw: np.random.Generator) -> np.ndarray:
    """The film with one to three objects.

    Args:
        image: uint8[S,S].
        patches: of `corners`.
        draw: decides what is laid where.

    Returns:
        uint8[S,S].
    """
    for _ in range(draw.integers(1, _MOST + 1)):
        if len(patches.images) and draw.random() < 0.3:
            image = _transplanted(image, patches.images[patches.pick(draw)], draw)
        else:
            film = Image.fromarray(image)
            _DRAWN[draw.integers(len(_DRAWN))](ImageDraw.Draw(film), film.width, draw)
            image = np.asarray(film)
    return image


def _transplanted(image: np.ndarray, patch: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The patch in an upper corner, whole with soft edges, or what of it is brighter."""
    size, side = len(image), len(patch)
    top = draw.integers(0, max(1, size // 3))
    left = draw.integers(0, max(1, size // 6))
    if draw.random() < 0.4:
        left = size - side - left
    image = image.copy()
    under = image[top : top + side, left : left + side]
    if draw.random() < 0.5:
        under[:] = np.maximum(under, patch)
    else:
        ramp = np.clip(np.minimum(np.arange(side) + 1, side - np.arange(side)) / 4, 0, 1)
        share = np.minimum.outer(ramp, ramp)
        under[:] = np.round(under + share * (patch.astype(float) - under))
    return image


def _at_the_border(size: int, draw: np.random.Generator) -> tuple[float, float]:
    """A place within a quarter of the side of the left or right border, mostly above."""
    x = draw.uniform(0.01, 0.24) * size
    return (x if draw.random() < 0.6 else size - x), draw.beta(1, 2) * 0.95 * size


def _bright(draw: np.random.Generator) -> int:
    return int(draw.integers(190, 256))


def _letter(pen: ImageDraw.ImageDraw, size: int, draw: np.random.Generator) -> None:
    font = ImageFont.load_default(size=draw.uniform(0.06, 0.2) * size)
    text = _MARKS[draw.integers(len(_MARKS))]
    bold = int(draw.integers(0, 2))
    pen.text(_at_the_border(size, draw), text, _bright(draw), font, "mm", stroke_width=bold)


def _text(pen: ImageDraw.ImageDraw, size: int, draw: np.random.Generator) -> None:
    font = ImageFont.load_default(size=draw.uniform(0.035, 0.06) * size)
    place = (draw.uniform(0.02, 0.75) * size, float(draw.choice([0.03, 0.9])) * size)
    pen.text(place, _TEXTS[draw.integers(len(_TEXTS))], _bright(draw), font)


def _arrow(pen: ImageDraw.ImageDraw, size: int, draw: np.random.Generator) -> None:
    x, y = _at_the_border(size, draw)
    angle, length = draw.uniform(0, 2 * math.pi), draw.uniform(0.05, 0.12) * size
    level = _bright(draw)
    pen.line([x, y, x + length * math.cos(angle), y + length * math.sin(angle)], level, 1)
    for side in (-0.5, 0.5):
        head = angle + side
        pen.line([x, y, x + length / 3 * math.cos(head), y + length / 3 * math.sin(head)], level, 1)


def _cable(pen: ImageDraw.ImageDraw, size: int, draw: np.random.Generator) -> None:
    """A Bezier curve between two places of the border, an electrode at its end."""
    start = np.array([draw.uniform(0, size), draw.choice([0.0, size])])
    bends = draw.uniform(-0.1 * size, 1.1 * size, (2, 2))
    end = np.array([draw.choice([0.06, 0.94]), draw.uniform(0.1, 0.9)]) * size
    t = np.linspace(0, 1, 40)[:, None]
    curve = (
        (1 - t) ** 3 * start
        + 3 * (1 - t) ** 2 * t * bends[0]
        + 3 * (1 - t) * t**2 * bends[1]
        + t**3 * end
    )
    level = _bright(draw)
    pen.line([tuple(point) for point in curve], level, int(draw.integers(1, 3)))
    radius = draw.uniform(0.012, 0.035) * size
    pen.ellipse([*(end - radius), *(end + radius)], level)


def _collimation(pen: ImageDraw.ImageDraw, size: int, draw: np.random.Generator) -> None:
    """A dark border at some sides, as where the beam was cut or the film padded."""
    level = int(draw.integers(0, 30))
    widths = draw.uniform(0, 0.07, 4) * size * (draw.random(4) < 0.6)
    above, below, left, right = widths.tolist()
    for box in (
        (0, 0, size, above),
        (0, size - below, size, size),
        (0, 0, left, size),
        (size - right, 0, size, size),
    ):
        if min(box[2] - box[0], box[3] - box[1]) >= 1:
            pen.rectangle(box, level)


_DRAWN: tuple[Callable[[ImageDraw.ImageDraw, int, np.random.Generator], None], ...] = (
    _letter,
    _letter,
    _text,
    _arrow,
    _cable,
    _collimation,
)
