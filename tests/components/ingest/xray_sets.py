"""Data sets on disk, and ExampleGen run on them."""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components import names
from components.ingest import report
from components.ingest.component import Executor, IngestReport
from tests.client.image_files import encoded, grey


class Ingested:
    """What one run of ExampleGen left behind."""

    def __init__(self, folder: Path) -> None:
        self.examples = standard_artifacts.Examples()
        self.examples.uri = str(folder / "examples")
        self.ledger = IngestReport()
        self.ledger.uri = str(folder / "ledger")
        self.folder = folder

    @property
    def report(self) -> report.Ledger:
        return report.read(self.ledger.uri)

    def files(self, split: str) -> list[Path]:
        return sorted((self.folder / "examples" / f"Split-{split}").iterdir())

    def films(self, split: str) -> list[dict[str, Any]]:
        """The split's examples, each feature as bytes or int."""
        names = [str(path) for path in self.files(split)]
        records = tf.data.TFRecordDataset(names, compression_type="GZIP")
        return [_values(record) for record in records.as_numpy_iterator()]

    def by_name(self) -> dict[str, dict[str, Any]]:
        return {
            os.fsdecode(film[names.FILENAME]): film | {"split": split}
            for split in names.SPLITS
            for film in self.films(split)
        }

    def rejects(self) -> dict[str, str]:
        with (self.folder / "ledger" / "rejects.csv").open(encoding="utf-8", newline="") as file:
            return {row["file"]: row["reason"] for row in csv.DictReader(file)}


def ingest(
    base: Path, out: Path, seed: int = 20, beam_args: list[str] | None = None, **config: Any
) -> Ingested:
    """Runs the executor on Beam's in-process runner, as LocalDagRunner would, or as told."""
    result = Ingested(out)
    context = (
        BaseBeamExecutor.Context(beam_pipeline_args=beam_args)
        if beam_args
        else BaseBeamExecutor.Context(
            make_beam_pipeline_fn=lambda: beam.Pipeline(runner=FnApiRunner())
        )
    )
    Executor(context).Do(
        {},
        {"examples": [result.examples], "ingest_report": [result.ledger]},
        {
            "input_base": str(base),
            "data_config": json.dumps({"file_names": True} | config),
            "seed": seed,
            "since": "",
            "fingerprint": "",
            "code_version": "",
        },
    )
    return result


def write(base: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return base


def films(count: int, pattern: str, first_seed: int = 0) -> dict[str, bytes]:
    """JPEG files that differ, named by a pattern with their number as `{n}`."""
    return {
        pattern.format(n=number): encoded(grey(64, 64, seed=first_seed + number), "JPEG")
        for number in range(count)
    }


def both_classes(count: int = 20) -> dict[str, bytes]:
    """`count` patients of each class, one film each, in class folders."""
    return films(count, "NORMAL/IM-{n:04d}-0001.jpeg") | films(
        count, "PNEUMONIA/person{n}_virus_{n}.jpeg", 1000
    )


def _values(record: bytes) -> dict[str, Any]:
    example = tf.train.Example.FromString(record)
    return {
        name: getattr(feature, feature.WhichOneof("kind")).value[0]
        for name, feature in example.features.feature.items()
    }
