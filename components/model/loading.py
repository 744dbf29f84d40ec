"""Loads a version's SavedModel, or says in one line why it cannot be."""

from pathlib import Path
from typing import Any

import tensorflow as tf


class DamagedModelError(RuntimeError):
    """A SavedModel that cannot be loaded; the message names it, the cause and the remedy."""


def load(saved_model: Path) -> Any:
    """Loads a SavedModel that may have been damaged since it was published.

    Args:
        saved_model: its folder.

    Raises:
        DamagedModelError: TensorFlow cannot load it.
    """
    try:
        return tf.saved_model.load(str(saved_model))
    except (OSError, ValueError, LookupError, tf.errors.OpError) as error:
        cause = str(error).partition("\n")[0]
        raise DamagedModelError(
            f"{saved_model}: cannot be loaded ({cause}); put a copy back, or serve another version"
        ) from error
