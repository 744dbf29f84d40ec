"""Writes a run's report for people, whether the model was blessed or refused."""

import json
from pathlib import Path
from typing import Final

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.types.artifact import Artifact

from components.data_gate.component import DataSummary
from components.ingest.component import IngestReport
from components.quantiser.component import Int8Form
from components.reporter import page
from components.stress.component import StressFindings

PAGE: Final = "report.html"
WARNINGS: Final = "warnings"  # custom property: what people should know, one a line


class Report(Artifact):
    """A folder with one file, `report.html`."""

    TYPE_NAME = "pneumonia.Report"  # Kubeflow wants namespace.Name


@component
def Reporter(  # noqa: N802 - the step's name
    examples: InputArtifact[standard_artifacts.Examples],
    ingest_report: InputArtifact[IngestReport],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    data_summary: InputArtifact[DataSummary],
    model: InputArtifact[standard_artifacts.Model],
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    blessing: InputArtifact[standard_artifacts.ModelBlessing],
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing],
    counterfactuals: InputArtifact[standard_artifacts.InfraBlessing],
    stress_test: InputArtifact[StressFindings],
    report: OutputArtifact[Report],
    config: Parameter[str],
    data_version: Parameter[str],
    code_version: Parameter[str],
    second_infra_blessing: InputArtifact[standard_artifacts.InfraBlessing] = None,
    int8_form: InputArtifact[Int8Form] = None,
) -> None:
    """Writes the report of a model that was evaluated and tried in a server.

    Args:
        examples: raw examples.
        ingest_report: XrayExampleGen's.
        statistics: StatisticsGen's.
        data_summary: DataGate's.
        model: the candidate.
        evaluation: Evaluator's.
        blessing: Evaluator's.
        infra_blessing: ServingCheck's.
        counterfactuals: Counterfactuals'.
        stress_test: StressTest's.
        report: the page; its custom property `warnings` holds what people should know, by lines.
        config: the run's configuration as JSON.
        data_version: the data set's fingerprint; changes when the X-rays do.
        code_version: fingerprint of the sources; part of the cache key.
        second_infra_blessing: TFX's InfraValidator's; None: not asked for.
        int8_form: Quantiser's; None: not asked for.
    """
    warnings = page.write(
        {
            "examples": examples,
            "ingest_report": ingest_report,
            "statistics": statistics,
            "data_summary": data_summary,
            "model": model,
            "evaluation": evaluation,
            "blessing": blessing,
            "infra_blessing": infra_blessing,
            "counterfactuals": counterfactuals,
            "stress_test": stress_test,
            **({page.SECOND: second_infra_blessing} if second_infra_blessing else {}),
            **({page.INT8: int8_form} if int8_form else {}),
        },
        json.loads(config),
        data_version,
        Path(report.uri) / PAGE,
    )
    report.set_string_custom_property(WARNINGS, "\n".join(warnings))
