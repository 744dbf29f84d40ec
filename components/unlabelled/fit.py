"""How far another hospital's films move a model's logits, told by the logits alone.

The site's logits are taken for val's, healthy and sick, mixed anew and moved together: one shift
and one share of sick films, both by maximum likelihood. That both classes move alike is the
assumption; nothing but labels can prove it. That classes differ in share and not otherwise is prior
shift (M. Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities",
Neural Computation 14, 2002); the shift comes on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from components.statistics import Interval

Logits = NDArray[np.float64]

FEWEST: Final = 100  # films; with fewer the interval of the shift says little
_OF_VAL: Final = 20  # of either class, to know a density by
_SHIFTS: Final = np.linspace(-1, 1, 121)  # tried, in distances between the classes
_SHARES: Final = np.linspace(0.005, 0.995, 100)  # of sick films
_STRANGE: Final = 0.01  # of a site's films may be like no film of val: one decides nothing
_WIDE: Final = 0.5  # of the distance between the classes: a wider interval says nothing
_AWAY: Final = 0.1  # between the distributions; many films prove any distance
_LEVEL: Final = 0.95
_TABLE: Final = 2048  # places at which a density is computed, then interpolated


class UnlabelledError(ValueError):
    """The films do not allow it; the message says why and what to do."""


@dataclass(frozen=True)
class Fitted:
    """What a site's logits are, beside val's.

    films: of the site. shift: added to every logit, with its 95 % interval. share: of sick films,
    in (0,1), with its interval. distance: the largest between the two distributions, and
    p_value: of finding it by chance (Kolmogorov-Smirnov; two numbers were fitted, so it is rather
    too large).
    """

    films: int
    shift: float
    shift_interval: Interval
    share: float
    share_interval: Interval
    distance: float
    p_value: float


class _Density:
    """Of val's logits of one class, by Gaussian kernels: sick films' logits have a long tail.

    Bandwidth after B. W. Silverman, "Density Estimation for Statistics and Data Analysis", 1986.
    """

    def __init__(self, logits: Logits, ends: tuple[float, float]) -> None:
        self.at = np.linspace(*ends, _TABLE)
        density = stats.gaussian_kde(logits, bw_method="silverman")(self.at)
        wide = stats.norm.pdf(self.at, sum(ends) / 2, (ends[1] - ends[0]) / 4)
        self.values = (1 - _STRANGE) * density + _STRANGE * wide
        self.below = np.cumsum(self.values) / self.values.sum()

    def __call__(self, logits: Logits) -> Logits:
        return np.interp(logits, self.at, self.values, self.values[0], self.values[-1])

    def cdf(self, logits: Logits) -> Logits:
        return np.interp(logits, self.at, self.below, 0, 1)


def fit(site: Logits, healthy: Sequence[float], sick: Sequence[float]) -> Fitted:
    """Fits shift and share to a site's logits.

    Args:
        site: float[N], calibrated logits of films whose labels nobody knows.
        healthy: calibrated logits of val's healthy films.
        sick: and of its sick ones.

    Raises:
        UnlabelledError: too few films, a likelihood that tells no shift, or a poor fit.
    """
    if len(site) < FEWEST:
        raise UnlabelledError(f"{len(site)} films are too few; give at least {FEWEST}")
    if min(len(healthy), len(sick)) < _OF_VAL:
        raise UnlabelledError(
            f"the model knows {len(healthy)} healthy and {len(sick)} sick films of its own, fewer "
            f"than {_OF_VAL} of either; recalibrate with labelled films (--data)"
        )
    val = np.concatenate([healthy, sick])
    apart = float(np.mean(sick) - np.mean(healthy))
    reach = 2 * abs(apart)
    ends = float(min(val.min(), site.min()) - reach), float(max(val.max(), site.max()) + reach)
    densities = _Density(np.asarray(healthy), ends), _Density(np.asarray(sick), ends)
    shifts = _SHIFTS * abs(apart)
    likelihood = np.stack([_log_likelihoods(site - shift, *densities) for shift in shifts])
    shift, share = _refined(site, densities, shifts, likelihood)
    shift_interval = _profile(likelihood.max(axis=1), shifts)
    if shift_interval[1] - shift_interval[0] > _WIDE * abs(apart) or shift_interval[0] == shifts[0]:
        raise UnlabelledError(
            "the films' logits do not tell how far they moved (between "
            f"{shift_interval[0]:+.1f} and {shift_interval[1]:+.1f}); give more films, of both "
            "classes, or labelled ones (--data)"
        )
    test = stats.kstest(site - shift, lambda z: _mixed(share, *(d.cdf(z) for d in densities)))
    if test.statistic > _AWAY and test.pvalue < 1 - _LEVEL:
        raise UnlabelledError(
            "no mixture of the classes that the model knows looks like these films (they lie "
            f"{test.statistic:.2f} apart); are they frontal chest films? If so, give labelled ones "
            "(--data)"
        )
    return Fitted(
        films=len(site),
        shift=shift,
        shift_interval=shift_interval,
        share=share,
        share_interval=_profile(likelihood.max(axis=0), _SHARES),
        distance=float(test.statistic),
        p_value=float(test.pvalue),
    )


def _mixed(share: float, healthy: Logits, sick: Logits) -> Logits:
    return (1 - share) * healthy + share * sick


def _log_likelihoods(logits: Logits, healthy: _Density, sick: _Density) -> Logits:
    """Of all films together, for each of _SHARES."""
    of_healthy, of_sick = healthy(logits)[:, None], sick(logits)[:, None]
    return np.log(of_healthy + _SHARES * (of_sick - of_healthy)).sum(axis=0)


def _refined(
    site: Logits, densities: tuple[_Density, _Density], shifts: Logits, likelihood: Logits
) -> tuple[float, float]:
    """Shift and share at the top, starting from the best pair that was tried."""
    row, column = np.unravel_index(np.argmax(likelihood), likelihood.shape)

    def loss(pair: Logits) -> float:
        share = np.clip(pair[1], _SHARES[0], _SHARES[-1])
        values = _mixed(share, *(density(site - pair[0]) for density in densities))
        return -float(np.log(values).sum())

    start = np.array([shifts[row], _SHARES[column]])
    found = optimize.minimize(loss, start, method="Nelder-Mead").x
    return float(found[0]), float(np.clip(found[1], _SHARES[0], _SHARES[-1]))


def _profile(likelihood: Logits, values: Logits) -> Interval:
    """The values that the likelihood's ratio does not reject at 95 %, a step more on each side."""
    drop = stats.chi2.ppf(_LEVEL, 1) / 2
    kept = np.flatnonzero(likelihood >= likelihood.max() - drop)
    low, high = max(kept[0] - 1, 0), min(kept[-1] + 1, len(values) - 1)
    return float(values[low]), float(values[high])
