"""Augmented images: deterministic, independent of one another, never mirrored."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from components.image.augment import augment, image_seed
from components.image.settings import AugmentConfig, ImageConfig
from components.settings import plain

SIZE = 48
OTHERS = {"balance", "originals", "versions", "outside", "objects", "val_looks"}
STRENGTHS = sorted(set(plain(AugmentConfig())) - OTHERS)
NOTHING = dict.fromkeys(STRENGTHS, 0.0)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)
SEEDS = [image_seed(1, f"image {number}", 1) for number in range(5)]


@functools.cache
def compiled(config: AugmentConfig) -> tf.types.experimental.GenericFunction:
    return tf.function(
        functools.partial(augment, config=config, prepared=ImageConfig()), reduce_retracing=True
    )


def augmented(
    images: np.ndarray, seeds: list[tuple[int, int]], config: AugmentConfig | None = None
) -> np.ndarray:
    function = compiled(config or AugmentConfig())
    return function(tf.constant(images), tf.constant(seeds, tf.int32)).numpy()


def blob(row: int, column: int) -> np.ndarray:
    image = np.full((SIZE, SIZE), 100, np.uint8)
    image[row - 3 : row + 4, column - 3 : column + 4] = 250
    return image


def test_a_seed_says_all() -> None:
    together = augmented(IMAGES, SEEDS)
    np.testing.assert_array_equal(augmented(IMAGES, SEEDS), together)
    np.testing.assert_array_equal(augmented(IMAGES[::-1], SEEDS[::-1])[::-1], together)
    for number in range(5):
        alone = augmented(IMAGES[number : number + 1], SEEDS[number : number + 1])[0]
        np.testing.assert_array_equal(alone, together[number])


def test_seeds_differ_by_run_image_and_copy() -> None:
    seeds = {image_seed(run, key, copy) for run in (1, 2) for key in "ab" for copy in range(50)}
    assert len(seeds) == 200
    assert image_seed(1, "a", 1) == image_seed(1, "a", 1)
    copies = augmented(np.stack([IMAGES[0]] * 2), [image_seed(1, "a", copy) for copy in (1, 2)])
    assert np.abs(copies[0].astype(int) - copies[1]).mean() > 5


def test_without_any_strength_the_images_stay_as_they_are() -> None:
    np.testing.assert_array_equal(augmented(IMAGES, SEEDS, AugmentConfig(**NOTHING)), IMAGES)


def test_a_changed_film_is_normalised_as_one_that_was_taken_so() -> None:
    config = AugmentConfig(**{**NOTHING, "brightness": 0.2, "contrast": 0.4})
    images = np.random.default_rng(4).normal(128, 30, (20, SIZE, SIZE)).astype(np.uint8)
    seeds = [image_seed(6, "film", copy) for copy in range(20)]
    prepared = ImageConfig(contrast="harmonise")
    changed = augment(tf.constant(images), tf.constant(seeds), config, prepared).numpy()
    edge = round(0.15 * SIZE)  # what is harmonised is measured on the centre
    centre = changed[:, edge:-edge, edge:-edge]
    np.testing.assert_allclose(centre.mean(axis=(1, 2)), 128, atol=4)
    np.testing.assert_allclose(centre.std(axis=(1, 2)), 255 / 12**0.5, atol=4)


@pytest.mark.parametrize("strength", [name for name in STRENGTHS if name != "grain"])
def test_each_strength_alone_changes_the_image(strength: str) -> None:
    default = getattr(AugmentConfig(), strength)
    config = AugmentConfig(**NOTHING | {strength: default})
    images = np.stack([blob(10, 30)] * 40)
    changed = augmented(images, [image_seed(1, strength, copy) for copy in range(40)], config)
    share = np.any(changed != images, axis=(1, 2)).mean()
    # A film is blurred or sharpened, so either happens to half of them.
    assert share > (0.3 if strength in ("blur", "sharpen") else 0.9)
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8


def test_left_stays_left_and_top_stays_top() -> None:
    images = np.stack([blob(12, 12)] * 40)
    for image in augmented(images, [image_seed(2, "side", copy) for copy in range(40)]):
        rows, columns = np.nonzero(image > image.min() + 0.75 * np.ptp(image.astype(int)))
        assert rows.mean() < SIZE / 2
        assert columns.mean() < SIZE / 2


def test_no_black_corner_tells_that_an_image_was_moved() -> None:
    photometric = dict.fromkeys(("gamma", "brightness", "contrast", "noise"), 0.0)
    images = np.full((20, SIZE, SIZE), 180, np.uint8)
    seeds = [image_seed(3, "corner", copy) for copy in range(20)]
    assert augmented(images, seeds, AugmentConfig(**photometric)).min() >= 179


def test_changes_stay_within_their_strength() -> None:
    config = AugmentConfig(**NOTHING | {"brightness": 0.1})
    images = np.full((50, SIZE, SIZE), 100, np.uint8)
    seeds = [image_seed(4, "bright", copy) for copy in range(50)]
    means = augmented(images, seeds, config).mean(axis=(1, 2)) - 100
    assert np.abs(means).max() <= 26
    assert means.min() < -15
    assert means.max() > 15


def test_noise_comes_in_grains_of_unchanged_strength() -> None:
    images = np.full((40, SIZE, SIZE), 128, np.uint8)
    seeds = [image_seed(5, "noise", copy) for copy in range(40)]
    likeness, deviation = {}, {}
    for grain in (0.0, 0.8):
        config = AugmentConfig(**NOTHING | {"noise": 0.1, "grain": grain})
        noise = augmented(images, seeds, config).astype(float) - 128
        likeness[grain] = (noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean()
        deviation[grain] = noise.std()
    assert likeness[0.0] < 0.1
    assert likeness[0.8] > 0.4
    assert deviation[0.8] == pytest.approx(deviation[0.0], rel=0.1)


def test_the_extreme_strengths_do_not_break() -> None:
    wild = AugmentConfig(
        **dict.fromkeys(STRENGTHS, 1.0) | {"rotation_degrees": 180.0, "grain": 0.9}
    )
    assert augmented(IMAGES, SEEDS, wild).shape == IMAGES.shape
