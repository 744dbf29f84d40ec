"""The best epoch is kept, training stops in time, and several devices find what one finds."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.model import imagenet
from components.model import network as model
from components.trainer import feature_cache
from components.trainer import fit as fitting
from components.trainer.settings import TrainConfig
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained


def train(
    data: Path, cache: Path, checkpoint: Path, *, dropout: float = 0.2, **changes: object
) -> tuple[fitting.Fit, list[list[np.ndarray]]]:
    """Trains on the shared examples; returns the fit and the weights after each epoch, and last.

    Their features are cached already.
    """
    strategy = tf.distribute.get_strategy()
    if tf.config.list_logical_devices("CPU")[1:]:
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        start = imagenet.load("random", width=harness.MODEL.width, seed=7)
        network = model.build(harness.SIZE, replace(harness.MODEL, dropout=dropout), start, seed=7)
    train, val = (
        feature_cache.compute(network.trunk, [str(data / name / "*")], cache / "features", name)
        for name in ("train", "val")
    )
    after: list[list[np.ndarray]] = []
    fit = fitting.fit(
        network,
        train,
        val,
        TrainConfig(**{**vars(harness.TRAIN), **changes}),  # type: ignore[arg-type]
        seed=7,
        checkpoint=checkpoint,
        report=lambda _: after.append(network.top.get_weights()),
        strategy=strategy,
    )
    return fit, [*after, network.top.get_weights()]


def test_training_stops_when_it_no_longer_helps_and_keeps_the_best_epoch(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    areas = iter([0.7, 0.9, 0.8, 0.6])
    monkeypatch.setattr(fitting, "area_under_roc", lambda *_: next(areas))
    fit, after = train(trained.data, trained.cache, tmp_path / "state", epochs=8, patience=2)
    assert [epoch.val_auc for epoch in fit.history] == [0.7, 0.9, 0.8, 0.6]
    assert fit.best.number == 2
    kept = after[-1]
    assert all(map(np.array_equal, kept, after[1]))
    assert not all(map(np.array_equal, kept, after[3]))


def test_between_equal_areas_the_lower_loss_wins() -> None:
    history = [fitting.Epoch(i, 0, loss, 1.0, 0) for i, loss in enumerate((0.5, 0.3, 0.4), 1)]
    assert fitting.Fit(history).best.number == 2


def test_the_rarer_class_weighs_more_where_the_configuration_wants_it() -> None:
    labels = np.array([0] * 30 + [1] * 90)
    found = fitting.class_weights(labels, TrainConfig())
    assert found.tolist() == pytest.approx([2.0, 2 / 3])
    assert found[labels].mean() == pytest.approx(1)
    assert fitting.class_weights(labels, TrainConfig(class_weights=False)).tolist() == [1, 1]


def test_a_damaged_checkpoint_costs_the_epochs_and_not_the_run(
    trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "state").write_bytes(b"PK\x03\x04 torn")
    fit, _ = train(trained.data, trained.cache, tmp_path / "state", epochs=1)
    assert [epoch.number for epoch in fit.history] == [1]


def test_two_devices_find_what_one_finds(trained: Trained, tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, tensorflow as tf\n"
        "one = tf.config.LogicalDeviceConfiguration()\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, [one, one])\n"
        "from tests.components.trainer.test_fit import train\n"
        "data, cache, state, out = map(pathlib.Path, sys.argv[1:])\n"
        "train(data, cache, state, epochs=2, dropout=0)[0].evidence.tofile(out)\n"
    )
    found = tmp_path / "evidence"
    arguments = [str(path) for path in (trained.data, trained.cache, tmp_path / "two", found)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    alone = train(trained.data, trained.cache, tmp_path / "one", epochs=2, dropout=0)[0].evidence
    np.testing.assert_allclose(
        np.fromfile(found, np.float32).reshape(alone.shape), alone, rtol=0.01, atol=0.01
    )
