"""Who was examined, how and where: a film's groups, and the pooling of what tells on people."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from components import names
from components.ingest.entry import IngestError
from components.ingest.settings import Group, GroupConfig
from components.ingest.tables import Table

_LONGEST: Final = 64
_AGE: Final = re.compile(r"(\d{1,4})(?:\.\d+)?([YMWD]?)", re.IGNORECASE)  # also PS3.5's AS


def value(text: str, limits: Sequence[int]) -> str:
    """Names the group of what a manifest or a DICOM says.

    Args:
        text: as it stands there.
        limits: where groups of numbers begin; none: `text` itself is the group.

    Returns:
        The group; `unknown` where the text is empty or, with limits, no number.

    >>> value("047Y", [18, 65]), value("m", []), value("80", [18, 65]), value("?", [18])
    ('18 to 64', 'M', '65 and over', 'unknown')
    """
    if not limits:
        return " ".join(text.upper().split())[:_LONGEST] or names.UNKNOWN
    found = _AGE.fullmatch(text.strip())
    if not found:
        return names.UNKNOWN
    number = 0 if found[2].upper() in ("M", "W", "D") and found[2] else int(found[1])
    above = sum(number >= limit for limit in limits)
    if above == 0:
        return f"under {limits[0]}"
    if above == len(limits):
        return f"{limits[-1]} and over"
    return f"{limits[above - 1]} to {limits[above] - 1}"


def columns(table: Table, wanted: Mapping[Group, GroupConfig]) -> list[str]:
    """The table's columns that groups are read from, in lower case.

    Args:
        table: the manifest or published table.
        wanted: where each group stands (data.groups).

    Raises:
        IngestError: the table lacks a column.
    """
    found = sorted({where.column.strip().lower() for where in wanted.values() if where.column})
    if missing := [column for column in found if column not in table.columns]:
        raise IngestError(
            f"{table.path}: has no column {', '.join(missing)}, which data.groups names; mend the "
            "one or the other"
        )
    return found


def read(
    told: Mapping[str, str], header: Mapping[str, Any], wanted: Mapping[Group, GroupConfig]
) -> dict[str, str]:
    """Reads a film's groups.

    Args:
        told: the manifest's values by column.
        header: the DICOM's by keyword; empty where the film is none.
        wanted: where each group is read.

    Returns:
        The film's value for each of names.GROUP_KEYS.
    """
    found = dict.fromkeys(names.GROUP_KEYS, names.UNKNOWN)
    for key, where in wanted.items():
        in_table = told.get((where.column or "").strip().lower())
        text = in_table or str(header.get(where.dicom or "") or "")
        found[key] = value(text, where.limits)
    return found


def pooled(films: Sequence[tuple[str, Mapping[str, str]]], least: int) -> list[dict[str, str]]:
    """Pools the values that fewer than `least` patients of these films have.

    The pool takes in the next rarest value until it has `least` patients itself: what one value
    alone leaves over would be as telling as the value.

    Args:
        films: of one split: the patient and the groups of each.
        least: patients.

    Returns:
        The groups of each film, in the films' order.
    """
    patients: dict[tuple[str, str], set[str]] = defaultdict(set)
    for patient, groups in films:
        for item in groups.items():
            patients[item].add(patient)
    rare: set[tuple[str, str]] = set()
    for key in names.GROUP_KEYS:
        pool: set[str] = set()
        of_key = [item for item in patients if item[0] == key]
        for item in sorted(of_key, key=lambda item: (len(patients[item]), item)):
            enough = len(patients[item]) >= least and (not pool or len(pool) >= least)
            if enough or len(of_key) == 1:  # what all have tells of nobody
                break
            pool |= patients[item]
            rare.add(item)
    return [
        {key: names.POOLED if (key, text) in rare else text for key, text in groups.items()}
        for _, groups in films
    ]
