"""Whether a server that the gateway needs answers, and when it is asked again."""

import logging
import random
import threading
import time
from typing import Final

_FIRST: Final = 1.0  # seconds
_MOST: Final = 15.0
_LOGGER: Final = logging.getLogger(__name__)


class Link:
    """Up until it was seen away; then each failure doubles the pause. Safe between threads."""

    def __init__(self, name: str):
        self.name = name
        self.reason = ""
        self._pause = 0.0
        self._next = 0.0
        self._up = threading.Event()
        self._up.set()
        self._lock = threading.Lock()

    @property
    def is_up(self) -> bool:
        """Whether it answered when it was last asked."""
        return self._up.is_set()

    def up(self) -> None:
        """It answered."""
        with self._lock:
            if not self.is_up:
                _LOGGER.info("back", extra={"peer": self.name})
            self._pause, self.reason = 0.0, ""
            self._up.set()

    def down(self, reason: str) -> None:
        """It did not; `reason` is a fixed word."""
        with self._lock:
            if self.is_up:
                _LOGGER.warning("away", extra={"peer": self.name, "reason": reason})
            elif time.monotonic() < self._next:
                return  # another thread has just said so
            self._up.clear()
            self.reason = reason
            self._pause = min(_MOST, 2 * self._pause or _FIRST)
            # Several gateways do not come back all at once.
            self._next = time.monotonic() + self._pause * random.uniform(0.8, 1.2)

    def wait(self, seconds: float) -> bool:
        """Whether it is worth asking now; waits at most `seconds` for that."""
        if self.is_up:
            return True
        left = self._next - time.monotonic()
        if left <= 0:
            return True
        self._up.wait(min(seconds, left))
        return self.is_up or time.monotonic() >= self._next
