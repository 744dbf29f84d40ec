"""Whether a picture is a frontal chest film with two lungs to judge, in plain operations.

A small network, trained by `python -m pipeline.lungs`, looks at the film together with the lung
fields found on it; where no two plausible lungs were found, there is nothing to judge.
"""

from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.image.lung_network import Weights, lungs_found, read_weights, standardised

WEIGHTS = Path(__file__).with_name("frontal.npz")
_BLOCK = 4  # pixels that the first layer takes as channels
_CHANNELS = (24, 32, 48, 64)  # at a quarter of the side of `standardised`, an eighth, ...
_WITHOUT_LUNGS = 0.4  # times the network's answer: below a half, however sure it is


class FrontalJudge(tf.Module):
    """The judge with its weights in variables, for a module that is saved: see `LungNetwork`."""

    def __init__(self) -> None:
        super().__init__(name="frontal")
        self.weights = {
            name: tf.Variable(array, trainable=False, name=name)
            for name, array in trained_weights().items()
        }

    def __call__(self, images: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
        """As `frontal`."""
        return frontal(images, masks, self.weights)


def frontal(images: tf.Tensor, masks: tf.Tensor, weights: Weights | None = None) -> tf.Tensor:
    """How surely pictures are frontal chest films: upright, not inverted, with both lungs.

    Args:
        images: float32[N,S,S] in 0..255, S known when the graph is built, 64 and more.
        masks: float32[N,S,S] in [0,1], `lung_fields` of the same images.
        weights: by the names of `shapes`; the trained ones if not given.

    Returns:
        float32[N] in [0,1]; below 0.5: no frontal chest film.
    """
    judged = logits(images, masks, trained_weights() if weights is None else weights)
    return tf.sigmoid(judged) * tf.where(lungs_found(masks), 1.0, _WITHOUT_LUNGS)


def logits(images: tf.Tensor, masks: tf.Tensor, weights: Weights) -> tf.Tensor:
    """The network itself, without the rule on lungs.

    Args:
        images: as of `frontal`.
        masks: as of `frontal`.
        weights: by the names of `shapes`.

    Returns:
        Log-odds, float32[N].
    """
    films = standardised(images)
    fields = tf.image.resize(masks[..., None], films.shape[1:3])
    values = tf.nn.space_to_depth(tf.concat([films, fields - 0.5], axis=-1), _BLOCK)
    for level in range(len(_CHANNELS)):
        if level:
            values = tf.nn.max_pool2d(values, 2, 2, "VALID")
        kernel, bias = weights[f"conv{level}_kernel"], weights[f"conv{level}_bias"]
        values = tf.nn.relu(tf.nn.conv2d(values, kernel, 1, "SAME") + bias)
    # Where in the film something lies counts: an upside-down chest has the same parts.
    judged = tf.nn.conv2d(values, weights["out_kernel"], 1, "VALID") + weights["out_bias"]
    return tf.reshape(judged, [-1])


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights."""
    layers: dict[str, tuple[int, ...]] = {}
    depth = 2 * _BLOCK**2
    for level, channels in enumerate(_CHANNELS):
        layers[f"conv{level}_kernel"] = (3, 3, depth, channels)
        layers[f"conv{level}_bias"] = (channels,)
        depth = channels
    return {**layers, "out_kernel": (4, 4, depth, 1), "out_bias": (1,)}


@cache
def trained_weights() -> dict[str, np.ndarray]:
    """The weights that come with the package, float32 by name; read once."""
    return read_weights(WEIGHTS)
