"""Fetches the public data set: shows its licence, downloads, checks and unpacks it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from components.files import replacing_folder
from components.progress import bar
from pipeline.datasets.download import Advance, download, sha256
from pipeline.datasets.unpack import UnpackError, unpack

PROVENANCE = ".provenance.json"  # in the set's root


class FetchError(Exception):
    """A data set that cannot be had; the message says what to do."""


@dataclass(frozen=True)
class PublicSet:
    """A data set on the web.

    Attributes:
        title: what it is, with its size.
        url: of its zip archive.
        licence: its name.
        licence_url: its text.
        citation: how to cite the set.
        sha256: of the archive, in hexadecimal; None where nobody published it.
    """

    title: str
    url: str
    licence: str
    licence_url: str
    citation: str
    sha256: str | None = None


KERMANY = PublicSet(
    title="Chest X-Ray Images (Pneumonia), ChestXRay2017.zip, about 1.2 GB",
    url=(
        "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
        "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded"
    ),
    licence="CC BY 4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    citation=(
        "Kermany, Zhang, Goldbaum (2018), Labeled Optical Coherence Tomography (OCT) and Chest "
        "X-Ray Images for Classification, Mendeley Data, V2, doi:10.17632/rscbjbr9sj.2"
    ),
)


def fetch(source: PublicSet, out: Path, console: Console, pause: float = 1.0) -> None:
    """Unpacks the set to `out`, and notes in `out/.provenance.json` where it came from.

    `out` appears whole or not at all. The archive gathers beside it and is removed in the end; an
    interrupted call goes on where it stopped.

    Args:
        source: the set.
        out: a new folder, or one that holds the very same set.
        console: for licence, citation and outcome.
        pause: seconds before a broken connection is tried again.

    Raises:
        FetchError: `out` holds something else, or the archive is not the expected one.
        DownloadError: the archive cannot be had; what has arrived stays for the next try.
        UnpackError: the archive is damaged or refused.
        OSError: the disk refuses.
    """
    if out.exists():
        if _origin(out) == source.url:
            console.print(f"{out}: there already", highlight=False)
            return
        raise FetchError(f"{out}: exists; name a new folder or remove it")
    _introduce(source, console)
    out.parent.mkdir(parents=True, exist_ok=True)
    archive = out.with_name(
        f".{out.name}-{hashlib.sha256(source.url.encode()).hexdigest()[:8]}.zip"
    )
    if not archive.exists():
        with _progress("Downloading") as advance:
            download(source.url, archive, advance, pause)
    try:
        digest = _checked(source, archive, console)
        _unpacked(source, archive, digest, out)
    except (FetchError, UnpackError):
        archive.unlink()
        raise
    archive.unlink()
    console.print(f"{out}: ready", highlight=False)


def _introduce(source: PublicSet, console: Console) -> None:
    console.print(
        f"{source.title}\nFrom {source.url}\nLicence: {source.licence}, {source.licence_url}\n"
        f"Please cite: {source.citation}",
        highlight=False,
        soft_wrap=True,
    )


def _checked(source: PublicSet, archive: Path, console: Console) -> str:
    with _progress("Checking") as advance:
        digest = sha256(archive, advance)
    if source.sha256 and digest != source.sha256.lower():
        raise FetchError(
            f"{source.url}: its SHA-256 is {digest}, expected {source.sha256}; nothing was kept"
        )
    verdict = "as expected" if source.sha256 else "compare it next time with --sha256"
    console.print(f"SHA-256 {digest}: {verdict}", highlight=False, soft_wrap=True)
    return digest


def _unpacked(source: PublicSet, archive: Path, digest: str, out: Path) -> None:
    with replacing_folder(out) as part:
        with _progress("Unpacking") as advance:
            unpack(archive, part, advance)
        provenance = json.dumps(asdict(replace(source, sha256=digest)), indent=1)
        (part / PROVENANCE).write_text(provenance, encoding="utf-8")


def _origin(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _progress(title: str) -> Iterator[Advance]:
    with bar(title, None, unit="B") as progress:

        def advance(done: int, total: int | None) -> None:
            progress.total = total
            progress.update(done - progress.n)

        yield advance
