"""Compiles the pipeline for Kubeflow Pipelines and for Vertex AI."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.types import BaseChannel, standard_artifacts

from components.files import replacing
from kubeflow import spec
from kubeflow.cluster import Cluster, Trial
from kubeflow.infra_validator import InfraValidator
from pipeline.config import Config
from pipeline.pipeline import create_pipeline

COMMAND: Final = ("python", "-m", "kubeflow.step")
SCHEMA: Final = "pipeline/schema.pbtxt"  # in the image's working directory
DATA_ROOT: Final = "data_root"
DATA_VERSION: Final = "data_version"
BASELINE: Final = "baseline"


@dataclasses.dataclass(frozen=True)
class Package:
    """A compiled pipeline: the job (Vertex AI's JSON) and what only Kubernetes knows."""

    job: dict[str, Any]
    platform: dict[str, Any]

    def write(self, path: Path, *, vertex: bool = False) -> None:
        """Writes the package, whole or not at all.

        Args:
            path: the file.
            vertex: write Vertex AI's JSON, and not Kubeflow's YAML (pipeline spec, platform spec).
        """
        text = json.dumps(self.job, indent=2, sort_keys=True) if vertex else self._yaml()
        with replacing(path) as file:
            file.write(text.encode())

    def _yaml(self) -> str:
        documents = [self.job["pipelineSpec"], *([self.platform] if self.platform else [])]
        return yaml.safe_dump_all(documents, sort_keys=True)


def compile_pipeline(config: Config, cluster: Cluster, *, baseline: str | None = None) -> Package:
    """Compiles `create_pipeline(config)` to pipeline spec 2.1.

    The compiled pipeline takes the parameters `data_root`, where the X-rays are, and
    `data_version`, any word for their content: ingestion is taken from the cache as long as both
    stay the same. With a `baseline` it takes that too.

    Args:
        config: the run's.
        cluster: image, folders and each step's resources.
        baseline: URI of the served model's artifact; None: no comparison.

    Raises:
        ConfigError: the cluster names a step that the pipeline does not have.
    """
    pipeline = create_pipeline(
        config,
        data_root=RuntimeParameter(name=DATA_ROOT, ptype=str),
        data_fingerprint=RuntimeParameter(name=DATA_VERSION, ptype=str),
        pipeline_root=cluster.pipeline_root or "",
        serving_dir=cluster.serving_dir,
        cache_dir=cluster.cache_dir,
        baseline=_importer if baseline else None,
        infra_validator=_infra_validator(cluster.infra_validator),
        schema_file=SCHEMA,
    )
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(
            default_image=cluster.image,
            default_commands=list(COMMAND),
            use_pipeline_spec_2_1=True,
        )
    )
    defaults = {DATA_ROOT: cluster.data_root, **({BASELINE: baseline} if baseline else {})}
    job = runner.run(pipeline, parameter_values=defaults, write_out=False)
    types = spec.artifact_types(pipeline.components)
    return Package(
        job=spec.finished(job, cluster, types, defaults), platform=spec.platform(job, cluster)
    )


def _infra_validator(
    trial: Trial | None,
) -> Callable[[BaseChannel, BaseChannel], InfraValidator] | None:
    if trial is None:
        return None
    return lambda model, examples: InfraValidator(model, examples, trial)


def _importer(_candidate: BaseChannel) -> Importer:
    """Open-source Kubeflow has no resolvers: whoever submits the run names the served model.

    The property keeps Kubeflow from taking a Trainer's own artifact for the imported one: where the
    candidate comes from the cache and is the served model, the Evaluator would get it twice.
    """
    return Importer(
        source_uri=RuntimeParameter(name=BASELINE, ptype=str),
        artifact_type=standard_artifacts.Model,
        custom_properties={"role": BASELINE},
        output_key="model",
    ).with_id("BaselineImporter")
