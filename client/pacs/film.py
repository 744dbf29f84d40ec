"""What the gateway knows of a film."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

STATES: Final = ("received", "asked", "answered", "stored", "failed", "ignored")
PENDING: Final = ("received", "asked", "answered")
FILM: Final = "film"  # its bytes, among the objects
NOT_JUDGED: Final = "NOT_JUDGED"  # a decision, beside those of client.results


@dataclass(frozen=True)
class Film:
    """A row: the film's UIDs, where it stands, and what the model said last.

    key: names the film wherever its UIDs must not stand. due, received, changed: unix seconds.
    """

    key: str
    instance: str
    study: str
    state: str
    reason: str
    tries: int
    due: float
    received: float
    changed: float
    version: int | None
    decision: str | None
    probability: float | None


@dataclass(frozen=True)
class Answer:
    """What the model said of a film. probability: None where the film was not judged."""

    version: int
    decision: str
    probability: float | None


def key_of(instance: str) -> str:
    """A film's name in logs and on the command line: 16 digits of its UID's SHA-256."""
    return sha256(instance.encode()).hexdigest()[:16]
