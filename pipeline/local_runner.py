"""Runs the pipeline on this machine: LocalDagRunner, with ML Metadata on SQLite."""

from dataclasses import replace
from pathlib import Path

from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from components.xray_example_gen import fingerprint
from pipeline import flink, lineage
from pipeline.baseline import served_model_resolver
from pipeline.config import Config, dump
from pipeline.pipeline import create_pipeline
from pipeline.run_folder import RunFolder


def run(config: Config, data_root: Path, folder: RunFolder) -> None:
    """Runs every step whose inputs, configuration or code changed since the folder's last run.

    Call it under the folder's lock. Raises what the failing step raised.
    """
    folder.config.write_text(dump(config), encoding="utf-8")
    config = replace(config, beam=flink.with_job_server(config.beam))
    if folder.metadata.exists():
        lineage.abandon_unfinished(folder.metadata)
    root = folder.root.resolve()
    pipeline = create_pipeline(
        config,
        data_root=str(data_root.resolve()),
        data_fingerprint=fingerprint(data_root),
        pipeline_root=str(root / folder.artifacts.name),
        serving_dir=str(folder.serving.resolve()),
        cache_dir=str(folder.cache.resolve()),
        baseline=served_model_resolver(folder.serving.resolve()),
        metadata=sqlite_metadata_connection_config(str(folder.metadata)),
    )
    LocalDagRunner().run(pipeline)
