"""Ingest and preprocessing as one tf.data loop: `python -m benchmarks.peers.tfdata_ingest`.

The same arithmetic as the product's ExampleGen, Transform and Augmenter (its own image functions),
without patients, ledger, statistics, schema or cache. Prints `begun` after its imports and `done`
at the end.
"""

import argparse
import functools
import hashlib
from pathlib import Path

import tensorflow as tf

from components.image import prepare
from components.image.augment import augment
from components.image.settings import AugmentConfig, ImageConfig

_BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.processes)
    tf.config.threading.set_inter_op_parallelism_threads(options.processes)
    options.target.mkdir(parents=True)
    print("begun", flush=True)
    paths = sorted(str(path) for path in options.data.rglob("*.jp*g"))
    change = tf.function(
        functools.partial(augment, config=AugmentConfig(), prepared=ImageConfig()),
        reduce_retracing=True,
    )
    films = (
        tf.data.Dataset.from_tensor_slices(paths)
        .map(read, num_parallel_calls=options.processes)
        .batch(_BATCH)
        .prefetch(1)
    )
    written = 0
    raw = tf.io.TFRecordWriter(str(options.target / "raw.gz"), "GZIP")
    prepared = tf.io.TFRecordWriter(str(options.target / "prepared.gz"), "GZIP")
    augmented = tf.io.TFRecordWriter(str(options.target / "augmented.gz"), "GZIP")
    with raw, prepared, augmented:
        for contents, images in films:
            seeds = tf.stack([tf.range(len(contents)), tf.fill([len(contents)], written)], 1)
            changed = change(images, seeds)
            for content, image, other in zip(contents.numpy(), images, changed, strict=True):
                digest = hashlib.sha256(content).hexdigest().encode()
                raw.write(example(content, digest))
                prepared.write(example(png(image), digest))
                augmented.write(example(png(other), digest))
                written += 1
    print("done", written, flush=True)


def read(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    content = tf.io.read_file(path)
    return content, prepare.prepare(content, ImageConfig())


def png(image: tf.Tensor) -> bytes:
    return tf.io.encode_png(image[..., None]).numpy()


def example(image: bytes, digest: bytes) -> bytes:
    values = {"image": image, "sha256": digest}
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


if __name__ == "__main__":
    main()
