"""Lung fields found by a small learned network, as a soft mask, in plain TensorFlow operations.

A U-Net (O. Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
MICCAI 2015) of 0.4 million weights that `python -m pipeline.lungs` trains. It marks a lung as a
reader outlines it: what is white of it, too, and what lies behind the heart.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf

SIDE = 128  # pixels on which lungs are looked for
WEIGHTS = Path(__file__).with_name("lung_network.npz")
_BLOCK = 4  # pixels of a film that the first layer takes as channels: few channels cost as many
_CHANNELS = (32, 48, 64, 96)  # at a quarter of SIDE, an eighth, ...; on the way down and up
_OUT = 2  # so many places each way come from one place of the last layer
_COARSE = 64  # columns on which two lungs are counted
# Shares of a film. Outlined adults' and drawn children's lungs are VALLEY and more.
_VALLEY = 0.15  # a lung's height above the gap between lungs
_SMALLEST_LUNG = 0.02
_LARGEST_LUNG = 0.4

Weights = Mapping[str, tf.Tensor | tf.Variable | np.ndarray]


class LungNetwork(tf.Module):
    """The network with its weights in variables, for a module that is saved.

    Constants, which `lung_fields` uses without it, would be saved once for each signature.
    """

    def __init__(self) -> None:
        super().__init__(name="lung_network")
        self.weights = {
            name: tf.Variable(array, trainable=False, name=name)
            for name, array in trained_weights().items()
        }

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """As `lung_fields`."""
        return lung_fields(images, self.weights)


def lung_fields(images: tf.Tensor, weights: Weights | None = None) -> tf.Tensor:
    """The lung fields of frontal chest X-rays as soft masks.

    Args:
        images: float32[N,S,S] in 0..255, S known when the graph is built, 64 and more; exposure
            and contrast do not matter, black and white must not be swapped.
        weights: by the names of `shapes`; the trained ones if not given.

    Returns:
        float32[N,S,S] in [0,1], near 0 everywhere on a film without lungs: see `lungs_found`.
    """
    found = logits(standardised(images), trained_weights() if weights is None else weights)
    return tf.sigmoid(tf.image.resize(found, images.shape[1:])[..., 0])


def lungs_found(masks: tf.Tensor) -> tf.Tensor:
    """Whether masks show two plausible lungs, one on each side.

    The midline is where the mask's columns have their deepest valley: one lung alone has none.

    Args:
        masks: float32[N,S,S] in [0,1], of `lung_fields`.

    Returns:
        bool[N].
    """
    small = tf.image.resize(masks[..., None], [_COARSE, _COARSE])[..., 0]
    tall = tf.reduce_mean(tf.cast(small > 0.5, tf.float32), axis=1)  # [N,64], shares of the height
    before = np.tri(_COARSE, k=-1, dtype=np.float32)  # [i,j]: column j lies left of column i
    sides = (before, before.T)
    peaks = [tf.reduce_max(tall[:, None, :] * side, axis=2) for side in sides]
    valley = tf.minimum(*peaks) - tall
    middle = tf.argmax(valley, axis=1)
    areas = tf.stack([tf.reduce_mean(tf.gather(side, middle) * tall, axis=1) for side in sides])
    return (
        (tf.reduce_max(valley, axis=1) > _VALLEY)
        & (tf.reduce_min(areas, axis=0) > _SMALLEST_LUNG)
        & (tf.reduce_max(areas, axis=0) < _LARGEST_LUNG)
    )


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights, in the order in which `logits` uses them."""
    layers: dict[str, tuple[int, ...]] = {}

    def layer(name: str, side: int, inputs: int, outputs: int) -> int:
        layers[f"{name}_kernel"], layers[f"{name}_bias"] = (side, side, inputs, outputs), (outputs,)
        return outputs

    depth = _BLOCK**2
    for level, channels in enumerate(_CHANNELS):
        depth = layer(f"down{level}a", 3, depth, channels)
        depth = layer(f"down{level}b", 3, depth, channels)
    for level in reversed(range(len(_CHANNELS) - 1)):
        depth = layer(f"up{level}", 3, depth + _CHANNELS[level], _CHANNELS[level])
    layer("out", 1, depth, _OUT**2)
    return layers


def standardised(images: tf.Tensor) -> tf.Tensor:
    """Films at the network's size with mean 0 and deviation 1, so that exposure does not count.

    Args:
        images: float32[N,S,S] in 0..255.

    Returns:
        float32[N,128,128,1].
    """
    shrinks = images.shape[1] is not None and images.shape[1] > SIDE
    small = tf.image.resize(images[..., None], [SIDE, SIDE], antialias=shrinks)
    mean, variance = tf.nn.moments(small, axes=[1, 2, 3], keepdims=True)
    return (small - mean) / (tf.sqrt(variance) + 1.0)


def logits(standard: tf.Tensor, weights: Weights) -> tf.Tensor:
    """The network itself.

    Args:
        standard: float32[N,128,128,1], of `standardised`.
        weights: by the names of `shapes`.

    Returns:
        float32[N,64,64,1], log-odds that a place is lung.
    """

    def layer(name: str, values: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(values, weights[f"{name}_kernel"], 1, "SAME") + weights[f"{name}_bias"]

    values = tf.nn.space_to_depth(standard, _BLOCK)
    skipped = []
    for level in range(len(_CHANNELS)):
        if level:
            skipped.append(values)
            values = tf.nn.max_pool2d(values, 2, 2, "VALID")
        values = tf.nn.relu(layer(f"down{level}a", values))
        values = tf.nn.relu(layer(f"down{level}b", values))
    for level in reversed(range(len(skipped))):
        larger = tf.image.resize(values, skipped[level].shape[1:3])
        values = tf.nn.relu(layer(f"up{level}", tf.concat([larger, skipped[level]], axis=-1)))
    return tf.nn.depth_to_space(layer("out", values), _OUT)


@cache
def trained_weights() -> dict[str, np.ndarray]:
    """The weights that come with the package, float32 by name; read once."""
    with np.load(WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files}
