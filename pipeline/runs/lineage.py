"""Reads from ML Metadata what a run's components wrote."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.runs.folder import RunFolderError

_MAKERS: Final = {"Trainer", "Recalibrator"}  # of models; a step BaseModel has them from these


@dataclass(frozen=True)
class Output:
    """One artifact: where it lies, its type, and the properties that its component set."""

    uri: Path
    type_name: str
    properties: Mapping[str, int | float | str]


@dataclass(frozen=True)
class ExecutedStep:
    """One component's execution in a run."""

    component: str
    cached: bool
    succeeded: bool
    outputs: Mapping[str, Output]
    parameters: Mapping[str, int | float | str]


@dataclass(frozen=True)
class PipelineRun:
    """One run of the whole pipeline: when it was started, and its steps by component name."""

    started: datetime
    steps: Mapping[str, ExecutedStep]

    @property
    def is_tuning(self) -> bool:
        """Whether it was to end with the Tuner."""
        tuner = self.steps.get("Tuner")
        return tuner is not None and tuner.succeeded and "Trainer" not in self.steps


def open_store(database: Path) -> metadata_store.MetadataStore:
    """Opens the ML Metadata store in a SQLite file.

    Raises:
        RunFolderError: the file is damaged.
    """
    _check(database)
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return metadata_store.MetadataStore(config)


def _check(database: Path) -> None:
    """SQLite itself may say so only amid a run, or never."""
    if not database.exists():
        return
    try:
        # Writable, or SQLite cannot take back what a killed run left half written.
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True)) as file:
            ((finding,), *_) = file.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as error:
        finding = str(error)
    if finding != "ok":
        raise RunFolderError(
            f"{database} is damaged ({' '.join(finding.split())}); put a copy back, or "
            f"'rm -r {database} {database.with_name('artifacts')}': the next run computes every "
            "step again, and what is served stays"
        )


def latest_steps(database: Path, *, tunings: bool = False) -> Mapping[str, ExecutedStep]:
    """Reads the newest pipeline run's steps, by component name; empty where none was started.

    Args:
        database: ML Metadata's SQLite file.
        tunings: whether a run that was to end with the Tuner counts.
    """
    runs = (run for run in pipeline_runs(database) if tunings or not run.is_tuning)
    return next((run.steps for run in runs), {})


def pipeline_runs(database: Path) -> Iterator[PipelineRun]:
    """Reads the pipeline runs that a database knows, the newest first."""
    store = open_store(database)
    contexts = sorted(
        store.get_contexts_by_type("pipeline_run"), key=lambda one: -one.create_time_since_epoch
    )
    type_names = {kind.id: kind.name for kind in store.get_artifact_types()}
    for context in contexts:
        executions = store.get_executions_by_context(context.id)
        steps = [_step(store, execution, type_names) for execution in executions]
        started = datetime.fromtimestamp(context.create_time_since_epoch / 1000, UTC)
        yield PipelineRun(started, {step.component: step for step in steps})


def run_of(database: Path, model: str) -> PipelineRun | None:
    """Finds the newest pipeline run that made a model, or had it from the cache.

    Args:
        database: ML Metadata's SQLite file.
        model: URI of the model's artifact.

    Returns:
        The run; None: it was made elsewhere.
    """
    for run in pipeline_runs(database):
        makers = (run.steps[name] for name in _MAKERS & run.steps.keys())
        if model in {str(output.uri) for step in makers for output in step.outputs.values()}:
            return run
    return None


def abandon_unfinished(database: Path, artifacts: Path) -> None:
    """Marks executions that a killed process left running as failed; removes what they wrote.

    Call it under the run folder's lock only: then nothing can be running.

    Args:
        database: ML Metadata's SQLite file.
        artifacts: the folder below which the components write.
    """
    store = open_store(database)
    unfinished = [
        execution
        for execution in store.get_executions()
        if execution.last_known_state in (mlmd.Execution.NEW, mlmd.Execution.RUNNING)
    ]
    for execution in unfinished:
        execution.last_known_state = mlmd.Execution.FAILED
        for half_written in artifacts.glob(f"*/*/{execution.id}"):  # step, output, execution
            shutil.rmtree(half_written)
    if unfinished:
        store.put_executions(unfinished)


def _step(
    store: metadata_store.MetadataStore, execution: mlmd.Execution, type_names: Mapping[int, str]
) -> ExecutedStep:
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type in (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
    ]
    artifacts = {
        artifact.id: artifact
        for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
    }
    return ExecutedStep(
        component=_component(store, execution),
        cached=execution.last_known_state == mlmd.Execution.CACHED,
        succeeded=execution.last_known_state in (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED),
        outputs={
            event.path.steps[0].key: _output(artifacts[event.artifact_id], type_names)
            for event in events
        },
        parameters=_values(execution),
    )


def _component(store: metadata_store.MetadataStore, execution: mlmd.Execution) -> str:
    """TFX names an execution's "node" context PIPELINE.COMPONENT."""
    contexts = store.get_contexts_by_execution(execution.id)
    node_type = store.get_context_type("node").id
    return next(item.name for item in contexts if item.type_id == node_type).rpartition(".")[2]


def _output(artifact: mlmd.Artifact, type_names: Mapping[int, str]) -> Output:
    return Output(
        uri=Path(artifact.uri),
        type_name=type_names[artifact.type_id],
        properties=_values(artifact),
    )


def _values(record: mlmd.Artifact | mlmd.Execution) -> dict[str, int | float | str]:
    """The properties that are plain values."""
    properties = {**record.properties, **record.custom_properties}
    return {
        name: getattr(value, value.WhichOneof("value"))
        for name, value in properties.items()
        if value.WhichOneof("value") in ("int_value", "double_value", "string_value")
    }
