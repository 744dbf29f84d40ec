"""The ingest report: what was seen, what became of it and why; in numbers and on disk."""

import csv
import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from components import names
from components.ingest import near_duplicates
from components.ingest.inspection import Record
from components.ingest.ledger import Fate
from components.ingest.listing import IngestError

REPORT = "report.json"
REJECTS = "rejects.csv"
DUPLICATES = "duplicates.csv"
_PAIRS_SHOWN = 100
_NAMES_SHOWN = 3
_NOTES_SHOWN = 20
_FEW = 20  # films of which one patient may have most


@dataclasses.dataclass(frozen=True)
class Report:
    """Counts of files, always seen = written + duplicates + rejected.

    left_out: by limit_per_class, not among the seen. splits: films, patients and films of each
    class, by split. patients_from: manifest, dicom, name or file (each file its own patient).
    test_duplicates: written twice, as the official test split stays whole. near_duplicates: pairs
    of files in different splits whose pictures look alike, at most 100 of near_duplicate_pairs.
    """

    seen: int
    written: int
    duplicates: int
    rejected: int
    left_out: int
    reasons: dict[str, int]
    splits: dict[str, dict[str, int]]
    patients_from: dict[str, int]
    formats: dict[str, int]
    official_test: bool
    test_duplicates: int
    near_duplicate_pairs: int
    near_duplicates: list[list[str]]
    notes: list[str]


def build(records: Sequence[Record], fates: Sequence[Fate], left_out: int) -> Report:
    """Counts what `ledger.decide` decided."""
    both = list(zip(records, fates, strict=True))
    written = [(record, fate) for record, fate in both if fate.split]
    close = list(_near_duplicates(written))
    patients_from = dict(Counter(record.patient_from for record, _ in written))
    report = Report(
        seen=len(both),
        written=len(written),
        duplicates=sum(not fate.split and fate.duplicate_of is not None for fate in fates),
        rejected=sum(bool(fate.reason) for fate in fates),
        left_out=left_out,
        reasons=dict(Counter(fate.reason for fate in fates if fate.reason).most_common()),
        splits={split: _split_counts(split, written) for split in names.SPLITS},
        patients_from=patients_from,
        formats=dict(Counter(record.source_format for record, _ in written)),
        official_test=any(record.official_test for record in records),
        test_duplicates=sum(fate.duplicate_of is not None for _, fate in written),
        near_duplicate_pairs=len(close),
        near_duplicates=close[:_PAIRS_SHOWN],
        notes=[],
    )
    return dataclasses.replace(report, notes=[*_notes(report), *film_notes(written)])


def _split_counts(split: str, written: Sequence[tuple[Record, Fate]]) -> dict[str, int]:
    films = [record for record, fate in written if fate.split == split]
    by_class = Counter(record.label for record in films)
    return {
        "films": len(films),
        "patients": len({record.group for record in films}),
        **{name: by_class[label] for label, name in enumerate(names.CLASSES)},
    }


def _near_duplicates(written: Sequence[tuple[Record, Fate]]) -> Iterator[list[str]]:
    hashes = [record.difference_hash for record, _ in written]
    splits = [fate.split for _, fate in written]
    for first, second in near_duplicates.pairs(hashes, splits):
        yield [f"{splits[at]}: {printable(written[at][0].name)}" for at in (first, second)]


def _notes(report: Report) -> Iterator[str]:
    if alone := report.patients_from.get("file", 0):
        yield (
            f"{alone:,} files name no patient: each counts as its own patient, so films of one "
            "patient may stand in two splits; set data.patient_pattern or give a manifest"
        )
    if report.near_duplicate_pairs:
        yield f"{report.near_duplicate_pairs:,} pairs across splits look alike: possible leaks"
    if report.test_duplicates:
        yield f"{report.test_duplicates:,} duplicates stay in the official test split"
    if report.left_out:
        yield f"{report.left_out:,} files are left out by data.limit_per_class"


def film_notes(written: Sequence[tuple[Record, Fate]]) -> Iterator[str]:
    """What is odd about films that are not rejected, the commonest first, each with an example."""
    examples = {note: record.name for record, _ in reversed(written) for note in record.notes}
    counts = Counter(note for record, _ in written for note in record.notes)
    for note, count in counts.most_common(_NOTES_SHOWN):
        films = "film" if count == 1 else "films"
        yield f"{count:,} {films}: {note} (the first: {printable(examples[note])!r})"
    if len(counts) > _NOTES_SHOWN:
        yield f"{len(counts) - _NOTES_SHOWN:,} further things are odd about single films"


def check(
    report: Report, records: Sequence[Record], fates: Sequence[Fate], max_rejected: float
) -> None:
    """Raises IngestError where nothing can be written or too much is rejected."""
    if report.written and report.rejected <= max_rejected * report.seen:
        _check_patients(records, fates)
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in report.reasons.items())
    rejects = [
        (record.name, fate) for record, fate in zip(records, fates, strict=True) if fate.reason
    ]
    for name, fate in rejects:  # the report of a step that fails is deleted
        logging.warning("Ingest: rejected %r: %s (%s)", name, fate.reason, fate.detail)
    first = ", ".join(repr(name) for name, _ in rejects[:_NAMES_SHOWN])
    share = f"more than data.max_rejected {max_rejected:.0%} allows"
    raise IngestError(
        f"{report.rejected} of {report.seen} files are rejected ({reasons}), "
        f"{share if report.written else 'nothing is left'}; the first: {first}; "
        "run.log has all: mend them or take them out"
    )


def _check_patients(records: Sequence[Record], fates: Sequence[Fate]) -> None:
    """Raises IngestError where most films are said to be of one patient: no split can part them."""
    written = [record for record, fate in zip(records, fates, strict=True) if fate.split]
    (group, count), *_ = Counter(record.group for record in written).most_common(1)
    if len(written) >= _FEW and count > len(written) / 2:
        one = next(record for record in written if record.group == group)
        raise IngestError(
            f"{count:,} of {len(written):,} films are of one patient by their {one.patient_from} "
            f"({one.name!r} is one): such a set cannot be split by patient; give a manifest with "
            "the column patient_id"
        )


def printable(name: str) -> str:
    """Names that are not UTF-8 come from the file system with lone surrogates."""
    return name.encode("utf-8", "backslashreplace").decode()


def write(folder: str, report: Report, records: Sequence[Record], fates: Sequence[Fate]) -> None:
    """Writes report.json, rejects.csv (file, reason, detail) and duplicates.csv into a folder."""
    from tfx.dsl.io import fileio  # it takes seconds, and a data check writes no report

    fileio.makedirs(folder)
    with fileio.open(f"{folder}/{REPORT}", "w") as file:
        json.dump(dataclasses.asdict(report), file, indent=1)
    both = list(zip(records, fates, strict=True))
    rejects = ((record.name, fate.reason, fate.detail) for record, fate in both if fate.reason)
    _write_table(f"{folder}/{REJECTS}", ("file", "reason", "detail"), rejects)
    duplicates = (
        (record.name, fate.split or "not written", records[fate.duplicate_of].name)
        for record, fate in both
        if fate.duplicate_of is not None
    )
    _write_table(f"{folder}/{DUPLICATES}", ("file", "split", "same_bytes_as"), duplicates)


def read(folder: str | Path) -> Report:
    """The report of an `ingest_report` artifact's folder."""
    return Report(**json.loads((Path(folder) / REPORT).read_text(encoding="utf-8")))


def _write_table(path: str, header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    from tfx.dsl.io import fileio

    with fileio.open(path, "w") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows([printable(value) for value in row] for row in rows)
