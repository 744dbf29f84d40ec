"""Writes files and folders whole or not at all, even if the process is killed; holds locks."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

PATTERN: Final = re.compile(r"[*?\[\\]")  # what Beam's and TensorFlow's glob patterns are made of


def unfit(place: str) -> str | None:
    """Says why no step may write below a folder; None where any may.

    Beam takes every path as a pattern, offers no way to quote one, and deletes what it matches: the
    statistics of a run in `study [1]` would be written over those of the sibling `study 1`.
    """
    remedy = "rename it, or work in another folder"
    if found := PATTERN.search(place):
        return f"{place!r}: Beam would take the {found[0]!r} for a pattern of file names; {remedy}"
    if place != place.encode("utf-8", "replace").decode():
        return f"{place!r}: the name is not UTF-8; {remedy}"
    return None


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a sibling of `path` for writing; on success it takes the path's place.

    The sibling is `<name>.<process id>.part`. It is synced before the rename, so a power cut
    leaves the old content or the new one; an exception removes it and leaves the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Removes what killed processes left unfinished in a folder that no other process uses."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Makes a hidden sibling of `target`; on success it takes the folder's place.

    An exception removes the sibling and leaves the old folder.
    """
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Holds a lock file for this process; the kernel drops the lock of a process that is killed.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be written.
    """
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def cache_dir() -> Path:
    """Names the cache: PNEUMONIA_CACHE, else `pneumonia` under XDG_CACHE_HOME (~/.cache)."""
    own = os.environ.get("PNEUMONIA_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "pneumonia"
