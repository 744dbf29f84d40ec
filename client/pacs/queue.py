"""The films on their way, in one SQLite file: whatever is killed, each has exactly one state."""

import fcntl
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from client.pacs.film import FILM, PENDING, STATES, Answer, QueuedFilm, key_of

_FREE_BYTES: Final = 256 * 2**20  # of the disk, for others
_ANSWER_BYTES: Final = 4 * 2**20  # what a small film's answers may take in its place
_BACKOFF: Final = (5.0, 300.0)  # seconds before a film's second and later tries
# Pages of 32 kB halve the time that films of some megabytes take.
_PRAGMAS: Final = ("page_size=32768", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS films (
  key TEXT PRIMARY KEY,
  instance TEXT NOT NULL,
  study TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  tries INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL DEFAULT 0,
  received REAL NOT NULL,
  changed REAL NOT NULL,
  version INTEGER,
  decision TEXT,
  probability REAL
);
CREATE INDEX IF NOT EXISTS films_by_state ON films (state, received);
CREATE TABLE IF NOT EXISTS objects (
  film TEXT NOT NULL REFERENCES films,
  kind TEXT NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (film, kind)
);
"""


class FullError(Exception):
    """The queue takes no further film before others have gone."""


class InUseError(OSError):
    """Another gateway works on this queue."""


class Queue:
    """The films on the disk; safe between threads.

    Args:
        folder: where they are kept.
        limit: bytes of films and answers.
        tries: how many a film has before it is set aside.

    Raises:
        OSError, sqlite3.Error: the folder cannot be used.
    """

    def __init__(self, folder: Path, *, limit: int = 4 * 2**30, tries: int = 5):
        self.limit = limit
        self._folder = folder
        self._tries = tries
        self._owner: int | None = None
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "queue.db"
        file.touch(mode=0o600)  # SQLite gives its other files the same mode
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None, timeout=30)
        for pragma in _PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)

    def own(self) -> None:
        """Takes the queue for this process, and takes back what a killed one was asking.

        Raises InUseError where another process has it.
        """
        self._owner = os.open(self._folder / "owner.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(f"{self._folder}: another gateway works on this queue") from None
        self._do("UPDATE films SET state = 'received' WHERE state = 'asked'")

    def close(self) -> None:
        """Closes the file; what is left in it stays for the next start."""
        with self._lock:
            self._db.close()
            if self._owner is not None:
                os.close(self._owner)
                self._owner = None

    # In

    def knows(self, instance: str, served: int | None = None) -> bool:
        """Tells whether a film need not come again.

        A film that failed may, and so may one that an older model version answered.

        Args:
            instance: the SOP Instance UID.
            served: the model version that the server has now, if known.

        Returns:
            True where it waits, was answered by `served`, or was left out.
        """
        film = self.find(key_of(instance))
        if film is None or film.state == "failed":
            return False
        newer = served is not None and film.version is not None and served > film.version
        return not (film.state == "stored" and newer)

    def add(self, instance: str, study: str, content: bytes, served: int | None = None) -> bool:
        """Takes a film, durably.

        Args:
            instance: the SOP Instance UID.
            study: the study's UID.
            content: the DICOM file.
            served: the model version that the server has now, if known.

        Returns:
            False where the film is known.

        Raises:
            FullError: there is no room.
        """
        key, now = key_of(instance), time.time()
        with self._transaction():
            if self.knows(instance, served):
                return False
            if not self.has_room(len(content)):
                raise FullError
            self._db.execute(
                "INSERT INTO films (key, instance, study, state, received, changed) "
                "VALUES (?, ?, ?, 'received', ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "state = 'received', reason = '', tries = 0, due = 0, "
                "received = excluded.received, changed = excluded.changed",
                (key, instance, study, now, now),
            )
            self._drop(key)
            self._put(key, {FILM: content})
            self._news.notify_all()
        return True

    def leave_alone(self, instance: str, study: str, reason: str) -> None:
        """Remembers a film that the rule leaves alone, so that it is not fetched again.

        Args:
            instance: the SOP Instance UID.
            study: the study's UID.
            reason: why, in a few fixed words.
        """
        now = time.time()
        self._do(
            "INSERT OR IGNORE INTO films (key, instance, study, state, reason, received, changed) "
            "VALUES (?, ?, ?, 'ignored', ?, ?, ?)",
            (key_of(instance), instance, study, reason, now, now),
        )

    def has_room(self, size: int) -> bool:
        """Whether a film of `size` bytes, and its answers, fit below the limit and on the disk."""
        size = max(size, _ANSWER_BYTES)
        free = shutil.disk_usage(self._folder).free
        return self.used() + size <= self.limit and free > _FREE_BYTES + 3 * size

    def used(self) -> int:
        """Bytes of what waits, each film counted with at least what its answers may take."""
        rows = self._do("SELECT SUM(LENGTH(content)) FROM objects GROUP BY film")
        return sum(max(size, _ANSWER_BYTES) for (size,) in rows)

    # Through

    def claim(self) -> tuple[QueuedFilm, bytes] | None:
        """The oldest film that is due, with its bytes; it is `asked` now, and one try is counted.

        A film that was tried often enough is set aside instead.
        """
        with self._transaction():
            while film := self._due("received"):
                if film.tries >= self._tries:
                    reason = film.reason or "the gateway ended while it asked"
                    self._set(film.key, "failed", reason=reason)
                    continue
                self._set(film.key, "asked", tries=film.tries + 1)
                return film, self._objects(film.key)[FILM]
        return None

    def answer(self, key: str, answer: Answer, objects: dict[str, bytes]) -> None:
        """Puts the answers in the film's place; the film's bytes are gone.

        Args:
            key: the film's.
            answer: what the model said.
            objects: DICOM files by kind.
        """
        with self._transaction():
            self._drop(key)
            self._put(key, objects)
            self._set(key, "answered", tries=0, due=0, reason="", **vars(answer))
            self._news.notify_all()

    def next_answered(self) -> tuple[QueuedFilm, dict[str, bytes]] | None:
        """The oldest film whose answers are due to be stored."""
        with self._transaction():
            film = self._due("answered")
            return (film, self._objects(film.key)) if film else None

    def stored(self, key: str) -> None:
        """The PACS has the answers; their bytes are gone."""
        with self._transaction():
            self._drop(key)
            self._set(key, "stored", reason="")

    def put_back(self, key: str, reason: str = "", *, counted: bool) -> None:
        """Gives a film another try later; after its last the film is set aside.

        Args:
            key: the film's.
            reason: why this try failed.
            counted: whether the try counts; not where the fault was not the film's.
        """
        with self._transaction():
            film = self.find(key)
            if film is None or film.state not in ("asked", "answered"):
                return
            asked = film.state == "asked"
            tries = film.tries - asked if not counted else film.tries + (not asked)
            if tries >= self._tries:
                self._set(key, "failed", reason=reason, tries=tries)
                return
            first, most = _BACKOFF
            # Uncounted, too: the peer may be away for this film alone, and the others go first.
            due = time.time() + (min(most, first * 2 ** (tries - 1)) if counted else first)
            state = "received" if asked else "answered"
            self._set(key, state, reason=reason, tries=tries, due=due)

    def fail(self, key: str, reason: str) -> None:
        """Sets a film aside that no further try can help; its bytes are gone.

        Args:
            key: the film's.
            reason: why.
        """
        with self._transaction():
            self._drop(key)
            self._set(key, "failed", reason=reason)

    # By hand

    def retry(self, key: str) -> bool:
        """Another round of tries for a failed film, where its bytes are still here."""
        with self._transaction():
            film = self.find(key)
            kinds = self._do("SELECT kind FROM objects WHERE film = ?", (key,))
            if film is None or film.state != "failed" or not kinds:
                return False
            state = "received" if (FILM,) in kinds else "answered"
            self._set(key, state, tries=0, due=0, reason="")
            return True

    def ignore(self, key: str) -> bool:
        """Leaves a failed or waiting film alone for good; its bytes are gone."""
        with self._transaction():
            film = self.find(key)
            if film is None or film.state not in ("received", "answered", "failed"):
                return False
            self._drop(key)
            self._set(key, "ignored", reason="by hand")
            return True

    # What there is

    def find(self, key: str) -> QueuedFilm | None:
        """The film of this key."""
        rows = self._do("SELECT * FROM films WHERE key = ?", (key,))
        return QueuedFilm(*rows[0]) if rows else None

    def films(self, states: tuple[str, ...], since: float = 0) -> list[QueuedFilm]:
        """Lists films by state, the oldest first.

        Args:
            states: of STATES.
            since: unix seconds; only what changed later.

        Returns:
            The films.
        """
        marks = ", ".join("?" * len(states))
        query = f"SELECT * FROM films WHERE state IN ({marks}) AND changed > ? ORDER BY received"
        return [QueuedFilm(*row) for row in self._do(query, (*states, since))]

    def counts(self) -> dict[str, int]:
        """How many films are in each state."""
        rows = self._do("SELECT state, COUNT(*) FROM films GROUP BY state")
        return dict.fromkeys(STATES, 0) | dict(rows)

    def decisions(self) -> dict[str, int]:
        """How many answered films have which decision."""
        query = "SELECT decision, COUNT(*) FROM films WHERE decision IS NOT NULL GROUP BY decision"
        return dict(self._do(query))

    def waiting(self) -> tuple[int, float]:
        """How many films have no stored answer yet, and the oldest's age in seconds."""
        marks = ", ".join("?" * len(PENDING))
        query = f"SELECT COUNT(*), MIN(received) FROM films WHERE state IN ({marks})"
        ((count, oldest),) = self._do(query, PENDING)
        return count, time.time() - oldest if count else 0.0

    def wait(self, seconds: float) -> bool:
        """Whether a film came or was answered within `seconds`; returns as soon as one does."""
        with self._news:
            return self._news.wait(seconds)

    def tidy(self) -> None:
        """Empties the write-ahead log, in which overwritten bytes live on."""
        self._do("PRAGMA wal_checkpoint(TRUNCATE)")

    def _due(self, state: str) -> QueuedFilm | None:
        query = "SELECT * FROM films WHERE state = ? AND due <= ? ORDER BY received LIMIT 1"
        rows = self._do(query, (state, time.time()))
        return QueuedFilm(*rows[0]) if rows else None

    def _objects(self, key: str) -> dict[str, bytes]:
        return dict(self._do("SELECT kind, content FROM objects WHERE film = ?", (key,)))

    def _put(self, key: str, objects: dict[str, bytes]) -> None:
        rows = [(key, kind, content) for kind, content in objects.items()]
        self._db.executemany("INSERT INTO objects VALUES (?, ?, ?)", rows)

    def _drop(self, key: str) -> None:
        self._db.execute("DELETE FROM objects WHERE film = ?", (key,))

    def _set(self, key: str, state: str, **columns: object) -> None:
        values = {"state": state, "changed": time.time(), **columns}
        names = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(f"UPDATE films SET {names} WHERE key = ?", (*values.values(), key))

    def _do(self, query: str, values: tuple[object, ...] = ()) -> list[tuple]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
