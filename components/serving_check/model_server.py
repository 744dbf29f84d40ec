"""Runs a model server for one SavedModel while it is tried."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc

from client import protos
from client.channel import open_channel
from client.contract import MODEL_NAME, STATES
from client.exchange import Methods

_GRACE_SECONDS: Final = 20
_LONGEST_TMPDIR: Final = 80


class ModelServerError(RuntimeError):
    """The server did not get as far as serving the model; the message is one line."""


@contextlib.contextmanager
def serving(saved_model: Path, log: Path, ready_seconds: float = 600) -> Iterator[Methods]:
    """Starts `python -m serving` on a SavedModel and waits until it serves.

    The server listens on a socket in a folder of its own, so no port can be taken or overheard. It
    is stopped in any event.

    Args:
        saved_model: the SavedModel's folder.
        log: file for what the server prints.
        ready_seconds: how long it may take to load the model.

    Yields:
        The server's gRPC API, which calls the model MODEL_NAME.

    Raises:
        ModelServerError: the server ended, or does not serve the model in time.
    """
    with _socket_folder() as scratch, log.open("wb") as output:
        socket = Path(scratch, "grpc.sock")
        versions = Path(scratch, MODEL_NAME)
        versions.mkdir()
        (versions / "1").symlink_to(saved_model.resolve(), target_is_directory=True)
        process = subprocess.Popen(
            _command(versions, socket), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            with open_channel(grpc, f"unix:{socket}", None) as channel:
                methods = Methods(channel)
                _wait_until_ready(methods, process, log, time.monotonic() + ready_seconds)
                yield methods
        finally:
            _stop(process)


def _socket_folder() -> tempfile.TemporaryDirectory[str]:
    """Makes it in TMPDIR, or in /tmp if that is deep: a socket's path has 107 bytes (unix(7))."""
    deep = len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TMPDIR
    return tempfile.TemporaryDirectory(prefix="serving-", dir="/tmp" if deep else None)


def _command(versions: Path, socket: Path) -> list[str]:
    # A pipeline that is killed takes the server along, where Linux has the means.
    setpriv = shutil.which("setpriv")
    return [
        *([setpriv, "--pdeathsig", "TERM"] if setpriv else []),
        sys.executable,
        "-m",
        "serving",
        "--port=0",
        f"--grpc_socket_path={socket}",
        f"--model_name={MODEL_NAME}",
        f"--model_base_path={versions}",
        "--max_num_load_retries=0",
        "--file_system_poll_wait_seconds=0",
    ]


def _wait_until_ready(
    methods: Methods, process: subprocess.Popen[bytes], log: Path, deadline: float
) -> None:
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_text("utf-8", "replace").strip().splitlines()
            last_line = lines[-1] if lines else "nothing"
            raise ModelServerError(f"the server ended at once ({process.returncode}): {last_line}")
        status = _status(methods)
        if status and STATES.get(status.state) == "AVAILABLE":
            return
        if status and STATES.get(status.state) == "END":
            raise ModelServerError(f"not loaded: {' '.join(status.status.error_message.split())}")
        time.sleep(0.1)
    raise ModelServerError(f"the server was not ready in time; see {log}")


def _status(methods: Methods) -> Any:
    """Asks for the only version's state; None while nobody answers."""
    request = protos.GetModelStatusRequest()
    request.model_spec.name = MODEL_NAME
    try:
        (status,) = methods.status(request, timeout=10).model_version_status
    except (grpc.RpcError, ValueError):
        return None
    return status


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
