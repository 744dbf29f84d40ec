"""The TFX component: from a folder of X-rays to Examples, divided by patient, and a ledger."""

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import Channel, ComponentSpec, component_spec, standard_artifacts
from tfx.types.artifact import Artifact

from components.xray_example_gen.executor import Executor


class IngestReport(Artifact):
    """A folder with report.json, rejects.csv and duplicates.csv: see `report_files.write`."""

    TYPE_NAME = "pneumonia.IngestReport"  # Kubeflow wants namespace.Name


class XrayExampleGenSpec(ComponentSpec):
    """What XrayExampleGen is told and writes; it has no input but the folder."""

    PARAMETERS = {
        "input_base": component_spec.ExecutionParameter(type=str),
        "data_config": component_spec.ExecutionParameter(type=str),
        "seed": component_spec.ExecutionParameter(type=int),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "ingest_report": component_spec.ChannelParameter(type=IngestReport),
    }


class XrayExampleGen(base_beam_component.BaseBeamComponent):
    """Reads JPEG, PNG and DICOM files into tf.Examples with the splits train, val and test.

    Runs on Beam, whose workers all must see `input_base` (see `listing.entries`). `fingerprint` is
    `listing.fingerprint` of it and, with `code_version`, decides whether a cached execution fits.
    Outputs: `examples`, gzipped TFRecords with the features of pipeline/features.py, and
    `ingest_report`, see `report.Report`.
    """

    SPEC_CLASS = XrayExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, input_base: str, data_config: str, seed: int, fingerprint: str, code_version: str
    ) -> None:
        super().__init__(
            XrayExampleGenSpec(
                input_base=input_base,
                data_config=data_config,
                seed=seed,
                fingerprint=fingerprint,
                code_version=code_version,
                examples=Channel(type=standard_artifacts.Examples),
                ingest_report=Channel(type=IngestReport),
            )
        )
