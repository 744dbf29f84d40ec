"""Smoothness and roughness: edges, blur and fractal noise on planes of floats."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.floating[Any]]  # [H,W]


def step(z: Plane, width: float) -> Plane:
    """0 to 1 over z in -width..width, smoothly."""
    t = np.clip(0.5 + z / (2 * width), 0, 1)
    return t * t * (3 - 2 * t)


def band(x: Plane, half_width: float, softness: float) -> Plane:
    """1 where |x| is below half_width, falling to 0 over 2 * softness."""
    return step(half_width - np.abs(x), softness)


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int) -> Plane:
    """Fractal noise of mean 0 and deviation about 1; its coarsest cells number `cells` a side."""
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
    """Gaussian blur of float32[H,W]; sigma in pixels, large ones computed on a smaller image."""
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
