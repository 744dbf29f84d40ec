"""A trainer of another team's: a small network, trained whole, and a brighter film.

    PYTHONPATH=. pneumonia run --data FOLDER --config examples/small_network.yaml

The contract is in docs/own-trainer.md. Everything but the layers is the project's own: the cache,
the epochs, the threshold, the signatures and the heat map.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from components import names, transform
from components.model.imagenet import ImagenetWeights
from components.model.network import Network, joined
from components.trainer.run import Settings, train

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs


def run_fn(fn_args: "FnArgs") -> None:
    """Trains and exports the network; TFX's Trainer calls it."""
    train(fn_args, small_network)


def small_network(settings: Settings) -> tuple[Network, ImagenetWeights]:
    """Blocks of two convolutions, `options.channels` wide, on films of half the side."""
    widths = settings.options.get("channels", (16, 32, 64, 64))
    network = joined(
        settings.image.size,
        halved,
        lambda features: blocks(features, widths, settings.seed),
        settings.model,
        settings.seed,
        kind=f"{2 * len(widths)} convolutions, average over the lungs, one logit",
        trained="all",
    )
    start = {weight.path: weight.numpy() for weight in network.top.weights}
    return network, ImagenetWeights(start, "random")


def halved(grey: keras.KerasTensor) -> keras.KerasTensor:
    """The film as the trained layers take it: half the side, about -1 to 1."""
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaled")(grey)
    return keras.layers.AveragePooling2D(2, name="halved")(scaled)


def blocks(features: keras.KerasTensor, widths: Sequence[int], seed: int) -> keras.KerasTensor:
    """The last feature maps; their side is a sixteenth of the film's with four blocks."""
    for number, width in enumerate(widths):
        if number:
            features = keras.layers.MaxPooling2D(name=f"pool{number}")(features)
        for half in (1, 2):
            features = keras.layers.Conv2D(
                width,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(seed + 2 * number + half),
                name=f"conv{number + 1}_{half}",
            )(features)
    return features


def preprocessing_fn(
    inputs: Mapping[str, tf.Tensor], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """As the project's, and then every grey to the power of `options.gamma`; Transform calls it."""
    outputs = transform.preprocessing_fn(inputs, custom_config)
    gamma = custom_config["options"].get("gamma", 1.0)

    def brightened(png: tf.Tensor) -> tf.Tensor:
        grey = tf.cast(tf.io.decode_png(png, channels=1), tf.float32) / 255
        return tf.io.encode_png(tf.cast(tf.round(255 * grey**gamma), tf.uint8))

    outputs[names.IMAGE_PNG] = tf.map_fn(brightened, outputs[names.IMAGE_PNG])
    return outputs
