import dataclasses
from pathlib import Path

import pytest

from pipeline import config

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.yaml"))


def test_defaults_are_valid_and_survive_a_round_trip_through_yaml(tmp_path):
    file = tmp_path / "c.yaml"
    loaded = config.load(None)
    file.write_text(config.dump(loaded))
    assert config.load(file) == loaded


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_loads(path):
    assert config.load(path).name


def test_an_override_wins_over_the_file(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("train:\n  epochs: 7\n  batch_size: 8\n")
    loaded = config.load(file, ["train.epochs=2"])
    assert (loaded.train.epochs, loaded.train.batch_size) == (2, 8)


@pytest.mark.parametrize("name", ["2026-11-26", "3", "on", "null", "1e5"])
def test_the_runs_name_is_taken_as_it_is(name):
    assert config.load(None, ["name=other"], name).name == name


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("train.epoch=2", ["train.epoch", "epochs"]),
        ("train.epochs=0", ["train.epochs", "0"]),
        ("train.epochs=many", ["train.epochs", "many"]),
        ("data.max_pixels=250000000", ["data.max_pixels", "178956970"]),
        ("gate.recall=1.5", ["gate.recall", "1.5"]),
        ("image.size=100", ["image.size"]),
        ("image.contrast=magic", ["image.contrast", "harmonise"]),
        ("name=../../etc", ["name"]),
        ("seed=-1", ["seed", "-1"]),
        ("model.first_trainable=block6_conv1", ["model.first_trainable", "block6_conv1", "head"]),
        ("model.width=0.5", ["model.width", "model.weights=random"]),
        ("beam.runner=portable", ["beam", "job_endpoint"]),
        ("beam.runner=flnk", ["beam.runner"]),
        ("beam.job_endpoint=somewhere", ["beam.job_endpoint", "somewhere"]),
        ("beam.worker_image=pneumonia:1", ["beam", "runner portable"]),
        ("data.groups={sex: {}}", ["data.groups.sex", "column"]),
        ("data.groups={ward: {column: ward}}", ["data.groups", "age_group"]),
        ("data.groups={sex: {dicom: PatientName}}", ["dicom", "PatientName"]),
        ("data.groups={age_group: {column: age, limits: [65, 18]}}", ["limits must rise"]),
        ("code.run_fn=mine", ["code.run_fn", "mine"]),
        ("nothing", ["section.field=value"]),
        ("train=3", ["train"]),
        ("train.epochs.more=3", ["--set", "train.epochs.more"]),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_field(override, names):
    base = ["train.epochs=5"] if "more" in override else []
    with pytest.raises(config.ConfigError) as caught:
        config.load(None, [*base, override])
    message = str(caught.value)
    assert "\n" not in message
    assert all(name in message for name in names)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "\x00"])
def test_a_broken_file_is_one_line_that_names_it(tmp_path, text):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(config.ConfigError, match=r"broken\.yaml") as caught:
        config.load(file)
    assert "\n" not in str(caught.value)


def test_a_configuration_cannot_be_changed_after_loading():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.load(None).train.epochs = 9


def test_the_settings_of_an_older_run_are_read_without_those_that_are_gone(tmp_path):
    older = tmp_path / "config.yaml"
    older.write_text("image: {crop_lungs: false, low_pass: 0, size: 96}\nupload: {to: s3}\n")
    assert config.load(older, of_run=True).image.size == 96
    with pytest.raises(config.ConfigError, match=r"image\.crop_lungs"):
        config.load(older)
