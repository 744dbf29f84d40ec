"""Downloads a large file over HTTP so that an interruption costs little."""

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

_CHUNK = 1 << 20
_ATTEMPTS = 5  # in a row that bring nothing
_TIMEOUT = 60.0  # seconds of silence
_WORTH_ANOTHER_TRY = (408, 429, 500, 502, 503, 504)
_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)

Advance = Callable[[int, int | None], None]  # bytes so far, bytes in all where known


class DownloadError(Exception):
    """A download that did not finish; the message says what to do."""


def download(url: str, target: Path, advance: Advance, pause: float = 1.0) -> None:
    """Fetches a file, going on where an earlier try stopped.

    The bytes gather in `<target>.part`; `<target>.part-validator` keeps the ETag or date that tells
    whether the server still has the same file (If-Range, RFC 9110, 13.1.5). Where it has not, or
    cannot send ranges, the download starts over.

    Args:
        url: http or https.
        target: the file to write; it appears when it is whole.
        advance: called with the bytes so far and in all, None where the server does not say.
        pause: seconds before a broken connection is tried again, twice as long each time.

    Raises:
        DownloadError: the file cannot be had; what has arrived stays for the next try.
        OSError: the disk refuses.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: not an http or https address")
    part = target.with_name(target.name + ".part")
    fruitless = 0
    while not _try(url, before := _size(part), part, advance):
        fruitless = 0 if _size(part) > before else fruitless + 1
        if fruitless == _ATTEMPTS:
            raise DownloadError(
                f"{url}: no answer, or the connection keeps breaking; {_size(part):,} bytes are "
                "kept, and the same command goes on from there"
            )
        time.sleep(pause * 2**fruitless)
    part.replace(target)
    _validator_file(part).unlink(missing_ok=True)


def sha256(path: Path, advance: Advance) -> str:
    """Digests a file.

    Args:
        path: the file.
        advance: called with the bytes so far and in all.

    Returns:
        SHA-256, in hexadecimal.
    """
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
            advance(file.tell(), size)
    return digest.hexdigest()


def _try(url: str, start: int, part: Path, advance: Advance) -> bool:
    """Makes one request from byte `start` on; True where the file is then whole."""
    try:
        return _transfer(url, start, part, advance)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            whole = error.headers.get("Content-Range") == f"bytes */{start}"
            if not whole:
                part.unlink()
            return whole
        if error.code not in _WORTH_ANOTHER_TRY:
            reason = f"the server answers {error.code} {error.reason}"
            raise DownloadError(f"{url}: {reason}") from error
    except _NETWORK_ERRORS as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLError):
            raise DownloadError(f"{url}: {error}") from error
    return False


def _transfer(url: str, start: int, part: Path, advance: Advance) -> bool:
    validator = _known_validator(part) if start else None
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})
    if validator:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", validator)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            start = 0
            part.write_bytes(b"")  # before the validator, which must not vouch for older bytes
            _keep_validator(part, response)
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()  # not the bytes asked for
            return False
        return _receive(response, part, start, advance)


def _receive(response: http.client.HTTPResponse, part: Path, start: int, advance: Advance) -> bool:
    length = response.headers.get("Content-Length")
    total = start + int(length) if length is not None else None
    with part.open("ab") as file:
        while block := response.read(_CHUNK):
            file.write(block)
            start += len(block)
            advance(start, total)
    return total is None or start == total


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + "-validator")


def _known_validator(part: Path) -> str | None:
    try:
        return _validator_file(part).read_text(encoding="latin-1")
    except FileNotFoundError:
        return None


def _keep_validator(part: Path, response: http.client.HTTPResponse) -> None:
    """Keeps a strong ETag, else the date; a weak ETag does not vouch for each byte."""
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    _validator_file(part).unlink(missing_ok=True)
    if validator:
        _validator_file(part).write_text(validator, encoding="latin-1")
