"""The queue: what is merged, what is refused, what is never run."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving import batching
from serving.batching import MAX_QUEUED_BYTES, Batcher, BatchingParameters
from serving.errors import Code, ServingError

WAIT = 30.0


class Target:
    """Doubles its input; fails for negative numbers; can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.timeouts: list[float | None] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Semaphore(0)

    def run(self, inputs: Any, timeout: float | None) -> dict[str, np.ndarray]:
        self.entered.release()
        assert self.go.wait(WAIT)
        values = inputs["x"]
        self.batches.append(values.tolist())
        self.timeouts.append(timeout)
        if (values < 0).any():
            raise ServingError(Code.INVALID_ARGUMENT, "negative")
        return {"y": values * 2}


def x(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array(values)}


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def batcher() -> Iterator[Any]:
    made: list[Batcher] = []

    def make(queue: int = 100, **parameters: Any) -> Batcher:
        settings = BatchingParameters(**{"num_batch_threads": 1, **parameters})
        made.append(Batcher(settings if parameters else None, threads=1, queue=queue))
        return made[-1]

    yield make
    for one in made:
        one.close()


def held(one: Batcher, target: Target) -> Future[Any]:
    """Keeps the only thread busy until `target.go` is set."""
    target.go.clear()
    future = one.submit(target, x(0.0))
    assert target.entered.acquire(timeout=WAIT)
    return future


def test_requests_that_wait_together_run_together(batcher: Any, target: Target) -> None:
    one = batcher(max_batch_size=10)
    held(one, target)
    futures = [one.submit(target, x(*values)) for values in ([1.0], [2.0, 3.0], [4.0])]
    target.go.set()

    results = [future.result(WAIT)["y"].tolist() for future in futures]

    assert results == [[2.0], [4.0, 6.0], [8.0]]
    assert target.batches == [[0.0], [1.0, 2.0, 3.0, 4.0]]


def test_without_parameters_nothing_is_merged(batcher: Any, target: Target) -> None:
    one = batcher()
    held(one, target)
    futures = [one.submit(target, x(value)) for value in (1.0, 2.0)]
    target.go.set()
    for future in futures:
        future.result(WAIT)

    assert target.batches == [[0.0], [1.0], [2.0]]


def test_a_batch_is_never_larger_than_allowed(batcher: Any, target: Target) -> None:
    one = batcher(max_batch_size=3)
    held(one, target)
    futures = [one.submit(target, x(*values)) for values in ([1.0, 2.0], [3.0, 4.0], [5.0])]
    target.go.set()
    for future in futures:
        future.result(WAIT)

    assert target.batches == [[0.0], [1.0, 2.0], [3.0, 4.0, 5.0]]


def test_different_targets_and_shapes_are_not_merged(batcher: Any, target: Target) -> None:
    one, other = batcher(max_batch_size=10), Target()
    held(one, target)
    wide = {"x": np.ones((1, 2))}
    futures = [one.submit(target, x(1.0)), one.submit(other, x(1.0)), one.submit(target, wide)]
    target.go.set()

    assert [future.result(WAIT)["y"].shape for future in futures] == [(1,), (1,), (1, 2)]
    assert other.batches == [[1.0]]


def test_one_bad_request_fails_alone(batcher: Any, target: Target) -> None:
    one = batcher(max_batch_size=10)
    held(one, target)
    futures = [one.submit(target, x(value)) for value in (1.0, 2.0, -3.0, 4.0, 5.0)]
    target.go.set()

    errors = [future.exception(WAIT) for future in futures]

    assert [error is None for error in errors] == [True, True, False, True, True]
    assert isinstance(errors[2], ServingError)
    assert errors[2].message == "negative"
    assert [futures[i].result()["y"].tolist() for i in (0, 1, 3, 4)] == [[2], [4], [8], [10]]


def test_a_batch_is_padded_to_an_allowed_size_and_the_padding_taken_off(
    batcher: Any, target: Target
) -> None:
    one = batcher(max_batch_size=4, allowed_batch_sizes=(2, 4))

    assert one.submit(target, x(1.0, 2.0, 3.0)).result(WAIT)["y"].tolist() == [2.0, 4.0, 6.0]
    assert target.batches == [[1.0, 2.0, 3.0, 1.0]]


def test_a_lone_request_waits_for_others_no_longer_than_the_timeout(
    batcher: Any, target: Target
) -> None:
    one = batcher(max_batch_size=2, batch_timeout_micros=20_000_000)

    first = one.submit(target, x(1.0))
    second = one.submit(target, x(2.0))  # fills the batch, which then waits no longer

    assert [f.result(10.0)["y"].tolist() for f in (first, second)] == [[2.0], [4.0]]
    assert target.batches == [[1.0, 2.0]]


def test_a_full_queue_refuses_at_once(batcher: Any, target: Target) -> None:
    one = batcher(max_batch_size=2, max_enqueued_batches=2)
    held(one, target)
    waiting = [one.submit(target, x(float(i))) for i in range(4)]

    with pytest.raises(ServingError) as caught:
        one.submit(target, x(9.0))

    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    target.go.set()
    assert [future.result(WAIT)["y"][0] for future in waiting] == [0, 2, 4, 6]


def test_without_parameters_the_queue_counts_requests(batcher: Any, target: Target) -> None:
    one = batcher(queue=2)
    held(one, target)
    for _ in range(2):
        one.submit(target, x(*range(100)))

    with pytest.raises(ServingError, match="queue to which this task was submitted is full"):
        one.submit(target, x(1.0))
    target.go.set()


def test_the_queue_is_bounded_in_bytes_too(batcher: Any, target: Target) -> None:
    one = batcher(queue=1000)
    held(one, target)
    image = {"x": np.array([b"x" * (MAX_QUEUED_BYTES // 2 + 1)], object)}
    one.submit(target, image).add_done_callback(lambda _: None)

    with pytest.raises(ServingError) as caught:
        one.submit(target, image)

    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    one._groups.clear()  # the target cannot double bytes
    target.go.set()


def test_withdrawn_requests_are_not_run_and_make_room(batcher: Any, target: Target) -> None:
    one = batcher(queue=2)
    held(one, target)
    gone = [one.submit(target, x(float(i))) for i in (7, 8)]
    for future in gone:
        assert future.cancel()

    staying = one.submit(target, x(1.0))
    target.go.set()
    staying.result(WAIT)

    assert target.batches == [[0.0], [1.0]]


def test_a_request_whose_deadline_passes_in_the_queue_is_not_run(
    batcher: Any, target: Target
) -> None:
    one = batcher()
    held(one, target)
    late = one.submit(target, x(7.0), timeout=0.0)
    target.go.set()

    error = late.exception(WAIT)

    assert isinstance(error, ServingError)
    assert error.code is Code.DEADLINE_EXCEEDED
    assert [7.0] not in target.batches


def test_a_request_that_would_wait_beyond_its_deadline_is_refused_at_once(
    batcher: Any, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, begun, done = [0.0], threading.Semaphore(0), threading.Semaphore(0)

    def run(inputs: Any, timeout: float | None) -> dict[str, np.ndarray]:
        begun.release()
        assert done.acquire(timeout=WAIT)
        return inputs

    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(target, "run", run)
    one = batcher()
    waiting = [one.submit(target, x(float(number))) for number in range(61)]
    assert begun.acquire(timeout=WAIT)
    for _ in range(40):
        now[0] += 2
        done.release()
        assert begun.acquire(timeout=WAIT)

    with pytest.raises(ServingError, match=r"some 39 s more, too long for its") as caught:
        one.submit(target, x(1.0), timeout=45.0)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    patient = one.submit(target, x(1.0), timeout=60.0)
    assert all(future.cancel() for future in waiting[41:])
    hurried = one.submit(target, x(1.0), timeout=20.0)  # nobody waits for the others any more
    done.release(100)
    for future in (*waiting[:41], patient, hurried):
        future.result(WAIT)
    one.submit(target, x(1.0), timeout=1.0).result(WAIT)  # nothing waits any more


def test_a_batch_may_run_as_long_as_its_most_patient_request(batcher: Any, target: Target) -> None:
    one = batcher(max_batch_size=10)
    held(one, target)
    futures = [one.submit(target, x(1.0), timeout) for timeout in (20.0, 60.0)]
    unlimited = one.submit(target, {"x": np.ones((1, 2))})
    target.go.set()
    for future in [*futures, unlimited]:
        future.result(WAIT)

    assert target.timeouts[1] == pytest.approx(60.0, abs=WAIT)
    assert target.timeouts[1] > 20.0
    assert target.timeouts[2] is None


def test_more_rows_than_a_batch_holds_are_refused(batcher: Any, target: Target) -> None:
    # shared_batch_scheduler.h, Schedule
    one = batcher(max_batch_size=2)

    with pytest.raises(ServingError, match="Task size 3 is larger than maximum input batch size 2"):
        one.submit(target, x(1.0, 2.0, 3.0))


def test_splitting_lets_a_larger_request_through(batcher: Any, target: Target) -> None:
    one = batcher(max_batch_size=2, enable_large_batch_splitting=True)

    assert one.submit(target, x(1.0, 2.0, 3.0)).result(WAIT)["y"].tolist() == [2.0, 4.0, 6.0]


def test_a_defect_reaches_the_caller_and_the_thread_survives(batcher: Any, target: Target) -> None:
    one = batcher()

    assert isinstance(one.submit(target, {"z": np.zeros(1)}).exception(WAIT), KeyError)
    assert one.submit(target, x(1.0)).result(WAIT)["y"].tolist() == [2.0]


def test_closing_finishes_what_is_queued_and_refuses_the_rest(target: Target) -> None:
    one = Batcher(None, threads=1, queue=10)
    held(one, target)
    waiting = one.submit(target, x(1.0))
    closing = threading.Thread(target=one.close)
    closing.start()
    while not one._closing:
        time.sleep(0.001)

    with pytest.raises(ServingError) as caught:
        one.submit(target, x(2.0))
    target.go.set()
    closing.join(WAIT)

    assert caught.value.code is Code.UNAVAILABLE
    assert waiting.result(0)["y"].tolist() == [2.0]
