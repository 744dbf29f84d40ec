"""The step on real SavedModels: one that reads a corner's letter, one that reads the lungs."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx.types import artifact_utils, standard_artifacts

from components import names
from components.counterfactuals.component import Counterfactuals
from components.counterfactuals.findings import Findings, read
from components.image.lung_network import LungNetwork
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.datasets.synthetic.film import render
from tests.components.evaluator.gate_harness import artifact_at

SIDE = 128
BOUNDS = {"letters": 0.02, "outside": 0.05, "wiped": 0.02, "heat_in_lungs": 0.9}
BYTES = [tf.TensorSpec([None], tf.string, name=names.IMAGE_BYTES)]


class Reads(tf.Module):
    """Calls a film sick that is bright in the lungs, or (`corner`) has a letter upper right."""

    def __init__(self, corner: bool) -> None:
        super().__init__()
        self.lungs, self.corner = LungNetwork(), corner

    @tf.function(input_signature=BYTES)
    def predict_image(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(self._films(image_bytes))[0]

    @tf.function(input_signature=BYTES)
    def cam(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        answer, looked = self._answer(self._films(image_bytes))
        grey = tf.cast(tf.image.resize(looked[..., None], [64, 64]) * 255, tf.uint8)
        return {
            **answer,
            names.HEATMAP: tf.image.resize(looked[..., None], [224, 224])[..., 0],
            names.OVERLAY: tf.map_fn(tf.io.encode_png, grey, fn_output_signature=tf.string),
        }

    def _films(self, image_bytes: tf.Tensor) -> tf.Tensor:
        def one(image: tf.Tensor) -> tf.Tensor:
            grey = tf.io.decode_image(image, channels=1, expand_animations=False)
            return tf.image.resize(grey, [SIDE, SIDE], antialias=True)[..., 0]

        return tf.map_fn(one, image_bytes, fn_output_signature=tf.float32)

    def _answer(self, films: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        lungs = tf.cast(self.lungs(films) > 0.5, tf.float32)
        area = tf.reduce_sum(lungs, [1, 2]) + 1e-6
        if self.corner:
            looked = np.zeros((SIDE, SIDE), np.float32)
            looked[: SIDE // 3, -SIDE // 4 :] = 1
            looked = tf.broadcast_to(looked, tf.shape(films))
            around = tf.nn.avg_pool2d(films[..., None], 25, 1, "SAME")[..., 0]
            logits = (tf.reduce_max((films - around) * looked, [1, 2]) - 60) / 8
        else:
            looked = lungs
            logits = (tf.reduce_sum(films * lungs, [1, 2]) / area - 120) / 8
        rough = tf.reduce_sum(tf.abs(films[:, 1:] - films[:, :-1]) * lungs[:, 1:], [1, 2]) / area
        probability = tf.sigmoid(logits)
        return {
            names.PROBABILITY: probability,
            names.THRESHOLD: tf.fill(tf.shape(probability), 0.5),
            names.LABEL: tf.cast(probability >= 0.5, tf.int64),
            names.QUALITY: tf.cast(rough > 3, tf.float32),
        }, looked


def drawn(label: int, seed: int) -> np.ndarray:
    """A drawn film, rough and of one brightness in the lungs, by its label."""
    rng = np.random.default_rng(seed)
    pixels = render(random_anatomy(rng), [], rng).pixels // 16
    small = np.asarray(Image.fromarray(pixels.astype(np.uint8)).resize((SIDE, SIDE)), np.float32)
    lungs = LungNetwork()(tf.constant(small[None]))[0].numpy() > 0.5
    small[lungs] += (160 if label else 80) - small[lungs].mean()
    small[lungs] += rng.normal(0, 10, int(lungs.sum()))
    return small.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "Split-test"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
        for seed in range(8):
            example = tf.train.Example()
            feature = example.features.feature
            image = tf.io.encode_png(drawn(seed % 2, seed)[..., None]).numpy()
            feature[names.IMAGE].bytes_list.value.append(image)
            feature[names.LABEL].int64_list.value.append(seed % 2)
            feature[names.FILENAME].bytes_list.value.append(f"film{seed}.png".encode())
            writer.write(example.SerializeToString())
    return folder.parent


def judged(
    folder: Path, films: Path, corner: bool, count: int = 8, **bounds: float | None
) -> tuple[Findings, int]:
    """Runs the step's executor, as TFX does."""
    module = Reads(corner)
    signatures = {name: getattr(module, name) for name in (names.PREDICT_IMAGE, names.CAM)}
    tf.saved_model.save(module, str(folder / "model" / "Format-Serving"), signatures=signatures)
    examples = artifact_at(standard_artifacts.Examples, films)
    examples.split_names = artifact_utils.encode_split_names(["test"])
    blessing = artifact_at(standard_artifacts.InfraBlessing, folder / "blessing")
    settings = {"films": count, "seed": 3, "bounds": {**BOUNDS, **bounds}}
    Counterfactuals.test_call(
        model=artifact_at(standard_artifacts.Model, folder / "model"),
        examples=examples,
        blessing=blessing,
        settings=json.dumps(settings),
        code_version="",
    )
    return read(folder / "blessing"), blessing.get_int_custom_property("blessed")


def figure(found: Findings, name: str) -> float:
    return next(one.value for one in found.figures if one.name == name)


def test_a_model_that_reads_the_lungs_is_blessed(tmp_path, films):
    found, blessed = judged(tmp_path, films, corner=False)
    assert blessed == 1, found
    assert found.films >= 6
    assert found.films + found.without_lungs == 8
    assert [bound.ok for bound in found.bounds] == [True] * 4
    assert figure(found, "lungs_followed") == 1
    assert not found.pictures


def test_a_model_that_reads_a_letter_is_refused_with_pictures(tmp_path, films):
    found, blessed = judged(tmp_path, films, corner=True)
    assert blessed == 0
    broken = {bound.figure.name for bound in found.bounds if not bound.ok}
    assert "changed_by_letters" in broken
    letters = [one for one in found.pictures if one.kind == "letters"]
    assert letters
    for picture in found.pictures:
        for file in (picture.left, picture.right):
            with Image.open(file) as image:
                assert image.format == "JPEG"
    low, high = next(one.interval for one in found.figures if one.name == "changed_by_letters")
    assert low < figure(found, "changed_by_letters") < high


def test_a_bound_that_is_switched_off_refuses_nothing(tmp_path, films):
    found, blessed = judged(
        tmp_path, films, corner=True, letters=None, outside=None, wiped=None, heat_in_lungs=None
    )
    assert blessed == 1
    assert not found.bounds
    assert figure(found, "changed_by_letters") > 0.02


def test_no_film_asked_says_so_and_refuses_nothing(tmp_path, films):
    found, blessed = judged(tmp_path, films, corner=True, count=0)
    assert (found.films, found.bounds, blessed) == (0, (), 1)
