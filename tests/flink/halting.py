"""Steps that stop in the middle of their work, once, until somebody kills what should be killed."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

from components.augmenter import parts
from components.ingest import passes
from components.ingest.work_lists import WorkList

_SECONDS_TO_COME = 300  # with all that starts before it on a busy machine
_SECONDS_TO_KILL = 60


def halt(folder: Path) -> None:
    """The first process that comes here waits until it is killed or told to go on."""
    try:
        (folder / "halted").mkdir()
    except FileExistsError:
        return
    (folder / "halted" / str(os.getpid())).touch()
    _wait_for(folder / "go on", _SECONDS_TO_KILL)


def when_halted(folder: Path, act: Callable[[int], None]) -> futures.Future[None]:
    """Does something to the process that halts, whose id it gets; then lets all go on."""

    def wait() -> None:
        _wait_for(folder / "halted", _SECONDS_TO_COME)
        while not (found := list((folder / "halted").iterdir())):
            time.sleep(0.05)
        act(int(found[0].name))
        (folder / "go on").touch()

    return futures.ThreadPoolExecutor(1).submit(wait)


class HaltingStore(passes.StoreList):
    """Halts before one of its lists."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._halting = folder

    def process(self, element: tuple[WorkList, str]) -> Iterator[int]:
        if element[0].path.endswith("train-00001.jsonl"):
            halt(self._halting)
        yield from super().process(element)


class HaltingSplit(parts.CopyToParts):
    """Halts in one of its files, with that file's first records already on their way."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._halting = folder

    def process(self, file: str) -> Iterator[tuple[int, str]]:
        for number, row in enumerate(super().process(file)):
            yield row
            if file.endswith("-1.gz") and number == 2:
                halt(self._halting)


def _wait_for(path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"nobody made {path}"
        time.sleep(0.05)
