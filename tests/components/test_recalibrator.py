"""Another hospital's films move the threshold; the weights and the ranks stay."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components import names, recalibrator
from components.pusher import versions
from components.recalibrator import RecalibrationError
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained

SETTINGS = {"operating_point": {"sensitivity": 0.95}, "base_sha256": "the base's"}


def local_film(label: int, seed: int) -> bytes:
    """Taken otherwise: lighter, with less contrast."""
    film = harness.film(label, 50_000 + seed).astype(float)
    return tf.io.encode_png((70 + film * 0.6).clip(0, 255).astype(np.uint8)).numpy()


def write_split(folder: Path, seeds: range) -> Path:
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "part.gz"), "GZIP") as writer:
        for seed in seeds:
            for label in (0, 1):
                example = tf.train.Example.FromString(harness.raw_example())
                feature = example.features.feature
                feature[names.IMAGE].bytes_list.value[:] = [local_film(label, seed)]
                feature[names.LABEL].int64_list.value[:] = [label]
                writer.write(example.SerializeToString())
    return folder


def answers(model: Path, seeds: range) -> dict[str, np.ndarray]:
    films = tf.constant([local_film(label, seed) for seed in seeds for label in (0, 1)])
    signature = tf.saved_model.load(str(model)).signatures[names.CAM]
    return {name: value.numpy() for name, value in signature(image_bytes=films).items()}


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("local")
    seeds = {"train": range(20), "val": range(20, 26), "test": range(100, 120)}
    return {name: write_split(folder / name, of) for name, of in seeds.items()}


@pytest.fixture(scope="module")
def recalibrated(
    trained: Trained, splits: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    target = tmp_path_factory.mktemp("recalibrated") / "model"
    recalibrator.recalibrate(trained.model, splits, SETTINGS, target)
    return target


def test_the_ranks_stay_and_the_base_stays(trained: Trained, recalibrated: Path) -> None:
    seeds = range(100, 120)
    before, after = answers(trained.model, seeds), answers(recalibrated, seeds)
    order = np.argsort(before[names.PROBABILITY], kind="stable")
    assert (np.diff(after[names.PROBABILITY][order]) >= 0).all()
    np.testing.assert_allclose(after[names.QUALITY], before[names.QUALITY], atol=1e-6)
    assert after[names.THRESHOLD][0] != before[names.THRESHOLD][0]
    assert recalibrator.read(trained.model) is None


def test_the_figures_are_those_of_the_models_own_decisions(
    trained: Trained, recalibrated: Path
) -> None:
    found = recalibrator.read(recalibrated)
    assert found is not None
    for part, model in (("before", trained.model), ("after", recalibrated)):
        given = answers(model, range(100, 120))
        labels = np.tile([0, 1], 20)
        assert found[part]["threshold"] == pytest.approx(given[names.THRESHOLD][0])
        called = given[names.LABEL]
        assert found[part]["sensitivity"] == pytest.approx(called[labels == 1].mean())
        assert found[part]["specificity"] == pytest.approx(1 - called[labels == 0].mean())
        squares = (given[names.PROBABILITY] - labels) ** 2
        assert found[part]["brier"] == pytest.approx(squares.mean(), abs=1e-5)


def test_probabilities_are_right_again(recalibrated: Path) -> None:
    found = recalibrator.read(recalibrated)
    assert found is not None
    assert found["after"]["brier"] < found["before"]["brier"]
    assert found["after"]["sensitivity"] >= 0.9


def test_the_card_says_so(recalibrated: Path) -> None:
    card = (recalibrated / "assets.extra" / "model_card.md").read_text()
    assert "## Recalibration" in card
    assert "NORMAL 26, PNEUMONIA 26" in card
    summary = json.loads((recalibrated / "assets.extra" / "training.json").read_text())
    assert summary["recalibration"]["base_sha256"] == "the base's"


def test_it_can_be_published(recalibrated: Path, tmp_path: Path) -> None:
    model = versions.PublishedModel(str(recalibrated), versions.digest(recalibrated))
    version = versions.publish(
        tmp_path, recalibrated, versions.PublishedRecord(model, baseline=None)
    )
    assert versions.find(tmp_path, model.sha256) == version


def test_too_few_films_are_refused(
    trained: Trained, splits: dict[str, Path], tmp_path: Path
) -> None:
    few = {**splits, "train": splits["val"]}
    with pytest.raises(RecalibrationError, match=r"12 NORMAL and 12 PNEUMONIA .* at least 20"):
        recalibrator.recalibrate(trained.model, few, SETTINGS, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_model_of_others_is_refused(splits: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RecalibrationError, match=r"training\.json.*pneumonia run"):
        recalibrator.recalibrate(tmp_path, splits, SETTINGS, tmp_path / "model")
