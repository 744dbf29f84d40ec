"""What the gateway knows of a film."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

STATES: Final = ("received", "asked", "answered", "stored", "failed", "ignored")
PENDING: Final = ("received", "asked", "answered")
FILM: Final = "film"  # its bytes, among the objects
NOT_JUDGED: Final = "NOT_JUDGED"  # a decision, beside those of client.results


@dataclass(frozen=True)
class QueuedFilm:
    """A row of the queue: the film's UIDs, where it stands, and what the model said last.

    Attributes:
        key: names the film wherever its UIDs must not stand.
        instance: the SOP Instance UID.
        study: the study's UID.
        state: one of STATES.
        reason: why the last try failed, or why the film was set aside.
        tries: how many there were, of those that count.
        due: when the next may be made, unix seconds.
        received: unix seconds.
        changed: unix seconds.
        version: the model's that answered.
        decision: PNEUMONIA, NORMAL or NOT_JUDGED.
        probability: in [0, 1]; None where the film was not judged.
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
    """What the model said of a film.

    Attributes:
        version: the model's.
        decision: PNEUMONIA, NORMAL or NOT_JUDGED.
        probability: in [0, 1]; None where the film was not judged.
    """

    version: int
    decision: str
    probability: float | None


def key_of(instance: str) -> str:
    """A film's name in logs and on the command line: 16 digits of its UID's SHA-256."""
    return sha256(instance.encode()).hexdigest()[:16]
