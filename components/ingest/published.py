"""Reads the tables of public chest X-ray sets as they are published, unchanged.

A set is told by its table's columns. The files are looked for below the table's folder by the end
of their path, wherever the set was unpacked.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from client.walking import walk
from components.ingest import groups
from components.ingest.entry import Entry, IngestError
from components.ingest.settings import DataConfig
from components.ingest.tables import OTHER_FINDING, Table, Words

_NOT_HERE = "listed in the table, but not below its folder"
_UNCERTAIN = "labelled as uncertain"
_LATERAL = "lateral films"

TableRow = dict[str, str]
Judged = tuple[int | None, str]  # label, and why it is left out


@dataclass(frozen=True)
class Shape:
    """A published table: what tells it, and what its rows say.

    Attributes:
        columns: which together no other table has.
        end: a film's path as the table gives it; without its suffix where the table has none.
        patient: the patient's id.
        judged: the label, or why the film is not for this training.
    """

    columns: frozenset[str]
    end: Callable[[TableRow], str]
    patient: Callable[[TableRow], str]
    judged: Callable[[TableRow], Judged]


def shape(table: Table) -> Shape | None:
    """The published set that a table belongs to; None: it is another one's."""
    return next((one for one in _SHAPES if one.columns <= set(table.columns)), None)


def entries(table: Table, published: Shape, config: DataConfig) -> Iterator[Entry]:
    """Streams the films that a published table lists, each once, though it have several rows.

    Args:
        table: lies beside the images, or above them.
        published: the set that the table belongs to, of `shape`.
        config: tells where groups stand.

    Raises:
        IngestError: no film lies below the table's folder, or a group's column is missing.
    """
    of_groups = groups.columns(table, config.groups)
    films = {
        (published.end(row), published.patient(row), *published.judged(row)): {
            column: row[column] for column in of_groups
        }
        for _, row in table.rows()
    }
    places = _places(table, max((_depth(end) for end, *_ in films), default=1))
    if not any(end in places for end, *_ in films):
        first = next((repr(end) for end, *_ in films), "none")
        raise IngestError(
            f"{table.path}: none of its {len(films):,} films lies below its folder, the first: "
            f"{first}; put the table beside the images"
        )
    for (end, patient, label, why), told in films.items():
        found = places.get(end, [])
        yield Entry(
            path=found[0] if found else end,
            label=label,
            patient=patient,
            problem="several files of this name: " + ", ".join(found[:3]) if found[1:] else "",
            left_out=why or ("" if found else _NOT_HERE),
            told=told,
        )


def _places(table: Table, depth: int) -> dict[str, list[str]]:
    """The files below the table's folder, by the last `depth` parts of their paths, with suffix
    and without.
    """
    places: dict[str, list[str]] = {}
    for path, problem in walk(table.path.parent, lambda _: False):
        if not problem:
            end = PurePosixPath(*PurePosixPath(path).parts[-depth:])
            for key in {str(end), str(end.with_suffix(""))}:
                places.setdefault(key, []).append(path)
    return places


def _depth(end: str) -> int:
    return end.count("/") + 1


def _rsna(row: TableRow) -> Judged:
    return Words().label(row["target"]), ""


def _nih(row: TableRow) -> Judged:
    label = Words(("pneumonia",), ("no finding",)).label(row["finding labels"])
    return label, OTHER_FINDING if label is None else ""


def _chexpert(row: TableRow) -> Judged:
    if row["frontal/lateral"].lower() == "lateral":
        return None, _LATERAL
    if row["pneumonia"].startswith("-1"):
        return None, _UNCERTAIN
    if row["pneumonia"]:
        return Words().label(row["pneumonia"]), ""
    return (0, "") if Words().label(row["no finding"]) == 1 else (None, OTHER_FINDING)


def _patient_folder(row: TableRow) -> str:
    found = re.search(r"patient\d+", row["path"])
    return found[0] if found else row["path"]


_SHAPES = (
    # RSNA Pneumonia Detection Challenge: stage_2_train_labels.csv, a row for each box.
    Shape(
        frozenset(("patientid", "x", "y", "width", "height", "target")),
        end=lambda row: row["patientid"],
        patient=lambda row: row["patientid"],
        judged=_rsna,
    ),
    # NIH ChestX-ray14: Data_Entry_2017_v2020.csv.
    Shape(
        frozenset(("image index", "finding labels", "patient id")),
        end=lambda row: row["image index"],
        patient=lambda row: row["patient id"],
        judged=_nih,
    ),
    # CheXpert: train.csv, valid.csv. Its paths begin with the set's folder, whatever that is here.
    Shape(
        frozenset(("path", "frontal/lateral", "no finding", "pneumonia")),
        end=lambda row: "/".join(row["path"].split("/")[-4:]),
        patient=_patient_folder,
        judged=_chexpert,
    ),
)
