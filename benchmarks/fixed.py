"""`python -m benchmarks.fixed`: what a run of 60 films costs beside its arithmetic.

Draws docs/images/time.png: where the seconds of that run go, step by step.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib as mpl

from benchmarks import films, options, product
from benchmarks.serving.servers import Embedded

PLOT = Path("docs/images/time.png")
_FILMS = (48, 12)
_SETTINGS = (
    *product.NO_GATE,
    *product.NO_REPORT,
    *product.NO_AUGMENTATION,
    "train.epochs=2",
    "data.val_fraction=0.2",
)


def main() -> None:
    quick = options.quick(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        print(measured(Path(scratch), quick))


def measured(folder: Path, quick: bool) -> str:
    data = films.lay_out(folder / "xrays", *_FILMS)
    if quick:
        return options.table(("run of 60 films", "s"), [("thin", f"{thin(folder, data):.1f}")])
    real = product.run(folder / "real", data, _SETTINGS)
    again = product.run(folder / "real", data, _SETTINGS)
    small = thin(folder, data)
    learning = sum(trained(folder / "real").values())
    draw(real, learning)
    runs = [
        ("VGG-16 at 224 pixels", f"{real.total:.1f}", f"{real.total - learning:.1f}"),
        ("an eighth of its channels at 64 pixels", f"{small:.1f}", f"{small:.1f}"),
        ("the first again, all from the cache", f"{again.total:.1f}", f"{again.total:.1f}"),
    ]
    head = ("run of 60 films", "s", "s without features and epochs")
    commands = options.table(("command", "s"), answers(folder / "real", data))
    return f"{options.table(head, runs)}\n\n{commands}"


def thin(folder: Path, data: Path) -> float:
    """The seconds of a run that has next to no arithmetic."""
    return product.run(folder / "thin", data, (*_SETTINGS, *product.THIN)).total


def trained(folder: Path) -> dict[str, float]:
    """The seconds of features and epochs, as Trainer measured them."""
    model = product.artifact(folder, "Trainer", "model") / "Format-Serving"
    return json.loads((model / "assets.extra" / "training.json").read_text())["seconds"]


def answers(folder: Path, data: Path) -> list[tuple[str, ...]]:
    """Each command's seconds from the shell to its end; the best of three."""
    film = next((data / "test").rglob("*.jp*g"))
    model = max((folder / "runs" / product.RUN / "serving" / "pneumonia").iterdir())
    server = Embedded(model, film)
    try:
        asked = min(server.call("predict_image") for _ in range(5))
        commands = {
            "--help": ["--help"],
            "predict, one film": ["predict", str(film), "--server", server.address],
            "report": ["report", "--run", product.RUN],
            "promote --help": ["promote", "--help"],
            "data check, 60 films": ["data", "check", str(data)],
        }
        rows = [
            (f"`pneumonia {name}`", f"{best(words, folder):.2f}")
            for name, words in commands.items()
        ]
    finally:
        server.stop()
    return [*rows, ("the server's answer alone", f"{asked:.2f}")]


def best(words: list[str], folder: Path) -> float:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "cli", *words], cwd=folder, check=True, capture_output=True
        )
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def draw(cost: product.Cost, learning: float) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    steps = {step: seconds for step, seconds in cost.seconds.items() if seconds >= 0.1}
    rest = cost.total - sum(steps.values())
    names = ["start, imports and end", *steps]
    values = [rest, *steps.values()]
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    bars = axis.barh(names, values, color="#4c78a8", label="fixed")
    place = names.index("Trainer")
    axis.barh(
        ["Trainer"], [learning], left=values[place] - learning, color="#f58518", label="learning"
    )
    axis.bar_label(bars, fmt="%.1f", padding=3)
    axis.invert_yaxis()
    axis.set(xlabel="seconds", title=f"A run of 60 films: {cost.total:.0f} s")
    axis.legend(loc="lower right")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=110)


if __name__ == "__main__":
    main()
