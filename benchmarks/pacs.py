"""`python -m benchmarks.pacs`: films a minute from a modality to the answers in a PACS.

Beside what the model server gives to a client that reads the same DICOM files, as many at once: one
asks for all of `cam`, one, as the gateway does, for the heat map without the overlay. Needs dcmtk's
storescu and storescp. Prints a table for RESULTS.md; all ways in turns. The seconds of the
processors hang less on what else the machine does.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import requests
from PIL import Image

from benchmarks import options
from benchmarks.films import XRAYS
from benchmarks.serving.servers import PATIENCE, free_port, published
from client import contract
from client.client import PneumoniaClient
from pipeline.datasets.synthetic.files import encode

AT_ONCE = 3  # the gateway's default
ORIGINALS = XRAYS.parent / "originals"


def main() -> None:
    rounds, films = (1, 12) if options.quick(__doc__) else (3, 120)
    rates: list[tuple[float, ...]] = []
    busy: list[tuple[float, ...]] = []
    with (
        tempfile.TemporaryDirectory() as name,
        published(folder := Path(name)) as server,
        gateway(server.address, folder) as (pid, listen, page),
    ):
        for number in range(rounds + 1):
            paths = draw(folder / f"films-{number}", films if number else 12)
            ways = [
                (os.getpid(), partial(asked, server.address, paths, overlay=True)),
                (os.getpid(), partial(asked, server.address, paths, overlay=False)),
                (pid, partial(passed, paths, listen, page)),
            ]
            round_rates, round_busy = [], []
            for process, way in ways:
                before = seconds(process, server.pid)
                round_rates.append(way())
                round_busy.append((seconds(process, server.pid) - before) / len(paths))
            rates.append(tuple(round_rates))
            busy.append(tuple(round_busy))
    head = ("", "a client", "without overlay", "C-STORE to C-STORE", "ratio", "without overlay")
    print(options.table(head, rows(rates, busy)))


def rows(rates: list[tuple[float, ...]], busy: list[tuple[float, ...]]) -> list[tuple[str, ...]]:
    """The medians, without the first round, which warms up."""
    found: list[tuple[str, ...]] = []
    for name, pairs in (("films a minute", rates), ("processor ms a film", busy)):
        scale = 1000 if pairs is busy else 1
        medians = [scale * statistics.median(column) for column in zip(*pairs[1:], strict=True)]
        ratios = [statistics.median(row[-1] / row[place] for row in pairs[1:]) for place in (0, 1)]
        shown = [f"{median:.0f}" for median in medians] + [f"{ratio:.2f}" for ratio in ratios]
        found.append((name, *shown))
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
    """DICOM films of so many patients: real X-rays in the size in which they were taken."""
    folder.mkdir()
    paths = [folder / f"{number}.dcm" for number in range(count)]
    for path, source in zip(paths, sorted(ORIGINALS.rglob("*.jp*g")), strict=False):
        with Image.open(source) as film:
            grey = np.asarray(film.convert("L")).astype(np.uint16) << np.uint16(4)  # twelve bits
        path.write_bytes(encode(grey, "monochrome2", str(path), 0))
    return paths


def asked(address: str, paths: list[Path], *, overlay: bool) -> float:
    """Films a minute of a client that wants heat maps."""
    start = time.perf_counter()
    with PneumoniaClient(address, timeout=PATIENCE) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        outputs = client.metadata().signatures[contract.CAM].outputs.keys()
        wanted = () if overlay else sorted(outputs - {contract.LUNGS, contract.OVERLAY})
        ask = partial(client.predict, cam=True, outputs=wanted)
        assert all(answer.heatmap is not None for answer in pool.map(ask, paths))
    return 60 * len(paths) / (time.perf_counter() - start)


def passed(paths: list[Path], listen: int, page: str) -> float:
    """Films a minute from the first C-STORE until all answers are stored."""
    there = stored(page)
    start = time.perf_counter()
    command = ["storescu", "-aet", "STORESCU", "-aec", "PNEUMONIA", "127.0.0.1", str(listen)]
    subprocess.run([*command, *map(str, paths)], check=True)
    while stored(page) < there + len(paths):
        time.sleep(0.5)  # to ask costs the gateway something
    return 60 * len(paths) / (time.perf_counter() - start)


def stored(page: str) -> int:
    lines = requests.get(f"{page}/metrics", timeout=PATIENCE).text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if 'films{state="stored"}' in line)


@contextmanager
def gateway(server: str, folder: Path) -> Iterator[tuple[int, int, str]]:
    """A gateway's process, DICOM port and page, and a PACS that keeps nothing."""
    listen, http, pacs = free_port(), free_port(), free_port()
    # +xa: JPEG, too, as a PACS does
    sink = ["storescp", "--ignore", "+xa", "-aet", "SINK", str(pacs)]
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
