"""The ingest report on disk, wherever the pipeline's artifacts are."""

import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence

from tfx.dsl.io import fileio

from components.xray_example_gen.inspection import Record
from components.xray_example_gen.ledger import Fate
from components.xray_example_gen.report import REPORT, Report, printable

REJECTS = "rejects.csv"
DUPLICATES = "duplicates.csv"


def write(folder: str, report: Report, records: Sequence[Record], fates: Sequence[Fate]) -> None:
    """Writes report.json, rejects.csv (file, reason, detail) and duplicates.csv into a folder."""
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


def _write_table(path: str, header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    with fileio.open(path, "w") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows([printable(value) for value in row] for row in rows)
