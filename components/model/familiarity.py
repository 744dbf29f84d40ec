"""Whether a film looks like those the model was trained on: a warning, never part of the decision.

The Mahalanobis distance of the trunk's averaged features from the training films', after K. Lee et
al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks",
2018, with the covariance shrunk after O. Ledoit, M. Wolf, "A well-conditioned estimator for
large-dimensional covariance matrices", 2004. The trunk is frozen on ImageNet, so it still sees the
difference between a film and a photograph that training the top makes it forget.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special
from sklearn.covariance import ledoit_wolf

# Deviations beyond the validation films' mean at which a film counts as unusual. Of films like
# them about one in a thousand lies there.
LIMIT: Final = 3.0
TINY: Final = 1e-12  # keeps the logarithm finite


@dataclass(frozen=True)
class Familiarity:
    """What a film is measured against.

    Attributes:
        mean: float32[C] of the training films' averaged features.
        whitening: float32[C,C]; times a difference from the mean, its length is the distance.
        centre, spread: of the logarithm of the validation films' distances; spread > 0.
    """

    mean: np.ndarray
    whitening: np.ndarray
    centre: float
    spread: float

    def score(self, averaged: np.ndarray) -> np.ndarray:
        """float32[N,C] averaged features to float[N] in [0,1], as the served graph does.

        One half lies LIMIT deviations beyond the validation films' mean.
        """
        far = np.log(self.distance(averaged) + TINY)
        return special.expit(2 * (LIMIT - (far - self.centre) / self.spread))

    def distance(self, averaged: np.ndarray) -> np.ndarray:
        """The Mahalanobis distance, float[N], >= 0."""
        return np.linalg.norm((averaged - self.mean) @ self.whitening, axis=1)


def fit(train: np.ndarray, val: np.ndarray) -> Familiarity:
    """Learns what films look like from the training split, and how far they lie from the other.

    Args:
        train: float32[N,C], the trunk's outputs averaged over each film.
        val: float32[M,C], the same of the validation split.
    """
    covariance, _ = ledoit_wolf(train)
    # A feature that never fires has no variance; the least trace of it would be infinitely far.
    covariance[np.diag_indices_from(covariance)] += 1e-3 * np.trace(covariance) / len(covariance)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))
    uncentred = Familiarity(
        train.mean(axis=0).astype(np.float32), whitening.astype(np.float32), 0.0, 1.0
    )
    far = np.log(uncentred.distance(val) + TINY)
    return Familiarity(
        uncentred.mean, uncentred.whitening, float(far.mean()), max(float(far.std()), 1e-2)
    )
