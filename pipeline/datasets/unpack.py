"""Unpacks a zip archive that came from elsewhere, trusting none of its claims."""

import errno
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

MAX_BYTES = 16 * 2**30  # unpacked
MAX_FILES = 200_000
_MAX_RATIO = 200  # unpacked to packed; pictures hardly pack at all
_RATIO_MATTERS_FROM = 50 * 2**20
_CLUTTER = {"__MACOSX", ".DS_Store", "Thumbs.db"}
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

# zipfile raises the last three for archives of other kinds and for damaged names.
_UNSOUND = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    UnicodeDecodeError,
    struct.error,
)

Advance = Callable[[int, int | None], None]  # bytes so far, bytes in all
Members = dict[PurePosixPath, zipfile.ZipInfo]


class UnpackError(Exception):
    """An archive that is damaged or refused; the message says why."""


def unpack(
    archive: Path,
    folder: Path,
    advance: Advance,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
) -> None:
    """Unpacks a zip archive; after an error the folder is not whole.

    A single folder at the archive's top is left out of the paths, and so is what macOS and Windows
    add to archives. Everything that can be refused is refused before the first byte is written.

    Args:
        archive: the zip file.
        folder: where to unpack; it is created.
        advance: called with the bytes so far and in all.
        max_bytes: the most bytes it may unpack to.
        max_files: the most files it may hold.

    Raises:
        UnpackError: the archive is damaged or encrypted, goes beyond the caps, or has names that
            are absolute, climb with "..", repeat or are links.
        OSError: the disk refuses or is too small.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = _members(content)
            _check_sizes(members, archive, max_bytes, max_files)
            total = sum(info.file_size for info in members.values())
            _check_disk(folder, total)
            top = _common_top(members)
            done = 0
            for path, info in members.items():
                _extract(content, info, folder / path.relative_to(top))
                done += info.file_size
                advance(done, total)
    except _UNSOUND as error:
        raise UnpackError(f"{archive}: not a sound zip archive ({error})") from error


def _members(content: zipfile.ZipFile) -> Members:
    members: Members = {}
    for info in content.infolist():
        path = PurePosixPath(info.filename)
        if info.is_dir() or not _CLUTTER.isdisjoint(path.parts):
            continue
        reason = _reason_to_refuse(info, path)
        if path in members:
            reason = "stands in it twice"
        if reason:
            raise UnpackError(f"{content.filename}: refused, {info.filename!r} {reason}")
        members[path] = info
    if not members:
        raise UnpackError(f"{content.filename}: refused, it holds no files")
    folders = {folder for path in members for folder in path.parents}
    if both := sorted(folders & members.keys()):
        raise UnpackError(f"{content.filename}: refused, '{both[0]}' is a file and a folder in it")
    return members


def _reason_to_refuse(info: zipfile.ZipInfo, path: PurePosixPath) -> str | None:
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return "leads outside"
    if "\\" in info.filename or ":" in path.parts[0]:
        return "leads outside on Windows"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return "is packed in an unusual way"
    return None


def _check_sizes(members: Members, archive: Path, max_bytes: int, max_files: int) -> None:
    """Checks the declared sizes; zipfile never reads more of a member than it declares."""
    if len(members) > max_files:
        raise UnpackError(f"{archive}: refused, {len(members):,} files, over {max_files:,}")
    total, packed = sum(info.file_size for info in members.values()), archive.stat().st_size
    bomb = total > _RATIO_MATTERS_FROM and total > _MAX_RATIO * packed
    if total > max_bytes or bomb:
        raise UnpackError(f"{archive}: refused, its {packed:,} bytes unpack to {total:,}")


def _check_disk(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"unpacked it takes {needed:,} bytes, the disk has {free:,} free"
        raise OSError(errno.ENOSPC, message, str(folder))


def _common_top(members: Members) -> PurePosixPath:
    tops = {path.parts[0] for path in members}
    if len(tops) == 1 and all(len(path.parts) > 1 for path in members):
        return PurePosixPath(tops.pop())
    return PurePosixPath()


def _extract(content: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with content.open(info) as source, path.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
