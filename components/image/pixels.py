"""Encoded films to grey values, outside of TensorFlow's graphs."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.image import prepare


def decoded(image: bytes) -> NDArray[np.uint8]:
    """Decodes a JPEG or PNG to uint8[H,W] as the served graph does, 16-bit and all."""
    return np.asarray(prepare.decode_grey(tf.constant(image)))
