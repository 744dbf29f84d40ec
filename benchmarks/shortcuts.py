"""`python -m benchmarks.shortcuts`: what a run's model looks at, on its own held-out films.

A model that knows pneumonia by its lungs does not mind when the healthy films carry the sick ones'
sharpness, compression, borders and aspect, and the sick ones theirs; nor a mild fault of a film.
Films that look like the other class as they are (a quarter of each class) are judged apart, too:
swapped, they go further than most real films do.
"""

import argparse
import functools
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from benchmarks.ablation import looks, nuisances
from benchmarks.ablation.experiment import Score, measure
from components import names
from components.examples import Split, batches, parsed
from components.stress import corruptions
from components.stress.component import sample

_MILD = (1, 2)  # of five strengths
_FEWER = 200  # films for each corruption
_HEAD = ("films", "count", "AUC", "sensitivity at 90 %", "sensitivity", "specificity", "ECE")

Change = Callable[[bytes, int], bytes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--run", type=Path, default=Path("runs/kermany"), help="folder of a finished run"
    )
    parser.add_argument("--quick", action="store_true", help="clean and swapped only")
    options = parser.parse_args()
    split = Split(newest(options.run / "artifacts" / "XrayExampleGen" / "examples") / "Split-test")
    labels = np.array(split.labels())
    model = tf.saved_model.load(str(newest(options.run / "serving" / "pneumonia")))
    everything = list(range(len(labels)))
    unlike = _unlike(split, labels)
    fewer = sample(labels, _FEWER, seed=0)
    changes: list[tuple[str, list[int], Change]] = [
        ("clean", everything, lambda image, _: image),
        ("clean, of unlike look", unlike, lambda image, _: image),
        ("looks swapped", everything, nuisances.swap),
        ("looks swapped, of unlike look", unlike, nuisances.swap),
        ("clean", fewer, lambda image, _: image),
    ]
    if not options.quick:
        changes += [
            (f"{look} alone swapped", fewer, functools.partial(nuisances.swap, looks=[look]))
            for look in nuisances.LOOKS
        ]
        changes += [
            (f"{name}, strength {strength}", fewer, corruption(name, strength))
            for name in corruptions.CORRUPTIONS
            for strength in _MILD
        ]
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}", flush=True)
    for name, positions, change in changes:
        films = ((parsed([r])[names.IMAGE][0]) for r in chosen(split, set(positions)))
        found = score(model, films, labels[positions], change, name)
        figures = (found.auc, found.sensitivity_at_90, found.sensitivity, found.specificity)
        row = " | ".join(f"{figure:.4f}" for figure in (*figures, found.ece))
        print(f"| {name} | {len(positions)} | {row} |", flush=True)
    return 0


def newest(folder: Path) -> Path:
    """The highest version or execution in a folder."""
    return max(
        (path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
    )


def _unlike(split: Split, labels: np.ndarray) -> list[int]:
    """Positions of the films that look most like the other class."""
    read = [parsed([record]) for record in split.records()]
    described = np.stack([looks.describe(film[names.IMAGE][0]) for film in read])
    patients = [film[names.PATIENT_ID][0] for film in read]
    return np.flatnonzero(
        looks.unlikeness(described, labels, patients) >= 1 - looks.UNLIKE
    ).tolist()


def chosen(split: Split, positions: set[int]) -> Iterator[bytes]:
    """The records at these positions, in the split's order."""
    return (record for place, record in enumerate(split.records()) if place in positions)


def score(
    model: Any, films: Iterator[bytes], labels: np.ndarray, change: Change, name: str
) -> Score:
    """Asks a SavedModel of changed films; the threshold is its own."""
    changed = (change(film, int(label)) for film, label in zip(films, labels, strict=True))
    probabilities, threshold = [], 0.0
    with tqdm(total=len(labels), desc=name, unit="film", file=sys.stderr, leave=False) as bar:
        for batch in batches(changed):
            answer = model.signatures[names.PREDICT_IMAGE](tf.constant(batch))
            probabilities.append(answer[names.PROBABILITY].numpy())
            threshold = float(answer[names.THRESHOLD][0])
            bar.update(len(batch))
    return measure(np.concatenate(probabilities), labels, threshold)


def corruption(name: str, strength: int) -> Change:
    """A corruption of the robustness report, as a change of an encoded film."""

    def change(image: bytes, _: int) -> bytes:
        film = np.asarray(Image.open(io.BytesIO(image)).convert("L"))
        worse = Image.fromarray(corruptions.corrupt(film, name, strength))
        file = io.BytesIO()
        worse.save(file, "PNG", compress_level=1)
        return file.getvalue()

    return change


if __name__ == "__main__":
    sys.exit(main())
