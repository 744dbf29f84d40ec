"""Changes of films: what they leave as it is, what they put in its place, and that they repeat."""

import numpy as np
import pytest

from components.counterfactuals import changes, letters, looks
from components.counterfactuals.blending import LungFilm, filled, widened

SIDE = 120
Y, X = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
LUNGS = sum(((X - x) / 0.1) ** 2 + ((Y - 0.5) / 0.2) ** 2 < 1 for x in (0.35, 0.65))
INSIDE = widened(LUNGS.astype(np.float32))


def film(label: int, seed: int = 0, height: int = 150) -> LungFilm:
    """Noise, dark in a healthy film's lungs, with a letter at the upper left."""
    rng = np.random.default_rng([label, seed])
    pixels = rng.normal(120, 5, (height, SIDE))
    rows = (np.arange(height) * SIDE) // height
    pixels[LUNGS[rows] > 0] += 60 if label else -60
    pixels[12:26, 8:12] = pixels[12:15, 8:18] = 240
    return LungFilm(pixels.round().astype(np.uint8), INSIDE, label)


def test_the_outside_is_another_films_and_the_lungs_stay_to_the_last_pixel():
    one, other = film(0), film(1, height=130)
    swapped = changes.outside_of(one, other)
    inside = one.mask == 1
    assert np.array_equal(swapped[inside], one.pixels[inside])
    far = np.s_[130:, :]
    assert not np.array_equal(swapped[far], one.pixels[far])
    assert inside[(LUNGS > 0)[(np.arange(150) * SIDE) // 150]].all(), "the whole lungs are inside"


def test_lungs_put_in_are_the_donors_and_the_rest_stays():
    healthy, sick = film(0), film(1, seed=3)
    put_in = changes.lungs_of(healthy, sick)
    outside = healthy.mask == 0
    assert np.array_equal(put_in[outside & (sick.mask == 0)], healthy.pixels[outside])
    lungs = healthy.mask == 1
    assert put_in[lungs].mean() == pytest.approx(sick.pixels[lungs].mean(), abs=3)


def test_wiped_lungs_are_smooth_and_look_like_what_lies_around():
    for label in (0, 1):
        one = film(label)
        wiped = filled(one.pixels, one.mask)
        assert np.array_equal(wiped[one.mask == 0], one.pixels[one.mask == 0])
        inside = wiped[one.mask == 1]
        assert inside.mean() == pytest.approx(120, abs=12)
        assert inside.std() < 8


@pytest.mark.parametrize("seed", range(5))
def test_a_letter_is_laid_outside_the_lungs_and_only_brightens(seed):
    one = film(0)
    rng = np.random.default_rng(seed)
    laid = letters.laid(one, letters.drawn(rng, SIDE), rng)
    differs = laid != one.pixels
    assert differs.sum() > 10
    assert not differs[one.mask > 0].any()
    assert (laid >= one.pixels).all()


def test_a_letter_is_found_cut_out_and_taken_away():
    one = film(0)
    letter, place = letters.found(one)
    assert place[12:26, 8:12].min() > 0.5
    assert letter.pixels.max() == 240
    gone = letters.taken_away(one, place)
    assert gone[12:26, 8:18].max() < 160
    assert np.array_equal(gone[:, SIDE // 2 :], one.pixels[:, SIDE // 2 :])
    bare = LungFilm(gone, one.inside, 0)
    assert letters.found(bare) is None


def test_a_letter_of_another_film_goes_where_it_was_there():
    letter, _ = letters.found(film(0))
    bare = LungFilm(np.full((150, SIDE), 100, np.uint8), INSIDE, 1)
    rows, columns = np.nonzero(letters.laid(bare, letter, np.random.default_rng(0)) > 150)
    assert (rows.min(), columns.min()) == pytest.approx((12, 8), abs=1)
    assert (rows.max(), columns.max()) == pytest.approx((25, 17), abs=1)


def test_a_film_without_room_is_given_no_letter():
    full = LungFilm(film(0).pixels, np.ones_like(INSIDE), 0)
    rng = np.random.default_rng(0)
    assert letters.laid(full, letters.drawn(rng, SIDE), rng) is None


@pytest.mark.parametrize("label", [0, 1])
def test_a_swapped_look_keeps_the_size_and_the_lungs_brightness(label):
    one = film(label)
    swapped = looks.swap(one.pixels, label)
    assert swapped.shape == one.pixels.shape
    core = np.s_[60:90, 38:46]
    assert swapped[core].mean() == pytest.approx(one.pixels[core].mean(), abs=15)


def test_every_change_repeats_and_says_what_it_speaks_for():
    films = [film(label, seed) for seed in range(2) for label in (0, 1)]
    first, again = (list(changes.of_films(films, seed=5)) for _ in range(2))
    assert len(first) == len(again)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert (one.change, one.donor, one.toward) == (other.change, other.donor, other.toward)
    assert {one.kind for one in first} == {"letters", "outside", "looks", "wiped", "lungs"}
    for one in first:
        if one.kind in ("outside", "lungs"):
            assert one.toward == films[one.donor].label
    other_seed = list(changes.of_films(films, seed=6))
    assert any(
        not np.array_equal(one.pixels, other.pixels)
        for one, other in zip(first, other_seed, strict=False)
    )


def test_one_class_alone_has_no_other_to_take_from():
    kinds = {one.change for one in changes.of_films([film(0), film(0, 1)], seed=0)}
    assert "outside of a film of the same class" in kinds
    assert not [kind for kind in kinds if "other class" in kind and "look" not in kind]
