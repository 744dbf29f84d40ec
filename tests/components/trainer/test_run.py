"""run_fn from transformed examples to a SavedModel, whole and the same after any interruption."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf

from components import names
from components.model import card
from components.trainer import run
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained

EXTRA = "assets.extra"

# Runs a training that dies while its n-th file is being made durable.
DYING = """
import os, signal, sys
from pathlib import Path
from components.trainer.run import run_fn
from tests.components import trainer_harness as harness

data, run, fatal = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
sync, calls = os.fsync, []

def fsync(descriptor):
    calls.append(descriptor)
    if len(calls) == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(descriptor)

os.fsync = fsync
run_fn(harness.fn_args(data, run, run / "cache"))
"""


def variables(model: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(model / "variables" / "variables"))
    return {
        name: reader.get_tensor(name)
        for name, dtype in reader.get_variable_to_dtype_map().items()
        if dtype != tf.string
    }


def summary(model: Path) -> dict:
    return json.loads((model / card.EXTRA / card.SUMMARY).read_text())


def assert_same_model(left: Path, right: Path) -> None:
    left_variables, right_variables = variables(left), variables(right)
    assert left_variables.keys() == right_variables.keys()
    for name, value in right_variables.items():
        np.testing.assert_array_equal(left_variables[name], value, err_msg=name)
    assert summary(left)["operating_point"] == summary(right)["operating_point"]


def epochs(model: Path) -> list[dict]:
    return [{**epoch, "seconds": 0} for epoch in summary(model)["epochs"]]


@pytest.mark.parametrize(
    ("fatal", "where"),
    [(2, "in the second shard of features"), (5, "in the second epoch's checkpoint")],
)
def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(
    trained: Trained, tmp_path: Path, fatal: int, where: str
) -> None:
    died = subprocess.run([sys.executable, "-c", DYING, trained.data, tmp_path, str(fatal)])
    assert died.returncode == -signal.SIGKILL, where
    whole = list((tmp_path / "cache").rglob("*.np[yz]"))
    assert len(whole) == fatal - 1, where
    assert not (tmp_path / "model").exists()

    fn_args = harness.fn_args(trained.data, tmp_path, tmp_path / "cache")
    kept = {path: path.stat().st_ino for path in whole if path.suffix == ".npy"}
    run.run_fn(fn_args)
    model = Path(fn_args.serving_model_dir)
    assert_same_model(model, trained.model)
    assert epochs(model) == epochs(trained.model)
    assert {path: path.stat().st_ino for path in kept} == kept
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_training_that_goes_on_with_films_in_another_order_sets_the_same_threshold(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Transform that runs again on several workers may write the same films in another order."""
    data = shutil.copytree(trained.data, tmp_path / "data")
    fn_args = harness.fn_args(data, tmp_path, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(run, "_export", Mock(side_effect=OSError("the disk is full")))
        with pytest.raises(OSError, match="disk is full"):
            run.run_fn(fn_args)
    (films,) = (str(path) for path in (data / "val").iterdir())
    records = list(tf.data.TFRecordDataset(films, "GZIP").as_numpy_iterator())
    with tf.io.TFRecordWriter(films, "GZIP") as file:
        for record in sorted(records):
            file.write(record)
    run.run_fn(fn_args)
    found = summary(Path(fn_args.serving_model_dir))["operating_point"]
    assert found == pytest.approx(summary(trained.model)["operating_point"], rel=1e-3)


def test_another_seed_gives_another_model(trained: Trained, tmp_path: Path) -> None:
    fn_args = harness.fn_args(trained.data, tmp_path, None, seed=8)
    run.run_fn(fn_args)
    model = Path(fn_args.serving_model_dir)
    assert summary(model)["weights"]["sha256"] != summary(trained.model)["weights"]["sha256"]


def test_only_training_films_are_seen_in_int8(trained: Trained, tmp_path: Path) -> None:
    """The threshold is chosen on what the served model, in float32, will see."""
    cache = Path(shutil.copytree(trained.cache, tmp_path / "cache"))
    known = set((cache / "features").rglob("*.npy"))
    quick = replace(harness.TRAIN, int8_features=True)
    fn_args = harness.fn_args(trained.data, tmp_path, cache, train=quick)

    run.run_fn(fn_args)

    (trunk,) = (cache / "features").glob("*-trunk")
    made = set((cache / "features").rglob("*.npy")) - known
    assert {path.parent.name for path in made} == {trunk.name.removesuffix("-trunk")}
    found = summary(Path(fn_args.serving_model_dir))
    assert sum(len(np.load(path)["hashes"][0]) for path in made) == sum(found["train"].values())
    assert found["validation"]["auc"] == pytest.approx(
        summary(trained.model)["validation"]["auc"], abs=0.05
    )


def test_a_finished_training_leaves_features_and_no_checkpoint(trained: Trained) -> None:
    assert list((trained.cache / "features").rglob("*.npy"))
    assert not list((trained.cache / "training").iterdir())


def test_the_summary_says_what_the_report_needs(trained: Trained) -> None:
    found = summary(trained.model)
    assert found["train"] == {"NORMAL": 60, "PNEUMONIA": 60}
    assert found["val"] == {"NORMAL": 20, "PNEUMONIA": 20}
    assert found["weights"]["source"] == "random"
    assert found["config"]["train"]["epochs"] == 3
    assert found["epochs"][found["best_epoch"] - 1]["val_auc"] == found["validation"]["auc"]
    low, high = found["validation"]["sensitivity_interval"]
    assert low < found["validation"]["sensitivity"] <= high + 1e-9
    assert found["validation"]["auc"] > 0.9  # there is something to learn, and it was learnt


def test_the_threshold_in_the_model_is_the_summarys(trained: Trained) -> None:
    point = summary(trained.model)["operating_point"]
    assert trained.loaded.threshold.numpy() == np.float32(point["threshold"])
    assert trained.loaded.slope.numpy() == np.float32(point["slope"])


def test_tensorboard_finds_the_curves(trained: Trained) -> None:
    (events,) = trained.logs.glob("events.out.tfevents.*")
    found: dict[str, list[float]] = {}
    for record in tf.data.TFRecordDataset(str(events)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    assert set(found) == {"loss/train", "loss/val", "auc/val"}
    expected = [epoch["val_auc"] for epoch in summary(trained.model)["epochs"]]
    assert found["auc/val"] == pytest.approx(expected)


def test_a_split_without_a_class_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    data = tmp_path / "data"
    harness.write_examples(data / "train", range(4))
    (data / "val").mkdir()
    example = tf.train.Example()
    example.features.feature[names.IMAGE_PNG].bytes_list.value.append(harness.png(1, 0))
    example.features.feature[names.LABEL].int64_list.value.append(1)
    with tf.io.TFRecordWriter(str(data / "val" / "a.gz"), "GZIP") as writer:
        writer.write(example.SerializeToString())
    fn_args = harness.fn_args(data, tmp_path / "run", tmp_path / "cache")
    with pytest.raises(ValueError, match="the val split holds no NORMAL film"):
        run.run_fn(fn_args)
    assert not Path(fn_args.serving_model_dir).exists()
