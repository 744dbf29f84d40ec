"""Changes of a film that leave the lungs as they are: what a shortcut learns, and what breaks it.

In the public set's training folder the normal films were saved sharper, less compressed, narrower
and with more black at the borders than the sick ones. `swap` gives each film of a class the other
class's look; `corrupt` draws one mild fault that any hospital's films may have.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

Values = NDArray[np.float64]
Box = tuple[int, int, int, int]  # left, upper, right, lower

LOOKS = ("aspect", "borders", "sharpness", "compression")
# The aspects are 1.23 and 1.52: half of the step is squeezed, half is cropped.
_ASPECT = 1.1
_BORDER = 0.02  # of each side: 8 % black in place of 4.7 %
_SOFTER = 0.42  # resampled through this share of the pixels: row differences from 4.1 to 2.8
_SHARPER = ImageFilter.UnsharpMask(radius=1.5, percent=145, threshold=0)  # from 2.8 to 4.1
_QUALITY = 50  # of the sick films' JPEG
_CUT = 0.12  # of the height


def swap(image_bytes: bytes, label: int, looks: Sequence[str] = LOOKS) -> bytes:
    """The film with the other class's look, or with some of its parts, as JPEG."""
    film = Image.open(io.BytesIO(image_bytes)).convert("L")
    for look, changes in _SWAPPED.items():
        if look in looks:
            film = changes[label](film)
    return _jpeg(film, _QUALITY if "compression" in looks and not label else 95)


def corrupt(image_bytes: bytes, seed: int) -> bytes:
    """The film with one mild fault, which depends on the seed alone, as JPEG."""
    draw = np.random.default_rng(seed)
    film = Image.open(io.BytesIO(image_bytes)).convert("L")
    fault = _FAULTS[draw.integers(len(_FAULTS))]
    return _jpeg(fault(film, draw), 95)


def cut(image_bytes: bytes, label: int) -> bytes:
    """A normal film as if collimated lower, as the sick ones were, as PNG; a sick one as it is."""
    if label:
        return image_bytes
    film = Image.open(io.BytesIO(image_bytes)).convert("L")
    below = film.crop((0, round(film.height * _CUT), film.width, film.height))
    file = io.BytesIO()
    below.resize(film.size, Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


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


def _resampled(film: Image.Image, share: float) -> Image.Image:
    small = (max(1, round(film.width * share)), max(1, round(film.height * share)))
    return film.resize(small, Image.Resampling.BOX).resize(film.size, Image.Resampling.BICUBIC)


def _values(change: Callable[[Values], Values], film: Image.Image) -> Image.Image:
    values = change(np.asarray(film, np.float64) / 255)
    return Image.fromarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))


_FAULTS: tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...] = (
    lambda film, draw: _resampled(film, 0.6),
    lambda film, draw: film.filter(_SHARPER),
    lambda film, draw: Image.open(io.BytesIO(_jpeg(film, 25))),
    lambda film, draw: _values(lambda v: v**0.7, film),
    lambda film, draw: _values(lambda v: v**1.4, film),
    lambda film, draw: _values(lambda v: v + draw.choice([-0.12, 0.12]), film),
    lambda film, draw: _values(lambda v: 0.5 + (v - 0.5) * draw.choice([0.7, 1.3]), film),
    lambda film, draw: _values(lambda v: v + draw.normal(0, 0.03, v.shape), film),
    lambda film, draw: film.rotate(draw.choice([-6, 6]), Image.Resampling.BICUBIC),
    lambda film, draw: ImageOps.pad(ImageOps.scale(film, 0.92), film.size, color=0),
)


# What becomes of a normal film and of a sick one, in this order; compression comes last.
_SWAPPED: dict[str, tuple[Callable[[Image.Image], Image.Image], ...]] = {
    "aspect": (_wider, _narrower),
    "borders": (_without_border, _with_border),
    "sharpness": (
        lambda film: _resampled(film, _SOFTER),
        lambda film: film.filter(_SHARPER),
    ),
}


def _jpeg(film: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    film.save(file, "JPEG", quality=quality)
    return file.getvalue()
