"""TensorFlow, started without what it says of a GPU that is not there."""

import os
from pathlib import Path

from pipeline.progress import compiled_code_writes_to


def start_tensorflow() -> None:
    """Imports TensorFlow and lets it look for devices; what compiled code prints meanwhile is lost.

    TF_CPP_MIN_LOG_LEVEL does not help: TensorFlow 2.21 says these lines before it reads it.
    """
    with compiled_code_writes_to(Path(os.devnull)):
        import tensorflow as tf

        tf.config.list_physical_devices()
