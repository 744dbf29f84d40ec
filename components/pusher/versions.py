"""The serving folder: numbered SavedModels, published whole or not at all, each with a record.

TensorFlow Serving serves the highest number that it finds under its `model_base_path` and passes
over every name that is not a number. So a version is written under a hidden name, synced and
renamed, and it goes under a hidden name again before it is deleted.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from components.model.card import RECALIBRATION

RECORD: Final = Path("assets.extra", "push.json")  # servers read nothing but warm-up in there
_HIDDEN: Final = ".tmp-"
_LARGEST: Final = 2**63 - 1  # of a version number in TensorFlow Serving's API


class PublishError(RuntimeError):
    """A version that could not be written; the message names the folder, the cause, the remedy."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained model: the URI of its artifact and the SHA-256 of its SavedModel."""

    uri: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Record:
    """Where a published version came from."""

    model: Model
    baseline: Model | None  # what it was compared with before it was first published
    promoted_from: int | None = None  # the version that a promotion published again


def versions(folder: Path) -> list[int]:
    """The version numbers in the folder, ascending; the last one is served. No folder: none."""
    if not folder.is_dir():
        return []
    names = (path.name for path in folder.iterdir() if path.is_dir())
    numbers = (int(name) for name in names if name.isascii() and name.isdigit())
    return sorted(number for number in numbers if number <= _LARGEST)


def newest_trained(folder: Path) -> int | None:
    """The newest version that is no recalibration of another one; None where there is none."""
    trained = (n for n in versions(folder) if not (folder / str(n) / RECALIBRATION).is_file())
    return max(trained, default=None)


def record(folder: Path, version: int) -> Record | None:
    """The record of a version; None for one that was put there by other means."""
    try:
        values = json.loads((folder / str(version) / RECORD).read_text(encoding="utf-8"))
        baseline = values["baseline"]
        return Record(
            model=Model(**values["model"]),
            baseline=Model(**baseline) if baseline else None,
            promoted_from=values["promoted_from"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find(folder: Path, sha256: str) -> int | None:
    """The first version that holds the SavedModel with this digest; None where there is none."""
    for version in versions(folder):
        known = record(folder, version)
        if known and known.model.sha256 == sha256:
            return version
    return None


def digest(saved_model: Path) -> str:
    """SHA-256, in hexadecimal, over the names and contents of a SavedModel's files."""
    total = hashlib.sha256()
    for path in sorted(saved_model.rglob("*")):
        name = path.relative_to(saved_model)
        if path.is_file() and name != RECORD:
            with path.open("rb") as file:
                total.update(
                    f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n".encode()
                )
    return total.hexdigest()


def publish(
    folder: Path, source: Path, of: Record, copy: Callable[[str, str], Any] = shutil.copy2
) -> int:
    """Copies the SavedModel `source` into `folder` as its newest version; returns the number.

    The number is the time in whole Unix seconds, or one above the highest there is. `copy` puts
    one file in place: `os.link` makes a version that shares its files with the source. Raises
    PublishError when the version cannot be written; the folder's versions are then as they were.
    """
    try:
        with _locked(folder):
            _sweep(folder)
            version = max(int(time.time()), *(known + 1 for known in versions(folder)), 0)
            staged = folder / f"{_HIDDEN}{version}"
            try:
                _stage(source, staged, of, copy)
                staged.rename(folder / str(version))
            except BaseException:
                shutil.rmtree(staged, ignore_errors=True)
                raise
            _sync(folder)
            return version
    except (OSError, shutil.Error) as error:
        raise PublishError(
            f"{folder}: no new version could be written ({_cause(error)}); what was served is "
            "untouched: see to space and permissions there and run again"
        ) from error


def prune(folder: Path, keep: int) -> list[int]:
    """Deletes all versions but the newest `keep` (at least 1); returns the deleted numbers.

    The newest one as it was trained stays, too: recalibrations start there.
    """
    with _locked(folder):
        _sweep(folder)
        spared = newest_trained(folder)
        outdated = [number for number in versions(folder)[: -max(keep, 1)] if number != spared]
        for version in outdated:
            (folder / str(version)).rename(folder / f"{_HIDDEN}{version}")
        _sweep(folder)
        return outdated


def _stage(source: Path, staged: Path, of: Record, copy: Callable[[str, str], Any]) -> None:
    shutil.copytree(
        source,
        staged,
        copy_function=copy,
        ignore=lambda parent, names: {RECORD.name} & {*names} if _is_extra(parent) else set(),
    )
    target = staged / RECORD
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(dataclasses.asdict(of), indent=2) + "\n", encoding="utf-8")
    for path in staged.rglob("*"):
        _sync(path)
    _sync(staged)


def _is_extra(parent: str) -> bool:
    return Path(parent).name == RECORD.parent.name


def _sweep(folder: Path) -> None:
    """Deletes what a killed push or deletion left behind."""
    for path in folder.glob(f"{_HIDDEN}*"):
        shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cause(error: OSError) -> str:
    """The first of the file errors that `shutil.copytree` gathers, or the error itself."""
    gathered = error.args[0] if isinstance(error, shutil.Error) else None
    return str(gathered[0][2]) if gathered else str(error)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time; the system releases the lock of a process that is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
