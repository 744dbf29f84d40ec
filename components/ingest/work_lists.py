"""Lists of files to work on, kept on disk so that Beam moves only their names."""

import dataclasses
import json
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from tfx.dsl.io import fileio

FILES_PER_LIST = 250

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class WorkList:
    """JSON lines at `path`, the last of them the `end`-th of `total` items."""

    path: str
    end: int
    total: int


def write(prefix: str, items: Iterable[Any]) -> list[WorkList]:
    """Writes dataclasses to lists of at most FILES_PER_LIST items; without items, to an empty one.

    The lists' paths begin with `prefix`.
    """
    stream = iter(items)
    ends: list[int] = []
    while (chunk := list(islice(stream, FILES_PER_LIST))) or not ends:
        write_one(_path(prefix, len(ends)), chunk)
        ends.append((ends[-1] if ends else 0) + len(chunk))
    return [WorkList(_path(prefix, number), end, ends[-1]) for number, end in enumerate(ends)]


def write_one(path: str, items: Iterable[Any]) -> None:
    """Writes dataclasses as JSON lines; the file is there whole or not at all."""
    part = unfinished(path)
    with fileio.open(part, "w") as file:
        file.write("".join(json.dumps(dataclasses.asdict(item)) + "\n" for item in items))
    fileio.rename(part, path, overwrite=True)


def unfinished(path: str) -> str:
    """Where to write what becomes `path`: a name of its own for each who tries.

    A runner that gave a worker up repeats its work elsewhere, while the first may still be writing.
    """
    return f"{path}.{uuid.uuid4().hex}.part"


def read(path: str, kind: type[T]) -> Iterator[T]:
    """Streams the dataclasses that `write_one` wrote."""
    with fileio.open(path) as file:
        for line in file:
            yield kind(**json.loads(line))


def _path(prefix: str, number: int) -> str:
    return f"{prefix}-{number:05d}.jsonl"
