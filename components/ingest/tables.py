"""Reads tables as spreadsheets and published sets write them, and the words of their labels."""

import csv
import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from components.ingest.entry import IngestError

OTHER_FINDING: Final = "labelled with other findings only"
_SEPARATORS: Final = ",;\t|"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")  # a spreadsheet's "Unicode text"
_NEGATIVE: Final = ("normal", "no finding", "healthy", "negative", "no", "false", "0")
_POSITIVE: Final = ("pneumonia", "positive", "yes", "true", "1")


@dataclass(frozen=True)
class Table:
    """A CSV file with a header, and how it is written; the columns in lower case."""

    path: Path
    encoding: str
    separator: str
    columns: tuple[str, ...]

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Streams where a row stands, and its values by column, the blanks around them gone.

        Raises IngestError where the file is no table.
        """
        with _readable(self.path), self.path.open(encoding=self.encoding, newline="") as file:
            lines = _reader(file, self.separator)
            _header(lines)
            for line in lines:
                values = [value.strip() for value in line]
                if any(values):  # spreadsheets write their empty rows, too
                    padded = [*values, *[""] * len(self.columns)]
                    where = f"{self.path}: line {lines.line_num}"
                    yield where, dict(zip(self.columns, padded, strict=False))


def read(path: Path) -> Table:
    """Finds out how a CSV file is written: comma, semicolon, tab or | ; UTF-8 or UTF-16.

    Raises IngestError where it cannot be read.
    """
    with _readable(path):
        with path.open("rb") as file:
            encoding = "utf-16" if file.read(2) in _UTF_16 else "utf-8-sig"
        headers = {}
        for separator in _SEPARATORS:
            with path.open(encoding=encoding, newline="") as file:
                headers[separator] = _header(_reader(file, separator))
    separator = max(headers, key=lambda one: len(headers[one]))
    return Table(path, encoding, separator, headers[separator])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError, csv.Error) as error:
        raise IngestError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error


def _reader(file: TextIO, separator: str) -> Any:  # csv has no name for its type
    return csv.reader(file, delimiter=separator, skipinitialspace=separator != "\t", strict=True)


def _header(lines: Iterator[list[str]]) -> tuple[str, ...]:
    header = next(lines, [])
    if header and header[0].lower().startswith("sep="):  # Excel's word for the separator
        header = next(lines, [])
    return tuple(column.strip().lower() for column in header)


@dataclass(frozen=True)
class Words:
    """Which words of a label mean pneumonia, and which none; empty: the common ones."""

    positive: Sequence[str] = ()
    negative: Sequence[str] = ()

    def label(self, text: str) -> int | None:
        """Reads a label, or several with | or ; between them: `Effusion|Pneumonia`.

        Returns:
            1 where one of them means pneumonia, 0 where all mean none, else None.

        >>> Words().label("No Finding"), Words().label("1.0"), Words().label("Edema")
        (0, 1, None)
        """
        words = [_plain(word) for word in re.split(r"[|;]", text)]
        if any(word in map(_plain, self.positive or _POSITIVE) for word in words):
            return 1
        known = [_plain(word) for word in self.negative or _NEGATIVE]
        return 0 if all(word in known for word in words) else None

    def __str__(self) -> str:
        """The words, for a person who used another one."""
        return ", ".join((*(self.positive or _POSITIVE), *(self.negative or _NEGATIVE)))


@functools.cache
def _plain(word: str) -> str:
    """A word in lower case with single blanks; a number without its zeros after the comma.

    >>> _plain(" No_Finding "), _plain("1,0"), _plain("-1.00")
    ('no finding', '1', '-1')
    """
    text = " ".join(word.lower().replace("_", " ").split())
    return re.sub(r"^(-?\d+)[.,]0+$", r"\1", text)
