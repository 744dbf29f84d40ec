"""`python -m benchmarks.pacs`: films a minute from a modality to the answers in a PACS.

Beside what the model server gives to a client that reads the same DICOM files, as many at once.
Needs dcmtk's storescu and storescp. Prints a table for RESULTS.md; both ways in turns. The seconds
of the processors hang less on what else the machine does.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import requests

from benchmarks import options
from benchmarks.serving.__main__ import write_image
from benchmarks.serving.servers import PATIENCE, Embedded, free_port
from client.client import PneumoniaClient
from pipeline import pretrained
from pipeline.datasets.synthetic.files import encode

AT_ONCE = 2  # the gateway's default
SIZE = (1400, 1120)


def main() -> None:
    rounds, films = (1, 12) if options.quick(__doc__) else (5, 60)
    rates: list[tuple[float, float]] = []
    busy: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pretrained.unpack(folder / "models")
        (model,) = (folder / "models").iterdir()
        server = Embedded(model, write_image(folder / "xray.jpg"))
        try:
            with gateway(server.address, folder) as (pid, listen, page):
                for number in range(rounds + 1):
                    paths = draw(folder / f"films-{number}", films)
                    ticks = [seconds(os.getpid(), server.pid)]
                    rate = asked(server.address, paths)
                    ticks += [seconds(os.getpid(), server.pid), seconds(pid, server.pid)]
                    rates.append((rate, passed(paths, listen, page)))
                    ticks.append(seconds(pid, server.pid))
                    busy.append(((ticks[1] - ticks[0]) / films, (ticks[3] - ticks[2]) / films))
        finally:
            server.stop()
    print(options.table(("", "a client", "C-STORE to C-STORE", "ratio"), rows(rates, busy)))


def rows(
    rates: list[tuple[float, float]], busy: list[tuple[float, float]]
) -> list[tuple[str, ...]]:
    """The medians, without the first round, which warms up."""
    found: list[tuple[str, ...]] = []
    for name, pairs in (("films a minute", rates), ("processor ms a film", busy)):
        scale = 1000 if pairs is busy else 1
        one, two = (scale * statistics.median(column) for column in zip(*pairs[1:], strict=True))
        ratio = statistics.median(b / a for a, b in pairs[1:])
        found.append((name, f"{one:.0f}", f"{two:.0f}", f"{ratio:.2f}"))
    return found


def seconds(*pids: int) -> float:
    """Of the processors, by these processes and those that they started."""
    total = 0.0
    for pid in pids:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children()):
            if process.pid == pid or "decoding_worker" in " ".join(process.cmdline()):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def draw(folder: Path, count: int) -> list[Path]:
    """DICOM films of so many patients."""
    folder.mkdir()
    paths = [folder / f"{number}.dcm" for number in range(count)]
    for path in paths:
        seed = int.from_bytes(path.parent.name.encode()[-2:] + path.stem.encode())
        noise = np.random.default_rng(seed).normal(2048, 400, SIZE).clip(0, 4095)
        path.write_bytes(encode(noise.astype(np.uint16), "monochrome2", str(path), 0))
    return paths


def asked(address: str, paths: list[Path]) -> float:
    """Films a minute of a client that wants heat maps."""
    start = time.perf_counter()
    with PneumoniaClient(address, timeout=PATIENCE) as client:
        for outcome in client.stream(paths, cam=True, concurrency=AT_ONCE):
            assert outcome.prediction, outcome.error
    return 60 * len(paths) / (time.perf_counter() - start)


def passed(paths: list[Path], listen: int, page: str) -> float:
    """Films a minute from the first C-STORE until all answers are stored."""
    there = stored(page)
    start = time.perf_counter()
    command = ["storescu", "-aet", "STORESCU", "-aec", "PNEUMONIA", "127.0.0.1", str(listen)]
    subprocess.run([*command, *map(str, paths)], check=True)
    while stored(page) < there + len(paths):
        time.sleep(1)  # to ask costs the gateway something
    return 60 * len(paths) / (time.perf_counter() - start)


def stored(page: str) -> int:
    lines = requests.get(f"{page}/metrics", timeout=PATIENCE).text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if 'films{state="stored"}' in line)


@contextmanager
def gateway(server: str, folder: Path) -> Iterator[tuple[int, int, str]]:
    """A gateway's process, DICOM port and page, and a PACS that keeps nothing."""
    listen, http, pacs = free_port(), free_port(), free_port()
    sink = ["storescp", "--ignore", "-aet", "SINK", str(pacs)]
    command = [sys.executable, "-m", "cli", "pacs", "--queue", str(folder / "queue")]
    command += ["--server", server, "--timeout", str(PATIENCE), "--pacs", f"SINK@127.0.0.1:{pacs}"]
    command += ["--listen", str(listen), "--caller", "STORESCU", "--http", str(http)]
    with (folder / "gateway.log").open("wb") as log:
        started = [subprocess.Popen(words, stdout=log, stderr=log) for words in (sink, command)]
    page = f"http://127.0.0.1:{http}"
    try:
        wait(f"{page}/healthz")
        yield started[1].pid, listen, page
    finally:
        for process in started:
            process.terminate()
            process.wait()


def wait(url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if requests.get(url, timeout=PATIENCE).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise TimeoutError(url)


if __name__ == "__main__":
    main()
