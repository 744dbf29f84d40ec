"""A server in a process of its own that never outlives the process that started it."""

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import grpc

from pipeline.beam.flink.jars import FlinkError

LOOPBACK = "127.0.0.1"
_KEEPER = Path(__file__).with_name("keeper.py")
_SECONDS_TO_START = 120
_SECONDS_TO_STOP = 15


def free_port() -> int:
    """A port on the loopback address that nobody listens on now."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        return taken.getsockname()[1]


class Service:
    """A command that runs until `stop`, or until this process is gone in whatever way."""

    def __init__(self, name: str, command: Sequence[str], log: Path | None) -> None:
        """Starts it.

        Args:
            name: for messages.
            command: the program and its arguments.
            log: gets what it prints; None: it prints where this process does.
        """
        self._name = name
        self._log = log
        with log.open("ab") if log else nullcontext() as out:
            # In a session of its own: Ctrl-C is for the run, which then stops this in order.
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_KEEPER), *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_for(self, port: int) -> None:
        """Returns when it answers on a port. Raises FlinkError where it ends or stays silent."""
        deadline = time.monotonic() + _SECONDS_TO_START
        with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
            ready = grpc.channel_ready_future(channel)
            while time.monotonic() < deadline:
                try:
                    return ready.result(0.2)
                except grpc.FutureTimeoutError:
                    self.check()
        raise FlinkError(self._failure(f"is silent after {_SECONDS_TO_START} s"))

    def check(self) -> None:
        """Raises FlinkError where it has ended by itself."""
        code = self._process.poll()
        if code is not None:
            raise FlinkError(self._failure(f"ended with code {code}"))

    def stop(self) -> None:
        """Ends it and waits until it is gone."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _failure(self, what: str) -> str:
        return f"{self._name} {what}; see {self._log or 'what it printed'}"
