"""TFX's DistributionValidator, where its configuration arrives as text."""

from typing import Any

from google.protobuf import json_format
from tfx.components.distribution_validator.component import DistributionValidator
from tfx.components.distribution_validator.executor import Executor as TfxExecutor
from tfx.dsl.components.base import executor_spec
from tfx.proto.distribution_validator_pb2 import DistributionValidatorConfig
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import standard_component_specs
from tfx.types.artifact import Artifact

_CONFIG = standard_component_specs.DISTRIBUTION_VALIDATOR_CONFIG_KEY


class Executor(TfxExecutor):
    """Reads a configuration that Kubeflow's launcher hands over as JSON, as TFX's does not."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """TFX calls it where no cached execution fits."""
        config = exec_properties[_CONFIG]
        if isinstance(config, str):
            config = json_format.Parse(config, DistributionValidatorConfig())
        return super().Do(input_dict, output_dict, {**exec_properties, _CONFIG: config})


class ShiftValidator(DistributionValidator):
    """Compares the statistics of splits; DataGate decides what its anomalies mean."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
