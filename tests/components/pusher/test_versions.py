"""The serving folder holds whole versions only, whatever happens to the process that writes it."""

import errno
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from components.pusher import versions
from components.pusher.versions import PublishedModel, PublishedRecord, PublishError
from tests.components.pusher import kills

OF = PublishedRecord(model=PublishedModel(uri="/artifacts/model/7", sha256="ab"), baseline=None)

PUBLISH_AND_DIE = """
import os, signal, sys
from pathlib import Path
from components.pusher import versions

def half(source, target):
    content = Path(source).read_bytes()
    Path(target).write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

model = versions.PublishedModel("/artifacts/model/8", "cd")
of = versions.PublishedRecord(model, baseline=None)
versions.publish(Path(sys.argv[1]), Path(sys.argv[2]), of, copy=half)
"""

PUBLISH_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from components.pusher import versions

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
model = versions.PublishedModel("/artifacts/model/8", "cd")
of = versions.PublishedRecord(model, baseline=None)
try:
    versions.publish(Path(sys.argv[1]), Path(sys.argv[2]), of)
except versions.PublishError as error:
    print(error)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name in ("saved_model.pb", "variables/variables.index", "assets.extra/warmup"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 500)
    return folder


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "pneumonia"


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(script: str, *args: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, args)], capture_output=True, text=True, check=False
    )


def test_a_version_is_the_model_and_its_record(model: Path, serving: Path) -> None:
    version = versions.publish(serving, model, OF)

    assert versions.versions(serving) == [version]
    published = tree(serving / str(version))
    published.pop(str(versions.RECORD))
    published.pop(str(versions.MANIFEST))
    assert published == tree(model)
    assert versions.record(serving, version) == OF


def test_the_record_keeps_the_baseline_and_the_promotion(model: Path, serving: Path) -> None:
    of = PublishedRecord(
        OF.model, baseline=PublishedModel("/artifacts/model/3", "ef"), promoted_from=12
    )
    assert versions.record(serving, versions.publish(serving, model, of)) == of


def test_the_number_is_the_time_in_seconds(
    model: Path, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions.time, "time", lambda: 1_800_000_000.9)
    assert versions.publish(serving, model, OF) == 1_800_000_000


def test_a_version_is_always_newer_than_what_is_there(
    model: Path, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions.time, "time", lambda: 1_000.0)
    (serving / "2000").mkdir(parents=True)
    assert versions.publish(serving, model, OF) == 2001
    assert versions.publish(serving, model, OF) == 2002


def test_what_is_no_version_is_passed_over(serving: Path) -> None:
    for name in (".tmp-9", "latest", "12.bak", "-3", "٣", "5"):
        (serving / name).mkdir(parents=True)
    (serving / "77").write_text("a file")
    assert versions.versions(serving) == [5]


def test_no_folder_has_no_versions(serving: Path) -> None:
    assert versions.versions(serving) == []
    assert versions.find(serving, "ab") is None


def test_a_version_put_there_by_hand_has_no_record(serving: Path) -> None:
    (serving / "5").mkdir(parents=True)
    assert versions.record(serving, 5) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"model": 3}', '{"model": {"uri": "x"}}'])
def test_a_damaged_record_is_no_record(serving: Path, text: str) -> None:
    path = serving / "5" / versions.RECORD
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert versions.record(serving, 5) is None


def test_the_digest_tells_models_apart_by_content_and_name(model: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(model, twin)
    assert versions.digest(twin) == versions.digest(model)
    (twin / "saved_model.pb").write_bytes(b"other")
    assert versions.digest(twin) != versions.digest(model)
    (twin / "saved_model.pb").write_bytes((model / "saved_model.pb").read_bytes())
    (twin / "saved_model.pb").rename(twin / "renamed.pb")
    assert versions.digest(twin) != versions.digest(model)


def test_a_published_version_keeps_the_models_digest(model: Path, serving: Path) -> None:
    version = versions.publish(serving, model, OF)
    assert versions.digest(serving / str(version)) == versions.digest(model)


def test_a_kill_in_the_middle_of_the_copy_leaves_no_version(model: Path, serving: Path) -> None:
    first = versions.publish(serving, model, OF)
    before = tree(serving)

    killed = run(PUBLISH_AND_DIE, serving, model)

    assert killed.returncode == -signal.SIGKILL
    leftovers = [path for path in serving.iterdir() if path.name != str(first)]
    assert len(leftovers) == 1, "the copy had begun"
    assert leftovers[0].name.startswith(".")
    assert versions.versions(serving) == [first]
    assert before.items() <= tree(serving).items()


def test_the_next_push_removes_what_a_killed_one_left(model: Path, serving: Path) -> None:
    run(PUBLISH_AND_DIE, serving, model)
    version = versions.publish(serving, model, OF)
    assert [path.name for path in serving.iterdir()] == [str(version)]
    assert versions.digest(serving / str(version)) == versions.digest(model)


def test_a_full_disk_leaves_what_was_there(model: Path, serving: Path) -> None:
    versions.publish(serving, model, OF)
    before = tree(serving)

    done = run(PUBLISH_ON_A_FULL_DISK, serving, model)

    assert done.returncode == 0, done.stderr
    assert str(serving) in done.stdout
    assert "untouched" in done.stdout
    assert done.stdout.count("\n") == 1
    assert tree(serving) == before


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_written_leaves_what_was_there(
    model: Path, serving: Path, fault: int
) -> None:
    versions.publish(serving, model, OF)
    before = tree(serving)

    def fails_on_the_second(source: str, target: str) -> None:
        if "variables" in source:
            raise OSError(fault, errno.errorcode[fault])
        shutil.copy2(source, target)

    with pytest.raises(PublishError, match=errno.errorcode[fault]) as caught:
        versions.publish(serving, model, OF, copy=fails_on_the_second)
    assert "\n" not in str(caught.value)
    assert tree(serving) == before
    assert len(list(serving.iterdir())) == 1


def test_an_interrupted_push_cleans_up(model: Path, serving: Path) -> None:
    def interrupted(source: str, target: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        versions.publish(serving, model, OF, copy=interrupted)
    assert list(serving.iterdir()) == []


def test_a_serving_folder_that_cannot_be_made_is_one_clear_line(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="file/pneumonia"):
        versions.publish(tmp_path / "file" / "pneumonia", model, OF)


def test_two_writers_take_turns(model: Path, serving: Path) -> None:
    copying, may_finish = threading.Event(), threading.Event()

    def slow(source: str, target: str) -> None:
        copying.set()
        assert may_finish.wait(30)
        shutil.copy2(source, target)

    first = threading.Thread(target=versions.publish, args=(serving, model, OF, slow))
    second = threading.Thread(target=versions.publish, args=(serving, model, OF))
    first.start()
    assert copying.wait(30)
    second.start()
    second.join(0.2)
    assert versions.versions(serving) == [], "the second must not overtake or sweep the first"
    may_finish.set()
    first.join(30)
    second.join(30)
    assert len(versions.versions(serving)) == 2


@pytest.mark.parametrize(("keep", "left"), [(1, [4]), (2, [3, 4]), (9, [1, 2, 3, 4]), (0, [4])])
def test_pruning_keeps_the_newest(serving: Path, keep: int, left: list[int]) -> None:
    for version in (1, 2, 3, 4):
        (serving / str(version) / "variables").mkdir(parents=True)
    deleted = versions.prune(serving, keep)
    assert versions.versions(serving) == left
    assert sorted([*deleted, *left]) == [1, 2, 3, 4]
    assert not list(serving.glob(".*"))


def test_pruning_spares_what_recalibrations_start_from(serving: Path) -> None:
    for version in (1, 2, 3, 4, 5):
        (serving / str(version) / "assets.extra").mkdir(parents=True)
    for version in (3, 4, 5):
        (serving / str(version) / versions.RECALIBRATION).write_text("{}")
    assert versions.prune(serving, 2) == [1, 3]
    assert versions.newest_trained(serving) == 2


def test_a_version_is_out_of_sight_before_its_files_go(
    serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (1, 2):
        (serving / str(version)).mkdir(parents=True)
    seen: list[list[int]] = []
    monkeypatch.setattr(
        versions.shutil, "rmtree", lambda path: seen.append(versions.versions(serving))
    )
    versions.prune(serving, 1)
    assert seen == [[2]]


def test_the_first_version_of_a_model_is_found(model: Path, serving: Path) -> None:
    first = versions.publish(serving, model, OF)
    versions.publish(serving, model, PublishedRecord(PublishedModel("/other", "cd"), None))
    versions.publish(serving, model, OF)
    assert versions.find(serving, "ab") == first
    assert versions.find(serving, "zz") is None


def test_a_published_version_can_be_checked_by_sha256sum(model: Path, serving: Path) -> None:
    folder = serving / str(versions.publish(serving, model, OF))
    check = ["sha256sum", "--check", "--strict", str(versions.MANIFEST)]

    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 0
    (folder / "saved_model.pb").write_bytes(b"other")
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 1


def test_a_copy_that_went_wrong_is_no_version(model: Path, serving: Path) -> None:
    def careless(source: str, target: str) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:-1])

    with pytest.raises(PublishError, match="differs"):
        versions.publish(serving, model, OF, copy=careless)

    assert list(serving.iterdir()) == []


def test_a_version_shares_no_file_with_its_source(model: Path, serving: Path) -> None:
    folder = serving / str(versions.publish(serving, model, OF))

    for path in model.rglob("*"):
        if path.is_file():
            assert not path.samefile(folder / path.relative_to(model))


def test_a_version_of_before_there_were_manifests_is_held_against_its_digest(
    model: Path, serving: Path
) -> None:
    of = PublishedRecord(
        PublishedModel("/artifacts/model/8", versions.digest(model)), baseline=None
    )
    version = versions.publish(serving, model, of)
    (serving / str(version) / versions.MANIFEST).unlink()

    assert versions.damage(serving, version) is None
    (serving / str(version) / "saved_model.pb").write_bytes(b"other")
    assert "not as it was pushed" in str(versions.damage(serving, version))


def test_killed_and_damaged_what_is_served_is_whole(tmp_path: Path) -> None:
    assert kills.run(tmp_path, 15) > 0


@pytest.mark.slow
def test_killed_and_damaged_often_what_is_served_is_whole(tmp_path: Path) -> None:
    assert kills.run(tmp_path, 200, seed=1) > 20
