"""`python -m benchmarks.scaling.flink`: memory on Apache Flink at 1x, 4x and 16x the films.

Of the largest of Beam's worker processes, and of the Java that Flink runs in, step by step: images
go through files and only keys are shuffled, so neither may grow with the number of films.
"""

import tempfile
from pathlib import Path

from benchmarks import options, product
from benchmarks.scaling.__main__ import FACTORS, SETTINGS, write_films

STEPS = ("XrayExampleGen", "StatisticsGen", "Transform", "Augmenter", "Evaluator")
KINDS = {"worker": "largest worker", "java": "Java"}


def main() -> None:
    smallest = 60 if options.quick(__doc__) else 1000
    costs = {}
    for factor in FACTORS:
        with tempfile.TemporaryDirectory() as folder:
            films = smallest * factor
            write_films(Path(folder) / "xrays", films)
            settings = (*SETTINGS, "beam.runner=flink", "beam.workers=2")
            data = Path(folder) / "xrays"
            costs[films] = product.run(Path(folder), data, settings, until=STEPS[-1])
    print(table(costs))


def table(costs: dict[int, product.Cost]) -> str:
    """Seconds and peaks by step and over all of them; the last columns are ratios, 16x to 1x."""
    sizes = list(costs)
    whats = ["s", *(f"{kind}, MB" for kind in KINDS.values())]
    head = ("step", *(f"{what} at {n}" for what in whats for n in sizes))
    ratios = tuple(f"{kind}, {FACTORS[-1]}x / 1x" for kind in KINDS.values())
    rows = []
    for step in (*STEPS, "peak of all"):
        steps = STEPS if step not in STEPS else (step,)
        seconds = [sum(costs[n].seconds.get(one, 0.0) for one in steps) for n in sizes]
        peaks = [
            [max(costs[n].largest.get((one, kind), 0.0) for one in steps) for n in sizes]
            for kind in KINDS
        ]
        figures = [f"{value:.1f}" for value in seconds]
        figures += [f"{value:.0f}" for values in peaks for value in values]
        figures += [f"{values[-1] / values[0]:.2f}" for values in peaks]
        rows.append((step, *figures))
    return options.table((*head, *ratios), rows)


if __name__ == "__main__":
    main()
