"""From a JPEG or PNG to the prepared image."""

import tensorflow as tf

from components.image import contrast
from components.image.blur import gaussian
from components.image.lung_network import lung_fields
from components.image.settings import ImageConfig

_GREY = 128.0
_EDGE = 0.02  # of the side: deviation of the blur at the lungs' edge
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in JPEG


def decode_grey(image_bytes: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG or PNG of any number of channels to grey.

    Transparency is dropped, 16-bit PNG keeps its upper byte, EXIF rotation is not applied
    (`client.images` resolves all three before sending). The slow, exact inverse DCT makes the
    pixels the same on every machine.

    Args:
        image_bytes: string[], one encoded image.

    Returns:
        uint8[H,W]: a byte per pixel, since films of 50 million pixels are allowed.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not a whole image.
    """
    # Despite its name, this operation reads PNG too, and it alone takes a DCT method.
    image = tf.io.decode_jpeg(image_bytes, channels=0, dct_method="INTEGER_ACCURATE")
    return tf.cond(tf.shape(image)[-1] < 3, lambda: image[..., 0], lambda: _luma(image[..., :3]))


def prepare(image_bytes: tf.Tensor, config: ImageConfig) -> tf.Tensor:
    """Makes of an encoded X-ray what the network sees, the same in training and serving.

    Decode, grey, cut the border off, resize, normalise the contrast, grey what is not lung.
    Resizing squashes the aspect and is antialiased; contrast and mask follow it because they cost
    less there.

    Args:
        image_bytes: string[], one JPEG or PNG.
        config: size and options.

    Returns:
        uint8[S,S], S = config.size.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not a whole image.
    """
    image = _without_border(decode_grey(image_bytes), config.crop_border)
    image = resize(image, config.size, config.size)
    image.set_shape([config.size, config.size])
    image = contrast.normalise(image, config)
    if config.outside == "grey":
        lungs = gaussian(lung_fields(image[None])[0], _EDGE * config.size)
        image = _GREY + lungs * (image - _GREY)
    return to_uint8(image)


def _luma(colour: tf.Tensor) -> tf.Tensor:
    red, green, blue = (tf.cast(plane, tf.float32) for plane in tf.unstack(colour, axis=-1, num=3))
    return to_uint8(_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)


def _without_border(image: tf.Tensor, border: float) -> tf.Tensor:
    shape = tf.shape(image)
    ends = tf.constant([[border], [1.0 - border]]) * tf.cast(shape, tf.float32)
    start, end = tf.unstack(tf.cast(tf.round(ends), tf.int32))
    start = tf.minimum(start, shape - 1)  # of the thinnest film one row stays
    return tf.slice(image, start, tf.maximum(end - start, 1))


def resize(image: tf.Tensor, height: tf.Tensor | int, width: tf.Tensor | int) -> tf.Tensor:
    """Resamples an image bilinearly, antialiased.

    Args:
        image: uint8[H,W] or float32[H,W].
        height: of the result, in pixels.
        width: of the result, in pixels.

    Returns:
        float32[height,width].
    """
    resized = tf.image.resize(image[..., None], [height, width], antialias=True)
    return resized[..., 0]


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Rounds float32 values to uint8; what lies outside 0..255 is cut to it."""
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)
