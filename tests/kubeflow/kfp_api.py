"""A small Kubeflow Pipelines API on a free port, its messages those of kfp-server-api's OpenAPI."""

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api

from tests.local_server import LocalServer

_codec = api.ApiClient()


class FakeApi(LocalServer):
    """Keeps experiments, pipelines and runs; refuses a caller without `token` where one is set."""

    def __init__(self, *, token: str | None = None, multi_user: bool = False) -> None:
        self.token = token
        self.multi_user = multi_user
        self.experiments: dict[str, api.V2beta1Experiment] = {}
        self.pipelines: dict[str, api.V2beta1Pipeline] = {}
        self.versions: dict[str, api.V2beta1PipelineVersion] = {}
        self.files: dict[str, str] = {}  # by version id: the body that brought the package
        self.runs: dict[str, api.V2beta1Run] = {}
        self.finish: list[str] = []  # states that the runs take, one for each time one is asked
        super().__init__(self._handler())

    def healthz(self, _path: str, _body: str) -> Any:
        return api.V2beta1GetHealthzResponse(multi_user=self.multi_user)

    def list_experiments(self, path: str, _body: str) -> Any:
        found = [held for name, held in self.experiments.items() if name in path]
        return api.V2beta1ListExperimentsResponse(experiments=found)

    def create_experiment(self, _path: str, body: str) -> Any:
        experiment = _read(body, "V2beta1Experiment")
        experiment.experiment_id = f"experiment-{len(self.experiments) + 1}"
        self.experiments[experiment.display_name] = experiment
        return experiment

    def list_pipelines(self, path: str, _body: str) -> Any:
        found = [held for name, held in self.pipelines.items() if f"%22{name}%22" in path]
        return api.V2beta1ListPipelinesResponse(pipelines=found or None)

    def create_pipeline(self, _path: str, body: str) -> Any:
        pipeline = _read(body, "V2beta1Pipeline")
        pipeline.pipeline_id = f"pipeline-{len(self.pipelines) + 1}"
        self.pipelines[pipeline.display_name] = pipeline
        return pipeline

    def list_versions(self, path: str, _body: str) -> Any:
        found = [held for held in self.versions.values() if held.display_name in path]
        return api.V2beta1ListPipelineVersionsResponse(pipeline_versions=found or None)

    def upload_version(self, path: str, body: str) -> Any:
        query = parse_qs(urlsplit(path).query)
        version = api.V2beta1PipelineVersion(
            pipeline_id=query["pipelineid"][0],
            pipeline_version_id=f"version-{len(self.versions) + 1}",
            display_name=query["name"][0],
        )
        self.versions[version.pipeline_version_id] = version
        self.files[version.pipeline_version_id] = body
        return version

    def create_run(self, _path: str, body: str) -> Any:
        run = _read(body, "V2beta1Run")
        run.run_id = f"run-{len(self.runs) + 1}"
        run.state = "PENDING"
        self.runs[run.run_id] = run
        return run

    def get_run(self, path: str, _body: str) -> Any:
        run = self.runs[path.rsplit("/", 1)[1]]
        run.state = self.finish.pop(0) if self.finish else run.state
        return run

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        routes: dict[tuple[str, str], Callable[[str, str], Any]] = {
            ("GET", r"/apis/v2beta1/healthz"): self.healthz,
            ("GET", r"/apis/v2beta1/experiments\?.*"): self.list_experiments,
            ("POST", r"/apis/v2beta1/experiments"): self.create_experiment,
            ("GET", r"/apis/v2beta1/pipelines\?.*"): self.list_pipelines,
            ("POST", r"/apis/v2beta1/pipelines"): self.create_pipeline,
            ("GET", r"/apis/v2beta1/pipelines/[\w-]+/versions\?.*"): self.list_versions,
            ("POST", r"/apis/v2beta1/pipelines/upload_version\?.*"): self.upload_version,
            ("POST", r"/apis/v2beta1/runs"): self.create_run,
            ("GET", r"/apis/v2beta1/runs/[\w-]+"): self.get_run,
        }
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                if fake.token and self.headers.get("Authorization") != f"Bearer {fake.token}":
                    return self._answer(401, {"error": "Unauthenticated: no valid identity"})
                for (method, pattern), serve in routes.items():
                    if method == self.command and re.fullmatch(pattern, self.path):
                        try:
                            return self._answer(200, serve(self.path, body))
                        except KeyError as error:
                            return self._answer(404, {"error": f"run {error} not found"})
                return self._answer(404, {"error": f"no {self.command} {self.path}"})

            do_POST = do_GET  # noqa: N815 - the library's name

            def _answer(self, status: int, message: Any) -> None:
                content = json.dumps(_codec.sanitize_for_serialization(message)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _read(body: str, message: str) -> Any:
    """The message, checked against its OpenAPI types."""
    return _codec.deserialize(SimpleNamespace(data=body), message)
