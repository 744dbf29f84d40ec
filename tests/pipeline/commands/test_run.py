"""What a run that fails says: the fault, and what to do."""

import errno
import os

import pytest
from rich.console import Console

import cli
from client.exit_codes import FAILED, USAGE
from components.ingest.listing import IngestError
from pipeline.commands import run as command
from pipeline.commands import tables
from pipeline.runs import lineage
from pipeline.runs.folder import RunFolder, RunFolderError
from tests.components.ingest.xray_sets import both_classes, write


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "runs" / "a"
    root.mkdir(parents=True)
    return RunFolder(root)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "free some of it and start again"),
        (RuntimeError("DataLoss: Checksum does not match"), "rm -r"),
        (MemoryError(), "memory ran out"),
        (IngestError("nothing is left; mend them or take them out"), "mend them"),
    ],
)
def test_a_failure_names_a_remedy(folder, capsys, error, remedy):
    def work():
        raise RuntimeError("a step failed") from error

    assert command.carry_out(folder, folder.root, work) == FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert remedy in said
    assert str(folder.log) in said.replace(" ", "")
    assert ("rm -r" in said) == (remedy == "rm -r")


def test_a_retraining_with_trials_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    films = write(tmp_path / "films", both_classes(2))
    words = ["run", "--data", str(films), "--since", "7", "--set", "tune.trials=4"]
    assert cli.main(words) == USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pneumonia run: --since 7: ")
    assert "tune.trials=0" in line


@pytest.mark.parametrize("field", ["push.int8_films=100", "train.int8_features=true"])
def test_int8_without_its_packages_is_refused_before_anything_runs(
    tmp_path, capsys, monkeypatch, field
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    films = write(tmp_path / "films", both_classes(2))
    assert cli.main(["run", "--data", str(films), "--set", field]) == USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert field.split("=")[0] in line
    assert "pip install 'pneumonia[fast]'" in line


@pytest.mark.parametrize("content", [b"", b"noise" * 999], ids=["empty", "noise"])
def test_a_damaged_metadata_file_is_said_with_its_remedy(folder, content):
    lineage.open_store(folder.metadata)
    whole = folder.metadata.read_bytes()
    half = len(whole) // 2
    folder.metadata.write_bytes(whole[:half] + content + whole[half + len(content) + 5 :])
    with pytest.raises(RunFolderError, match=r"metadata.db is damaged .* 'rm -r"):
        lineage.open_store(folder.metadata)
    folder.metadata.unlink()
    assert lineage.latest_steps(folder.metadata) == {}


@pytest.mark.parametrize(
    ("score", "said"), [(0.93331, "no trial is better"), (0.96662, "trial 07 is better by 0.033")]
)
def test_a_trial_of_the_same_specificity_is_no_better(capsys, score, said):
    trials = [{"trial_id": "07", "score": score}, {"trial_id": "00", "score": 0.93325}]
    tables.show_trials(trials, 0.97, Console())
    assert said in capsys.readouterr().out
