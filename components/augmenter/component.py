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
from components.augmenter.shards import Augmentation, WriteShard
from components.image.settings import AugmentConfig, ImageConfig

_PART_BYTES = 16 * 2**20  # of input; a part is sorted in memory
_MOST_PARTS = 400  # each is a file that Split holds open; many systems allow 1,024


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
    """Evens out the classes of the training split by augmented copies of the minority.

    What comes out depends on the images, the configuration and the seed alone, not on the order of
    the records or the number of workers.

    Args:
        examples: transformed examples, `image_png` and `label`, with the splits train and val.
        augmented_examples: the splits train (the originals, of which a share may be augmented
            themselves, their further versions and the copies, in an order without class blocks)
            and val (copied byte for byte).
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
    augmented_examples.split_names = artifact_utils.encode_split_names([names.TRAIN, names.VAL])
    augmented_examples.span = examples.span
    examples_utils.set_payload_format(
        augmented_examples, examples_utils.get_payload_format(examples)
    )
    io_utils.copy_dir(
        artifact_utils.get_split_uri([examples], names.VAL),
        artifact_utils.get_split_uri([augmented_examples], names.VAL),
    )
    scratch = f"{augmented_examples.uri}/.parts"
    _write_train(
        beam_pipeline,
        artifact_utils.get_split_uri([examples], names.TRAIN),
        artifact_utils.get_split_uri([augmented_examples], names.TRAIN),
        scratch,
        augmentation,
    )
    sheets.write(contact_sheet.uri, parts.read(scratch, 0), augmentation)
    tf.io.gfile.rmtree(scratch)


def _write_train(
    beam_pipeline: beam.Pipeline,
    source: str,
    target: str,
    scratch: str,
    augmentation: Augmentation,
) -> None:
    files = sorted(tf.io.gfile.glob(f"{source}/*"))
    size = sum(tf.io.gfile.stat(file).length for file in files)
    count = min(max(1, math.ceil(size / _PART_BYTES)), _MOST_PARTS)
    tf.io.gfile.makedirs(target)
    tf.io.gfile.makedirs(scratch)
    with beam_pipeline as pipeline:
        images = (
            pipeline
            | "Files" >> beam.Create(files)
            | "SpreadFiles" >> beam.Reshuffle()
            | "Split" >> beam.ParDo(parts.Split(scratch, count))
        )
        plan = (
            images
            | "Gather" >> beam.combiners.ToList()
            | "Plan" >> beam.Map(make_plan, augmentation.config.balance)
        )
        # The plan needs all images, so every part is whole before the first one is read.
        _ = (
            pipeline
            | "Parts" >> beam.Create(range(count))
            | "SpreadParts" >> beam.Reshuffle()
            | "Write"
            >> beam.ParDo(
                WriteShard(scratch, target, count, augmentation),
                plan=beam.pvalue.AsSingleton(plan),
            )
        )
