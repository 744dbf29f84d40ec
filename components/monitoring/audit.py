"""The decisions on films whose outcome is known, held against what the gate asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from client.request_log.outcomes import FROM_PAGE, Outcome, of_film
from client.request_log.record import Film
from components.monitoring.cusum import Chart, chart
from components.monitoring.sample import Sample
from components.statistics import Interval, wilson

_SURE: Final = 0.95
_MISSES: Final = (1e-3, 0.4)  # expected shares that a chart can be made for


@dataclass(frozen=True)
class Expectation:
    """What a model was let through with: its recall then, and the gate's bound under recall's.

    Attributes:
        recall: on films of its own, in (0,1).
        bound: least lower 95 % bound of recall, in [0,1).
    """

    recall: float
    bound: float


@dataclass(frozen=True)
class Audit:
    """What the outcomes say.

    Attributes:
        known, unmatched: outcomes of logged films, and of films that are not in the log.
        hits, misses, false_alarms, spared: decisions by outcome.
        recall, precision: with their Wilson intervals; nan without a film to tell them by.
        corrected: recall, were the films whose outcome is unknown like those of the same decision
            whose is known (C. B. Begg, R. A. Greenes, Biometrics 39, 1983).
        followed: share of the films called sick, and of the others, whose outcome is known.
        from_page: outcomes of readers who had seen the answer.
        needed: sick films from which on the bound can be told to be kept or not.
        chart, sums: the control chart and its sum after each sick film, in the order of asking.
    """

    known: int
    unmatched: int
    hits: int
    misses: int
    false_alarms: int
    spared: int
    recall: float
    recall_interval: Interval
    precision: float
    precision_interval: Interval
    corrected: float
    followed: tuple[float, float]
    from_page: int
    needed: int
    expectation: Expectation
    chart: Chart
    sums: tuple[int, ...]

    @property
    def sick(self) -> int:
        """Sick films whose outcome is known."""
        return self.hits + self.misses

    @property
    def is_told(self) -> bool:
        """Whether a model as good as before would keep the bound on so many films."""
        return self.sick >= self.needed

    @property
    def is_below(self) -> bool:
        """Whether recall's lower bound has fallen below the gate's, or recall itself surely has."""
        low, high = self.recall_interval
        bound = self.expectation.bound
        return high < bound or (self.is_told and low < bound)

    @property
    def is_alarmed(self) -> bool:
        """Whether the control chart has alarmed."""
        return any(at >= self.chart.limit for at in self.sums)


def audit(
    sample: Sample,
    outcomes: Mapping[str, Outcome],
    expectation: Expectation,
    others: Iterable[Film] = (),
) -> Audit:
    """Joins films and outcomes.

    Args:
        sample: the films that were asked, in their order.
        outcomes: by the hash of the film or of its SOP Instance UID.
        expectation: what the model was let through with.
        others: logged films that other models answered.
    """
    matched = [
        of_film(outcomes, film, instance)
        for film, instance in zip(sample.hashes, sample.instances, strict=True)
    ]
    logged = {*sample.hashes, *sample.instances}
    logged.update(key for film in others for key in (film.sha256, film.instance))
    places = [place for place, outcome in enumerate(matched) if outcome]
    labels = np.array([outcome.label for outcome in matched if outcome], bool)
    called = sample.called[places]
    hits, misses = int((called & labels).sum()), int((~called & labels).sum())
    alarms, spared = int((called & ~labels).sum()), int((~called & ~labels).sum())
    positives = int(sample.called.sum())
    followed = _ratio(hits + alarms, positives), _ratio(misses + spared, len(sample) - positives)
    found, lost = (
        _ratio(part, share) for part, share in zip((hits, misses), followed, strict=True)
    )
    design = chart(float(np.clip(1 - expectation.recall, *_MISSES)))
    return Audit(
        known=len(places),
        unmatched=len(outcomes.keys() - logged),
        hits=hits,
        misses=misses,
        false_alarms=alarms,
        spared=spared,
        recall=_ratio(hits, hits + misses),
        recall_interval=wilson(hits, hits + misses),
        precision=_ratio(hits, hits + alarms),
        precision_interval=wilson(hits, hits + alarms),
        corrected=_ratio(found, found + (lost if misses else 0.0)),
        followed=followed,
        from_page=sum(outcome.source == FROM_PAGE for outcome in matched if outcome),
        needed=needed(expectation),
        expectation=expectation,
        chart=design,
        sums=tuple(design.path(~called[labels])),
    )


def needed(expectation: Expectation, most: int = 20_000) -> int:
    """Sick films on which a model of the expected recall keeps the bound 19 times in 20.

    With fewer, a fall below it would say more of chance than of the model.

    Args:
        expectation: recall and bound, in [0,1].
        most: films; returned where the bound lies above the recall, so that no number is enough.
    """
    low, high = 1, most
    while low < high:
        films = (low + high) // 2
        hits = int(stats.binom.ppf(1 - _SURE, films, expectation.recall))
        kept = wilson(hits, films)[0] >= expectation.bound
        low, high = (low, films) if kept else (films + 1, high)
    return low


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
