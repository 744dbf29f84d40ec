"""Films as a request log tells of them, drawn without pictures."""

import numpy as np
from scipy import special

from components.monitoring.sample import Sample

CHANNELS = 64


def draw(count: int, seed: int, *, sick: float = 0.5, look: float = 0.0, worse: float = 0.0):
    """A sample and its labels.

    `sick`: share of sick films; `look`: how far the features moved; `worse`: what sick logits
    lost.
    """
    random = np.random.default_rng(seed)
    labels = random.random(count) < sick
    logit = random.normal(np.where(labels, 4.0 - worse, -4.0), 2.0)
    features = random.normal(size=(count, CHANNELS)) @ _MIXING + look
    features[:, 0] += labels
    return (
        Sample(
            time=1_700_000_000 + 3600.0 * np.arange(count),
            hashes=tuple(f"{seed}-{place}" for place in range(count)),
            instances=("",) * count,
            probability=special.expit(logit),
            called=logit >= 0,
            quality=random.beta(20, 1, count),
            familiarity=random.beta(20, 1, count),
            features=np.maximum(features, 0).astype(np.float32),
        ),
        labels,
    )


_MIXING = np.random.default_rng(0).normal(size=(CHANNELS, CHANNELS)) / 8
