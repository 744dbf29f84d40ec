"""Makes planes of floats smooth or rough: soft edges, blur and fractal noise."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.floating[Any]]  # [H,W]


def step(z: Plane, width: float) -> Plane:
    """Rises smoothly from 0 to 1 while z rises from -width to width.

    Args:
        z: float[H,W].
        width: above 0, in z's unit.

    Returns:
        float[H,W] in 0..1.
    """
    t = np.clip(0.5 + z / (2 * width), 0, 1)
    return t * t * (3 - 2 * t)


def band(x: Plane, half_width: float, softness: float) -> Plane:
    """Marks a soft band: 0.5 where |x| is half_width.

    Args:
        x: float[H,W].
        half_width: in x's unit.
        softness: the fall from 1 to 0 takes twice as much, in x's unit.

    Returns:
        float[H,W] in 0..1.
    """
    return step(half_width - np.abs(x), softness)


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int) -> Plane:
    """Makes fractal noise of mean 0 and deviation about 1.

    Args:
        rng: the source of the noise.
        shape: H and W.
        cells: how many of the coarsest cells fit the longer side.
        octaves: how many layers, each half as coarse and half as strong as the one before.

    Returns:
        float32[H,W].
    """
    total = np.zeros(shape, np.float32)
    weight = 0.0
    for octave in range(octaves):
        cell = max(shape) / (cells * 2**octave)
        grid = [max(2, round(side / cell) + 1) for side in shape]
        coarse = Image.fromarray(rng.standard_normal(grid, dtype=np.float32))
        fine = coarse.resize(shape[::-1], Image.Resampling.BICUBIC)
        total += np.asarray(fine) * 0.5**octave
        weight += 0.25**octave
    return total / np.float32(0.6 * math.sqrt(weight))


def blur(plane: Plane, sigma: float) -> Plane:
    """Blurs with a Gaussian; with a large sigma on a smaller image.

    Args:
        plane: float32[H,W].
        sigma: in pixels, above 0.

    Returns:
        float32[H,W].
    """
    factor = max(1, int(sigma / 3))
    small = Image.fromarray(plane).reduce(factor) if factor > 1 else Image.fromarray(plane)
    array = _gaussian(np.asarray(small), sigma / factor)
    back = Image.fromarray(array).resize(plane.shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(back)


def _gaussian(plane: Plane, sigma: float) -> Plane:
    radius = max(1, math.ceil(2.5 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(radius, radius) if i == axis else (0, 0) for i in (0, 1)]
        wide = np.pad(plane, pad, mode="edge")
        length = plane.shape[axis]
        plane = sum(
            weight * (wide[i : i + length] if axis == 0 else wide[:, i : i + length])
            for i, weight in enumerate(kernel)
        )
    return plane.astype(np.float32)
