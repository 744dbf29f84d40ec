"""Writes a run's report for people, blessed or refused."""

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

from components.data_gate import DataSummary
from components.stress_test import Findings
from components.xray_example_gen.component import IngestReport

PAGE: Final = "report.html"
WARNINGS: Final = "warnings"  # custom property: what people should know, one a line


class Report(Artifact):
    """A folder with one file, `report.html`."""

    TYPE_NAME = "pneumonia.Report"  # Kubeflow wants namespace.Name


class ReporterSpec(ComponentSpec):
    """What Reporter reads, writes and is told."""

    PARAMETERS = {
        "report_fn": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "data_version": component_spec.ExecutionParameter(type=str),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "ingest_report": component_spec.ChannelParameter(type=IngestReport),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "data_summary": component_spec.ChannelParameter(type=DataSummary),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
        "stress_test": component_spec.ChannelParameter(type=Findings),
    }
    OUTPUTS = {"report": component_spec.ChannelParameter(type=Report)}


class Executor(base_executor.BaseExecutor):
    """Calls the function that `report_fn` names."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """TFX calls it where no cached execution fits."""
        module, _, name = exec_properties["report_fn"].rpartition(".")
        write = getattr(importlib.import_module(module), name)
        report = artifact_utils.get_single_instance(output_dict["report"])
        warnings = write(
            {key: artifact_utils.get_single_instance(held) for key, held in input_dict.items()},
            json.loads(exec_properties["config"]),
            exec_properties["data_version"],
            Path(report.uri) / PAGE,
        )
        report.set_string_custom_property(WARNINGS, "\n".join(warnings))


class Reporter(base_component.BaseComponent):
    """Writes the report of a model that was evaluated and tried in a server."""

    SPEC_CLASS = ReporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        report_fn: str,
        config: str,
        data_version: str,
        code_version: str,
        **inputs: BaseChannel,
    ) -> None:
        """Wires the component.

        Args:
            report_fn: import path of a function that takes the inputs' artifacts by name, the
                configuration, the data's version, and the path of the page to write, and returns
                what people should be warned of.
            config: the run's configuration as JSON.
            data_version: changes when the X-rays do.
            code_version: fingerprint of the function's sources; part of the cache key.
            **inputs: the channels that ReporterSpec names.
        """
        super().__init__(
            ReporterSpec(
                report_fn=report_fn,
                config=config,
                data_version=data_version,
                code_version=code_version,
                report=Channel(type=Report),
                **inputs,
            )
        )
