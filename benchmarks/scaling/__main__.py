"""`python -m benchmarks.scaling`: each step's time, memory and bytes at 1x, 4x and 16x the films.

64 pixels and a thin network: what grows with the number of films is measured, not VGG-16. Prints a
table and draws docs/images/scaling.png.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

from benchmarks import options, product

PLOT = Path("docs/images/scaling.png")
FACTORS = (1, 4, 16)
SETTINGS = (*product.THIN, *product.NO_GATE, *product.NO_REPORT, "train.epochs=2")
STEPS = (
    "XrayExampleGen",
    "StatisticsGen",
    "Transform",
    "Augmenter",
    "Trainer",
    "Evaluator",
    "ServingCheck",
)


@dataclass(frozen=True)
class Cost:
    """One run's seconds, peak MB of all its processes, and MB written, by step."""

    seconds: dict[str, float]
    peak: dict[str, float]
    written: dict[str, float]


def main() -> None:
    quick = options.quick(__doc__)
    smallest, factors = (60, FACTORS[:2]) if quick else (1000, FACTORS)
    costs = {}
    for factor in factors:
        with tempfile.TemporaryDirectory() as folder:
            films = smallest * factor
            write_films(Path(folder) / "xrays", films)
            costs[films] = measured(Path(folder))
    print(table(costs))
    if not quick:
        draw(costs)


def write_films(folder: Path, count: int) -> None:
    """Smooth grey JPEGs of 256 x 256, all different, half of each class."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
        film = coarse.resize((256, 256), Image.Resampling.BICUBIC)
        name = "NORMAL/IM-{:07d}-0001.jpeg" if number % 2 else "PNEUMONIA/person{:07d}_virus_1.jpeg"
        path = folder / name.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        film.save(path, quality=80)


def measured(folder: Path) -> Cost:
    cost = product.run(folder, folder / "xrays", SETTINGS)
    artifacts = folder / "runs" / product.RUN / "artifacts"
    written = {
        step: sum(f.stat().st_size for f in (artifacts / step).rglob("*") if f.is_file()) / 1e6
        for step in STEPS
    }
    return Cost(cost.seconds, cost.peak, written)


def table(costs: dict[int, Cost]) -> str:
    """Values at each size, then what 1,000 more films cost between the smallest and the largest."""
    sizes = list(costs)
    heads = [f"{what} at {n}" for what in ("s", "peak MB", "MB written") for n in sizes]
    slopes = ["s / 1,000", "peak MB / 1,000", "MB written / 1,000"]
    rows = [["step", *heads, *slopes]]
    rows.append(["---"] * len(rows[0]))
    for step in STEPS:
        kinds = [
            [getattr(costs[n], kind).get(step, 0.0) for n in sizes]
            for kind in ("seconds", "peak", "written")
        ]
        per = [1000 * (values[-1] - values[0]) / (sizes[-1] - sizes[0]) for values in kinds]
        figures = [f"{value:.1f}" for values in [*kinds, per] for value in values]
        rows.append([step, *figures])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def draw(costs: dict[int, Cost]) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    panels = {"seconds": "seconds", "peak": "peak memory, MB", "written": "MB written"}
    for axis, (kind, title) in zip(axes, panels.items(), strict=True):
        for step in STEPS:
            values = [getattr(cost, kind).get(step, 0.0) for cost in costs.values()]
            axis.plot(list(costs), values, marker="o", label=step)
        axis.set(title=title, xlabel="films", ylim=(0, None), xticks=list(costs))
        axis.grid(alpha=0.3)
    axes[-1].legend(fontsize=8)
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=110)


if __name__ == "__main__":
    main()
