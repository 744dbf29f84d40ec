"""Which files lie below a folder: through links, and past what cannot be listed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

_KERNELS = tuple(map(Path, ("/dev", "/proc", "/sys")))
LOOP = "a symbolic link to a folder above it"

Identity = tuple[int, int]


def walk(base: Path, left_out: Callable[[os.DirEntry[str]], bool]) -> Iterator[tuple[str, str]]:
    """Walks a folder by name, a folder's files before its folders; hidden ones are passed over.

    Args:
        base: the folder.
        left_out: says which files and folders to pass over besides.

    Yields:
        A file's path below `base` and ""; or the path of a folder that cannot be listed and the
        reason, such as LOOP.
    """
    pending: list[tuple[str, frozenset[Identity]]] = [("", frozenset())]
    while pending:
        folder, above = pending.pop()
        try:
            status = (base / folder).stat()
            place = identity(status)
            if place in above:
                yield folder, LOOP
                continue
            if is_kernels(status):
                yield folder, "a folder of the kernel's"
                continue
            with os.scandir(base / folder) as found:
                children = sorted(found, key=lambda child: child.name)
        except OSError as error:
            yield folder, error.strerror or "cannot be listed"
            continue
        folders = []
        for child in children:
            path = f"{folder}/{child.name}" if folder else child.name
            if child.name.startswith(".") or left_out(child):
                continue
            if is_folder(child):
                folders.append((path, above | {place}))
            else:
                yield path, ""
        pending.extend(reversed(folders))


def is_kernels(status: os.stat_result) -> bool:
    """Whether a file or folder is no stored one, but the kernel's (/proc, /sys) or a device's."""
    return status.st_dev in {root.stat().st_dev for root in _KERNELS if root.is_mount()}


def identity(status: os.stat_result) -> Identity:
    """Which file or folder it is, whatever its name."""
    return status.st_dev, status.st_ino


def is_folder(child: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one."""
    try:
        return child.is_dir()
    except OSError:  # a link to itself: whoever reads it will say so
        return False
