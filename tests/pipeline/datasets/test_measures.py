import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from components.statistics import area_under_roc as auc
from pipeline.datasets.measures import PROPERTIES, compare, joint_auc, measure, verdict


def _film(size=(300, 200), mean=120, spread=40, seed=0):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.normal(mean, spread, (20, 30)).clip(0, 255).astype(np.uint8))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), float)
    grain = np.asarray(Image.fromarray(rng.normal(size=(150, 225))).resize(size))
    return Image.fromarray((smooth + 8 * grain).clip(0, 255).astype(np.uint8))


def _measured(image, file_size=1000):
    return dict(zip(PROPERTIES, measure(image, image.size, file_size), strict=True))


def test_size_and_compression_are_the_files():
    values = _measured(_film((300, 200)), file_size=15_000)
    assert (values["width"], values["height"], values["aspect"]) == (300, 200, 1.5)
    assert values["bytes_per_pixel"] == 0.25
    assert values["colour"] == 0
    assert _measured(_film().convert("RGB"))["colour"] == 1


def test_brightness_contrast_and_black_are_the_pixels():
    half = Image.new("L", (200, 200))
    half.paste(200, (0, 0, 100, 200))
    values = _measured(half)
    assert values["brightness"] == pytest.approx(100, abs=1)
    assert values["contrast"] == pytest.approx(100, abs=1)
    assert values["black"] == pytest.approx(0.5, abs=0.01)


def test_sharpness_falls_with_blur_but_not_with_contrast_or_size():
    film = _film((600, 400))
    sharp = _measured(film)["sharpness"]
    assert _measured(film.filter(ImageFilter.GaussianBlur(4)))["sharpness"] < 0.7 * sharp
    assert _measured(film.point(lambda v: v // 2))["sharpness"] == pytest.approx(sharp, rel=0.05)
    assert _measured(film.resize((1200, 800)))["sharpness"] == pytest.approx(sharp, rel=0.1)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 500), (5000, 2)])
def test_the_smallest_films_are_measured(size):
    values = measure(Image.new("L", size, 7), size, 10)
    assert all(math.isfinite(value) for value in values)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(
        lambda pairs: len({sick for _, sick in pairs}) == 2
    )
)
def test_the_auc_is_the_share_of_pairs_in_order(pairs):
    values = np.array([value for value, _ in pairs], float)
    sick = np.array([label for _, label in pairs])
    above = np.subtract.outer(values[sick], values[~sick])
    assert auc(values, sick) == pytest.approx((np.sign(above) + 1).mean() / 2)


@pytest.mark.parametrize(
    ("area", "films", "words"),
    [
        (0.5, 200, "alike"),
        (0.58, 200, "alike"),
        (0.65, 200, "differs"),
        (0.35, 200, "differs"),
        (0.8, 200, "shortcut"),
        (0.1, 200, "shortcut"),
        (0.65, 30, "alike"),  # such a difference is chance with so few
        (1.0, 5, "too few"),
        (math.nan, 200, "too few"),
    ],
)
def test_the_verdict_counts_the_films(area, films, words):
    assert verdict(area, films, films) == words


def test_a_comparison_tells_medians_direction_and_strength():
    values = np.array([1.0, 2, 3, 11, 12, 13])
    sick = np.array([False] * 3 + [True] * 3)
    found = compare(values, sick)
    assert found.medians == (2, 12)
    assert found.auc == 1
    assert found.cohen_d == pytest.approx(10 / math.sqrt(2 / 3))
    assert math.isnan(compare(np.ones(6), sick).cohen_d)
    assert compare(np.ones(6), sick).auc == 0.5


def test_one_class_alone_is_compared_with_nothing():
    assert compare(np.ones(4), np.ones(4, bool)).verdict == "only one class"


def test_properties_that_tell_little_alone_may_tell_much_together():
    rng = np.random.default_rng(0)
    sick = np.arange(400) % 2 == 1
    shared = rng.normal(size=400)
    values = np.stack([shared + 0.2 * sick, shared, np.full(400, 3.0)], axis=1)
    values[:, :2] += rng.normal(scale=0.05, size=(400, 2))
    assert auc(values[:, 0], sick) < 0.65
    assert joint_auc(values, sick) > 0.95


def test_properties_of_chance_tell_nothing_together():
    rng = np.random.default_rng(0)
    sick = rng.random(400) < 0.5
    assert 0.4 < joint_auc(rng.normal(size=(400, 9)), sick) < 0.6
    assert math.isnan(joint_auc(rng.normal(size=(30, 9)), np.arange(30) < 5))
