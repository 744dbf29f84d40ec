"""What a model's answers to changed films say: figures with intervals, and their bounds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from components.counterfactuals import changes
from components.counterfactuals.changes import Changed
from components.evaluator.results import Bound, Figure
from components.statistics import Interval, area_under_roc, wilson

GOOD_QUALITY: Final = 0.5  # below, a film is answered with a warning
_LEVEL: Final = 0.95
# By kind: the figure that a bound of GateConfig, by the kind's name, is on.
_CHANGED: Final = {
    changes.LETTERS: "changed_by_letters",
    changes.OUTSIDE: "changed_by_outside",
    changes.LOOKS: "changed_by_look",
}
_WIPED: Final = "wiped_called_sick"
_FOLLOWED: Final = "lungs_followed"
_HEAT: Final = "heat_in_lungs"
UNKNOWN: Final = tuple(
    Figure(name, math.nan) for name in (*_CHANGED.values(), _WIPED, _FOLLOWED, _HEAT)
)
BOUNDS: Final = ("letters", "outside", "wiped", "heat_in_lungs")  # fields of GateConfig


@dataclass(frozen=True)
class Answers:
    """What a model says of some films, in their order: float32[N] each, and bool[N]."""

    logits: NDArray[np.float32]
    called: NDArray[np.bool_]
    quality: NDArray[np.float32]


@dataclass(frozen=True)
class ChangeRow:
    """One change: decisions that it changed, and how far it pulls.

    films: that were asked. changed: share of decisions other than without the change, with its
    95 % interval. shift: mean of the logit's way toward the class that the change speaks for, as a
    share of the way between the classes' mean logits, with its 95 % interval. auc: of the changed
    films by their own labels; half for films without lungs, if nothing else tells.
    """

    kind: str
    change: str
    films: int
    changed: float
    changed_interval: Interval
    shift: float
    shift_interval: Interval
    auc: float


def gave_away(asked: Sequence[Changed], before: Answers, after: Answers) -> NDArray[np.bool_]:
    """Which answers a model that decides by the lungs would not have given, bool[N].

    Args:
        asked: the changed films.
        before: to the films as they are.
        after: to the changed films.
    """
    kinds = np.array([changed.kind for changed in asked])
    films = np.array([changed.film for changed in asked], np.int64)
    donors = np.array([changed.donor for changed in asked], np.int64)
    other = after.called != before.called[films]
    wiped = after.called & (after.quality >= GOOD_QUALITY)
    # Lungs put in are followed where the answer is the one to the film that they came from.
    unfollowed = after.called != before.called[donors]
    return np.where(
        kinds == changes.WIPED, wiped, np.where(kinds == changes.LUNGS, unfollowed, other)
    )


def rows(
    asked: Sequence[Changed], before: Answers, after: Answers, labels: NDArray[np.int64]
) -> list[ChangeRow]:
    """A row for each change, in the order in which they come.

    Args:
        asked: the changed films.
        before: to the films as they are.
        after: to the changed films.
        labels: int64[N] of the films as they are, 0 or 1, both present.
    """
    distance = apart(before, labels)
    found = []
    for kind, change in dict.fromkeys((changed.kind, changed.change) for changed in asked):
        mine = np.array([changed.change == change for changed in asked])
        films = np.array([changed.film for changed in asked], np.int64)[mine]
        toward = np.array([2 * changed.toward - 1 for changed in asked])[mine]
        other = after.called[mine] != before.called[films]
        own = labels[films]
        ways = toward * (after.logits[mine] - before.logits[films]) / distance
        found.append(
            ChangeRow(
                kind=kind,
                change=change,
                films=len(set(films.tolist())),
                changed=float(other.mean()),
                changed_interval=_of_share(float(other.mean()), len(set(films.tolist()))),
                shift=float(ways.mean()),
                shift_interval=_of_mean(ways),
                auc=area_under_roc(after.logits[mine], own) if 0 < own.mean() < 1 else math.nan,
            )
        )
    return found


def apart(before: Answers, labels: NDArray[np.int64]) -> float:
    """The way from the healthy films' mean logit to the sick ones'.

    Args:
        before: to the films as they are.
        labels: int64[N], the films', 0 or 1, both present.

    Returns:
        The way in logits, above 0; nan where it leads back.
    """
    way = float(before.logits[labels == 1].mean() - before.logits[labels == 0].mean())
    return way if way > 0 else math.nan


def figures(
    asked: Sequence[Changed],
    faults: NDArray[np.bool_],
    heat: NDArray[np.floating[Any]],
    of_other_class: NDArray[np.bool_],
) -> list[Figure]:
    """The figures that bounds are on, and those that people should know.

    Several answers of one film are one film's word: the intervals count films.

    Args:
        asked: the changed films.
        faults: of `gave_away`.
        heat: share of the heat that lies in the lungs, of each film called sick, in [0,1].
        of_other_class: bool[N], whether the model calls a changed film's film and donor otherwise.
    """
    found = []
    for kind, name in (*_CHANGED.items(), (changes.WIPED, _WIPED)):
        mine = np.array([changed.kind == kind for changed in asked], bool)
        films = len({changed.film for changed in asked if changed.kind == kind})
        share = float(faults[mine].mean()) if films else math.nan
        found.append(Figure(name, share, _of_share(share, films)))
    told = np.array([changed.kind == changes.LUNGS for changed in asked], bool) & of_other_class
    share = float(1 - faults[told].mean()) if told.any() else math.nan
    found.append(Figure(_FOLLOWED, share, _of_share(share, int(told.sum()))))
    middle = float(np.median(heat)) if len(heat) else math.nan
    found.append(Figure(_HEAT, middle, _of_median(heat)))
    return found


def bounds(found: Sequence[Figure], limits: Mapping[str, float | None]) -> list[Bound]:
    """Each figure that a limit is on, with it; by the measured share, not by its interval.

    Args:
        found: of `figures`.
        limits: by the names of BOUNDS; None: no bound.
    """
    by_name = {figure.name: figure for figure in found}
    names = {**_CHANGED, changes.WIPED: _WIPED, _HEAT: _HEAT}
    chosen = []
    for field in BOUNDS:
        limit = limits[field]
        if limit is not None:
            figure, at_most = by_name[names[field]], field != _HEAT
            value = figure.value
            ok = value <= limit if at_most else value >= limit  # not for nan
            chosen.append(Bound(figure, limit, bool(ok), at_most))
    return chosen


def _of_share(share: float, films: int) -> Interval:
    return wilson(round(share * films), films) if films else (math.nan, math.nan)


def _of_mean(values: NDArray[np.floating[Any]]) -> Interval:
    """By Student's t; nan for fewer than two values."""
    if len(values) < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf((1 + _LEVEL) / 2, len(values) - 1) * stats.sem(values))
    return float(values.mean()) - half, float(values.mean()) + half


def _of_median(values: NDArray[np.floating[Any]]) -> Interval:
    """By the order statistics, whatever the distribution; the ends where there are few values."""
    if not len(values):
        return math.nan, math.nan
    ordered = np.sort(values)
    low = max(int(stats.binom.ppf((1 - _LEVEL) / 2, len(ordered), 0.5)) - 1, 0)
    return float(ordered[low]), float(ordered[len(ordered) - 1 - low])
