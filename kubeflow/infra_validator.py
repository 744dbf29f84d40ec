"""TFX's InfraValidator: TensorFlow Serving itself, in a pod of its own, tries the model.

TFX wrote it for the first Kubeflow Pipelines, where a step's own disk was the pipeline's. In the
second one two things are missing that are made up for here: the model lies on the step's disk,
where no other pod sees it, so it is copied to a volume for the trial (KubernetesRunner mounts the
volume that it finds the model on); and the namespace is not in the environment.
"""

import os
from pathlib import Path
from typing import Any, Final

from tfx.components.infra_validator.executor import Executor as TfxExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import infra_validator_pb2 as pb
from tfx.types import BaseChannel, Channel, component_spec
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import InfraBlessing
from tfx.types.standard_component_specs import InfraValidatorSpec
from tfx.utils import kube_utils

from components import names
from kubeflow.cluster import Trial

_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LOADING_SECONDS: Final = 600  # pulling the image is part of it
_FILMS: Final = 3


class Executor(TfxExecutor):
    """Works in a folder of this pod's own on the shared volume."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """The step's entry point calls it."""
        if kube_utils.KFP_NAMESPACE not in os.environ:
            os.environ[kube_utils.KFP_NAMESPACE] = _NAMESPACE.read_text(encoding="utf-8")
        self._context = self.Context(
            tmp_dir=exec_properties["dir"], unique_id=os.environ[kube_utils.KFP_POD_NAME]
        )
        super().Do(input_dict, output_dict, exec_properties)


class Spec(InfraValidatorSpec):
    """TFX's, and the folder for the trial."""

    PARAMETERS = {
        **InfraValidatorSpec.PARAMETERS,
        "dir": component_spec.ExecutionParameter(type=str),
    }


class InfraValidator(base_component.BaseComponent):
    """Blesses a model that TensorFlow Serving's image loads and answers with."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, model: BaseChannel, examples: BaseChannel, trial: Trial) -> None:
        """Wires the component.

        Args:
            model: the candidate.
            examples: raw examples; the test split's first films are asked about.
            trial: which image, and where the model is put for it.
        """
        name, at, version = trial.image.partition("@")
        if not at:
            name, _, version = trial.image.rpartition(":")
        server = pb.TensorFlowServing(image_name=name, **{"digests" if at else "tags": [version]})
        pod = pb.PodOverrides(annotations={"sidecar.istio.io/inject": "false"})
        super().__init__(
            Spec(
                model=model,
                examples=examples,
                serving_spec=pb.ServingSpec(
                    tensorflow_serving=server,
                    kubernetes=pb.KubernetesConfig(serving_pod_overrides=pod),
                    model_name=names.MODEL_NAME,
                ),
                validation_spec=pb.ValidationSpec(
                    max_loading_time_seconds=_LOADING_SECONDS, num_tries=2
                ),
                request_spec=pb.RequestSpec(
                    tensorflow_serving=pb.TensorFlowServingRequestSpec(
                        signature_names=[names.SERVING_DEFAULT]
                    ),
                    split_name=names.TEST,
                    num_examples=_FILMS,
                ),
                dir=trial.dir,
                blessing=Channel(type=InfraBlessing),
            )
        )
