"""Heat maps: from the prepared image back to the whole film, and drawn over it."""

import numpy as np
import tensorflow as tf

from components.image.prepare import decode_grey, resize, to_uint8

HEATMAP_SIZE = 224
_OVERLAY_SIDE = 1024
_OVERLAY_OPACITY = 0.7  # of the hottest colour; the film shows through


def uncrop_heatmap(heatmap: tf.Tensor, border: float) -> tf.Tensor:
    """Lays heat maps of the prepared image over the whole input squashed to a square.

    Args:
        heatmap: float32[N,h,w] in [0,1].
        border: share of each side that `prepare` cut off.

    Returns:
        float32[N,224,224] in [0,1], zero where the crop left something out.
    """
    rows, columns = (_interpolation(border, count) for count in heatmap.shape[1:])
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
    # Level 3 takes a third of the default level's time; files are a twentieth larger.
    return tf.io.encode_png(to_uint8(film + opacity * (colours - film)), compression=3)


def _interpolation(border: float, count: int) -> np.ndarray:
    """float32[224,count]: from `count` places between the borders to the whole, linearly."""
    centres = (np.arange(HEATMAP_SIZE) + 0.5) / HEATMAP_SIZE
    share = (centres - border) / (1 - 2 * border)
    place = np.clip(share * count - 0.5, 0, count - 1)
    weight = np.maximum(1 - np.abs(place[:, None] - np.arange(count)), 0)
    inside = (share >= 0) & (share <= 1)
    return (weight * inside[:, None]).astype(np.float32)


def _colour_map() -> tf.Tensor:
    from matplotlib import colormaps  # only where an overlay is built

    return tf.constant(colormaps["plasma"](range(256))[:, :3] * 255.0, tf.float32)
