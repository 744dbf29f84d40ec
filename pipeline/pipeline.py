"""The wiring: which component feeds which."""

import json
from collections.abc import Callable
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2
from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2, transform_pb2
from tfx.types import BaseChannel

from components.augmenter import Augmenter
from components.data_gate import DataGate
from components.pusher import AtomicPusher
from components.reporter import Reporter
from components.serving_check import ServingCheck
from components.stress_test import StressTest
from components.xray_example_gen import XrayExampleGen
from pipeline import evaluation, features
from pipeline.beam import beam_args
from pipeline.code_version import code_version
from pipeline.config import Config, as_dict

SCHEMA = Path(__file__).with_name("schema.pbtxt")
REPORT_TEMPLATES = Path(__file__).parent / "templates" / "report"


def create_pipeline(
    config: Config,
    *,
    data_root: str,
    data_fingerprint: str,
    pipeline_root: str,
    serving_dir: str,
    cache_dir: str | None = None,
    baseline: Callable[[BaseChannel], BaseNode] | None = None,
    metadata: metadata_store_pb2.ConnectionConfig | None = None,
    schema_file: str = str(SCHEMA),
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
        metadata: ML Metadata's connection, where the runner does not bring its own.
        schema_file: the schema, as the machine that runs the steps finds it.
    """
    ingest = XrayExampleGen(
        input_base=data_root,
        data_config=json.dumps(as_dict(config.data)),
        seed=config.seed,
        fingerprint=data_fingerprint,
        code_version=code_version("components.xray_example_gen"),
    )
    examples = ingest.outputs["examples"]
    schema = ImportSchemaGen(schema_file=schema_file)
    # With the schema, the images' bytes are not counted as if they were words.
    statistics = StatisticsGen(examples=examples, schema=schema.outputs["schema"])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    data_gate = DataGate(
        statistics=statistics.outputs["statistics"],
        anomalies=validator.outputs["anomalies"],
        code_version=code_version("components.data_gate"),
    )
    transform = _transform(config, examples, schema.outputs["schema"])
    transform.add_upstream_node(data_gate)
    augmenter = Augmenter(
        examples=transform.outputs["transformed_examples"],
        augment_config=json.dumps(as_dict(config.augment)),
        seed=config.seed,
        code_version=code_version("components.augmenter"),
    )
    trainer = Trainer(
        run_fn="pipeline.training.run_fn",
        examples=augmenter.outputs["augmented_examples"],
        transform_graph=transform.outputs["transform_graph"],
        train_args=trainer_pb2.TrainArgs(splits=[features.TRAIN]),
        eval_args=trainer_pb2.EvalArgs(splits=[features.VAL]),
        custom_config={
            "image": as_dict(config.image),
            "model": as_dict(config.model),
            "train": as_dict(config.train),
            "operating_point": as_dict(config.operating_point),
            "seed": config.seed,
            "cache_dir": cache_dir,
            "code_version": code_version("pipeline.training"),
        },
    )
    model = trainer.outputs["model"]
    baseline_node = baseline(model) if baseline else None
    evaluator = Evaluator(
        examples=examples,
        example_splits=[features.TEST],
        model=model,
        baseline_model=baseline_node.outputs["model"] if baseline_node else None,
        eval_config=evaluation.eval_config(config.gate),
    )
    serving_check = ServingCheck(
        model=model,
        examples=examples,
        split=features.TEST,
        code_version=code_version("components.serving_check", "serving.__main__"),
    )
    serving_check.add_upstream_node(evaluator)
    pusher = AtomicPusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        serving_dir=serving_dir,
        keep_versions=config.push.keep_versions,
    )
    stress_test = StressTest(
        model=model,
        examples=examples,
        test_fn="pipeline.report.stress.run",
        settings=json.dumps(
            {
                "robustness_films": config.report.robustness_films,
                "cam_films": config.report.cam_films,
                "seed": config.seed,
            }
        ),
        split=features.TEST,
        code_version=code_version("components.stress_test", "pipeline.report.stress"),
    )
    # No fault of what follows may hold a blessed model back.
    stress_test.add_upstream_node(pusher)
    reporter = Reporter(
        report_fn="pipeline.report.page.write",
        config=json.dumps(as_dict(config)),
        data_version=data_fingerprint,
        code_version=code_version(
            "components.reporter", "pipeline.report.page", files=sorted(REPORT_TEMPLATES.iterdir())
        ),
        examples=examples,
        ingest_report=ingest.outputs["ingest_report"],
        statistics=statistics.outputs["statistics"],
        data_summary=data_gate.outputs["data_summary"],
        model=model,
        evaluation=evaluator.outputs["evaluation"],
        blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        stress_test=stress_test.outputs["findings"],
    )
    components = [
        ingest,
        schema,
        statistics,
        validator,
        data_gate,
        transform,
        augmenter,
        trainer,
        *([baseline_node] if baseline_node else []),
        evaluator,
        serving_check,
        pusher,
        stress_test,
        reporter,
    ]
    return Pipeline(
        pipeline_name=features.MODEL_NAME,
        pipeline_root=pipeline_root,
        components=components,
        enable_cache=True,
        metadata_connection_config=metadata,
        beam_pipeline_args=beam_args(config.beam),
    )


def _transform(config: Config, examples: BaseChannel, schema: BaseChannel) -> Transform:
    return Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="pipeline.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(
            analyze=[features.TRAIN], transform=[features.TRAIN, features.VAL]
        ),
        custom_config={
            "image": as_dict(config.image),
            "code_version": code_version("pipeline.preprocessing"),
        },
        disable_statistics=True,
    )
