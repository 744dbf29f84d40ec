"""Calibration, decision threshold and heat-map scale, all fixed on the validation split."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from components.model.settings import OperatingPointConfig

_FULL_HEAT = 90  # percentile of the hottest places of the films with pneumonia


@dataclass(frozen=True)
class OperatingPoint:
    """What turns a logit into a probability, a decision and a heat map.

    Attributes:
        slope, intercept: probability = sigmoid(slope * logit + intercept); slope > 0.
        threshold: a film is called pneumonia from this probability on, float32 in (0,1).
        heat_scale: calibrated logits above the threshold that are drawn at full heat, > 0.
        sensitivity, specificity: on the validation split, in [0,1].
    """

    slope: float
    intercept: float
    threshold: float
    heat_scale: float
    sensitivity: float
    specificity: float

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probability, float32, computed as the served graph does."""
        calibrated = np.float32(self.slope) * np.float32(logits) + np.float32(self.intercept)
        return special.expit(calibrated)


Look = tuple[np.ndarray, np.ndarray]  # logits float32[N] and labels int64[N] of some films


def choose(
    evidence: np.ndarray,
    labels: np.ndarray,
    config: OperatingPointConfig,
    attention: np.ndarray | float = 1.0,
    looks: Sequence[Look] = (),
) -> OperatingPoint:
    """Fits the operating point.

    Args:
        evidence: float32[N,h,w], each place's contribution in logits; their mean is the logit.
        labels: int64[N], 0 or 1, both present.
        config: sensitivity and specificity to reach, and the calibration.
        attention: float32[N,h,w], what each place weighs; see `Network.attention`.
        looks: the same films changed; the threshold is to hold on each look.

    Raises:
        ValueError: a class is missing.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("the val split lacks a class; no threshold can be chosen on it")
    logits = evidence.mean(axis=(1, 2))
    slope, intercept = calibrate(logits, labels, config.calibration)
    uncut = OperatingPoint(slope, intercept, 0.5, 1.0, math.nan, math.nan)
    probability = uncut.probability(logits)
    threshold = _threshold(uncut, [(logits, labels), *looks], config)
    called = probability >= np.float32(threshold)
    margin = slope * evidence + (intercept - special.logit(threshold)) * attention
    hottest = margin[labels == 1].max(axis=(1, 2))
    return OperatingPoint(
        slope=slope,
        intercept=intercept,
        threshold=threshold,
        heat_scale=max(float(np.percentile(hottest, _FULL_HEAT)), 1e-3),
        sensitivity=float(called[labels == 1].mean()),
        specificity=float(1 - called[labels == 0].mean()),
    )


def _threshold(point: OperatingPoint, looks: Sequence[Look], config: OperatingPointConfig) -> float:
    """The middle of the cuts that reach both rates on all looks; sensitivity has precedence."""
    if config.specificity:
        edges = []
        for logits, labels in looks:
            healthy, sick = (np.sort(logits[labels == label]) for label in (0, 1))
            spared = math.ceil(config.specificity * len(healthy) - 1e-9)
            missed = len(sick) - math.ceil(config.sensitivity * len(sick) - 1e-9)
            edges.append((healthy[spared - 1], sick[missed]))
        lowest, highest = max(low for low, _ in edges), min(high for _, high in edges)
        if lowest < highest:
            return _within(point.probability(np.array([(lowest + highest) / 2]))[0])
    return min(
        choose_threshold(point.probability(logits), labels, config.sensitivity)
        for logits, labels in looks
    )


def _within(threshold: float) -> float:
    """A float32 value in (0,1)."""
    bounds = np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))
    return float(np.clip(np.float32(threshold), *bounds))


def calibrate(logits: np.ndarray, labels: np.ndarray, method: str) -> tuple[float, float]:
    """Fits slope and intercept by maximum likelihood.

    `platt` fits both (Platt, "Probabilistic Outputs for Support Vector Machines", 1999) and is the
    default: training on balanced classes shifts every logit by a constant, which `temperature`
    (slope alone; Guo et al., "On Calibration of Modern Neural Networks", 2017) cannot take back.
    Both use Platt's targets, (N1+1)/(N1+2) and 1/(N0+2) in place of 1 and 0, which keep the fit
    finite where the classes separate perfectly. The slope is positive by construction, so the
    order of films, and with it AUC and the choice of threshold, stays as it was.

    Args:
        logits: float32[N].
        labels: int64[N], 0 or 1, both present.
        method: `platt`, `temperature` or `none`.

    Returns:
        (slope, intercept), slope > 0.
    """
    if method == "none":
        return 1.0, 0.0
    positives = int(labels.sum())
    targets = np.where(
        labels == 1, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    )
    spread = float(logits.std()) or 1.0  # the fit is done in units of it
    standard = logits.astype(np.float64) / spread

    def loss(parameters: np.ndarray) -> float:
        scores = np.exp(parameters[0]) * standard
        if method == "platt":
            scores = scores + parameters[1]
        return float(np.mean(np.logaddexp(0, scores) - targets * scores))

    start = np.zeros(2 if method == "platt" else 1)
    bounds = [(-10.0, 10.0), (None, None)][: len(start)]
    fitted = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(fitted[0]) / spread), float(fitted[1]) if method == "platt" else 0.0


def choose_threshold(probability: np.ndarray, labels: np.ndarray, sensitivity: float) -> float:
    """The cut with the best specificity among those that find the asked share of pneumonias.

    At least ceil(sensitivity * positives) films with pneumonia lie at or above it, so with few of
    them it finds all. Among cuts of equal specificity it is the lowest: what can be found for
    nothing is found. It lies midway between two neighbouring scores, never on one: the last digit
    of an arithmetic that differs by machine decides nothing. Equal scores are called alike.

    Args:
        probability: float32[N] in [0,1].
        labels: int64[N], 0 or 1, at least one 1.
        sensitivity: in (0,1), to be reached on these films.

    Returns:
        A float32 value in (0,1).
    """
    sick = np.sort(probability[labels == 1])[::-1]
    needed = math.ceil(sensitivity * len(sick) - 1e-9)
    spared = probability[(labels == 0) & (probability < sick[needed - 1])]
    below = spared.max() if len(spared) else np.float32(0)
    above = probability[probability > below].min(initial=1)
    middle = np.float32((np.float64(below) + above) / 2)
    # Neighbouring floats have none between them; then the upper one is the cut.
    return _within(float(middle if middle > below else above))
