"""VGG-16 with a class-activation head: a frozen trunk whose outputs are cached, a trained top.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
2015; the head after B. Zhou et al., "Learning Deep Features for Discriminative Localization", 2016.
"""

from dataclasses import dataclass
from typing import Final

import keras
import tensorflow as tf

from components.model.imagenet import Weights
from components.model.settings import HEAD, ModelConfig
from components.model.vgg16 import LAYERS, channels

_MEANS_BGR: Final = (103.939, 116.779, 123.68)  # of ImageNet, as Keras's `caffe` preprocessing
_POOLED: Final = {"block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"}


@dataclass(frozen=True)
class Network:
    """The two halves of one network; calling `top` on `trunk`'s output is the whole.

    The head reads block5_conv3, not block5_pool, as Zhou et al. do: its maps have twice the
    resolution (14x14 at 224 pixels), and the average over them needs no pooling first.

    Attributes:
        trunk: uint8[N,S,S,1], grey 0..255, to float32[N,h,w,C]; frozen.
        top: float32[N,h,w,C] to the logit of pneumonia, float32[N,1]; trained, dropout included.
        maps: float32[N,h,w,C] to the last feature maps float32[N,14,14,512] (at S=224, width 1).
    """

    trunk: keras.Model
    top: keras.Model
    maps: keras.Model

    def evidence(self, features: tf.Tensor) -> tf.Tensor:
        """Each place's contribution to the logit: the class-activation map, exact.

        Global average pooling and a dense layer are both linear, so their order may be turned
        around; the mean over the places is the logit that `top` gives without dropout.

        Args:
            features: float32[N,h,w,C], the trunk's output.

        Returns:
            float32[N,14,14] in logits (at S=224).
        """
        kernel, bias = self.top.get_layer(HEAD).weights
        maps = self.maps(features, training=False)
        return tf.tensordot(maps, kernel.value, 1)[..., 0] + bias.value

    @property
    def variables(self) -> list[tf.Variable]:
        """All weights, trunk first, each once."""
        return [weight.value for weight in (*self.trunk.weights, *self.top.weights)]


def build(size: int, config: ModelConfig, weights: Weights, seed: int = 0) -> Network:
    """Builds the network and sets its convolutions to the given weights.

    Args:
        size: side of the input in pixels, a multiple of 32.
        config: width, first trainable layer, dropout.
        weights: of the same width.
        seed: of dropout.
    """
    names = list(LAYERS)
    split = (*names, HEAD).index(config.first_trainable)
    grey = keras.Input((size, size, 1), dtype="uint8", name="grey")
    trunk_output = _convolutions(_normalised(grey), names[:split], config.width)
    trunk = keras.Model(grey, trunk_output, name="trunk")
    trunk.trainable = False

    features = keras.Input(trunk_output.shape[1:], name="features")
    last = _convolutions(features, names[split:], config.width)
    pooled = keras.layers.GlobalAveragePooling2D(name="average")(last)
    kept = keras.layers.Dropout(config.dropout, seed=seed, name="dropout")(pooled)
    # Zeros: training starts from "don't know", not from the chance answer of a random head.
    head = keras.layers.Dense(1, kernel_initializer="zeros", name=HEAD)
    network = Network(
        trunk=trunk,
        top=keras.Model(features, head(kept), name="top"),
        maps=keras.Model(features, last, name="maps"),
    )
    for half, part in ((trunk, names[:split]), (network.top, names[split:])):
        for name in part:
            half.get_layer(name).set_weights(
                [weights.arrays[f"{name}/kernel"], weights.arrays[f"{name}/bias"]]
            )
    return network


def _normalised(grey: keras.KerasTensor) -> keras.KerasTensor:
    """Grey to three channels, ImageNet's means subtracted."""
    colour = keras.layers.Concatenate(name="colour")([grey, grey, grey])
    return keras.layers.Normalization(mean=_MEANS_BGR, variance=(1, 1, 1), name="caffe")(colour)


def _convolutions(tensor: keras.KerasTensor, names: list[str], width: float) -> keras.KerasTensor:
    """A run of VGG-16's layers; each block but the last ends in a pooling layer."""
    for name in names:
        tensor = keras.layers.Conv2D(
            channels(width)[name], 3, padding="same", activation="relu", name=name
        )(tensor)
        if name in _POOLED:
            tensor = keras.layers.MaxPooling2D(name=name.split("_")[0] + "_pool")(tensor)
    return tensor
