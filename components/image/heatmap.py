"""Heat maps: from the prepared image back to the whole film, and drawn over it."""

import numpy as np
import tensorflow as tf

from components.image.prepare import decode_grey, resize, to_uint8

HEATMAP_SIZE = 224
_OVERLAY_SIDE = 1024
_OVERLAY_OPACITY = 0.7  # of the hottest colour; the film shows through


def uncrop_heatmap(heatmap: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Lays heat maps of the prepared image over the whole input squashed to a square.

    Args:
        heatmap: float32[N,h,w] in [0,1].
        boxes: float32[N,4], each film's `crop_box`.

    Returns:
        float32[N,224,224] in [0,1], zero where the crop left something out.
    """
    rows, columns = (
        _interpolation(boxes[:, axis], boxes[:, axis + 2], heatmap.shape[axis + 1])
        for axis in (0, 1)
    )
    return tf.linalg.matmul(rows, tf.linalg.matmul(heatmap, columns, transpose_b=True))


def overlay(image_bytes: tf.Tensor, heatmap: tf.Tensor) -> tf.Tensor:
    """Draws a heat map over its X-ray; where there is no heat the film is unchanged.

    Args:
        image_bytes: string[], one JPEG or PNG.
        heatmap: float32[S,S] in [0,1], over the whole image squashed to a square.

    Returns:
        string[], an RGB PNG with the input's aspect, its longer side at most 1024 pixels.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not a whole image.
    """
    grey = decode_grey(image_bytes)
    shape = tf.cast(tf.shape(grey), tf.float32)
    scale = tf.minimum(1.0, _OVERLAY_SIDE / tf.reduce_max(shape))
    height, width = tf.unstack(tf.maximum(1, tf.cast(tf.round(shape * scale), tf.int32)))
    film = resize(grey, height, width)[..., None]
    heat = tf.clip_by_value(resize(heatmap, height, width), 0.0, 1.0)
    colours = tf.gather(_colour_map(), tf.cast(tf.round(heat * 255.0), tf.int32))
    opacity = _OVERLAY_OPACITY * heat[..., None]
    return tf.io.encode_png(to_uint8(film + opacity * (colours - film)))


def _interpolation(start: tf.Tensor, end: tf.Tensor, count: int) -> tf.Tensor:
    """float32[N,224,count]: from `count` places between two ends to the whole, linearly."""
    centres = (np.arange(HEATMAP_SIZE, dtype=np.float32) + 0.5) / HEATMAP_SIZE
    share = (centres - start[:, None]) / (end - start)[:, None]
    place = tf.clip_by_value(share * count - 0.5, 0.0, count - 1.0)
    weight = tf.nn.relu(1.0 - tf.abs(place[..., None] - np.arange(count, dtype=np.float32)))
    inside = (share >= 0.0) & (share <= 1.0)
    return weight * tf.cast(inside, tf.float32)[..., None]


def _colour_map() -> tf.Tensor:
    from matplotlib import colormaps  # only where an overlay is built

    return tf.constant(colormaps["plasma"](range(256))[:, :3] * 255.0, tf.float32)
