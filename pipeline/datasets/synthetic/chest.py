"""Draws a healthy chest as X-ray attenuation, part by part."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.synthetic.anatomy import Anatomy, Pose, cage, dome
from pipeline.datasets.synthetic.bones import bones
from pipeline.datasets.synthetic.texture import Plane, band, step
from pipeline.datasets.synthetic.vessels import vessels

_EDGE = 0.15  # depth at the ribs and the dome, halfway down their slopes; below the dome less


@dataclass(frozen=True)
class Chest:
    """Attenuation by part, float32[H,W] each; soft tissue of full thickness is about 0.75."""

    x: Plane
    y: Plane
    tissue: Plane  # everything but lung and bone
    lung: Plane  # aerated depth in 0..1, the heart's share taken out
    fields: NDArray[np.bool_]  # bool[H,W], lungs as readers outline them, behind the heart too
    bone: Plane
    tree: Plane  # vessels and bronchi, 0..1


def draw(anatomy: Anatomy, pose: Pose) -> Chest:
    """The healthy chest as a film of this pose sees it.

    Args:
        anatomy: the patient's.
        pose: the film's; gives the size in pixels.
    """
    x, y = pose.body()
    x = x - anatomy.spine_curve * np.sin(3 * y)
    height = anatomy.lung_height * pose.inspiration
    lung = _lungs(anatomy, x, y, height)
    heart = _heart(anatomy, x, y, height)
    tissue = _body(anatomy, x, y)
    tissue = tissue + 0.07 * heart + 0.12 * _below_diaphragm(anatomy, x, y, height)
    tissue = tissue + 0.04 * band(x, anatomy.mediastinum, 0.07) * step(y + 0.3, 0.2)
    tissue = tissue - 0.14 * band(x + 0.01, 0.045, 0.03) * step(0.36 - y, 0.1)  # the trachea
    tree = vessels(anatomy, pose, height)
    air, bone = lung * (1 - 0.8 * heart), bones(anatomy, pose, x, y)
    return Chest(x, y, tissue, air, lung > _EDGE, bone, tree)


def _capsule(x: Plane, y: Plane, a: tuple[float, float], b: tuple[float, float], r: float) -> Plane:
    """Depth in 0..1 of a round limb of radius r from a to b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    square = (x - a[0] - t * dx) ** 2 + (y - a[1] - t * dy) ** 2
    return np.sqrt(np.clip(1 - square / (r * r), 0, None))


def _ellipse(
    x: Plane, y: Plane, centre: tuple[float, float], radii: tuple[float, float], degrees: float
) -> Plane:
    """Squared distance from the centre, 1 on the ellipse."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    dx, dy = x - centre[0], y - centre[1]
    return ((cos * dx + sin * dy) / radii[0]) ** 2 + ((cos * dy - sin * dx) / radii[1]) ** 2


def _body(anatomy: Anatomy, x: Plane, y: Plane) -> Plane:
    half = 1.02 + anatomy.fat + 0.03 * np.sin(2.5 * y)
    trunk = np.sqrt(np.clip(1 - (np.abs(x) / half) ** 2.4, 0, None)) * step(y - 0.02, 0.22)
    neck = 0.8 * _capsule(x, y, (0, -1.5), (0, 0.25), 0.27 + 0.5 * anatomy.fat)
    head = 1.0 * np.sqrt(np.clip(1 - _ellipse(x, y, (0, -0.68), (0.42, 0.45), 0), 0, None))
    depth = np.maximum(np.maximum(trunk, neck), head)
    for side in (-1, 1):
        shoulder, elbow = (side * 0.92, 0.06), (side * 1.9, anatomy.arm_height + 0.05)
        depth = np.maximum(depth, 0.62 * _capsule(x, y, shoulder, elbow, 0.24 + anatomy.fat))
        slope = _capsule(x, y, (side * 0.1, -0.1), (side * 0.95, 0.16), 0.22 + anatomy.fat)
        depth = np.maximum(depth, 0.8 * slope)
    return 0.74 * depth**0.8


def _lungs(anatomy: Anatomy, x: Plane, y: Plane, height: float) -> Plane:
    wall = cage(y, height)
    inner = anatomy.mediastinum * (0.72 + 0.25 * np.clip(y, 0, 1))
    middle, half = (wall + inner) / 2, np.maximum((wall - inner) / 2, 1e-3)
    depth = np.clip(1 - 0.62 * np.abs((np.abs(x) - middle) / half) ** 2.6, 0, None)
    over = dome(anatomy, x, height) - y
    air = step(over, 0.014) * 0.86 + 0.14 * np.exp(np.clip(over, -1, 0) / 0.07)
    apex = 0.12 * ((np.abs(x) - 0.33) / 0.2) ** 2 * (np.abs(x) < 0.33)
    inside = step(wall - np.abs(x), 0.012) * step(np.abs(x) - inner, 0.03)
    inside = inside * step(y - 0.02 - apex, 0.03)
    return inside * air * depth * (0.86 + 0.14 * np.clip(y / height, 0, 1))


def _heart(anatomy: Anatomy, x: Plane, y: Plane, height: float) -> Plane:
    size, low = anatomy.heart_size, 0.72 * height
    ventricle = _ellipse(x, y, (0.16, low), (0.42 * size, 0.3 * size), anatomy.heart_tilt)
    atrium = _ellipse(x, y, (-0.04, low + 0.01), (0.21 * size, 0.29 * size), 0)
    knob = _ellipse(x, y, (0.1, 0.33 * height), (0.11, 0.1), 0)
    trunk = _ellipse(x, y, (0.07, 0.45 * height), (0.17 * size, 0.2), -12)
    base = _ellipse(x, y, (0.12, 0.98 * height), (0.34 * size, 0.2), 0)
    clear = [1 - step(1 - part, 0.17) for part in (ventricle, atrium, knob, trunk, base)]
    return 1 - np.prod(clear, axis=0)


def _below_diaphragm(anatomy: Anatomy, x: Plane, y: Plane, height: float) -> Plane:
    under = step(y - dome(anatomy, x, height), 0.02) * step(1.05 - np.abs(x), 0.08)
    bubble = _ellipse(x, y, (0.46, height * 0.97 + anatomy.left_dome + 0.17), (0.2, 0.12), 10)
    return under * (1 - 1.8 * anatomy.gas * step(1 - bubble, 0.2))
