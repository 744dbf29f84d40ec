"""TensorFlow, started without what it says of a GPU that is not there."""

import os
import sys

_STDERR = 2  # the file descriptor, which is all that compiled code knows


def start_tensorflow() -> None:
    """Imports TensorFlow and lets it look for devices; what is printed meanwhile is lost.

    TF_CPP_MIN_LOG_LEVEL does not help: TensorFlow 2.21 says these lines before it reads it.
    """
    kept, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
    sys.stderr.flush()
    os.dup2(nowhere, _STDERR)
    try:
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        sys.stderr.flush()
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)
