"""Writes records in a thread of its own: whoever answers never waits, and never fails for it."""

import contextlib
import errno
import glob
import os
import queue
import re
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from client.request_log import tfrecord
from client.request_log.record import Record, encode

SUFFIX: Final = ".tfrecord"
_AFTER_PREFIX: Final = re.compile(r"-\d{8}T\d{6}-\d+-\d{4,}" + re.escape(SUFFIX))
_WAITING: Final = 1024  # records that wait for the disk; one more is dropped
_PIXELS: Final = 64 * 2**20  # bytes of films that wait
_AT_ONCE: Final = 32  # records a write: small beside a file
_LINGER: Final = 0.05  # seconds: the answer goes out first, and others join the write
_FILES: Final = 16  # the log's bytes are kept in about so many files
_DAY: Final = 86_400

WRITTEN: Final = "OK"
DROPPED: Final = "RESOURCE_EXHAUSTED"  # the disk is too slow
LOST: Final = "DATA_LOSS"  # the disk refused


@dataclass(frozen=True)
class LogLimits:
    """What a log may take: bytes of all its files, and days that a file is kept."""

    megabytes: int = 1024
    days: float = 90

    def __post_init__(self) -> None:
        """Raises RequestLogError for a limit that would delete the whole log."""
        if not (self.megabytes > 0 and self.days > 0):
            raise RequestLogError(
                f"a request log's megabytes ({self.megabytes}) and days ({self.days:g}) must be "
                "above 0"
            )


class RequestLogError(ValueError):
    """The log cannot be kept there; the message says why and what to do."""


class RequestLog:
    """Files `<prefix>-<time>-<process>-<number>.tfrecord`; `put` returns at once.

    A file is ended at its share of the limit, or with the day. Every batch is synced.

    Args:
        prefix: folder and beginning of the files' names; the folder is made where it is missing.
        limits: of all files with this prefix.
        pixels: whether records hold films; the folder must then be its owner's alone.
        tell: called with how many records were written, dropped or lost, from any thread.
        complain: called with what the disk refused, at most once a minute.

    Raises:
        RequestLogError: the folder cannot be written, or is open to others and pixels are kept.
    """

    def __init__(
        self,
        prefix: Path,
        limits: LogLimits = LogLimits(),
        *,
        pixels: bool = False,
        tell: Callable[[str, int], None] = lambda status, count: None,
        complain: Callable[[str], None] = lambda reason: None,
    ) -> None:
        _check(prefix, pixels)
        self.prefix = prefix
        self.pixels = pixels
        self._limits = limits
        self._tell = tell
        self._complain = complain
        self._queue: queue.Queue[Record | None] = queue.Queue(_WAITING)
        self._held = 0  # bytes of films in the queue
        self._counting = threading.Lock()
        self._closed = False
        self._file: BinaryIO | None = None
        self._day = self._number = 0
        self._complained = -60.0
        self._thread = threading.Thread(target=self._work, name="request-log", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Takes a record to be written, or drops it where the disk is behind or the log closed."""
        with self._counting:
            size = _size(record)
            room = self._held + size <= _PIXELS and not self._queue.full()
            if room and not self._closed:
                self._queue.put_nowait(record)
                self._held += size
                return
        self._tell(DROPPED, 1)

    def close(self, seconds: float = 5.0) -> None:
        """Writes what waits, for at most so many seconds; what comes later is dropped."""
        with self._counting:
            self._closed = True
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=seconds)
            self._thread.join(seconds)

    def _work(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            if batch[0] is not None and self._queue.qsize() < _AT_ONCE:
                time.sleep(_LINGER)
            while len(batch) < _AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            records = [record for record in batch if record is not None]
            ended = len(records) < len(batch)
            with self._counting:
                self._held -= sum(map(_size, records))
            if not records:
                continue
            try:
                self._write([tfrecord.framed(encode(record)) for record in records])
            except Exception as error:  # a log that cannot be written may end nothing else
                self._fail(error, len(records))
            else:
                self._tell(WRITTEN, len(records))
        self._end_file()

    def _write(self, records: list[bytes]) -> None:
        for content in records:
            file = self._current(len(content))
            start = file.tell()
            try:
                if file.write(content) < len(content):  # as a full disk does before it says so
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(start)  # half a record would hide those after it
                raise
        os.fsync(file.fileno())

    def _current(self, size: int) -> BinaryIO:
        today = int(time.time() // _DAY)
        full = self._file and self._file.tell() + size > self._limits.megabytes * 2**20 / _FILES
        if self._file and (full or today != self._day):
            self._end_file()
        if self._file is None:
            self._tidy()
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            self._number += 1
            name = f"{self.prefix.name}-{stamp}-{os.getpid()}-{self._number:04d}{SUFFIX}"
            descriptor = os.open(
                self.prefix.with_name(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
            )
            self._file, self._day = os.fdopen(descriptor, "wb", buffering=0), today
        return self._file

    def _tidy(self) -> None:
        """Deletes files that are too old, then the oldest until a new one has room."""
        sizes = {path: path.stat() for path in files(self.prefix)}
        room = self._limits.megabytes * 2**20 * (1 - 1 / _FILES)
        held = sum(status.st_size for status in sizes.values())
        for path, status in sizes.items():
            if held > room or time.time() - status.st_mtime > self._limits.days * _DAY:
                path.unlink(missing_ok=True)
                held -= status.st_size

    def _end_file(self) -> None:
        if self._file:
            with contextlib.suppress(OSError):
                os.fsync(self._file.fileno())
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None

    def _fail(self, error: Exception, count: int) -> None:
        self._end_file()
        self._tell(LOST, count)
        if time.monotonic() - self._complained >= 60:
            self._complained = time.monotonic()
            self._complain(f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}")


def _size(record: Record) -> int:
    return sum(map(len, record.pixels))


def files(prefix: Path) -> list[Path]:
    """The log's files, oldest first; none of a log whose prefix only begins with this one."""
    found = prefix.parent.glob(f"{glob.escape(prefix.name)}-*{SUFFIX}")
    return sorted(path for path in found if _AFTER_PREFIX.fullmatch(path.name, len(prefix.name)))


def _check(prefix: Path, pixels: bool) -> None:
    folder = prefix.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise RequestLogError(
            f"{folder}: no log can be kept there ({error.strerror}); name another folder"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RequestLogError(f"{folder}: no log can be kept there; name a folder to write to")
    if pixels and mode & 0o077:
        raise RequestLogError(
            f"{folder}: films are kept there and others may look; chmod 0700 {folder}"
        )
