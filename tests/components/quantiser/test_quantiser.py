"""A model gets an int8 form only where that form decides as the model does."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from components import names
from components.examples import Split
from components.model import int8, variables
from components.pusher.versions import INT8
from components.quantiser import carried, component, proof
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained


def split(folder: Path, seeds: range) -> Split:
    """Raw examples, one a class for each seed."""
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "part.gz"), "GZIP") as writer:
        for seed in seeds:
            for label in (0, 1):
                example = tf.train.Example()
                feature = example.features.feature
                feature[names.IMAGE].bytes_list.value.append(harness.jpeg(label, seed))
                feature[names.LABEL].int64_list.value.append(label)
                writer.write(example.SerializeToString())
    return Split(folder)


@pytest.fixture
def val(tmp_path: Path) -> Split:
    return split(tmp_path / "val", range(2000, 2010))


@pytest.fixture
def test(tmp_path: Path) -> Split:
    return split(tmp_path / "test", range(3000, 3012))


def test_the_form_is_written_where_it_decides_as_the_model_does(
    trained: Trained, val: Split, test: Split, tmp_path: Path
) -> None:
    found = component.make(trained.loaded, val, test, 20, 0, tmp_path)
    assert found.faults == ()
    assert (found.films, found.changed) == (24, 0)
    assert 0 < found.difference <= proof.DIFFERENCE  # other arithmetic, the same answers
    assert proof.read(tmp_path) == found
    written = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert written == ["int8.json", "network.bin", "network.xml"]
    weights = sum(variable.numpy().nbytes for variable in trained.loaded.weights)
    assert (tmp_path / "network.bin").stat().st_size < weights


def test_a_form_that_decides_otherwise_is_left_out_and_told(
    trained: Trained, val: Split, test: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(fast: object, **kwargs: bool) -> int8.Network:
        run = runner(fast, **kwargs)
        return lambda films: {**run(films), "evidence": -run(films)["evidence"]}

    runner = int8.runner
    monkeypatch.setattr(int8, "runner", overflowing)
    found = component.make(trained.loaded, val, test, 20, 0, tmp_path)
    assert "of 24 decisions are others, 0.2% may be" in found.summary
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["int8.json"]


@pytest.mark.parametrize(("stretched", "kept"), [(1, True), (300, False)])
def test_a_version_with_another_operating_point_keeps_its_form_only_where_that_holds(
    trained: Trained, val: Split, test: Split, tmp_path: Path, *, stretched: float, kept: bool
) -> None:
    version, model = tmp_path / "version", trained.loaded
    film = model.predict_image(tf.constant([harness.jpeg(1, 3000)]))[names.PROBABILITY][0]
    evidence = (float(special.logit(film)) - float(model.intercept)) / float(model.slope)
    slope = float(model.slope) * stretched
    point = {"slope": slope, "intercept": -slope * evidence} if stretched > 1 else {}
    variables.rewrite(trained.model, point, version)
    folder = version / INT8
    assert carried.keep_if_proven(version, test.all_images()) is None  # no form, none to prove
    folder.mkdir()
    assert not component.make(trained.loaded, val, test, 20, 0, folder).faults
    found = carried.keep_if_proven(version, test.all_images())
    assert found == proof.read(folder)
    assert (not found.faults, (folder / int8.FILE).is_file()) == (kept, kept)


def test_a_form_that_cannot_be_proven_anew_is_left_out(
    trained: Trained, val: Split, test: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.model, tmp_path / "version")
    folder = tmp_path / "version" / INT8
    folder.mkdir()
    component.make(trained.loaded, val, test, 20, 0, folder)
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = carried.keep_if_proven(tmp_path / "version", test.all_images())
    assert found
    assert "OpenVINO is not installed" in found.summary
    assert [path.name for path in folder.iterdir() if path.is_file()] == [proof.FILE]


def test_the_converted_network_is_the_models(trained: Trained) -> None:
    images = tf.constant([harness.png(label, 4000) for label in (0, 1)])
    grey = trained.loaded.prepare(images)[names.GREY]
    ours = int8.runner(int8.served(trained.loaded))(grey)
    for name, expected in trained.loaded.network(grey).items():
        np.testing.assert_allclose(ours[name], expected, atol=2e-4)


def test_nothing_is_told_to_anybody_about_the_conversion() -> None:
    assert sys.modules["openvino_telemetry"] is None


CALLED = np.array([0] * 600 + [1] * 400)


@pytest.mark.parametrize(
    ("changed", "difference", "likeness", "fault"),
    [
        (0, 0.0, 1.0, None),
        (2, 0.01, 0.995, None),
        (2, 0.01, None, None),  # no film has any heat
        (3, 0.01, 1.0, "3 of 1000 decisions are others, 0.2% may be"),
        (6, 0.0, 1.0, "changed decisions lean to one side (McNemar's p 0.031)"),
        (0, 0.03, 1.0, "probabilities differ by 0.030, by 0.02 they may"),
        (0, 0.0, 0.98, "heat maps correlate by 0.980, by 0.99 they must"),
    ],
)
def test_each_bound_refuses(
    changed: int, difference: float, likeness: float | None, fault: str | None
) -> None:
    other = CALLED.copy()
    other[:changed] = 1
    found = proof.judged(CALLED, other, np.full(1000, difference, np.float32), likeness)
    assert (fault in found.faults) if fault else not found.faults


def test_one_odd_film_in_a_thousand_is_borne() -> None:
    differences = np.zeros(2000, np.float32)
    differences[0] = 0.2
    found = proof.judged(np.zeros(2000, int), np.zeros(2000, int), differences, 1.0)
    assert not found.faults
    assert found.largest == pytest.approx(0.2)
