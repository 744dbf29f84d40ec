"""Runs side by side, where some are damaged, and the one that MLflow is told of."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

import cli
from client.exit_codes import FAILED
from pipeline.runs import comparison, history, lineage, tracking
from pipeline.runs.folder import RunFolder
from pipeline.runs.history import Finished
from tests.pipeline.runs.test_verdict import BLESSED


def a_run(name: str) -> Finished:
    gone = Path("gone")
    return Finished(name, datetime.now(UTC), {}, "0", BLESSED, Path(name), gone, gone)


def test_a_damaged_folder_is_warned_of_and_hides_no_other_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("damaged", "sound"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.db").touch()
    (tmp_path / "damaged" / "metadata.db").write_bytes(b"no database" * 999)
    of_folder = history.of_folder

    def with_one_run(folder: RunFolder) -> list[Finished]:
        return [*of_folder(folder), a_run(f"{folder.root.name}.1")]

    monkeypatch.setattr(history, "of_folder", with_one_run)
    assert [run.name for run in history.finished(tmp_path)] == ["sound.1"]
    assert f"{tmp_path}/damaged/metadata.db is damaged" in caplog.text


def test_a_page_of_runs_whose_test_films_are_gone_fails_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [a_run("mine.1"), a_run("mine.2")]
    monkeypatch.setattr(history, "finished", lambda _: runs)
    measured = SimpleNamespace(candidate=SimpleNamespace(overall=BLESSED.evaluation.overall))
    monkeypatch.setattr(comparison.Examined, "results", measured)
    assert cli.main(["runs", "--page", str(tmp_path / "runs.html")]) == FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pneumonia runs: ")
    assert "gone" in line


def test_mlflow_is_told_of_the_run_that_was_repeated_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_the_first_one_repeated(_: Path) -> dict[str, SimpleNamespace]:
        evaluation = SimpleNamespace(uri=Path("mine.1"))
        return {"Evaluator": SimpleNamespace(outputs={"evaluation": evaluation})}

    def nothing(**_: str) -> Sequence[object]:
        return []

    logged: list[str] = []
    quiet = SimpleNamespace(set_experiment=lambda _: None, search_runs=nothing)
    monkeypatch.setitem(sys.modules, "mlflow", quiet)
    monkeypatch.setenv(tracking.URI, "file:store")
    monkeypatch.setattr(history, "of_folder", lambda _: [a_run("mine.1"), a_run("mine.2")])
    monkeypatch.setattr(lineage, "latest_steps", with_the_first_one_repeated)
    monkeypatch.setattr(tracking, "_log_run", lambda run, _: logged.append(run.name))
    tracking.log_newest(RunFolder(tmp_path))
    assert logged == ["mine.1"]
