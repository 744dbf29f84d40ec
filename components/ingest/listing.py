"""Lists a data set's images and what folders or a manifest say of each; opens no image."""

import csv
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from client.walking import walk
from components import names

MANIFEST = "manifest.csv"
ETIOLOGIES = ("normal", "bacteria", "virus", "unknown")

_LABELS = {name.lower(): label for label, name in enumerate(names.CLASSES)}
_SPLITS = {
    "train": names.TRAIN,
    "training": names.TRAIN,
    "val": names.VAL,
    "valid": names.VAL,
    "validation": names.VAL,
    "test": names.TEST,
    "testing": names.TEST,
}
_REQUIRED_COLUMNS = {"path", "label", "patient_id"}
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".dcm", ".dicom"}
_SYSTEM_FOLDERS = {"__MACOSX"}
_CLASSES = " and ".join(names.CLASSES)


class IngestError(ValueError):
    """A data set that cannot be ingested; one line that names folder or file, and the remedy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One file, or one folder that cannot be listed.

    Attributes:
        path: below the data set's folder, or absolute where a manifest says so.
        label: 0 or 1; None where no class is known.
        official_test: whether the data set itself puts the file into its test split.
        patient: as in a manifest, else None.
        etiology: as in a manifest, else None.
        source: as in a manifest, else None.
        problem: why the file system yields nothing there, else empty.
    """

    path: str
    label: int | None
    official_test: bool = False
    patient: str | None = None
    etiology: str | None = None
    source: str | None = None
    problem: str = ""


def entries(base: Path) -> Iterator[Entry]:
    """Streams the data set's files, in an order that depends on their names alone.

    Symbolic links are followed; hidden files are passed over.

    Args:
        base: a CSV manifest, a folder with a manifest.csv (which then alone counts), or a folder of
            the classes' folders, with or without train, val and test above them; upper and lower
            case are alike.

    Returns:
        The entries, read as they are asked for.

    Raises:
        IngestError: the folder is missing, a folder of images is no class, or the manifest is
            faulty.
    """
    if base.suffix.lower() == ".csv":
        return _manifest_entries(base)
    if not base.is_dir():
        raise IngestError(f"{base}: no such folder; name the folder of the X-rays")
    if (base / MANIFEST).is_file():
        return _manifest_entries(base / MANIFEST)
    return _folder_entries(base)


def folder_of(base: Path) -> Path:
    """Names the folder that the entries' paths start from."""
    return base.parent if base.suffix.lower() == ".csv" else base


def fingerprint(base: Path) -> str:
    """Digests the entries and every file's size and time of change; opens no image.

    Returns:
        SHA-256, in hexadecimal.

    Raises:
        IngestError: as `entries` does, or no file has a known class.
    """
    digest = hashlib.sha256()
    labelled = False
    for entry in entries(base):
        labelled = labelled or entry.label is not None
        try:
            status = (folder_of(base) / entry.path).stat()
            facts = (status.st_size, status.st_mtime_ns)
        except (OSError, ValueError):
            facts = (0, 0)
        digest.update(repr((dataclasses.astuple(entry), facts)).encode())
    if not labelled:
        raise IngestError(
            f"{base}: holds no X-rays: expected folders {_CLASSES} (train, val, test may stand "
            f"above them) or a {MANIFEST}"
        )
    return digest.hexdigest()


def _folder_entries(base: Path) -> Iterator[Entry]:
    for path, problem in walk(base, lambda child: child.name in _SYSTEM_FOLDERS):
        split, label = _place(base, PurePosixPath(path), bool(problem))
        yield Entry(path, label, split == names.TEST, problem=problem)


def _place(base: Path, path: PurePosixPath, is_folder: bool) -> tuple[str | None, int | None]:
    """Tells split and label by the folders above a file; None where they do not say."""
    parts = path.parts if is_folder else path.parts[:-1]
    split = _SPLITS.get(parts[0].lower()) if parts else None
    below = parts[1:] if split else parts
    label = _LABELS.get(below[0].lower()) if below else None
    if below and label is None and path.suffix.lower() in _IMAGE_SUFFIXES and not is_folder:
        known = [part for part in below[1:] if part.lower() in _LABELS | _SPLITS]
        remedy = f"; did you mean {base / below[0]}?" if known else ""
        raise IngestError(
            f"{base}: folder {'/'.join(parts)!r} holds images but is no class; "
            f"expected {_CLASSES}{remedy}"
        )
    if label is not None and (inner := [part for part in below[1:] if part.lower() in _SPLITS]):
        raise IngestError(
            f"{base}: folder {'/'.join(parts)!r} has a split below a class; "
            f"put it above: {inner[0]}/{below[0]}"
        )
    return split, label


def _manifest_entries(manifest: Path) -> Iterator[Entry]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = [name.strip().lower() for name in rows.fieldnames or ()]
            if missing := _REQUIRED_COLUMNS - set(columns):
                raise IngestError(
                    f"{manifest}: has no column {', '.join(sorted(missing))}; it needs "
                    "path, label, patient_id and may have split, etiology, source"
                )
            rows.fieldnames = columns
            for row in rows:
                yield _manifest_entry(f"{manifest}: line {rows.line_num}", row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IngestError(f"{manifest}: cannot be read as CSV in UTF-8 ({error})") from error


def _manifest_entry(where: str, row: dict[str, str | None]) -> Entry:
    values = {name: (value or "").strip() for name, value in row.items() if name}
    if not values["path"]:
        raise IngestError(f"{where}: the path is empty")
    split = _choice(where, "split", values, tuple(_SPLITS))
    label = _choice(where, "label", values, tuple(_LABELS))
    return Entry(
        path=values["path"],
        label=_LABELS[label] if label else None,
        official_test=bool(split) and _SPLITS[split] == names.TEST,
        patient=values["patient_id"] or None,
        etiology=_choice(where, "etiology", values, ETIOLOGIES) or None,
        source=values.get("source") or None,
    )


def _choice(where: str, column: str, values: dict[str, str], allowed: tuple[str, ...]) -> str:
    value = values.get(column, "").lower()
    if value and value not in allowed:
        raise IngestError(f"{where}: {column} {value!r} is none of {', '.join(allowed)}")
    return value
