"""What readers say of the answers: agree or disagree, kept as outcomes beside the request log."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any, Final

from client.request_log import outcomes
from client.request_log.outcomes import FROM_PAGE, Outcome
from client.web import answers

_REMEMBERED: Final = 10_000  # films that may be spoken of


class Opinions:
    """Takes opinions on films that this page has answered, and of no other."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the request log's."""
        self._folder = folder
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def answered(self, sha256: str) -> None:
        """A film has been answered; the oldest is forgotten where there are too many."""
        with self._lock:
            self._answered[sha256] = None
            self._answered.move_to_end(sha256)
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)

    def take(self, body: Any) -> Any:
        """Keeps {sha256, label}; returns the answer's body and, for a refusal, its status."""
        film, label = (
            (body.get("sha256"), body.get("label")) if isinstance(body, dict) else (None, None)
        )
        if label not in (0, 1) or isinstance(label, bool) or not isinstance(film, str):
            return answers.refusal("bad_opinion", "send sha256 and label, 0 or 1"), 400
        if film not in self._answered:
            return answers.refusal("unknown_film", "the page has answered no such film"), 404
        try:
            outcomes.add(self._folder, [Outcome(film, label, FROM_PAGE)])
        except OSError:
            return answers.refusal("not_kept", "the opinion could not be written"), 507
        return {"status": "kept"}
