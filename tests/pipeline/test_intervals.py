"""The intervals against published and independently computed values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline import intervals


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_agrees_with_scipy(trials: int, share: float) -> None:
    successes = round(share * trials)
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    low, high = intervals.wilson(successes, trials)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=2e-5)


def test_forty_found_of_forty_just_reach_a_lower_bound_of_nine_tenths() -> None:
    assert intervals.wilson(40, 40)[0] > 0.90
    assert intervals.wilson(34, 34)[0] < 0.90


def test_nothing_tried_is_not_a_number() -> None:
    assert all(math.isnan(bound) for bound in intervals.wilson(0, 0))
    assert all(math.isnan(bound) for bound in intervals.hanley_mcneil(0.9, 0, 5))
    assert all(math.isnan(bound) for bound in intervals.hanley_mcneil(math.nan, 5, 5))


def test_hanley_mcneil_gives_the_papers_example() -> None:
    """Table II of the paper: AUC 0.893, 51 abnormal and 58 normal images, standard error 0.032."""
    low, high = intervals.hanley_mcneil(0.893, 51, 58)
    assert (high - low) / (2 * intervals.Z) == pytest.approx(0.032, abs=0.001)


def test_a_perfect_ranking_has_no_spread() -> None:
    assert intervals.hanley_mcneil(1.0, 50, 50) == (1.0, 1.0)
