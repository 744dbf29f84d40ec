"""What TFX's compiler leaves out of a pipeline spec: types, resources, retries, volumes."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml
from tfx.dsl.components.base.base_node import BaseNode

from kubeflow.cluster import Cluster
from pipeline.config import ConfigError

# Types of our own that Kubeflow's page shows as HTML.
HTML_TYPES: Final = frozenset({"pneumonia.Report"})
HTML_SCHEMA: Final = {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}
_BACKOFF: Final = {"backoffDuration": "30s", "backoffFactor": 2.0, "backoffMaxDuration": "600s"}

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
        _allot(tasks[name], container, cluster)
        _repeat_inputs(container, pipeline["components"][name].get("inputDefinitions", {}))
    return job


def platform(job: Json, cluster: Cluster) -> Json:
    """The platform spec: the volumes of each step that has any; empty where none has."""
    executors = {
        f"{name}_executor": {
            "pvcMount": [
                {"constant": claim, "mountPath": path}
                for claim, path in cluster.of(name).volumes.items()
            ]
        }
        for name in containers(job["pipelineSpec"])
        if cluster.of(name).volumes
    }
    if not executors:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def containers(pipeline: Json) -> dict[str, Json]:
    """The container of each task that runs in one, by the task's name."""
    executors = pipeline["deploymentSpec"]["executors"]
    found = {}
    for name, task in pipeline["root"]["dag"]["tasks"].items():
        label = pipeline["components"][task["componentRef"]["name"]]["executorLabel"]
        if "container" in executors[label]:
            found[name] = executors[label]["container"]
    return found


def _artifacts(component: Json) -> Iterator[Json]:
    for side in ("inputDefinitions", "outputDefinitions"):
        yield from component.get(side, {}).get("artifacts", {}).values()


def _name_type(artifact: Json, types: Mapping[str, str]) -> None:
    """Names a type of our own by its import path: that is how TFX finds it again at run time."""
    schema = yaml.safe_load(artifact["artifactType"]["instanceSchema"])
    title = schema["title"]
    if title in HTML_TYPES:
        artifact["artifactType"] = HTML_SCHEMA
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
