"""Contrast normalisations of one grey image, in plain TensorFlow operations."""

import functools
from typing import Final

import numpy as np
import tensorflow as tf

from components.image.blur import gaussian
from components.image.settings import ImageConfig

_LEVELS = 256
_TARGET_MEAN = 128.0
_TARGET_DEVIATION = 50.0  # 2.5 deviations either way stay inside 0..255
_TILES = 8
_CLIP_LIMIT = 2.0  # times the mean count of a histogram bin
_CHEST: Final = 0.7  # of a film's side; around it: collimation, markers, arms
# Between blurs of these widths, as shares of a film's side (1, 2, 4 and 8 of 224 pixels), a band is
# brought to so much of the chest's own deviation; what is finer than the first is left out.
_WIDTHS: Final = tuple(width / 224 for width in (1, 2, 4, 8))
_ENERGIES: Final = (0.14, 0.18, 0.24)
_MOST: Final = 4.0  # times that a band is raised: on a blurred film, more would raise noise


def normalise(image: tf.Tensor, config: ImageConfig) -> tf.Tensor:
    """Normalises by the method that `image.contrast` names.

    Args:
        image: float32[S,S] in 0..255, S known when the graph is built.
        config: the options that the image was prepared with.

    Returns:
        float32[S,S] in 0..255.
    """
    view = _CHEST if config.crop_lungs else 1.0
    methods = {
        "none": tf.identity,
        "standardise": standardise,
        "equalise": equalise,
        "clahe": clahe,
        "harmonise": functools.partial(harmonise, view=view),
    }
    normalised: tf.Tensor = methods[config.contrast](image)
    return normalised


def standardise(image: tf.Tensor) -> tf.Tensor:
    """Brings an image to one mean (128) and standard deviation (50).

    Args:
        image: float32[H,W] in 0..255.

    Returns:
        float32[H,W] in 0..255, clipped; a uniform image becomes 128 everywhere.
    """
    deviation = tf.maximum(tf.math.reduce_std(image), 1.0)
    standard = (image - tf.reduce_mean(image)) / deviation
    return tf.clip_by_value(_TARGET_MEAN + _TARGET_DEVIATION * standard, 0.0, 255.0)


def equalise(image: tf.Tensor) -> tf.Tensor:
    """Equalises the histogram of the whole image.

    Args:
        image: float32[H,W] in 0..255.

    Returns:
        float32[H,W] in 0..255: 255 times the share of pixels that are not brighter.
    """
    levels = _levels(image)
    counts = tf.math.bincount(tf.reshape(levels, [-1]), minlength=_LEVELS, dtype=tf.float32)
    return tf.gather(_lookup_table(counts), levels)


def harmonise(image: tf.Tensor, view: float = 1.0) -> tf.Tensor:
    """Takes away how a film was processed and saved: sharpness first, then exposure.

    Vendors enhance different frequencies, and resampling and compression take the finest away. As
    in R. Philipsen et al., "Localized Energy-Based Normalization of Medical Images: Application to
    Chest Radiography", IEEE Trans. Medical Imaging 34(9), 2015, the image is parted into bands and
    each is brought to a fixed energy; here only the fine ones, because in the coarse ones a white
    lung shows. Then the histogram is equalised. Both are measured on the film's centre, so that
    borders, markers and collimation do not count.

    Args:
        image: float32[S,S] in 0..255, S known when the graph is built.
        view: the image's side as a share of a whole film's, 0.7 to 1.

    Returns:
        float32[S,S] in 0..255.
    """
    size = image.shape[0]
    edge = round((1.0 - _CHEST / view) / 2 * size)

    def centre(values: tf.Tensor) -> tf.Tensor:
        return values[edge : size - edge, edge : size - edge]

    coarse = image
    bands = []
    for width in _WIDTHS:
        coarser = gaussian(image, width / view * size)
        bands.append(coarse - coarser)
        coarse = coarser
    chest = tf.math.reduce_std(centre(image))
    even = coarse
    for band, energy in zip(bands[1:], _ENERGIES, strict=True):
        gain = tf.math.divide_no_nan(energy * chest, tf.math.reduce_std(centre(band)))
        even += tf.minimum(gain, _MOST) * band
    levels = _levels(even)
    counts = tf.math.bincount(tf.reshape(centre(levels), [-1]), minlength=_LEVELS, dtype=tf.float32)
    return tf.gather(_lookup_table(counts), levels)


def clahe(image: tf.Tensor) -> tf.Tensor:
    """Contrast-limited adaptive histogram equalisation on 8 x 8 tiles, clip limit 2.

    Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994. Each
    pixel is mapped by the tables of its four nearest tiles, mixed bilinearly.

    Args:
        image: float32[S,S] in 0..255, S known when the graph is built and a multiple of 8.

    Returns:
        float32[S,S] in 0..255.
    """
    size = image.shape[0]
    tile = size // _TILES
    levels = _levels(image)
    index = np.arange(size) // tile
    tile_of_pixel = index[:, None] * _TILES + index[None, :]
    counts = tf.math.bincount(
        tf.reshape(tile_of_pixel * _LEVELS + levels, [-1]),
        minlength=_TILES**2 * _LEVELS,
        dtype=tf.float32,
    )
    counts = tf.reshape(counts, [_TILES, _TILES, _LEVELS])
    limit = _CLIP_LIMIT * tile**2 / _LEVELS
    excess = tf.reduce_sum(tf.nn.relu(counts - limit), axis=-1, keepdims=True)
    tables = _lookup_table(tf.minimum(counts, limit) + excess / _LEVELS)

    position = np.clip((np.arange(size) + 0.5) / tile - 0.5, 0, _TILES - 1)
    low = np.floor(position).astype(np.int32)
    high = np.minimum(low + 1, _TILES - 1)
    share = (position - low).astype(np.float32)

    def mapped(rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
        places = np.broadcast_arrays(rows[:, None], columns[None, :])
        return tf.gather_nd(tables, tf.stack([*places, levels], axis=-1))

    upper = mapped(low, low) * (1 - share) + mapped(low, high) * share
    lower = mapped(high, low) * (1 - share) + mapped(high, high) * share
    return upper * (1 - share[:, None]) + lower * share[:, None]


def _levels(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.int32)


def _lookup_table(counts: tf.Tensor) -> tf.Tensor:
    cumulative = tf.cumsum(counts, axis=-1)
    return cumulative * (255.0 / cumulative[..., -1:])
