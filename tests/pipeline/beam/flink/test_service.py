"""A server beside a run ends with it, however the run ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.beam.flink.jars import FlinkError
from pipeline.beam.flink.service import Service, free_port

SLEEP = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
STARTER = """
import sys, time
from pathlib import Path
from pipeline.beam.flink.service import Service
service = Service("a server", sys.argv[2:], Path(sys.argv[1]))
time.sleep(600)
"""


PARENT = "import subprocess, sys; subprocess.run(sys.argv[1:])"


def process_in(log: Path) -> psutil.Process:
    """The one that wrote its id into the log."""
    for _ in range(200):
        if log.exists() and log.read_text().endswith("\n"):
            return psutil.Process(int(log.read_text()))
        time.sleep(0.1)
    raise AssertionError("it did not start")


def test_stop_ends_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    service = Service("a server", SLEEP, log)
    running = process_in(log)
    service.stop()
    assert not running.is_running()


def test_stop_ends_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    service = Service("a server", [sys.executable, "-c", PARENT, *SLEEP], log)
    running = process_in(log)
    service.stop()
    running.wait(timeout=5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_who_started_it(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(log), *SLEEP])
    running = process_in(log)
    os.kill(starter.pid, number)
    starter.wait()
    running.wait(timeout=20)


def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    service = Service("a server", [sys.executable, "-c", "raise SystemExit(7)"], log)
    with pytest.raises(FlinkError, match=r"a server ended with code 7; see .*log"):
        service.wait_for(free_port())
    service.stop()
