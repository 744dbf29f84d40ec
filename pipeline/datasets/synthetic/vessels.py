"""Draws the lung's vessels and bronchi: a tree that branches out from each hilum."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipeline.datasets.synthetic.anatomy import Anatomy, Pose
from pipeline.datasets.synthetic.texture import Plane

Twig = tuple[tuple[float, float], tuple[float, float], float]  # start, end, width

_LEVELS = 255.0


def vessels(anatomy: Anatomy, pose: Pose, height: float) -> Plane:
    """Draws the tree, the same for each film of a patient.

    Args:
        anatomy: the patient's.
        pose: how the film of H x W pixels sees the body.
        height: the lung's, in body units.

    Returns:
        Depth of vessels and bronchi, float32[H,W] in 0..1.
    """
    rng = np.random.default_rng(anatomy.seed)
    twigs: list[Twig] = []
    for side in (-1, 1):
        for direction in np.radians([-75, -48, -20, 8, 35, 58, 80]):
            twigs += _branch(rng, (side * 0.17, 0.5 * height), side, direction, 0.034, 5)
    starts = pose.pixels(*np.array([twig[0] for twig in twigs]).T)
    ends = pose.pixels(*np.array([twig[1] for twig in twigs]).T)
    layer = Image.new("L", (pose.width, pose.height))
    pen = ImageDraw.Draw(layer)
    for start, end, (_, _, width) in zip(starts, ends, twigs, strict=True):
        shade = int(_LEVELS * min(1.0, 0.3 + width / 0.04))
        pen.line((*start, *end), shade, max(1, round(width * pose.scale)))
    soft = layer.filter(ImageFilter.GaussianBlur(max(0.7, 0.005 * pose.scale)))
    return np.asarray(soft, np.float32) / np.float32(_LEVELS)


def _branch(
    rng: np.random.Generator,
    start: tuple[float, float],
    side: int,
    direction: float,
    width: float,
    generations: int,
) -> list[Twig]:
    length = rng.uniform(0.09, 0.19)
    end = (start[0] + side * length * math.cos(direction), start[1] + length * math.sin(direction))
    twigs: list[Twig] = [(start, end, width)]
    if generations > 1:
        for turn in (rng.uniform(-0.6, -0.1), rng.uniform(0.1, 0.6)):
            twigs += _branch(rng, end, side, direction + turn, 0.66 * width, generations - 1)
    return twigs
