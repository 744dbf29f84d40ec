"""How much a page lets one address, and all together, ask for."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_ADDRESSES: Final = 10_000  # remembered at most; the one unheard of for longest goes first


@dataclass(frozen=True)
class PageLimits:
    """Bounds of the page.

    Attributes:
        upload_bytes: of one X-ray.
        pixels: of one X-ray.
        all_bytes: of all X-rays that are being received.
        at_once: X-rays that are read and asked about at a time; further ones are turned away.
        burst: X-rays from one address at once.
        per_minute: X-rays from one address.
    """

    upload_bytes: int = 32 * 2**20
    all_bytes: int = 256 * 2**20
    pixels: int = 30_000_000
    at_once: int = 6
    burst: int = 40
    per_minute: float = 120


class RateLimiter:
    """A token bucket for each address; safe between threads.

    Args:
        burst: how many an address may have at once.
        per_minute: how many it gets back in a minute.
        clock: tells seconds.
    """

    def __init__(self, burst: int, per_minute: float, clock: Callable[[], float] = time.monotonic):
        self._burst = burst
        self._per_second = per_minute / 60
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def wait(self, address: str) -> float:
        """Takes a token and returns 0, or the seconds until there is one."""
        now = self._clock()
        with self._lock:
            tokens, then = self._buckets.pop(address, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - then) * self._per_second)
            allowed = tokens >= 1
            self._buckets[address] = (tokens - allowed, now)
            if len(self._buckets) > _ADDRESSES:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_second
