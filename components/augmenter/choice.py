"""A random choice that hardly any further candidate changes: old films' versions stay as they are.

Rendezvous hashing: D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates",
1998; the mixing is that of Vigna's SplitMix64.
"""

import hashlib
from typing import Final

import numpy as np

_MIX: Final = tuple(np.uint64(x) for x in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def marks(images: np.ndarray) -> np.ndarray:
    """What tells images apart, whatever stands beside them: uint64[N] of uint8[N,...]."""
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    return np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)


def pick(candidates: np.ndarray, draw: np.random.Generator) -> int:
    """Picks one, each as likely; where candidates are added, one of them or the same as before.

    Args:
        candidates: their marks, uint64[N], N at least 1.
        draw: decides.

    Returns:
        The position of the one.
    """
    mixed = candidates ^ np.uint64(draw.integers(2**63))
    for factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(30))) * factor
    return int(np.argmax(mixed ^ (mixed >> np.uint64(31))))
