"""Where a recalibration starts and what it serves from; the recalibration itself is left out."""

import argparse
from pathlib import Path

import pytest

from components.pusher import versions
from pipeline.commands import recalibrate as module


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Runs the command in `tmp_path`; gives the bases that recalibrations started from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    bases: list[Path] = []

    def recalibrate(config, base, data, folder):
        bases.append(base)
        recalibrated = folder.serving / str(int(base.name) + len(bases))
        (recalibrated / "assets.extra").mkdir(parents=True)
        (recalibrated / versions.RECALIBRATION).write_text("{}")
        folder.metadata.touch()
        folder.config.write_text("name: any")
        return 0

    monkeypatch.setattr(module, "_recalibrate", recalibrate)
    return bases


def served(folder: Path, version: int) -> Path:
    (folder / str(version)).mkdir(parents=True)
    return folder


@pytest.fixture
def mine(tmp_path):
    """The serving folder of a finished run `mine`, whose only version is 7."""
    serving = served(tmp_path / "runs/mine/serving/pneumonia", 7)
    (tmp_path / "runs/mine/metadata.db").touch()
    (tmp_path / "runs/mine/config.yaml").write_text("name: mine")
    return serving


def command(**words: object) -> int:
    films = {"data": Path("films"), "unlabelled": None, "push": False}
    given = {**films, "run": None, "serving_dir": None, "set": [], **words}
    return module.run(argparse.Namespace(**given))


def test_a_second_one_starts_where_the_first_did_and_serves_there(tmp_path, started, mine):
    assert [command(run="mine"), command(run="mine-recalibrated"), command()] == [0, 0, 0]
    assert {base.name for base in started} == {"7"}
    assert versions.versions(mine) == [7, 8, 9, 10]
    assert versions.versions(tmp_path / "runs/mine-recalibrated/serving/pneumonia") == [7, 8, 9, 10]


def test_another_folder_of_versions_is_another_run(tmp_path, started):
    for hospital in "ab":
        assert command(serving_dir=served(tmp_path / hospital, 3)) == 0
    links = sorted(tmp_path.glob("runs/*/serving/pneumonia"))
    assert sorted(link.resolve().name for link in links) == ["a", "b"]


@pytest.mark.usefixtures("mine")
def test_a_run_of_ones_own_is_not_taken_over(tmp_path, started, capsys):
    served(tmp_path / "runs/mine-recalibrated/serving/pneumonia", 1)
    assert command(run="mine") == 1
    assert "rename the folder runs/mine-recalibrated" in capsys.readouterr().err
    assert not started
