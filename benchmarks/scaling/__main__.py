"""`python -m benchmarks.scaling`: each step's time, memory and bytes at 1x, 4x and 16x the films.

64 pixels and a thin network: what grows with the number of films is measured, not VGG-16. Prints a
table and draws docs/images/scaling.png.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
import psutil
from PIL import Image

PLOT = Path("docs/images/scaling.png")
FACTORS = (1, 4, 16)
SETTINGS = (
    "image.size=64",
    "model.weights=random",
    "model.width=0.125",
    "train.epochs=2",
    "gate.recall=0",
    "gate.recall_lower_bound=0",
    "gate.precision=0",
)
STEPS = (
    "XrayExampleGen",
    "StatisticsGen",
    "Transform",
    "Augmenter",
    "Trainer",
    "Evaluator",
    "ServingCheck",
)
DONE = re.compile(r"✓ (\w+) ([\d.]+) s")


@dataclass
class Cost:
    """One run's seconds, peak MB of all its processes, and MB written, by step."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", type=int, default=1000, help="at 1x (default: 1000)")
    parser.add_argument("--workers", type=int, default=1, help="processes of the direct runner")
    parser.add_argument("--rounds", type=int, help="ignored: the slope is over three sizes")
    options = parser.parse_args()
    costs = {}
    for factor in FACTORS:
        with tempfile.TemporaryDirectory() as folder:
            films = options.films * factor
            write_films(Path(folder) / "xrays", films)
            costs[films] = measured(Path(folder), options.workers)
    print(table(costs))
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


def measured(folder: Path, workers: int) -> Cost:
    settings = [word for value in SETTINGS for word in ("--set", value)]
    run = subprocess.Popen(
        [
            *(sys.executable, "-m", "cli", "run", "--data", "xrays", *settings),
            *("--set", f"beam.workers={workers}"),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    cost, now, over = Cost(), [""], threading.Event()
    watch = threading.Thread(target=watch_memory, args=(run.pid, cost.peak, now, over))
    watch.start()
    for line in run.stdout or ():
        if line.strip() in STEPS:
            now[0] = line.strip()
        elif found := DONE.search(line):
            cost.seconds[found[1]] = float(found[2])
            now[0] = ""
    over.set()
    watch.join()
    if run.wait():
        raise SystemExit(f"the run failed, exit code {run.returncode}")
    for step in STEPS:
        files = (folder / "runs/default/artifacts" / step).rglob("*")
        cost.written[step] = sum(f.stat().st_size for f in files if f.is_file()) / 1e6
    return cost


def watch_memory(pid: int, peak: dict[str, float], step: list[str], over: threading.Event) -> None:
    """Keeps the largest sum of resident memory, in MB, of the run's processes in each step."""
    while not over.wait(0.2):
        try:
            root = psutil.Process(pid)
            resident = sum(p.memory_info().rss for p in [root, *root.children(recursive=True)])
        except psutil.NoSuchProcess:
            continue
        if step[0]:
            peak[step[0]] = max(peak.get(step[0], 0), resident / 1e6)


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
