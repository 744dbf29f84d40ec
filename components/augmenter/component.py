"""Augmenter's work, on Beam: images travel through files, only their keys are shuffled."""

import json
import math

import apache_beam as beam
import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import (
    BeamComponentParameter,
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import Examples
from tfx.utils import io_utils

from components import names
from components.augmenter import parts, sheets
from components.augmenter.plan import make_plan
from components.augmenter.shards import VAL_KINDS, Augmentation, WriteShard
from components.image.settings import AugmentConfig, ImageConfig

_PART_BYTES = 16 * 2**20  # of input; a part is sorted in memory
_MOST_PARTS = 400  # each is a file that CopyToParts holds open; many systems allow 1,024


class ContactSheet(Artifact):
    """`augmentation.png` and `segmentation.png`: pictures for people to look at."""

    TYPE_NAME = "pneumonia.ContactSheet"  # Kubeflow wants namespace.Name


@component(use_beam=True)
def Augmenter(  # noqa: N802 - the step's name
    examples: InputArtifact[Examples],
    augmented_examples: OutputArtifact[Examples],
    contact_sheet: OutputArtifact[ContactSheet],
    augment_config: Parameter[str],
    image_config: Parameter[str],
    seed: Parameter[int],
    code_version: Parameter[str],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Writes changed versions of the training films, and of the validation films where asked for.

    What comes out depends on the images, the configuration and the seed alone, not on the order of
    the records or the number of workers.

    Args:
        examples: transformed examples, `image_png` and `label`, with the splits train and val.
        augmented_examples: the splits train (the originals, of which a share may be augmented
            themselves, their further versions and the copies, in an order without class blocks)
            and val (copied byte for byte); with `val_looks` also those of `names.VAL_LOOKS`.
        contact_sheet: shows what was done.
        augment_config: AugmentConfig's fields as JSON.
        image_config: ImageConfig's fields as JSON, as Transform used them.
        seed: decides every draw.
        code_version: fingerprint of the sources; part of the cache key.
        beam_pipeline: TFX makes it.
    """
    augmentation = Augmentation(
        AugmentConfig(**json.loads(augment_config)), ImageConfig(**json.loads(image_config)), seed
    )
    looks = VAL_KINDS if augmentation.config.val_looks else {}
    augmented_examples.split_names = artifact_utils.encode_split_names(
        [names.TRAIN, names.VAL, *looks]
    )
    examples_utils.set_payload_format(
        augmented_examples, examples_utils.get_payload_format(examples)
    )
    train, val = (artifact_utils.get_split_uri([examples], name) for name in names.SPLITS[:2])
    targets = {
        name: artifact_utils.get_split_uri([augmented_examples], name)
        for name in (names.TRAIN, names.VAL, *looks)
    }
    io_utils.copy_dir(val, targets[names.VAL])
    scratch = {name: f"{augmented_examples.uri}/.parts-{name}" for name in names.SPLITS[:2]}
    for folder in (*scratch.values(), *targets.values()):
        tf.io.gfile.makedirs(folder)
    with beam_pipeline as pipeline:
        count, images = _split(pipeline, names.TRAIN, train, scratch[names.TRAIN])
        plan = images | "Plan" >> beam.Map(make_plan, augmentation.config.balance)
        shard = WriteShard(scratch[names.TRAIN], targets[names.TRAIN], count, augmentation)
        _write(pipeline, names.TRAIN, count, shard, plan)
        if looks:
            count, images = _split(pipeline, names.VAL, val, scratch[names.VAL])
            none = images | "NoPlan" >> beam.Map(lambda _: None)
            for look, kind in looks.items():
                folder = scratch[names.VAL]
                shard = WriteShard(folder, targets[look], count, augmentation, kind)
                _write(pipeline, look, count, shard, none)
    sheets.write(contact_sheet.uri, scratch[names.TRAIN], augmentation)
    for folder in scratch.values():
        tf.io.gfile.rmtree(folder)


def _split(
    pipeline: beam.Pipeline, split: str, source: str, scratch: str
) -> tuple[int, beam.PCollection]:
    """Parts a split; returns the number of parts and one list of all (label, identity)."""
    files = sorted(tf.io.gfile.glob(f"{source}/*"))
    size = sum(tf.io.gfile.stat(file).length for file in files)
    count = min(max(1, math.ceil(size / _PART_BYTES)), _MOST_PARTS)
    images = (
        pipeline
        | f"Files of {split}" >> beam.Create(files)
        | f"Spread files of {split}" >> beam.Reshuffle()
        | f"Split {split}" >> beam.ParDo(parts.CopyToParts(scratch, count))
        | f"Gather {split}" >> beam.combiners.ToList()
    )
    return count, images


def _write(
    pipeline: beam.Pipeline, split: str, count: int, shard: WriteShard, plan: beam.PCollection
) -> None:
    # The plan needs all images, so every part is whole before the first one is read.
    _ = (
        pipeline
        | f"Parts of {split}" >> beam.Create(range(count))
        | f"Spread parts of {split}" >> beam.Reshuffle()
        | f"Write {split}" >> beam.ParDo(shard, plan=beam.pvalue.AsSingleton(plan))
    )
