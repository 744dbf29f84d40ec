"""The process that decodes DICOM files for `client.decoding`, one after the other.

It answers each file with three messages: the patient's names and ids, so that they are known even
if what follows ends the process; what it found; and the pixels.
"""

import json
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# GDCM and OpenJPEG would be loaded when they are first needed, after memory is measured.
import openjpeg  # noqa: F401

from client import dicom

_MEMORY = 512 * 2**20  # bytes for one film; one of 30 million pixels takes less
_GROWTH = 64 * 2**20  # bytes that decoders may leave behind before the process is replaced
# Of the processor. A film of 4 million pixels takes 0.3 s in JPEG 2000, the slowest of them.
_SECONDS, _SECONDS_PER_PIXEL = 1.0, 1.5e-7


def main(descriptor: int) -> None:
    """Decodes what comes in over a socket until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for who asks, who may want to finish
    connection = Connection(descriptor)
    start = _address_space()
    if start:
        resource.setrlimit(resource.RLIMIT_AS, (start + _MEMORY, start + _MEMORY))
    try:
        while _address_space() <= start + _GROWTH:
            connection.send_bytes(b"")  # ready
            caps = json.loads(connection.recv_bytes())
            _answer(connection, connection.recv_bytes(), **caps)
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)  # libraries may crash when they are taken down


def _answer(connection: Connection, data: bytes, *, max_bytes: int, max_pixels: int) -> None:
    _limit_time(_SECONDS)
    identity, refusal = _attempt(dicom.identity, data, max_bytes)
    connection.send_bytes(json.dumps(identity or ()).encode())
    film = None
    if refusal is None:
        film, refusal = _attempt(_decoded, data, max_pixels)
    _limit_time(0)
    if film is None:
        answer, pixels = {"reason": refusal.reason, "message": str(refusal)}, b""
    else:
        told = {name: getattr(film, name) for name in ("patient_id", "notes", "uids")}
        answer = {"shape": film.pixels.shape, **told}
        pixels = film.pixels.tobytes()
    connection.send_bytes(json.dumps(answer).encode())
    connection.send_bytes(pixels)


def _attempt(step: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """What a step returns, or why there is nothing."""
    try:
        return step(*arguments), None
    except Exception as error:  # pydicom and its decoders raise whatever a damaged file provokes
        return None, dicom.refusal(error)


def _decoded(data: bytes, max_pixels: int) -> dicom.Radiograph:
    dataset = dicom.opened(data, max_pixels)
    _limit_time(_SECONDS + _SECONDS_PER_PIXEL * dataset.Rows * dataset.Columns)
    return dicom.decoded(dataset)


def _limit_time(seconds: float) -> None:
    """The system ends the process after so much more of the processor's time; 0: no limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _address_space() -> int:
    """In bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
