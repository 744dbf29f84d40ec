"""Which versions are served while folders and configurations change; loading is faked."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving import versions
from serving.errors import Code, ServingError
from serving.manager import LoadPolicy, ModelManager, ModelsUnavailable, State

WAIT = 30.0


class FakeServable:
    """Stands for a loaded version; `close` waits for the leases like the real one."""

    def __init__(self, number: int) -> None:
        self.version = number
        self.closed = threading.Event()
        self._leases = 0
        self._idle = threading.Condition()

    def retain(self) -> None:
        with self._idle:
            self._leases += 1

    def release(self) -> None:
        with self._idle:
            self._leases -= 1
            self._idle.notify_all()

    def close(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: not self._leases, WAIT)
        self.closed.set()


class World:
    """A model folder, a loader that fails for versions in `corrupt`, and a manager."""

    def __init__(self, base: Path, **policy: Any) -> None:
        self.base = base
        self.corrupt: set[int] = set()
        self.loads: list[int] = []
        self.ready: list[dict[str, bool]] = []
        settings = {"poll_seconds": 0.0, "retry_seconds": 0.0, **policy}
        self.manager = ModelManager(
            self.load,  # type: ignore[arg-type]
            LoadPolicy(**settings),
            lambda ready: self.ready.append(dict(ready)),
        )

    def load(self, name: str, number: int, path: Path) -> FakeServable:
        assert (path / "saved_model.pb").is_file()
        self.loads.append(number)
        if number in self.corrupt:
            raise ServingError(Code.DATA_LOSS, "truncated")
        return FakeServable(number)

    def push(self, *numbers: int) -> None:
        for number in numbers:
            (self.base / str(number)).mkdir()
            (self.base / str(number) / "saved_model.pb").write_bytes(b"model")

    def remove(self, number: int) -> None:
        (self.base / str(number) / "saved_model.pb").unlink()
        (self.base / str(number)).rmdir()

    def configure(self, policy: str = "", name: str = "pneumonia", more: str = "") -> None:
        self.manager.configure(config(self.base, policy, name, more))

    def look(self) -> None:
        with self.manager._reconciling:
            self.manager._reconcile()

    def serving(self) -> int | None:
        try:
            servable = self.manager.lease(model_pb2.ModelSpec(name="pneumonia"))
        except ServingError:
            return None
        servable.release()
        return servable.version

    def states(self) -> dict[int, State]:
        return {v.number: v.state for v in self.manager.statuses("pneumonia")}


def config(base: Path, policy: str = "", name: str = "pneumonia", more: str = "") -> Any:
    text = f"""config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow"
               model_version_policy {{ {policy} }} {more} }}"""
    message = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(text, message.model_config_list)
    return message


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.manager.close()


def test_the_latest_version_is_served(world: World) -> None:
    world.push(1, 3, 2)
    world.configure()

    assert world.serving() == 3
    assert world.loads == [3]
    assert world.ready[-1] == {"pneumonia": True}


def test_versions_are_compared_as_numbers(world: World) -> None:
    world.push(9, 10)
    world.configure()

    assert world.serving() == 10


def test_a_new_version_is_loaded_before_the_old_one_goes(world: World) -> None:
    world.push(1)
    world.configure()
    old = world.manager.lease(model_pb2.ModelSpec(name="pneumonia"))
    world.push(2)
    look = threading.Thread(target=world.look)
    look.start()
    while world.serving() != 2:
        time.sleep(0.001)

    assert not old.closed.is_set()  # a request is still using it
    assert world.states() == {2: State.AVAILABLE, 1: State.UNLOADING}
    old.release()
    look.join(WAIT)

    assert old.closed.is_set()
    assert world.states() == {2: State.AVAILABLE, 1: State.END}


def test_a_corrupt_version_is_reported_and_the_old_one_goes_on(world: World) -> None:
    world.push(1)
    world.configure()
    world.corrupt.add(2)
    world.push(2)
    world.look()

    assert world.serving() == 1
    (bad,) = world.manager.statuses("pneumonia", 2)
    assert bad.error is not None
    assert (bad.error.code, bad.error.message) == (Code.DATA_LOSS, "truncated")


def test_a_corrupt_version_is_tried_again_so_often_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, max_retries=2)
    world.push(1)
    world.corrupt.add(1)
    with pytest.raises(ModelsUnavailable, match=r"1 model\(s\) did not become available"):
        world.configure()
    for _ in range(5):
        world.look()

    assert world.loads == [1, 1, 1]
    assert world.states() == {1: State.END}


def test_a_server_that_starts_on_a_broken_version_serves_the_newest_that_is_whole(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.corrupt = {3, 4}
    world.push(1, 2, 3, 4)
    world.configure()

    assert world.serving() == 2
    assert world.states()[4] is not State.AVAILABLE
    assert 1 not in world.loads
    (told,) = [record for record in caplog.records if record.message == "older version serves"]
    assert told.fields["version"] == 2  # type: ignore[attr-defined]

    world.corrupt = set()
    world.look()
    assert world.serving() == 4
    assert world.states()[2] is State.END


def test_no_other_version_stands_in_for_one_that_is_pinned(world: World) -> None:
    world.corrupt = {2}
    world.push(1, 2)

    with pytest.raises(ModelsUnavailable):
        world.configure("specific { versions: 2 }")

    assert world.loads == [2]


def test_a_version_that_heals_is_served(world: World) -> None:
    world.push(1)
    world.configure()
    world.corrupt.add(2)
    world.push(2)
    world.look()
    world.corrupt.clear()
    world.look()

    assert world.serving() == 2
    assert world.manager.statuses("pneumonia", 2)[0].error is None


def test_retries_wait(tmp_path: Path) -> None:
    world = World(tmp_path, retry_seconds=3600.0)
    world.push(1)
    world.corrupt.add(1)
    with pytest.raises(ModelsUnavailable):
        world.configure()
    world.look()

    assert world.loads == [1]
    assert world.states() == {1: State.LOADING}


def test_a_better_version_ends_the_tries_with_a_corrupt_one(world: World) -> None:
    world.push(1)
    world.configure()
    world.corrupt.add(2)
    world.push(2)
    world.look()
    world.push(3)
    world.look()
    world.look()

    assert world.serving() == 3
    assert world.loads == [1, 2, 3]
    assert world.states() == {3: State.AVAILABLE, 2: State.END, 1: State.END}


def test_removing_the_latest_version_rolls_back(world: World) -> None:
    world.push(1, 2)
    world.configure()
    world.remove(2)
    world.look()

    assert world.serving() == 1
    assert world.loads == [2, 1]


def test_a_version_that_comes_back_is_loaded_again(world: World) -> None:
    world.push(1, 2)
    world.configure()
    world.remove(2)
    world.look()
    world.push(2)
    world.look()

    assert world.serving() == 2


def test_removing_every_version_ends_serving(world: World) -> None:
    world.push(1)
    world.configure()
    world.remove(1)
    world.look()

    assert world.serving() is None
    assert world.ready[-1] == {"pneumonia": False}


def test_a_folder_that_vanishes_changes_nothing(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # sources/storage_path/file_system_storage_path_source.cc: an error, not "no versions"
    base = tmp_path / "models"
    base.mkdir()
    world.base = base
    world.push(1)
    world.configure()
    base.rename(tmp_path / "elsewhere")
    world.look()
    world.look()

    assert world.serving() == 1
    assert caplog.messages.count("folder unreadable") == 1


@pytest.mark.parametrize("name", ["abc", ".2", "2.tmp", "-2", "2x", "²", str(2**63)])
def test_only_a_number_names_a_version(world: World, name: str) -> None:
    world.push(1)
    (world.base / "1").rename(world.base / name)
    world.push(1)
    world.configure()

    assert world.loads == [1]


def test_a_version_without_its_graph_is_not_picked_and_drives_nothing_out(world: World) -> None:
    world.push(1)
    world.configure()
    (world.base / "2").mkdir()
    world.remove(1)
    world.look()

    assert world.serving() == 1
    assert world.loads == [1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Goes by `now`. A file server's clock is ahead: to this one, no file grows older."""
    made = SimpleNamespace(now=0.0, time=lambda: 0.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(versions, "time", made)
    return made


def test_a_version_that_still_grows_is_not_picked(tmp_path: Path, clock: SimpleNamespace) -> None:
    world = World(tmp_path, poll_seconds=3600.0)
    world.push(1)
    world.manager._complete._rest = 10.0
    world.manager._policy = LoadPolicy(poll_seconds=0.0)
    world.configure()
    clock.now = 9.0
    world.look()
    assert world.loads == []

    (world.base / "1" / "variables").write_bytes(b"half")
    clock.now = 11.0
    world.look()
    clock.now = 20.0
    world.look()
    assert world.loads == []

    clock.now = 21.0  # nothing has changed for ten seconds
    world.look()
    assert world.loads == [1]


def test_a_served_version_whose_files_are_touched_stays(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    """As a promotion and the pruning after it do, by hard links."""
    world = World(tmp_path)
    world.push(1, 2)
    world.configure()
    world.manager._complete._rest = 10.0
    clock.now = 20.0
    (world.base / "2" / "another name").hardlink_to(world.base / "2" / "saved_model.pb")
    world.look()
    assert world.serving() == 2
    assert world.loads == [2]


def test_a_version_left_alone_long_enough_is_picked_at_the_first_look(tmp_path: Path) -> None:
    world = World(tmp_path, poll_seconds=0.001)
    world.push(1)
    world.configure()

    assert world.loads == [1]


def test_all_versions_can_be_served(world: World) -> None:
    world.push(1, 2)
    world.configure("all {}")

    assert world.states() == {2: State.AVAILABLE, 1: State.AVAILABLE}
    spec = model_pb2.ModelSpec(name="pneumonia")
    spec.version.value = 1
    servable = world.manager.lease(spec)
    servable.release()
    assert servable.version == 1


def test_the_latest_few_can_be_served(world: World) -> None:
    world.push(1, 2, 3)
    world.configure("latest { num_versions: 2 }")

    assert world.states() == {3: State.AVAILABLE, 2: State.AVAILABLE}


def test_versions_can_be_pinned(world: World) -> None:
    world.push(1, 2, 3)
    world.configure("specific { versions: 1 }")
    world.push(4)
    world.look()

    assert world.serving() == 1


def test_changing_the_policy_loads_and_unloads(world: World) -> None:
    world.push(1, 2)
    world.configure("specific { versions: 1 }")
    world.configure("specific { versions: 2 }")

    assert world.serving() == 2
    assert world.states() == {2: State.AVAILABLE, 1: State.END}


def test_a_model_that_is_configured_no_more_is_unloaded(world: World, tmp_path: Path) -> None:
    world.push(1)
    world.configure()
    world.configure(name="other")

    assert world.serving() is None
    assert world.manager.ready() == {"other": True}


def test_a_label_names_a_version_that_is_served(world: World) -> None:
    world.push(1, 2)
    world.configure("all {}")
    world.configure("all {}", more='version_labels { key: "stable" value: 1 }')

    spec = model_pb2.ModelSpec(name="pneumonia", version_label="stable")
    servable = world.manager.lease(spec)
    servable.release()
    assert servable.version == 1


def test_a_label_for_a_version_that_is_not_served_is_refused(world: World) -> None:
    # model_servers/server_core.cc, UpdateModelVersionLabelMap
    world.push(1)
    world.configure()

    with pytest.raises(ServingError) as caught:
        world.configure(more='version_labels { key: "stable" value: 9 }')

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert world.serving() == 1


def test_the_folder_is_looked_at_again_and_again(tmp_path: Path) -> None:
    world = World(tmp_path, poll_seconds=0.01)
    world.push(1)
    world.configure()
    world.manager.start_polling()
    world.push(2)
    for _ in range(3000):
        if world.serving() == 2:
            break
        time.sleep(0.01)
    served = world.serving()
    world.manager.close()

    assert served == 2
    assert world.states() == {2: State.END, 1: State.END}
