"""What lies outside the lungs, exchanged between films: so it tells nothing of the diagnosis."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import tensorflow as tf
from scipy import ndimage

from components.image.lung_network import lung_fields, lungs_found

_BATCH = 16
_FEATHER = 0.015  # of the side: deviation of the blur at the seam
_REACH = 2.0  # deviations of it; a lung is kept so far beyond its edge, and there the seam ends


@dataclass(frozen=True)
class Films:
    """Prepared films with their lungs, in an order of their own.

    Attributes:
        images: uint8[N,S,S].
        lungs: bool[N,S,S].
        found: bool[N], whether there are two lungs.
    """

    images: np.ndarray
    lungs: np.ndarray
    found: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray) -> "Films":
        """Finds the lungs of uint8[N,S,S]."""
        find = _finder(images.shape[1])
        starts = range(0, len(images), _BATCH)
        parts = [find(tf.constant(images[start : start + _BATCH])) for start in starts]
        masks, found = (np.concatenate(part) for part in zip(*parts, strict=True))
        return cls(images, masks > 0.5, found)

    def judged(self) -> "Films":
        """Those with two lungs."""
        return Films(self.images[self.found], self.lungs[self.found], self.found[self.found])


@cache
def _finder(size: int) -> tf.types.experimental.GenericFunction:
    """uint8[N,size,size] to lung fields and whether there are two of them, compiled once."""

    @tf.function(input_signature=[tf.TensorSpec([None, size, size], tf.uint8)], autograph=False)
    def find(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        masks = lung_fields(tf.cast(images, tf.float32))
        return masks, lungs_found(masks)

    return find


def swap(
    image: np.ndarray, lungs: np.ndarray, other: np.ndarray, others_lungs: np.ndarray
) -> np.ndarray:
    """The film with another's surroundings: both films' lungs are left as they are in the first.

    Args:
        image, other: uint8[S,S].
        lungs, others_lungs: bool[S,S].

    Returns:
        uint8[S,S]; within the lungs it equals `image`, and the seam around them is soft.
    """
    outside = beyond(lungs | others_lungs)
    mixed = image + outside * (other.astype(np.float32) - image)
    return np.round(mixed).astype(np.uint8)


def beyond(lungs: np.ndarray) -> np.ndarray:
    """How far outside the lungs, bool[S,S], each place is: float32[S,S], 0 in them, 1 away."""
    sigma = _FEATHER * len(lungs)
    reach = int(np.ceil(_REACH * sigma))
    wide = ndimage.maximum_filter(lungs, 2 * reach + 1).astype(np.float32)
    return 1 - ndimage.gaussian_filter(wide, sigma, truncate=reach / sigma)
