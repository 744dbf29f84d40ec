"""Encodes images as files and as data URIs for pages."""

import base64
import io
from typing import Final

import numpy as np
from PIL import Image

_QUALITY: Final = 80  # of JPEG


def png(grey: np.ndarray) -> bytes:
    """Encodes uint8[H,W] without loss, fast rather than small."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", compress_level=1)
    return file.getvalue()


def thumbnail(image: Image.Image, side: int) -> str:
    """Makes a small JPEG of an image, for a page.

    Args:
        image: of mode L or RGB.
        side: the most pixels of the longer side; a smaller image keeps its size.

    Returns:
        The JPEG as a data URI.
    """
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
