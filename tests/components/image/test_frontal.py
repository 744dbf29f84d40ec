"""What passes as a frontal chest film and what does not."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.image.frontal import WEIGHTS, FrontalJudge, frontal
from components.image.lung_network import LungNetwork, lung_fields
from components.image.settings import ImageConfig
from pipeline.lungs import measure
from pipeline.lungs.others import hand, lateral
from tests.components.image.films import drawn

SPOILT = ("upside down", "turned by 180 degrees", "turned by 90 degrees", "inverted")


@tf.function(reduce_retracing=False)
def ask(images: tf.Tensor) -> tf.Tensor:
    return frontal(images, lung_fields(images))


def judged(images: np.ndarray) -> np.ndarray:
    return ask(tf.constant(images, tf.float32)).numpy()


def chests(size: int) -> np.ndarray:
    return np.stack([drawn(seed, size)[0] for seed in range(2000, 2004)])


@pytest.mark.parametrize("size", [64, 224])
def test_drawn_chests_are_frontal(size: int) -> None:
    assert judged(chests(size)).min() >= 0.5


@pytest.mark.parametrize("how", SPOILT)
def test_turned_and_inverted_chests_are_not(how: str) -> None:
    films = chests(128).astype(np.uint8)
    assert judged(np.ascontiguousarray(measure.spoilt(films)[how])).max() < 0.5


@pytest.mark.parametrize(("other", "least"), [(hand, 0.95), (lateral, 0.8)])
def test_other_x_rays_are_not(other, least: float) -> None:
    rng = np.random.default_rng(4000)
    pictures = np.stack([other(rng) for _ in range(24)])
    highest = pictures.max(axis=(1, 2), keepdims=True)
    assert (judged(255 * pictures / highest) < 0.5).mean() >= least


@pytest.mark.parametrize("grey", [0.0, 128.0, 255.0])
def test_an_even_picture_is_not(grey: float) -> None:
    assert judged(np.full((1, 96, 96), grey)).max() < 0.5


def test_noise_is_not() -> None:
    assert judged(np.random.default_rng(0).uniform(0, 255, (4, 224, 224))).max() < 0.5


def test_without_lungs_nothing_is_frontal() -> None:
    films = tf.constant(chests(64))
    assert frontal(films, tf.zeros_like(films)).numpy().max() < 0.5


def test_a_saved_judge_answers_alike(tmp_path: Path) -> None:
    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lungs, self.judge = LungNetwork(), FrontalJudge()

        @tf.function(input_signature=[tf.TensorSpec([None, 64, 64], tf.float32)])
        def ask(self, images: tf.Tensor) -> tf.Tensor:
            return self.judge(images, self.lungs(images))

    module = Served()
    tf.saved_model.save(module, str(tmp_path), {"ask": module.ask})
    films = tf.constant(chests(64))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.ask(films), frontal(films, lung_fields(films)), atol=1e-5)


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 2**19


@pytest.mark.xrays
@pytest.mark.parametrize("contrast", ["none", "harmonise"])
def test_adults_and_children_are_frontal_and_their_spoilt_films_are_not(
    xrays: Path, contrast: str
) -> None:
    kinds = measure.films(xrays).values()
    films = measure.prepare(
        [path for kind in kinds for path in kind[::8]], ImageConfig(contrast=contrast)
    )
    assert (judged(films) < 0.5).mean() <= 0.02
    for how in SPOILT:
        assert (judged(np.ascontiguousarray(measure.spoilt(films)[how])) < 0.5).mean() >= 0.95
