"""A process under observation: when it prints what, and how much memory its family takes."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil


class Observed:
    """Runs a command and reads its standard output line by line.

    `peak` is the largest sum so far of the resident memory, in MB, of the process and all that it
    started; `stage`, set by whoever reads the lines, says under which name to keep it.
    """

    def __init__(self, command: list[str], folder: Path, log: Path | None = None) -> None:
        self.stage = ""
        self.peaks: dict[str, float] = {}
        self._began = time.perf_counter()
        with (log or folder / "stderr.log").open("ab") as errors:
            self._process = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()

    @property
    def seconds(self) -> float:
        """Since the process began."""
        return time.perf_counter() - self._began

    @property
    def peak(self) -> float:
        """Over all stages."""
        return max(self.peaks.values(), default=0.0)

    def lines(self) -> Iterator[str]:
        """As they come, without white space around them."""
        assert self._process.stdout
        return (line.strip() for line in self._process.stdout)

    def wait(self) -> int:
        """The exit code."""
        code = self._process.wait()
        self._over.set()
        self._watch.join()
        return code

    def kill(self) -> None:
        """With all that it started."""
        for process in [*self._family(), self._process]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.wait()

    def _family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _watch_memory(self) -> None:
        while not self._over.wait(0.2):
            try:
                root = psutil.Process(self._process.pid)
                family = [root, *root.children(recursive=True)]
                total = sum(process.memory_info().rss for process in family) / 1e6
            except psutil.NoSuchProcess:
                continue
            stage = self.stage
            self.peaks[stage] = max(self.peaks.get(stage, 0.0), total)
