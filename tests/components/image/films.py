"""Drawn films with their true lungs."""

import numpy as np
from PIL import Image

from pipeline.synthetic import film
from pipeline.synthetic.anatomy import random_anatomy


def drawn(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A sick film, float32[size,size] in 0..255, and what of it is lung, bool[size,size]."""
    rng = np.random.default_rng(seed)
    anatomy = random_anatomy(rng)
    made = film.render(anatomy, film.random_opacities(rng, anatomy, "bacteria"), rng)
    grey = Image.fromarray((made.pixels >> 4).astype(np.uint8))
    pixels = np.asarray(grey.resize((size, size), Image.Resampling.BOX), np.float32)
    lungs = Image.fromarray(made.lungs).convert("L").resize((size, size), Image.Resampling.BOX)
    return pixels, np.asarray(lungs) > 127
