"""Reads from ML Metadata what a run's components wrote."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.runs.folder import RunFolderError


@dataclass(frozen=True)
class Output:
    """One artifact: where it lies, its type, and the properties that its component set."""

    uri: Path
    type_name: str
    properties: Mapping[str, int | float | str]


@dataclass(frozen=True)
class Step:
    """One component's execution in a run."""

    component: str
    cached: bool
    succeeded: bool
    outputs: Mapping[str, Output]


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
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as file:
            ((finding,), *_) = file.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as error:
        finding = str(error)
    if finding != "ok":
        raise RunFolderError(
            f"{database} is damaged ({' '.join(finding.split())}); put a copy back, or "
            f"'rm -r {database} {database.with_name('artifacts')}': the next run computes every "
            "step again, and what is served stays"
        )


def latest_steps(database: Path) -> dict[str, Step]:
    """Reads the newest pipeline run's steps, by component name; empty where none was started."""
    store = open_store(database)
    runs = store.get_contexts_by_type("pipeline_run")
    if not runs:
        return {}
    newest = max(runs, key=lambda context: context.create_time_since_epoch)
    type_names = {kind.id: kind.name for kind in store.get_artifact_types()}
    steps = (
        _step(store, execution, type_names)
        for execution in store.get_executions_by_context(newest.id)
    )
    return {step.component: step for step in steps}


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
) -> Step:
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type in (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
    ]
    artifacts = {
        artifact.id: artifact
        for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
    }
    return Step(
        component=_component(store, execution),
        cached=execution.last_known_state == mlmd.Execution.CACHED,
        succeeded=execution.last_known_state in (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED),
        outputs={
            event.path.steps[0].key: _output(artifacts[event.artifact_id], type_names)
            for event in events
        },
    )


def _component(store: metadata_store.MetadataStore, execution: mlmd.Execution) -> str:
    """TFX names an execution's "node" context PIPELINE.COMPONENT."""
    contexts = store.get_contexts_by_execution(execution.id)
    node_type = store.get_context_type("node").id
    return next(item.name for item in contexts if item.type_id == node_type).rpartition(".")[2]


def _output(artifact: mlmd.Artifact, type_names: Mapping[int, str]) -> Output:
    properties = {**artifact.properties, **artifact.custom_properties}
    return Output(
        uri=Path(artifact.uri),
        type_name=type_names[artifact.type_id],
        properties={
            name: getattr(value, value.WhichOneof("value"))
            for name, value in properties.items()
            if value.WhichOneof("value") in ("int_value", "double_value", "string_value")
        },
    )
