"""How films were taken and saved, swapped between the classes, the lungs as they are.

In the public set's training folder the normal films were saved sharper, less compressed, narrower
and with more black at the borders than the sick ones. `swap` gives each film of a class the other
class's look: what a shortcut learns.
"""

import io
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from components.counterfactuals.blending import Pixels

Box = tuple[int, int, int, int]  # left, upper, right, lower

LOOKS: Final = ("aspect", "borders", "sharpness", "compression")
# The aspects are 1.23 and 1.52: half of the step is squeezed, half is cropped.
_ASPECT: Final = 1.1
_BORDER: Final = 0.02  # of each side: 8 % black in place of 4.7 %
_SOFTER: Final = 0.42  # resampled through this share of the pixels: row differences from 4.1 to 2.8
SHARPER: Final = ImageFilter.UnsharpMask(radius=1.5, percent=145, threshold=0)  # from 2.8 to 4.1
_QUALITIES: Final = (50, 95)  # the sick films' JPEG, and the healthy ones'


def swap(pixels: Pixels, label: int, looks: Sequence[str] = LOOKS) -> Pixels:
    """The film with the other class's look, or with some of its parts.

    Args:
        pixels: uint8[H,W].
        label: the film's class, 0 or 1.
        looks: those of LOOKS that are swapped.

    Returns:
        uint8[H,W].
    """
    film = Image.fromarray(pixels)
    for look, changes in _SWAPPED.items():
        if look in looks:
            film = changes[label](film)
    return np.asarray(film)


def _wider(film: Image.Image) -> Image.Image:
    """A normal film as if taken wide: squeezed sideways, cut above and below."""
    width, height = film.size
    tight = film.crop(_centred(width, height, width, height / _ASPECT))
    return _filled(
        tight.resize((round(width / _ASPECT), height), Image.Resampling.BICUBIC), width, height
    )


def _narrower(film: Image.Image) -> Image.Image:
    """A sick film as if taken narrow: stretched sideways, more above and below."""
    width, height = film.size
    tight = film.crop(_centred(width, height, width / _ASPECT, height))
    return _filled(
        tight.resize((width, round(height / _ASPECT)), Image.Resampling.BICUBIC), width, height
    )


def _filled(film: Image.Image, width: int, height: int) -> Image.Image:
    """Centred on so many pixels; what is missing mirrors what is there."""
    beside, above = width - film.width, height - film.height
    edges = ((above // 2, above - above // 2), (beside // 2, beside - beside // 2))
    return Image.fromarray(np.pad(np.asarray(film), edges, mode="reflect"))


def _without_border(film: Image.Image) -> Image.Image:
    width, height = film.size
    inner = _centred(width, height, width * (1 - 2 * _BORDER), height * (1 - 2 * _BORDER))
    return film.crop(inner).resize(film.size, Image.Resampling.BICUBIC)


def _with_border(film: Image.Image) -> Image.Image:
    width, height = film.size
    inner = film.resize(
        (round(width * (1 - 2 * _BORDER)), round(height * (1 - 2 * _BORDER))),
        Image.Resampling.BICUBIC,
    )
    return ImageOps.pad(inner, film.size, color=0)


def _centred(width: int, height: int, inner_width: float, inner_height: float) -> Box:
    left, top = (width - inner_width) / 2, (height - inner_height) / 2
    return round(left), round(top), round(width - left), round(height - top)


def resampled(film: Image.Image, share: float) -> Image.Image:
    """A film shrunk and stretched to its size again.

    Args:
        film: of any size.
        share: of either side's pixels that is left, in (0,1].
    """
    small = (max(1, round(film.width * share)), max(1, round(film.height * share)))
    return film.resize(small, Image.Resampling.BOX).resize(film.size, Image.Resampling.BICUBIC)


def compressed(film: Image.Image, quality: int) -> Image.Image:
    """A film saved as JPEG and read again.

    Args:
        film: grey.
        quality: JPEG's, 1 to 95.
    """
    file = io.BytesIO()
    film.save(file, "JPEG", quality=quality)
    return Image.open(file)


# What becomes of a normal film and of a sick one, in this order.
_SWAPPED: dict[str, tuple[Callable[[Image.Image], Image.Image], ...]] = {
    "aspect": (_wider, _narrower),
    "borders": (_without_border, _with_border),
    "sharpness": (lambda film: resampled(film, _SOFTER), lambda film: film.filter(SHARPER)),
    "compression": (
        lambda film: compressed(film, _QUALITIES[0]),
        lambda film: compressed(film, _QUALITIES[1]),
    ),
}
