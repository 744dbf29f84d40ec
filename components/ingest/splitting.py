"""Splits films by patient, stratified by class; the order of the files does not matter."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from components import names
from components.ingest import patients
from components.ingest.entry import Entry


def assign(
    films: Iterable[tuple[str, int]],
    shares: Mapping[str, float],
    there: Mapping[tuple[str, int], int] = MappingProxyType({}),
) -> dict[str, str]:
    """Assigns each patient to a split.

    A patient counts to the class of his greatest label. Each class gives each split its share of
    the class's films, as near as whole patients come to it, but at least one patient. Films that
    are there already count for their split.

    Args:
        films: group (`patients.group`) and label, 0 or 1, of each film.
        shares: in (0,1), by split; what they leave goes to train.
        there: number of the films that an earlier ingest has assigned, by split and label.

    Returns:
        The split of each group.
    """
    sizes: dict[str, int] = defaultdict(int)
    strata: dict[str, int] = defaultdict(int)
    for group, label in films:
        sizes[group] += 1
        strata[group] = max(strata[group], label)
    splits = dict.fromkeys(sizes, names.TRAIN)
    for label in sorted(set(strata.values())):
        left = {group: size for group, size in sizes.items() if strata[group] == label}
        held = {split: there.get((split, label), 0) for split in names.SPLITS}
        total = sum(left.values()) + sum(held[split] for split in (names.TRAIN, *shares))
        for split, share in shares.items():
            wanted = round(total * share) - held[split]
            for group in take(left, max(1, wanted)) if wanted > 0 or not held[split] else ():
                splits[group] = split
                del left[group]
    return splits


def take(sizes: Mapping[str, int], wanted: int) -> list[str]:
    """Takes, in the order of their groups, the patients that bring the films nearer to `wanted`.

    Args:
        sizes: the number of films of each group.
        wanted: the number of films to come near to.

    Returns:
        The groups; the smallest one alone where each has too many films.

    >>> take({"a": 3, "b": 1, "c": 2}, 4)
    ['a', 'b']
    """
    taken: list[str] = []
    count = 0
    for group in sorted(sizes):
        if sizes[group] < 2 * (wanted - count):
            taken.append(group)
            count += sizes[group]
    return taken or sorted(sizes, key=lambda group: (sizes[group], group))[:1]


def limit(
    entries: Sequence[Entry], per_class: int, patient_pattern: str | None, seed: int
) -> list[Entry]:
    """Keeps as many whole patients as bring each class to `per_class` files.

    The official test split stays whole, and so does what has no label. Before any file is opened,
    only names and manifest tell the patient: a file that they do not place counts as a patient.

    Args:
        entries: the whole data set.
        per_class: the number of files to come near to in each class.
        patient_pattern: as `patients.compile_pattern` takes it.
        seed: of the order in which patients are taken.

    Returns:
        The entries kept, in their order.

    Raises:
        IngestError: the pattern is no regular expression with a group.
    """
    pattern = patients.compile_pattern(patient_pattern)

    def group(entry: Entry) -> str:
        known = entry.patient or patients.from_name(entry.path, pattern)
        return patients.group(known or f"file-{entry.path}", seed)

    sizes: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in entries:
        if entry.label is not None and not entry.official_test:
            sizes[entry.label][group(entry)] += 1
    chosen = {label: set(take(of_class, per_class)) for label, of_class in sizes.items()}
    return [
        entry
        for entry in entries
        if entry.label is None or entry.official_test or group(entry) in chosen[entry.label]
    ]
