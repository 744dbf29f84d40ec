"""The network is VGG-16, wherever it is divided, and its evidence adds up to its logit."""

import keras
import numpy as np
import pytest

from components.image import lung_network
from components.model import imagenet
from components.model import network as model
from components.model.settings import ModelConfig
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.datasets.synthetic.film import render

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


@pytest.fixture(scope="module")
def chests() -> np.ndarray:
    """Drawn films, uint8[4,128,128,1]."""
    films = []
    for seed in range(4):
        draw = np.random.default_rng(seed)
        pixels = render(random_anatomy(draw), [], draw).pixels >> 4
        films.append(keras.ops.image.resize(pixels[..., None], (128, 128), antialias=True))
    return np.round(np.stack(films)).astype(np.uint8)


def decided(evidence: str) -> model.Network:
    """A network at 128 pixels whose head is not zero."""
    config = ModelConfig(weights="random", width=0.125, evidence=evidence)
    network = model.build(128, config, THIN, seed=1)
    head = network.top.get_layer("head")
    head.set_weights([np.random.default_rng(5).normal(size=head.kernel.shape), np.ones(1)])
    return network


def test_the_evidence_lies_in_the_lungs_and_its_mean_is_the_logit(chests: np.ndarray) -> None:
    network = decided("lungs")
    seen, lungs = network.view(chests)
    evidence = network.evidence(seen).numpy()
    np.testing.assert_array_equal(seen, network.trunk(chests))
    np.testing.assert_allclose(
        evidence.mean(axis=(1, 2)), network.top(seen, training=False).numpy()[:, 0], rtol=1e-4
    )
    np.testing.assert_allclose(network.attention(seen).numpy().mean(axis=(1, 2)), 1, rtol=1e-5)
    shares = lungs.numpy().reshape(4, 8, 16, 8, 16).max(axis=(2, 4))
    beside = np.abs(evidence[shares < 0.01])
    assert len(beside) > 40
    assert beside.max() < 0.01 * np.abs(evidence).max()


def test_what_is_laid_beside_the_lungs_hardly_moves_the_logit(
    chests: np.ndarray,
) -> None:
    marked = chests.copy()
    marked[:, 4:20, 2:14] = 255
    shifts = {}
    for evidence in ("lungs", "film"):
        network = decided(evidence)
        before, after = (
            network.top(network.trunk(films), training=False).numpy() for films in (chests, marked)
        )
        shifts[evidence] = np.abs(after - before).mean()
    assert shifts["lungs"] < shifts["film"] / 3


def test_a_film_without_lungs_has_a_logit_all_the_same() -> None:
    network = decided("lungs")
    blank = np.zeros((1, 128, 128, 1), np.uint8)
    assert np.isfinite(network.top(network.trunk(blank), training=False)).all()


def test_each_weight_is_there_once() -> None:
    variables = thin().variables
    count = 28 + len(lung_network.shapes())
    assert len(variables) == len({id(variable) for variable in variables}) == count


def test_a_trunk_is_told_by_its_layers_whenever_it_is_built() -> None:
    """Else a training that goes on would not find its features."""
    assert thin().trunk.to_json() == thin().trunk.to_json()


def test_an_unknown_layer_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'block6_conv1' is no layer; .*block5_conv3 or head"):
        thin("block6_conv1")
