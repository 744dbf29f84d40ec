"""Two-sided 95 % confidence intervals of the figures that the gate and the report show."""

import math
from typing import Final

Z: Final = 1.96  # the standard normal's 97.5 % quantile, as tables and the literature round it


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


def hanley_mcneil(auc: float, positives: float, negatives: float) -> tuple[float, float]:
    """The interval of an area under the ROC curve; (nan, nan) where a class is missing.

    Source: J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143 (1982), 29-36; cut at 0 and 1.
    """
    if not positives or not negatives or math.isnan(auc):
        return math.nan, math.nan
    one_negative = auc / (2 - auc)
    one_positive = 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc)
        + (positives - 1) * (one_negative - auc**2)
        + (negatives - 1) * (one_positive - auc**2)
    ) / (positives * negatives)
    spread = Z * math.sqrt(max(variance, 0.0))
    return max(auc - spread, 0.0), min(auc + spread, 1.0)
