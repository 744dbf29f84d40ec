"""Whether the films that a model is asked about are still like those it was judged on.

Each window is compared with the reference in what the model says (calibrated logit, share called
sick), in what it says of the film (quality, familiarity) and in what its trunk sees (the averaged
features). The window's p-value is the least of these times their number (Bonferroni); over the
windows of a report the share of false alarms among the alarms is held (Y. Benjamini, Y. Hochberg,
"Controlling the false discovery rate", JRSS B 57, 1995), so that a report of films that are alike
calls a false alarm hardly ever, however many windows it has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special, stats

from components.monitoring import two_sample
from components.monitoring.sample import Floats, Sample
from components.statistics import Interval, wilson

FEWEST: Final = 20  # films of a window that can be told anything of
LEVEL: Final = 0.01  # at 0.05 two windows in twenty that were alike: patients have several films
_MOST: Final = 500  # films of a window that are compared: more would find what does not matter
_EDGE: Final = 1e-6


@dataclass(frozen=True)
class MeasureComparison:
    """One measure of a window beside the reference's.

    Attributes:
        measure: its name.
        p_value: of finding them so different by chance.
        reference, window: a figure of each, in words.
    """

    measure: str
    p_value: float
    reference: str
    window: str


@dataclass(frozen=True)
class Window:
    """What was found in one window.

    Attributes:
        name: when.
        films: how many.
        comparisons: by measure; none in a window of too few films.
        p_value: of the window, all measures taken together.
        drifted: whether it is called different.
        share: called sick, with its interval.
    """

    name: str
    films: int
    comparisons: tuple[MeasureComparison, ...]
    p_value: float
    drifted: bool
    share: float
    share_interval: Interval

    @property
    def why(self) -> MeasureComparison:
        """The measure that differs most; of a window that was compared."""
        return min(self.comparisons, key=lambda found: found.p_value)


def judge(reference: Sample, parts: list[tuple[str, Sample]]) -> list[Window]:
    """Compares every window with the reference.

    Args:
        reference: at least FEWEST films.
        parts: the windows' names and films.

    Returns:
        The windows in their order.
    """
    found = [(name, part, tuple(compare(reference, part))) for name, part in parts]
    least = [
        min(1.0, len(comparisons) * min(c.p_value for c in comparisons)) if comparisons else 1.0
        for _, _, comparisons in found
    ]
    told = [place for place, (_, _, comparisons) in enumerate(found) if comparisons]
    adjusted = dict(zip(told, _benjamini_hochberg([least[place] for place in told]), strict=True))
    return [
        Window(
            name=name,
            films=len(part),
            comparisons=comparisons,
            p_value=p_value,
            drifted=adjusted.get(place, 1.0) <= LEVEL,
            share=float(part.called.mean()),
            share_interval=wilson(int(part.called.sum()), len(part)),
        )
        for place, ((name, part, comparisons), p_value) in enumerate(zip(found, least, strict=True))
    ]


def compare(reference: Sample, window: Sample) -> Iterator[MeasureComparison]:
    """Each measure that both tell; nothing of a window of fewer than FEWEST films.

    Args:
        reference: at least FEWEST films.
        window: of a large one, some films evenly spread.
    """
    if len(window) < FEWEST:
        return
    if len(window) > _MOST:
        window = window[np.linspace(0, len(window) - 1, _MOST).astype(int)]
    yield _distribution("logit", reference.logit, window.logit)
    called = [[int(part.called.sum()), int((~part.called).sum())] for part in (reference, window)]
    yield MeasureComparison(
        "share called sick",
        float(stats.fisher_exact(called).pvalue),
        f"{reference.called.mean():.3f}",
        f"{window.called.mean():.3f}",
    )
    for measure in ("quality", "familiarity"):
        here, there = (_logit(getattr(part, measure)) for part in (reference, window))
        if np.isfinite(here).all() and np.isfinite(there).all():
            yield _distribution(measure, here, there, special.expit)
    if reference.features.shape[1] and reference.features.shape[1] == window.features.shape[1]:
        p_value = two_sample.p_value(reference.features, window.features)
        yield MeasureComparison("features", p_value, "", "")


def _distribution(
    measure: str, reference: Floats, window: Floats, shown: np.ufunc | None = None
) -> MeasureComparison:
    """Kolmogorov and Smirnov's test, and the medians."""
    medians = (
        f"{(shown(np.median(part)) if shown else np.median(part)):.3f}"
        for part in (reference, window)
    )
    return MeasureComparison(measure, float(stats.ks_2samp(reference, window).pvalue), *medians)


def _logit(values: Floats) -> Floats:
    return np.asarray(special.logit(np.clip(values, _EDGE, 1 - _EDGE)))


def _benjamini_hochberg(p_values: list[float]) -> list[float]:
    return list(stats.false_discovery_control(p_values)) if p_values else []
