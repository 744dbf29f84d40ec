"""A shuffle through files: records go to the part that their hash names, and are sorted there.

So an order without class blocks costs the memory of one part, where a shuffle on Beam's direct
runner would hold every image at once.
"""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import tensorflow as tf

from components import names
from components.augmenter.plan import number_repeats


@dataclass(frozen=True)
class Record:
    """One transformed example, keyed by its image and label."""

    key: str
    label: int
    image_png: bytes
    example: bytes


class Split(beam.DoFn):
    """Copies one file's records to its piece of each part; yields (label, identity)."""

    def __init__(self, folder: str, count: int) -> None:
        self._folder = folder
        self._count = count

    def process(self, file: str) -> Iterator[tuple[int, str]]:
        """Beam calls it with the path of a gzipped TFRecord file; a repeated call overwrites."""
        name = hashlib.sha256(file.encode()).hexdigest()
        unfinished = [scratch_file(self._folder) for _ in range(self._count)]
        pieces = [tf.io.TFRecordWriter(path) for path in unfinished]
        for serialized in tf.data.TFRecordDataset(file, "GZIP").as_numpy_iterator():
            label, image_png = _label_and_image(serialized)
            identity = _identity(label, image_png)
            pieces[int(identity[:8], 16) % self._count].write(serialized)
            yield label, identity
        for part, (piece, path) in enumerate(zip(pieces, unfinished, strict=True)):
            piece.close()
            tf.io.gfile.rename(path, f"{self._folder}/{part:05d}-{name}", overwrite=True)


def scratch_file(folder: str) -> str:
    """A new name in the folder of parts, of no part: for a file that is renamed when it is whole.

    A runner that gave a worker up repeats its work elsewhere, while the first may still be writing.
    """
    return f"{folder}/unfinished-{uuid.uuid4().hex}"


def read(folder: str, part: int) -> list[Record]:
    """One part's records, sorted by key; repeats of an image are numbered."""
    found: list[tuple[str, int, bytes, bytes]] = []
    pieces = sorted(tf.io.gfile.glob(f"{folder}/{part:05d}-*"))
    for serialized in tf.data.TFRecordDataset(pieces).as_numpy_iterator():
        label, image_png = _label_and_image(serialized)
        found.append((_identity(label, image_png), label, image_png, serialized))
    found.sort()
    keys = number_repeats(identity for identity, *_ in found)
    return [
        Record(key, label, image_png, example)
        for key, (_, label, image_png, example) in zip(keys, found, strict=True)
    ]


def _identity(label: int, image_png: bytes) -> str:
    return f"{hashlib.sha256(image_png).hexdigest()}-{label}"


def _label_and_image(serialized: bytes) -> tuple[int, bytes]:
    values = tf.train.Example.FromString(serialized).features.feature
    return (
        values[names.LABEL].int64_list.value[0],
        values[names.IMAGE_PNG].bytes_list.value[0],
    )
