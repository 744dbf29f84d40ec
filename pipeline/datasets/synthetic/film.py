"""Draws one synthetic chest film: pose, opacities of pneumonia, exposure, noise, burnt-in text.

Everything but the opacities is drawn alike for both classes, so that nothing else tells them apart.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.datasets.synthetic.anatomy import Anatomy, Pose, cage, dome
from pipeline.datasets.synthetic.chest import Chest, draw
from pipeline.datasets.synthetic.texture import Plane, blur, clouds

GRID = 32  # side of the truth mask
NOTICE = "SYNTHETIC"
_WORKING_SIDE = 560  # the longer side while drawing; larger films are scaled up from it
_AERATED = np.float32(0.5)  # attenuation that a lung's air takes away
_VESSELS = np.float32(0.1)


@dataclass(frozen=True)
class Opacity:
    """A consolidation: an ellipse in body units with a ragged edge."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    degrees: float
    density: float  # share of the air that it replaces


@dataclass(frozen=True)
class DrawnFilm:
    """A drawn film."""

    pixels: NDArray[np.uint16]  # uint16[H,W], 0 black to 4095 white
    truth: NDArray[np.bool_]  # bool[GRID,GRID], where opacity was drawn, in shares of the film
    lungs: NDArray[np.bool_]  # bool[h,w], lung fields over the whole film, as large as drawn


def random_opacities(rng: np.random.Generator, anatomy: Anatomy, etiology: str) -> list[Opacity]:
    """Lobar consolidations for `bacteria`, scattered small ones for `virus`, none for `normal`.

    Args:
        rng: of number, place, size and density.
        anatomy: the patient's.
        etiology: one of the three.
    """
    if etiology == "normal":
        return []
    if etiology == "bacteria":
        count = int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12]))
        sizes, densities = (0.22, 0.4), (0.55, 0.95)
    else:
        count = int(rng.integers(6, 11))
        sizes, densities = (0.11, 0.23), (0.34, 0.7)
    density = rng.uniform(*densities)
    return [_opacity(rng, anatomy, sizes, density * rng.uniform(0.85, 1.1)) for _ in range(count)]


def render(anatomy: Anatomy, opacities: list[Opacity], rng: np.random.Generator) -> DrawnFilm:
    """One film of a patient, with a size, pose and exposure of its own.

    Args:
        anatomy: the patient's.
        opacities: the patient's, of `random_opacities`.
        rng: of all that is the film's own.
    """
    height, width = _size(rng)
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    pose = _pose(rng, round(height * shrink), round(width * shrink))
    chest = draw(anatomy, pose)
    shadow = _shadow(rng, chest, opacities)
    attenuation = _attenuation(rng, chest, shadow)
    large = Image.fromarray(_develop(rng, attenuation)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    exposed = _noise(rng, np.asarray(large))
    pixels = _annotate(rng, np.round(np.clip(exposed, 0, 1) * 4095).astype(np.uint16))
    return DrawnFilm(pixels, _truth(shadow * chest.lung), chest.fields)


def _opacity(
    rng: np.random.Generator, anatomy: Anatomy, sizes: tuple[float, float], density: float
) -> Opacity:
    height = anatomy.lung_height
    while True:
        x, y = rng.uniform(-0.85, 0.85), rng.uniform(0.2, 1.0) * height
        clear = anatomy.mediastinum + (0.3 if x > 0 and y > 0.45 * height else 0.08)
        if (
            clear < abs(x) < float(cage(y, height)) - 0.12
            and y < float(dome(anatomy, x, height)) - 0.08
        ):
            break
    wide, tall = rng.uniform(*sizes), rng.uniform(*sizes)
    return Opacity(x, y, wide, tall, rng.uniform(-40, 40), min(1.0, density))


def _size(rng: np.random.Generator) -> tuple[int, int]:
    width = round(2 ** rng.uniform(math.log2(340), math.log2(1200)))
    return round(width / rng.uniform(1.0, 1.5)), width


def _pose(rng: np.random.Generator, height: int, width: int) -> Pose:
    spread = max(2.25, 1.62 * width / height)  # body units that the film's width must show
    return Pose(
        height=height,
        width=width,
        scale=width / (spread * rng.uniform(0.98, 1.14)),
        centre=(rng.uniform(-0.06, 0.06), 0.53 + rng.uniform(-0.07, 0.07)),
        degrees=rng.uniform(-5, 5),
        inspiration=rng.uniform(0.9, 1.03),
    )


def _shadow(rng: np.random.Generator, chest: Chest, opacities: list[Opacity]) -> Plane:
    """Share of the lung's air that is replaced, float32[H,W] in 0..1."""
    shape = chest.lung.shape
    ragged = 0.28 * clouds(rng, shape, 7, 3)
    patchy = 1 + 0.13 * clouds(rng, shape, 24, 3)
    free = np.ones(shape, np.float32)
    for opacity in opacities:
        cos, sin = math.cos(math.radians(opacity.degrees)), math.sin(math.radians(opacity.degrees))
        dx, dy = chest.x - opacity.x, chest.y - opacity.y
        across, along = (
            (cos * dx + sin * dy) / opacity.radius_x,
            (cos * dy - sin * dx) / opacity.radius_y,
        )
        depth = np.clip((1.3 - np.hypot(across, along) + ragged) / 1.1, 0, 1)
        free *= 1 - np.clip(opacity.density * depth * depth * (3 - 2 * depth) * patchy, 0, 1)
    bronchi = 1 - 0.35 * chest.tree
    return (1 - free) * bronchi


def _attenuation(rng: np.random.Generator, chest: Chest, shadow: Plane) -> Plane:
    shape = chest.lung.shape
    parenchyma = 1 + 0.035 * clouds(rng, shape, 40, 3) + 0.05 * clouds(rng, shape, 5, 2)
    air = chest.lung * parenchyma * (1 - shadow)
    tissue = chest.tissue * (1 + 0.015 * clouds(rng, shape, 6, 4))
    sharp = tissue + chest.bone - _AERATED * air + _VESSELS * chest.tree * air
    scatter = rng.uniform(0.1, 0.24)
    mixed = (1 - scatter) * sharp + scatter * blur(sharp, 0.05 * max(shape))
    return blur(mixed, rng.uniform(0.5, 1.3))


def _develop(rng: np.random.Generator, attenuation: Plane) -> Plane:
    """The film's grey values about 0..1, by a window, a gamma and a slope across the film."""
    height, width = attenuation.shape
    low, high, gamma = rng.uniform(-0.02, 0.1), rng.uniform(0.92, 1.12), rng.uniform(0.75, 1.35)
    slope = rng.uniform(-0.06, 0.06, 2)
    tilt = slope[0] * np.linspace(-1, 1, width) + slope[1] * np.linspace(-1, 1, height)[:, None]
    window = np.clip((attenuation * (1 + tilt) - low) / (high - low), 0, None)
    shoulder = window / np.sqrt(np.sqrt(1 + np.square(window * window)))  # saturates softly
    return (shoulder**gamma * rng.uniform(0.98, 1.12)).astype(np.float32)


def _noise(rng: np.random.Generator, grey: Plane) -> Plane:
    height, width = grey.shape
    coarse = rng.standard_normal((height // 2, width // 2), dtype=np.float32)
    grain = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    grain += rng.standard_normal(grey.shape, dtype=np.float32)
    return grey + rng.uniform(0.004, 0.016) * np.sqrt(1.1 - np.clip(grey, 0, 1)) * grain


def _annotate(rng: np.random.Generator, pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Burns in the side marker at the patient's right and the notice."""
    height, width = pixels.shape
    text, shade = (Image.new("L", (width, height)) for _ in range(2))
    side = ImageFont.load_default(max(14, round(width * rng.uniform(0.03, 0.05))))
    notice = ImageFont.load_default(max(11, round(width * 0.024)))
    place = (width * rng.uniform(0.015, 0.05), height * rng.uniform(0.05, 0.25))
    for at, words, font in (
        (place, "R", side),
        ((width * 0.012, height * 0.985), NOTICE, notice),
    ):
        ImageDraw.Draw(shade).text(at, words, 190, font, anchor="ls", stroke_width=2)
        ImageDraw.Draw(text).text(at, words, 235, font, anchor="ls")
    dimmed = pixels * (1 - np.asarray(shade, np.float32) / 255)
    return np.maximum(dimmed, np.asarray(text, np.float32) * 16).astype(np.uint16)


def _truth(effect: Plane) -> NDArray[np.bool_]:
    small = np.asarray(Image.fromarray(effect).resize((GRID, GRID), Image.Resampling.BOX))
    return small >= max(0.06, 0.3 * float(small.max()))
