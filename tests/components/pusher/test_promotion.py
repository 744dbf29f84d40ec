"""Rolling the served model back and forward."""

import argparse
import os
from pathlib import Path

import pytest

from components.pusher import promotion, versions
from components.pusher.versions import Model, Record
from pipeline.commands import promote


def publish(serving: Path, name: str) -> int:
    model = serving.parent / f"model-{name}"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_text(name)
    (model / "variables" / "variables.index").write_text(name)
    of = Record(Model(str(model), versions.digest(model)), baseline=Model("/before", "ab"))
    return versions.publish(serving, model, of)


def served(serving: Path) -> str:
    """What a server with TensorFlow Serving's default policy serves."""
    latest = versions.versions(serving)[-1]
    return (serving / str(latest) / "saved_model.pb").read_text()


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "demo" / "serving" / "pneumonia"


def test_a_rollback_serves_the_old_model_under_the_highest_number(serving: Path) -> None:
    old, new = publish(serving, "old"), publish(serving, "new")

    promoted = promotion.promote(serving, old)

    assert promoted > new
    assert served(serving) == "old"
    assert versions.versions(serving) == [old, new, promoted]


def test_forward_again_after_a_rollback(serving: Path) -> None:
    old, new = publish(serving, "old"), publish(serving, "new")
    promotion.promote(serving, old)
    promotion.promote(serving, new)
    assert served(serving) == "new"


def test_a_promotion_keeps_where_the_model_came_from(serving: Path) -> None:
    old = publish(serving, "old")
    publish(serving, "new")
    record = versions.record(serving, promotion.promote(serving, old))
    known = versions.record(serving, old)
    assert record is not None
    assert known is not None
    assert (record.model, record.baseline) == (known.model, known.baseline)
    assert record.promoted_from == old
    assert known.promoted_from is None, "the old version's own record is not rewritten"


def test_a_promoted_version_takes_no_space_of_its_own(serving: Path) -> None:
    old = publish(serving, "old")
    publish(serving, "new")
    promoted = promotion.promote(serving, old)
    name = Path("variables", "variables.index")
    assert (serving / str(promoted) / name).samefile(serving / str(old) / name)


def test_a_promoted_version_outlives_the_one_it_came_from(serving: Path) -> None:
    old = publish(serving, "old")
    publish(serving, "new")
    promotion.promote(serving, old)
    versions.prune(serving, 1)
    assert served(serving) == "old"


def test_a_file_system_without_hard_links_gets_copies(
    serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(source: str, target: str) -> None:
        raise PermissionError("no hard links here")

    old = publish(serving, "old")
    publish(serving, "new")
    monkeypatch.setattr(os, "link", refuses)
    promotion.promote(serving, old)
    assert served(serving) == "old"


def test_the_served_version_is_left_alone(serving: Path) -> None:
    publish(serving, "old")
    new = publish(serving, "new")
    assert promotion.promote(serving, new) == new
    assert len(versions.versions(serving)) == 2


def test_promoting_again_changes_nothing(serving: Path) -> None:
    old = publish(serving, "old")
    publish(serving, "new")
    promoted = promotion.promote(serving, old)
    assert promotion.promote(serving, old) == promoted
    assert len(versions.versions(serving)) == 3


def test_a_version_put_there_by_hand_can_be_promoted(serving: Path) -> None:
    (serving / "5").mkdir(parents=True)
    (serving / "5" / "saved_model.pb").write_text("by hand")
    publish(serving, "new")
    promoted = promotion.promote(serving, 5)
    assert served(serving) == "by hand"
    record = versions.record(serving, promoted)
    assert record is not None
    assert record.model.sha256 == versions.digest(serving / "5")


def test_an_unknown_version_lists_what_there_is(serving: Path) -> None:
    there = publish(serving, "only")
    with pytest.raises(promotion.UnknownVersionError, match=rf"no version 7 .*: {there}$"):
        promotion.promote(serving, 7)


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    promote.add_arguments(parser)
    return promote.run(parser.parse_args(arguments))


@pytest.fixture
def in_runs_parent(serving: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run = serving.parents[1]
    run.mkdir(parents=True)
    (run / "metadata.db").write_bytes(b"")
    monkeypatch.chdir(run.parents[1])
    return serving


def test_the_command_promotes_in_the_latest_run(
    in_runs_parent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = publish(in_runs_parent, "old")
    publish(in_runs_parent, "new")
    assert command("--version", str(old)) == 0
    assert served(in_runs_parent) == "old"
    assert str(versions.versions(in_runs_parent)[-1]) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version", "7"], "no version 7 in"),
        (["--version", "7"], "none yet"),
        (["--version", "7", "--run", "other"], "no run 'other'"),
    ],
)
def test_the_command_says_what_is_missing_in_one_line(
    in_runs_parent: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert command(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_command_promotes_in_a_folder_that_is_no_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = tmp_path / "volume" / "pneumonia"
    old = publish(volume, "old")
    publish(volume, "new")
    assert command("--version", str(old), "--serving-dir", str(volume)) == 0
    assert served(volume) == "old"
    assert str(volume) in capsys.readouterr().out


def test_a_serving_folder_without_versions_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--version", "1", "--serving-dir", str(tmp_path / "nowhere")) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_run_and_a_serving_folder_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        command("--version", "1", "--run", "demo", "--serving-dir", str(tmp_path))
