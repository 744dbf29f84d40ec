"""As many requests are in flight as the server works on, whatever it is."""

import heapq

import pytest

from client.errors import ServerBusyError
from client.flow import Flow


def throughput(places: int, films: int = 2000) -> tuple[float, int]:
    """Share of what a server of so many places can do, and the limit at the end."""
    now = 0.0
    flow = Flow(clock=lambda: now)
    free, coming = [0.0] * places, []
    for film in range(films):
        while len(coming) >= flow.limit:
            now, _, request = heapq.heappop(coming)
            request.__exit__(None, None, None)
        request = flow.request()
        request.__enter__()
        done = max(now, heapq.heappop(free)) + 0.1 + film % 7 / 100
        heapq.heappush(free, done)
        heapq.heappush(coming, (done, film, request))
    return films * 0.13 / (max(free) * places), flow.limit


@pytest.mark.parametrize(("places", "share"), [(1, 0.99), (2, 0.99), (16, 0.95), (32, 0.9)])
def test_a_server_of_any_size_is_kept_busy(places: int, share: float):
    assert throughput(places)[0] > share


@pytest.mark.parametrize("places", [1, 2, 8])
def test_few_wait_where_the_server_is_small(places: int):
    assert throughput(places)[1] <= places + 8


def test_no_more_are_in_flight_than_allowed():
    flow = Flow(most=3, clock=iter(range(10**6)).__next__)
    for _ in range(100):
        with flow.request():
            assert flow.limit == 3


def test_a_busy_server_is_asked_less():
    flow = Flow()
    for limit in (2, 1, 1):
        with pytest.raises(ServerBusyError), flow.request():
            raise ServerBusyError("no room")
        assert flow.limit == limit
