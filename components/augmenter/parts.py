"""A shuffle through files: records go to the part that their hash names, and are sorted there.

So an order without class blocks costs the memory of one part, where a shuffle on Beam's direct
runner would hold every image at once.
"""

import hashlib
import heapq
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import apache_beam as beam
import tensorflow as tf

from components import names
from components.augmenter.plan import number_repeats

DONORS: Final = 512  # films whose outside others get; all workers hold them


@dataclass(frozen=True)
class TransformedExample:
    """One transformed example, keyed by its image and label."""

    key: str
    label: int
    image_png: bytes
    example: bytes


class CopyToParts(beam.DoFn):
    """Copies one file's records to its piece of each part; yields (label, identity).

    The file's first DONORS by identity go to a piece of their own, too.

    Args:
        folder: where the parts are written.
        count: of parts.
    """

    def __init__(self, folder: str, count: int) -> None:
        self._folder = folder
        self._count = count

    def process(self, file: str) -> Iterator[tuple[int, str]]:
        """Beam calls it with the path of a gzipped TFRecord file; a repeated call overwrites."""
        name = hashlib.sha256(file.encode()).hexdigest()
        unfinished = [scratch_file(self._folder) for _ in range(self._count)]
        pieces = [tf.io.TFRecordWriter(path) for path in unfinished]
        first: list[tuple[str, bytes]] = []
        for serialized in tf.data.TFRecordDataset(file, "GZIP").as_numpy_iterator():
            label, image_png = _label_and_image(serialized)
            identity = _identity(label, image_png)
            pieces[int(identity[:8], 16) % self._count].write(serialized)
            first = heapq.nsmallest(DONORS, [*first, (identity, image_png)])
            yield label, identity
        for part, (piece, path) in enumerate(zip(pieces, unfinished, strict=True)):
            piece.close()
            tf.io.gfile.rename(path, f"{self._folder}/{part:05d}-{name}", overwrite=True)
        donors = scratch_file(self._folder)
        with tf.io.TFRecordWriter(donors) as piece:
            for _, image_png in first:
                piece.write(image_png)
        tf.io.gfile.rename(donors, f"{self._folder}/donors-{name}", overwrite=True)


def scratch_file(folder: str) -> str:
    """A new name in the folder of parts, of no part: for a file that is renamed when it is whole.

    A runner that gave a worker up repeats its work elsewhere, while the first may still be writing.
    """
    return f"{folder}/unfinished-{uuid.uuid4().hex}"


def read(folder: str, part: int) -> list[TransformedExample]:
    """One part's records, sorted by key; repeats of an image are numbered.

    Args:
        folder: where CopyToParts wrote the parts.
        part: the part's number, from 0.
    """
    found: list[tuple[str, int, bytes, bytes]] = []
    pieces = sorted(tf.io.gfile.glob(f"{folder}/{part:05d}-*"))
    for serialized in tf.data.TFRecordDataset(pieces).as_numpy_iterator():
        label, image_png = _label_and_image(serialized)
        found.append((_identity(label, image_png), label, image_png, serialized))
    found.sort()
    keys = number_repeats(identity for identity, *_ in found)
    return [
        TransformedExample(key, label, image_png, example)
        for key, (_, label, image_png, example) in zip(keys, found, strict=True)
    ]


def read_donors(folder: str) -> list[bytes]:
    """PNGs of the split's first DONORS films by hash: a mixture of both classes, in that order."""
    pieces = tf.io.gfile.glob(f"{folder}/donors-*")
    images = tf.data.TFRecordDataset(pieces).as_numpy_iterator()
    return sorted(set(images), key=lambda png: hashlib.sha256(png).digest())[:DONORS]


def _identity(label: int, image_png: bytes) -> str:
    return f"{hashlib.sha256(image_png).hexdigest()}-{label}"


def _label_and_image(serialized: bytes) -> tuple[int, bytes]:
    values = tf.train.Example.FromString(serialized).features.feature
    return (
        values[names.LABEL].int64_list.value[0],
        values[names.IMAGE_PNG].bytes_list.value[0],
    )
