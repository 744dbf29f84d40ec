"""What lies outside the lungs is another film's; what lies in them stays."""

import numpy as np
import pytest
import tensorflow as tf

from components.augmenter import objects, outside
from components.augmenter.choice import Candidates
from components.augmenter.shards import Augmentation, Kind
from components.image.augment import image_seed
from components.image.settings import AugmentConfig, ImageConfig
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.datasets.synthetic.film import random_opacities, render

SIZE = 128


def drawn(seed: int, etiology: str = "normal") -> np.ndarray:
    draw = np.random.default_rng(seed)
    anatomy = random_anatomy(draw)
    pixels = render(anatomy, random_opacities(draw, anatomy, etiology), draw).pixels
    small = tf.image.resize((pixels >> 4)[..., None], [SIZE, SIZE], antialias=True)[..., 0]
    return np.round(small).astype(np.uint8)


@pytest.fixture(scope="module")
def films() -> outside.Films:
    found = outside.Films.of(np.stack([drawn(n, ("normal", "bacteria")[n % 2]) for n in range(8)]))
    assert found.found.all()
    return found


@pytest.fixture(scope="module")
def pngs(films: outside.Films) -> list[bytes]:
    return [tf.io.encode_png(image[..., None]).numpy() for image in films.images]


def test_within_the_lungs_nothing_changes_and_far_away_all_does(films: outside.Films) -> None:
    for one, other in ((0, 1), (3, 2), (6, 7)):
        image, lungs = films.images[one], films.lungs[one]
        swapped = outside.swap(image, lungs, films.images[other], films.lungs[other])
        both = lungs | films.lungs[other]
        np.testing.assert_array_equal(swapped[both], image[both])
        away = outside.beyond(both) > 0.999
        assert away.mean() > 0.2
        np.testing.assert_allclose(swapped[away], films.images[other][away], atol=1)


def test_the_same_seed_gives_the_same_film_whatever_comes_with_it(pngs: list[bytes]) -> None:
    augmentation = Augmentation(AugmentConfig(), ImageConfig(size=SIZE), seed=3)
    change = augmentation.changer(Kind(1, 1, look=False), pngs)
    seeds = [image_seed(3, str(number), 1) for number in range(len(pngs))]
    together = change(pngs, seeds)
    alone = np.concatenate([change([png], [seed]) for png, seed in zip(pngs, seeds, strict=True)])
    np.testing.assert_array_equal(together, alone)
    other = change(pngs, [image_seed(4, str(number), 1) for number in range(len(pngs))])
    assert (together != other).any(axis=(1, 2)).all()


def test_the_donor_is_drawn_without_a_look_at_the_film(pngs: list[bytes]) -> None:
    """So what lies outside tells nothing of the class, and neither do objects."""
    augmentation = Augmentation(AugmentConfig(), ImageConfig(size=SIZE), seed=3)
    change = augmentation.changer(Kind(0, 1, look=False), pngs)
    seeds = [image_seed(3, "any", 1)] * 2
    blank = [tf.io.encode_png(np.full((SIZE, SIZE, 1), 90, np.uint8)).numpy()] * 2
    one, other = change(blank, seeds)
    np.testing.assert_array_equal(one, other)
    assert (one != 90).any()


def test_a_further_film_leaves_most_changed_films_as_they_were(pngs: list[bytes]) -> None:
    """So a retraining finds their features in the cache."""
    augmentation = Augmentation(AugmentConfig(), ImageConfig(size=SIZE), seed=3)
    seeds = [image_seed(3, str(number), 1) for number in range(64)]
    before, after = (
        augmentation.changer(Kind(1, 0, look=False), donors)([pngs[0]] * 64, seeds)
        for donors in (pngs[1:], pngs)
    )
    same = (before == after).all(axis=(1, 2))
    assert 0.7 < same.mean() < 1  # of eight donors one is new


def test_every_candidate_is_picked_as_often() -> None:
    candidates = Candidates.of(np.arange(8, dtype=np.uint8)[:, None])
    draw = np.random.default_rng(0)
    counts = np.bincount([candidates.pick(draw) for _ in range(8000)], minlength=8)
    assert 850 < counts.min() <= counts.max() < 1150


def test_a_film_without_lungs_keeps_its_outside(pngs: list[bytes]) -> None:
    augmentation = Augmentation(AugmentConfig(), ImageConfig(size=SIZE), seed=3)
    blank = np.full((SIZE, SIZE, 1), 90, np.uint8)
    change = augmentation.changer(Kind(1, 0, look=False), pngs)
    (same,) = change([tf.io.encode_png(blank).numpy()], [image_seed(3, "any", 1)])
    np.testing.assert_array_equal(same, blank[..., 0])


def test_objects_leave_most_of_a_film_as_it_was(films: outside.Films) -> None:
    patches = Candidates.of(objects.corners(films.images))
    for seed in range(60):
        image = films.images[seed % len(films.images)]
        laid = objects.lay(image, patches, np.random.default_rng(seed))
        assert laid.shape == image.shape
        assert laid.dtype == np.uint8
        assert (laid != image).mean() < 0.4
    assert not np.shares_memory(laid, image)


def test_a_lead_letter_in_a_corner_is_found() -> None:
    image = np.full((1, 224, 224), 60, np.uint8)
    assert not len(objects.corners(image))
    image[0, 10:24, 12:20] = 255
    (patch,) = objects.corners(image)
    assert patch.max() == 255
