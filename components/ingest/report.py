"""The ingest report: what was seen, what became of it and why; in numbers and on disk."""

import csv
import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from components import names
from components.ingest import near_duplicates
from components.ingest.entry import IngestError
from components.ingest.inspection import IngestRecord
from components.ingest.ledger import Fate

REPORT = "report.json"
REJECTS = "rejects.csv"
DUPLICATES = "duplicates.csv"
NAMES = "names.csv"
_PAIRS_SHOWN = 100
_REASONS_SHOWN = 3
_NOTES_SHOWN = 20
_FEW = 20  # films that are too few to find their patients odd


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Counts of files, always seen = written + duplicates + rejected.

    left_out: files that nothing is wrong with; not among the seen. splits: films, patients and
    films of each class, by split. patients_from: manifest, dicom, name or file, where each file
    is its own patient.
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


def build(
    records: Sequence[IngestRecord],
    fates: Sequence[Fate],
    left_out: Mapping[str, int],
    patient_pattern: str | None = None,
) -> Ledger:
    """Counts what `ledger.decide` decided.

    Args:
        records: all films that were looked at.
        fates: the records', in their order.
        left_out: the numbers of files that were not looked at, by the reason.
        patient_pattern: as it was configured.
    """
    both = list(zip(records, fates, strict=True))
    written = [(record, fate) for record, fate in both if fate.split]
    close = list(_near_duplicates(written))
    patients_from = dict(Counter(record.patient_from for record, _ in written))
    report = Ledger(
        seen=len(both),
        written=len(written),
        duplicates=sum(not fate.split and fate.duplicate_of is not None for fate in fates),
        rejected=sum(bool(fate.reason) for fate in fates),
        left_out=sum(left_out.values()),
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
    of_patients = patient_notes([record for record, _ in written], patient_pattern)
    notes = [*of_patients, *_notes(report), *left_out_notes(left_out), *film_notes(written)]
    return dataclasses.replace(report, notes=notes)


def _split_counts(split: str, written: Sequence[tuple[IngestRecord, Fate]]) -> dict[str, int]:
    films = [record for record, fate in written if fate.split == split]
    by_class = Counter(record.label for record in films)
    return {
        "films": len(films),
        "patients": len({record.group for record in films}),
        **{name: by_class[label] for label, name in enumerate(names.CLASSES)},
    }


def _near_duplicates(written: Sequence[tuple[IngestRecord, Fate]]) -> Iterator[list[str]]:
    hashes = [record.difference_hash for record, _ in written]
    splits = [fate.split for _, fate in written]
    for first, second in near_duplicates.pairs(hashes, splits):
        yield [f"{splits[at]}: {printable(written[at][0].name)}" for at in (first, second)]


def patient_notes(films: Sequence[IngestRecord], pattern: str | None) -> Iterator[str]:
    """What is odd about whom the films are said to be of.

    Args:
        films: those that are written.
        pattern: data.patient_pattern; None: there is none.
    """
    alone = [film for film in films if film.patient_from == "file"]
    if alone and pattern and not any(film.patient_from == "name" for film in films):
        yield (
            f"data.patient_pattern {pattern!r} matches none of {len(alone):,} names, such as "
            f"{printable(alone[0].name)!r}: each film counts as a patient of its own"
        )
    elif alone:
        yield (
            f"{len(alone):,} files name no patient: each counts as its own patient, so films of "
            "one patient may stand in two splits; set data.patient_pattern or give a manifest"
        )
    named = Counter(film.patient_id for film in films if film.patient_from == "name")
    if pattern and len(named) >= _FEW and len(named) == named.total():
        yield (
            f"data.patient_pattern {pattern!r} gives each of {len(named):,} films a patient of its "
            f"own, such as {printable(next(iter(named)))!r}: it may hold more than the patient"
        )


def one_patient(films: Sequence[IngestRecord]) -> str | None:
    """Says that most films are said to be of one patient, where that is so."""
    if len(films) < _FEW:
        return None
    (group, count), *_ = Counter(film.group for film in films).most_common(1)
    if count <= len(films) / 2:
        return None
    one = next(film for film in films if film.group == group)
    return (
        f"{count:,} of {len(films):,} films are of one patient by their {one.patient_from} "
        f"({one.name!r} is one): such a set cannot be split by patient; give a manifest with the "
        "column patient_id, or another data.patient_pattern"
    )


def left_out_notes(left_out: Mapping[str, int]) -> Iterator[str]:
    """What was not looked at, though nothing is wrong with it."""
    for reason, count in left_out.items():
        if count:
            yield f"{count:,} files are left out: {reason}"


def _notes(report: Ledger) -> Iterator[str]:
    if report.near_duplicate_pairs:
        yield f"{report.near_duplicate_pairs:,} pairs across splits look alike: possible leaks"
    if report.test_duplicates:
        yield f"{report.test_duplicates:,} duplicates stay in the official test split"


def film_notes(written: Sequence[tuple[IngestRecord, Fate]]) -> Iterator[str]:
    """What is odd about films that are not rejected, the commonest first, each with an example."""
    examples = {note: record.name for record, _ in reversed(written) for note in record.notes}
    counts = Counter(note for record, _ in written for note in record.notes)
    for note, count in counts.most_common(_NOTES_SHOWN):
        films = "film" if count == 1 else "films"
        yield f"{count:,} {films}: {note} (the first: {printable(examples[note])!r})"
    if len(counts) > _NOTES_SHOWN:
        yield f"{len(counts) - _NOTES_SHOWN:,} further things are odd about single films"


def check(
    report: Ledger, records: Sequence[IngestRecord], fates: Sequence[Fate], max_rejected: float
) -> None:
    """Refuses a data set of which nothing can be written or too much is rejected.

    Args:
        report: the counts.
        records: of all files that were looked at.
        fates: the records', in their order.
        max_rejected: the largest share of files that may be rejected, in [0,1].

    Raises:
        IngestError: nothing is left, too much is rejected, or most films are of one patient.
    """
    if report.written and report.rejected <= max_rejected * report.seen:
        written = [record for record, fate in zip(records, fates, strict=True) if fate.split]
        if fault := one_patient(written):
            raise IngestError(fault)
        return
    rejects = [
        (record.name, fate.reason, fate.detail)
        for record, fate in zip(records, fates, strict=True)
        if fate.reason
    ]
    for name, reason, detail in rejects:  # the report of a step that fails is deleted
        logging.warning("Ingest: rejected %r: %s (%s)", name, reason, detail)
    share = f"more than data.max_rejected {max_rejected:.0%} allows"
    raise IngestError(
        f"{report.rejected} of {report.seen} files are rejected, "
        f"{share if report.written else 'nothing is left'}: {commonest(rejects)}; "
        "run.log has all: mend them or take them out; "
        "'pneumonia data check --set data.file_names=true' shows which files they are"
    )


def commonest(rejects: Sequence[tuple[str, str, str]]) -> str:
    """The commonest reasons, each with its number and an example.

    Args:
        rejects: name, reason and detail of each file.
    """
    counts = Counter(reason for _, reason, _ in rejects)
    examples = {reason: (name, detail) for name, reason, detail in reversed(rejects)}
    told = [
        f"{count:,} {reason}, such as {printable(examples[reason][0])!r} ({examples[reason][1]})"
        for reason, count in counts.most_common(_REASONS_SHOWN)
    ]
    further = counts.total() - sum(count for _, count in counts.most_common(_REASONS_SHOWN))
    return "; ".join([*told, *([f"{further:,} for other reasons"] if further else [])])


def printable(name: str) -> str:
    """Names that are not UTF-8 come from the file system with lone surrogates."""
    return name.encode("utf-8", "backslashreplace").decode()


def write(
    folder: str, report: Ledger, records: Sequence[IngestRecord], fates: Sequence[Fate]
) -> None:
    """Writes report.json, rejects.csv (file, reason, detail) and duplicates.csv into a folder.

    Args:
        folder: a path or URI; made where it is missing.
        report: the counts.
        records: of all files that were looked at.
        fates: the records', in their order.
    """
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


def write_names(folder: str, records: Sequence[IngestRecord]) -> None:
    """Writes names.csv (file, path): which file a stand-in stands for, patients' names and all.

    Args:
        folder: a path or URI; exists.
        records: of all files that were looked at.
    """
    pairs = ((record.name, record.path) for record in records)
    _write_table(f"{folder}/{NAMES}", ("file", "path"), pairs)


def read(folder: str | Path) -> Ledger:
    """The report of an `ingest_report` artifact's folder."""
    return Ledger(**json.loads((Path(folder) / REPORT).read_text(encoding="utf-8")))


def _write_table(path: str, header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    from tfx.dsl.io import fileio

    with fileio.open(path, "w") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows([printable(value) for value in row] for row in rows)
