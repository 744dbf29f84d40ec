"""Where lungs are found, and what happens where they are not."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.image import prepare
from components.image.settings import ImageConfig
from pipeline.lungs.by_hand import lung_mask

SIZE = 128
Y, X = np.mgrid[:SIZE, :SIZE] / SIZE


def ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    return ((X - x) / width) ** 2 + ((Y - y) / height) ** 2 < 1


RIGHT, LEFT = ellipse(0.3, 0.42, 0.11, 0.27), ellipse(0.7, 0.42, 0.11, 0.27)
BODY = ellipse(0.5, 0.55, 0.46, 0.65)


def film(*lungs: np.ndarray) -> np.ndarray:
    """A bright body with a brighter spine on black ground, and dark lungs."""
    body = np.where(BODY, 150.0, 5.0) + 40 * (np.abs(X - 0.5) < 0.05)
    for lung in lungs:
        body[lung] = 60
    return body.astype(np.float32)


find = tf.function(lung_mask)


def mask(image: np.ndarray) -> np.ndarray:
    return find(tf.constant(image)).numpy()


def test_two_lungs_are_kept_and_the_rest_is_darkened() -> None:
    found = mask(film(RIGHT, LEFT))
    assert found[RIGHT | LEFT].mean() > 0.97
    assert found[~ellipse(0.5, 0.45, 0.45, 0.45)].max() < 0.05
    assert ((found > 0.1) & (found < 0.9)).mean() > 0.02  # the border is soft


def test_a_whitened_lung_part_stays_inside_the_mask() -> None:
    opacity = ellipse(0.7, 0.55, 0.12, 0.16)
    image = film(RIGHT, LEFT & ~opacity)
    assert mask(image)[opacity & LEFT].mean() > 0.9


@pytest.mark.parametrize(
    "image",
    [
        np.where(BODY, 150, 5).astype(np.float32),
        film(RIGHT),
        np.zeros((SIZE, SIZE), np.float32),
        np.full((SIZE, SIZE), 255, np.float32),
    ],
    ids=["body alone", "one lung", "black", "white"],
)
def test_without_two_lungs_the_whole_image_stays(image: np.ndarray) -> None:
    np.testing.assert_array_equal(mask(image), np.ones((SIZE, SIZE)))


def test_exposure_does_not_move_the_mask() -> None:
    image = film(RIGHT, LEFT)
    assert np.abs(mask(image) - mask(0.6 * image + 40)).mean() < 0.01


@pytest.mark.xrays
def test_lungs_are_found_on_nearly_all_real_films(xrays: Path) -> None:
    films = sorted((xrays / "kermany320").rglob("*.jpeg"))[::60]
    assert films
    masks = [
        mask(prepare.prepare(tf.io.read_file(str(film)), ImageConfig()).numpy().astype(np.float32))
        for film in films
    ]
    found = [each for each in masks if each.min() < 1]
    assert len(found) >= 0.9 * len(films)
    assert all(0.1 < each.mean() < 0.75 for each in found)
