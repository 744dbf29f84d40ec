"""Beam's runner for a site's job server, whose jobs end with their run."""

import re
from typing import Any

from apache_beam.options import pipeline_options
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners import runner
from apache_beam.runners.portability import portable_runner

_PYTHON_ERROR = re.compile(r"^([\w.]*(?:Error|Exception|Interrupt)\b.*)$", re.MULTILINE)


class JobError(RuntimeError):
    """A step failed on the job server; one line that says what it was."""


class PortableRunner(portable_runner.PortableRunner):
    """Beam's own, with jobs that are cancelled with their run and fail in one line."""

    def run_portable_pipeline(
        self, pipeline: beam_runner_api_pb2.Pipeline, options: pipeline_options.PipelineOptions
    ) -> runner.PipelineResult:
        """Beam calls it with the job."""
        return _Job(super().run_portable_pipeline(pipeline, options))


class _Job(runner.PipelineResult):
    def __init__(self, result: portable_runner.PipelineResult) -> None:
        super().__init__(runner.PipelineState.UNKNOWN)
        self._result = result

    @property
    def state(self) -> str:
        return self._result.state

    def cancel(self) -> None:
        self._result.cancel()

    def metrics(self) -> Any:
        return self._result.metrics()

    def wait_until_finish(self, duration: int | None = None) -> str:
        """Raises JobError."""
        try:
            return self._result.wait_until_finish(duration)
        except KeyboardInterrupt:
            self.cancel()  # the job server would go on with it
            raise
        except RuntimeError as error:
            raise JobError(reason(str(error))) from None


def reason(message: str) -> str:
    """The last Python error's own line in what a job server says of a job; else its first line."""
    found = _PYTHON_ERROR.findall(message)
    return found[-1] if found else message.strip().split("\n")[0]
