"""Two-sided 95 % confidence intervals and the area under the ROC curve.

The intervals take films as independent. Where patients have several films in a split, they are too
narrow.
"""

import math
from typing import Final

import numpy as np
from scipy import optimize, stats
from sklearn.metrics import roc_auc_score

Interval = tuple[float, float]

Z: Final = float(stats.norm.ppf(0.975))  # 1.95996: what "95 %" means everywhere in this project
_TINY: Final = 1e-9  # at the measured area itself, 1 also solves the equation


def wilson(successes: float, trials: float) -> Interval:
    """Computes the score interval of a proportion.

    It keeps its coverage for proportions near 1, which are usual here and where the textbook
    interval collapses.

    Args:
        successes: a whole number in 0..trials.
        trials: a whole number.

    Returns:
        The bounds, in [0,1]; (nan, nan) without trials.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        JASA 22 (1927), 209-212.

    >>> [round(bound, 4) for bound in wilson(39, 40)]
    [0.8712, 0.9956]
    """
    if not trials:
        return math.nan, math.nan
    bounds = stats.binomtest(round(successes), round(trials)).proportion_ci(method="wilson")
    return float(bounds.low), float(bounds.high)


def newcombe(auc: float, positives: float, negatives: float) -> Interval:
    """Computes the interval of an area under the ROC curve.

    Args:
        auc: the measured area, in [0,1].
        positives: films with pneumonia.
        negatives: films without.

    Returns:
        The bounds, in [0,1]; (nan, nan) where a class is missing.

    Source:
        R. G. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney
        statistic. Part 2", Statistics in Medicine 25 (2006), 559-573, method 5: the variance of
        Hanley and McNeil (1982) taken at the bounds themselves, so that, as in Wilson's interval,
        a perfect ranking of few films is no proof of a perfect model.
    """
    if not positives or not negatives or math.isnan(auc):
        return math.nan, math.nan
    return _below(auc, positives, negatives), 1 - _below(1 - auc, positives, negatives)


def area_under_roc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Computes the share of (sick, healthy) pairs in the right order; ties count half.

    Args:
        scores: float[N], finite.
        labels: int64[N] or bool[N], both classes present.

    Returns:
        The area in [0,1], which is Mann and Whitney's statistic.
    """
    return float(roc_auc_score(labels, scores))


def mcnemar(only_first: int, only_second: int) -> float:
    """Computes how probable so uneven a split is, were two models equally often right.

    Args:
        only_first: films that the first model alone is right about.
        only_second: films that the second model alone is right about.

    Returns:
        The exact two-sided p-value in (0,1]; 1 where the models are right about the same films.

    Source:
        Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
        percentages", Psychometrika 12 (1947), 153-157; in its exact, binomial form.

    >>> round(mcnemar(8, 1), 4)
    0.0391
    """
    differing = only_first + only_second
    return float(stats.binomtest(only_first, differing).pvalue) if differing else 1.0


def _below(auc: float, positives: float, negatives: float) -> float:
    """Finds the area that lies Z of its own deviations below the measured one."""
    if auc <= _TINY:
        return 0.0

    def beyond(bound: float) -> float:
        half = (positives + negatives) / 2 - 1
        of_pairs = 1 + half * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        variance = bound * (1 - bound) * of_pairs / (positives * negatives)
        return (auc - bound) ** 2 - Z**2 * variance

    return optimize.brentq(beyond, 0.0, auc - _TINY)
