"""Pure image functions: from a JPEG or PNG to the prepared image, and from a heat map back.

All are graph operations that plain TensorFlow Serving runs, one image at a time.
"""

import numpy as np
import tensorflow as tf

from pipeline import contrast
from pipeline.config import ImageConfig
from pipeline.segmentation import SIDE, lung_box, lung_mask

HEATMAP_SIZE = 224
_OVERLAY_SIDE = 1024
_OVERLAY_OPACITY = 0.7  # of the hottest colour; the film shows through
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

    Decode, grey, crop (see `crop_box`), resize (through `low_pass` pixels where set, so that all
    films are equally sharp), normalise the contrast, darken what is not lung. Resizing squashes
    the aspect and is antialiased; contrast and mask follow it because they cost less there.

    Args:
        image_bytes: string[], one JPEG or PNG.
        config: size and options.

    Returns:
        uint8[S,S], S = config.size.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not a whole image.
    """
    grey = decode_grey(image_bytes)
    image = _crop(grey, crop_box(grey, config))
    if config.low_pass:
        image = _resize(image, config.low_pass, config.low_pass)
    image = _resize(image, config.size, config.size)
    image.set_shape([config.size, config.size])
    image = contrast.normalise(image, config)
    if config.segment_lungs:
        image *= lung_mask(image)
    return _to_uint8(image)


def crop_box(grey: tf.Tensor, config: ImageConfig) -> tf.Tensor:
    """Which part of a film `prepare` takes.

    With `crop_lungs` the box around the lungs: so the field of view, which is another in each
    hospital and class, comes to one measure. Else, and where no lungs are found, all but a border
    of `crop_border`.

    Args:
        grey: uint8[H,W], see `decode_grey`.
        config: the options that `prepare` has.

    Returns:
        float32[4]: top, left, bottom, right as shares of the height and width.
    """
    border = config.crop_border
    inner = tf.constant([border, border, 1.0 - border, 1.0 - border])
    if not config.crop_lungs:
        return inner
    small = _resize(grey, SIDE, SIDE)
    small.set_shape([SIDE, SIDE])
    lungs = lung_box(contrast.harmonise(small))
    return tf.where(tf.reduce_all(lungs[2:] - lungs[:2] == 1.0), inner, lungs)


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
    film = _resize(grey, height, width)[..., None]
    heat = tf.clip_by_value(_resize(heatmap, height, width), 0.0, 1.0)
    colours = tf.gather(_colour_map(), tf.cast(tf.round(heat * 255.0), tf.int32))
    opacity = _OVERLAY_OPACITY * heat[..., None]
    return tf.io.encode_png(_to_uint8(film + opacity * (colours - film)))


def _luma(colour: tf.Tensor) -> tf.Tensor:
    red, green, blue = (tf.cast(plane, tf.float32) for plane in tf.unstack(colour, axis=-1, num=3))
    return _to_uint8(_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)


def _crop(image: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(image)
    corners = tf.reshape(box, [2, 2]) * tf.cast(shape, tf.float32)
    start, end = tf.unstack(tf.cast(tf.round(corners), tf.int32))
    start = tf.minimum(start, shape - 1)  # of the thinnest film one row stays
    return tf.slice(image, start, tf.maximum(end - start, 1))


def _interpolation(start: tf.Tensor, end: tf.Tensor, count: int) -> tf.Tensor:
    """float32[N,224,count]: from `count` places between two ends to the whole, linearly."""
    centres = (np.arange(HEATMAP_SIZE, dtype=np.float32) + 0.5) / HEATMAP_SIZE
    share = (centres - start[:, None]) / (end - start)[:, None]
    place = tf.clip_by_value(share * count - 0.5, 0.0, count - 1.0)
    weight = tf.nn.relu(1.0 - tf.abs(place[..., None] - np.arange(count, dtype=np.float32)))
    inside = (share >= 0.0) & (share <= 1.0)
    return weight * tf.cast(inside, tf.float32)[..., None]


def _resize(image: tf.Tensor, height: tf.Tensor | int, width: tf.Tensor | int) -> tf.Tensor:
    resized = tf.image.resize(image[..., None], [height, width], antialias=True)
    return resized[..., 0]


def _to_uint8(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)


def _colour_map() -> tf.Tensor:
    from matplotlib import colormaps  # only where an overlay is built

    return tf.constant(colormaps["plasma"](range(256))[:, :3] * 255.0, tf.float32)
