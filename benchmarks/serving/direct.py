"""The yardstick: a process that calls the SavedModel directly, on request over standard input.

Started with the SavedModel and an image file. Prints a line once it has answered for the first
time, then answers each line `signature count` with the seconds that so many calls took.
"""

import sys
import time
from pathlib import Path

import tensorflow as tf

if __name__ == "__main__":
    signatures = tf.saved_model.load(sys.argv[1]).signatures
    image = tf.constant([Path(sys.argv[2]).read_bytes()])
    signatures["predict_image"](image)
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        start = time.perf_counter()
        for _ in range(int(count)):
            outputs = signatures[name](image)
            {key: value.numpy() for key, value in outputs.items()}
        print(time.perf_counter() - start, flush=True)
