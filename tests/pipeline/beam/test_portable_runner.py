"""How a failed job on a site's job server is told."""

from pipeline.beam.portable_runner import reason

FAILED = """java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received \
from SDK harness for instruction 7: Traceback (most recent call last):
  File "sdk_worker.py", line 1, in _execute
ValueError: no such film

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "common.py", line 2, in process
components.errors.IngestError: no such film [while running 'Split-ptransform-23']

\tat java.base/java.util.concurrent.CompletableFuture.get(CompletableFuture.java:1999)
Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 7
"""


def test_a_failure_is_told_by_the_python_error_in_it() -> None:
    assert reason(FAILED).startswith("components.errors.IngestError: no such film")
    assert reason("the cluster is gone\nmore") == "the cluster is gone"
