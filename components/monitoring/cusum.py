"""A control chart on missed pneumonias: a cumulative sum that tells a rise soonest.

M. R. Reynolds, Z. G. Stoumbos, "A CUSUM chart for monitoring a proportion when inspecting
continuously", Journal of Quality Technology 31 (1999): with whole steps the chart is a Markov chain
of as many states as its limit, so its run length is computed, not simulated.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

RUN_LENGTH: Final = 1_000  # sick films between two false alarms, at least
_WORSE: Final = 2.0  # times as many misses is what the chart is to see
_HIGHEST: Final = 1_024
_ENDLESS: Final = 1e9  # films; a longer run cannot be computed, nor does it matter


@dataclass(frozen=True)
class Chart:
    """A chart's steps and limit.

    Attributes:
        expected: the share of misses in control, in (0,1).
        step: what a miss adds; every film takes 1 away, and the sum never falls below 0.
        limit: the sum that alarms.
        run_length: sick films until an alarm, on average, while misses are as expected.
        run_length_worse: and while there are twice as many.
    """

    expected: float
    step: int
    limit: int
    run_length: float
    run_length_worse: float

    def path(self, missed: Iterable[bool]) -> list[int]:
        """The sum after each sick film."""
        sums, at = [], 0
        for miss in missed:
            at = max(0, at - 1 + (self.step if miss else 0))
            sums.append(at)
        return sums


def chart(expected: float) -> Chart:
    """Designs the chart for an expected share of misses.

    Args:
        expected: in (0, 0.4].
    """
    worse = _WORSE * expected
    per_hit = -math.log((1 - worse) / (1 - expected))
    per_miss = math.log(worse / expected) + per_hit
    step = max(2, round(per_miss / per_hit))
    low, high = 1, _HIGHEST
    while low < high:
        middle = (low + high) // 2
        enough = _run_length(expected, step, middle) >= RUN_LENGTH
        low, high = (low, middle) if enough else (middle + 1, high)
    lengths = (_run_length(share, step, low) for share in (expected, worse))
    return Chart(expected, step, low, *lengths)


def _run_length(share: float, step: int, limit: int) -> float:
    """The mean number of films until the sum, from 0, reaches the limit."""
    moves = np.zeros((limit, limit))
    for at in range(limit):
        moves[at, max(0, at - 1)] += 1 - share
        if at - 1 + step < limit:
            moves[at, max(0, at - 1 + step)] += share
    length = float(np.linalg.solve(np.eye(limit) - moves, np.ones(limit))[0])
    return length if 0 < length < _ENDLESS else _ENDLESS
