"""Augmenter's work, on Beam: images travel through files, only their keys are shuffled."""

import json
import math
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import io_utils

from components.augmenter import parts, sheets
from components.augmenter.plan import make_plan
from components.augmenter.shards import Augmentation, WriteShard
from pipeline import features
from pipeline.config import AugmentConfig, ImageConfig

Artifacts = dict[str, list[Artifact]]

_PART_BYTES = 16 * 2**20  # of input; a part is sorted in memory
_MOST_PARTS = 400  # each is a file that Split holds open; many systems allow 1,024


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the augmented examples and the contact sheets."""

    def Do(  # noqa: N802 - TFX's name
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """TFX calls it where no cached execution fits."""
        augmentation = Augmentation(
            AugmentConfig(**json.loads(exec_properties["augment_config"])),
            ImageConfig(**json.loads(exec_properties["image_config"])),
            exec_properties["seed"],
        )
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        augmented = artifact_utils.get_single_instance(output_dict["augmented_examples"])
        augmented.split_names = artifact_utils.encode_split_names([features.TRAIN, features.VAL])
        augmented.span = examples.span
        examples_utils.set_payload_format(augmented, examples_utils.get_payload_format(examples))

        io_utils.copy_dir(
            artifact_utils.get_split_uri([examples], features.VAL),
            artifact_utils.get_split_uri([augmented], features.VAL),
        )
        scratch = f"{augmented.uri}/.parts"
        self._write_train(
            artifact_utils.get_split_uri([examples], features.TRAIN),
            artifact_utils.get_split_uri([augmented], features.TRAIN),
            scratch,
            augmentation,
        )
        sheets.write(
            artifact_utils.get_single_uri(output_dict["contact_sheet"]),
            parts.read(scratch, 0),
            augmentation,
        )
        tf.io.gfile.rmtree(scratch)

    def _write_train(
        self, source: str, target: str, scratch: str, augmentation: Augmentation
    ) -> None:
        files = sorted(tf.io.gfile.glob(f"{source}/*"))
        size = sum(tf.io.gfile.stat(file).length for file in files)
        count = min(max(1, math.ceil(size / _PART_BYTES)), _MOST_PARTS)
        tf.io.gfile.makedirs(target)
        tf.io.gfile.makedirs(scratch)
        with self._make_beam_pipeline() as pipeline:
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
