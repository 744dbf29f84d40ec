"""Predicts a split in a plain loop: `python -m benchmarks.peers.predict MODEL SPLIT`.

Prints the seconds from loading the SavedModel to the last answer.
"""

import sys
import time
from pathlib import Path

import tensorflow as tf

_BATCH = 16

if __name__ == "__main__":
    began = time.perf_counter()
    signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
    files = sorted(str(path) for path in Path(sys.argv[2]).iterdir())
    for records in tf.data.TFRecordDataset(files, "GZIP").batch(_BATCH):
        signature(records)["probability"].numpy()
    print(time.perf_counter() - began)
