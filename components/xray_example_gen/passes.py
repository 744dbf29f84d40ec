"""The two passes over the files, as Beam steps: one inspects, one writes what was kept.

Beam moves work lists' names only and never shuffles image bytes; whatever works on a list opens
one file at a time, so memory grows neither with the number of images nor, beyond one, their size.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
import tensorflow as tf
from tfx.dsl.io import fileio

from client import images
from components.xray_example_gen import work_lists
from components.xray_example_gen.inspection import Inspector, Record, size_class
from components.xray_example_gen.listing import Entry
from components.xray_example_gen.work_lists import WorkList
from pipeline import features
from pipeline.config import DataConfig


def inspected(path: str) -> str:
    """Where the records of the work list at `path` are written."""
    return f"{path}.inspected"


def outcome(path: str) -> str:
    """Where it is written how many files of the work list at `path` were stored."""
    return f"{path}.stored"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A work list's outcome: files written, and names of those that changed since inspection."""

    written: int
    changed: list[str]


class InspectList(beam.DoFn):
    """Reads, checks and hashes the files of work lists of `Entry`."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspect = inspector

    def process(self, element: WorkList) -> Iterator[int]:
        """Beam calls it for every work list."""
        entries = work_lists.read(element.path, Entry)
        work_lists.write_one(inspected(element.path), map(self._inspect, entries))
        logging.info("Ingest: %s of %s files inspected", element.end, element.total)
        yield element.end


class StoreList(beam.DoFn):
    """Writes each work list of `Record` as one TFRecord file."""

    def __init__(self, folder: Path, config: DataConfig) -> None:
        self._folder = folder
        self._config = config

    def process(self, element: tuple[WorkList, str]) -> Iterator[int]:
        """Beam calls it for every work list and the TFRecord file it becomes."""
        work, target = element
        options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
        changed = []
        written = 0
        part = work_lists.unfinished(work.path)
        with tf.io.TFRecordWriter(part, options) as writer:
            for record in work_lists.read(work.path, Record):
                content = self._unchanged_content(record)
                if content is None:
                    changed.append(record.name)
                else:
                    writer.write(serialize(record, content))
                    written += 1
        fileio.rename(part, target, overwrite=True)
        work_lists.write_one(outcome(work.path), [Stored(written, changed)])
        logging.info("Ingest: %s of %s files written", work.end, work.total)
        yield written

    def _unchanged_content(self, record: Record) -> bytes | None:
        """What was inspected, as it is stored; None where the file is another one by now."""
        caps = {"max_bytes": self._config.max_bytes, "max_pixels": self._config.max_pixels}
        try:
            content = images.file_content(self._folder / record.path, caps["max_bytes"])
            if hashlib.sha256(content).hexdigest() == record.sha256:
                return content
            xray = images.read(content, **caps)
        except images.ImageError:
            return None
        return xray.data if xray.sha256 == record.sha256 else None


def run(pipeline: beam.Pipeline, elements: Iterable[object], step: beam.DoFn) -> None:
    """Runs one step over its elements on all of Beam's workers and waits for it."""
    with pipeline:
        _ = pipeline | beam.Create(list(elements)) | beam.Reshuffle() | beam.ParDo(step)


def serialize(record: Record, content: bytes) -> bytes:
    """The raw tf.Example of one film, as pipeline/features.py names its features."""
    values: dict[str, bytes | int] = {
        features.IMAGE: content,
        features.FILENAME: record.name.encode("utf-8", "surrogateescape"),
        features.SHA256: record.sha256.encode(),
        features.HEIGHT: record.height,
        features.WIDTH: record.width,
        features.PATIENT_ID: record.patient_id.encode("utf-8", "surrogateescape"),
        features.LABEL: record.label or 0,
        features.ETIOLOGY: record.etiology.encode(),
        features.SIZE_CLASS: size_class(record.width, record.height).encode(),
        features.SOURCE: record.source.encode("utf-8", "replace"),
    }
    return tf.train.Example(
        features=tf.train.Features(feature={key: _feature(value) for key, value in values.items()})
    ).SerializeToString(deterministic=True)


def _feature(value: bytes | int) -> tf.train.Feature:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
