"""The progress line of all long work outside the client."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Value = TypeVar("Value")


def bar(title: str, total: int | None, unit: str = "film") -> tqdm:
    """Shows how far the work is and how long it still takes, on standard error.

    Where that is a file, it writes a line each ten seconds. With nothing to do it stays silent.

    Args:
        title: what the work is called on the line.
        total: units of work; 0: nothing to do; None: not known yet.
        unit: what is counted; bytes ("B") are scaled.

    Returns:
        The line: `update(n)` counts n units; a context manager that ends it.
    """
    seconds = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total,
        desc=title,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        mininterval=seconds,
        disable=total == 0,
    )


def tracked(values: Iterable[Value], title: str, total: int) -> Iterator[Value]:
    """Passes the values through and counts them on a `bar`.

    Args:
        values: what to pass through.
        title: what the work is called on the line.
        total: the number of values.

    Yields:
        Each value, counted when the next is asked for.
    """
    with bar(title, total) as progress:
        for value in values:
            yield value
            progress.update()
