"""The rate limit, on a clock of the test's own."""

from client.web import limits
from client.web.limits import RateLimiter


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_burst_passes_and_then_the_rate_holds():
    clock = Clock()
    limiter = RateLimiter(burst=3, per_minute=60, clock=clock)
    assert [limiter.wait("a") for _ in range(4)] == [0, 0, 0, 1]
    clock.now += 0.5
    assert limiter.wait("a") == 0.5
    clock.now += 0.5
    assert limiter.wait("a") == 0
    assert limiter.wait("a") > 0


def test_a_long_pause_earns_no_more_than_a_burst():
    clock = Clock()
    limiter = RateLimiter(burst=2, per_minute=60, clock=clock)
    clock.now = 1e6
    assert [bool(limiter.wait("a")) for _ in range(3)] == [False, False, True]


def test_addresses_do_not_share_their_burst():
    limiter = RateLimiter(burst=1, per_minute=1, clock=Clock())
    assert limiter.wait("a") == 0
    assert limiter.wait("b") == 0
    assert limiter.wait("a") > 0


def test_many_addresses_take_bounded_memory(monkeypatch):
    monkeypatch.setattr(limits, "_ADDRESSES", 3)
    limiter = RateLimiter(burst=1, per_minute=1, clock=Clock())
    for address in "abcd":
        limiter.wait(address)
    assert limiter.wait("d") > 0
    assert limiter.wait("a") == 0  # forgotten
