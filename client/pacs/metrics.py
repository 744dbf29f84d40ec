"""What Prometheus is told; no label holds more than one of a few fixed words."""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from client.pacs.link import Link
from client.pacs.queue import Queue

RECEIVED: Final = Counter("pneumonia_pacs_received", "Films that came in", ["outcome"])
REFUSED: Final = Counter("pneumonia_pacs_refused", "Objects and callers refused", ["reason"])


class QueueCollector:
    """Reads the queue whenever it is asked, so that the figures outlive a restart."""

    def __init__(self, queue: Queue, links: Sequence[Link]):
        self._queue = queue
        self._links = links

    def collect(self) -> Iterator[Metric]:
        """What the registry calls for each answer."""
        films = GaugeMetricFamily("pneumonia_pacs_films", "Films by state", labels=["state"])
        for state, count in self._queue.counts().items():
            films.add_metric([state], count)
        yield films
        answers = CounterMetricFamily(
            "pneumonia_pacs_answers", "Films answered, by decision", labels=["decision"]
        )
        for decision, count in self._queue.decisions().items():
            answers.add_metric([decision], count)
        yield answers
        up = GaugeMetricFamily("pneumonia_pacs_up", "1 where it answers", labels=["peer"])
        for link in self._links:
            up.add_metric([link.name], link.is_up)
        yield up
        waiting, oldest = self._queue.waiting()
        for name, text, value in (
            ("waiting", "Films without a stored answer", waiting),
            ("oldest_seconds", "Age of the oldest of them", oldest),
            ("queue_bytes", "Bytes of films and answers that wait", self._queue.used()),
            ("queue_limit_bytes", "At most", self._queue.limit),
        ):
            yield GaugeMetricFamily(f"pneumonia_pacs_{name}", text, value=value)


def registry(films: QueueCollector) -> CollectorRegistry:
    """Everything, for one gateway."""
    metrics = CollectorRegistry()
    for collector in (RECEIVED, REFUSED, films):
        metrics.register(collector)
    return metrics
