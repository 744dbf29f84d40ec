"""Draws the ribs, the shoulder girdle and the spine as X-ray attenuation."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pipeline.datasets.synthetic.anatomy import Anatomy, Pose, cage
from pipeline.datasets.synthetic.texture import Plane, band

Line = tuple[NDArray, NDArray, float]  # x and y in body units, width

_POSTERIOR = np.radians(np.linspace(5, 96, 24))
_ANTERIOR = np.radians(np.linspace(84, 142, 16))
_LEVELS = 255.0


def bones(anatomy: Anatomy, pose: Pose, x: Plane, y: Plane) -> Plane:
    """Draws all bones.

    Args:
        anatomy: the patient's.
        pose: how the film of H x W pixels sees the body.
        x: float32[H,W], the pixels' body x.
        y: float32[H,W], the pixels' body y.

    Returns:
        Attenuation, float32[H,W], 0 where there is no bone.
    """
    ribs = _stroke(pose, _rib_lines(anatomy, pose, _POSTERIOR), 1.0, 0.66)
    ribs += 0.62 * _stroke(pose, _rib_lines(anatomy, pose, _ANTERIOR), 1.0, 0.8)
    girdle = _stroke(pose, _girdle_lines(anatomy), 1.0, 0.62)
    return 0.135 * ribs + 0.15 * girdle + _spine(x, y) + 0.05 * _scapulae(pose)


def _rib_lines(anatomy: Anatomy, pose: Pose, angles: NDArray) -> list[Line]:
    """Lists the ribs; each is a ring tilted forwards, which the front view squashes to a curve."""
    height = anatomy.lung_height * pose.inspiration
    lines = []
    for index in range(10):
        start = (0.01 + anatomy.rib_spacing * index) * height
        drop = anatomy.rib_drop * (0.5 + 0.5 * min(1, index / 4)) * height
        y = start + drop * (1 - np.cos(angles)) / 2 - 0.03 * np.sin(2 * angles).clip(0)
        wall = float(cage(start + 0.55 * drop, height)) + 0.03
        lines += [(s * wall * np.sin(angles), y, anatomy.rib_width) for s in (-1, 1)]
    return lines


def _girdle_lines(anatomy: Anatomy) -> list[Line]:
    t = np.linspace(0, 1, 20)
    rise = anatomy.clavicle_slope * t - 0.06 * np.sin(math.pi * t) + 0.03 * np.sin(2 * math.pi * t)
    lines: list[Line] = []
    for side in (-1, 1):
        lines.append((side * (0.1 + 0.78 * t), 0.1 + rise, 0.07))
        humerus = np.array([0.98, 1.9])
        lines.append((side * humerus, np.array([0.08, anatomy.arm_height + 0.05]), 0.13))
    return lines


def _stroke(pose: Pose, lines: list[Line], cortex: float, marrow: float) -> Plane:
    """Draws tubes seen from the side: the cortex stands out at both edges."""
    layer = Image.new("L", (pose.width, pose.height))
    pen = ImageDraw.Draw(layer)
    for value, share in ((cortex, 1.0), (marrow, 0.62)):
        for x, y, width in lines:
            outline = _outline(pose.pixels(x, y), width * share * pose.scale)
            pen.polygon(outline.ravel().tolist(), int(value * _LEVELS))
    soft = layer.filter(ImageFilter.GaussianBlur(max(0.7, 0.006 * pose.scale)))
    return np.asarray(soft, np.float32) / np.float32(_LEVELS)


def _outline(points: NDArray, width: float) -> NDArray:
    """Makes the polygon around a path of N points, float[2N,2]."""
    along = np.gradient(points, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across *= width / 2 / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
    return np.concatenate([points + across, (points - across)[::-1]])


def _spine(x: Plane, y: Plane) -> Plane:
    level = (y + 0.3) / 0.125
    phase = level - np.floor(level)
    body = band(phase - 0.5, 0.4, 0.07)
    column = band(x, 0.095, 0.012) * (0.05 + 0.05 * body)
    pedicles = np.exp(-(((np.abs(x) - 0.065) / 0.018) ** 2) - ((phase - 0.4) / 0.16) ** 2)
    process = np.exp(-((x / 0.015) ** 2) - ((phase - 0.8) / 0.15) ** 2)
    return column + 0.05 * pedicles + 0.04 * process


def _scapulae(pose: Pose) -> Plane:
    layer = Image.new("L", (pose.width, pose.height))
    pen = ImageDraw.Draw(layer)
    for side in (-1, 1):
        x = side * np.array([0.72, 1.06, 1.02, 0.86])
        corners = pose.pixels(x, np.array([0.06, 0.04, 0.2, 0.62]))
        pen.polygon(corners.ravel().tolist(), int(_LEVELS))
    soft = layer.filter(ImageFilter.GaussianBlur(0.015 * pose.scale))
    return np.asarray(soft, np.float32) / np.float32(_LEVELS)
