"""Which files a command line means, and what their overlays are called."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from client.walking import LOOP, identity, is_folder, walk

_LONGEST_NAME = 255  # bytes, on Linux's file systems


def files(paths: Sequence[Path], left_out: Sequence[Path | None] = ()) -> list[Path]:
    """Lists the files that are named, and all in the folders that are named, each once.

    Links to folders are followed. A folder that cannot be read stands for its files.

    Args:
        paths: files and folders.
        left_out: folders to leave out, where a command writes; so are hidden files and folders.

    Returns:
        The files in the order of `paths`, a folder's by name.
    """
    found = (file for path in paths for file in _expand(path, left_out))
    return list({_place(file): file for file in found}.values())


def _expand(path: Path, left_out: Sequence[Path | None]) -> Iterator[Path]:
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for names too long
        return iter([path])
    own = {identity(folder.stat()) for folder in left_out if folder and folder.is_dir()}

    def is_own(child: os.DirEntry[str]) -> bool:
        return bool(own) and is_folder(child) and identity(child.stat()) in own

    # Of a folder that cannot be listed the reader says that it is no file.
    return (path / below for below, problem in walk(path, is_own) if problem != LOOP)


def overlay_paths(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Chooses a place for each file's overlay: the files' own tree below what they share.

    Args:
        files: at least one.
        folder: where the overlays go.

    Returns:
        A path by file. It keeps the whole name, so that a.jpg and a.png do not meet: a.jpg.png and
        a.png.png.
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
