"""The steps that every pipeline here shares: what comes before a model, and what judges it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import BaseChannel

from components.data_gate import DataGate, Limits
from components.pusher import AtomicPusher
from components.reporter import Reporter
from components.serving_check import ServingCheck
from components.stress_test import StressTest
from components.xray_example_gen import XrayExampleGen
from pipeline import data_shift, evaluation, features
from pipeline.code_version import code_version
from pipeline.config import Config, as_dict

SCHEMA = Path(__file__).with_name("schema.pbtxt")
REPORT_TEMPLATES = Path(__file__).parent / "templates" / "report"


@dataclass(frozen=True)
class Data:
    """Checked examples: what uses them depends on `gate`."""

    ingest: XrayExampleGen
    schema: ImportSchemaGen
    statistics: StatisticsGen
    validator: ExampleValidator
    shifts: tuple[BaseNode, ...]
    gate: DataGate
    fingerprint: str

    @property
    def examples(self) -> BaseChannel:
        """Raw examples with the splits train, val and test."""
        return self.ingest.outputs["examples"]

    @property
    def nodes(self) -> list[BaseNode]:
        """For the pipeline's list of components."""
        checks = (self.statistics, self.validator, *self.shifts, self.gate)
        return [self.ingest, self.schema, *checks]


def data(
    config: Config,
    data_root: str,
    fingerprint: str,
    schema_file: str,
    last_run: Callable[[BaseChannel], BaseNode] | None = None,
) -> Data:
    """From a folder of X-rays to examples that a model can come from.

    last_run: makes, of the statistics' channel, the node whose output `before` are the statistics
    of the last run's data; None: no comparison.
    """
    ingest = XrayExampleGen(
        input_base=data_root,
        data_config=json.dumps(as_dict(config.data)),
        seed=config.seed,
        fingerprint=fingerprint,
        code_version=code_version("components.xray_example_gen"),
    )
    schema = ImportSchemaGen(schema_file=schema_file)
    # With the schema, the images' bytes are not counted as if they were words.
    statistics = StatisticsGen(examples=ingest.outputs["examples"], schema=schema.outputs["schema"])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    found = statistics.outputs["statistics"]
    test_shift = data_shift.of_test(found, config.shift)
    shifts: list[BaseNode] = [test_shift]
    if last_run:
        before = last_run(found)
        since = data_shift.since_last_run(found, before.outputs[data_shift.BEFORE], config.shift)
        shifts += [before, since]
    gate = DataGate(
        statistics=found,
        anomalies=validator.outputs["anomalies"],
        test_shift=test_shift.outputs["anomalies"],
        data_shift=shifts[-1].outputs["anomalies"] if last_run else None,
        limits=Limits(
            config.shift.stop_label, config.shift.stop_loss, config.gate.recall_lower_bound
        ),
        code_version=code_version("components.data_gate"),
    )
    return Data(ingest, schema, statistics, validator, tuple(shifts), gate, fingerprint)


def release(
    config: Config,
    checked: Data,
    model: BaseChannel,
    serving_dir: str,
    baseline: BaseNode | None = None,
    infra_validator: Callable[[BaseChannel, BaseChannel], BaseNode] | None = None,
) -> list[BaseNode]:
    """Judges a model, tries it in a server, pushes it if it passes, and reports.

    baseline: the node whose output `model` is the one served before; None: no comparison.
    infra_validator: makes, of the model and the examples, a node that tries the model once more.
    """
    evaluator = Evaluator(
        examples=checked.examples,
        example_splits=[features.TEST],
        model=model,
        baseline_model=baseline.outputs["model"] if baseline else None,
        eval_config=evaluation.eval_config(config.gate),
    )
    serving_check = ServingCheck(
        model=model,
        examples=checked.examples,
        split=features.TEST,
        code_version=code_version("components.serving_check", "serving.__main__"),
    )
    serving_check.add_upstream_node(evaluator)
    trials = [infra_validator(model, checked.examples)] if infra_validator else []
    for trial in trials:
        trial.add_upstream_node(serving_check)
    pusher = AtomicPusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        second_infra_blessing=trials[0].outputs["blessing"] if trials else None,
        serving_dir=serving_dir,
        keep_versions=config.push.keep_versions,
    )
    stress_test = StressTest(
        model=model,
        examples=checked.examples,
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
        data_version=checked.fingerprint,
        code_version=code_version(
            "components.reporter", "pipeline.report.page", files=sorted(REPORT_TEMPLATES.iterdir())
        ),
        examples=checked.examples,
        ingest_report=checked.ingest.outputs["ingest_report"],
        statistics=checked.statistics.outputs["statistics"],
        data_summary=checked.gate.outputs["data_summary"],
        model=model,
        evaluation=evaluator.outputs["evaluation"],
        blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        stress_test=stress_test.outputs["findings"],
    )
    return [evaluator, serving_check, *trials, pusher, stress_test, reporter]
