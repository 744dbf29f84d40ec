"""Gaussian blur in plain TensorFlow operations."""

import numpy as np
import tensorflow as tf


def gaussian(image: tf.Tensor, sigma: float) -> tf.Tensor:
    """Blurs one image; beyond the border it is mirrored.

    Args:
        image: float32[H,W], both sides longer than 3 sigma.
        sigma: in pixels, > 0.

    Returns:
        float32[H,W].
    """
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = tf.constant(kernel / kernel.sum(), tf.float32)
    padded = tf.pad(image, [[radius, radius], [radius, radius]], "SYMMETRIC")[None, ..., None]
    rows = tf.nn.conv2d(padded, tf.reshape(kernel, [-1, 1, 1, 1]), 1, "VALID")
    return tf.nn.conv2d(rows, tf.reshape(kernel, [1, -1, 1, 1]), 1, "VALID")[0, ..., 0]
