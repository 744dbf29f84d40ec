"""From one part of the training split to one shard of the augmented one."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import tensorflow as tf

from components.augmenter import parts
from components.augmenter.plan import Plan, is_drawn
from pipeline import features
from pipeline.augmentation import augment, image_seed
from pipeline.config import AugmentConfig, ImageConfig

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
        drawn = {
            record.key
            for record in records
            if is_drawn(self._how.seed, record.key, self._how.config.originals)
        }
        jobs = [
            (record, copy)
            for record in records
            for copy in range(
                self._how.config.versions * (plan.copies_of(record.label, record.key) + 1)
            )
            if copy > 0 or record.key in drawn
        ]
        rows = [(_place(r.key, 0), r.example) for r in records if r.key not in drawn]
        for start in range(0, len(jobs), _BATCH):
            batch = jobs[start : start + _BATCH]
            seeds = [image_seed(self._how.seed, record.key, copy) for record, copy in batch]
            images = self._augment([record.image_png for record, _ in batch], seeds)
            for (record, copy), image in zip(batch, images, strict=True):
                rows.append((_place(record.key, copy), _with_image(record.example, image)))
        rows.sort()
        name = f"augmented_examples-{part:05d}-of-{self._count:05d}.gz"
        unfinished = parts.scratch_file(self._scratch)
        with tf.io.TFRecordWriter(unfinished, "GZIP") as shard:
            for _, example in rows:
                shard.write(example)
        tf.io.gfile.rename(unfinished, f"{self._target}/{name}", overwrite=True)
        yield len(rows)


def decode(image_png: bytes) -> np.ndarray:
    """A grey PNG's pixels, uint8[S,S]."""
    return tf.io.decode_png(image_png, channels=1)[..., 0].numpy()


def _place(key: str, copy: int) -> str:
    """Where a row stands in its shard: by a hash, so that copies do not follow their original."""
    return hashlib.sha256(f"{key}/{copy}".encode()).hexdigest()


def _with_image(serialized: bytes, image: np.ndarray) -> bytes:
    example = tf.train.Example.FromString(serialized)
    image_png = tf.io.encode_png(image[..., None]).numpy()
    example.features.feature[features.IMAGE_PNG].bytes_list.value[0] = image_png
    return example.SerializeToString(deterministic=True)
