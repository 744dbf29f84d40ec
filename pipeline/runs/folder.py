"""Names the files of a run's folder, and lets one process at a time write there."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from components import files

RUNS = Path("runs")
PRETRAINED = "pretrained"  # the run that stands for the published model


class RunFolderError(RuntimeError):
    """The run's folder cannot be had; the message names it, the cause and the remedy."""


@dataclass(frozen=True)
class RunFolder:
    """The layout of `runs/<name>/`; nothing is created by naming it."""

    root: Path

    @property
    def metadata(self) -> Path:
        """ML Metadata's SQLite file."""
        return self.root / "metadata.db"

    @property
    def artifacts(self) -> Path:
        """What the components wrote."""
        return self.root / "artifacts"

    @property
    def serving(self) -> Path:
        """The base path for TensorFlow Serving; holds one folder per version."""
        return self.root / "serving" / "pneumonia"

    @property
    def cache(self) -> Path:
        """Features and checkpoints; outlives an interrupted execution."""
        return self.root / "cache"

    @property
    def ingest(self) -> Path:
        """The newest ingest report."""
        return self.root / "ingest"

    @property
    def report(self) -> Path:
        """The run's report for people."""
        return self.root / "report.html"

    @property
    def config(self) -> Path:
        """The configuration the run was last started with."""
        return self.root / "config.yaml"

    @property
    def log(self) -> Path:
        """Everything that TFX, Beam and TensorFlow print."""
        return self.root / "run.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process.

        The kernel drops the lock with the process, so a killed run leaves none behind.

        Raises:
            RunFolderError: another process holds it, nothing can be written, or Beam cannot be
                given the path of the folder or of temporary files.
        """
        for place in (str(self.root.resolve()), tempfile.gettempdir()):
            if fault := files.unfit(place):
                raise RunFolderError(fault)
        with ExitStack() as stack:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                stack.enter_context(files.locked(self.root / ".lock"))
            except BlockingIOError as error:
                raise RunFolderError(
                    f"{self.root}: another run is writing here; wait for it or choose another --run"
                ) from error
            except OSError as error:
                fault = f"cannot be written ({error.strerror}); work in a folder that can be"
                raise RunFolderError(f"{self.root}: {fault}") from error
            yield


def latest(runs: Path = RUNS) -> Path | None:
    """Finds the run whose metadata changed last; None where there is none."""
    databases = sorted(runs.glob("*/metadata.db"), key=lambda path: path.stat().st_mtime)
    return databases[-1].parent if databases else None


def find(name: str | None, runs: Path = RUNS) -> RunFolder:
    """Finds a run that is there.

    Args:
        name: the run's name; None: the latest run.
        runs: the folder of all runs.

    Returns:
        The run's folder.

    Raises:
        FileNotFoundError: there is no such run; the message says what to do.
    """
    root = runs / name if name else latest(runs)
    if root is None or not (root / "metadata.db").exists():
        if name and RunFolder(runs / name).serving.is_dir():
            raise FileNotFoundError(
                f"{root}: trained elsewhere, there is no run to read; where a command takes it, "
                f"give --serving-dir {RunFolder(runs / name).serving}"
            )
        wanted = f"run '{name}'" if name else "run"
        raise FileNotFoundError(
            f"no {wanted} in {runs}/; start one with 'make demo' or 'pneumonia run --data DIR'"
        )
    return RunFolder(root)
