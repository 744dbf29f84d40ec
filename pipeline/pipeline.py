"""The wiring: which component feeds which."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.components.tuner.component import Tuner
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2, transform_pb2
from tfx.types import BaseChannel
from tfx.types.standard_artifacts import Model

from components import names
from components.augmenter.component import Augmenter
from components.recalibrator import Recalibrator
from components.settings import plain
from pipeline import steps
from pipeline.beam.arguments import beam_args
from pipeline.code_version import code_version, version_of
from pipeline.config import Config
from pipeline.runs.since import Since


def create_pipeline(
    config: Config,
    *,
    data_root: str,
    data_fingerprint: str,
    pipeline_root: str,
    serving_dir: str,
    cache_dir: str | None = None,
    baseline: Callable[[BaseChannel], BaseNode] | None = None,
    last_run: Callable[[BaseChannel], BaseNode] | None = None,
    infra_validator: Callable[[BaseChannel, BaseChannel], BaseNode] | None = None,
    metadata: metadata_store_pb2.ConnectionConfig | None = None,
    schema_file: str = str(steps.SCHEMA),
    only_tune: bool = False,
    since: Since | None = None,
) -> Pipeline:
    """The pipeline from a folder of X-rays to a pushed model; every runner runs this one.

    Args:
        config: the run's configuration.
        data_root: folder with the X-rays.
        data_fingerprint: changes when the folder's content does; part of the cache key.
        pipeline_root: where the components write.
        serving_dir: base path of the served model, one folder per version.
        cache_dir: where features and checkpoints outlive an interrupted Trainer; None: they do not.
        baseline: makes, of the candidate's channel, the node whose output `model` is the model
            served before; None: no comparison.
        last_run: makes, of the statistics' channel, the node whose output `before` are the
            statistics of the last run's data; None: no comparison.
        infra_validator: makes, of the model's and the examples' channels, the node whose output
            `blessing` the Pusher asks for, too; None: the embedded server's alone.
        metadata: ML Metadata's connection, where the runner does not bring its own.
        schema_file: the schema, as the machine that runs the steps finds it.
        only_tune: whether the Tuner is the last step.
        since: the served model to train on from, and the films that it knows.
    """
    films = since.films if since else ""
    checked = steps.data(config, data_root, data_fingerprint, schema_file, last_run, films)
    transform = _transform(config, checked.examples, checked.schema.outputs["schema"])
    transform.add_upstream_node(checked.gate)
    augmenter = Augmenter(
        examples=transform.outputs["transformed_examples"],
        augment_config=json.dumps(plain(config.augment)),
        image_config=json.dumps(plain(config.image)),
        seed=config.seed,
        code_version=code_version("components.augmenter.component"),
    )
    custom_config = {
        "image": plain(config.image),
        "model": plain(config.model),
        "train": plain(config.train),
        "operating_point": plain(config.operating_point),
        "options": dict(config.code.options),
        "seed": config.seed,
        "cache_dir": cache_dir,
    }
    inputs = {
        "examples": augmenter.outputs["augmented_examples"],
        "transform_graph": transform.outputs["transform_graph"],
        "train_args": trainer_pb2.TrainArgs(splits=[names.TRAIN]),
    }
    before = [*checked.nodes, transform, augmenter]
    tuner = _tuner(config, inputs, custom_config) if config.tune.trials else None
    if tuner and only_tune:
        return _pipeline(config, [*before, tuner], pipeline_root, metadata)
    base = _base(since.model) if since else None
    trainer = Trainer(
        base_model=base.outputs["result"] if base else None,
        run_fn=config.code.run_fn,
        **inputs,
        eval_args=trainer_pb2.EvalArgs(
            splits=[names.VAL, *(names.VAL_LOOKS if config.augment.val_looks else ())]
        ),
        hyperparameters=tuner.outputs["best_hyperparameters"] if tuner else None,
        custom_config={**custom_config, "code_version": version_of(config.code.run_fn)},
    )
    model = trainer.outputs["model"]
    baseline_node = baseline(model) if baseline else None
    components = [
        *before,
        *([tuner] if tuner else []),
        *([base] if base else []),
        trainer,
        *([baseline_node] if baseline_node else []),
        *steps.release(config, checked, model, serving_dir, baseline_node, infra_validator),
    ]
    return _pipeline(config, components, pipeline_root, metadata)


def _pipeline(
    config: Config,
    components: list[BaseNode],
    pipeline_root: str,
    metadata: metadata_store_pb2.ConnectionConfig | None,
) -> Pipeline:
    return Pipeline(
        pipeline_name=names.MODEL_NAME,
        pipeline_root=pipeline_root,
        components=components,
        enable_cache=True,
        metadata_connection_config=metadata,
        beam_pipeline_args=beam_args(config.beam),
    )


def _base(model: str) -> Importer:
    """A node that gives an earlier model's artifact."""
    return Importer(source_uri=model, artifact_type=Model).with_id("BaseModel")


def _tuner(config: Config, inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> Tuner:
    return Tuner(
        tuner_fn="components.trainer.tune.tuner_fn",
        **inputs,
        eval_args=trainer_pb2.EvalArgs(splits=[names.VAL]),
        custom_config={
            **custom_config,
            "trials": config.tune.trials,
            "code_version": code_version("components.trainer.tune"),
        },
    )


def _transform(config: Config, examples: BaseChannel, schema: BaseChannel) -> Transform:
    return Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn=config.code.preprocessing_fn,
        splits_config=transform_pb2.SplitsConfig(
            analyze=[names.TRAIN], transform=[names.TRAIN, names.VAL]
        ),
        custom_config={
            "image": plain(config.image),
            "options": dict(config.code.options),
            "code_version": version_of(config.code.preprocessing_fn),
        },
        disable_statistics=True,
    )


def create_recalibration(
    config: Config,
    *,
    base: Path,
    base_sha256: str,
    data_root: str,
    data_fingerprint: str,
    pipeline_root: str,
    serving_dir: str,
    metadata: metadata_store_pb2.ConnectionConfig | None = None,
) -> Pipeline:
    """The pipeline from a published model and local films to a model with their operating point.

    Training's steps are left out; the checks of the data, the gate and the push are the same.

    Args:
        config: of the recalibration; image, augment, model and train are not looked at.
        base: SavedModel to start from.
        base_sha256: names its content.
        data_root, data_fingerprint, pipeline_root, serving_dir, metadata: as for create_pipeline.
    """
    checked = steps.data(config, data_root, data_fingerprint, str(steps.SCHEMA))
    recalibrator = Recalibrator(
        examples=checked.examples,
        base=str(base),
        settings=json.dumps(
            {"operating_point": plain(config.operating_point), "base_sha256": base_sha256}
        ),
        code_version=code_version("components.recalibrator"),
    )
    recalibrator.add_upstream_node(checked.gate)
    released = steps.release(config, checked, recalibrator.outputs["model"], serving_dir)
    return _pipeline(config, [*checked.nodes, recalibrator, *released], pipeline_root, metadata)
