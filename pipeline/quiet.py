"""What compiled code prints: it knows only standard error's descriptor, not Python's sys.stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STDERR = 2  # the file descriptor


@contextmanager
def standard_error_goes_to(path: Path) -> Iterator[int]:
    """Points standard error's descriptor to a file; gives the descriptor of where it led before."""
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    with path.open("ab") as file:
        os.dup2(file.fileno(), _STDERR)
    try:
        yield kept
    finally:
        sys.stderr.flush()
        os.dup2(kept, _STDERR)
        os.close(kept)


def start_tensorflow() -> None:
    """Imports TensorFlow and lets it look for GPUs; what is printed meanwhile is lost.

    TF_CPP_MIN_LOG_LEVEL does not help: TensorFlow 2.21 says these lines before it reads it.
    """
    with standard_error_goes_to(Path(os.devnull)):
        import tensorflow as tf

        tf.config.list_physical_devices()
