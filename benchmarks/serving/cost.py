"""`python -m benchmarks.serving.cost`: what the request log, or a former commit, costs an answer.

Embedded servers on one model, asked in turns; the ratios to the first one are what counts.
"""

import argparse
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.options import table
from benchmarks.serving.__main__ import CLIENTS, export, in_turns, stop, throughput
from benchmarks.serving.servers import Embedded, write_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rehearsal; its figures say little")
    parser.add_argument("--former", metavar="COMMIT", help="serve with that commit's code, too")
    args = parser.parse_args()
    rounds = 2 if args.quick else 15
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as scratch, code_of(args.former) as former:
        folder = Path(scratch)
        image = write_image(folder / "xray.jpg")
        for kind in ("light", "vgg16"):
            model = export(folder / kind / "1", kind)
            log = f"--request_log={folder / 'log' / kind}"
            parties = {"plain": Embedded(model, image), "with log": Embedded(model, image, log)}
            if former:
                parties[args.former] = Embedded(model, image, code=former)
            rows += measured(kind, parties, rounds)
            stop(list(parties.values()))
    print(table(("model", "server", "median ms", "ratio", "X-rays/s", "ratio"), rows))


def measured(kind: str, parties: dict[str, Embedded], rounds: int) -> list[tuple[str, ...]]:
    """Median latency of one caller, throughput of many."""
    asked = list(parties.values())
    times = in_turns(asked, "predict_image", rounds, calls=4)
    rates: list[list[float]] = [[] for _ in asked]
    for _ in range(rounds):
        for party, found in zip(asked, rates, strict=True):
            found.append(throughput(party, 4 * CLIENTS))
    latency = [1000 * statistics.median(part) for part in times]
    rate = [statistics.median(part) for part in rates]
    return [
        (kind, name, f"{ms:.2f}", f"{ms / latency[0]:.3f}", f"{many:.1f}", f"{many / rate[0]:.3f}")
        for name, ms, many in zip(parties, latency, rate, strict=True)
    ]


@contextmanager
def code_of(commit: str | None) -> Iterator[Path | None]:
    """A folder with that commit's code."""
    if commit is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["git", "worktree", "add", "-q", "--detach", scratch, commit], check=True)
        try:
            yield Path(scratch)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", scratch], check=True)


if __name__ == "__main__":
    main()
