"""`python -m benchmarks.serving.request_log`: what the request log costs an answer.

Two embedded servers on one model, one with a log, asked in turns; the ratios are what counts.
"""

import statistics
import tempfile
from pathlib import Path

from benchmarks import options
from benchmarks.serving.__main__ import (
    CLIENTS,
    export,
    in_turns,
    stop,
    throughput,
    write_image,
)
from benchmarks.serving.servers import Embedded


def main() -> None:
    rounds = 2 if options.quick(__doc__) else 15
    print("| model | measure | without log | with log | ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        image = write_image(folder / "xray.jpg")
        for kind in ("light", "vgg16"):
            model = export(folder / kind / "1", kind)
            log = f"--request_log={folder / 'log' / kind}"
            parties = [Embedded(model, image), Embedded(model, image, log)]
            times = in_turns(parties, "predict_image", rounds, calls=4)
            row(kind, "median ms", [1000 * statistics.median(part) for part in times])
            rates: list[list[float]] = [[], []]
            for _ in range(rounds):
                for party, found in zip(parties, rates, strict=True):
                    found.append(throughput(party, 4 * CLIENTS))
            row(kind, f"{CLIENTS} clients, X-rays/s", [statistics.median(part) for part in rates])
            stop(parties)


def row(kind: str, measure: str, values: list[float]) -> None:
    plain, logged = values
    print(f"| {kind} | {measure} | {plain:.2f} | {logged:.2f} | {logged / plain:.3f} |", flush=True)


if __name__ == "__main__":
    main()
