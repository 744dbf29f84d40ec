"""The threshold reaches the asked sensitivity at the best specificity; calibration keeps order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.model import operating_point
from components.model.operating_point import calibrate, choose, choose_threshold
from components.model.settings import OperatingPointConfig
from components.statistics import area_under_roc

SCORES = st.lists(
    st.tuples(st.floats(1e-6, 1 - 1e-6), st.integers(0, 1)), min_size=1, max_size=60
).filter(lambda pairs: any(label for _, label in pairs))


def rates(scores: np.ndarray, labels: np.ndarray, cut: np.float32) -> tuple[float, float]:
    """Specificity (1 without healthy films) and sensitivity."""
    healthy = scores[labels == 0]
    specificity = float((healthy < cut).mean()) if len(healthy) else 1.0
    return specificity, float((scores[labels == 1] >= cut).mean())


@given(SCORES, st.floats(0.05, 0.99))
def test_no_other_cut_that_reaches_the_sensitivity_is_better(
    pairs: list[tuple[float, int]], sensitivity: float
) -> None:
    scores = np.array([score for score, _ in pairs], np.float32)
    labels = np.array([label for _, label in pairs])
    threshold = np.float32(choose_threshold(scores, labels, sensitivity))
    assert 0 < threshold < 1
    reached = [rates(scores, labels, cut) for cut in scores]
    best = max(pair for pair in reached if pair[1] >= sensitivity - 1e-9)
    assert rates(scores, labels, threshold) == best


def test_what_can_be_found_for_nothing_is_found() -> None:
    scores = np.linspace(0.01, 0.99, 200).astype(np.float32)
    threshold = choose_threshold(scores, np.arange(200) // 100, 0.9)
    assert threshold == pytest.approx(0.5, abs=0.01)


def test_a_saturated_score_is_still_called() -> None:
    assert choose_threshold(np.array([0, 1], np.float32), np.array([0, 1]), 0.9) == 0.5
    assert 0 < choose_threshold(np.array([1, 1], np.float32), np.array([0, 1]), 0.9) < 1


def test_the_threshold_lies_midway_between_two_scores() -> None:
    scores = np.array([0.1, 0.3, 0.5, 0.9], np.float32)
    assert choose_threshold(scores, np.array([0, 0, 1, 1]), 0.97) == pytest.approx(0.4)
    assert choose_threshold(scores, np.array([1, 0, 0, 1]), 0.5) == pytest.approx(0.7)


def test_films_with_equal_scores_are_called_alike() -> None:
    scores = np.array([0.2, 0.5, 0.5, 0.5, 0.8], np.float32)
    threshold = choose_threshold(scores, np.array([0, 0, 1, 0, 1]), 0.9)
    assert 0.2 < threshold < 0.5


def test_with_few_pneumonias_all_of_them_are_found() -> None:
    scores = np.array([0.05, 0.2, 0.4, 0.6, 0.7], np.float32)
    assert choose_threshold(scores, np.array([0, 1, 1, 0, 1]), 0.9) < 0.2


def test_between_neighbouring_floats_the_upper_one_is_called() -> None:
    lower = np.float32(0.5)
    upper = np.nextafter(lower, np.float32(1))
    threshold = choose_threshold(np.array([lower, upper]), np.array([0, 1]), 0.9)
    assert lower < np.float32(threshold) <= upper


def looks(shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of 1000 films of either class, six apart and moved."""
    labels = np.arange(2000) // 1000
    logits = np.random.default_rng(0).normal(6 * labels - 3 + shift, 1)
    return logits.astype(np.float32), labels


def test_the_threshold_holds_both_rates_on_every_look() -> None:
    plain, labels = looks(0)
    config = OperatingPointConfig(specificity=0.97, calibration="none")
    moved = [looks(1), looks(2)]
    alone = choose(plain.reshape(-1, 1, 1), labels, config)
    point = choose(plain.reshape(-1, 1, 1), labels, config, looks=moved)
    assert point.threshold > alone.threshold
    for logits, _ in [(plain, labels), *moved]:
        specificity, sensitivity = rates(
            point.probability(logits), labels, np.float32(point.threshold)
        )
        assert specificity >= 0.97
        assert sensitivity >= 0.97


def test_where_both_rates_cannot_be_had_the_sensitivity_is() -> None:
    plain, labels = looks(0)
    far = looks(6)
    config = OperatingPointConfig(specificity=0.97, calibration="none")
    point = choose(plain.reshape(-1, 1, 1), labels, config, looks=[far])
    assert rates(point.probability(plain), labels, np.float32(point.threshold))[1] >= 0.97


def simulated(slope: float, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, 20_000).astype(np.float32)
    chance = 1 / (1 + np.exp(-(slope * logits + intercept)))
    return logits, (generator.random(len(logits)) < chance).astype(np.int64)


def test_platt_finds_slope_and_intercept_and_temperature_the_slope() -> None:
    found = calibrate(*simulated(0.4, -1.0), "platt")
    assert found == pytest.approx((0.4, -1.0), abs=0.05)
    assert calibrate(*simulated(0.4, 0.0), "temperature") == pytest.approx((0.4, 0.0), abs=0.02)
    assert calibrate(*simulated(0.4, 0.0), "none") == (1.0, 0.0)


@pytest.mark.parametrize("method", ["platt", "temperature"])
@pytest.mark.parametrize("logits", [[-30, -20, 20, 30], [9, 8, -8, -9], [5, 5, 5, 5]])
def test_calibration_stays_finite_and_keeps_the_order(method: str, logits: list[float]) -> None:
    """Separable, upside down, and all equal."""
    slope, intercept = calibrate(np.array(logits, np.float32), np.array([0, 0, 1, 1]), method)
    assert 0 < slope < 1e3
    assert math.isfinite(intercept)


def test_a_calibrated_probability_is_right_as_often_as_it_says() -> None:
    logits, labels = simulated(0.4, -1.0)
    slope, intercept = calibrate(logits, labels, "platt")
    point = operating_point.OperatingPoint(slope, intercept, 0.5, 1.0, 1.0, 1.0)
    probability = point.probability(logits)
    assert probability.dtype == np.float32
    for low in np.arange(0, 1, 0.1):
        inside = (probability >= low) & (probability < low + 0.1)
        assert labels[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.05)


def evidence(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Healthy films slightly below nought everywhere, sick ones with one hot place."""
    generator = np.random.default_rng(1)
    labels = np.arange(count) % 2
    maps = generator.normal(-1, 0.2, (count, 4, 4)).astype(np.float32)
    maps[labels == 1, 2, 1] += 40
    return maps, labels


def test_sick_films_glow_and_healthy_ones_stay_dark() -> None:
    maps, labels = evidence(200)
    point = choose(maps, labels, OperatingPointConfig())
    cut = math.log(point.threshold / (1 - point.threshold))
    heat = ((point.slope * maps + point.intercept - cut) / point.heat_scale).clip(0, 1)
    assert heat[labels == 0].max() < 0.05
    assert heat[labels == 1][:, 2, 1].min() > 0.8
    assert (point.sensitivity, point.specificity) == (1.0, 1.0)


def test_sensitivity_and_specificity_are_those_of_the_stored_threshold() -> None:
    logits, labels = simulated(0.8, 0.5)
    point = choose(logits.reshape(-1, 1, 1), labels, OperatingPointConfig(sensitivity=0.9))
    called = point.probability(logits) >= np.float32(point.threshold)
    assert point.sensitivity == called[labels == 1].mean() >= 0.9
    assert point.specificity == pytest.approx(1 - called[labels == 0].mean())
    assert point.sensitivity < 0.91


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match="the val split lacks a class"):
        choose(np.zeros((5, 2, 2), np.float32), np.full(5, label), OperatingPointConfig())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=2, max_size=30))
def test_the_area_under_roc_counts_pairs_in_the_right_order(pairs: list[tuple[int, int]]) -> None:
    sick = [score for score, label in pairs if label]
    healthy = [score for score, label in pairs if not label]
    if not sick or not healthy:
        return
    wins = sum((s > h) + (s == h) / 2 for s in sick for h in healthy)
    scores, labels = (np.array(column) for column in zip(*pairs, strict=True))
    assert area_under_roc(scores, labels) == pytest.approx(wins / len(sick) / len(healthy))
