"""One row per file, written as a table, as JSON lines or as CSV, as soon as it is known."""

import csv
import dataclasses
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from client.images import ImageError
from client.results import Outcome


@dataclasses.dataclass(frozen=True)
class Row:
    """What is said of one file; either the decision's fields or the error's are set."""

    file: str
    decision: str | None = None
    label: int | None = None
    probability: float | None = None
    threshold: float | None = None
    version: int | None = None
    latency_ms: float | None = None
    quality: float | None = None
    familiarity: float | None = None
    warning: str | None = None
    overlay: str | None = None
    error: str | None = None
    message: str | None = None

    @classmethod
    def of(cls, outcome: Outcome[Path], overlay: Path | None = None) -> Self:
        """The row of an answered or a failed file.

        Args:
            outcome: what came of the file.
            overlay: where its overlay was written.

        Returns:
            The row.
        """
        file = printable(outcome.source)
        if outcome.error is not None:
            error = outcome.error
            code = str(error.reason) if isinstance(error, ImageError) else error.code
            return cls(file, error=code, message=str(error))
        answer = outcome.prediction
        assert answer is not None
        return cls(
            file,
            decision=answer.decision,
            label=answer.label,
            probability=round(answer.probability, 6),
            threshold=round(answer.threshold, 6),
            version=answer.version,
            latency_ms=round(answer.latency * 1000, 1),
            quality=answer.quality,
            familiarity=answer.familiarity,
            warning=answer.warning,
            overlay=None if overlay is None else printable(overlay),
        )


def printable(path: Path) -> str:
    """A file name as text that any terminal and file takes, whatever bytes it has."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


class Writer(ABC):
    """Writes rows to a console."""

    def __init__(self, console: Console, names: Sequence[str]):
        self.console = console
        self.begin(names)

    def begin(self, names: Sequence[str]) -> None:  # noqa: B027 - JSON lines have no head
        """Writes what comes before the rows; `names` are all that will come."""

    @abstractmethod
    def write(self, row: Row) -> None:
        """Writes one row."""


class JsonWriter(Writer):
    """One JSON object a line, always with the same keys."""

    def write(self, row: Row) -> None:
        """Writes one line."""
        self.console.out(json.dumps(dataclasses.asdict(row)))


class CsvWriter(Writer):
    """RFC 4180, with a header."""

    def begin(self, names: Sequence[str]) -> None:
        """Writes the header."""
        self._line([field.name for field in dataclasses.fields(Row)])

    def write(self, row: Row) -> None:
        """Writes one line."""
        self._line(list(dataclasses.astuple(row)))

    def _line(self, values: list[object]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(values)
        self.console.out(line.getvalue())


class TableWriter(Writer):
    """For people: fixed columns, so that each row appears with its answer."""

    _REST = 57  # columns after the file's name

    def begin(self, names: Sequence[str]) -> None:
        """Writes the head; on a terminal a name gets what its width leaves, elsewhere all."""
        longest = max((cell_len(name) for name in names), default=0)
        room = max(20, self.console.width - self._REST)
        self._width = min(longest, room) if self.console.is_terminal else longest
        self._width = max(self._width, len("File"))
        head = f"{'Decision':<11}{'Probability':>13}{'Threshold':>12}{'Version':>12}{'Time':>9}"
        self._print(Text(f"{set_cell_size('File', self._width)}  {head}", style="bold"))

    def write(self, row: Row) -> None:
        """Writes one line, and one more where the result deserves no trust."""
        line = Text(self._fit(row.file) + "  ")
        if row.error:
            line.append(f"{'unanswered':<11}", style="yellow")
            line.append(f"  {row.message}", style="yellow")
        else:
            positive = row.label == 1
            sign = "≥" if positive else "<"
            line.append(f"{row.decision:<11}", style="bold red" if positive else "green")
            line.append(f"{row.probability:>13.3f}", style="bold" if positive else "")
            line.append(f"{sign:>4}{row.threshold:>8.3f}{row.version:>12}")
            line.append(f"{row.latency_ms:>6.0f} ms", style="dim")
        self._print(line)
        if row.warning:
            self._print(Text(" " * self._width + f"  ! {row.warning}", style="yellow"))

    def _fit(self, name: str) -> str:
        if cell_len(name) <= self._width:
            return set_cell_size(name, self._width)
        while cell_len(name) >= self._width:
            name = name[1:]  # the end tells files apart
        return set_cell_size("…" + name, self._width)

    def _print(self, line: Text) -> None:
        self.console.print(line, soft_wrap=True)


WRITERS: dict[str, type[TableWriter | JsonWriter | CsvWriter]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "csv": CsvWriter,
}
