"""One step's pod: what Kubeflow's launcher does around the user's command (launcher_v2.go)."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as ir

from tests import forked
from tests.kubeflow import in_pod

Volumes = dict[str, Path]
Published = dict[str, ir.RuntimeArtifact]

LOGS = "executor-logs"  # an output that the driver adds to every step's
REPOSITORY = Path(__file__).resolve().parents[2]


class Pod:
    """A disk of its own, gone when the step ends; the image is this repository and its Python."""

    def __init__(self, store: Path) -> None:
        self.store = store
        # As short as a pod's own /tmp: the path of a Unix socket may have 107 characters.
        self._disk = tempfile.TemporaryDirectory(prefix="pod-")
        self.disk = Path(self._disk.name)
        for name in ("tmp", "home"):
            (self.disk / name).mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: object, _trace: TracebackType | None
    ) -> None:
        self._disk.cleanup()

    def run(
        self, container: Any, given: ir.ExecutorInput, task_root: str, volumes: Mapping[str, Path]
    ) -> tuple[Published | None, str]:
        """Runs the container's command; returns its outputs, None if it failed, and its log."""
        given = self._prepared(given, task_root)
        self._download(given.inputs.artifacts)
        mounted = [_mount(Path(path), volume) for path, volume in volumes.items()]
        log = self.path(given.outputs.artifacts[LOGS].artifacts[0].uri)
        try:
            log.write_text("")  # the launcher has opened it before the step starts
            done = self._start(self._command_line(container, given), self._environment(container))
        finally:
            for path in mounted:
                path.unlink()
        said = done.stdout + done.stderr
        log.write_text(said)
        return None if done.returncode else self._published(given), said

    def _start(
        self, command: list[str], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        if command[:3] == ["python", "-m", "kubeflow.step"]:
            words = ["kubeflow.step", str(self.disk), *command[3:]]
            return forked.run(in_pod.main, words, REPOSITORY, environment)
        return subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True
        )

    def path(self, uri: str) -> Path:
        """LocalPathForURI, below this pod's disk."""
        return self.disk / uri.replace("://", "/", 1)

    def _prepared(self, given: ir.ExecutorInput, task_root: str) -> ir.ExecutorInput:
        """Makes the folders that outputs lie in, but none for an output."""
        local = ir.ExecutorInput()
        local.CopyFrom(given)
        output_file = self.path(f"{task_root}/output_metadata.json")
        local.outputs.output_file = str(output_file)
        output_file.parent.mkdir(parents=True, exist_ok=True)
        for held in local.outputs.artifacts.values():
            self.path(held.artifacts[0].uri).parent.mkdir(parents=True, exist_ok=True)
        return local

    def _download(self, artifacts: Mapping[str, Any]) -> None:
        for held in artifacts.values():
            for artifact in held.artifacts:
                _copy(_key(self.store, artifact.uri), self.path(artifact.uri))

    def _published(self, given: ir.ExecutorInput) -> Published:
        reported = ir.ExecutorOutput()
        output_file = Path(given.outputs.output_file)
        if output_file.exists():
            json_format.Parse(output_file.read_text(), reported)  # unknown fields are refused
        published = {}
        for name, held in given.outputs.artifacts.items():
            artifact = held.artifacts[0]
            for merged in reported.artifacts[name].artifacts[:1]:
                if name != LOGS:
                    artifact.uri = merged.uri or artifact.uri
                    artifact.metadata.MergeFrom(merged.metadata)
            _copy(self.path(artifact.uri), _key(self.store, artifact.uri))
            published[name] = artifact
        return published

    def _command_line(self, container: Any, given: ir.ExecutorInput) -> list[str]:
        command = [*container.command, *container.args]
        placeholders = {"{{$}}": json_format.MessageToJson(given, indent=None)}
        for side in ("inputs", "outputs"):
            for name, held in getattr(given, side).artifacts.items():
                path = str(self.path(held.artifacts[0].uri))
                placeholders[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = path
        for placeholder, value in placeholders.items():
            command = [word.replace(placeholder, value) for word in command]
        return command

    def _environment(self, container: Any) -> dict[str, str]:
        kept = ("PATH", "LANG", "TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **{variable.name: variable.value for variable in container.env},
            "HOME": str(self.disk / "home"),
            "TMPDIR": str(self.disk / "tmp"),
        }


def _mount(path: Path, volume: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(volume, target_is_directory=True)
    return path


def _key(store: Path, uri: str) -> Path:
    return store / uri.replace("://", "/", 1)


def _copy(source: Path, target: Path) -> None:
    """Copies a file, or the files below a folder: an object store knows no empty folder."""
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        place = target if file == source else target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
