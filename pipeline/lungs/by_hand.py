"""Lung fields found by plain TensorFlow operations: a second opinion on the network's.

Lungs are the two large regions, left and right of the spine, that are darker than what surrounds
them. Pneumonia whitens a lung, so the dark regions alone would leave out the very thing to be
seen: each lung is filled to its convex hull, and each hull is mirrored across the spine.
"""

import numpy as np
import tensorflow as tf

from components.image.blur import gaussian

SIDE = 96  # pixels on which lungs are looked for; the mask needs no more
_DIRECTIONS = 32  # half-planes of a convex hull
_PLACE = 0.2  # lowest plausibility of a place that can be lung
_COMPONENT_PLACE = 0.45  # lowest mean plausibility of a component
_COMPONENT_AREA = 0.003  # shares of the image from here on
_TRACE_AREA = 0.004
_LUNG_AREA = 0.02
_HULL_AREA = 0.30
_LUNG_HEIGHT = 0.25

_CENTRES = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
_X = np.broadcast_to(_CENTRES[None, :], (SIDE, SIDE))
_Y = np.broadcast_to(_CENTRES[:, None], (SIDE, SIDE))


def lung_mask(image: tf.Tensor) -> tf.Tensor:
    """The lung fields of a frontal chest X-ray as a soft mask.

    Dark places by Otsu's threshold (IEEE Trans. SMC 9(1), 1979) on the local contrast; of their
    connected components those that lie where lungs do; hulls, mirrored, widened and blurred.

    Args:
        image: float32[S,S] in 0..255, S known when the graph is built.

    Returns:
        float32[S,S] in [0,1]; 1 everywhere where no two lungs are found.
    """
    mask = _small_mask(image)
    return tf.clip_by_value(tf.image.resize(mask[..., None], image.shape)[..., 0], 0.0, 1.0)


def _small_mask(image: tf.Tensor) -> tf.Tensor:
    small = tf.image.resize(image[..., None], [SIDE, SIDE], antialias=True)[..., 0] / 255.0
    smooth = gaussian(small, 1.0)
    spine = _spine(smooth)
    regions = _lung_regions(smooth, spine)
    sides = [regions * tf.cast(side, tf.float32) for side in (spine > _X, spine < _X)]
    right, left = (_hull(side) for side in sides)
    found = _are_two_lungs(tf.stack(sides), tf.stack([right, left]))
    hulls = tf.maximum(right, left)
    lungs = gaussian(_dilate(tf.maximum(hulls, _mirror(hulls, spine)), 5), 1.5)
    return tf.where(found, lungs, tf.ones_like(lungs))


def _spine(smooth: tf.Tensor) -> tf.Tensor:
    """Centre of the brightest column of the middle, as a share of the width."""
    columns = tf.reduce_mean(smooth[int(0.2 * SIDE) : int(0.7 * SIDE)], axis=0)
    first, end = int(0.36 * SIDE), int(0.64 * SIDE)
    return tf.gather(_CENTRES, tf.argmax(columns[first:end]) + first)


def _lung_regions(smooth: tf.Tensor, spine: tf.Tensor) -> tf.Tensor:
    contrast = smooth - gaussian(smooth, SIDE / 6)
    inside = (np.abs(_X - 0.5) < 0.38) & (np.abs(_Y - 0.5) < 0.4)
    threshold = tf.minimum(_otsu(tf.boolean_mask(contrast, inside)), 0.0)
    dark = tf.cast(contrast < threshold, tf.float32)
    distance = tf.abs(_X - spine)
    # Lungs lie a fifth of the width beside the spine, somewhat above the middle.
    place = tf.exp(-0.5 * (((distance - 0.2) / 0.14) ** 2 + ((_Y - 0.42) / 0.24) ** 2))
    opened = _dilate(1 - _dilate(1 - dark, 3), 3)
    candidates = opened * tf.cast((place > _PLACE) & (distance > 0.5 / SIDE), tf.float32)

    component = _components(candidates)
    bins = SIDE**2 + 1
    area = tf.math.bincount(component, minlength=bins, dtype=tf.float32)
    weight = tf.math.bincount(component, weights=place, minlength=bins)
    lung = (weight > _COMPONENT_PLACE * area) & (area > _COMPONENT_AREA * SIDE**2)
    return tf.cast(tf.gather(lung, component) & (component > 0), tf.float32)


def _otsu(values: tf.Tensor) -> tf.Tensor:
    """The threshold between -0.5 and 0.5 that best parts the values in two classes."""
    bins = 64
    share = tf.cast(tf.histogram_fixed_width(values, [-0.5, 0.5], bins), tf.float32)
    share /= tf.reduce_sum(share)
    below = tf.cumsum(share)
    mean_below = tf.cumsum(share * tf.range(bins, dtype=tf.float32))
    between = tf.math.divide_no_nan(
        (mean_below[-1] * below - mean_below) ** 2, below * (1.0 - below)
    )
    return (tf.cast(tf.argmax(between), tf.float32) + 1.0) / bins - 0.5


def _components(mask: tf.Tensor) -> tf.Tensor:
    """Connected components (8 neighbours): each takes the largest index among its pixels; 0 none.

    Each pixel takes its neighbours' largest index and then what the pixel of that index has, so
    that the number of turns grows with the logarithm of a component's length. Indices up to 96
    squared are exact in float32.
    """
    indices = np.arange(1, SIDE**2 + 1, dtype=np.float32).reshape(SIDE, SIDE)

    def spread(labels: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        wider = _dilate(labels, 3) * mask
        of_index = tf.concat([[0.0], tf.reshape(wider, [-1])], axis=0)
        further = tf.gather(of_index, tf.cast(wider, tf.int32))
        return further, tf.reduce_any(further != labels)

    labels, _ = tf.while_loop(
        lambda _, changed: changed,
        spread,
        (indices * mask, tf.constant(True)),
        maximum_iterations=4 * SIDE,
    )
    return tf.cast(labels, tf.int32)


def _hull(mask: tf.Tensor) -> tf.Tensor:
    """Convex hull as the intersection of half-planes; empty for an empty mask."""
    angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    along = (_X[..., None] * np.cos(angles) + _Y[..., None] * np.sin(angles)).astype(np.float32)
    furthest = tf.reduce_max(tf.where(mask[..., None] > 0, along, -np.inf), axis=(0, 1))
    return tf.cast(tf.reduce_all(along <= furthest + 1e-6, axis=-1), tf.float32)


def _are_two_lungs(regions: tf.Tensor, hulls: tf.Tensor) -> tf.Tensor:
    """Whether both sides show something and one of them a whole lung; the other may be white."""
    areas = tf.reduce_mean(regions, axis=(1, 2))
    heights = tf.reduce_mean(tf.reduce_max(hulls, axis=2), axis=1)
    return (
        tf.reduce_all(areas > _TRACE_AREA)
        & tf.reduce_any((areas > _LUNG_AREA) & (heights > _LUNG_HEIGHT))
        & tf.reduce_all(tf.reduce_mean(hulls, axis=(1, 2)) < _HULL_AREA)
    )


def _mirror(mask: tf.Tensor, spine: tf.Tensor) -> tf.Tensor:
    columns = tf.cast(tf.round(2.0 * spine * SIDE), tf.int32) - 1 - tf.range(SIDE)
    inside = tf.cast((columns >= 0) & (columns < SIDE), tf.float32)
    return tf.gather(mask, tf.clip_by_value(columns, 0, SIDE - 1), axis=1) * inside


def _dilate(image: tf.Tensor, side: int) -> tf.Tensor:
    return tf.nn.max_pool2d(image[None, ..., None], side, 1, "SAME")[0, ..., 0]
