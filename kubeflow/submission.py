"""Hands a compiled pipeline to Kubeflow Pipelines and asks what became of it."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import kfp_server_api
import urllib3
import yaml
from kfp.client import Client

ENDPOINT: Final = "KF_PIPELINES_ENDPOINT"  # the kfp client's own name for it
TOKEN: Final = "KF_PIPELINES_TOKEN"
COOKIE: Final = "KF_PIPELINES_COOKIE"
CA_CERT: Final = "KF_PIPELINES_CA_CERT"
_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"


class KubeflowError(RuntimeError):
    """Kubeflow Pipelines cannot be reached or refuses; one line with the remedy."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One step of a run, in Kubeflow's words."""

    name: str
    state: str
    started: datetime | None
    finished: datetime | None
    error: str | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None before its end."""
        if self.started is None or self.finished is None:
            return None
        return (self.finished - self.started).total_seconds()


@dataclasses.dataclass(frozen=True)
class Run:
    """A submitted run."""

    id: str
    name: str
    state: str  # PENDING, RUNNING, SUCCEEDED, FAILED, CANCELING, CANCELED, PAUSED, SKIPPED
    page: str
    error: str | None
    tasks: tuple[Task, ...]

    @property
    def over(self) -> bool:
        """Nothing more will happen in it."""
        return self.state in {"SUCCEEDED", "SKIPPED"} or self.failed

    @property
    def failed(self) -> bool:
        """It ended without its result."""
        return self.state in {"FAILED", "CANCELED"}


class Kubeflow:
    """Kubeflow Pipelines' API at one endpoint, for one namespace."""

    def __init__(self, endpoint: str | None = None, namespace: str | None = None) -> None:
        """Connects; credentials come from the environment (README).

        Args:
            endpoint: URL of the API or of Kubeflow's page; None: KF_PIPELINES_ENDPOINT, or, in a
                pod, the cluster's own.
            namespace: of a multi-user installation; None: it has none, or the pod's.

        Raises:
            KubeflowError: no endpoint is known, or it cannot be reached.
        """
        self._endpoint = (endpoint or os.environ.get(ENDPOINT, "")).rstrip("/")
        if not self._endpoint and _IN_CLUSTER not in os.environ:
            raise KubeflowError(
                f"no endpoint: give --endpoint URL or set {ENDPOINT}; kubectl port-forward -n "
                "kubeflow svc/ml-pipeline-ui 8080:80 makes it http://localhost:8080"
            )
        self._namespace = namespace
        with self._spoken_clearly():
            self._client = _Client(
                host=self._endpoint or None,
                namespace=namespace or "kubeflow",
                existing_token=os.environ.get(TOKEN),
                cookies=os.environ.get(COOKIE),
                ssl_ca_cert=os.environ.get(CA_CERT),
            )

    def submit(
        self,
        package: Path,
        parameters: Mapping[str, Any],
        *,
        experiment: str,
        name: str,
        pipeline_root: str | None = None,
        service_account: str | None = None,
        cache: bool = True,
    ) -> str:
        """Starts a run of a compiled package.

        The package becomes a version of the pipeline that it names, once, so that runs of the same
        file are told apart from others and recurring runs can be made of it.

        Args:
            package: YAML.
            parameters: the pipeline's, by name.
            experiment: made where it is missing.
            name: the run's.
            pipeline_root: where artifacts go; None: as the package or the cluster says.
            service_account: the pods'; None: the cluster's default.
            cache: take steps from the cache; False runs every step anew, and then the run alone
                holds the package: a version's spec cannot be changed for one run.

        Returns:
            The run's id.

        Raises:
            KubeflowError: it cannot be reached, or refuses.
        """
        with self._spoken_clearly():
            held = self._client.create_experiment(experiment, namespace=self._namespace)
            source = (
                self._version(package)
                if cache
                else {"pipeline_package_path": str(package), "enable_caching": False}
            )
            created = self._client.run_pipeline(
                experiment_id=held.experiment_id,
                job_name=name,
                params=dict(parameters),
                pipeline_root=pipeline_root,
                service_account=service_account,
                **source,
            )
        return str(created.run_id)

    def _version(self, package: Path) -> dict[str, str]:
        """The package's version, named by its content; made where it is not there."""
        content = package.read_bytes()
        name = next(yaml.safe_load_all(content))["pipelineInfo"]["name"]
        version = hashlib.sha256(content).hexdigest()[:12]
        pipelines = self._client.list_pipelines(filter=_named(name), namespace=self._namespace)
        pipeline = (
            pipelines.pipelines[0]
            if pipelines.pipelines
            else self._client.create_pipeline(name, self._namespace)
        )
        versions = self._client.list_pipeline_versions(
            pipeline.pipeline_id, filter=_named(version)
        ).pipeline_versions
        found = (
            versions[0]
            if versions
            else self._client.upload_pipeline_version(
                str(package), version, pipeline_id=pipeline.pipeline_id
            )
        )
        return {
            "pipeline_id": pipeline.pipeline_id,
            "version_id": found.pipeline_version_id,
        }

    def run(self, run_id: str) -> Run:
        """The run as it is now. Raises KubeflowError."""
        with self._spoken_clearly():
            found = self._client.get_run(run_id)
        details = found.run_details.task_details if found.run_details else None
        return Run(
            id=found.run_id,
            name=found.display_name,
            state=found.state or "PENDING",
            page=f"{self._endpoint}/#/runs/details/{found.run_id}",
            error=found.error.message if found.error else None,
            tasks=tuple(
                Task(
                    name=task.display_name,
                    state=task.state or "PENDING",
                    started=task.start_time,
                    finished=task.end_time,
                    error=task.error.message if task.error else None,
                )
                for task in details or ()
                if not task.display_name.endswith("-driver") and task.display_name != "root"
            ),
        )

    @contextlib.contextmanager
    def _spoken_clearly(self) -> Iterator[None]:
        """Turns the client's many errors into one line; keeps back what it prints."""
        where = self._endpoint or "the cluster's own endpoint"
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
        except kfp_server_api.ApiException as error:
            remedy = (
                f"; credentials come from {TOKEN} or {COOKIE}" if error.status in (401, 403) else ""
            )
            raise KubeflowError(f"{where}: {_reason(error)}{remedy}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise KubeflowError(
                f"{where}: no answer ({_root(error)}); is Kubeflow Pipelines there, and the "
                "way to it open (VPN, kubectl port-forward)?"
            ) from error


class _Client(Client):
    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        """Asks once: kfp's own keeps a user with a wrong token waiting for 25 seconds."""
        return self._healthz_api.healthz_service_get_healthz()

    def create_pipeline(self, name: str, namespace: str | None) -> kfp_server_api.V2beta1Pipeline:
        """Without a version: upload_pipeline would name its first one after the pipeline."""
        pipeline = kfp_server_api.V2beta1Pipeline(name=name, display_name=name, namespace=namespace)
        return self._pipelines_api.pipeline_service_create_pipeline(pipeline)


def _named(name: str) -> str:
    """Kubeflow's filter for things of this name."""
    equals = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [equals]})


def _reason(error: kfp_server_api.ApiException) -> str:
    body = str(error.body or "").strip().splitlines()
    return f"{error.status} {error.reason}" + (f": {body[0][:300]}" if body else "")


def _root(error: BaseException) -> BaseException:
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, BaseException) else error
