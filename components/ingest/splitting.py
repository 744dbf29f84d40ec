"""Which patients go where: by patient, stratified by class, the same for every order of files."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from components import names
from components.ingest import patients
from components.ingest.listing import Entry


def assign(films: Iterable[tuple[str, int]], shares: Mapping[str, float]) -> dict[str, str]:
    """Each patient's split: the shares' own splits first, train for all the others.

    films: group (patients.group) and label of each film. A patient counts to the greatest of his
    labels. In each class a share is of the class's films, at least one film, as near as whole
    patients come to it.
    """
    sizes: dict[str, int] = defaultdict(int)
    strata: dict[str, int] = defaultdict(int)
    for group, label in films:
        sizes[group] += 1
        strata[group] = max(strata[group], label)
    splits = dict.fromkeys(sizes, names.TRAIN)
    for label in sorted(set(strata.values())):
        left = {group: size for group, size in sizes.items() if strata[group] == label}
        total = sum(left.values())
        for split, share in shares.items():
            for group in take(left, max(1, round(total * share))):
                splits[group] = split
                del left[group]
    return splits


def take(sizes: Mapping[str, int], wanted: int) -> list[str]:
    """Whole patients, in the order of their groups, that bring the films nearer to `wanted`."""
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
    """The entries of as many whole patients as bring each class to `per_class` files.

    The official test split stays whole, and so does what has no label. Before any file is opened
    only names and manifest tell the patient: a DICOM that they do not place stands for itself.
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
