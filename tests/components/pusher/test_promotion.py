"""Rolling the served model back and forward."""

import argparse
import shutil
from pathlib import Path

import pytest

from components.pusher import promotion, versions
from components.pusher.versions import PublishedModel, PublishedRecord
from pipeline.commands import promote


def publish(serving: Path, name: str) -> int:
    artifact = serving.parent / f"model-{name}"
    model = artifact / "Format-Serving"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_text(name)
    (model / "variables" / "variables.index").write_text(name)
    of = PublishedRecord(
        PublishedModel(str(artifact), versions.digest(model)),
        baseline=PublishedModel("/before", "ab"),
    )
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


def break_file(version: Path, how: str) -> None:
    path = version / "variables" / "variables.index"
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "flipped":
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    elif how == "gone":
        path.unlink()
    else:
        shutil.rmtree(version / "variables")
        (version / "saved_model.pb").unlink()


DAMAGE = ["truncated", "flipped", "gone", "empty"]


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_to_a_promoted_version_leaves_what_it_came_from_whole(
    serving: Path, how: str
) -> None:
    old = publish(serving, "old")
    publish(serving, "new")
    promoted = promotion.promote(serving, old)

    break_file(serving / str(promoted), how)

    assert versions.damage(serving, promoted)
    assert versions.damage(serving, old) is None


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_version_without_a_whole_copy_is_never_promoted(
    serving: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    old, new = publish(serving, "old"), publish(serving, "new")
    break_file(serving / str(old), how)
    shutil.rmtree(serving.parent / "model-old")

    assert command("--version", str(old), "--serving-dir", str(serving)) == 1

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(serving / str(old)) in error
    assert versions.versions(serving) == [old, new]


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_version_is_mended_from_another_one_of_the_same_model(
    serving: Path, how: str
) -> None:
    old = publish(serving, "old")
    publish(serving, "new")
    promoted = promotion.promote(serving, old)
    shutil.rmtree(serving.parent / "model-old")
    break_file(serving / str(promoted), how)

    mended = promotion.promote(serving, promoted)

    assert mended > promoted
    assert served(serving) == "old"
    assert versions.damage(serving, mended) is None


def test_a_damaged_version_is_mended_from_the_models_artifact(serving: Path) -> None:
    old = publish(serving, "old")
    break_file(serving / str(old), "truncated")

    mended = promotion.promote(serving, old)

    assert versions.digest(serving / str(mended)) == versions.digest(
        serving.parent / "model-old" / "Format-Serving"
    )


def test_a_changed_artifact_mends_nothing(serving: Path) -> None:
    old = publish(serving, "old")
    break_file(serving / str(old), "truncated")
    break_file(serving.parent / "model-old" / "Format-Serving", "flipped")

    with pytest.raises(versions.PublishError, match="no whole copy"):
        promotion.promote(serving, old)


def test_what_is_served_is_mended_only_where_it_is_damaged(serving: Path) -> None:
    assert promotion.repair(serving) is None
    old = publish(serving, "old")
    assert promotion.repair(serving) is None
    break_file(serving / str(old), "gone")
    assert promotion.repair(serving) == versions.versions(serving)[-1]
    assert promotion.repair(serving) is None


def test_a_promoted_version_outlives_the_one_it_came_from(serving: Path) -> None:
    old = publish(serving, "old")
    publish(serving, "new")
    promotion.promote(serving, old)
    versions.prune(serving, 1)
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
