"""Puts a model to harder tests than the gate's, for the report."""

import importlib
import json
from pathlib import Path
from typing import Any, Final

from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import (
    BaseChannel,
    Channel,
    ComponentSpec,
    artifact_utils,
    component_spec,
    standard_artifacts,
)
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

FILE: Final = "stress_test.json"


class Findings(Artifact):
    """A folder with `stress_test.json`."""

    TYPE_NAME = "pneumonia.StressTest"  # Kubeflow wants namespace.Name


class StressTestSpec(ComponentSpec):
    """What StressTest reads, writes and is told."""

    PARAMETERS = {
        "test_fn": component_spec.ExecutionParameter(type=str),
        "settings": component_spec.ExecutionParameter(type=str),
        "split": component_spec.ExecutionParameter(type=str),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"findings": component_spec.ChannelParameter(type=Findings)}


class Executor(base_executor.BaseExecutor):
    """Calls the function that `test_fn` names."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """TFX calls it where no cached execution fits."""
        module, _, name = exec_properties["test_fn"].rpartition(".")
        test = getattr(importlib.import_module(module), name)
        model = artifact_utils.get_single_instance(input_dict["model"])
        split = artifact_utils.get_split_uri(input_dict["examples"], exec_properties["split"])
        test(
            Path(path_utils.serving_model_path(model.uri)),
            Path(split),
            json.loads(exec_properties["settings"]),
            Path(artifact_utils.get_single_uri(output_dict["findings"])) / FILE,
        )


class StressTest(base_component.BaseComponent):
    """Tests a model on a sample of a split; a step apart, so that a page alone costs nothing."""

    SPEC_CLASS = StressTestSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        examples: BaseChannel,
        test_fn: str,
        settings: str,
        split: str,
        code_version: str,
    ) -> None:
        """Wires the component.

        Args:
            model: the candidate.
            examples: raw examples.
            test_fn: import path of a function that takes the SavedModel, the split's folder, the
                settings and the path of the file to write.
            settings: for it, as JSON.
            split: the split to take films from.
            code_version: fingerprint of the function's sources; part of the cache key.
        """
        super().__init__(
            StressTestSpec(
                model=model,
                examples=examples,
                test_fn=test_fn,
                settings=settings,
                split=split,
                code_version=code_version,
                findings=Channel(type=Findings),
            )
        )
