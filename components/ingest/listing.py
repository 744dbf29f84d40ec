"""Lists a data set's images and what folders or a manifest say of each; opens no image."""

import dataclasses
import hashlib
import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

from client.walking import walk
from components import names
from components.ingest import manifest, published, tables
from components.ingest.entry import Entry, IngestError
from components.ingest.settings import DataConfig

MANIFEST = "manifest.csv"

_LABELS = {name.lower(): label for label, name in enumerate(names.CLASSES)}
_TABLES = {".csv", ".tsv", ".txt"}
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".dcm", ".dicom"}
_SYSTEM_FOLDERS = {"__MACOSX"}
_MASK_FOLDERS = {"mask", "masks"}
_MASKS = "in a folder of masks, which are no films"
_CLASSES = " and ".join(names.CLASSES)


def fault(base: Path) -> str | None:
    """Says why a place is no data set, and what to do with it; None where it may be one."""
    if os.path.isdir(base):  # noqa: PTH112 - Path.is_dir raises for names too long
        return None
    if not os.path.exists(base):  # noqa: PTH110 - as well
        return f"{base}: no such folder; name the folder of the X-rays"
    if base.suffix.lower() in _TABLES:
        return None
    if is_archive(base):
        return f"{base}: an archive; unpack it first: pneumonia data unpack {base} FOLDER"
    if base.suffix.lower() in _IMAGE_SUFFIXES:
        return (
            f"{base}: a single file; name the folder of the X-rays, or ask a model about this one: "
            f"pneumonia predict {base}"
        )
    return f"{base}: a file, and no CSV manifest; name the folder of the X-rays"


def is_archive(file: Path) -> bool:
    """Whether a file is an archive of more: zip, tar (packed or not), or NumPy's npz."""
    try:
        return zipfile.is_zipfile(file) or tarfile.is_tarfile(file)
    except (OSError, EOFError):
        return False


def entries(base: Path, config: DataConfig | None = None) -> Iterator[Entry]:
    """Streams the data set's files, in an order that depends on their names alone.

    Symbolic links are followed; hidden files are passed over.

    Args:
        base: a CSV manifest; a folder with a manifest.csv (which then alone counts) or with a table
            of a published set; or a folder of the classes' folders, with or without train, val and
            test above them; upper and lower case are alike.
        config: how a manifest is read; None: as the defaults say.

    Returns:
        The entries, read as they are asked for.

    Raises:
        IngestError: there is no data set, a folder of images is no class, or the manifest is
            faulty.
    """
    if why := fault(base):
        raise IngestError(why)
    if (table := _table(base)) is None:
        return _folder_entries(base)
    config = config or DataConfig()
    known = None if config.columns else published.shape(table)
    return published.entries(table, known, config) if known else manifest.entries(table, config)


def films(base: Path, config: DataConfig, left_out: Counter[str]) -> Iterator[Entry]:
    """As `entries`, without those that are left out.

    Args:
        base: as of `entries`.
        config: as of `entries`.
        left_out: counts the left out ones by the reason, while the films are read.

    Raises:
        IngestError: as `entries` does.
    """
    for entry in entries(base, config):
        if entry.left_out:
            left_out[entry.left_out] += 1
        else:
            yield entry


def _table(base: Path) -> tables.Table | None:
    """The table that says what counts; None: the folders do. Raises IngestError."""
    if not base.is_dir():
        return tables.read(base)
    if (base / MANIFEST).is_file():
        return tables.read(base / MANIFEST)
    if _has_classes(base):
        return None
    known = [table for path in sorted(base.glob("*.csv")) if (table := _published(path))]
    if len(known) > 1:
        found = ", ".join(table.path.name for table in known)
        raise IngestError(f"{base}: holds several tables: {found}; name one of them in its place")
    return known[0] if known else None


def _has_classes(base: Path) -> bool:
    """Whether a class has a folder here or below a split's."""
    folders = [child for child in base.iterdir() if child.is_dir()]
    above = [child for child in folders if child.name.lower() in manifest.SPLITS]
    return any(
        child.name.lower() in _LABELS for child in chain(folders, *(one.iterdir() for one in above))
    )


def _published(path: Path) -> tables.Table | None:
    """The file as a table of a published set; None: it is something else, and nobody's concern."""
    try:
        table = tables.read(path)
    except IngestError:
        return None
    return table if published.shape(table) else None


def folder_of(base: Path) -> Path:
    """Names the folder that the entries' paths start from."""
    return base.parent if base.is_file() else base


def fingerprint(base: Path, config: DataConfig | None = None) -> str:
    """Digests the entries and every file's size and time of change; opens no image.

    Args:
        base: as of `entries`.
        config: as of `entries`.

    Returns:
        SHA-256, in hexadecimal.

    Raises:
        IngestError: as `entries` does, or no file has a known class.
    """
    digest = hashlib.sha256()
    labelled = False
    for entry in entries(base, config):
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
        if not _MASK_FOLDERS.isdisjoint(path.lower().split("/")[:-1]):
            yield Entry(path, None, left_out=_MASKS)
            continue
        split, label = _place(base, PurePosixPath(path), bool(problem))
        yield Entry(path, label, split == names.TEST, problem=problem)


def _place(base: Path, path: PurePosixPath, is_folder: bool) -> tuple[str | None, int | None]:
    """Tells split and label by the folders above a file; None where they do not say."""
    parts = path.parts if is_folder else path.parts[:-1]
    split = manifest.SPLITS.get(parts[0].lower()) if parts else None
    below = parts[1:] if split else parts
    label = _LABELS.get(below[0].lower()) if below else None
    if below and label is None and path.suffix.lower() in _IMAGE_SUFFIXES and not is_folder:
        known = [part for part in below[1:] if part.lower() in _LABELS | manifest.SPLITS]
        remedy = f"; did you mean {base / below[0]}?" if known else ""
        raise IngestError(
            f"{base}: folder {'/'.join(parts)!r} holds images but is no class; "
            f"expected {_CLASSES}, or a {MANIFEST}{remedy}"
        )
    inner = [part for part in below[1:] if part.lower() in manifest.SPLITS]
    if label is not None and inner:
        raise IngestError(
            f"{base}: folder {'/'.join(parts)!r} has a split below a class; "
            f"put it above: {inner[0]}/{below[0]}"
        )
    return split, label
