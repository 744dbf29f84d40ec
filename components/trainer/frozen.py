"""The frozen trunk as its features are computed: by TensorFlow, or in int8 by OpenVINO."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components import names
from components.files import replacing_folder
from components.model import int8

INT8: Final = "int8"
FILMS: Final = 32  # what ranges are measured on

_FEATURES: Final = "features"
_LARGEST: Final = float(np.finfo(np.float16).max)  # VGG-16's activations reach some thousands

Extract = Callable[[Sequence[bytes]], NDArray[np.float16]]

_log = logging.getLogger(__name__)


def in_tensorflow(trunk: keras.Model) -> Extract:
    """Prepared films, PNG, to the trunk's output, float16[n,h,w,C]."""
    decode = _decoder(trunk)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def extract(pngs: tf.Tensor) -> tf.Tensor:
        output = trunk(decode(pngs), training=False)
        return tf.cast(tf.clip_by_value(output, -_LARGEST, _LARGEST), tf.float16)

    return lambda pngs: extract(pngs).numpy()


def in_int8(trunk: keras.Model, folder: Path, films: Callable[[], Sequence[bytes]]) -> Extract:
    """As `in_tensorflow`, the convolutions in int8: twice as fast, and a little inexact.

    Args:
        trunk: its convolutions are quantised, but not what finds the lungs.
        folder: keeps the quantised trunk: rows that join a cache come of the same numbers.
        films: gives prepared films, PNG, to measure ranges on where `folder` has no trunk yet.
    """
    decode = _decoder(trunk)
    run = _kept(folder)
    if run is None:
        _quantise(trunk, decode(tf.constant(films())).numpy(), folder)
        run = int8.runner(folder / int8.FILE, exact=False)

    def extract(pngs: Sequence[bytes]) -> NDArray[np.float16]:
        output = run(decode(tf.constant(pngs)).numpy())[_FEATURES]
        return output.clip(-_LARGEST, _LARGEST).astype(np.float16)

    return extract


def _kept(folder: Path) -> int8.Network | None:
    if not folder.is_dir():
        return None
    try:
        return int8.runner(folder / int8.FILE, exact=False)
    except RuntimeError:
        _log.warning("%s is damaged; making it again", folder)
        return None


def _quantise(trunk: keras.Model, films: NDArray[np.uint8], folder: Path) -> None:
    view = keras.Model(trunk.input, [trunk.output, trunk.get_layer(names.LUNGS).output])

    @tf.function(input_signature=[tf.TensorSpec([None, *trunk.input_shape[1:]], tf.uint8)])
    def named(grey: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip((_FEATURES, names.LUNGS), view(grey, training=False), strict=True))

    exact = int8.converted(named.get_concrete_function(), (_FEATURES, names.LUNGS))
    with replacing_folder(folder) as part:
        int8.save(int8.quantised(exact, films), part)


def _decoder(trunk: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    shape = trunk.input_shape[1:]

    def decode(png: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.io.decode_png(png, channels=1), shape)

    return lambda pngs: tf.map_fn(decode, pngs, fn_output_signature=tf.uint8)
