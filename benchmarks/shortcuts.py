"""`python -m benchmarks.shortcuts`: what a run's model looks at, on its own held-out films.

What the gate asks of a sample (components/counterfactuals) is asked of all test films, or of some.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import tensorflow as tf

from components.counterfactuals.component import judge
from components.counterfactuals.figures import BOUNDS
from components.examples import Split

_HEAD = ("change", "films", "decisions changed", "95 %", "pull", "95 %", "AUC")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--run", type=Path, default=Path("runs/kermany"), help="folder of a finished run"
    )
    parser.add_argument("--films", type=int, default=10**6, help="at most so many (default: all)")
    parser.add_argument("--quick", action="store_true", help="20 films")
    options = parser.parse_args()
    split = Split(newest(options.run / "artifacts" / "XrayExampleGen" / "examples") / "Split-test")
    model = tf.saved_model.load(str(newest(options.run / "serving" / "pneumonia")))
    films = 20 if options.quick else options.films
    with tempfile.TemporaryDirectory() as pictures:
        found = judge(model, split, films, 0, dict.fromkeys(BOUNDS), Path(pictures))
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for row in found.rows:
        ranges = ["{:.3f} to {:.3f}".format(*i) for i in (row.changed_interval, row.shift_interval)]
        print(
            f"| {row.change} | {row.films} | {row.changed:.4f} | {ranges[0]} | {row.shift:.4f} "
            f"| {ranges[1]} | {row.auc:.4f} |"
        )
    for figure in found.figures:
        print(f"\n{figure.title}: {figure.text} ({figure.interval_text})")
    return 0


def newest(folder: Path) -> Path:
    """The highest version or execution in a folder."""
    return max(
        (path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
    )


if __name__ == "__main__":
    sys.exit(main())
