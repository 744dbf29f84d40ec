"""Whether two samples may come from one distribution: the energy distance, by permutation.

G. J. Szekely, M. L. Rizzo, "Testing for equal distributions in high dimension", InterStat 2004. The
permutation makes the p-value exact whatever the distribution, as long as the films are
exchangeable; it ends early where many permutations were as far apart (J. Besag, P. Clifford,
"Sequential Monte Carlo p-values", Biometrika 78, 1991).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

_PERMUTATIONS: Final = 10_000  # so the least p-value is 0.0001
_BLOCK: Final = 500  # permutations worked on at once
_ENOUGH: Final = 50  # permutations beyond the measured distance


def p_value(one: NDArray[np.float32], other: NDArray[np.float32], seed: int = 0) -> float:
    """The probability of so large a distance, were the films shuffled between the samples.

    Args:
        one: float32[N,C].
        other: float32[M,C].
        seed: of the permutations.

    Returns:
        In (0,1].
    """
    pooled = _standardised(np.concatenate([one, other]).astype(np.float64))
    distances = cdist(pooled, pooled).astype(np.float32)
    count, size = len(pooled), len(one)
    random = np.random.default_rng(seed)
    measured = _energy(distances, np.arange(count)[None] < size)[0]
    beyond = 1
    done = 1
    while done <= _PERMUTATIONS and beyond <= _ENOUGH:
        ranks = random.random((_BLOCK, count)).argsort(axis=1)
        beyond += int(np.sum(_energy(distances, ranks < size) >= measured))
        done += _BLOCK
    return beyond / done


def _standardised(pooled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each feature with mean 0 and deviation 1, those that never fire left at 0.

    Measured in both samples together, so that a permutation changes nothing of it.
    """
    centred = pooled - pooled.mean(axis=0)
    spread = centred.std(axis=0)
    return np.asarray(centred / np.where(spread > 0, spread, 1.0))


def _energy(distances: NDArray[np.float32], chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The energy distances between the chosen films and the others, for several choices.

    Args:
        distances: float32[K,K] between all films.
        chosen: bool[P,K].
    """
    size = np.float32(chosen[0].sum())
    weights = np.where(chosen, 1 / size, -1 / (chosen.shape[1] - size)).astype(np.float32)
    return -np.einsum("pk,pk->p", weights @ distances, weights)
