"""A bounded queue of requests, run in batches by a few threads."""

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from serving.errors import Code, ServingError, failed_precondition, invalid_argument

Arrays = Mapping[str, np.ndarray]

MAX_QUEUED_BYTES = 2**28
_LEARNING = 0.1  # the weight of the latest batch in the queue's pace
_MOST_WAITED = 0.8  # of a deadline: what begins near its end is cut off, and its work lost


@dataclass(frozen=True)
class BatchingParameters:
    """What TensorFlow Serving's message of that name says, with its defaults.

    (servables/tensorflow/session_bundle_config.proto; shared_batch_scheduler.h)
    """

    max_batch_size: int = 1000  # rows
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    enable_large_batch_splitting: bool = False
    thread_pool_name: str = "model_server_batch_threads"


class BatchTarget(Protocol):
    """What a batch runs on. Requests are merged only if their targets are equal."""

    def run(self, inputs: Arrays, timeout: float | None) -> dict[str, np.ndarray]:
        """Runs a batch.

        Args:
            inputs: arrays by input name, all of N rows.
            timeout: seconds, or None.

        Returns:
            Arrays by output name, of N rows.

        Raises:
            ServingError: the batch failed.
        """


@dataclass(eq=False)
class _Task:
    target: BatchTarget
    inputs: Arrays
    deadline: float  # of time.monotonic()
    future: Future[dict[str, np.ndarray]] = field(default_factory=Future)
    enqueued: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        arrays = self.inputs.values()
        lengths = {array.shape[0] if array.ndim else 0 for array in arrays}
        self.rows = max(lengths, default=0)
        self.mergeable = len(lengths) == 1 and self.rows > 0
        self.size = sum(map(_bytes, arrays))

    def expire(self) -> None:
        """Fails the request, unless its caller has withdrawn it."""
        if self.future.set_running_or_notify_cancel():
            message = "Deadline exceeded while waiting in the queue"
            self.future.set_exception(ServingError(Code.DEADLINE_EXCEEDED, message))


class Batcher:
    """Runs requests on a fixed number of threads, merging those that fit together.

    Once a thread is free a request waits at most `batch_timeout_micros` for others. One whose
    caller has cancelled, or whose deadline has passed, is never run; one that would wait for
    most of its time, as fast as the queue moves now, is refused at once. A merged batch that fails
    is run again in halves, so that one undecodable image fails its own request alone.

    Args:
        parameters: how requests are merged; without them none are.
        threads: how many, without `parameters`.
        queue: requests that may wait, without `parameters`.
        on_batch: is told each batch's rows, and the seconds that each of its requests has waited.
    """

    def __init__(
        self,
        parameters: BatchingParameters | None,
        *,
        threads: int,
        queue: int,
        on_batch: Callable[[int, Sequence[float]], None] = lambda rows, waits: None,
    ) -> None:
        self._parameters = parameters
        self.limit = queue  # of what waits: requests, or with parameters rows
        if parameters:
            threads = parameters.num_batch_threads
            self.limit = parameters.max_enqueued_batches * parameters.max_batch_size
        self._on_batch = on_batch
        self._groups: OrderedDict[Hashable, deque[_Task]] = OrderedDict()
        self._load = self._size = 0
        self._pace = 0.0  # seconds that the queue takes for a unit of load
        self._taken: float | None = None  # when the last batch was, if others waited then
        self._changed = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True)
            for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, target: BatchTarget, inputs: Arrays, timeout: float | None = None
    ) -> Future[dict[str, np.ndarray]]:
        """Queues a request; cancelling the future withdraws it.

        Args:
            target: what runs it.
            inputs: arrays by input name, as `target` takes them; only those of one length are
                merged.
            timeout: seconds until the request is dropped; None: never.

        Returns:
            The outputs to come: arrays by name, with as many rows as the inputs.

        Raises:
            ServingError: RESOURCE_EXHAUSTED where the queue is full, or too long for the deadline
                (UNAVAILABLE in TensorFlow Serving's batching; this is what its own limit on threads
                answers, and what asks a client to back off), INVALID_ARGUMENT where the request has
                more rows than a batch may have, UNAVAILABLE while the server ends.
        """
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        task = _Task(target, inputs, deadline)
        if self._parameters:
            _check_rows(task.rows, self._parameters)
        with self._changed:
            if self._closing:
                raise ServingError(Code.UNAVAILABLE, "The server is shutting down")
            if self._objection(task, timeout):
                self._drop_dead()
            if objection := self._objection(task, timeout):
                raise ServingError(Code.RESOURCE_EXHAUSTED, objection)
            self._groups.setdefault(self._key(task), deque()).append(task)
            self._account(task, +1)
            self._changed.notify()
        return task.future

    def queued(self) -> int:
        """How many requests wait for a thread."""
        with self._changed:
            return sum(map(len, self._groups.values()))

    def close(self, timeout: float | None = None) -> bool:
        """Finishes what is queued, then ends the threads; whether that took at most `timeout` s."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        end = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _key(self, task: _Task) -> Hashable:
        if not self._parameters or not task.mergeable:
            return id(task)
        shapes = tuple(
            (name, array.dtype.str, array.shape[1:]) for name, array in sorted(task.inputs.items())
        )
        return task.target, shapes

    def _weight(self, task: _Task) -> int:
        return task.rows if self._parameters else 1

    def _account(self, task: _Task, sign: int) -> None:
        self._load += sign * self._weight(task)
        self._size += sign * task.size

    def _objection(self, task: _Task, timeout: float | None) -> str:
        """Why the queue cannot take a request; empty where it can."""
        fits = not self._groups or (
            self._load + self._weight(task) <= self.limit
            and self._size + task.size <= MAX_QUEUED_BYTES
        )
        if not fits:
            return "The batch scheduling queue to which this task was submitted is full"
        wait = self._load * self._pace
        if timeout is not None and _MOST_WAITED * timeout < wait:
            return f"What waits takes some {wait:.0f} s more, too long for its deadline"
        return ""

    def _drop_dead(self) -> None:
        now = time.monotonic()
        for key, group in list(self._groups.items()):
            for task in list(group):
                if task.future.cancelled() or task.deadline <= now:
                    group.remove(task)
                    self._account(task, -1)
                    task.expire()
            if not group:
                del self._groups[key]

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            self._run_living(batch)
            del batch  # its X-rays would stay in memory until the next one comes

    def _run_living(self, batch: list[_Task]) -> None:
        now = time.monotonic()
        live = []
        for task in batch:
            if task.deadline <= now:
                task.expire()
            elif task.future.set_running_or_notify_cancel():
                live.append(task)
        if live:
            self._on_batch(sum(t.rows for t in live), [now - t.enqueued for t in live])
            self._run(live)

    def _take(self) -> list[_Task] | None:
        with self._changed:
            while True:
                now = time.monotonic()
                waits = {key: self._wait(group, now) for key, group in self._groups.items()}
                ready = next((key for key, wait in waits.items() if wait <= 0), None)
                if ready is not None:
                    return self._pop_batch(ready)
                if self._closing:
                    return None
                self._changed.wait(min(waits.values(), default=None))

    def _wait(self, group: deque[_Task], now: float) -> float:
        if not self._parameters or self._closing:
            return 0.0
        if sum(task.rows for task in group) >= self._parameters.max_batch_size:
            return 0.0
        return group[0].enqueued + self._parameters.batch_timeout_micros / 1e6 - now

    def _pop_batch(self, key: Hashable) -> list[_Task]:
        group = self._groups[key]
        batch = [group.popleft()]
        rows = batch[0].rows
        while (
            group and self._parameters and rows + group[0].rows <= self._parameters.max_batch_size
        ):
            batch.append(group.popleft())
            rows += batch[-1].rows
        for task in batch:
            self._account(task, -1)
        self._groups.move_to_end(key)  # every group gets its turn
        if not group:
            del self._groups[key]
        self._learn_pace(sum(map(self._weight, batch)))
        return batch

    def _learn_pace(self, load: int) -> None:
        now = time.monotonic()
        if self._taken is not None:
            self._pace += _LEARNING * ((now - self._taken) / max(1, load) - self._pace)
        self._taken = now if self._groups else None

    def _run(self, batch: list[_Task]) -> None:
        latest = max(task.deadline for task in batch)
        timeout = None if latest == float("inf") else latest - time.monotonic()
        try:
            padding = self._padding(batch)
            merged = _merge([task.inputs for task in batch], padding)
            outputs = batch[0].target.run(merged, timeout)
            results = _split(outputs, [task.rows for task in batch], padding)
        except ServingError as error:
            if len(batch) > 1 and error.code is not Code.DEADLINE_EXCEEDED:
                middle = len(batch) // 2
                self._run(batch[:middle])
                self._run(batch[middle:])
                return
            for task in batch:
                task.future.set_exception(error)
        except BaseException as error:  # a defect here must not leave a caller waiting
            for task in batch:
                task.future.set_exception(error)
        else:
            for task, result in zip(batch, results, strict=True):
                task.future.set_result(result)

    def _padding(self, batch: list[_Task]) -> int:
        rows = sum(task.rows for task in batch)
        sizes = self._parameters.allowed_batch_sizes if self._parameters else ()
        padded = min((size for size in sizes if size >= rows), default=rows)
        return padded - rows if batch[0].mergeable else 0


def _check_rows(rows: int, parameters: BatchingParameters) -> None:
    if rows > parameters.max_batch_size and not parameters.enable_large_batch_splitting:
        raise invalid_argument(
            f"Task size {rows} is larger than maximum input batch size {parameters.max_batch_size}"
        )


def _bytes(array: np.ndarray) -> int:
    return sum(map(len, array.flat)) if array.dtype == object else array.nbytes


def _merge(requests: list[Arrays], padding: int) -> Arrays:
    if len(requests) == 1 and not padding:
        return requests[0]
    filler = [{name: array[:1] for name, array in requests[-1].items()}] * padding
    return {
        name: np.concatenate([request[name] for request in (*requests, *filler)])
        for name in requests[0]
    }


def _split(
    outputs: dict[str, np.ndarray], rows: list[int], padding: int
) -> list[dict[str, np.ndarray]]:
    if len(rows) == 1 and not padding:
        return [outputs]
    total = sum(rows) + padding
    if any(array.ndim == 0 or array.shape[0] != total for array in outputs.values()):
        # batching/batching_session.cc, SplitOutputTensors
        raise failed_precondition(
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
            "sizes of the input tensors"
        )
    ends = np.cumsum(rows)
    return [
        {name: array[end - count : end] for name, array in outputs.items()}
        for end, count in zip(ends, rows, strict=True)
    ]
