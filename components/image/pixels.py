"""Encoded films to grey values and back, outside of TensorFlow's graphs."""

import io

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from components.image import prepare


def decoded(image: bytes) -> NDArray[np.uint8]:
    """uint8[H,W] of a JPEG or PNG, by TensorFlow's own decoding: what a model sees, 16-bit and all."""
    return np.asarray(prepare.decode_grey(tf.constant(image)))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of uint8[H,W], made fast rather than small."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
