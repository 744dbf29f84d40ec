"""Stops a run whose data cannot train or judge a model, before any image is transformed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import BaseChannel, Channel, ComponentSpec, artifact_utils, component_spec
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics
from tfx.utils import io_utils

from components import data_shift
from pipeline import features
from pipeline.intervals import wilson

Artifacts = dict[str, list[Artifact]]

SUMMARY_FILE = "data_summary.json"
_ANOMALIES_FILE = "SchemaDiff.pb"  # ExampleValidator's name for it

_REMEDIES = {
    features.TRAIN: "add X-rays of both classes",
    features.VAL: "add patients of both classes or raise data.val_fraction",
    features.TEST: "fill both class folders of the test folder, or leave that folder out and raise "
    "data.test_fraction",
}


class DataError(ValueError):
    """Data that no model can come from; the message names split, class, counts and remedy."""


@dataclass(frozen=True)
class SplitSummary:
    """What one split holds."""

    examples: int
    patients: int
    classes: dict[str, int]  # examples by class name


@dataclass(frozen=True)
class Limits:
    """What stops a run: shift.stop_label, shift.stop_loss, gate.recall_lower_bound."""

    stop_label: float = 1.0
    stop_loss: float = 1.0
    recall_lower_bound: float = 0.0


class DataSummary(Artifact):
    """`data_summary.json`: examples by class and patients of each split, and warnings."""

    TYPE_NAME = "pneumonia.DataSummary"  # Kubeflow wants namespace.Name


class DataGateSpec(ComponentSpec):
    """What DataGate reads, writes and is told."""

    PARAMETERS = {
        "limits": component_spec.ExecutionParameter(type=str),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=ExampleStatistics),
        "anomalies": component_spec.ChannelParameter(type=ExampleAnomalies),
        "test_shift": component_spec.ChannelParameter(type=ExampleAnomalies),
        "data_shift": component_spec.ChannelParameter(type=ExampleAnomalies, optional=True),
    }
    OUTPUTS = {"data_summary": component_spec.ChannelParameter(type=DataSummary)}


class Executor(base_executor.BaseExecutor):
    """Reads statistics and anomalies; writes the summary only where the data may be used."""

    def Do(  # noqa: N802 - TFX's name
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """TFX calls it where no cached execution fits. Raises DataError."""
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        splits = {name: _summary(statistics, name) for name in features.SPLITS}
        found = {name: _anomalies(anomalies, name) for name in _split_names(anomalies)}
        shifts = [
            data_shift.read(artifact, before)
            for key, before in (("test_shift", False), ("data_shift", True))
            for artifact in input_dict.get(key, ())
        ]
        limits = Limits(**json.loads(exec_properties["limits"]))
        warnings = check(splits, found, shifts, limits)
        summary = {
            "splits": {name: asdict(split) for name, split in splits.items()},
            "warnings": warnings,
        }
        folder = artifact_utils.get_single_uri(output_dict["data_summary"])
        io_utils.write_string_file(f"{folder}/{SUMMARY_FILE}", json.dumps(summary, indent=1))


class DataGate(base_component.BaseComponent):
    """Fails unless the data can train a model and judge it.

    Every split must have both classes, ExampleValidator must have found no error, the classes'
    shares must not differ wildly between train and test, not too many of the last run's films may
    be missing, and the test split must be large enough for the gate's bound to be reached at all.

    Make what must not see bad data depend on it: `transform.add_upstream_node(data_gate)`. The
    output `data_summary` is for reports.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: BaseChannel,
        anomalies: BaseChannel,
        test_shift: BaseChannel,
        data_shift: BaseChannel | None = None,
        limits: Limits = Limits(),
        code_version: str = "",
    ) -> None:
        """Wires the component.

        Args:
            statistics: of the raw examples, with the splits train, val and test.
            anomalies: what ExampleValidator found in them.
            test_shift: what DistributionValidator found between the splits test and train.
            data_shift: what it found between these data and the last run's; None: not compared.
            limits: what the data must keep to.
            code_version: fingerprint of the sources; part of the cache key.
        """
        super().__init__(
            spec=DataGateSpec(
                statistics=statistics,
                anomalies=anomalies,
                test_shift=test_shift,
                data_shift=data_shift,
                limits=json.dumps(asdict(limits)),
                code_version=code_version,
                data_summary=Channel(type=DataSummary),
            )
        )


def check(
    splits: Mapping[str, SplitSummary],
    anomalies: Mapping[str, anomalies_pb2.Anomalies],
    shifts: Sequence[data_shift.Findings] = (),
    limits: Limits = Limits(),
) -> list[str]:
    """Decides whether the data may be used.

    Args:
        splits: what each split holds.
        anomalies: what ExampleValidator found in each split.
        shifts: what DistributionValidator found.
        limits: beyond which the data are refused.

    Returns:
        ExampleValidator's and DistributionValidator's warnings, which stop nothing.

    Raises:
        DataError: in one line, all that is wrong: empty splits, missing classes, anomalies of
            severity ERROR, shifts and losses beyond the limits, too few sick films to judge by.
    """
    problems = [problem for name, split in splits.items() for problem in _lacks(name, split)]
    problems += [
        f"{error}; repair what wrote the examples, or pipeline/schema.pbtxt if they are right (and "
        "choose another --run: this one keeps its schema)"
        for error in _listed(anomalies, anomalies_pb2.AnomalyInfo.ERROR)
    ]
    problems += data_shift.problems(shifts, limits.stop_label, limits.stop_loss)
    problems += _unreachable(splits[features.TEST], limits.recall_lower_bound)
    if problems:
        raise DataError("the data cannot be used: " + ". ".join(problems))
    return _listed(anomalies, anomalies_pb2.AnomalyInfo.WARNING) + data_shift.warnings(shifts)


def _unreachable(test: SplitSummary, bound: float) -> Iterable[str]:
    """The gate asks more than a model that misses nobody could prove on so few films."""
    name, sick = features.CLASSES[1], test.classes[features.CLASSES[1]]
    best, _ = wilson(sick, sick)
    if sick and best < bound:
        yield (
            f"the split 'test' has {sick} {name}: even a model that finds them all has a recall "
            f"lower bound of {best:.2f}, and gate.recall_lower_bound asks for {bound:.2f}; add "
            f"{name} films to test (or raise data.test_fraction), or lower the bound"
        )


def _lacks(name: str, split: SplitSummary) -> Iterable[str]:
    if not split.examples:
        yield f"the split '{name}' is empty; {_REMEDIES[name]}"
        return
    missing = [label for label, count in split.classes.items() if not count]
    if missing:
        counts = ", ".join(f"{label} {count}" for label, count in split.classes.items())
        yield f"the split '{name}' has no {' and no '.join(missing)} ({counts}); {_REMEDIES[name]}"


def _listed(anomalies: Mapping[str, anomalies_pb2.Anomalies], severity: int) -> list[str]:
    return [
        f"split '{split}', feature '{feature}': {' '.join(info.description.split()).rstrip('.')}"
        for split, found in anomalies.items()
        for feature, info in sorted(found.anomaly_info.items())
        if info.severity == severity
    ]


def _summary(statistics: Artifact, split: str) -> SplitSummary:
    if split not in _split_names(statistics):
        return SplitSummary(0, 0, dict.fromkeys(features.CLASSES, 0))
    view = stats_artifact_utils.load_statistics(statistics, split)
    dataset = view.proto().datasets[0]
    by_name = {feature.path.step[0]: feature for feature in dataset.features}
    empty = statistics_pb2.FeatureNameStatistics()
    label = by_name.get(features.LABEL, empty).num_stats
    normal = label.num_zeros  # labels are 0 and 1, or the schema has found an error
    counts = (normal, label.common_stats.num_non_missing - normal)
    return SplitSummary(
        examples=dataset.num_examples,
        patients=by_name.get(features.PATIENT_ID, empty).string_stats.unique,
        classes=dict(zip(features.CLASSES, counts, strict=True)),
    )


def _anomalies(artifact: Artifact, split: str) -> anomalies_pb2.Anomalies:
    folder = artifact_utils.get_split_uri([artifact], split)
    content = io_utils.read_bytes_file(f"{folder}/{_ANOMALIES_FILE}")
    return anomalies_pb2.Anomalies.FromString(content)


def _split_names(artifact: Artifact) -> list[str]:
    return artifact_utils.decode_split_names(artifact.split_names)
