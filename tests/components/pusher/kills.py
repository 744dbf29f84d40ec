"""`python -m tests.components.pusher.kills 1000`: pushes and promotions, killed and damaged.

After every kill each version is whole, but for those that were damaged on purpose; and whatever was
damaged, what a server serves then is byte for byte a model that was pushed.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from components.pusher import promotion, versions
from components.pusher.versions import PublishedModel, PublishedRecord


class World:
    """A serving folder, three models' artifacts, and which versions were damaged."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.serving = folder / "serving"
        self.chance = random.Random(seed)
        self.models = [self._artifact(folder / f"model-{name}") for name in "abc"]
        self.pushed = {model.sha256 for model in self.models}
        self.damaged: set[int] = set()
        self._push(self.models[0])

    def _artifact(self, folder: Path) -> PublishedModel:
        saved_model = folder / "Format-Serving"
        (saved_model / "variables").mkdir(parents=True)
        for name in ("saved_model.pb", "variables/variables.index", "variables/variables.data"):
            (saved_model / name).write_bytes(self.chance.randbytes(self.chance.randrange(1, 10**6)))
        return PublishedModel(str(folder), versions.digest(saved_model))

    def _push(self, model: PublishedModel) -> None:
        """As AtomicPusher does."""
        there = versions.holders(self.serving, model.sha256)
        if all(versions.damage(self.serving, version) for version in there):
            source = Path(model.uri, "Format-Serving")
            versions.publish(self.serving, source, PublishedRecord(model, baseline=None))
        versions.prune(self.serving, 4)

    def act(self) -> None:
        """Pushes a model or promotes a version."""
        if self.chance.random() < 0.5:
            self._push(self.chance.choice(self.models))
        else:
            promotion.promote(self.serving, self.chance.choice(versions.versions(self.serving)))

    def damage(self) -> None:
        """Truncates, changes or removes a file, or all, of a version."""
        version = self.chance.choice(versions.versions(self.serving))
        folder = self.serving / str(version)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        files = [path for path in files if path.name not in ("push.json", "SHA256SUMS")]
        if not files:
            return
        path = self.chance.choice(files)
        content = bytearray(path.read_bytes())
        kind = self.chance.randrange(4)
        if kind == 0 and content:
            path.write_bytes(content[:-1])
        elif kind == 1 and content:
            content[self.chance.randrange(len(content))] ^= 1
            path.write_bytes(content)
        elif kind == 2:
            path.unlink()
        else:
            shutil.rmtree(folder / "variables", ignore_errors=True)
        self.damaged.add(version)

    def check(self) -> None:
        """Every version is whole or damaged on purpose, and there is one to serve."""
        there = versions.versions(self.serving)
        whole = [version for version in there if not versions.damage(self.serving, version)]
        assert set(there) - set(whole) <= self.damaged
        for version in whole:
            assert versions.digest(self.serving / str(version)) in self.pushed

    def serve(self) -> None:
        """What is served afterwards, by the highest number, is whole: mended if need be."""
        promotion.repair(self.serving)
        newest = versions.versions(self.serving)[-1]
        assert versions.digest(self.serving / str(newest)) in self.pushed


def _die_after(calls: int) -> None:
    """Has this process kill itself after so many calls of C functions, the system's among them."""
    left = calls

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal left
        left -= event in ("c_call", "c_return")
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def run(folder: Path, count: int, seed: int = 0) -> int:
    """Kills so many pushes and promotions; how many of them were really cut short.

    The moment is a number of calls, not of seconds: a seed gives the same kills anywhere.
    """
    world = World(folder, seed)
    killed = 0
    longest = 2000
    for _ in range(count):
        calls = world.chance.randrange(longest)
        if not (child := os.fork()):
            try:
                _die_after(calls)
                world.act()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        # About as many as a whole one takes.
        longest = int(longest * 1.05) if os.WIFSIGNALED(status) else min(longest, calls)
        world.chance.random()  # the child drew from a copy
        world.check()
        if world.chance.random() < 0.3:
            world.damage()
        world.serve()
    return killed


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    rounds, seed = [*given, *[1000, int(time.time())][len(given) :]]
    with tempfile.TemporaryDirectory() as scratch:
        cut = run(Path(scratch), rounds, seed)
    print(
        f"{rounds} pushes and promotions from seed {seed}, {cut} cut short: what is served was "
        "always whole"
    )
