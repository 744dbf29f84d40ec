"""Executes a compiled package without a cluster, as open-source Kubeflow Pipelines does.

Written after its driver (kubeflow/pipelines, backend/src/v2/driver: resolve.go, container.go,
driver.go, cache.go), its importer launcher and Argo Workflows' retries (workflow/controller/
operator.go, processNodeRetries). It takes the YAML alone. What a step can rely on there holds here
and no more: input artifacts come without their type, metadata went through ML Metadata (integers
became floats), which takes one input event for an artifact and execution, object stores keep no
empty folder, the pod's disk is gone after the step, volumes are seen only by steps that mount them.
"""

import dataclasses
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import ml_metadata
import yaml
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as ir
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tests.kubeflow.pod import LOGS, Pod, Volumes

ROOT = "minio://mlpipeline/v2/artifacts"


class RefusedError(ValueError):
    """What Kubeflow's API server or driver would not run."""


@dataclasses.dataclass
class Task:
    """What became of a task."""

    state: str  # SUCCEEDED, CACHED, SKIPPED (condition), OMITTED (something upstream), FAILED
    attempts: int = 0
    log: str = ""
    outputs: dict[str, int] = dataclasses.field(default_factory=dict)  # artifact ids


class Metadata:
    """ML Metadata itself, in memory, as far as Kubeflow's client writes artifacts and inputs."""

    def __init__(self) -> None:
        self._store = ml_metadata.MetadataStore(
            mlmd.ConnectionConfig(fake_database=mlmd.FakeDatabaseConfig())
        )
        self._artifact = self._store.put_artifact_type(mlmd.ArtifactType(name="system.Artifact"))
        self._execution = self._store.put_execution_type(
            mlmd.ExecutionType(name="system.ContainerExecution")
        )

    def record(self, uri: str) -> int:
        """A new artifact's number."""
        (number,) = self._store.put_artifacts([mlmd.Artifact(type_id=self._artifact, uri=uri)])
        return int(number)

    def execute(self, inputs: Mapping[str, int]) -> None:
        """CreateExecution: an event for each input. Raises ml_metadata.errors.StatusError."""
        pairs = []
        for name, number in inputs.items():
            event = mlmd.Event(artifact_id=number, type=mlmd.Event.INPUT)
            event.path.steps.add().key = name
            pairs.append((self._store.get_artifacts_by_id([number])[0], event))
        self._store.put_execution(mlmd.Execution(type_id=self._execution), pairs, [])


@dataclasses.dataclass
class Cluster:
    """A stand-in for the cluster: object store, ML Metadata, volumes; outlives runs.

    Attributes:
        volumes: folders by claim.
        took: the seconds that each attempt of a step is said to take; without, none. Waits between
            attempts are not slept through.
    """

    folder: Path
    volumes: Volumes = dataclasses.field(default_factory=dict)
    took: Mapping[str, float] = dataclasses.field(default_factory=dict)
    artifacts: dict[int, ir.RuntimeArtifact] = dataclasses.field(default_factory=dict)
    cache: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    metadata: Metadata = dataclasses.field(default_factory=Metadata)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def run(self, package: Path, parameters: Mapping[str, Any]) -> dict[str, Task]:
        """Runs a package to its end, or to its first failure."""
        return _Run(self, package, parameters).finish()

    def record(self, artifact: ir.RuntimeArtifact) -> int:
        """ML Metadata's part: a number, and JSON values in its own types."""
        kept = ir.RuntimeArtifact(uri=artifact.uri)
        for key, value in artifact.metadata.fields.items():
            kept.metadata.fields[key].CopyFrom(_through_mlmd(value))
        # The same for all, as where the steps' credentials come from their environment.
        kept.metadata.fields["store_session_info"].string_value = "{}"
        # The driver hands artifacts on with a schema that is empty.
        kept.type.instance_schema = ""
        number = self.metadata.record(artifact.uri)
        kept.name = str(number)
        self.artifacts[number] = kept
        return number

    def find(self, imported: ir.RuntimeArtifact) -> int | None:
        """FindMatchedArtifact: one with this URI that has all of these properties."""
        wanted = imported.metadata.fields.items()
        for number, held in self.artifacts.items():
            if held.uri == imported.uri and all(
                held.metadata.fields.get(key) == value for key, value in wanted
            ):
                return number
        return None


class _Run:
    def __init__(self, cluster: Cluster, package: Path, parameters: Mapping[str, Any]) -> None:
        spec, *platforms = yaml.safe_load_all(package.read_text())
        self.cluster = cluster
        self.spec = json_format.ParseDict(spec, ir.PipelineSpec())
        self.deployment = ir.PipelineDeploymentConfig()
        json_format.ParseDict(json_format.MessageToDict(self.spec.deployment_spec), self.deployment)
        self.mounts = _mounts(platforms[0] if platforms else {})
        self.parameters = self._root_parameters(parameters)
        self.id = uuid.uuid4().hex
        self.tasks: dict[str, Task] = {}

    def finish(self) -> dict[str, Task]:
        tasks = self.spec.root.dag.tasks
        for name in TopologicalSorter(
            {name: list(task.dependent_tasks) for name, task in tasks.items()}
        ).static_order():
            task = tasks[name]
            if any(self.tasks[up].state not in DONE for up in task.dependent_tasks):
                self.tasks[name] = Task("OMITTED")
                continue
            component = self.spec.components[task.component_ref.name]
            executor = self.deployment.executors[component.executor_label]
            start = STARTERS.get(executor.WhichOneof("spec"))
            if start is None:
                raise RefusedError(f"{name}: no {executor.WhichOneof('spec')} executors")
            self.tasks[name] = start(self, name, task, component, executor)
        return self.tasks

    def _root_parameters(self, given: Mapping[str, Any]) -> dict[str, struct_pb2.Value]:
        declared = self.spec.root.input_definitions.parameters
        if unknown := set(given) - set(declared):
            raise RefusedError(f"unknown parameters {unknown}")
        values = {}
        for name, definition in declared.items():
            if name in given:
                values[name] = json_format.ParseDict(given[name], struct_pb2.Value())
            elif definition.HasField("default_value"):
                values[name] = definition.default_value
            else:
                raise RefusedError(f"parameter {name}: neither value nor default value")
        return values

    def inputs(self, task: ir.PipelineTaskSpec, component: ir.ComponentSpec) -> Any:
        """The driver's resolveInputs."""
        resolved = ir.ExecutorInput.Inputs()
        for name, given in task.inputs.parameters.items():
            match given.WhichOneof("kind"):
                case "runtime_value":
                    value = given.runtime_value.constant
                case "component_input_parameter":
                    value = self.parameters[given.component_input_parameter]
                case other:
                    raise RefusedError(f"parameter {name}: {other}")
            resolved.parameter_values[name].CopyFrom(value)
        for name, definition in component.input_definitions.parameters.items():
            _check_type(name, definition, resolved.parameter_values)
        for name, given in task.inputs.artifacts.items():
            producer = self.tasks[given.task_output_artifact.producer_task]
            artifact = producer.outputs[given.task_output_artifact.output_artifact_key]
            resolved.artifacts[name].artifacts.append(self.cluster.artifacts[artifact])
        return resolved

    def start_container(
        self, name: str, task: Any, component: ir.ComponentSpec, executor: Any
    ) -> Task:
        container = executor.container
        given = ir.ExecutorInput(inputs=self.inputs(task, component))
        condition = task.trigger_policy.condition
        if condition and not holds(condition, given):
            return Task("SKIPPED")
        try:
            self.cluster.metadata.execute(
                {key: int(held.artifacts[0].name) for key, held in given.inputs.artifacts.items()}
            )
        except ml_metadata.errors.StatusError as error:
            return Task("FAILED", log=f"driver: {error}")
        key = _cache_key(container, given, component)
        if task.caching_options.enable_cache and key in self.cluster.cache:
            return Task("CACHED", outputs=self.cluster.cache[key])
        root = f"{ROOT}/{self.spec.pipeline_info.name}/{self.id}/{name}/{uuid.uuid4()}"
        for output, definition in component.output_definitions.artifacts.items():
            given.outputs.artifacts[output].artifacts.add(
                name=output, uri=f"{root}/{output}", type=definition.artifact_type
            )
        logs = given.outputs.artifacts[LOGS].artifacts.add(name=LOGS)
        logs.type.schema_title = "system.Artifact"
        volumes = {
            path: self.cluster.volumes[claim]
            for claim, path in self.mounts.get(component.executor_label, ())
        }
        done = Task("FAILED")
        for done.attempts in attempts(task, self.cluster.took.get(name, 0)):
            logs.uri = f"{root}/{LOGS}-{done.attempts - 1}"
            with Pod(self.cluster.store) as pod:
                published, done.log = pod.run(container, given, root, volumes)
            if published is not None:
                done.state = "SUCCEEDED"
                done.outputs = {
                    output: self.cluster.record(artifact) for output, artifact in published.items()
                }
                if task.caching_options.enable_cache:
                    self.cluster.cache[key] = done.outputs
                break
        return done

    def start_importer(
        self, _name: str, task: Any, component: ir.ComponentSpec, executor: Any
    ) -> Task:
        if task.trigger_policy.condition:
            raise RefusedError("triggerPolicy.condition on importer task is not supported")
        (output,) = component.output_definitions.artifacts
        source = executor.importer.artifact_uri
        if source.WhichOneof("value") == "constant":
            uri = source.constant.string_value
        else:
            given = task.inputs.parameters[source.runtime_parameter]
            uri = self.parameters[given.component_input_parameter].string_value
        if not re.match(r"(gs|s3|minio)://[^/]+/.", uri):
            raise RefusedError(f"no provider scheme found in artifact URI: {uri}")
        imported = ir.RuntimeArtifact(uri=uri, metadata=executor.importer.metadata)
        known = None if executor.importer.reimport else self.cluster.find(imported)
        number = self.cluster.record(imported) if known is None else known
        return Task("SUCCEEDED", outputs={output: number})


DONE = ("SUCCEEDED", "CACHED")
STARTERS: dict[str, Callable[..., Task]] = {
    "container": _Run.start_container,
    "importer": _Run.start_importer,
}


def attempts(task: ir.PipelineTaskSpec, took: float) -> Iterator[int]:
    """Counts the attempts that Argo makes at a step that fails each time.

    Args:
        task: with its retry policy; Kubeflow fills in 0 for what that leaves out.
        took: the seconds that each attempt takes.
    """
    policy = task.retry_policy
    longest = policy.backoff_max_duration.seconds
    since_first = 0.0
    for attempt in range(1 + policy.max_retry_count):
        if attempt and since_first + took > longest:
            return  # the pod is ended where the time is over
        yield attempt + 1
        since_first += took
        if since_first >= longest:
            return  # "Max duration limit exceeded"
        since_first += policy.backoff_duration.seconds * policy.backoff_factor**attempt
        if since_first > longest:
            return  # "Backoff would exceed max duration limit"


def holds(condition: str, given: ir.ExecutorInput) -> bool:
    """A trigger condition, in the part of CEL that TFX's compiler writes."""
    names = json.loads(json.dumps(json_format.MessageToDict(given)), object_hook=_Attributes)
    words = {"&&": " and ", "||": " or ", "true": "True", "false": "False"}
    python = re.sub(
        r"&&|\|\||!(?!=)|\btrue\b|\bfalse\b", lambda m: words.get(m[0], " not "), condition
    )
    return bool(eval(python, {"__builtins__": {}}, {"inputs": names["inputs"]}))


class _Attributes(dict[str, Any]):
    """JSON's objects, by attribute and by key."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def _mounts(platform: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    executors = (
        platform.get("platforms", {})
        .get("kubernetes", {})
        .get("deploymentSpec", {})
        .get("executors", {})
    )
    return {
        label: [(mount["constant"], mount["mountPath"]) for mount in given["pvcMount"]]
        for label, given in executors.items()
    }


def _check_type(name: str, definition: Any, values: Any) -> None:
    if name not in values:
        if not definition.is_optional and not definition.HasField("default_value"):
            raise RefusedError(f"neither value nor default value for parameter {name}")
        return
    types = ir.ParameterType
    wanted = {
        types.STRING: "string_value",
        types.NUMBER_INTEGER: "number_value",
        types.NUMBER_DOUBLE: "number_value",
        types.BOOLEAN: "bool_value",
    }[definition.parameter_type]
    if values[name].WhichOneof("kind") != wanted:
        raise RefusedError(f"input parameter {name} type mismatch: expect {wanted}")


def _through_mlmd(value: struct_pb2.Value) -> struct_pb2.Value:
    kind = value.WhichOneof("kind")
    if kind in ("string_value", "number_value"):
        return value
    if kind == "bool_value":
        return struct_pb2.Value(number_value=float(value.bool_value))
    if kind in ("list_value", "struct_value"):
        wrapped = struct_pb2.Value()
        wrapped.struct_value.fields[kind.removesuffix("_value")].CopyFrom(value)
        return wrapped
    raise RefusedError(f"metadata: unknown/unsupported value type {kind}")


def _cache_key(container: Any, given: ir.ExecutorInput, component: ir.ComponentSpec) -> str:
    inputs = json_format.MessageToDict(given.inputs)
    return json.dumps(
        {
            "artifacts": {
                name: [artifact["name"] for artifact in held["artifacts"]]
                for name, held in inputs.get("artifacts", {}).items()
            },
            "parameters": inputs.get("parameterValues", {}),
            "outputs": json_format.MessageToDict(component.output_definitions),
            "container": [container.image, *container.command, *container.args],
        },
        sort_keys=True,
    )
