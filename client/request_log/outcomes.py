"""What became of logged films: the final diagnosis, kept beside the log.

One line of JSON a film, appended and synced; of two lines for a film the newer holds. A DICOM is
named by the hash of its SOP Instance UID, so that nothing here says whose film it is.
"""

import csv
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from client.contract import CLASSES
from client.request_log.record import digest

FILE: Final = "outcomes.jsonl"
FROM_FILE: Final = "file"
FROM_PAGE: Final = "page"  # whoever said it had seen the model's answer
_COLUMNS: Final = ("film", "diagnosis")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")


class OutcomesError(ValueError):
    """Outcomes that cannot be taken; the message names the file, the line and the remedy."""


@dataclass(frozen=True)
class Outcome:
    """A film by its hash (of its bytes, or of its SOP Instance UID), its label, who said so."""

    film: str
    label: int
    source: str = FROM_FILE


def from_csv(path: Path) -> list[Outcome]:
    """Reads a table with the columns film (SHA-256 or SOP Instance UID) and diagnosis.

    Raises:
        OutcomesError: any line is wrong; then none is taken.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
                raise OutcomesError(f"{path}: has no column {missing[0]}; give film,diagnosis")
            return [_outcome(f"{path}:{rows.line_num}", row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutcomesError(f"{path}: cannot be read as a CSV file ({error})") from error


def add(folder: Path, outcomes: Iterable[Outcome]) -> None:
    """Appends outcomes; returns when they are on the disk.

    Args:
        folder: the request log's.
        outcomes: what came of films.

    Raises:
        OSError: they cannot be written.
    """
    now = round(time.time(), 3)
    lines = (
        json.dumps({"film": one.film, "label": one.label, "source": one.source, "time": now}) + "\n"
        for one in outcomes
    )
    content = "".join(lines).encode()
    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        size = file.tell()
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content  # a full disk or a kill tore the line before
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> dict[str, Outcome]:
    """The newest outcome of each film, by its hash; torn lines are passed over."""
    try:
        lines = (folder / FILE).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines:
        try:
            values = json.loads(line)
            found[values["film"]] = Outcome(values["film"], values["label"], values["source"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def of_film(known: Mapping[str, Outcome], sha256: str, instance: str) -> Outcome | None:
    """The outcome of a logged film, whichever of its two hashes it was given by.

    Args:
        known: as `read` gives them.
        sha256: of the film.
        instance: of its SOP Instance UID; "" for none.
    """
    return known.get(sha256) or known.get(instance)


def _outcome(place: str, row: Mapping[str, str | None]) -> Outcome:
    film, diagnosis = ((row[name] or "").strip() for name in _COLUMNS)
    if diagnosis.upper() not in CLASSES:
        raise OutcomesError(f"{place}: diagnosis {diagnosis!r} must be {' or '.join(CLASSES)}")
    if _UID.fullmatch(film):
        film = digest(film)
    if not _SHA256.fullmatch(film.lower()):
        raise OutcomesError(f"{place}: film {film!r} is neither a SHA-256 nor a SOP Instance UID")
    return Outcome(film.lower(), CLASSES.index(diagnosis.upper()))
