"""Keeps lists of files to work on on disk, so that Beam moves only the lists' names."""

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
    """Writes dataclasses to lists of at most FILES_PER_LIST items.

    Args:
        prefix: what the lists' paths begin with.
        items: dataclasses of JSON values.

    Returns:
        The lists in their order; one empty list where there are no items.
    """
    stream = iter(items)
    ends: list[int] = []
    while (chunk := list(islice(stream, FILES_PER_LIST))) or not ends:
        write_one(_path(prefix, len(ends)), chunk)
        ends.append((ends[-1] if ends else 0) + len(chunk))
    return [WorkList(_path(prefix, number), end, ends[-1]) for number, end in enumerate(ends)]


def write_one(path: str, items: Iterable[Any]) -> None:
    """Writes dataclasses as JSON lines, whole or not at all.

    Args:
        path: the file to write or replace.
        items: dataclasses of JSON values.
    """
    part = unfinished(path)
    with fileio.open(part, "w") as file:
        file.write("".join(json.dumps(dataclasses.asdict(item)) + "\n" for item in items))
    fileio.rename(part, path, overwrite=True)


def unfinished(path: str) -> str:
    """Names a new file beside `path`, to be renamed to it when it is whole.

    Each call gives another name: a runner that gave a worker up repeats its work elsewhere, while
    the first worker may still be writing.
    """
    return f"{path}.{uuid.uuid4().hex}.part"


def read(path: str, kind: type[T]) -> Iterator[T]:
    """Streams the dataclasses that `write_one` wrote.

    Args:
        path: the file.
        kind: the dataclass to make of each line.

    Yields:
        The dataclasses in the order written.
    """
    with fileio.open(path) as file:
        for line in file:
            yield kind(**json.loads(line))


def _path(prefix: str, number: int) -> str:
    return f"{prefix}-{number:05d}.jsonl"
