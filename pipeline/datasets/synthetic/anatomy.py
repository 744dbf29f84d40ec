"""A patient's proportions, and how a film sees the body.

Body coordinates: x is 0 at the midline, positive to the image's right (the patient's left, where
the heart lies), and 1 at the widest ribs; y is 0 at the lung's apex and grows downwards, same unit.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.synthetic.texture import Plane


@dataclass(frozen=True)
class Anatomy:
    """One patient's proportions, in body units; `seed` fixes the branching of the vessels."""

    seed: int
    lung_height: float
    heart_size: float
    heart_tilt: float
    mediastinum: float
    fat: float
    spine_curve: float
    rib_drop: float
    rib_width: float
    rib_spacing: float
    clavicle_slope: float
    arm_height: float
    left_dome: float
    gas: float


@dataclass(frozen=True)
class Pose:
    """How a film of height x width pixels sees the body."""

    height: int
    width: int
    scale: float  # pixels per body unit
    centre: tuple[float, float]  # body x, y in the middle of the film
    degrees: float  # the patient leans, clockwise
    inspiration: float  # factor on the lung's height

    def body(self) -> tuple[Plane, Plane]:
        """Computes body x and y of each pixel, float32[H,W] each."""
        rows, columns = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        down = (rows - self.height / 2) / self.scale
        right = (columns - self.width / 2) / self.scale
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return (
            (self.centre[0] + cos * right + sin * down).astype(np.float32),
            (self.centre[1] - sin * right + cos * down).astype(np.float32),
        )

    def pixels(self, x: NDArray, y: NDArray) -> NDArray:
        """Places points of the body on the film.

        Args:
            x: float[N], in body units.
            y: float[N], in body units.

        Returns:
            Column and row of each point in pixels, float64[N,2]; they may lie off the film.
        """
        right, down = np.asarray(x) - self.centre[0], np.asarray(y) - self.centre[1]
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        columns = self.width / 2 + self.scale * (cos * right - sin * down)
        rows = self.height / 2 + self.scale * (sin * right + cos * down)
        return np.stack([columns, rows], axis=1)


def random_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draws a patient's proportions from what children's and adults' films show."""
    return Anatomy(
        seed=int(rng.integers(2**31)),
        lung_height=rng.uniform(0.98, 1.2),
        heart_size=rng.uniform(0.9, 1.12),
        heart_tilt=rng.uniform(25, 42),
        mediastinum=rng.uniform(0.13, 0.2),
        fat=rng.uniform(0.05, 0.16),
        spine_curve=rng.uniform(-0.03, 0.03),
        rib_drop=rng.uniform(0.42, 0.6),
        rib_width=rng.uniform(0.05, 0.066),
        rib_spacing=rng.uniform(0.128, 0.146),
        clavicle_slope=rng.uniform(-0.14, 0.06),
        arm_height=rng.uniform(-0.5, 0.5),
        left_dome=rng.uniform(0.02, 0.09),
        gas=float(rng.choice([0.0, rng.uniform(0.6, 1.0)], p=[0.45, 0.55])),
    )


def cage(y: Plane | float, height: float) -> Plane:
    """Computes half the rib cage's inner width, a superellipse that is 0 at the apex.

    Args:
        y: a number or float[H,W], in body units.
        height: the lung's, in body units.

    Returns:
        float32 of y's shape, in body units.
    """
    t = np.clip(np.asarray(y, np.float32) / (1.1 * height), 0, 1)
    return (0.97 * np.sqrt(1 - (1 - t) ** 2.6)).astype(np.float32)


def dome(anatomy: Anatomy, x: Plane | float, height: float) -> Plane:
    """Computes the diaphragm's y: a dome on each side, the right one (x < 0) higher.

    Args:
        anatomy: the patient's.
        x: a number or float[H,W], in body units.
        height: the lung's, in body units.

    Returns:
        float32 of x's shape, in body units.
    """
    side = np.where(np.asarray(x) < 0, 0.0, anatomy.left_dome)
    away = (np.abs(x) - 0.42) / 0.55
    return (height * 0.97 + side + np.where(away > 0, 0.26, 0.1) * away**2).astype(np.float32)
