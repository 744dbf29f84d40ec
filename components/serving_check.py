"""Lets a candidate pass only where a model server answers with it as it was evaluated."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
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

from components import serving_trial
from pipeline import features

REPORT: Final = "serving_check.json"


class ServingCheckSpec(ComponentSpec):
    """What ServingCheck reads, writes and is told."""

    PARAMETERS = {
        "split": component_spec.ExecutionParameter(type=str),
        "count": component_spec.ExecutionParameter(type=int),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)
    }


class Executor(base_executor.BaseExecutor):
    """Writes the findings and the blessing."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """TFX calls it where no cached execution fits."""
        blessing = artifact_utils.get_single_instance(output_dict["infra_blessing"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        split = artifact_utils.get_split_uri(input_dict["examples"], exec_properties["split"])
        folder = Path(blessing.uri)
        findings = serving_trial.check(
            Path(path_utils.serving_model_path(model.uri)),
            _first(Path(split), exec_properties["count"]),
            folder / "server.log",
        )
        (folder / REPORT).write_text(json.dumps(asdict(findings), indent=2) + "\n", "utf-8")
        blessing.set_int_custom_property("blessed", int(findings.ok))


class ServingCheck(base_component.BaseComponent):
    """Serves the candidate with the first `count` examples of a split and blesses what agrees.

    The output `infra_blessing` is for AtomicPusher: custom property `blessed`, 1 or 0; the folder
    holds serving_check.json (serving_trial.Findings) and server.log. `code_version` makes edited
    code, the server's included, miss the cache.
    """

    SPEC_CLASS = ServingCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        examples: BaseChannel,
        code_version: str,
        split: str = features.TEST,
        count: int = 8,
    ) -> None:
        super().__init__(
            ServingCheckSpec(
                model=model,
                examples=examples,
                split=split,
                count=count,
                code_version=code_version,
                infra_blessing=Channel(type=standard_artifacts.InfraBlessing),
            )
        )


def _first(split: Path, count: int) -> list[bytes]:
    files = sorted(str(path) for path in split.iterdir())
    return list(tf.data.TFRecordDataset(files, "GZIP").take(count).as_numpy_iterator())
