"""TFX's DistributionValidator, where its configuration arrives as text."""

from typing import Any

from google.protobuf import json_format
from tfx.components.distribution_validator.executor import Executor as TfxExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto.distribution_validator_pb2 import DistributionValidatorConfig
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import BaseChannel, Channel, component_spec
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
from tfx.utils import json_utils


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
