"""Finds pictures that look alike though their bytes differ."""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
BANDS = 8  # of 32 bits each
MAX_DISTANCE = BANDS - 1  # bits of 256: such a pair has at least one band in common
_LARGEST_BAND_GROUP = 100


def difference_hash(data: bytes) -> str:
    """Hashes a picture by where it brightens to the right, once scaled to 17 x 16 grey pixels.

    Copies that were resized or compressed again differ in up to 8 of the 256 bits, different films
    of the public set in 19 and more.

    Args:
        data: an encoded image that Pillow reads.

    Returns:
        64 hexadecimal digits.

    Source:
        N. Krawetz, "Kind of Like That" (dHash), 2013.
    """
    image = Image.open(io.BytesIO(data))
    image.draft("L", (8 * SIDE, 8 * SIDE))  # a JPEG decodes at a fraction of its size
    small = image.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()


def pairs(hashes: Sequence[str], splits: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Finds pictures of different splits whose hashes are at most MAX_DISTANCE bits apart.

    Memory grows with the number of pictures, time hardly faster: only those that share 32 bits are
    compared, and not where more than 100 share them (blank pictures, say).

    Args:
        hashes: of `difference_hash`, one a picture.
        splits: each picture's split, by any names.

    Yields:
        The two positions of each pair, the lower first; no pair twice.
    """
    if not hashes:
        return
    bands = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint32).reshape(-1, BANDS)
    seen: set[tuple[int, int]] = set()
    for band in range(BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        edges = np.flatnonzero(np.diff(bands[order, band])) + 1
        for alike in np.split(order, edges):
            if 1 < len(alike) <= _LARGEST_BAND_GROUP:
                for pair in _close(alike, bands, splits):
                    if pair not in seen:
                        seen.add(pair)
                        yield pair


def _close(
    alike: NDArray[np.intp], bands: NDArray[np.uint32], splits: Sequence[str]
) -> Iterator[tuple[int, int]]:
    for offset, first in enumerate(alike[:-1]):
        others = alike[offset + 1 :]
        distances = np.bitwise_count(bands[others] ^ bands[first]).sum(axis=1)
        for second in others[distances <= MAX_DISTANCE]:
            if splits[first] != splits[second]:
                yield (int(min(first, second)), int(max(first, second)))
