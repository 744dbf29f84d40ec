import os
import signal
import subprocess
import sys

import pytest

from pipeline.runs.folder import RunFolder, RunFolderError, find, latest

HOLD = """
import sys, time
from pathlib import Path
from pipeline.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(600)
"""


def _finished(runs, name, age):
    database = runs / name / "metadata.db"
    database.parent.mkdir(parents=True)
    database.touch()
    os.utime(database, (1_000_000 - age, 1_000_000 - age))


def test_latest_is_the_run_whose_metadata_changed_last(tmp_path):
    _finished(tmp_path, "old", age=10)
    _finished(tmp_path, "new", age=1)
    assert latest(tmp_path) == tmp_path / "new"
    assert find(None, tmp_path).root == tmp_path / "new"
    assert find("old", tmp_path).root == tmp_path / "old"


def test_asking_for_a_run_that_is_not_there_says_how_to_start_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="make demo"):
        find(None, tmp_path)
    with pytest.raises(FileNotFoundError, match="'ghost'"):
        find("ghost", tmp_path)


def test_asking_for_the_run_of_a_model_that_came_with_the_project_says_where_it_lies(tmp_path):
    (tmp_path / "pretrained/serving/pneumonia/7").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"--serving-dir .*pretrained/serving/pneumonia"):
        find("pretrained", tmp_path)


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunFolderError, match=str(tmp_path)), RunFolder(tmp_path).locked():
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with RunFolder(tmp_path).locked():
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    folder = RunFolder(tmp_path / "runs" / "mine")
    with pytest.raises(RunFolderError, match="runs/mine: cannot be written"), folder.locked():
        pass
