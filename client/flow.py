"""How many requests a client keeps in flight."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from client.errors import ServerBusyError

MOST: Final = 64
_LEAST: Final = 4  # while nothing is refused: reading, sending and a server's two cores overlap
_FEW: Final = 2  # requests that wait at the server, Vegas's alpha
_MANY: Final = 4  # and beta


class Flow:
    """Grows while the server answers as fast as it can, stays when requests begin to wait there.

    L. Brakmo, L. Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global Internet", 1995:
    what even the quickest of the latest answers takes beyond the fastest one tells how many wait.
    Safe between threads.

    Attributes:
        limit: requests that may be in flight now, 1 to `most`.

    Args:
        most: the highest limit.
        clock: seconds.
    """

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.perf_counter):
        self._most = most
        self._clock = clock
        self._least = min(_LEAST, most)
        self.limit = self._least
        self._doubles = True
        self._in_flight = self._peak = 0
        self._fastest = float("inf")
        self._seconds: list[float] = []
        self._lock = threading.Lock()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Counts a request, and learns from how long its answer takes."""
        with self._lock:
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
        start = self._clock()
        try:
            yield
        except ServerBusyError:
            with self._lock:
                self._slow_down()
            raise
        else:
            with self._lock:
                self._learn(self._clock() - start)
        finally:
            with self._lock:
                self._in_flight -= 1

    def _learn(self, seconds: float) -> None:
        """Sets the limit anew after every second round of answers."""
        self._fastest = min(self._fastest, seconds)
        self._seconds.append(seconds)
        if len(self._seconds) < 2 * self.limit:
            return
        # The first half was sent under the limit before.
        waiting = self.limit * (1 - self._fastest / min(self._seconds[self.limit :]))
        is_used = 2 * self._peak > self.limit
        self._seconds.clear()
        self._peak = self._in_flight
        if waiting >= _FEW:
            self._doubles = False
        elif is_used:
            self.limit = min(self._most, self.limit * 2 if self._doubles else self.limit + 1)
        if waiting > _MANY:
            self.limit = max(self._least, self.limit - 1)

    def _slow_down(self) -> None:
        self._doubles = False
        self._seconds.clear()
        self.limit = max(1, self.limit // 2)
