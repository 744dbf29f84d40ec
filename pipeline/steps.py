"""The steps that every pipeline here shares: what comes before a model, and what judges it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import BaseChannel

from components.counterfactuals.component import Counterfactuals
from components.counterfactuals.figures import BOUNDS
from components.data_gate.component import DataGate, DataLimits
from components.evaluator.config import eval_config
from components.ingest.component import XrayExampleGen
from components.names import TEST
from components.pusher.component import AtomicPusher
from components.quantiser.component import Quantiser
from components.reporter.component import Reporter
from components.reporter.page import TEMPLATES
from components.serving_check.component import ServingCheck
from components.settings import plain
from components.stress.component import StressTest
from pipeline import resolvers, shifts
from pipeline.code_version import code_version
from pipeline.config import Config

SCHEMA = Path(__file__).with_name("schema.pbtxt")


@dataclass(frozen=True)
class CheckedExamples:
    """Checked examples: what uses them depends on `gate`."""

    ingest: XrayExampleGen
    schema: ImportSchemaGen
    statistics: StatisticsGen
    validator: ExampleValidator
    comparisons: tuple[BaseNode, ...]
    gate: BaseNode
    fingerprint: str

    @property
    def examples(self) -> BaseChannel:
        """Raw examples with the splits train, val and test."""
        return self.ingest.outputs["examples"]

    @property
    def nodes(self) -> list[BaseNode]:
        """For the pipeline's list of components."""
        checks = (self.statistics, self.validator, *self.comparisons, self.gate)
        return [self.ingest, self.schema, *checks]


def data(
    config: Config,
    data_root: str,
    fingerprint: str,
    schema_file: str,
    last_run: Callable[[BaseChannel], BaseNode] | None = None,
    since: str = "",
) -> CheckedExamples:
    """From a folder of X-rays to examples that a model can come from.

    Args:
        config: the run's.
        data_root: the X-rays, as of `listing.entries`.
        fingerprint: the data set's; changes when the X-rays do.
        schema_file: the examples' schema, as pbtxt.
        last_run: makes, of the statistics' channel, the node whose output `before` are the
            statistics of the last run's data; None: no comparison.
        since: films.csv of an earlier ingest, whose films keep their splits; empty: none.
    """
    ingest = XrayExampleGen(
        input_base=data_root,
        data_config=json.dumps(plain(config.data)),
        seed=config.seed,
        fingerprint=fingerprint,
        code_version=code_version("components.ingest.component"),
        since=since,
    )
    schema = ImportSchemaGen(schema_file=schema_file)
    # With the schema, the images' bytes are not counted as if they were words.
    statistics = StatisticsGen(examples=ingest.outputs["examples"], schema=schema.outputs["schema"])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    found = statistics.outputs["statistics"]
    test_shift = shifts.of_test(found, config.shift)
    comparisons: list[BaseNode] = [test_shift]
    if last_run:
        before = last_run(found)
        shift = shifts.since_last_run(found, before.outputs[resolvers.BEFORE], config.shift)
        comparisons += [before, shift]
    limits = DataLimits(
        config.shift.stop_label, config.shift.stop_loss, config.gate.recall_lower_bound
    )
    gate = DataGate(
        statistics=found,
        anomalies=validator.outputs["anomalies"],
        test_shift=test_shift.outputs["anomalies"],
        **({"data_shift": comparisons[-1].outputs["anomalies"]} if last_run else {}),
        limits=json.dumps(asdict(limits)),
        code_version=code_version("components.data_gate.component"),
    )
    return CheckedExamples(
        ingest, schema, statistics, validator, tuple(comparisons), gate, fingerprint
    )


def release(
    config: Config,
    checked: CheckedExamples,
    model: BaseChannel,
    serving_dir: str,
    baseline: BaseNode | None = None,
    infra_validator: Callable[[BaseChannel, BaseChannel], BaseNode] | None = None,
) -> list[BaseNode]:
    """Judges a model, tries it in a server and on changed films, pushes what passes, and reports.

    Args:
        config: the run's.
        checked: the examples that the model is judged on.
        model: the candidate.
        serving_dir: TensorFlow Serving's model_base_path.
        baseline: the node whose output `model` is the one served before; None: no comparison.
        infra_validator: makes, of the model and the examples, a node that tries the model as well;
            None: no such node.

    Returns:
        The nodes, for the pipeline's list of components.
    """
    evaluator = Evaluator(
        examples=checked.examples,
        example_splits=[TEST],
        model=model,
        baseline_model=baseline.outputs["model"] if baseline else None,
        eval_config=eval_config(
            config.gate, code_version("components.evaluator.config"), tuple(config.data.groups)
        ),
    )
    serving_check = ServingCheck(
        model=model,
        examples=checked.examples,
        split=TEST,
        code_version=code_version("components.serving_check.component", "serving.__main__"),
    )
    serving_check.add_upstream_node(evaluator)
    counterfactuals = Counterfactuals(
        model=model,
        examples=checked.examples,
        settings=json.dumps(
            {
                "films": config.gate.counterfactual_films,
                "seed": config.seed,
                "bounds": {name: getattr(config.gate, name) for name in BOUNDS},
            }
        ),
        split=TEST,
        code_version=code_version("components.counterfactuals.component"),
    )
    counterfactuals.add_upstream_node(serving_check)
    trials = [infra_validator(model, checked.examples)] if infra_validator else []
    for trial in trials:
        trial.add_upstream_node(serving_check)
    quantisers = _quantisers(config, checked, model, counterfactuals)
    int8 = {"int8_form": quantisers[0].outputs["form"]} if quantisers else {}
    second = trials[0].outputs["blessing"] if trials else None
    pusher = AtomicPusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        counterfactual_blessing=counterfactuals.outputs["blessing"],
        second_infra_blessing=second,
        serving_dir=serving_dir,
        keep_versions=config.push.keep_versions,
        **int8,
    )
    stress_test = StressTest(
        model=model,
        examples=checked.examples,
        settings=json.dumps(
            {
                "robustness_films": config.report.robustness_films,
                "cam_films": config.report.cam_films,
                "seed": config.seed,
            }
        ),
        split=TEST,
        code_version=code_version("components.stress.component"),
    )
    # No fault of what follows may hold a blessed model back.
    stress_test.add_upstream_node(pusher)
    reporter = Reporter(
        config=json.dumps(plain(config)),
        data_version=checked.fingerprint,
        code_version=code_version(
            "components.reporter.component", files=sorted(TEMPLATES.iterdir())
        ),
        examples=checked.examples,
        ingest_report=checked.ingest.outputs["ingest_report"],
        statistics=checked.statistics.outputs["statistics"],
        data_summary=checked.gate.outputs["data_summary"],
        model=model,
        evaluation=evaluator.outputs["evaluation"],
        blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["infra_blessing"],
        counterfactuals=counterfactuals.outputs["blessing"],
        stress_test=stress_test.outputs["findings"],
        **({"second_infra_blessing": second} if trials else {}),
        **int8,
    )
    return [
        evaluator,
        serving_check,
        *trials,
        counterfactuals,
        *quantisers,
        pusher,
        stress_test,
        reporter,
    ]


def _quantisers(
    config: Config, checked: CheckedExamples, model: BaseChannel, after: BaseNode
) -> list[BaseNode]:
    """The step that makes the int8 form, where the configuration wants one."""
    if not config.push.int8_films:
        return []
    quantiser = Quantiser(
        model=model,
        examples=checked.examples,
        films=config.push.int8_films,
        seed=config.seed,
        code_version=code_version("components.quantiser.component"),
    )
    quantiser.add_upstream_node(after)
    return [quantiser]
