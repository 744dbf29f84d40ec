"""`python -m benchmarks.serving`: the embedded server beside direct calls and beside FastAPI.

Prints a table for RESULTS.md. Everything is measured in turns in one run, so that the machine's
moods hit all alike; the ratios are what counts.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.serving.servers import Direct, Embedded, Peer, write_image

CLIENTS = 4
Together = tuple[float, float, float]


def main() -> None:
    rounds = 1 if options.quick(__doc__) else 5
    print("| measure | direct | embedded | FastAPI | embedded / direct | embedded / FastAPI |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for measure, values in measures(Path(folder), rounds):
            print(row(measure, values), flush=True)


def measures(folder: Path, rounds: int) -> Iterator[tuple[str, Together]]:
    image = write_image(folder / "xray.jpg")
    kinds = [Direct, Embedded, Peer]
    light, heavy = (export(folder / kind / "1", kind) for kind in ("light", "vgg16"))

    parties: list[Any] = [kind(heavy, image) for kind in kinds]
    yield "VGG-16, start to first answer, s", together(p.first_answer for p in parties)
    times = in_turns(parties, "predict_image", rounds, calls=4)
    yield "VGG-16, predict_image, median ms", together(1000 * statistics.median(t) for t in times)
    cams = in_turns(parties, "cam", rounds, calls=4)
    yield "VGG-16, cam, median ms", together(1000 * statistics.median(t) for t in cams)
    rates = [[throughput(p, 4 * CLIENTS) for p in parties] for _ in range(rounds)]
    best = [statistics.median(column) for column in zip(*rates, strict=True)]
    yield f"VGG-16, {CLIENTS} clients, X-rays/s", together(best)
    stop(parties)

    parties = [kind(light, image) for kind in kinds]
    times = in_turns(parties, "predict_image", rounds, calls=20)
    yield (
        "no network, predict_image, median ms",
        together(1000 * statistics.median(t) for t in times),
    )
    stop(parties)


def in_turns(parties: list[Any], signature: str, rounds: int, calls: int) -> list[list[float]]:
    """The seconds of every single call, by party."""
    for party in parties:
        party.call(signature)
    times: list[list[float]] = [[] for _ in parties]
    for _ in range(rounds * calls):
        for party, seconds in zip(parties, times, strict=True):
            seconds.append(party.call(signature))
    return times


def throughput(party: Any, calls: int) -> float:
    """Calls a second; several clients at once, but directly in one loop."""
    if isinstance(party, Direct):
        return calls / party.call("predict_image", calls)
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _: party.call("predict_image"), range(calls)))
    return calls / (time.perf_counter() - start)


def together(values: Any) -> Together:
    direct, embedded, peer = values
    return direct, embedded, peer


def row(measure: str, values: Together) -> str:
    direct, embedded, peer = values
    cells = [f"{value:.1f}" for value in values]
    cells += [f"{embedded / direct:.2f}", f"{embedded / peer:.2f}"]
    return f"| {measure} | {' | '.join(cells)} |"


def export(folder: Path, kind: str) -> Path:
    command = [sys.executable, "-m", "benchmarks.serving.model", str(folder), kind]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def stop(parties: list[Any]) -> None:
    for party in parties:
        party.stop()


if __name__ == "__main__":
    main()
