"""Runs in folders of any name: other folders' files stay as they are, however a run ends."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import ANY_MODEL, DONE, NO_FLOORS, NO_REPORT, REFUSED, TINY, settings

FAILED = 1
# A pattern, and a sibling that it matches.
PATTERNS = {
    "study [1]": "study 1",
    "study ?": "study 2",
    "study*": "study 3",
    "[!a]b": "cb",
    "back\\slash": "backslash",
}
ODD = "a {study}, 100 %20 #1 'of' \"mine\" ] (é 胸部)\nnew ~ $HOME & !"


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(("name", "sibling"), PATTERNS.items())
def test_a_folder_that_beam_takes_for_a_pattern_is_refused_before_anything_is_written(
    tmp_path, finished, films, pneumonia, name, sibling
):
    served, _ = finished
    shutil.copytree(served, tmp_path / sibling)
    before = content(tmp_path / sibling)
    cwd = tmp_path / name
    cwd.mkdir()
    where = ("--serving-dir", str(served / "runs/default/serving/pneumonia"))
    for command in (("run",), ("recalibrate", *where)):
        stopped = pneumonia(cwd, *command, "--data", str(films))
        assert stopped.returncode == FAILED
        (line,) = stopped.stderr.splitlines()
        assert repr(str(cwd))[1:-1] in line
        assert "rename it" in line
    assert not list(cwd.iterdir())
    assert content(tmp_path / sibling) == before


@pytest.mark.parametrize("name", ["tmp [1]", "tmp*"])
def test_a_folder_of_temporary_files_that_is_a_pattern_is_refused(
    tmp_path, films, pneumonia, monkeypatch, name
):
    (tmp_path / name).mkdir()
    (tmp_path / "cwd").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    stopped = pneumonia(tmp_path / "cwd", "run", "--data", str(films))
    assert stopped.returncode == FAILED
    assert name in stopped.stderr
    assert not list((tmp_path / "cwd").iterdir())


def test_a_folder_whose_name_is_not_utf8_is_refused(tmp_path, films, pneumonia):
    cwd = tmp_path / os.fsdecode(b"\xff")
    cwd.mkdir()
    stopped = pneumonia(cwd, "run", "--data", str(films))
    assert stopped.returncode == FAILED
    assert "not UTF-8" in stopped.stderr
    assert len(stopped.stderr.splitlines()) == 1
    assert not list(cwd.iterdir())


@pytest.mark.slow
def test_a_serving_folder_that_is_a_pattern_is_recalibrated_beside_its_sibling(
    tmp_path, finished, films, pneumonia
):
    served = finished[0] / "runs/default/serving/pneumonia"
    for name in ("serving [1]", "serving 1"):
        shutil.copytree(served, tmp_path / name)
    before = content(tmp_path / "serving 1")
    where = ("--serving-dir", str(tmp_path / "serving [1]"))
    words = ("recalibrate", "--data", str(films), *where, *settings(*NO_FLOORS, *NO_REPORT))
    ended = pneumonia(tmp_path, *words)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    assert len(list((tmp_path / "serving [1]").glob("[0-9]*"))) == 2
    assert content(tmp_path / "serving 1") == before


@pytest.mark.slow
def test_runs_of_every_end_in_a_folder_of_an_odd_name_leave_its_siblings_alone(
    tmp_path, films, pneumonia, monkeypatch
):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")  # a terminal that cannot show the name
    cwd = tmp_path / ODD
    cwd.mkdir()
    siblings = [tmp_path / name for name in (ODD[:-1], ODD.replace("%20", " "), ODD.split("#")[0])]
    for sibling in siblings:
        shutil.copytree(films, sibling / "runs/default/artifacts")
    before = content(tmp_path)
    xrays = cwd / "x-rays [1] ? * {a,b}"
    shutil.copytree(films, xrays)
    words = ("run", "--data", str(xrays))
    assert pneumonia(cwd, *words, *settings(*ANY_MODEL)).returncode == DONE
    strict = ("gate.recall=1", "gate.precision=1", "gate.recall_lower_bound=0")
    refused = pneumonia(cwd, *words, *settings(*ANY_MODEL, *strict))
    assert refused.returncode == REFUSED, refused.stderr
    for folder in xrays.rglob("PNEUMONIA"):
        shutil.rmtree(folder)
    assert pneumonia(cwd, *words, *settings(*TINY, *NO_FLOORS)).returncode == FAILED
    after = content(tmp_path)
    assert {name: after.get(name) for name in before} == before
    assert all(name in before or Path(name).parts[0] == ODD for name in after)
