"""DICOM files are decoded in processes of their own: a bomb or a crash is one refused film.

A few are started when they are needed and are used again; they end with the process that asks.
"""

import atexit
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.image_errors import ImageError, Reason

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from client import decoding_worker; decoding_worker.main(int(sys.argv[2]))"
)
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[1])
_MOST_SECONDS = 600  # by the clock; of the processor, a worker gives itself far less
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # each reserves memory
    "MALLOC_MMAP_THRESHOLD_": str(2**20),  # so that films' memory goes back to the system
}


@dataclasses.dataclass(frozen=True)
class DecodedFilm:
    """A DICOM's picture, uint8[height, width] with 0 black, whose it is, and what is odd."""

    pixels: NDArray[np.uint8]
    patient_id: str | None = dataclasses.field(repr=False)
    identity: tuple[str, ...] = dataclasses.field(repr=False)
    uids: tuple[str, ...] = dataclasses.field(repr=False)
    notes: tuple[str, ...]


def decode(data: bytes, *, max_bytes: int, max_pixels: int) -> DecodedFilm:
    """Decodes a DICOM file; several threads may ask at once.

    Args:
        data: the file, with its preamble.
        max_bytes: of a deflated data set when inflated.
        max_pixels: compared with the header before anything is decoded.

    Raises:
        ImageError: `client.dicom` refuses it, or it takes more memory or time than a film may.
        RuntimeError: the processes that decode do not start.
    """
    return _pool.decode(data, {"max_bytes": max_bytes, "max_pixels": max_pixels})


class _Worker:
    """One process, which runs `client.decoding_worker`; free once it has answered."""

    def __init__(self) -> None:
        self.is_free = True
        self._connection, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-P", "-c", _START, _PACKAGE_PARENT, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | _ENVIRONMENT,
            )

    def is_ready(self) -> bool:
        """Waits until it can be asked; False where it has ended, as it does when it has grown."""
        try:
            return self._connection.recv_bytes() == b"" and self._process.poll() is None
        except (OSError, EOFError):
            return False

    def ask(self, data: bytes, caps: dict[str, int]) -> DecodedFilm:
        """Raises ImageError where the file is refused or ends the process."""
        self.is_free = False
        identity: tuple[str, ...] = ()
        try:
            self._connection.send_bytes(json.dumps(caps).encode())
            self._connection.send_bytes(data)
            identity = tuple(json.loads(self._receive()))
            answer: dict[str, Any] = json.loads(self._receive())
            pixels = self._receive()
        except (OSError, EOFError):
            raise self._why_it_ended(identity) from None
        self.is_free = True
        if "reason" in answer:
            raise ImageError(Reason(answer["reason"]), answer["message"], identity)
        picture = np.frombuffer(pixels, np.uint8).reshape(answer["shape"])
        notes, uids = tuple(answer["notes"]), tuple(answer["uids"])
        return DecodedFilm(picture, answer["patient_id"], identity, uids, notes)

    def end(self) -> None:
        """Whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def forget(self) -> None:
        """In a copy of the asking process: or the worker would not see that the first has ended."""
        self._connection.close()

    def _receive(self) -> bytes:
        if not self._connection.poll(_MOST_SECONDS):
            self._process.send_signal(signal.SIGPROF)
        return self._connection.recv_bytes()

    def _why_it_ended(self, identity: tuple[str, ...]) -> ImageError:
        if self._process.wait() == -signal.SIGPROF:
            message = "the DICOM takes more time to decode than a film of its size may"
            return ImageError(Reason.TOO_LARGE, message, identity)
        return ImageError(Reason.UNREADABLE, "the DICOM makes its decoder crash", identity)


class _Pool:
    """As many workers as there are processors, at most."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))
        self._idle: list[_Worker] = []

    def decode(self, data: bytes, caps: dict[str, int]) -> DecodedFilm:
        with self._places:
            worker = self._take()
            try:
                return worker.ask(data, caps)
            finally:
                if worker.is_free:
                    self._idle.append(worker)
                else:  # it has ended, or nobody waits for what it still does
                    worker.end()

    def _take(self) -> _Worker:
        while True:
            try:
                worker, is_new = self._idle.pop(), False
            except IndexError:
                worker, is_new = _Worker(), True
            if worker.is_ready():
                return worker
            worker.end()
            if is_new:
                raise RuntimeError("the process that decodes DICOM files does not start")

    def end(self) -> None:
        while self._idle:
            self._idle.pop().end()

    def forget(self) -> None:
        for worker in self._idle:
            worker.forget()


def _start_anew() -> None:
    global _pool
    _pool.forget()
    _pool = _Pool()


_pool = _Pool()
os.register_at_fork(after_in_child=_start_anew)
atexit.register(lambda: _pool.end())
