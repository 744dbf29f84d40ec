"""Two-sided 95 % confidence intervals of the figures that the gate and the report show.

They take films as independent. Where patients have several films in a split, they are too narrow.
"""

import math
from typing import Final

from scipy import optimize

Z: Final = 1.96  # the standard normal's 97.5 % quantile, as tables and the literature round it
_TINY: Final = 1e-9  # at the measured area itself, 1 also solves the equation


def wilson(successes: float, trials: float, z: float = Z) -> tuple[float, float]:
    """The score interval of a proportion; (nan, nan) without trials.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927), 209-212. It keeps its coverage for the proportions near 1 that are asked for
    here, where the textbook interval collapses.

    >>> [round(bound, 4) for bound in wilson(39, 40)]
    [0.8712, 0.9956]
    """
    if not trials:
        return math.nan, math.nan
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    low, high = (
        (share + z * z / (2 * trials) + side * spread) / (1 + z * z / trials) for side in (-1, 1)
    )
    return max(min(low, share), 0.0), min(max(high, share), 1.0)


def newcombe(auc: float, positives: float, negatives: float) -> tuple[float, float]:
    """The interval of an area under the ROC curve; (nan, nan) where a class is missing.

    Source: R. G. Newcombe, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic. Part 2", Statistics in Medicine 25 (2006), 559-573, method 5: the
    variance of Hanley and McNeil (1982) taken at the bounds themselves, so that, as in Wilson's
    interval, a perfect ranking of few films is no proof of a perfect model.
    """
    if not positives or not negatives or math.isnan(auc):
        return math.nan, math.nan

    return _below(auc, positives, negatives), 1 - _below(1 - auc, positives, negatives)


def _below(auc: float, positives: float, negatives: float) -> float:
    """The area that lies Z of its own deviations below the measured one."""
    if auc <= _TINY:
        return 0.0

    def beyond(bound: float) -> float:
        half = (positives + negatives) / 2 - 1
        of_pairs = 1 + half * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        variance = bound * (1 - bound) * of_pairs / (positives * negatives)
        return (auc - bound) ** 2 - Z**2 * variance

    return optimize.brentq(beyond, 0.0, auc - _TINY)
