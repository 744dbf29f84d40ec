"""The serving folder: numbered SavedModels, published whole or not at all, each with a record.

TensorFlow Serving serves the highest number that it finds under its `model_base_path` and passes
over every name that is not a number. So a version is written under a hidden name, synced and
renamed, and it goes under a hidden name again before it is deleted. Versions share no file with
each other or with what they were made of: damage to one leaves the others whole.
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

from components.model.card import EXTRA, RECALIBRATION

INT8: Final = Path(EXTRA, "int8")  # OpenVINO's form of the network, where there is one
RECORD: Final = Path(EXTRA, "push.json")  # servers read nothing but warm-up in there
MANIFEST: Final = Path(EXTRA, "SHA256SUMS")  # for `sha256sum -c` in the version's folder
JUDGED: Final = "judged_sha256"  # of a blessing's artifact: of the model that was tried
_HIDDEN: Final = ".tmp-"
_CLONE: Final = 0x40049409  # FICLONE of linux/fs.h: a copy that shares blocks until one is written
_LARGEST: Final = 2**63 - 1  # of a version number in TensorFlow Serving's API


class PublishError(RuntimeError):
    """A version that could not be written; the message names the folder, the cause, the remedy."""


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """A trained model: the URI of its artifact and the SHA-256 of its SavedModel."""

    uri: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class PublishedRecord:
    """Where a published version came from."""

    model: PublishedModel
    baseline: PublishedModel | None  # what it was compared with before it was first published
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


def record(folder: Path, version: int) -> PublishedRecord | None:
    """The record of a version.

    Args:
        folder: the serving folder.
        version: its number.

    Returns:
        The record; None for a version that was put there by other means.
    """
    try:
        values = json.loads((folder / str(version) / RECORD).read_text(encoding="utf-8"))
        baseline = values["baseline"]
        return PublishedRecord(
            model=PublishedModel(**values["model"]),
            baseline=PublishedModel(**baseline) if baseline else None,
            promoted_from=values["promoted_from"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def model_sha256(folder: Path, version: int) -> str:
    """The digest of a version's model, as it was published where that is recorded.

    Args:
        folder: the serving folder.
        version: its number.

    Returns:
        SHA-256, in hexadecimal.
    """
    known = record(folder, version)
    return known.model.sha256 if known else digest(folder / str(version))


def holders(folder: Path, sha256: str) -> list[int]:
    """The versions that were published of one SavedModel, ascending.

    Args:
        folder: the serving folder.
        sha256: the SavedModel's digest, in hexadecimal.
    """
    known = {version: record(folder, version) for version in versions(folder)}
    return [version for version, of in known.items() if of and of.model.sha256 == sha256]


def find(folder: Path, sha256: str) -> int | None:
    """The first version of a SavedModel; None where there is none.

    Args:
        folder: the serving folder.
        sha256: the SavedModel's digest, in hexadecimal.
    """
    return next(iter(holders(folder, sha256)), None)


def manifest(saved_model: Path) -> str:
    """The SHA-256 and the name of each of a SavedModel's files, as `sha256sum` writes them."""
    lines = []
    for path in sorted(saved_model.rglob("*")):
        name = path.relative_to(saved_model)
        if path.is_file() and name not in (RECORD, MANIFEST):
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def digest(saved_model: Path) -> str:
    """SHA-256, in hexadecimal, of a SavedModel's manifest."""
    return hashlib.sha256(manifest(saved_model).encode()).hexdigest()


def damage(folder: Path, version: int) -> str | None:
    """Reads a whole version and says what of it is not as it was published.

    Nobody knows how a version that was put there by other means ought to be. One without a
    manifest (they have one since December 2026) is held against its record's digest.

    Args:
        folder: the serving folder.
        version: its number.

    Returns:
        The first fault in one line; None: there is none.
    """
    path = folder / str(version)
    if not (path / "saved_model.pb").is_file():
        return f"{path / 'saved_model.pb'} is gone"
    try:
        actual = manifest(path).splitlines()
        stated = (path / MANIFEST).read_text("utf-8").splitlines()
    except FileNotFoundError:
        known = record(folder, version)
        whole = not known or known.model.sha256 == digest(path)
        return None if whole else f"{path} is not as it was pushed"
    except (OSError, UnicodeDecodeError) as error:
        return f"{path} cannot be read ({error})"
    there = {line.partition("  ")[2] for line in actual}
    for line in sorted(set(stated) - set(actual)):
        name = line.partition("  ")[2]
        return f"{path / name} {'is not as it was pushed' if name in there else 'is gone'}"
    return None


def copy_file(source: str, target: str) -> None:
    """Copies a file with its mode and times; its blocks are shared where the file system can.

    Args:
        source: the file.
        target: the copy.

    Raises:
        OSError: the copy cannot be written.
    """
    try:
        with Path(source).open("rb") as old, Path(target).open("xb") as new:
            fcntl.ioctl(new, _CLONE, old.fileno())
    except OSError:  # ext4 has no shared blocks, and two file systems share none
        shutil.copyfile(source, target)
    shutil.copystat(source, target)


def publish(
    folder: Path,
    source: Path,
    of: PublishedRecord,
    copy: Callable[[str, str], Any] = copy_file,
    int8: Path | None = None,
) -> int:
    """Copies a SavedModel into a serving folder as its newest version.

    Args:
        folder: the serving folder; made where it is missing.
        source: the SavedModel.
        of: where it came from.
        copy: puts one file in place; what it wrote is read again before the version is seen.
        int8: the folder of the model's int8 form; None: what the SavedModel brings along.

    Returns:
        The version's number: the time in whole Unix seconds, or one above the highest there is.

    Raises:
        PublishError: the version cannot be written; the folder's versions are then as they were.
    """
    try:
        with _locked(folder):
            _sweep(folder)
            version = max(int(time.time()), *(known + 1 for known in versions(folder)), 0)
            staged = folder / f"{_HIDDEN}{version}"
            try:
                _stage(source, staged, of, copy, int8)
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
    """Deletes all versions but the newest ones.

    The newest one as it was trained stays, too: recalibrations start there.

    Args:
        folder: the serving folder.
        keep: how many stay, at least 1.

    Returns:
        The deleted numbers.
    """
    with _locked(folder):
        _sweep(folder)
        spared = newest_trained(folder)
        outdated = [number for number in versions(folder)[: -max(keep, 1)] if number != spared]
        for version in outdated:
            (folder / str(version)).rename(folder / f"{_HIDDEN}{version}")
        _sweep(folder)
        return outdated


def _stage(
    source: Path,
    staged: Path,
    of: PublishedRecord,
    copy: Callable[[str, str], Any],
    int8: Path | None,
) -> None:
    stated = _copy(source, staged, copy)
    if int8:
        shutil.rmtree(staged / INT8, ignore_errors=True)
        _copy(int8, staged / INT8, copy)
        stated = manifest(staged)
    (staged / RECORD).parent.mkdir(exist_ok=True)
    values = json.dumps(dataclasses.asdict(of), indent=2)
    (staged / RECORD).write_text(f"{values}\n", encoding="utf-8")
    (staged / MANIFEST).write_text(stated, encoding="utf-8")
    for path in staged.rglob("*"):
        _sync(path)
    _sync(staged)


def _copy(source: Path, target: Path, copy: Callable[[str, str], Any]) -> str:
    """Copies a folder without what its own push noted, reads it again, returns its manifest."""
    stated = manifest(source)
    own = {RECORD.name, MANIFEST.name}
    shutil.copytree(
        source,
        target,
        copy_function=copy,
        ignore=lambda parent, names: own & {*names} if _is_extra(parent) else set(),
    )
    if manifest(target) != stated:
        raise OSError(f"the copy differs from {source}")
    return stated


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
