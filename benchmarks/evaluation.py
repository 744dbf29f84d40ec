"""`python -m benchmarks.evaluation`: TFMA's whole Evaluator beside predicting in a plain loop."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import films, options, product
from components import names

_SETTINGS = (
    *product.NO_AUGMENTATION,
    "model.first_trainable=head",
    "train.epochs=1",
)


def main() -> None:
    quick = options.quick(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        print(measured(Path(scratch), *((40, 40, 1) if quick else (120, 600, 3))))


def measured(folder: Path, train: int, test: int, rounds: int) -> str:
    data = films.lay_out(folder / "xrays", train, test)
    evaluator, loops = [], []
    for number in range(rounds):
        # Another threshold is another Evaluator's configuration: only this step runs again.
        gate = f"gate.recall={0.001 * number}"
        cost = product.run(folder, data, (*_SETTINGS, *product.NO_GATE, gate), until="Evaluator")
        evaluator.append(cost.seconds["Evaluator"])
        loops.append(loop(folder))
    count = len(list((data / "test").rglob("*.*")))
    whole, plain = statistics.median(evaluator), statistics.median(loops)
    rows = [
        (
            f"{count}",
            f"{plain:.1f}",
            f"{whole:.1f}",
            f"{whole / plain:.2f}",
            f"{whole - 1.2 * plain:.1f}",
        )
    ]
    head = ("films", "plain loop, s", "Evaluator, s", "ratio", "Evaluator beyond 1.2 loops, s")
    return options.table(head, rows)


def loop(folder: Path) -> float:
    """The seconds of predicting the test split in a process of its own, its imports left out."""
    command = [
        *(sys.executable, "-m", "benchmarks.peers.predict"),
        str(product.artifact(folder, "Trainer", "model") / "Format-Serving"),
        str(product.artifact(folder, "XrayExampleGen", "examples") / f"Split-{names.TEST}"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
