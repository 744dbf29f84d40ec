"""A Flink cluster of processes on this machine, which a test may kill."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from tests.flink.processes import LOOPBACK, free_port, java, started

MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

# Flink's own scripts compute these; its main classes want them said.
_MEMORY = {
    "taskmanager.cpu.cores": "2.0",
    "taskmanager.memory.framework.heap.size": "64m",
    "taskmanager.memory.framework.off-heap.size": "64m",
    "taskmanager.memory.jvm-metaspace.size": "192m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
    "taskmanager.memory.task.heap.size": "256m",
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.managed.size": "64m",
    "taskmanager.memory.network.min": "32m",
    "taskmanager.memory.network.max": "32m",
    "taskmanager.network.sort-shuffle.min-parallelism": "1000",  # see docs/scaling.md
}


class Cluster:
    """Its master's address, and its task managers by number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = ExitStack()
        self._rpc, rest = free_port(), free_port()
        self.master = f"{LOOPBACK}:{rest}"
        (folder / "flink-conf.yaml").write_text(
            f"rest.address: {LOOPBACK}\nrest.bind-address: {LOOPBACK}\nrest.port: {rest}\n"
            + f"jobmanager.bind-host: {LOOPBACK}\ntaskmanager.bind-host: {LOOPBACK}\n"
            + f"jobmanager.rpc.address: {LOOPBACK}\njobmanager.rpc.port: {self._rpc}\n"
            + f"taskmanager.host: {LOOPBACK}\ntaskmanager.numberOfTaskSlots: 2\n"
            + "cluster.evenly-spread-out-slots: true\n"
            # A lost task manager is missed in seconds, not in the minute that is usual.
            + "heartbeat.interval: 1000\nheartbeat.timeout: 8000\n"
            + "".join(f"{name}: {value}\n" for name, value in _MEMORY.items())
        )

    def start(self, task_managers: int) -> None:
        """Returns when all of them have registered."""
        self._java("manager", MANAGER)
        for number in range(task_managers):
            self._java(f"task-manager-{number}", WORKER)
        deadline = time.monotonic() + 120
        while self._registered() < task_managers:
            assert time.monotonic() < deadline, f"no cluster; see {self._folder}"
            time.sleep(0.5)

    def kill_task_manager_of(self, worker: int) -> None:
        """Kills the one that a worker process is connected to."""
        ports = {c.raddr.port for c in psutil.Process(worker).net_connections() if c.raddr}
        (manager,) = (
            process
            for process in psutil.process_iter(["cmdline"])  # passes over what has just ended
            if WORKER in (process.info["cmdline"] or ())
            and ports & {c.laddr.port for c in process.net_connections() if c.status == "LISTEN"}
        )
        manager.kill()

    def stop(self) -> None:
        self._started.close()

    def _java(self, name: str, main: str) -> None:
        command = java(main, "--configDir", str(self._folder), heap="384m")
        self._started.enter_context(started(command, self._folder / f"{name}.log"))

    def _registered(self) -> int:
        try:
            with urllib.request.urlopen(f"http://{self.master}/taskmanagers", timeout=5) as answer:
                return len(json.load(answer)["taskmanagers"])
        except OSError:
            return 0


@contextmanager
def running(folder: Path, task_managers: int = 2) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        cluster.start(task_managers)
        yield cluster
    finally:
        cluster.stop()
