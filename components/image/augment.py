"""Random changes of training images that leave the diagnosis as it is; never a mirror image."""

import hashlib

import keras
import numpy as np
import tensorflow as tf

from components.image.contrast import normalise
from components.image.settings import AugmentConfig, ImageConfig

_AT_ONCE = 4
_REACH = 2  # pixels around each one that unsharp masking compares it with


def image_seed(seed: int, key: str, copy: int) -> tuple[int, int]:
    """The seed of one augmented copy: of these three alone, whatever else is augmented with it.

    Args:
        seed: the run's seed.
        key: names the image, such as its hash.
        copy: number of the copy of this image.

    Returns:
        Two integers in the range of int32.
    """
    digest = hashlib.sha256(f"{seed}/{key}/{copy}".encode()).digest()
    first, second = np.frombuffer(digest[:8], dtype="<i4")
    return int(first), int(second)


def augment(
    images: tf.Tensor, seeds: tf.Tensor, config: AugmentConfig, prepared: ImageConfig
) -> tf.Tensor:
    """Augments each image by its own seed, independent of the others in the batch.

    Geometry first, in one resampling whose surroundings are mirrored (black corners would tell
    augmented images from originals); then sharpness, exposure, noise. At last the contrast is
    normalised again: so a film comes out that was taken or saved otherwise, as served films do.

    Args:
        images: uint8[N,S,S], S known when the graph is built.
        seeds: int32[N,2], see `image_seed`.
        config: the strengths; with all of them 0 the images stay as they are.
        prepared: the options that the images were prepared with.

    Returns:
        uint8[N,S,S].
    """
    return tf.map_fn(
        lambda pair: _augment_one(pair[0], pair[1], config, prepared),
        (images, seeds),
        fn_output_signature=tf.TensorSpec(images.shape[1:], tf.uint8),
        parallel_iterations=_AT_ONCE,
    )


def _augment_one(
    image: tf.Tensor, seed: tf.Tensor, config: AugmentConfig, prepared: ImageConfig
) -> tf.Tensor:
    draws = _uniform(seed, 12)
    pixels = tf.cast(image, tf.float32) / 255.0
    pixels = _move(pixels, draws[:6], config)
    pixels = tf.cond(
        draws[6] < 0.0,
        lambda: _blur(pixels, -draws[6] * config.blur),
        lambda: _sharpen(pixels, draws[6] * config.sharpen),
    )
    pixels = _expose(pixels, draws[7:10], config)
    noise = _noise(image.shape[0], (draws[11] + 1.0) / 2.0 * config.grain, _fold(seed, 1))
    pixels += noise * config.noise * (draws[10] + 1.0) / 2.0
    levels = normalise(tf.clip_by_value(pixels, 0.0, 1.0) * 255.0, prepared)
    return tf.cast(tf.round(levels), tf.uint8)


def _move(pixels: tf.Tensor, draws: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """Rotation, shear, stretch, zoom and shift as one affine map about the image's centre."""
    size = pixels.shape[0]
    angle = draws[0] * np.deg2rad(config.rotation_degrees)
    shear = tf.tan(draws[1] * np.deg2rad(config.shear_degrees))
    zoom = (1.0 + config.zoom) ** draws[2]
    stretch = (1.0 + config.stretch) ** (draws[5] / 2.0)
    shift = draws[3:5] * config.shift * size
    rotation = [[tf.cos(angle), -tf.sin(angle)], [tf.sin(angle), tf.cos(angle)]]
    matrix = tf.matmul(tf.stack(rotation), [[1.0, shear], [0.0, 1.0]]) / zoom
    matrix *= tf.stack([1.0 / stretch, stretch])
    centre = tf.constant([(size - 1) / 2, (size - 1) / 2])
    offset = centre + shift - tf.linalg.matvec(matrix, centre)
    # From places in the result to places in the source, as (x, y).
    transform = [matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1], 0, 0]
    moved = keras.ops.image.affine_transform(
        pixels[..., None],
        tf.stack([tf.cast(term, tf.float32) for term in transform]),
        interpolation="bilinear",
        fill_mode="reflect",
        data_format="channels_last",
    )
    return moved[..., 0]


def _blur(pixels: tf.Tensor, lost: tf.Tensor) -> tf.Tensor:
    """Resamples through fewer pixels, as films come that were saved small."""
    size = pixels.shape[0]
    side = tf.maximum(tf.cast(tf.round(size * (1.0 - lost)), tf.int32), 1)
    small = tf.image.resize(pixels[..., None], tf.stack([side, side]), antialias=True)
    return tf.image.resize(small, [size, size])[..., 0]


def _sharpen(pixels: tf.Tensor, amount: tf.Tensor) -> tf.Tensor:
    """Unsharp masking, as films come that a processor has enhanced."""
    padded = tf.pad(pixels, [[_REACH, _REACH], [_REACH, _REACH]], "REFLECT")
    mean = tf.nn.avg_pool2d(padded[None, ..., None], 2 * _REACH + 1, 1, "VALID")[0, ..., 0]
    return pixels + amount * (pixels - mean)


def _expose(pixels: tf.Tensor, draws: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    pixels = tf.clip_by_value(pixels, 0.0, 1.0) ** ((1.0 + config.gamma) ** draws[0])
    mean = tf.reduce_mean(pixels)
    pixels = mean + (pixels - mean) * (1.0 + config.contrast * draws[1])
    return pixels + config.brightness * draws[2]


def _noise(size: int, coarser: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Noise of deviation 1, drawn on a grid that is coarser by a share.

    Noise is in the film before the film is resized and low-passed, so it comes in soft grains.
    """
    side = tf.cast(tf.round(size * (1.0 - coarser)), tf.int32)
    drawn = tf.random.stateless_normal(tf.stack([side, side]), seed, alg="philox")
    noise = tf.image.resize(drawn[..., None], [size, size])[..., 0]
    return noise / tf.math.reduce_std(noise)


def _uniform(seed: tf.Tensor, count: int) -> tf.Tensor:
    # The algorithm is named because the default one differs between devices.
    return tf.random.stateless_uniform([count], seed, -1.0, 1.0, alg="philox")


def _fold(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.fold_in(seed, number, alg="philox")
