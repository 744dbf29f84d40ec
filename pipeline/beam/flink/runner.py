"""Beam's runner for Flink, as `--runner` names it, with the pipeline's own engine."""

import re
from typing import Any

from apache_beam.options import pipeline_options
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners import runner
from apache_beam.runners.portability import job_server, portable_runner
from apache_beam.transforms import environments

from pipeline.beam.flink import engine
from pipeline.beam.flink.jars import FlinkError

_PYTHON_ERROR = re.compile(r"^([\w.]*(?:Error|Exception|Interrupt)\b.*)$", re.MULTILINE)


class FlinkRunner(portable_runner.PortableRunner):
    """Sends jobs to the engine's job server and has them worked on by the engine's pool.

    `--job_endpoint` and `--environment_type` name others. Its arguments are the same in every run,
    so that TFX, whose cache keys hold them, finds what an earlier run made.
    """

    def default_environment(
        self, options: pipeline_options.PipelineOptions
    ) -> environments.Environment:
        """Beam calls it when it turns a pipeline into a job."""
        portable = options.view_as(pipeline_options.PortableOptions)
        if not portable.environment_type:
            portable.environment_type = "EXTERNAL"
            portable.environment_config = engine.current().workers()
        return super().default_environment(options)

    def default_job_server(self, options: pipeline_options.PipelineOptions) -> job_server.JobServer:
        """Beam calls it where no `--job_endpoint` is named."""
        flink = options.view_as(pipeline_options.FlinkRunnerOptions)
        endpoint = engine.current().job_server(
            flink.flink_master, flink.flink_job_server_jar, flink.parallelism
        )
        return job_server.ExternalJobServer(endpoint)

    def run_portable_pipeline(
        self,
        pipeline: beam_runner_api_pb2.Pipeline,
        options: pipeline_options.PipelineOptions,
    ) -> runner.PipelineResult:
        """Beam calls it with the job."""
        return _Job(super().run_portable_pipeline(pipeline, options))


class _Job(runner.PipelineResult):
    """A job that is cancelled with its run, and whose failure is told in one line."""

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
        """Raises FlinkError."""
        try:
            return self._result.wait_until_finish(duration)
        except KeyboardInterrupt:
            self.cancel()  # a cluster elsewhere would go on with it
            raise
        except RuntimeError as error:
            raise FlinkError(reason(str(error))) from None


def reason(message: str) -> str:
    """The last Python error's own line in what Flink says of a failed job; else its first line."""
    found = _PYTHON_ERROR.findall(message)
    return found[-1] if found else message.strip().split("\n")[0]
