"""Recall and precision without labels: what calibrated probabilities say of themselves.

If a film of probability p is sick in the share p of cases, the decisions' expected hits, misses and
false alarms are sums of probabilities (confidence-based performance estimation, as NannyML's; J.
Bialek et al., "Estimating model performance under covariate shift without labels", 2024). It holds
while calibration holds: it sees a harder mixture of films, and is blind to what makes the model
wrong and sure, such as another disease, a device that turns every film sicker, or an inverted film.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from components.monitoring.sample import Sample
from components.statistics import Interval

_DRAWS: Final = 2_000


@dataclass(frozen=True)
class Estimate:
    """Expected figures of some films' decisions, with the 95 % that their labels' chance leaves.

    Attributes:
        sick: share of sick films.
        recall, precision: nan where no film is expected to be sick, or none was called so.
    """

    sick: float
    recall: float
    recall_interval: Interval
    precision: float
    precision_interval: Interval


def estimate(sample: Sample, seed: int = 0) -> Estimate:
    """Estimates from calibrated probabilities alone.

    Args:
        sample: at least one film.
        seed: of the labels that are drawn for the intervals.
    """
    probability, called = sample.probability, sample.called
    drawn = np.random.default_rng(seed).random((_DRAWS, len(sample))) < probability
    hits, sick = (drawn & called).sum(axis=1), drawn.sum(axis=1)
    expected = float(probability[called].sum())
    return Estimate(
        sick=float(probability.mean()),
        recall=_ratio(expected, float(probability.sum())),
        recall_interval=_interval(hits, sick),
        precision=_ratio(expected, float(called.sum())),
        precision_interval=_interval(hits, np.full(_DRAWS, called.sum())),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _interval(part: np.ndarray, whole: np.ndarray) -> Interval:
    shares = part[whole > 0] / whole[whole > 0]
    if not len(shares):
        return float("nan"), float("nan")
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)
