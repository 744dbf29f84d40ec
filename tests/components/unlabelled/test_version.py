"""`pneumonia recalibrate --unlabelled` on a trained version: what it shows, and what it writes."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from components import names
from components.pusher import versions
from components.unlabelled.fit import Fitted
from components.unlabelled.version import of_val, write
from pipeline.commands import recalibrate as module
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained

FITTED = Fitted(200, 1.5, (1.2, 1.8), 0.3, (0.25, 0.35), 0.03, 0.6)


def logits(model: Path) -> np.ndarray:
    films = [harness.png(label, 9000 + seed) for seed in range(8) for label in (0, 1)]
    answer = tf.saved_model.load(str(model)).signatures[names.PREDICT_IMAGE](tf.constant(films))
    return special.logit(answer[names.PROBABILITY].numpy().astype(np.float64))


def command(**words: object) -> int:
    given = {"data": None, "unlabelled": None, "push": False, "run": None, "set": [], **words}
    return module.run(argparse.Namespace(**given))


@pytest.fixture
def serving(tmp_path, trained: Trained) -> Path:
    shutil.copytree(trained.model, tmp_path / "serving" / "7")
    return tmp_path / "serving"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for seed in range(60):
        for label in (0, 1):
            (folder / f"{seed}-{label}.png").write_bytes(harness.png(label, 7000 + seed))
    shutil.copy(folder / "0-0.png", folder / "again.png")
    (folder / "notes.txt").write_text("not a film")
    return folder


def test_a_version_carries_the_logits_of_its_validation_films(trained: Trained):
    healthy, sick = of_val(trained.model)
    assert (len(healthy), len(sick)) == (20, 20)
    assert np.mean(sick) > np.mean(healthy)
    held = json.loads((trained.model / "assets.extra/training.json").read_text())["operating_point"]
    found = np.mean(np.array(sick) >= special.logit(held["threshold"]))
    assert found == pytest.approx(held["sensitivity"])


def test_a_moved_version_answers_with_moved_logits_and_says_so(trained: Trained, tmp_path):
    before = (trained.model / "assets.extra/training.json").read_bytes()
    write(trained.model, [], FITTED, "the base's", tmp_path / "model")
    assert logits(tmp_path / "model") == pytest.approx(logits(trained.model) - 1.5, abs=1e-2)
    card = (tmp_path / "model/assets.extra/model_card.md").read_text()
    assert "without labels" in card
    assert "both classes' logits moved alike" in card
    assert (trained.model / "assets.extra/training.json").read_bytes() == before


def test_it_shows_the_threshold_and_writes_on_push_only(serving, site, capsys):
    assert command(unlabelled=site, serving_dir=serving) == 0
    said = capsys.readouterr().out
    counts = [line.strip("│ ").split("│") for line in said.splitlines() if "films" in line]
    assert counts[0][1].strip() == "120", said
    assert "no gate judges it" in " ".join(said.split())
    assert versions.versions(serving) == [7]
    assert command(unlabelled=site, serving_dir=serving, push=True) == 0
    _, written = versions.versions(serving)
    assert versions.newest_trained(serving) == 7
    assert not list(serving.glob(".tmp-*"))
    assert (serving / str(written) / "assets.extra/recalibration.json").is_file()


def test_what_tells_nothing_is_refused_in_one_line_and_nothing_is_written(
    serving, tmp_path, capsys
):
    few = tmp_path / "few"
    few.mkdir()
    (few / "a.png").write_bytes(harness.png(0, 1))
    assert command(unlabelled=few, serving_dir=serving, push=True) == 1
    assert "1 films are too few" in capsys.readouterr().err
    path = serving / "7/assets.extra/training.json"
    summary = json.loads(path.read_text())
    del summary["validation"]["logits"]
    path.write_text(json.dumps(summary))
    assert command(unlabelled=few, serving_dir=serving) == 1
    assert "does not carry the logits" in capsys.readouterr().err
    assert versions.versions(serving) == [7]


def test_push_without_a_judge_is_asked_for_by_name(serving, tmp_path, capsys):
    assert command(data=tmp_path, push=True, serving_dir=serving) == 2
    assert "--push goes with --unlabelled" in capsys.readouterr().err
