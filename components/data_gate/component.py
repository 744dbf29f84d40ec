"""Stops a run whose data cannot train or judge a model, before any image is transformed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics
from tfx.utils import io_utils

from components import names
from components.data_gate import shift
from components.statistics import wilson

SUMMARY_FILE = "data_summary.json"
_ANOMALIES_FILE = "SchemaDiff.pb"  # ExampleValidator's name for it

_REMEDIES = {
    names.TRAIN: "add X-rays of both classes",
    names.VAL: "add patients of both classes or raise data.val_fraction",
    names.TEST: "fill both class folders of the test folder, or leave that folder out and raise "
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
class DataLimits:
    """What stops a run.

    Attributes:
        stop_label: the largest divergence of the labels, in [0,1] (shift.stop_label).
        stop_loss: the largest share of the last run's films that may be missing, in [0,1]
            (shift.stop_loss).
        recall_lower_bound: what the gate asks for, in [0,1] (gate.recall_lower_bound); test needs
            enough sick films to reach it.
    """

    stop_label: float = 1.0
    stop_loss: float = 1.0
    recall_lower_bound: float = 0.0


class DataSummary(Artifact):
    """`data_summary.json`: examples by class and patients of each split, and warnings."""

    TYPE_NAME = "pneumonia.DataSummary"  # Kubeflow wants namespace.Name


@component
def DataGate(  # noqa: N802 - the step's name
    statistics: InputArtifact[ExampleStatistics],
    anomalies: InputArtifact[ExampleAnomalies],
    test_shift: InputArtifact[ExampleAnomalies],
    data_summary: OutputArtifact[DataSummary],
    limits: Parameter[str],
    code_version: Parameter[str],
    data_shift: InputArtifact[ExampleAnomalies] = None,
) -> None:
    """Fails unless the data can train a model and judge it.

    Every split must have both classes, ExampleValidator must have found no error, the classes'
    shares must not differ wildly between train and test, not too many of the last run's films may
    be missing, and the test split must be large enough for the gate's bound to be reached at all.

    Make what must not see bad data depend on it: `transform.add_upstream_node(data_gate)`.

    Args:
        statistics: of the raw examples, with the splits train, val and test.
        anomalies: what ExampleValidator found in them.
        test_shift: what DistributionValidator found between the splits test and train.
        data_summary: for reports; written only where the data may be used.
        limits: what the data must keep to, the fields of DataLimits as JSON.
        code_version: fingerprint of the sources; part of the cache key.
        data_shift: the same between these data and the last run's; None: not compared.

    Raises:
        DataError: the data cannot be used.
    """
    splits = {name: _summary(statistics, name) for name in names.SPLITS}
    found = {name: _anomalies(anomalies, name) for name in _split_names(anomalies)}
    shifts = [shift.read(test_shift, before=False)]
    if data_shift:
        shifts.append(shift.read(data_shift, before=True))
    summary = {
        "warnings": check(splits, found, shifts, DataLimits(**json.loads(limits))),
        "splits": {name: asdict(split) for name, split in splits.items()},
    }
    io_utils.write_string_file(f"{data_summary.uri}/{SUMMARY_FILE}", json.dumps(summary, indent=1))


def check(
    splits: Mapping[str, SplitSummary],
    anomalies: Mapping[str, anomalies_pb2.Anomalies],
    shifts: Sequence[shift.ShiftFindings] = (),
    limits: DataLimits = DataLimits(),
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
    problems += shift.problems(shifts, limits.stop_label, limits.stop_loss)
    problems += _unreachable(splits[names.TEST], limits.recall_lower_bound)
    if problems:
        raise DataError("the data cannot be used: " + ". ".join(problems))
    return _listed(anomalies, anomalies_pb2.AnomalyInfo.WARNING) + shift.warnings(shifts)


def _unreachable(test: SplitSummary, bound: float) -> Iterable[str]:
    """Says so where the gate asks for more than a perfect model can prove on so few films."""
    name, sick = names.CLASSES[1], test.classes[names.CLASSES[1]]
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
        return SplitSummary(0, 0, dict.fromkeys(names.CLASSES, 0))
    view = stats_artifact_utils.load_statistics(statistics, split)
    dataset = view.proto().datasets[0]
    by_name = {feature.path.step[0]: feature for feature in dataset.features}
    empty = statistics_pb2.FeatureNameStatistics()
    label = by_name.get(names.LABEL, empty).num_stats
    normal = label.num_zeros  # labels are 0 and 1, or the schema has found an error
    counts = (normal, label.common_stats.num_non_missing - normal)
    return SplitSummary(
        examples=dataset.num_examples,
        patients=by_name.get(names.PATIENT_ID, empty).string_stats.unique,
        classes=dict(zip(names.CLASSES, counts, strict=True)),
    )


def _anomalies(artifact: Artifact, split: str) -> anomalies_pb2.Anomalies:
    folder = artifact_utils.get_split_uri([artifact], split)
    content = io_utils.read_bytes_file(f"{folder}/{_ANOMALIES_FILE}")
    return anomalies_pb2.Anomalies.FromString(content)


def _split_names(artifact: Artifact) -> list[str]:
    return artifact_utils.decode_split_names(artifact.split_names)
