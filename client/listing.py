"""Which files a command line means, and what their overlays are called."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_LONGEST_NAME = 255  # bytes, on Linux's file systems


def files(paths: Sequence[Path], left_out: Path | None = None) -> list[Path]:
    """The files as given, and all in the folders, by name, each once.

    Hidden files and folders, and those under `left_out`, where a command writes, are not listed.
    Links to folders are followed once. A folder that cannot be read stands for its files.
    """
    found = (file for path in paths for file in _expand(path, left_out))
    return list({_place(file): file for file in found}.values())


def _expand(path: Path, left_out: Path | None) -> Iterator[Path]:
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for names too long
        yield path
        return
    closed: list[Path] = []
    seen = {_identity(path)}
    walk = os.walk(path, onerror=lambda e: closed.append(Path(e.filename)), followlinks=True)
    for folder, folders, names in walk:
        entered = sorted(name for name in folders if _entered(Path(folder, name), left_out))
        places = {name: _identity(Path(folder, name)) for name in entered}
        folders[:] = [name for name in entered if places[name] not in seen]
        seen.update(places.values())
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))
    yield from closed  # the reader says of each that it is none


def _identity(folder: Path) -> tuple[int, int] | Path:
    try:
        status = folder.stat()
    except OSError:  # walking there, os.walk says so
        return folder
    return status.st_dev, status.st_ino


def _entered(folder: Path, left_out: Path | None) -> bool:
    if folder.name.startswith("."):
        return False
    return left_out is None or _identity(folder) != _identity(left_out)


def overlay_paths(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """A place in `folder` for each file's overlay: the files' own tree below what they share.

    The whole name is kept, so that a.jpg and a.png do not meet: a.jpg.png and a.png.png.
    """
    places = {file: _place(file) for file in files}
    shared = os.path.commonpath([place.parent for place in places.values()])
    return {
        file: folder / place.relative_to(shared).with_name(_overlay_name(file.name))
        for file, place in places.items()
    }


def _overlay_name(name: str) -> str:
    if len(os.fsencode(name)) <= _LONGEST_NAME - len(".png"):
        return name + ".png"
    return hashlib.sha256(os.fsencode(name)).hexdigest() + ".png"


def _place(file: Path) -> Path:
    """Where a file is, under its own name even where that is a link."""
    return file.parent.resolve() / file.name
