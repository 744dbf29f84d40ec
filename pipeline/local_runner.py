"""Runs the pipeline on this machine: LocalDagRunner, with ML Metadata on SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from components import versions
from components.xray_example_gen import fingerprint
from pipeline import data_shift, lineage, promotion
from pipeline.baseline import served_model_resolver
from pipeline.config import Config, dump
from pipeline.flink import engine
from pipeline.pipeline import create_pipeline, create_recalibration
from pipeline.run_folder import RunFolder


def run(config: Config, data_root: Path, folder: RunFolder) -> None:
    """Runs every step whose inputs, configuration or code changed since the folder's last run.

    Call it under the folder's lock. Raises what the failing step raised.
    """
    with _prepared(config, folder):
        LocalDagRunner().run(
            create_pipeline(
                config,
                **_places(data_root, folder),
                cache_dir=str(folder.cache.resolve()),
                baseline=served_model_resolver(folder.serving.resolve()),
                last_run=data_shift.last_run_resolver,
            )
        )
    promotion.repair(folder.serving)  # a cached push looks at no file


def recalibrate(config: Config, base: Path, data_root: Path, folder: RunFolder) -> None:
    """As `run`, from the SavedModel of a pushed version instead of from ImageNet's weights."""
    with _prepared(config, folder):
        LocalDagRunner().run(
            create_recalibration(
                config,
                base=base.resolve(),
                base_sha256=versions.digest(base),
                **_places(data_root, folder),
            )
        )


@contextmanager
def _prepared(config: Config, folder: RunFolder) -> Iterator[None]:
    folder.config.write_text(dump(config), encoding="utf-8")
    if folder.metadata.exists():
        lineage.abandon_unfinished(folder.metadata, folder.artifacts)
    with engine.running(config.beam, folder.log):
        yield


def _places(data_root: Path, folder: RunFolder) -> dict[str, Any]:
    return {
        "data_root": str(data_root.resolve()),
        "data_fingerprint": fingerprint(data_root),
        "pipeline_root": str(folder.root.resolve() / folder.artifacts.name),
        "serving_dir": str(folder.serving.resolve()),
        "metadata": sqlite_metadata_connection_config(str(folder.metadata)),
    }
