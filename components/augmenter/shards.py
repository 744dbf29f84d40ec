"""From one part of a split to one shard of the augmented one."""

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import apache_beam as beam
import numpy as np
import tensorflow as tf

from components import names
from components.augmenter import objects, outside, parts
from components.augmenter.choice import Candidates
from components.augmenter.plan import Plan, is_drawn
from components.image.augment import augment, image_seed
from components.image.settings import AugmentConfig, ImageConfig

_BATCH = 64

# From PNGs of one size and their seeds to changed images, uint8[N,S,S].
Change = Callable[[Sequence[bytes], Sequence[tuple[int, int]]], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """What is changed.

    outside, objects: the share of films whose outside is swapped, on which objects are laid.
    look: whether place, sharpness, exposure and noise are changed, too.
    """

    outside: float
    objects: float
    look: bool


VAL_KINDS: Final = dict(
    zip(names.VAL_LOOKS, (Kind(0, 0, True), Kind(1, 0.5, False), Kind(1, 0.5, True)), strict=True)
)


@dataclass(frozen=True)
class Augmentation:
    """How images are augmented: strengths, the options they were prepared with, seed."""

    config: AugmentConfig
    prepared: ImageConfig
    seed: int

    @property
    def kind(self) -> Kind:
        """Of the training films' changed versions."""
        return Kind(self.config.outside, self.config.objects, look=True)

    def changer(self, kind: Kind, donors: Iterable[bytes] = ()) -> Change:
        """A function that changes films.

        Args:
            kind: what it changes.
            donors: PNGs of films, whose outside and markers others get.
        """
        surround = _surrounder(kind, [decode(png) for png in donors])
        relook = tf.function(
            functools.partial(augment, config=self.config, prepared=self.prepared),
            reduce_retracing=True,
        )

        def change(pngs: Sequence[bytes], seeds: Sequence[tuple[int, int]]) -> np.ndarray:
            images = surround(np.stack([decode(png) for png in pngs]), seeds)
            if not kind.look:
                return images
            return relook(tf.constant(images), tf.constant(seeds, tf.int32)).numpy()

        return change


def _surrounder(
    kind: Kind, donors: Sequence[np.ndarray]
) -> Callable[[np.ndarray, Sequence[tuple[int, int]]], np.ndarray]:
    """Swaps outsides and lays objects; a film without two lungs keeps its outside."""
    if not (kind.outside or kind.objects) or not donors:
        return lambda images, seeds: images
    others = outside.Films.of(np.stack(donors))
    patches = Candidates.of(objects.corners(others.images))
    others = others.judged()
    candidates = Candidates.of(others.images)

    def surround(images: np.ndarray, seeds: Sequence[tuple[int, int]]) -> np.ndarray:
        films = outside.Films.of(images)
        changed = []
        for image, lungs, found, seed in zip(images, films.lungs, films.found, seeds, strict=True):
            draw = np.random.default_rng(np.array(seed, np.int32).view(np.uint32))
            swapped, laid = draw.random(2) < (kind.outside, kind.objects)
            if swapped and found and len(others.images):
                other = candidates.pick(draw)
                image = outside.swap(image, lungs, others.images[other], others.lungs[other])
            changed.append(objects.lay(image, patches, draw) if laid else image)
        return np.stack(changed)

    return surround


class WriteShard(beam.DoFn):
    """Augments one part's records and writes them, sorted by hash, as one shard.

    Args:
        scratch: where the parts are.
        target: folder of the split.
        count: number of parts.
        augmentation: how images are augmented.
        kind: what is changed; of the training films as configured.
    """

    def __init__(
        self,
        scratch: str,
        target: str,
        count: int,
        augmentation: Augmentation,
        kind: Kind | None = None,
    ) -> None:
        self._scratch = scratch
        self._target = target
        self._count = count
        self._how = augmentation
        self._kind = kind or augmentation.kind

    def setup(self) -> None:
        """Beam calls it once for each worker."""
        self._change: Change | None = None

    def process(self, part: int, plan: Plan | None) -> Iterator[int]:
        """Beam calls it with the number of a part; a repeated call overwrites.

        plan: how often each film comes; None: once, changed.
        """
        if self._change is None:  # the donors are there when the first part is
            self._change = self._how.changer(self._kind, parts.read_donors(self._scratch))
        records = parts.read(self._scratch, part)
        # In their final order from the start, so that no more than a batch is held augmented.
        rows = sorted(
            (_place(record.key, copy), number, copy)
            for number, record in enumerate(records)
            for copy in self._copies(record, plan)
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

    def _copies(self, record: parts.TransformedExample, plan: Plan | None) -> range:
        if plan is None:
            return range(1, 2)
        return range(self._how.config.versions * (plan.copies_of(record.label, record.key) + 1))

    def _examples(self, batch: Sequence[tuple[parts.TransformedExample, int]]) -> Iterator[bytes]:
        """Each record's example, with another image where the copy is a changed one."""
        changed = [self._is_changed(record, copy) for record, copy in batch]
        jobs = list(itertools.compress(batch, changed))
        seeds = [image_seed(self._how.seed, record.key, copy) for record, copy in jobs]
        pngs = [record.image_png for record, _ in jobs]
        images = iter(self._change(pngs, seeds) if jobs and self._change else ())
        for (record, _), is_changed in zip(batch, changed, strict=True):
            yield _with_image(record.example, next(images)) if is_changed else record.example

    def _is_changed(self, record: parts.TransformedExample, copy: int) -> bool:
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
