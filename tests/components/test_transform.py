"""What tf.Transform makes of raw examples, and what its saved graph does at serving time."""

from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata

from components import names, transform
from components.image import prepare
from components.image.settings import ImageConfig
from components.settings import plain
from pipeline.steps import SCHEMA

RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
CONFIG = ImageConfig(size=64, crop_border=0.05, contrast="harmonise", outside="grey")


def film(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 120, 1), dtype=np.uint8)
    encode = tf.io.encode_jpeg if seed % 2 else tf.io.encode_png
    return encode(pixels).numpy()


def raw_example(seed: int) -> dict[str, object]:
    texts = (names.FILENAME, names.SHA256, names.PATIENT_ID, *names.SLICE_KEYS, *names.GROUP_KEYS)
    return {
        names.IMAGE: film(seed),
        names.HEIGHT: 90,
        names.WIDTH: 120,
        names.LABEL: seed % 2,
        **{name: f"{name} {seed}".encode() for name in texts},
    }


def prepared(image_bytes: bytes) -> np.ndarray:
    return prepare.prepare(tf.constant(image_bytes), CONFIG).numpy()


def pixels(image_png: bytes) -> np.ndarray:
    return tf.io.decode_png(image_png)[..., 0].numpy()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transform run over six raw examples: its graph and, under `rows`, its records."""
    folder = tmp_path_factory.mktemp("transform")
    schema = text_format.Parse(SCHEMA.read_text(), schema_pb2.Schema())
    metadata = dataset_metadata.DatasetMetadata(schema)
    custom_config = {"image": plain(CONFIG), "code_version": "1"}
    with beam.Pipeline(runner=RUNNER) as pipeline, tft_beam.Context(str(folder / "temp")):
        raw = pipeline | beam.Create([raw_example(seed) for seed in range(6)])
        (data, transformed_metadata), transform_fn = (
            raw,
            metadata,
        ) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: transform.preprocessing_fn(inputs, custom_config)
        )
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
        coder = tft.coders.ExampleProtoCoder(transformed_metadata.schema)
        _ = (
            data
            | beam.Map(coder.encode)
            | beam.io.WriteToTFRecord(str(folder / "rows"), shard_name_template="")
        )
    return folder


def test_records_hold_the_prepared_image_the_label_and_the_slice_keys(output: Path) -> None:
    spec = tft.TFTransformOutput(str(output)).transformed_feature_spec()
    assert set(spec) == {names.IMAGE_PNG, names.LABEL, *names.SLICE_KEYS}
    assert all(feature.shape == [] for feature in spec.values())

    records = list(tf.data.TFRecordDataset(str(output / "rows")))
    rows = [tf.io.parse_single_example(record, spec) for record in records]
    by_source = {row[names.SOURCE].numpy().decode(): row for row in rows}
    assert len(by_source) == 6
    for seed in range(6):
        row = by_source[f"source {seed}"]
        assert row[names.LABEL].numpy() == seed % 2
        assert row[names.ETIOLOGY].numpy() == f"etiology {seed}".encode()
        np.testing.assert_array_equal(pixels(row[names.IMAGE_PNG].numpy()), prepared(film(seed)))


def test_the_saved_graph_serves_images_without_label_or_slice_keys(output: Path) -> None:
    layer = tft.TFTransformOutput(str(output)).transform_features_layer()
    served = layer({names.IMAGE: tf.constant([film(seed) for seed in range(3)])})
    assert set(served) == {names.IMAGE_PNG}
    for seed, image_png in enumerate(served[names.IMAGE_PNG].numpy()):
        np.testing.assert_array_equal(pixels(image_png), prepared(film(seed)))


def test_a_batch_of_a_thousand_is_transformed(output: Path) -> None:
    layer = tft.TFTransformOutput(str(output)).transform_features_layer()
    served = layer({names.IMAGE: tf.constant([film(0)] * 1000)})[names.IMAGE_PNG].numpy()
    assert len(served) == 1000
    assert set(served) == {served[0]}


def test_an_empty_batch_stays_empty(output: Path) -> None:
    layer = tft.TFTransformOutput(str(output)).transform_features_layer()
    served = layer({names.IMAGE: tf.constant([], tf.string)})
    assert served[names.IMAGE_PNG].shape == (0,)


def test_an_unknown_image_option_is_refused() -> None:
    with pytest.raises(ValueError, match="sharpen"):
        transform.preprocessing_fn({}, {"image": {"sharpen": 1}})
