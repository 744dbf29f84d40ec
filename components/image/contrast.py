"""One sharpness and one exposure for all films, in plain TensorFlow operations."""

from typing import Final

import tensorflow as tf

from components.image.blur import gaussian
from components.image.settings import ImageConfig

_LEVELS = 256
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
    if config.contrast == "none":
        return image
    return harmonise(image)


def harmonise(image: tf.Tensor) -> tf.Tensor:
    """Takes away how a film was processed and saved: sharpness first, then exposure.

    Vendors enhance different frequencies, and resampling and compression take the finest away. As
    in R. Philipsen et al., "Localized Energy-Based Normalization of Medical Images: Application to
    Chest Radiography", IEEE Trans. Medical Imaging 34(9), 2015, the image is parted into bands and
    each is brought to a fixed energy; here only the fine ones, because in the coarse ones a white
    lung shows. Then the histogram is equalised. Both are measured on the film's centre, so that
    borders, markers and collimation do not count.

    Args:
        image: float32[S,S] in 0..255, S known when the graph is built.

    Returns:
        float32[S,S] in 0..255.
    """
    size = image.shape[0]
    edge = round((1.0 - _CHEST) / 2 * size)

    def centre(values: tf.Tensor) -> tf.Tensor:
        return values[edge : size - edge, edge : size - edge]

    coarse = image
    bands = []
    for width in _WIDTHS:
        coarser = gaussian(image, width * size)
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


def _levels(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.int32)


def _lookup_table(counts: tf.Tensor) -> tf.Tensor:
    cumulative = tf.cumsum(counts, axis=-1)
    return cumulative * (255.0 / cumulative[..., -1:])
