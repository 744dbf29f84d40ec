"""A model and examples small enough to take the real TFX steps through in seconds."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from tfx.types.artifact import Artifact

from components import names

BEAM_ARGS = ["--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"]


class Case(NamedTuple):
    """One test X-ray: its label, the probability that a model gives it, and its slice."""

    label: int
    probability: float
    etiology: str = "unknown"


def cases(tp: int, fn: int, fp: int, tn: int) -> list[Case]:
    """Test X-rays on which a model with the threshold 0.5 has this confusion matrix."""
    return [
        *[Case(1, 0.9, "bacteria")] * tp,
        *[Case(1, 0.3, "virus")] * fn,
        *[Case(0, 0.7, "normal")] * fp,
        *[Case(0, 0.1, "normal")] * tn,
    ]


def write_examples(folder: Path, rows: Iterable[Case]) -> None:
    """Writes raw examples as ExampleGen does, each with its probability in the image's place."""
    folder.mkdir(parents=True)
    path = folder / "data-00000-of-00001.gz"
    with tf.io.TFRecordWriter(str(path), options="GZIP") as writer:
        for row in rows:
            example = tf.train.Example()
            values = example.features.feature
            values[names.IMAGE].bytes_list.value.append(str(row.probability).encode())
            values[names.LABEL].int64_list.value.append(row.label)
            values[names.ETIOLOGY].bytes_list.value.append(row.etiology.encode())
            values[names.SIZE_CLASS].bytes_list.value.append(b"small")
            values[names.SOURCE].bytes_list.value.append(b"test")
            writer.write(example.SerializeToString())


class ReadsProbability(tf.Module):
    """Gives each image the probability that stands in its place; `image_error` is added to it."""

    def __init__(self, threshold: float, image_error: float) -> None:
        super().__init__()
        self.threshold = tf.Variable(threshold)
        self.image_error = image_error

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=names.EXAMPLES)])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {names.IMAGE: tf.io.FixedLenFeature([], tf.string)})
        return self._decide(tf.strings.to_number(parsed[names.IMAGE]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=names.IMAGE_BYTES)])
    def predict_image(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._decide(tf.strings.to_number(image_bytes) + self.image_error)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=names.IMAGE_BYTES)])
    def cam(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.size(image_bytes)
        return {
            **self._decide(tf.strings.to_number(image_bytes)),
            names.HEATMAP: tf.zeros([rows, 224, 224]),
            names.OVERLAY: tf.fill([rows], tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8))),
        }

    def _decide(self, probability: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            names.PROBABILITY: probability,
            names.THRESHOLD: tf.fill(tf.shape(probability), self.threshold),
            names.LABEL: tf.cast(probability >= self.threshold, tf.int64),
        }


def write_model(uri: Path, threshold: float = 0.5, image_error: float = 0.0) -> Path:
    """Exports such a model as Trainer does; returns the SavedModel's folder."""
    module = ReadsProbability(threshold, image_error)
    folder = uri / "Format-Serving"
    signatures = {
        name: getattr(module, name)
        for name in (names.SERVING_DEFAULT, names.PREDICT_IMAGE, names.CAM)
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def artifact_at(kind: type[Artifact], uri: Path, number: int = 1) -> Artifact:
    """An artifact as ML Metadata hands it to an executor."""
    artifact = kind()
    artifact.uri = str(uri)
    artifact.id = number
    uri.mkdir(parents=True, exist_ok=True)
    return artifact
