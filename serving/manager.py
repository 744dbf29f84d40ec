"""Keeps the right versions of every model loaded, and one of them always serving."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from serving import logs
from serving.config_files import check_config
from serving.errors import Code, ServingError, failed_precondition, invalid_argument, not_found
from serving.servable import Servable
from serving.versions import Completeness, versions_in, wanted


class State(IntEnum):
    """A version's life, as GetModelStatus reports it. (apis/get_model_status.proto)"""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class ModelsUnavailable(ServingError):  # noqa: N818
    """A configuration that was taken over, but asks for models that cannot be loaded."""


@dataclass
class Version:
    """What is known of one version; `error` is why it is not served."""

    number: int
    path: Path
    state: State = State.START
    error: ServingError | None = None
    servable: Servable | None = None
    attempts: int = 0
    retry_at: float = 0.0  # of time.monotonic()


@dataclass(frozen=True)
class LoadPolicy:
    """How often the folders are looked at, and how a failed load is tried again."""

    poll_seconds: float = 1.0  # 0: once
    max_retries: int = 5
    retry_seconds: float = 60.0
    labels_before_available: bool = False


class ModelManager:
    """Loads what the configuration asks for, and unloads the rest once nobody uses it.

    A new version is loaded and warmed up before an old one goes (availability-preserving); while
    none of the wanted versions can be served, the one that is being served stays. Where there is
    none, and the newest are wanted, the newest that can be loaded is served meanwhile: TensorFlow
    Serving would serve nothing.

    Args:
        load: gives a servable that is ready to use, for a model's name, a version and its folder;
            or raises ServingError.
        policy: how often to look and to try again.
        on_change: is told which models can be used, by name, whenever that may have changed.
    """

    def __init__(
        self,
        load: Callable[[str, int, Path], Servable],
        policy: LoadPolicy = LoadPolicy(),
        on_change: Callable[[Mapping[str, bool]], None] = lambda ready: None,
    ) -> None:
        self._load_version = load
        self._policy = policy
        self._on_change = on_change
        self._configs: dict[str, Any] = {}
        self._models: dict[str, dict[int, Version]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._announced: dict[str, bool] = {}
        self._complaints: dict[str, str] = {}
        self._arriving: set[str] = set()  # models with a wanted version that is not complete
        self._complete = Completeness(policy.poll_seconds)
        self._lock = threading.Lock()  # of what is known, held briefly
        self._reconciling = threading.Lock()  # of loading and unloading, held long
        self._stopped = threading.Event()
        self._poller: threading.Thread | None = None

    def configure(self, config: Any) -> None:
        """Takes a ModelServerConfig over and makes one attempt at what it asks for.

        A version of a new model that is just being copied is waited for, for a moment.

        Raises ServingError where the configuration is not allowed (then the old one stays), or
        ModelsUnavailable where one that it adds could not be loaded (then the new one stays).
        """
        check_config(config, self._configs)
        models = {model.name: model for model in config.model_config_list.config}
        with self._reconciling:
            labels = {name: self._checked_labels(model) for name, model in models.items()}
            added = set(models) - set(self._configs)
            self._configs, self._labels = models, labels
            self._reconcile()
            patience = time.monotonic() + 3 * self._policy.poll_seconds
            while added & self._arriving and time.monotonic() < patience:
                self._stopped.wait(self._policy.poll_seconds / 4)
                self._reconcile()
        self._check_available(added)

    def start_polling(self) -> None:
        """Looks at the folders every `poll_seconds` from now on, in a thread."""
        if self._policy.poll_seconds > 0:
            self._poller = threading.Thread(target=self._poll, name="versions", daemon=True)
            self._poller.start()

    def close(self) -> None:
        """Ends the polling and unloads everything once the requests in flight are done."""
        self._stopped.set()
        if self._poller:
            self._poller.join()
        with self._reconciling:
            for name in list(self._models):
                self._unload(name, keep=())

    def lease(self, spec: Any) -> Servable:
        """The servable that a ModelSpec chooses, retained; the caller releases it.

        Raises ServingError NOT_FOUND or INVALID_ARGUMENT. (model_servers/server_core.cc,
        core/basic_manager.cc)
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        with self._lock:
            number = spec.version.value
            if choice == "version_label":
                number = self._version_of_label(spec.name, spec.version_label)
            available = self._available(spec.name)
            if choice is None:
                number = max(available, default=None)
            servable = available.get(number)
            if servable is None:
                what = (
                    f"Latest({spec.name})" if choice is None else f"Specific({spec.name}, {number})"
                )
                raise not_found(f"Servable not found for request: {what}")
            servable.retain()
            return servable

    def statuses(self, name: str, number: int | None = None) -> list[Version]:
        """Says what is known of a model's versions.

        Args:
            name: the model's.
            number: the version's; None: all of them.

        Returns:
            The versions, newest first.

        Raises:
            ServingError: NOT_FOUND.

        Source: model_servers/get_model_status_impl.cc.
        """
        with self._lock:
            versions = self._models.get(name, {})
            if number is not None:
                if number not in versions:
                    raise not_found(f"Could not find version {number} of model {name}")
                return [versions[number]]
            if not versions:
                raise not_found(f"Could not find any versions of model {name}")
            return [versions[key] for key in sorted(versions, reverse=True)]

    def ready(self) -> dict[str, bool]:
        """Which of the configured models can be used, by name."""
        with self._lock:
            return {name: bool(self._available(name)) for name in self._configs}

    def _poll(self) -> None:
        while not self._stopped.wait(self._policy.poll_seconds):
            with self._reconciling:
                self._reconcile()

    def _reconcile(self) -> None:
        for name, config in self._configs.items():
            try:
                self._reconcile_model(name, config)
            except OSError as error:
                self._complain(name, str(error))
            except Exception:  # the next look may succeed, and what is served goes on being served
                logs.event("reconciling failed", level=40, error=True, model=name)
        for name in set(self._models) - set(self._configs):
            self._unload(name, keep=())
        self._announce()

    def _complain(self, name: str, reason: str) -> None:
        """Logs once what every look at a folder would say again."""
        if self._complaints.get(name) != reason:
            self._complaints[name] = reason
            logs.event("folder unreadable", level=40, model=name, reason=reason)

    def _announce(self) -> None:
        ready = self.ready()
        if ready != self._announced:
            self._announced = ready
            self._on_change(ready)

    def _reconcile_model(self, name: str, config: Any) -> None:
        found = versions_in(Path(config.base_path))
        self._complaints.pop(name, None)
        # What is loaded was complete; a promotion's hard links touch its files again.
        loaded = self._available(name)
        complete = {
            number: path
            for number, path in found.items()
            if number in loaded or self._complete(path)
        }
        numbers = wanted(complete, config.model_version_policy)
        self._arriving.discard(name)
        if not set(wanted(found, config.model_version_policy)) <= set(complete):
            self._arriving.add(name)
        with self._lock:
            versions = self._models.setdefault(name, {})
            for number, version in versions.items():
                if number not in found and not version.servable:
                    version.error = None  # should it come back, it starts afresh
                if number not in numbers and version.state is State.LOADING:
                    version.state = State.END
        for number in numbers:
            self._try(name, number, complete[number])
        serving = any(versions[number].state is State.AVAILABLE for number in numbers)
        if serving or not found:
            self._unload(name, keep=numbers)
        elif config.model_version_policy.WhichOneof("policy_choice") in (None, "latest"):
            self._serve_older(name, numbers, complete)

    def _serve_older(self, name: str, failed: Sequence[int], complete: Mapping[int, Path]) -> None:
        for number in sorted(set(complete) - set(failed), reverse=True):
            if self._available(name):
                return
            self._try(name, number, complete[number])
            if self._available(name):
                logs.event("older version serves", level=40, model=name, version=number)

    def _try(self, name: str, number: int, path: Path) -> None:
        """Loads a version unless it is loaded, or has failed and its time has not come."""
        versions = self._models[name]
        if number not in versions or _ended(versions[number]):
            with self._lock:
                versions[number] = Version(number, path)
        version = versions[number]
        if version.state is not State.AVAILABLE and self._due(version):
            self._load(name, version)

    def _due(self, version: Version) -> bool:
        return version.attempts <= self._policy.max_retries and time.monotonic() >= version.retry_at

    def _load(self, name: str, version: Version) -> None:
        version.state = State.LOADING
        version.attempts += 1
        start = time.monotonic()
        try:
            servable = self._load_version(name, version.number, version.path)
        except ServingError as error:
            given_up = version.attempts > self._policy.max_retries
            with self._lock:
                version.error = error
                version.state = State.END if given_up else State.LOADING
                version.retry_at = time.monotonic() + self._policy.retry_seconds
            logs.event(
                "version failed",
                level=40,
                model=name,
                version=version.number,
                code=error.code.name,
                reason=error.short_message,
                attempt=version.attempts,
                given_up=given_up,
            )
            return
        with self._lock:
            version.servable, version.error, version.state = servable, None, State.AVAILABLE
        seconds = round(time.monotonic() - start, 3)
        logs.event("version available", model=name, version=version.number, seconds=seconds)
        self._announce()

    def _unload(self, name: str, keep: Sequence[int]) -> None:
        with self._lock:
            leaving = [
                version
                for number, version in sorted(self._models[name].items())
                if number not in keep and version.servable
            ]
            for version in leaving:
                version.state = State.UNLOADING
        for version in leaving:
            servable, version.servable = version.servable, None
            assert servable
            servable.close()
            with self._lock:
                version.state = State.END
            logs.event("version unloaded", model=name, version=version.number)

    def _available(self, name: str) -> dict[int, Servable]:
        return {
            number: version.servable
            for number, version in self._models.get(name, {}).items()
            if version.servable and version.state is State.AVAILABLE
        }

    def _version_of_label(self, name: str, label: str) -> int:
        if label not in self._labels.get(name, {}):
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return self._labels[name][label]

    def _checked_labels(self, model: Any) -> dict[str, int]:
        with self._lock:
            available = self._available(model.name)
            for label, number in model.version_labels.items():
                known = self._labels.get(model.name, {}).get(label, number)
                early = self._policy.labels_before_available and known == number
                if number not in available and not early:
                    raise failed_precondition(
                        f"Request to assign label to version {number} of model {model.name}, "
                        "which is not currently available for inference"
                    )
            return dict(model.version_labels)

    def _check_available(self, names: set[str]) -> None:
        failed = []
        with self._lock:
            for name in names:
                for number, version in self._models.get(name, {}).items():
                    if version.error and not self._available(name):
                        failed.append(
                            f"{{{{name: {name} version: {number}}} due to error: "
                            f"{version.error.message}}}, "
                        )
        if failed:
            message = f"{len(failed)} model(s) did not become available: {{{''.join(failed)}}}"
            raise ModelsUnavailable(Code.UNKNOWN, message)


def _ended(version: Version) -> bool:
    """Whether it was unloaded, rather than given up: a version that is wanted again starts anew."""
    return version.state is State.END and version.error is None
