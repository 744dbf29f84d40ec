"""Checks a folder of X-rays for what would spoil a training, before anyone trains."""

import dataclasses
import io
import os
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from client.images import Reason, read
from components import names, progress
from components.ingest import listing, near_duplicates, splitting
from components.ingest.entry import Entry, IngestError
from components.ingest.inspection import IngestRecord, Inspector
from components.ingest.ledger import Cause, Fate, decide
from components.ingest.report import (
    commonest,
    film_notes,
    left_out_notes,
    one_patient,
    patient_notes,
)
from components.ingest.settings import DataConfig
from pipeline.datasets import measures
from pipeline.datasets.measures import PROPERTIES, ClassComparison
from pipeline.datasets.synthesis import is_synthetic

Level = Literal["problem", "warning", "note"]

_SPOILING = (Cause.CONFLICTING_LABELS, Cause.PATIENT_IN_TEST)
_REASONS: dict[str, str] = {
    Cause.UNLABELLED: "they stand in no class",
    Cause.CONFLICTING_LABELS: "the same bytes stand under both classes",
    Cause.PATIENT_IN_TEST: "films of patients who are in the test folder too",
    Reason.UNREADABLE: "unreadable",
    Reason.TRUNCATED: "cut short",
    Reason.TOO_LARGE: "too large",
    Reason.NOT_AN_IMAGE: "not X-ray files",
    Reason.UNSUPPORTED: "no single radiographs",
}


@dataclass(frozen=True)
class ReadableFilm:
    """One readable film of a known class.

    Attributes:
        record: what ingest's inspection found.
        fate: what ingest will make of it.
        name: the file's, printable.
        values: its measures, in the order of PROPERTIES.
    """

    record: IngestRecord
    fate: Fate
    name: str
    values: tuple[float, ...]

    @property
    def label(self) -> str:
        """NORMAL or PNEUMONIA."""
        return names.CLASSES[self.record.label or 0]


@dataclass(frozen=True)
class Reject:
    """One file that ingest will leave out, and why."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Finding:
    """A sentence that a person should read, and how bad it is."""

    level: Level
    text: str


@dataclass(frozen=True)
class Check:
    """All that was found.

    Attributes:
        folder: the files' paths start from it.
        films: the readable films of a known class.
        seen: the number of files; each is written, a duplicate or rejected.
        rejects: the files that ingest will leave out.
        comparisons: of the two classes, by the names of PROPERTIES.
        joint_auc: of all properties together, in [0,1]; nan where films are too few.
        duplicates: groups of films with the same bytes.
        near: pairs that look alike though their bytes differ.
        patient_pattern: as it was given.
        left_out: numbers of files that nobody looked at, by the reason.
    """

    folder: Path
    films: list[ReadableFilm]
    seen: int
    rejects: list[Reject]
    comparisons: dict[str, ClassComparison]
    joint_auc: float
    duplicates: list[list[ReadableFilm]]
    near: list[tuple[ReadableFilm, ReadableFilm]]
    patient_pattern: str | None
    left_out: Counter[str]

    @property
    def splits(self) -> dict[str, list[ReadableFilm]]:
        """The films that ingest will write, by split."""
        return {
            split: [film for film in self.films if film.fate.split == split]
            for split in names.SPLITS
        }

    @property
    def joint_verdict(self) -> str:
        """What `joint_auc` means, in words."""
        sick = sum(film.label == names.CLASSES[1] for film in self.films)
        return measures.verdict(self.joint_auc, len(self.films) - sick, sick)

    @property
    def findings(self) -> list[Finding]:
        """The worst first."""
        order = ("problem", "warning", "note")
        return sorted(_findings(self), key=lambda finding: order.index(finding.level))


def check(base: Path, config: DataConfig | None = None, seed: int = 0) -> Check:
    """Reads every file of the data set and compares what stands under the two classes.

    Args:
        base: what ingest takes: a folder of classes, or one with a manifest.csv.
        config: as ingest's; None: the defaults.
        seed: as ingest's; of the order in which patients are taken.

    Returns:
        All that was found.

    Raises:
        IngestError: ingest would not take it, or no film of a class can be read.
    """
    config = config or DataConfig()
    folder = listing.folder_of(base)
    inspector = Inspector(folder, config, seed, salt=secrets.token_bytes(16))
    left_out: Counter[str] = Counter()
    everything = listed = list(listing.films(base, config, left_out))
    if config.limit_per_class is not None:
        listed = splitting.limit(everything, config.limit_per_class, config.patient_pattern, seed)
        left_out["by data.limit_per_class"] += len(everything) - len(listed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda entry: _inspect(inspector, entry), listed)
        inspected = list(progress.tracked(results, "reading files", len(listed)))
    fates = decide([record for record, _ in inspected], config)
    decided = [(record, fate) for (record, _), fate in zip(inspected, fates, strict=True)]
    films = [
        ReadableFilm(record, fate, _printable(record.name), values)
        for (record, values), fate in zip(inspected, fates, strict=True)
        if values
    ]
    rejects = [
        Reject(_printable(record.name), fate.reason, _printable(fate.detail))
        for record, fate in decided
        if fate.reason
    ]
    if not films:
        why = commonest([dataclasses.astuple(reject) for reject in rejects])
        raise IngestError(f"{base}: none of {len(listed):,} files can be used: {why or 'no files'}")
    values = np.array([film.values for film in films])
    sick = np.array([film.label == names.CLASSES[1] for film in films])
    return Check(
        folder=folder,
        films=films,
        seen=len(listed),
        rejects=rejects,
        comparisons={
            name: measures.compare(values[:, column], sick)
            for column, name in enumerate(PROPERTIES)
        },
        joint_auc=measures.joint_auc(values, sick),
        duplicates=_duplicates(films),
        near=_near(films),
        patient_pattern=config.patient_pattern,
        left_out=left_out,
    )


def open_film(folder: Path, record: IngestRecord) -> Image.Image:
    """Opens a film without decoding it; a JPEG from its own file, so that it can be decoded small.

    Args:
        folder: the records' paths start from it.
        record: what inspection found.

    Returns:
        The image; the caller closes it.

    Raises:
        ImageError: the file is no sound film any more.
        OSError: the file cannot be read.
    """
    path = folder / record.path
    return Image.open(path if record.source_format == "jpeg" else io.BytesIO(read(path).data))


def _inspect(inspector: Inspector, entry: Entry) -> tuple[IngestRecord, tuple[float, ...]]:
    """Inspects a file as ingest does, and measures it if it is a film of a class."""
    record = inspector(entry)
    if record.reason or record.label is None:
        return record, ()
    try:
        size = (inspector.folder / record.path).stat().st_size
        with open_film(inspector.folder, record) as image:
            return record, measures.measure(image, (record.width, record.height), size)
    except OSError as error:  # it was sound a moment ago
        detail = error.strerror or str(error)
        return replace(record, reason=str(Reason.UNREADABLE), detail=detail), ()


def _printable(name: str) -> str:
    """Makes the name valid Unicode without control characters."""
    valid = name.encode("utf-8", "replace").decode("utf-8")
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in valid
    )


def _duplicates(films: list[ReadableFilm]) -> list[list[ReadableFilm]]:
    groups: dict[str, list[ReadableFilm]] = defaultdict(list)
    for film in films:
        groups[film.record.sha256].append(film)
    return [group for group in groups.values() if len(group) > 1]


def _near(films: list[ReadableFilm]) -> list[tuple[ReadableFilm, ReadableFilm]]:
    distinct = list({film.record.sha256: film for film in films}.values())
    hashes = [film.record.difference_hash for film in distinct]
    paths = [film.record.path for film in distinct]  # each a split of its own: all pairs count
    return [(distinct[a], distinct[b]) for a, b in near_duplicates.pairs(hashes, paths)]


def _findings(check: Check) -> Iterator[Finding]:
    if is_synthetic(check.folder):
        yield Finding("note", "These films are synthetic.")
    yield from _findings_on_counts(check)
    yield from _findings_on_shortcuts(check)
    yield from _findings_on_copies(check)
    decided = [(film.record, film.fate) for film in check.films]
    yield from (Finding("warning", f"{note}.") for note in film_notes(decided))
    yield from (Finding("warning", f"{note}.") for note in left_out_notes(check.left_out))


def _findings_on_counts(check: Check) -> Iterator[Finding]:
    for reason, count in Counter(reject.reason for reject in check.rejects).most_common():
        level: Level = "problem" if reason in _SPOILING else "warning"
        files = "file" if count == 1 else "files"
        yield Finding(level, f"{count:,} {files} will be left out: {_REASONS.get(reason, reason)}.")
    for split, films in check.splits.items():
        for label in names.CLASSES:
            if not any(film.label == label for film in films):
                yield Finding("problem", f"There is no {label} film for {split}.")
    if not any(film.record.official_test for film in check.films):
        yield Finding("note", "There is no test folder: a share of the patients is held out.")
    written = [film.record for film in check.films if film.fate.split]
    for note in patient_notes(written, check.patient_pattern):
        yield Finding("warning", f"{note}.")
    if fault := one_patient(written):
        yield Finding("problem", f"{fault}.")


def _findings_on_shortcuts(check: Check) -> Iterator[Finding]:
    for name, comparison in check.comparisons.items():
        label = PROPERTIES[name][0].capitalize()
        side = "higher" if comparison.auc > 0.5 else "lower"
        difference = f"{label} is {side} in {names.CLASSES[1]} (AUC {comparison.auc:.2f})"
        if comparison.verdict == "shortcut":
            text = f"{difference}: a shortcut, which a model learns in place of the disease."
            yield Finding("problem", text)
        elif comparison.verdict == "differs":
            yield Finding("warning", f"{difference}: a model may learn it.")
    if check.joint_verdict in ("shortcut", "differs"):
        yield Finding(
            "problem" if check.joint_verdict == "shortcut" else "warning",
            "These coarse measures alone, taken together, tell the classes apart "
            f"(AUC {check.joint_auc:.2f}).",
        )


def _findings_on_copies(check: Check) -> Iterator[Finding]:
    if check.duplicates:
        spare = sum(len(group) - 1 for group in check.duplicates)
        groups = _count(check.duplicates, "group")
        yield Finding("note", f"{groups} of identical files, {spare:,} too many.")
    across = [pair for pair in check.near if len({film.record.official_test for film in pair}) > 1]
    if across:
        pairs = _count(across, "pair")
        yield Finding("warning", f"{pairs} of films in test and elsewhere look alike.")
    if inside := len(check.near) - len(across):
        yield Finding("note", f"{inside:,} further pairs look alike though their bytes differ.")


def _count(things: Sized, name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"
