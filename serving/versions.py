"""Which versions of a model lie in its folder, and which of them the version policy wants."""

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serving.errors import Code, ServingError

Fingerprint = tuple[int, int, int]

MANIFEST = Path("assets.extra", "SHA256SUMS")  # as `sha256sum` writes it; a push leaves it there
_LARGEST = 2**63 - 1


def versions_in(base_path: Path) -> dict[int, Path]:
    """The version directories by number: those whose name is a number, complete or not.

    Raises OSError where the folder cannot be read.
    """
    return {
        int(child.name): child
        for child in sorted(base_path.iterdir())
        if _is_version(child.name) and child.is_dir()
    }


def _is_version(name: str) -> bool:
    """Whether a folder's name is a version: a number that the API's int64 holds."""
    return name.isascii() and name.isdigit() and int(name) <= _LARGEST


def wanted(versions: Iterable[int], policy: Any) -> list[int]:
    """Chooses the versions that a policy asks for.

    Args:
        versions: those that there are.
        policy: a ServableVersionPolicy; without a choice it asks for the latest.

    Returns:
        The numbers, newest first.

    Source: sources/storage_path/file_system_storage_path_source.cc.
    """
    newest_first = sorted(versions, reverse=True)
    if policy.HasField("all"):
        return newest_first
    if policy.HasField("specific"):
        return [version for version in newest_first if version in policy.specific.versions]
    return newest_first[: max(policy.latest.num_versions, 1)]


def check_content(version: Path) -> None:
    """Reads a version's files and compares them with its manifest, where it has one.

    Raises ServingError DATA_LOSS naming the first file that is not as it was pushed.
    """
    try:
        lines = (version / MANIFEST).read_text("utf-8").splitlines()
        for stated, _, name in (line.partition("  ") for line in lines):
            with (version / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != stated:
                    raise ServingError(Code.DATA_LOSS, f"{name} is not as it was pushed")
    except FileNotFoundError as error:
        if Path(error.filename) != version / MANIFEST:
            raise ServingError(Code.DATA_LOSS, f"{error.filename} is gone") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ServingError(Code.DATA_LOSS, str(error)) from None


class Completeness:
    """Tells a version that is still being copied from one that may be loaded.

    Complete is what holds a saved_model.pb and has come to rest: nothing in it was touched for
    `rest` seconds, or nothing has changed for as long as it was looked at (which also holds where
    a file server's clock is not ours).
    """

    def __init__(self, rest: float) -> None:
        self._rest = rest
        self._seen: dict[Path, tuple[Fingerprint, float]] = {}

    def __call__(self, version: Path) -> bool:
        """Whether the version may be loaded; to be asked at every look at the folder."""
        try:
            fingerprint = _fingerprint(version)
        except OSError:  # a file vanished between listing and looking
            return False
        now = time.monotonic()
        before, since = self._seen.get(version, (None, now))
        if fingerprint != before:
            since = now
        self._seen[version] = fingerprint, since
        newest = fingerprint[2] / 1e9
        at_rest = max(now - since, time.time() - newest) >= self._rest
        return at_rest and (version / "saved_model.pb").is_file()


def _fingerprint(version: Path) -> Fingerprint:
    stats = [path.stat() for path in (version, *version.rglob("*"))]
    return len(stats), sum(s.st_size for s in stats), max(s.st_ctime_ns for s in stats)
