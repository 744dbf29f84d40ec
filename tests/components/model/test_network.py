"""The network is VGG-16, wherever it is divided, and its evidence adds up to its logit."""

import keras
import numpy as np
import pytest

from components.image import lung_network
from components.model import imagenet
from components.model import network as model
from components.model.settings import ModelConfig

SIZE = 64
THIN = imagenet.load("random", width=0.125, seed=3)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 1), dtype=np.uint8)


def thin(first_trainable: str = "block5_conv1") -> model.Network:
    config = ModelConfig(weights="random", first_trainable=first_trainable, width=0.125)
    return model.build(SIZE, config, THIN, seed=1)


def logits(network: model.Network) -> np.ndarray:
    return network.top(network.trunk(IMAGES), training=False).numpy()[:, 0]


def test_the_maps_are_those_of_kerass_vgg16_after_its_own_preprocessing() -> None:
    full = imagenet.load("random", seed=5)
    network = model.build(SIZE, ModelConfig(), full)
    theirs = keras.applications.VGG16(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    for name in imagenet.LAYERS:
        theirs.get_layer(name).set_weights(
            [full.arrays[f"{name}/kernel"], full.arrays[f"{name}/bias"]]
        )
    colour = IMAGES.repeat(3, axis=-1).astype(np.float32)
    last = keras.Model(theirs.input, theirs.get_layer("block5_conv3").output)
    expected = last(keras.applications.vgg16.preprocess_input(colour))
    found = network.maps(network.trunk(IMAGES))
    assert found.shape == (3, 4, 4, 512)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("layer", ["block1_conv1", "block4_conv2", "block5_conv3", "head"])
def test_where_the_network_is_divided_changes_nothing_but_what_is_trained(layer: str) -> None:
    network = thin(layer)
    np.testing.assert_allclose(logits(network), logits(thin()), rtol=1e-4)
    names = [*imagenet.LAYERS, "head"]
    trained = {weight.path.split("/")[0] for weight in network.top.trainable_weights}
    assert trained == set(names[names.index(layer) :])
    assert not network.trunk.trainable_weights


def test_the_mean_evidence_is_the_logit() -> None:
    network = thin()
    evidence = network.evidence(network.trunk(IMAGES)).numpy()
    assert evidence.shape == (3, 4, 4)
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)), logits(network), rtol=1e-4)


def test_each_weight_is_there_once() -> None:
    variables = thin().variables
    count = 28 + len(lung_network.shapes())
    assert len(variables) == len({id(variable) for variable in variables}) == count


def test_an_unknown_layer_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'block6_conv1' is no layer; .*block5_conv3 or head"):
        thin("block6_conv1")
