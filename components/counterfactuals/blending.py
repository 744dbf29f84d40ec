"""Films cut along their lungs and put together again without a seam."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Pixels = NDArray[np.uint8]  # [H,W], 0 black to 255 white
Plane = NDArray[np.float32]  # [H,W], mostly in [0,1]

_WIDER: Final = 13  # pixels of a mask's 224: a place of a 14x14 map is no finer
_FEATHER: Final = 3.0  # pixels of a mask's 224; the deviation of the border's softness
_COARSE: Final = 64  # pixels on which a hole is filled: what fills it is smooth


@dataclass(frozen=True)
class LungFilm:
    """A test film whose lungs are known.

    pixels: uint8[H,W]. inside: float32[S,S] over the whole film squashed to a square, 1 in the
    lungs and a little around them, falling to 0. label: 0 or 1.
    """

    pixels: Pixels
    inside: Plane
    label: int

    @property
    def mask(self) -> Plane:
        """`inside` at the film's own size, float32[H,W]."""
        return resized(self.inside, self.pixels.shape)


def widened(lungs: Plane) -> Plane:
    """Lung fields, float32[S,S] in [0,1], with a soft border that lies around them.

    Returns:
        float32[S,S], exactly 1 in the lungs and exactly 0 from a tenth of the side on beyond them.
    """
    soft = ndimage.gaussian_filter(ndimage.maximum_filter(lungs, _WIDER), _FEATHER, truncate=4)
    return np.clip((soft - 0.05) / 0.9, 0, 1).astype(np.float32)


def blended(inside: Pixels, outside: Pixels, mask: Plane) -> Pixels:
    """`inside` where the mask is 1, `outside` where it is 0, both in between.

    Args:
        inside: uint8[H,W].
        outside: uint8[H,W].
        mask: float32[H,W] in [0,1].

    Returns:
        uint8[H,W].
    """
    return np.round(outside + mask * (inside.astype(np.float32) - outside)).astype(np.uint8)


def filled(pixels: Pixels, hole: Plane) -> Pixels:
    """The film with what lies in the hole made of what lies around it, smoothly.

    Normalised convolution after H. Knutsson, C.-F. Westin, "Normalized and differential
    convolution", CVPR 1993, at two widths: the narrow one where it sees enough.

    Args:
        pixels: uint8[H,W].
        hole: float32[H,W] in [0,1].
    """
    square = (_COARSE, _COARSE)
    known = 1 - resized(hole, square)
    values = resized(pixels.astype(np.float32), square) * known
    smooth = np.full(square, values.sum() / max(float(known.sum()), 1e-6), np.float32)
    for sigma in (_COARSE / 6, _COARSE / 24):
        weight = ndimage.gaussian_filter(known, sigma)
        near = ndimage.gaussian_filter(values, sigma) / np.maximum(weight, 1e-6)
        share = np.clip(4 * weight, 0, 1)
        smooth = share * near + (1 - share) * smooth
    grey = np.round(np.clip(resized(smooth, pixels.shape), 0, 255)).astype(np.uint8)
    return blended(grey, pixels, hole)


def resized(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """A plane stretched or shrunk, with linear interpolation.

    Args:
        plane: float32[h,w].
        shape: (H, W) in pixels.

    Returns:
        float32[H,W].
    """
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))


def laid_on(film: LungFilm, donor: LungFilm) -> tuple[Pixels, Plane]:
    """The donor, moved and stretched so that its lungs' box lies on the film's, and its mask.

    Args:
        film: gives size and place.
        donor: of any size.

    Returns:
        uint8[H,W] and float32[H,W] of the film's own size, black and 0 where the donor ends.
    """
    (top, left, height, width), (up, aside, tall, wide) = (
        _box(held.inside, held.pixels.shape) for held in (film, donor)
    )
    across, down = wide / width, tall / height
    size = film.pixels.shape[::-1]
    matrix = (across, 0, aside - across * left, 0, down, up - down * top)

    def moved(values: NDArray) -> NDArray:
        return np.asarray(
            Image.fromarray(values).transform(
                size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
            )
        )

    return moved(donor.pixels), moved(donor.mask)


def _box(inside: Plane, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Top, left, height and width of what is inside, in the pixels of a film of this shape."""
    rows, columns = (np.flatnonzero((inside > 0.5).any(axis)) for axis in (1, 0))
    down, across = shape[0] / inside.shape[0], shape[1] / inside.shape[1]
    return (
        rows[0] * down,
        columns[0] * across,
        (rows[-1] + 1 - rows[0]) * down,
        (columns[-1] + 1 - columns[0]) * across,
    )
