"""What becomes of each file: written to a split, left out as a duplicate, or rejected."""

import dataclasses
import enum
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType

from components import names
from components.ingest import splitting
from components.ingest.inspection import IngestRecord
from components.ingest.settings import DataConfig


class Cause(enum.StrEnum):
    """A reject's reason that only the other files and the folders can give."""

    UNLABELLED = "unlabelled"
    CONFLICTING_LABELS = "conflicting_labels"
    PATIENT_IN_TEST = "patient_in_test"


@dataclasses.dataclass(frozen=True, slots=True)
class Fate:
    """Exactly one of the three is set, of a test split's duplicates `split` and `duplicate_of`.

    duplicate_of: position of the record with the same bytes that is written.
    """

    split: str = ""
    reason: str = ""
    detail: str = ""
    duplicate_of: int | None = None


def decide(
    records: Sequence[IngestRecord],
    config: DataConfig,
    earlier: Mapping[str, str] = MappingProxyType({}),
) -> list[Fate]:
    """Each record's fate, in the records' order; it does not depend on that order.

    First match counts: unreadable (the record says so); without label; the same bytes under two
    labels (both rejected, but a test copy stays); the same bytes again (the test copy is written,
    else the first by path; an official test split is written whole); a patient of the official test
    split. What is left is divided by patient: into train and val where there is an official test
    split, else into train, val and test. Patients who share a film are one. Films of an earlier
    ingest keep their split, and further films of their patients join them, even where an official
    test split has them now: a model that was trained on a patient is not judged on him.

    Args:
        records: of all files that were looked at.
        config: tells the shares of val and test.
        earlier: split of each film of an earlier ingest, by SHA-256.
    """
    fates: list[Fate | None] = [_own_fault(record) for record in records]
    by_bytes: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(records)), key=lambda index: records[index].path):
        if fates[index] is None:
            by_bytes[records[index].sha256].append(index)
    joined = _joined([records[index].group for index in copies] for copies in by_bytes.values())
    groups = [joined.get(record.group, record.group) for record in records]
    homes = _homes(
        (group, earlier.get(one.sha256)) for group, one in zip(groups, records, strict=True)
    )
    official = {
        index
        for index, record in enumerate(records)
        if record.official_test and homes.get(groups[index], names.TEST) == names.TEST
    }
    for copies in by_bytes.values():
        for index, fate in _among_copies(copies, records, official).items():
            fates[index] = fate
    test_groups = {group for group, fate in zip(groups, fates, strict=True) if fate and fate.split}
    pool = [index for index, fate in enumerate(fates) if fate is None]
    shares = {names.VAL: config.val_fraction}
    if not official:
        shares = {names.TEST: config.test_fraction} | shares
    of_old = [index for index in pool if groups[index] in homes]
    new = [index for index in pool if groups[index] not in homes.keys() | test_groups]
    splits = homes | splitting.assign(
        [(groups[index], records[index].label or 0) for index in new],
        shares,
        Counter((homes[groups[index]], records[index].label or 0) for index in of_old),
    )
    in_test = Fate(reason=Cause.PATIENT_IN_TEST, detail="a film of a patient of the test split")
    for index in pool:
        split = splits.get(groups[index])
        own = earlier.get(records[index].sha256)
        fates[index] = Fate(split=own or split) if split else in_test
    return [fate for fate in fates if fate is not None]


def _homes(films: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Where patients of an earlier ingest belong; of several splits, to the one nearest to train.

    Two patients of old may turn out to be one.
    """
    homes: dict[str, str] = {}
    for group, split in films:
        if split:
            homes[group] = min(split, homes.get(group, split), key=names.SPLITS.index)
    return homes


def _joined(shared: Iterable[Sequence[str]]) -> dict[str, str]:
    """The first of all groups that a group is joined to, by films shared among groups."""
    parents: dict[str, str] = {}

    def first(group: str) -> str:
        while group in parents:
            group = parents[group]
        return group

    for groups in shared:
        least, *others = sorted({first(group) for group in groups})
        parents.update(dict.fromkeys(others, least))
    return {group: first(group) for group in parents}


def _own_fault(record: IngestRecord) -> Fate | None:
    if record.reason:
        return Fate(reason=record.reason, detail=record.detail)
    if record.label is None:
        return Fate(reason=Cause.UNLABELLED, detail="stands in no class folder or has no label")
    return None


def _among_copies(
    copies: Sequence[int], records: Sequence[IngestRecord], official: Set[int]
) -> Mapping[int, Fate]:
    """The fates that the same bytes elsewhere decide; none for what goes to the pool."""
    tests = [index for index in copies if index in official]
    others = [index for index in copies if index not in official]
    fates = {index: Fate(split=names.TEST, duplicate_of=tests[0]) for index in tests[1:]}
    if tests:
        fates[tests[0]] = Fate(split=names.TEST)
    if len({records[index].label for index in tests or others}) > 1:
        contradicted = others
    else:
        right = records[(tests or others)[0]].label
        contradicted = [index for index in others if records[index].label != right]
    for index in contradicted:
        other = next(i for i in copies if records[i].label != records[index].label)
        fates[index] = Fate(
            reason=Cause.CONFLICTING_LABELS, detail=f"same bytes as {records[other].name}"
        )
    agreeing = [index for index in others if index not in fates]
    kept = tests or agreeing
    for index in agreeing if tests else agreeing[1:]:
        fates[index] = Fate(duplicate_of=kept[0])
    return fates
