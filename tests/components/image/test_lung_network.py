"""Where the lung network finds lungs, and what it says where there are none."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.image.lung_network import (
    WEIGHTS,
    LungNetwork,
    lung_fields,
    lungs_found,
    trained_weights,
)
from pipeline.config import ImageConfig
from pipeline.lungs import measure, teachers
from tests.components.image.films import drawn

find = tf.function(lung_fields)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("size", [64, 224])
def test_drawn_lungs_are_found_where_they_are(size: int) -> None:
    films, lungs = zip(*(drawn(seed, size) for seed in range(1000, 1004)), strict=True)
    masks = find(tf.constant(np.stack(films))).numpy()
    assert lungs_found(masks).numpy().all()
    assert all(dice(mask > 0.5, truth) > 0.9 for mask, truth in zip(masks, lungs, strict=True))


def test_exposure_does_not_move_the_mask() -> None:
    pixels, _ = drawn(1000, 128)
    bright, dim = find(tf.constant(np.stack([pixels, 0.5 * pixels + 60]))).numpy()
    assert np.abs(bright - dim).mean() < 0.02


@pytest.mark.parametrize("grey", [0.0, 128.0, 255.0])
def test_a_film_without_lungs_gets_none_rather_than_the_whole(grey: float) -> None:
    masks = find(tf.fill([1, 96, 96], grey))
    assert not lungs_found(masks).numpy().any()
    assert masks.numpy().mean() < 0.1


def test_one_lung_is_not_two() -> None:
    y, x = np.mgrid[:64, :64] / 64
    right, left = (((x - at) / 0.15) ** 2 + ((y - 0.5) / 0.3) ** 2 < 1 for at in (0.3, 0.7))
    masks = np.stack([right, left, right | left, right & ~right]).astype(np.float32)
    assert lungs_found(tf.constant(masks)).numpy().tolist() == [False, False, True, False]


def test_a_saved_module_holds_the_weights_once_and_answers_alike(tmp_path: Path) -> None:
    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lungs = LungNetwork()

        @tf.function(input_signature=[tf.TensorSpec([None, 64, 64], tf.float32)])
        def one(self, images: tf.Tensor) -> tf.Tensor:
            return self.lungs(images)

        @tf.function(input_signature=[tf.TensorSpec([None, 64, 64], tf.float32)])
        def other(self, images: tf.Tensor) -> tf.Tensor:
            return lungs_found(self.lungs(images))

    module = Served()
    tf.saved_model.save(module, str(tmp_path), {"one": module.one, "other": module.other})
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert size < 3 * 2**20
    images = tf.constant(drawn(1000, 64)[0][None])
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.one(images), lung_fields(images), atol=1e-5)


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 2 * 2**20


@pytest.mark.xrays
def test_held_back_outlines_are_met(xrays: Path) -> None:
    held = teachers.outlined(xrays / "lungs", judging=True)
    pairs = zip(teachers.masks(held.films, trained_weights()), held.lungs, strict=True)
    # The median: an outline in ten lies beside its lungs.
    assert np.median([dice(mask > 0.5, outline) for mask, outline in pairs]) > 0.92


@pytest.mark.xrays
@pytest.mark.parametrize("contrast", ["none", "harmonise"])
def test_two_lungs_are_found_on_sick_childrens_films(xrays: Path, contrast: str) -> None:
    folder = xrays / "kermany224" / "train" / "PNEUMONIA"
    films = [path for path in sorted(folder.iterdir()) if teachers.held_back(path)][::8]
    prepared = measure.prepare(films, ImageConfig(contrast=contrast))
    found, _ = measure.examine(prepared)
    assert found.mean() >= 0.98
