"""Makes of a published model one with another operating point."""

import importlib
import json
from pathlib import Path
from typing import Any

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


class RecalibratorSpec(ComponentSpec):
    """What Recalibrator reads, writes and is told."""

    PARAMETERS = {
        "run_fn": component_spec.ExecutionParameter(type=str),
        "base": component_spec.ExecutionParameter(type=str),
        "settings": component_spec.ExecutionParameter(type=str),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Executor(base_executor.BaseExecutor):
    """Calls the function that `run_fn` names."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """TFX calls it where no cached execution fits."""
        module, _, name = exec_properties["run_fn"].rpartition(".")
        run = getattr(importlib.import_module(module), name)
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        splits = {
            split: Path(artifact_utils.get_split_uri([examples], split))
            for split in artifact_utils.decode_split_names(examples.split_names)
        }
        model = artifact_utils.get_single_instance(output_dict["model"])
        target = Path(path_utils.serving_model_dir(model.uri))
        run(Path(exec_properties["base"]), splits, json.loads(exec_properties["settings"]), target)


class Recalibrator(base_component.BaseComponent):
    """Stands in Trainer's place where a model is there and only its operating point is not."""

    SPEC_CLASS = RecalibratorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, examples: BaseChannel, run_fn: str, base: str, settings: str, code_version: str
    ) -> None:
        """Wires the component.

        Args:
            examples: raw examples with the splits train, val and test.
            run_fn: import path of a function that takes the base model's path, the splits' folders
                by name, the settings, and the path of the SavedModel to write.
            base: path of the SavedModel to start from.
            settings: for the function, as JSON; names the base by its content, as the cache
                does not look into it.
            code_version: fingerprint of the function's sources; part of the cache key.
        """
        super().__init__(
            RecalibratorSpec(
                examples=examples,
                run_fn=run_fn,
                base=base,
                settings=settings,
                code_version=code_version,
                model=Channel(type=standard_artifacts.Model),
            )
        )
