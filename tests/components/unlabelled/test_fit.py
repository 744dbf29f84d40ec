"""Shift and share of sick films told from logits alone, at simulated sites."""

import numpy as np
import pytest

from components.unlabelled.fit import FEWEST, UnlabelledError, fit


def logits(rng: np.random.Generator, healthy: int, sick: int) -> tuple[np.ndarray, np.ndarray]:
    """As a trained model gives them: the sick ones' have a long tail toward the healthy ones'."""
    return rng.normal(-3, 1.2, healthy), 4.5 - rng.gamma(2.0, 1.1, sick)


VAL = logits(np.random.default_rng(0), 300, 500)
CUT = float(np.quantile(VAL[1], 0.03))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("shift", [-1.5, 0.0, 2.5])
def test_shift_and_share_are_found_and_the_threshold_holds_again(share, shift):
    rng = np.random.default_rng([int(10 * share), int(10 * shift) + 100])
    healthy, sick = logits(rng, round(500 * (1 - share)), round(500 * share))
    found = fit(np.concatenate([healthy, sick]) + shift, *VAL)
    assert found.shift == pytest.approx(shift, abs=0.7)
    assert found.share == pytest.approx(share, abs=0.08)
    assert found.shift_interval[0] <= found.shift <= found.shift_interval[1]
    assert found.share_interval[0] <= found.share <= found.share_interval[1]
    moved = CUT + found.shift - shift  # on the site's films as they were before they moved
    assert np.mean(sick >= moved) == pytest.approx(np.mean(VAL[1] >= CUT), abs=0.06)
    assert np.mean(healthy < moved) == pytest.approx(np.mean(VAL[0] < CUT), abs=0.12)


def test_the_intervals_hold_what_they_promise():
    """In nine of ten simulated sites and more; 95 % are promised, val's own chance is extra."""
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = fit(np.concatenate(logits(rng, 150, 150)) + 1.0, *VAL)
        inside.append(found.shift_interval[0] <= 1.0 <= found.shift_interval[1])
        inside.append(found.share_interval[0] <= 0.5 <= found.share_interval[1])
    assert np.mean(inside) >= 0.85


def test_one_strange_film_decides_nothing():
    rng = np.random.default_rng(5)
    site = np.concatenate(logits(rng, 150, 150)) + 1.0
    assert fit(np.append(site, 40.0), *VAL).shift == pytest.approx(fit(site, *VAL).shift, abs=0.1)


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (np.zeros(FEWEST - 1), "too few"),
        (np.random.default_rng(1).uniform(-30, 30, 300), "no mixture|do not tell"),
        (np.zeros(200), "no mixture|do not tell"),
    ],
)
def test_films_that_tell_nothing_are_refused_in_one_line(site, said):
    with pytest.raises(UnlabelledError, match=said) as told:
        fit(site, *VAL)
    assert "\n" not in str(told.value)


def test_a_model_that_cannot_part_the_classes_is_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(UnlabelledError):
        fit(rng.normal(0, 1, 300), rng.normal(0, 1, 300), rng.normal(0.05, 1, 300))


def test_a_model_with_too_few_films_of_its_own_is_refused():
    with pytest.raises(UnlabelledError, match="fewer than 20"):
        fit(np.zeros(200), VAL[0][:5], VAL[1])
