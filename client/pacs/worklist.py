"""The order of reading: suspected films first, and among equals the one that has waited longest."""

import time
from typing import Any, Final

from client.pacs.film import NOT_JUDGED, PENDING, QueuedFilm
from client.pacs.queue import Queue

_HOURS: Final = 24
_ORDER: Final = {"PNEUMONIA": 0, NOT_JUDGED: 1, None: 2, "NORMAL": 3}


def rows(queue: Queue, viewer: str = "") -> list[dict[str, Any]]:
    """Lists the films of the last day as JSON has them; they name the study by its UID alone.

    Args:
        queue: where the films are.
        viewer: an address with {study} in it, at which a viewer shows the study; "": none.

    Returns:
        A row a film, the most urgent first.
    """
    now = time.time()
    films = queue.films((*PENDING, "stored"), since=now - _HOURS * 3600)
    films.sort(key=lambda film: (_ORDER[_decision(film)], film.received))
    return [_row(film, now, viewer) for film in films]


def _decision(film: QueuedFilm) -> str | None:
    """What the model said of it, unless it is to say it anew."""
    return None if film.state in ("received", "asked") else film.decision


def _row(film: QueuedFilm, now: float, viewer: str) -> dict[str, Any]:
    decision = _decision(film)
    return {
        "film": film.key,
        "study": film.study,
        "state": film.state,
        "decision": decision,
        "probability": film.probability if decision else None,
        "version": film.version if decision else None,
        "waiting_seconds": round(now - film.received),
        "link": viewer.replace("{study}", film.study) if viewer else None,
    }
