"""A network whose evidence is averaged over the lungs: a frozen, cached trunk, and a trained top.

`build` makes the VGG-16, `joined` a network of any other layers.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
2015; the head after B. Zhou et al., "Learning Deep Features for Discriminative Localization", 2016.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import keras
import tensorflow as tf

from components.image.lung_network import lung_fields, trained_weights
from components.model.imagenet import ImagenetWeights
from components.model.settings import FILM, HEAD, KIND, ModelConfig
from components.model.vgg16 import LAYERS, channels

_MEANS_BGR: Final = (103.939, 116.779, 123.68)  # of ImageNet, as Keras's `caffe` preprocessing
# Beside a film's lungs: so little that none of the logit comes from there, and a film on which no
# lungs are found is still divided by something.
_ELSEWHERE: Final = 1e-4
_POOLED: Final = {"block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"}

Layers = Callable[[keras.KerasTensor], keras.KerasTensor]


@dataclass(frozen=True)
class Network:
    """The two halves of one network; calling `top` on `trunk`'s output is the whole.

    VGG-16's head reads block5_conv3, not block5_pool, as Zhou et al. do: its maps have twice the
    resolution (14x14 at 224 pixels), and the average over them needs no pooling first. The trunk's
    last channel is no feature but the share of lung in each place.

    Attributes:
        trunk: uint8[N,S,S,1], grey 0..255, to float32[N,h,w,C+1]; frozen.
        view: the same input to the trunk's output and the lung fields, float32[N,S,S] in [0,1].
        top: float32[N,h,w,C+1] to the logit of pneumonia, float32[N,1]; trained, dropout included.
        maps: float32[N,h,w,C+1] to the last feature maps float32[N,14,14,512] (at S=224, width 1).
        attention: float32[N,h,w,C+1] to what each place weighs, float32[N,14,14] of mean 1.
        evidence_from: what the average is taken over, `lungs` or `film`.
        kind: what it is, for the model card.
        trained: which layers are trained, for the model card.
    """

    trunk: keras.Model
    view: keras.Model
    top: keras.Model
    maps: keras.Model
    attention: keras.Model
    evidence_from: str
    kind: str
    trained: str

    def evidence(self, features: tf.Tensor) -> tf.Tensor:
        """Each place's contribution to the logit: the class-activation map, exact.

        A weighted average and a dense layer are both linear, so their order may be turned around;
        the plain mean over the places is the logit that `top` gives without dropout.

        Args:
            features: float32[N,h,w,C+1], the trunk's output.

        Returns:
            float32[N,14,14] in logits (at S=224), all but nothing where no lung is.
        """
        kernel, bias = self.top.get_layer(HEAD).weights
        maps = self.maps(features, training=False)
        local = tf.tensordot(maps, kernel.value, 1)[..., 0] + bias.value
        return self.attention(features) * local

    @property
    def variables(self) -> list[tf.Variable]:
        """All weights, trunk first, each once."""
        return [weight.value for weight in (*self.trunk.weights, *self.top.weights)]

    def take(self, weights: Sequence[tf.Variable], fault: str) -> None:
        """Sets all weights.

        Args:
            weights: another network's `variables`.
            fault: the message where that network is of other layers.

        Raises:
            ValueError: it is.
        """
        if [tuple(w.shape) for w in self.variables] != [tuple(w.shape) for w in weights]:
            raise ValueError(fault)
        for mine, other in zip(self.variables, weights, strict=True):
            mine.assign(other)


def build(size: int, config: ModelConfig, weights: ImagenetWeights, seed: int = 0) -> Network:
    """Builds the network and sets its convolutions to the given weights.

    Args:
        size: side of the input in pixels, a multiple of 32.
        config: width, first trainable layer, dropout, where the evidence comes from.
        weights: of the same width.
        seed: of dropout.
    """
    names = list(LAYERS)
    split = (*names, HEAD).index(config.first_trainable)
    network = joined(
        size,
        lambda grey: _convolutions(_normalised(grey), names[:split], config.width),
        lambda features: _convolutions(features, names[split:], config.width),
        config,
        seed,
        kind=KIND.format(config.evidence),
        trained=f"{config.first_trainable} and after",
    )
    for half, part in ((network.trunk, names[:split]), (network.top, names[split:])):
        for name in part:
            half.get_layer(name).set_weights(
                [weights.arrays[f"{name}/kernel"], weights.arrays[f"{name}/bias"]]
            )
    return network


def joined(
    size: int,
    early: Layers,
    late: Layers,
    config: ModelConfig,
    seed: int,
    *,
    kind: str,
    trained: str,
) -> Network:
    """Joins layers to a network: the frozen ones, the trained ones, and a head over the lungs.

    Args:
        size: side of the input in pixels, a multiple of 32.
        early: the trunk's layers, from uint8[N,S,S,1], grey 0..255, to float32[N,h,w,C]; what they
            give is cached, so they must do the same each time. h and w divide S.
        late: the top's, from the trunk's output to the last feature maps; their sides divide S.
        config: dropout before the head, and where the evidence comes from.
        seed: of dropout.
        kind, trained: for the model card.
    """
    grey = keras.Input((size, size, 1), dtype="uint8", name="grey")
    seen = early(grey)
    lungs = LungFields(name="lungs")(grey)
    trunk_output = keras.layers.Concatenate(name="with_lungs")(
        [seen, _shrunk(lungs, seen.shape[1], "lungs_of_places")]
    )
    trunk = keras.Model(grey, trunk_output, name="trunk")
    trunk.trainable = False

    features = keras.Input(trunk_output.shape[1:], name="features")
    last = late(features[..., :-1])
    attention = _attention(features[..., -1:], last.shape[1], config.evidence)
    pooled = keras.ops.mean(last * attention, axis=(1, 2))
    kept = keras.layers.Dropout(config.dropout, seed=seed, name="dropout")(pooled)
    # Zeros: training starts from "don't know", not from the chance answer of a random head.
    head = keras.layers.Dense(1, kernel_initializer="zeros", name=HEAD)
    return Network(
        trunk=trunk,
        view=keras.Model(grey, [trunk_output, lungs[..., 0]], name="view"),
        top=keras.Model(features, head(kept), name="top"),
        maps=keras.Model(features, last, name="maps"),
        attention=keras.Model(features, attention[..., 0], name="attention"),
        evidence_from=config.evidence,
        kind=kind,
        trained=trained,
    )


class LungFields(keras.layers.Layer):
    """uint8[N,S,S,1], grey, to lung fields float32[N,S,S,1] in [0,1], by `lung_fields`."""

    def build(self, _: tuple[int | None, ...]) -> None:
        """Keras calls it once; the weights are those that come with the package."""
        self._kernels = {
            name: self.add_weight(
                shape=array.shape,
                initializer=lambda shape, dtype, array=array: tf.constant(array, dtype),
                trainable=False,
                name=name,
            )
            for name, array in trained_weights().items()
        }

    def call(self, grey: tf.Tensor) -> tf.Tensor:
        """Keras calls it."""
        images = tf.cast(grey[..., 0], tf.float32)
        weights = {name: kernel.value for name, kernel in self._kernels.items()}
        return lung_fields(images, weights)[..., None]


def _shrunk(mask: keras.KerasTensor, side: int, name: str) -> keras.KerasTensor:
    """The share of lung in each of side x side places: float32[N,side,side,1]."""
    # Features are kept under the trunk's layers: a name of Keras's own choice has a running number.
    return keras.layers.AveragePooling2D(mask.shape[1] // side, name=name)(mask)


def _attention(mask: keras.KerasTensor, side: int, evidence: str) -> keras.KerasTensor:
    """What each place weighs in the average, float32[N,side,side,1] of mean 1."""
    share = _shrunk(mask, side, "lungs_of_map") + _ELSEWHERE
    if evidence == FILM:
        share = keras.ops.ones_like(share)
    return share / keras.ops.mean(share, axis=(1, 2), keepdims=True)


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
