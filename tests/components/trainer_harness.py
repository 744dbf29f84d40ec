"""A Trainer's inputs in small: a Transform graph, and transformed examples with something to learn.

A drawn film is grey noise; one with pneumonia has a bright patch in its lower left quarter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from components import names
from components.image.settings import ImageConfig
from components.model.settings import ModelConfig
from components.settings import plain
from components.trainer.settings import TrainConfig
from pipeline.config import Config
from pipeline.steps import SCHEMA

SIZE = 64
IMAGE = ImageConfig(size=SIZE)
MODEL = ModelConfig(weights="random", width=0.125, dropout=0.2)
TRAIN = TrainConfig(epochs=3, batch_size=16, learning_rate=2e-3, patience=3)


@dataclass(frozen=True)
class Trained:
    """A finished run: its inputs, its cache and the SavedModel it wrote."""

    data: Path
    cache: Path
    logs: Path
    model: Path
    loaded: Any


def film(label: int, seed: int, height: int = SIZE, width: int = SIZE) -> np.ndarray:
    """uint8[height,width,1]."""
    generator = np.random.default_rng([label, seed])
    grey = generator.normal(90, 12, (height, width, 1))
    if label:
        top, left = (generator.integers(low, low + 8) for low in (height // 2, width // 8))
        grey[top : top + height // 4, left : left + width // 4] += 70
    return grey.clip(0, 255).astype(np.uint8)


def png(label: int, seed: int, height: int = SIZE, width: int = SIZE) -> bytes:
    return tf.io.encode_png(film(label, seed, height, width)).numpy()


def jpeg(label: int, seed: int, height: int = SIZE, width: int = SIZE) -> bytes:
    return tf.io.encode_jpeg(film(label, seed, height, width), quality=95).numpy()


def write_examples(folder: Path, seeds: Iterable[int]) -> str:
    """Two transformed examples, one a class, for each seed; returns the file pattern."""
    folder.mkdir(parents=True)
    path = folder / "part-00000-of-00001.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for seed in seeds:
            for label in (0, 1):
                example = tf.train.Example()
                feature = example.features.feature
                feature[names.IMAGE_PNG].bytes_list.value.append(png(label, seed))
                feature[names.LABEL].int64_list.value.append(label)
                for name in names.SLICE_KEYS:
                    feature[name].bytes_list.value.append(b"unknown")
                writer.write(example.SerializeToString())
    return str(folder / "*")


def write_transform(folder: Path, image: ImageConfig = IMAGE) -> str:
    """The graph that tf.Transform saves for `preprocessing_fn`, made as TFX makes it."""
    import apache_beam as beam  # here: a process that only trains need not wait for Beam
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.tfxio.tf_example_record import TFExampleBeamRecord

    from components import transform

    text = SCHEMA.read_text()
    examples = TFExampleBeamRecord("inmem", schema=text_format.Parse(text, schema_pb2.Schema()))
    custom_config = {"image": plain(image), "code_version": "1"}
    runner = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
    with beam.Pipeline(runner=runner) as pipeline, tft_beam.Context(str(folder / "temp")):
        transform_fn = (
            pipeline | beam.Create([raw_example()]) | examples.BeamSource(),
            examples.TensorAdapterConfig(),
        ) | tft_beam.AnalyzeDataset(
            lambda inputs: transform.preprocessing_fn(inputs, custom_config)
        )
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
    return str(folder)


def raw_example() -> bytes:
    """As ExampleGen writes it."""
    example = tf.train.Example()
    feature = example.features.feature
    feature[names.IMAGE].bytes_list.value.append(png(0, 0))
    for name in (names.HEIGHT, names.WIDTH, names.LABEL):
        feature[name].int64_list.value.append(1)
    texts = (names.FILENAME, names.SHA256, names.PATIENT_ID, *names.SLICE_KEYS, *names.GROUP_KEYS)
    for name in texts:
        feature[name].bytes_list.value.append(b"unknown")
    return example.SerializeToString()


def fn_args(
    data: Path, run: Path, cache: Path | None, *, train: TrainConfig = TRAIN, seed: int = 7
) -> Any:
    """What TFX hands to run_fn; `data` holds `train`, `val` and `transform`."""
    return SimpleNamespace(
        train_files=[str(data / "train" / "*")],
        eval_files=[str(data / "val" / "*")],
        transform_output=str(data / "transform"),
        serving_model_dir=str(run / "model" / "Format-Serving"),
        model_run_dir=str(run / "logs"),
        custom_config={
            "image": plain(IMAGE),
            "model": plain(MODEL),
            "train": plain(train),
            "operating_point": plain(Config().operating_point),
            "seed": seed,
            "cache_dir": str(cache) if cache else None,
            "options": {},
            "trials": 3,
            "code_version": "1",
        },
        hyperparameters=None,
        base_model=None,
    )
