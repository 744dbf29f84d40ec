"""Films like the reference raise no alarm; others do, within a hundred."""

from dataclasses import replace

import numpy as np
import pytest

from components.monitoring import drift, sample, two_sample
from tests.components.monitoring.samples import draw

REFERENCE, _ = draw(300, 1)
_SCORES = "logit, share called sick"


def windows(*parts):
    return drift.judge(REFERENCE, [(str(place), part) for place, part in enumerate(parts)])


def test_films_like_the_reference_raise_hardly_any_alarm() -> None:
    parts = [draw(60, 100 + seed)[0] for seed in range(20)]
    alone = [drift.judge(REFERENCE, [("a", part)])[0].drifted for part in parts]
    assert (
        sum(alone) <= 3
    )  # one in twenty is expected; more than three would come once in sixty times
    assert sum(window.drifted for window in windows(*parts)) <= 1


@pytest.mark.parametrize(
    ("changed", "measures"),
    [({"look": 0.3}, "features"), ({"sick": 1.0}, _SCORES), ({"sick": 0.05}, _SCORES)],
)
def test_a_hundred_other_films_are_found(changed: dict[str, float], measures: str) -> None:
    alike, other, _ = windows(draw(100, 7)[0], draw(100, 8, **changed)[0], draw(100, 9)[0])
    assert not alike.drifted
    assert other.drifted
    assert other.why.measure in measures


def test_a_window_of_few_films_is_told_nothing_of() -> None:
    (few,) = windows(draw(19, 3, look=5)[0])
    assert not few.drifted
    assert not few.comparisons


def test_a_model_that_tells_no_features_is_compared_by_the_rest() -> None:
    def bare(part):
        nothing = np.full(len(part), np.nan)
        return replace(part, features=part.features[:, :0], familiarity=nothing)

    (found,) = drift.judge(bare(REFERENCE), [("a", bare(draw(100, 4)[0]))])
    assert {one.measure for one in found.comparisons} == {"logit", "share called sick", "quality"}


def test_equal_features_are_no_difference() -> None:
    same = np.ones((30, 8), np.float32)
    assert two_sample.p_value(same, same) > 0.9


def test_p_values_of_one_distribution_are_uniform() -> None:
    random = np.random.default_rng(0)
    found = [
        two_sample.p_value(random.normal(size=(40, 8)), random.normal(size=(30, 8)))
        for _ in range(30)
    ]
    assert 0.3 < np.mean(found) < 0.7
    assert np.mean(np.array(found) < 0.1) < 0.3


def test_a_film_counts_once_and_days_and_weeks_are_utc() -> None:
    part, _ = draw(48, 5)
    assert [len(window) for _, window in sample.windows(part, 20)] == [20, 20, 8]
    days = list(sample.windows(part, sample.DAY))
    assert [name for name, _ in days] == ["2023-11-14", "2023-11-15", "2023-11-16"]
    assert [name for name, _ in sample.windows(part, sample.WEEK)] == ["week of 2023-11-13"]
    assert sum(len(window) for _, window in days) == 48
