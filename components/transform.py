"""The tf.Transform preprocessing function, for training and serving alike."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from components import names
from components.image import prepare
from components.image.settings import ImageConfig

_AT_ONCE = 4  # images decoded at a time: memory stays bounded in batches of a thousand


def preprocessing_fn(
    inputs: Mapping[str, tf.Tensor], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """Turns raw examples into transformed ones; called by TFX's Transform.

    `image_png` depends on `image/encoded` alone, so that the saved graph serves bare images.

    Args:
        inputs: raw features by name, N rows each: `image/encoded` string, `label` int64, the
            slice keys string.
        custom_config: `image`, the fields of ImageConfig.

    Returns:
        `image_png` string[N], the prepared image (see `imaging.prepare`) as grey uint8 PNG;
        `label` int64[N]; the slice keys string[N].
    """
    config = ImageConfig(**custom_config["image"])

    def as_png(image_bytes: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(prepare.prepare(image_bytes, config)[..., None])

    return {
        names.IMAGE_PNG: tf.map_fn(
            as_png,
            _column(inputs[names.IMAGE]),
            fn_output_signature=tf.string,
            parallel_iterations=_AT_ONCE,
        ),
        **{name: _column(inputs[name]) for name in (names.LABEL, *names.SLICE_KEYS)},
    }


def _column(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1])
