"""A random choice that hardly any further candidate changes: old films' versions stay as they are.

Rendezvous hashing: D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates",
1998; the mixing is that of Vigna's SplitMix64.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

_MIX: Final = tuple(np.uint64(x) for x in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class Candidates:
    """Images to pick from, each with what tells it apart whatever stands beside it.

    Attributes:
        images: uint8[N,...].
        marks: uint64[N].
    """

    images: np.ndarray
    marks: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray) -> "Candidates":
        """Marks uint8[N,...] by their pixels."""
        digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
        marks = [int.from_bytes(digest[:8], "big") for digest in digests]
        return cls(images, np.array(marks, np.uint64))

    def pick(self, draw: np.random.Generator) -> int:
        """Picks one, each as likely; where some are added, one of them or the same as before.

        Args:
            draw: decides.

        Returns:
            The position of the one; there must be one at least.
        """
        mixed = self.marks ^ np.uint64(draw.integers(2**63))
        for factor in _MIX:
            mixed = (mixed ^ (mixed >> np.uint64(30))) * factor
        return int(np.argmax(mixed ^ (mixed >> np.uint64(31))))
