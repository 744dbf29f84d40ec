"""Lead letters: drawn, found on films, laid on others, taken away."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

from components.counterfactuals.blending import LungFilm, Pixels, Plane, filled

# Shares of a film's shorter side.
_HEIGHTS: Final = (0.05, 0.18)  # of what is drawn
_LEAST: Final = 0.025  # of what is found
_LARGEST: Final = 0.25
_BACKGROUND: Final = 0.1
_UPPER: Final = 0.4  # share of the height below which no letter is looked for
_BRIGHTER: Final = 40  # grey values above what lies around
_SMALLER: Final = (1.0, 0.7, 0.5)
_TRIES: Final = 20  # places, for each size


@dataclass(frozen=True)
class Letter:
    """Something bright to lay on a film: uint8[h,w] and its opacity, float32[h,w] in [0,1].

    at: its upper and left end as shares of a film's height and width, where it belongs; None:
    anywhere.
    """

    pixels: Pixels
    opacity: Plane
    at: tuple[float, float] | None = None


def drawn(rng: np.random.Generator, side: int) -> Letter:
    """An R or L as a marker leaves it: bright, soft-edged, somewhat turned, at times in a ring.

    Args:
        rng: what is drawn depends on it alone.
        side: the film's shorter side in pixels.
    """
    size = max(8, round(side * rng.uniform(*_HEIGHTS)))
    canvas = Image.new("L", (2 * size, 2 * size))
    pen = ImageDraw.Draw(canvas)
    pen.text(
        (size, size),
        str(rng.choice(["R", "L"])),
        255,
        ImageFont.load_default(1.3 * size),
        anchor="mm",
        stroke_width=round(rng.uniform(0, 0.06) * size),
    )
    if rng.random() < 0.3:
        edge = 0.2 * size
        pen.ellipse((edge, edge, 2 * size - edge, 2 * size - edge), None, 255, size // 12 + 1)
    turned = canvas.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    soft = turned.filter(ImageFilter.GaussianBlur(0.02 * size))
    opacity = np.asarray(soft.crop(soft.getbbox()), np.float32) / np.float32(255)
    pixels = np.full(opacity.shape, rng.integers(190, 256), np.uint8)
    # Half of them where markers mostly lie: a shortcut looks there, if anywhere.
    corner = (
        rng.uniform(0.02, 0.3),
        float(rng.choice([rng.uniform(0.01, 0.08), rng.uniform(0.85, 0.92)])),
    )
    return Letter(pixels, opacity, corner if rng.random() < 0.5 else None)


def found(film: LungFilm) -> tuple[Letter, Plane] | None:
    """The largest letter in a film's upper corners, and where it lies, float32[H,W].

    A letter is what is much brighter than its surroundings, outside the lungs, of a letter's size.
    """
    height, width = film.pixels.shape
    side = min(height, width)
    grey = film.pixels.astype(np.float32)
    around = ndimage.uniform_filter(grey, round(_BACKGROUND * side) * 2 + 1)
    rows, columns = np.ogrid[:height, :width]
    corner = (rows < _UPPER * height) & (np.abs(columns / width - 0.5) > 0.2)
    white = grey > np.maximum(around + _BRIGHTER, np.median(grey))
    # The parts of a letter, and a letter and its ring, are one.
    near = ndimage.binary_dilation(white & corner & (film.mask == 0), iterations=side // 100 + 1)
    labels, _ = ndimage.label(near)
    best: tuple[Letter, Plane] | None = None
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        tall, wide = (part.stop - part.start for part in box)
        if not _LEAST * side < min(tall, wide) <= max(tall, wide) < _LARGEST * side:
            continue
        if best is None or tall * wide > best[0].opacity.size:
            mine = ndimage.gaussian_filter((labels == number).astype(np.float32), side / 300)
            at = box[0].start / height, box[1].start / width
            best = Letter(film.pixels[box], mine[box], at), mine
    return best


def laid(film: LungFilm, letter: Letter, rng: np.random.Generator) -> Pixels | None:
    """The film with a letter where it belongs, or else somewhere, outside of its lungs.

    Args:
        film: is left as it is.
        letter: made smaller where there is little room.
        rng: of the place.

    Returns:
        uint8[H,W]; None where there is no room.
    """
    height, width = film.pixels.shape
    taken = film.mask > 0
    for attempt, factor in enumerate(np.repeat(_SMALLER, _TRIES)):
        given = letter if factor == 1 else resized(letter, factor)
        tall, wide = given.opacity.shape
        if letter.at and not attempt % _TRIES:
            top, left = round(letter.at[0] * height), round(letter.at[1] * width)
        else:
            top = int(rng.integers(0, max(1, height - tall)))
            left = int(rng.integers(0, max(1, width - wide)))
        place = np.s_[top : top + tall, left : left + wide]
        if taken[place].shape == (tall, wide) and not taken[place].any():
            pixels = film.pixels.copy()
            under = pixels[place].astype(np.float32)
            # A marker absorbs: it never makes a film darker.
            over = np.maximum(under, given.pixels)
            pixels[place] = np.round(under + given.opacity * (over - under)).astype(np.uint8)
            return pixels
    return None


def resized(letter: Letter, factor: float) -> Letter:
    """The letter so many times as large.

    Args:
        letter: of any size.
        factor: above 0; no side gets below 2 pixels.
    """
    tall, wide = (max(2, round(side * factor)) for side in letter.opacity.shape)
    pixels, opacity = (
        np.asarray(Image.fromarray(part).resize((wide, tall), Image.Resampling.BILINEAR))
        for part in (letter.pixels, letter.opacity)
    )
    return Letter(pixels, opacity, letter.at)


def taken_away(film: LungFilm, place: Plane) -> Pixels:
    """The film with its letter filled by what lies around it.

    Args:
        film: is left as it is.
        place: where the letter lies, float32[H,W] in [0,1], of `found`.

    Returns:
        uint8[H,W].
    """
    wider = ndimage.maximum_filter(place, max(3, min(place.shape) // 60))
    return filled(film.pixels, np.clip(2 * wider, 0, 1) * (film.mask == 0))
