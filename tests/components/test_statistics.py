"""The intervals against published and independently computed values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components import statistics


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_agrees_with_scipy(trials: int, share: float) -> None:
    successes = round(share * trials)
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    low, high = statistics.wilson(successes, trials)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=2e-5)


def test_forty_found_of_forty_just_reach_a_lower_bound_of_nine_tenths() -> None:
    assert statistics.wilson(40, 40)[0] > 0.90
    assert statistics.wilson(34, 34)[0] < 0.90


def test_nothing_tried_is_not_a_number() -> None:
    assert all(math.isnan(bound) for bound in statistics.wilson(0, 0))
    assert all(math.isnan(bound) for bound in statistics.newcombe(0.9, 0, 5))
    assert all(math.isnan(bound) for bound in statistics.newcombe(math.nan, 5, 5))


def test_the_interval_of_an_area_is_as_wide_as_hanley_and_mcneils() -> None:
    """Their table II: AUC 0.893, 51 abnormal and 58 normal images, standard error 0.032."""
    low, high = statistics.newcombe(0.893, 51, 58)
    assert low < 0.893 < high
    assert (high - low) / (2 * statistics.Z) == pytest.approx(0.032, abs=0.002)


def test_a_perfect_ranking_of_few_films_is_no_proof() -> None:
    few, high = statistics.newcombe(1.0, 10, 10)
    many, _ = statistics.newcombe(1.0, 1000, 1000)
    assert high == 1.0
    assert few < 0.9 < 0.99 < many < 1.0
    assert statistics.newcombe(0.0, 10, 10) == (0.0, pytest.approx(1 - few))


def test_mcnemar_s_test_is_exact() -> None:
    assert statistics.mcnemar(0, 0) == 1.0
    assert statistics.mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert statistics.mcnemar(0, 5) == statistics.mcnemar(5, 0)
    assert statistics.mcnemar(6, 6) == 1.0


@pytest.mark.parametrize("apart", [0.5, 1.5, 2.5])
def test_nineteen_of_twenty_intervals_hold_the_true_area(apart: float) -> None:
    """Of normally distributed scores, the classes' means `apart` deviations from each other."""
    rng, truth, trials = np.random.default_rng(0), stats.norm.cdf(apart / math.sqrt(2)), 1000
    sick, well = rng.normal(apart, 1, (trials, 25, 1)), rng.normal(0, 1, (trials, 1, 40))
    bounds = [statistics.newcombe(area, 25, 40) for area in (sick > well).mean(axis=(1, 2))]
    held = np.mean([low <= truth <= high for low, high in bounds])
    assert held == pytest.approx(0.95, abs=0.03)
