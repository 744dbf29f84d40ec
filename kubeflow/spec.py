"""What TFX's compiler leaves out of a pipeline spec: types, resources, retries, volumes."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import yaml
from tfx.dsl.components.base.base_node import BaseNode

from kubeflow import metrics
from kubeflow.cluster import Cluster, StepResources
from pipeline.config import ConfigError

# Types of our own that Kubeflow's page shows as HTML.
HTML_TYPES: Final = frozenset({"pneumonia.Report"})
# The task that judges a model, and shows what it found in types of Kubeflow's.
EVALUATOR: Final = "Evaluator"
# The longest duration does not bound a wait: Argo counts it from the start of the first attempt,
# tries nothing again after it, and ends the pods of later attempts at it. Kubeflow makes 0 of none,
# and then nothing is ever tried again. A week is beyond all attempts together.
_BACKOFF: Final = {
    "backoffDuration": "30s",
    "backoffFactor": 2.0,
    "backoffMaxDuration": f"{7 * 24 * 3600}s",
}

Json = dict[str, Any]


def artifact_types(components: Iterable[BaseNode]) -> dict[str, str]:
    """The import path of each artifact type that the components exchange, by the type's name."""
    types = {
        channel.type
        for component in components
        for channel in (*component.inputs.values(), *component.outputs.values())
    }
    return {held.TYPE_NAME: f"{held.__module__}.{held.__qualname__}" for held in types}


def finished(job: Json, cluster: Cluster, types: Mapping[str, str], defaults: Json) -> Json:
    """A copy of TFX's job with everything that the compiler leaves out.

    Args:
        job: what KubeflowV2DagRunner.run returns.
        cluster: image and resources; see ConfigError.
        types: import paths by TYPE_NAME; see artifact_types.
        defaults: values of the root's parameters where a run gives none.

    Raises ConfigError where the cluster names a step that the pipeline does not have.
    """
    job = copy.deepcopy(job)
    pipeline = job["pipelineSpec"]
    tasks = pipeline["root"]["dag"]["tasks"]
    if unknown := sorted(set(cluster.steps) - set(tasks)):
        raise ConfigError(f"steps.{unknown[0]}: no such step; known: {', '.join(tasks)}")
    if cluster.pipeline_root:
        pipeline["defaultPipelineRoot"] = cluster.pipeline_root
    for name, value in defaults.items():
        pipeline["root"]["inputDefinitions"]["parameters"][name]["defaultValue"] = value
    for component in pipeline["components"].values():
        for artifact in _artifacts(component):
            _name_type(artifact, types)
    for name, container in containers(pipeline).items():
        component = pipeline["components"][name]
        _allot(tasks[name], container, cluster)
        _repeat_inputs(container, component.get("inputDefinitions", {}))
        container["args"] += ["--tfx_outputs", json.dumps(sorted(_outputs(component)))]
        if name == EVALUATOR:
            for key, title in metrics.OUTPUTS.items():
                _outputs(component)[key] = {"artifactType": _schema(title)}
    return job


def platform(job: Json, cluster: Cluster) -> Json:
    """The platform spec: each pod's volumes, nodes and pull secrets.

    Args:
        job: the compiled job, Vertex AI's JSON.
        cluster: what each step gets.

    Returns:
        Kubeflow's PlatformSpec as plain values; empty where no pod has any.
    """
    pods = {name: _pod(cluster, cluster.of(name)) for name in containers(job["pipelineSpec"])}
    executors = {f"{name}_executor": pod for name, pod in pods.items() if pod}
    if not executors:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _pod(cluster: Cluster, step: StepResources) -> Json:
    """A KubernetesExecutorConfig (kubeflow/pipelines, kubernetes_platform/proto)."""
    pod = {
        "pvcMount": [
            {"constant": claim, "mountPath": path} for claim, path in step.volumes.items()
        ],
        "nodeSelector": {"labels": dict(step.node_selector)} if step.node_selector else None,
        "tolerations": [
            {name: value for name, value in asdict(toleration).items() if value}
            for toleration in step.tolerations
        ],
        "imagePullSecret": [{"secretName": name} for name in cluster.image_pull_secrets],
    }
    return {name: value for name, value in pod.items() if value}


def containers(pipeline: Json) -> dict[str, Json]:
    """The container of each task that runs in one, by the task's name."""
    executors = pipeline["deploymentSpec"]["executors"]
    found = {}
    for name, task in pipeline["root"]["dag"]["tasks"].items():
        label = pipeline["components"][task["componentRef"]["name"]]["executorLabel"]
        if "container" in executors[label]:
            found[name] = executors[label]["container"]
    return found


def _schema(title: str) -> Json:
    """One of Kubeflow's own types."""
    return {"schemaTitle": title, "schemaVersion": "0.0.1"}


def _outputs(component: Json) -> Json:
    artifacts: Json = component.get("outputDefinitions", {}).get("artifacts", {})
    return artifacts


def _artifacts(component: Json) -> Iterator[Json]:
    for side in ("inputDefinitions", "outputDefinitions"):
        yield from component.get(side, {}).get("artifacts", {}).values()


def _name_type(artifact: Json, types: Mapping[str, str]) -> None:
    """Names a type of our own by its import path: that is how TFX finds it again at run time."""
    schema = yaml.safe_load(artifact["artifactType"]["instanceSchema"])
    title = schema["title"]
    if title in HTML_TYPES:
        artifact["artifactType"] = _schema("system.HTML")
    elif title in types:
        schema["title"] = types[title]
        artifact["artifactType"]["instanceSchema"] = yaml.safe_dump(schema, sort_keys=False)


def _allot(task: Json, container: Json, cluster: Cluster) -> None:
    step = cluster.of(task["taskInfo"]["name"])
    container["resources"] = {
        "cpuRequest": step.cpu,
        "cpuLimit": step.cpu,
        "memoryRequest": step.memory,
        "memoryLimit": step.memory,
    }
    if step.gpu:
        container["resources"]["accelerator"] = {"type": step.gpu_type, "count": str(step.gpu)}
    if step.retries:
        task["retryPolicy"] = {"maxRetryCount": step.retries, **_BACKOFF}
    task["cachingOptions"] = {"enableCache": step.cache}


def _repeat_inputs(container: Json, inputs: Json) -> None:
    """The step is told the types of its inputs on its command line, too."""
    position = container["args"].index("--json_serialized_inputs_spec_args") + 1
    container["args"][position] = json.dumps(inputs, sort_keys=True)
