"""Two passes over the files, as Beam steps: the first inspects, the second writes what is kept.

Beam moves only the names of work lists and never shuffles image bytes. A worker opens one file at a
time, so its memory depends on the largest image, not on the number of images.
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
from components import names
from components.ingest import work_lists
from components.ingest.entry import Entry
from components.ingest.inspection import IngestRecord, Inspector, size_class
from components.ingest.settings import DataConfig
from components.ingest.work_lists import WorkList


def inspected(path: str) -> str:
    """Names the file for the records of the work list at `path`."""
    return f"{path}.inspected"


def outcome(path: str) -> str:
    """Names the file that says what was stored of the work list at `path`."""
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
        """Inspects a list's files; Beam calls it for every work list."""
        entries = work_lists.read(element.path, Entry)
        work_lists.write_one(inspected(element.path), map(self._inspect, entries))
        logging.info("Ingest: %s of %s files inspected", element.end, element.total)
        yield element.end


class StoreList(beam.DoFn):
    """Writes each work list of `IngestRecord` as one TFRecord file.

    Args:
        folder: the records' paths start from it.
        config: the caps on a file's size.
    """

    def __init__(self, folder: Path, config: DataConfig) -> None:
        self._folder = folder
        self._config = config

    def process(self, element: tuple[WorkList, str]) -> Iterator[int]:
        """Writes one file; Beam calls it for every work list and the TFRecord file it becomes."""
        work, target = element
        options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
        changed = []
        written = 0
        part = work_lists.unfinished(work.path)
        with tf.io.TFRecordWriter(part, options) as writer:
            for record in work_lists.read(work.path, IngestRecord):
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

    def _unchanged_content(self, record: IngestRecord) -> bytes | None:
        """Reads what was inspected, as it is stored; None where the file is another one by now."""
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
    """Runs one step over its elements on all of Beam's workers and waits for it.

    Args:
        pipeline: a new one.
        elements: what the step takes, one each; they are pickled.
        step: InspectList or StoreList.
    """
    with pipeline:
        _ = pipeline | beam.Create(list(elements)) | beam.Reshuffle() | beam.ParDo(step)


def serialize(record: IngestRecord, content: bytes) -> bytes:
    """Makes the raw tf.Example of one film, with the features of components/names.py.

    Args:
        record: what inspection found.
        content: the encoded image.

    Returns:
        The serialized tf.Example; the same bytes for the same film.
    """
    values: dict[str, bytes | int] = {
        names.IMAGE: content,
        names.FILENAME: record.name.encode("utf-8", "surrogateescape"),
        names.SHA256: record.sha256.encode(),
        names.HEIGHT: record.height,
        names.WIDTH: record.width,
        names.PATIENT_ID: record.patient_id.encode("utf-8", "surrogateescape"),
        names.LABEL: record.label or 0,
        names.ETIOLOGY: record.etiology.encode(),
        names.SIZE_CLASS: size_class(record.width, record.height).encode(),
        names.SOURCE: record.source.encode("utf-8", "replace"),
        **{key: text.encode("utf-8", "replace") for key, text in record.groups.items()},
    }
    return tf.train.Example(
        features=tf.train.Features(feature={key: _feature(value) for key, value in values.items()})
    ).SerializeToString(deterministic=True)


def _feature(value: bytes | int) -> tf.train.Feature:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
