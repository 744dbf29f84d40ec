"""Which files a command line means, and what their overlays are called."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path


def files(paths: Sequence[Path], left_out: Path | None = None) -> list[Path]:
    """The files as given, and all in the folders, by name, each once.

    Hidden files and folders, and those under `left_out`, where a command writes, are not listed.
    """
    found = (file for path in paths for file in _expand(path, left_out))
    return list({_place(file): file for file in found}.values())


def _expand(path: Path, left_out: Path | None) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if _entered(Path(folder, name), left_out))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _entered(folder: Path, left_out: Path | None) -> bool:
    if folder.name.startswith("."):
        return False
    return left_out is None or not left_out.is_dir() or not folder.samefile(left_out)


def overlay_paths(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """A place in `folder` for each file's overlay: the files' own tree below what they share.

    The whole name is kept, so that a.jpg and a.png do not meet: a.jpg.png and a.png.png.
    """
    places = {file: _place(file) for file in files}
    shared = os.path.commonpath([place.parent for place in places.values()])
    return {
        file: folder / place.relative_to(shared).with_name(file.name + ".png")
        for file, place in places.items()
    }


def _place(file: Path) -> Path:
    """Where a file is, under its own name even where that is a link."""
    return file.parent.resolve() / file.name
