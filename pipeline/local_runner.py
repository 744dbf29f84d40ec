"""Runs the pipeline on this machine: LocalDagRunner, with ML Metadata on SQLite."""

from pathlib import Path
from typing import Any

from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from components.ingest.listing import fingerprint
from components.pusher import promotion, versions
from pipeline.config import Config, dump
from pipeline.pipeline import create_pipeline, create_recalibration
from pipeline.resolvers import last_run_resolver, served_model_resolver
from pipeline.runs import lineage
from pipeline.runs.folder import RunFolder
from pipeline.runs.since import find


def run(config: Config, data_root: Path, folder: RunFolder, since: int | None = None) -> None:
    """Runs every step whose inputs, configuration or code changed since the folder's last run.

    Call it under the folder's lock. It raises what the failing step raised.

    Args:
        config: the run's configuration.
        data_root: what ingest takes: a folder of classes, or one with a manifest.
        folder: where the run keeps its things.
        since: a version that the folder serves, to train on from; its films keep their splits.

    Raises:
        IngestError: `data_root` is missing or holds no X-rays of known class.
        RunFolderError: there is no such version, or it is none of this folder's own.
    """
    known = find(folder, since) if since is not None else None
    _train(
        config,
        data_root,
        folder,
        since=known,
        baseline=served_model_resolver(folder.serving.resolve()),
    )
    promotion.repair(folder.serving)  # a cached push looks at no file


def tune(config: Config, data_root: Path, folder: RunFolder) -> None:
    """As `run`, up to the Tuner; a `run` of the same configuration takes all of it from the cache.

    Args:
        config: the run's configuration, with `tune.trials`.
        data_root: what ingest takes: a folder of classes, or one with a manifest.
        folder: where the run keeps its things.

    Raises:
        IngestError: `data_root` is missing or holds no X-rays of known class.
    """
    _train(config, data_root, folder, only_tune=True)


def recalibrate(config: Config, base: Path, data_root: Path, folder: RunFolder) -> None:
    """As `run`, but only fits calibration and threshold of a pushed version; its weights stay.

    Args:
        config: the run's configuration.
        base: the SavedModel of a pushed version.
        data_root: what ingest takes: a folder of classes, or one with a manifest.
        folder: where the run keeps its things.

    Raises:
        IngestError: `data_root` is missing or holds no X-rays of known class.
    """
    _prepare(config, folder)
    LocalDagRunner().run(
        create_recalibration(
            config,
            base=base.resolve(),
            base_sha256=versions.digest(base),
            **_places(config, data_root, folder),
        )
    )


def _train(config: Config, data_root: Path, folder: RunFolder, **further: Any) -> None:
    _prepare(config, folder)
    LocalDagRunner().run(
        create_pipeline(
            config,
            **_places(config, data_root, folder),
            cache_dir=str(folder.cache.resolve()),
            last_run=last_run_resolver,
            **further,
        )
    )


def _prepare(config: Config, folder: RunFolder) -> None:
    folder.config.write_text(dump(config), encoding="utf-8")
    if folder.metadata.exists():
        lineage.abandon_unfinished(folder.metadata, folder.artifacts)


def _places(config: Config, data_root: Path, folder: RunFolder) -> dict[str, Any]:
    return {
        "data_root": str(data_root.resolve()),
        "data_fingerprint": fingerprint(data_root, config.data),
        "pipeline_root": str(folder.root.resolve() / folder.artifacts.name),
        "serving_dir": str(folder.serving.resolve()),
        "metadata": sqlite_metadata_connection_config(str(folder.metadata)),
    }
