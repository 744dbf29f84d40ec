"""Encoded films to grey values, outside of TensorFlow's graphs."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.image import prepare


def decoded(image: bytes) -> NDArray[np.uint8]:
    """uint8[H,W] of a JPEG or PNG, by TensorFlow's own decoding: what a model sees, 16-bit and all."""
    return np.asarray(prepare.decode_grey(tf.constant(image)))
