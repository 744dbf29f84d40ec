"""Corruptions grow with their strength, and what a model loses by them is told as it is."""

import io

import numpy as np
import pytest
from PIL import Image

from components.stress import corruptions
from components.stress.corruptions import CORRUPTIONS, STRENGTHS


def film(mean: int = 120, size: tuple[int, int] = (180, 240)) -> np.ndarray:
    generator = np.random.default_rng(mean)
    coarse = Image.fromarray(generator.integers(mean - 60, mean + 60, (120, 160), np.uint8))
    return np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC))


def brightness(images: list[bytes]) -> np.ndarray:
    """A model that calls bright films sick."""
    return np.array([np.asarray(Image.open(io.BytesIO(i))).mean() / 255 for i in images], "float32")


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_strength_changes_a_film_more_than_the_one_before(name):
    clean = film(size=(512, 640))
    changed = []
    for strength in range(STRENGTHS + 1):
        worse = corruptions.corrupt(clean, name, strength)
        assert worse.dtype == np.uint8
        back = np.asarray(Image.fromarray(worse).resize(clean.shape[::-1]), np.float32)
        changed.append(float(np.abs(back - clean).mean()))
    assert changed[0] == 0
    assert changed == sorted(changed)
    assert changed[1] > 0


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_film_is_corrupted_the_same_way_each_time(name):
    clean = film()
    assert np.array_equal(corruptions.corrupt(clean, name, 3), corruptions.corrupt(clean, name, 3))


def test_a_model_that_reads_brightness_loses_by_brightness_and_not_by_blur():
    films = [film(70)] * 5 + [film(170)] * 5
    labels = np.array([0] * 5 + [1] * 5)
    counted = []
    found = corruptions.measure(films, labels, brightness, 0.5, counted.append)
    rows = {(row.corruption, row.strength): row for row in found.rows}
    assert (found.clean.sensitivity, found.clean.specificity, found.clean.auc) == (1, 1, 1)
    assert rows["darker", 5].sensitivity == 0
    assert rows["brighter", 5].specificity == 0
    assert rows["blur", 5] == corruptions.CorruptionRow("blur", 5, 1.0, 1.0, 1.0)
    assert 0 < found.mean_drop < 0.5
    assert (found.healthy, found.sick) == (5, 5)
    assert sum(counted) == corruptions.asked(len(films))


def test_large_films_are_made_smaller_before_they_are_sent():
    sizes = set()

    def predict(images):
        sizes.update(Image.open(io.BytesIO(image)).size for image in images)
        return brightness(images)

    corruptions.measure([film(70), film(170, (1500, 2000))], np.array([0, 1]), predict, 0.5)
    assert max(min(size) for size in sizes) < 700


def test_one_class_alone_is_an_error():
    with pytest.raises(ValueError, match="lack a class"):
        corruptions.measure([film()], np.array([1]), brightness, 0.5)
