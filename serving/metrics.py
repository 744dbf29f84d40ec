"""Counters and histograms under TensorFlow Serving's names, in Prometheus's text format."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.errors import Code, ServingError

CONTENT_TYPE = "text/plain"  # model_servers/http_server.cc

# Upper bounds in microseconds, 10 x 1.8^k. (servables/tensorflow/util.cc)
_LATENCY = tuple(10 * 1.8**k for k in range(33))
_QUEUING = tuple(100 * 1.2**k for k in range(52))  # batching/batching_session.cc
_EXAMPLES = tuple(float(2**k) for k in range(15))  # servables/tensorflow/util.cc
_POOL = "model_server_batch_threads"
_SIZES = tuple(float(2**k) for k in range(14))  # batching/batching_util.h


class Metrics:
    """The server's metrics. Slashes in TensorFlow Serving's names are colons in Prometheus's."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            ":tensorflow:serving:request_count",
            "The total number of requests.",
            ["model_name", "status"],
            registry=registry,
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
            ["model_name", "API", "entrypoint"],
            buckets=_LATENCY,
            registry=registry,
        )
        self._runtime = Histogram(
            ":tensorflow:serving:runtime_latency",
            "Distribution of wall time (in microseconds) for Tensorflow runtime.",
            ["model_name", "API", "runtime"],
            buckets=_LATENCY,
            registry=registry,
        )
        self._warmup = Histogram(
            ":tensorflow:serving:model_warmup_latency",
            "Distribution of wall time (in microseconds) for warming up the model.",
            ["model_path", "status"],
            buckets=_LATENCY,
            registry=registry,
        )
        self._warmup_records = Counter(
            ":tensorflow:serving:model_warmup_records_read",
            "Total number of warmup records read during model warmup.",
            ["model_path", "status"],
            registry=registry,
        )
        self._loads = Counter(
            ":tensorflow:cc:saved_model:load_attempt_count",
            "The number of times a SavedModel was requested to be loaded.",
            ["model_path", "status"],
            registry=registry,
        )
        self._load_latency = Counter(
            ":tensorflow:cc:saved_model:load_latency",
            "Latency in microseconds for SavedModels that were successfully loaded.",
            ["model_path"],
            registry=registry,
        )
        self._queuing = Histogram(
            ":tensorflow:serving:batching_session:queuing_latency",
            "Distribution of wall time spent (in microseconds) in queuing",
            ["thread_pool_name"],
            buckets=_QUEUING,
            registry=registry,
        ).labels(_POOL)
        self._runs = Counter(
            ":tensorflow:serving:batching_session:wrapped_run_count",
            "Total count of run calls on the wrapped session",
            registry=registry,
        )
        # Of Classify and Regress, which are refused.
        Histogram(
            ":tensorflow:serving:request_example_counts",
            "The number of tensorflow.Examples per request.",
            ["model"],
            buckets=_EXAMPLES,
            registry=registry,
        )
        Counter(
            ":tensorflow:serving:request_example_count",
            "The total number of tensorflow.Examples.",
            ["model"],
            registry=registry,
        )
        self._logged = Counter(
            ":tensorflow:serving:request_log_count",
            "The total number of requests logged from the model server sliced down by model_name "
            "and status code.",
            ["model_name", "status_code"],
            registry=registry,
        )
        self._batch_size = Histogram(
            ":tensorflow:serving:batching_session:processed_batch_size",
            "Tracks the batch size distribution on processing.",
            buckets=_SIZES,
            registry=registry,
        )
        self._queued = Gauge(
            ":tensorflow:serving:queued_requests",
            "Requests that wait for a thread. (Not in TensorFlow Serving.)",
            registry=registry,
        )

    def queued_from(self, count: Callable[[], int]) -> None:
        """Asks `count` how many requests wait, whenever the page is made."""
        self._queued.set_function(count)

    @contextmanager
    def request(self, model: Callable[[], str], api: str, entrypoint: str) -> Iterator[None]:
        """Counts a request by the status it ends with, and times it where it succeeds.

        Args:
            model: gives the model's name at the end; "" for one that is not served, so that callers
                cannot make new time series up.
            api: the method's name, "Predict" over gRPC and "predict" over REST.
            entrypoint: "GRPC" or "REST".

        Yields:
            While the request is answered.
        """
        start = time.perf_counter()
        status = Code.UNKNOWN
        try:
            yield
            status = Code.OK
        except ServingError as error:
            status = error.code
            raise
        except Exception:
            status = Code.INTERNAL
            raise
        except BaseException:
            status = Code.CANCELLED
            raise
        finally:
            name = model()
            self._requests.labels(name, status.name).inc()
            if status is Code.OK:
                elapsed = time.perf_counter() - start
                self._latency.labels(name, api, entrypoint).observe(elapsed * 1e6)

    def ran(self, model: str, seconds: float) -> None:
        """Counts a batch that TensorFlow has run.

        Args:
            model: the model's name.
            seconds: how long it took.
        """
        self._runtime.labels(model, "Predict", "TF1").observe(seconds * 1e6)

    def batch(self, rows: int, waits: Sequence[float]) -> None:
        """Counts a batch that starts.

        Args:
            rows: how many it has.
            waits: seconds that each of its requests has waited.
        """
        self._batch_size.observe(rows)
        self._runs.inc()
        for wait in waits:
            self._queuing.observe(wait * 1e6)

    def logged(self, model: str, status: str, count: int) -> None:
        """Counts requests that were written to a model's log, or were not.

        Args:
            model: the model's name.
            status: "OK" where they were written; else a status code's name.
            count: how many.
        """
        self._logged.labels(model, status).inc(count)

    def loaded(self, path: str, seconds: float | None) -> None:
        """Counts an attempt to load a version.

        Args:
            path: the version's folder.
            seconds: how long it took; None: it failed.
        """
        self._loads.labels(path, "fail" if seconds is None else "success").inc()
        if seconds is not None:
            self._load_latency.labels(path).inc(seconds * 1e6)

    def warmed_up(self, path: str, seconds: float, records: int) -> None:
        """Counts the warm-up requests that a version has answered.

        Args:
            path: the version's folder.
            seconds: how long they took.
            records: how many they were.
        """
        self._warmup_records.labels(path, "OK").inc(records)
        self._warmup.labels(path, "OK").observe(seconds * 1e6)

    def page(self) -> bytes:
        """All metrics in Prometheus's text format."""
        # The library appends _total to a counter's name and adds a _created series; TensorFlow
        # Serving does neither.
        text = generate_latest(self._registry)
        # Only request_example_count_total is called that there, too.
        pattern = rb"(?m)^(# (?:HELP|TYPE) )?(:[\w:]+)(?<!example_count)_total\b"
        text = re.sub(pattern, rb"\1\2", text)
        return re.sub(rb"(?m)^.*:\w+_created\b.*\n", b"", text)
