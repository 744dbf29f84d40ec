"""From one part of the training split to one shard of the augmented one."""

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import tensorflow as tf

from components import names
from components.augmenter import parts
from components.augmenter.plan import Plan, is_drawn
from components.image.augment import augment, image_seed
from components.image.settings import AugmentConfig, ImageConfig

_BATCH = 64

Augment = Callable[[Sequence[bytes], Sequence[tuple[int, int]]], np.ndarray]


@dataclass(frozen=True)
class Augmentation:
    """How images are augmented: strengths, the options they were prepared with, seed."""

    config: AugmentConfig
    prepared: ImageConfig
    seed: int

    def compiled(self) -> Augment:
        """A function from PNGs (one size) and their seeds to augmented images, uint8[N,S,S]."""
        function = tf.function(
            functools.partial(augment, config=self.config, prepared=self.prepared),
            reduce_retracing=True,
        )

        def apply(pngs: Sequence[bytes], seeds: Sequence[tuple[int, int]]) -> np.ndarray:
            images = np.stack([decode(png) for png in pngs])
            return function(tf.constant(images), tf.constant(seeds, tf.int32)).numpy()

        return apply


class WriteShard(beam.DoFn):
    """Augments one part's records as planned and writes them, sorted by hash, as one shard."""

    def __init__(self, scratch: str, target: str, count: int, augmentation: Augmentation) -> None:
        self._scratch = scratch
        self._target = target
        self._count = count
        self._how = augmentation

    def setup(self) -> None:
        """Beam calls it once for each worker."""
        self._augment = self._how.compiled()

    def process(self, part: int, plan: Plan) -> Iterator[int]:
        """Beam calls it with the number of a part; a repeated call overwrites."""
        records = parts.read(self._scratch, part)
        # In their final order from the start, so that no more than a batch is held augmented.
        rows = sorted(
            (_place(record.key, copy), number, copy)
            for number, record in enumerate(records)
            for copy in range(
                self._how.config.versions * (plan.copies_of(record.label, record.key) + 1)
            )
        )
        name = f"augmented_examples-{part:05d}-of-{self._count:05d}.gz"
        unfinished = parts.scratch_file(self._scratch)
        with tf.io.TFRecordWriter(unfinished, "GZIP") as shard:
            for start in range(0, len(rows), _BATCH):
                batch = [(records[n], copy) for _, n, copy in rows[start : start + _BATCH]]
                for example in self._examples(batch):
                    shard.write(example)
        tf.io.gfile.rename(unfinished, f"{self._target}/{name}", overwrite=True)
        yield len(rows)

    def _examples(self, batch: Sequence[tuple[parts.Record, int]]) -> Iterator[bytes]:
        """Each record's example, with another image where the copy is a changed one."""
        changed = [self._is_changed(record, copy) for record, copy in batch]
        jobs = list(itertools.compress(batch, changed))
        seeds = [image_seed(self._how.seed, record.key, copy) for record, copy in jobs]
        pngs = [record.image_png for record, _ in jobs]
        images = iter(self._augment(pngs, seeds) if jobs else ())
        for (record, _), is_changed in zip(batch, changed, strict=True):
            yield _with_image(record.example, next(images)) if is_changed else record.example

    def _is_changed(self, record: parts.Record, copy: int) -> bool:
        return copy > 0 or is_drawn(self._how.seed, record.key, self._how.config.originals)


def decode(image_png: bytes) -> np.ndarray:
    """A grey PNG's pixels, uint8[S,S]."""
    return tf.io.decode_png(image_png, channels=1)[..., 0].numpy()


def _place(key: str, copy: int) -> str:
    """Where a row stands in its shard: by a hash, so that copies do not follow their original."""
    return hashlib.sha256(f"{key}/{copy}".encode()).hexdigest()


def _with_image(serialized: bytes, image: np.ndarray) -> bytes:
    example = tf.train.Example.FromString(serialized)
    image_png = tf.io.encode_png(image[..., None]).numpy()
    example.features.feature[names.IMAGE_PNG].bytes_list.value[0] = image_png
    return example.SerializeToString(deterministic=True)
