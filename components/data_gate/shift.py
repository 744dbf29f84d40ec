"""How data shifted: TFX's DistributionValidator, and what its findings mean for a run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.distribution_validator.executor import Executor as TfxExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto.distribution_validator_pb2 import DistributionValidatorConfig
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import BaseChannel, Channel, artifact_utils, component_spec
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics
from tfx.types.standard_component_specs import (
    ANOMALIES_KEY,
    BASELINE_STATISTICS_KEY,
    DISTRIBUTION_VALIDATOR_CONFIG_KEY,
    INCLUDE_SPLIT_PAIRS_KEY,
    STATISTICS_KEY,
    DistributionValidatorSpec,
)
from tfx.utils import io_utils, json_utils

from components import names

_FILE: Final = "SchemaDiff.pb"  # DistributionValidator's name for it
_LOSS: Final = anomalies_pb2.AnomalyInfo.COMPARATOR_LOW_NUM_EXAMPLES


@dataclass(frozen=True)
class Shift:
    """How far the distribution of one feature is from what it is elsewhere.

    Attributes:
        between: the two, in words.
        feature: its name.
        divergence: Jensen and Shannon's, in bits, 0 to 1.
        limit: above it, it is worth a word.
    """

    between: str
    feature: str
    divergence: float
    limit: float


@dataclass(frozen=True)
class ShiftFindings:
    """Of one DistributionValidator: each feature's shift, and the splits that lost too much."""

    shifts: tuple[Shift, ...] = ()
    losses: tuple[str, ...] = ()


def read(artifact: Artifact, before: bool) -> ShiftFindings:
    """Reads a DistributionValidator's anomalies.

    Args:
        artifact: what it wrote, a folder for each pair of splits.
        before: whether its baseline were the data of the run before, not another split of these.
    """
    shifts: list[Shift] = []
    losses = []
    for pair in artifact_utils.decode_split_names(artifact.split_names):
        split, _, other = pair.partition("_")
        between = f"'{split}' from the last run's" if before else f"'{split}' from '{other}'"
        content = io_utils.read_bytes_file(f"{artifact.uri}/SplitPair-{pair}/{_FILE}")
        found = anomalies_pb2.Anomalies.FromString(content)
        shifts += _shifts(found, between)
        if any(reason.type == _LOSS for reason in found.dataset_anomaly_info.reason):
            losses.append(split)
    return ShiftFindings(tuple(shifts), tuple(losses))


def _shifts(found: anomalies_pb2.Anomalies, between: str) -> Iterator[Shift]:
    for info in found.drift_skew_info:
        for measured in info.drift_measurements:
            yield Shift(between, info.path.step[0], measured.value, measured.threshold)


def problems(
    all_findings: Iterable[ShiftFindings], stop_label: float, stop_loss: float
) -> list[str]:
    """What makes training pointless, each with its remedy.

    Args:
        all_findings: of every DistributionValidator.
        stop_label: the largest divergence of the labels, in bits, 0 to 1.
        stop_loss: the largest share of the last run's films that may be missing, in [0,1].
    """
    texts = []
    for findings in all_findings:
        texts += [
            f"the classes' shares differ in {shift.between} beyond reason (divergence "
            f"{shift.divergence:.2f} of at most {stop_label:.2f}); look whether labels were mixed "
            "up, or raise shift.stop_label"
            for shift in findings.shifts
            if shift.feature == names.LABEL and shift.divergence > stop_label
        ]
        texts += [
            f"the split '{split}' lost more than {stop_loss:.0%} of the last run's films; find "
            "them, raise shift.stop_loss, or give this data a run of its own (--run NAME)"
            for split in findings.losses
        ]
    return texts


def warnings(all_findings: Iterable[ShiftFindings]) -> list[str]:
    """What people should know before they believe a figure."""
    return [
        f"{shift.feature} differs in {shift.between} (Jensen-Shannon divergence "
        f"{shift.divergence:.2f}, more than {shift.limit:.2f})"
        for findings in all_findings
        for shift in findings.shifts
        if shift.divergence > shift.limit
    ]


class ShiftValidatorSpec(DistributionValidatorSpec):
    """TFX's, but the baseline may be left out."""

    INPUTS = {
        STATISTICS_KEY: component_spec.ChannelParameter(type=ExampleStatistics),
        BASELINE_STATISTICS_KEY: component_spec.ChannelParameter(
            type=ExampleStatistics, optional=True
        ),
    }


class Executor(TfxExecutor):
    """Reads a configuration that Kubeflow's launcher hands over as JSON, as TFX's does not."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """TFX calls it where no cached execution fits."""
        config = exec_properties[DISTRIBUTION_VALIDATOR_CONFIG_KEY]
        if isinstance(config, str):
            config = json_format.Parse(config, DistributionValidatorConfig())
        return super().Do(
            {BASELINE_STATISTICS_KEY: input_dict[STATISTICS_KEY], **input_dict},
            output_dict,
            {**exec_properties, DISTRIBUTION_VALIDATOR_CONFIG_KEY: config},
        )


class ShiftValidator(base_component.BaseComponent):
    """Compares the statistics of splits; DataGate decides what its anomalies mean."""

    SPEC_CLASS = ShiftValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: BaseChannel,
        baseline_statistics: BaseChannel | None = None,
        *,
        config: DistributionValidatorConfig,
        include_split_pairs: list[tuple[str, str]],
    ) -> None:
        """Wires the component.

        Args:
            statistics: with the first split of each pair.
            baseline_statistics: with the second; None: `statistics` have it, too. They are not
                given twice: Kubeflow's ML Metadata takes an artifact of an execution in one input.
            config: the features to compare and their limits.
            include_split_pairs: names of splits.
        """
        super().__init__(
            ShiftValidatorSpec(
                **{
                    STATISTICS_KEY: statistics,
                    BASELINE_STATISTICS_KEY: baseline_statistics,
                    DISTRIBUTION_VALIDATOR_CONFIG_KEY: config,
                    INCLUDE_SPLIT_PAIRS_KEY: json_utils.dumps(include_split_pairs),
                    ANOMALIES_KEY: Channel(type=ExampleAnomalies),
                }
            )
        )
