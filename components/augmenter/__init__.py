"""Augmented copies of training images, as a TFX component."""

from components.augmenter.component import Augmenter, ContactSheet

__all__ = ["Augmenter", "ContactSheet"]
