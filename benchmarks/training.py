"""`python -m benchmarks.training`: from image files to best weights, beside plain Keras.

Both see the same films in the same splits, freeze blocks 1 to 4 and train block 5 and the head for
five epochs. The clock runs from the start of the process to the best weights, imports and all.

Draws docs/images/training.png: where the seconds go.
"""

import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks import films, options, product
from benchmarks.fixed import trained
from benchmarks.process import Observed
from components import names
from components.statistics import area_under_roc, newcombe

PLOT = Path("docs/images/training.png")
_COLOURS = {"features": "#f58518", "epochs": "#4c78a8", "all else": "#bab0ac"}


@dataclass(frozen=True)
class Trained:
    """Seconds to the best weights, peak MB, and AUC on the held-out films with its interval."""

    seconds: float
    peak: float
    auc: float
    interval: tuple[float, float]


def main() -> None:
    quick = options.quick(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        print(measured(Path(scratch), quick))


def measured(folder: Path, quick: bool) -> str:
    train, test, epochs = (60, 40, 1) if quick else (1110, 400, 5)
    alike = (
        *product.NO_AUGMENTATION,
        *product.NO_GATE,
        "data.file_names=true",  # by which the peer gets the same films in the same splits
        f"train.epochs={epochs}",
        "train.patience=5",
    )
    data = films.lay_out(folder / "xrays", train, test)
    rows: list[tuple[str, ...]] = []
    parts: dict[str, dict[str, float]] = {}

    def ours(name: str, where: str, *settings: str) -> None:
        cost = product.run(folder / where, data, (*alike, *settings), until="Trainer")
        show(name, Trained(cost.total, max(cost.peak.values()), *judged(folder / where)))
        learning = trained(folder / where)
        parts[name] = {**learning, "all else": cost.total - sum(learning.values())}

    def show(name: str, one: Trained) -> None:
        low, high = one.interval
        ratio = f"{peer.seconds / one.seconds:.2f}"
        auc = f"{one.auc:.4f} ({low:.3f}–{high:.3f})"
        rows.append((name, f"{one.seconds:.0f}", ratio, auc, f"{one.peak:.0f}"))
        print(*rows[-1], sep=", ", file=sys.stderr, flush=True)

    ingest = product.run(folder / "split", data, alike, until="XrayExampleGen")
    assert "XrayExampleGen" in ingest.seconds
    examples = product.artifact(folder / "split", "XrayExampleGen", "examples")
    split = films.as_split(examples, data, folder / "split-xrays")

    peer = plain_keras(split, folder / "peer", epochs)
    show("plain Keras", peer)
    ours("this pipeline", "alike")
    ours("again with another learning rate", "alike", "train.learning_rate=2e-4")
    if not quick:
        ours("features in int8", "int8", "train.int8_features=true")
        ours("float32 throughout", "float32", "train.precision=float32")
        ours("block5_conv3 and head alone", "conv3", "model.first_trainable=block5_conv3")
        head_alone = ("model.first_trainable=head", "train.learning_rate=0.001")
        ours("head alone", "head", *head_alone)
        draw(parts)
    counts = " / ".join(str(len(list((split / name).rglob("*.*")))) for name in names.SPLITS)
    head = ("training", "s", "plain Keras / this", "AUC on held-out patients", "peak MB")
    return (
        f"Films for training / validation / held out: {counts}.\n\n"
        f"{options.table(head, rows)}\n\n{disk(folder / 'alike')}"
    )


def plain_keras(split: Path, folder: Path, epochs: int) -> Trained:
    folder.mkdir()
    scores = folder / "scores.npz"
    command = [sys.executable, "-m", "benchmarks.peers.plain_keras", str(split), str(scores)]
    command += [f"--epochs={epochs}"]
    observed = Observed(command, Path.cwd(), folder / "stderr.log")
    seconds = peak = 0.0
    for line in observed.lines():
        if line == "trained":
            seconds, peak = observed.seconds, observed.peak
    if observed.wait():
        raise SystemExit(f"plain Keras failed: {(folder / 'stderr.log').read_text()[-2000:]}")
    with np.load(scores) as found:
        return Trained(seconds, peak, *auc(found["probability"], found["labels"]))


def judged(folder: Path) -> tuple[float, tuple[float, float]]:
    """The AUC of the run's model on its test split."""
    import tensorflow as tf

    from components.examples import Split, batches

    examples = product.artifact(folder, "XrayExampleGen", "examples")
    split = Split(examples / f"Split-{names.TEST}")
    model = tf.saved_model.load(
        str(product.artifact(folder, "Trainer", "model") / "Format-Serving")
    )
    answers = [
        model.signatures[names.PREDICT_IMAGE](tf.constant(batch))[names.PROBABILITY].numpy()
        for batch in batches(split.all_images())
    ]
    return auc(np.concatenate(answers), np.array(split.labels()))


def auc(probability: np.ndarray, labels: np.ndarray) -> tuple[float, tuple[float, float]]:
    area = area_under_roc(probability, labels)
    sick = int(labels.sum())
    return area, newcombe(area, sick, len(labels) - sick)


def draw(trainings: dict[str, dict[str, float]]) -> None:
    """Bars of the seconds of each training, by what they went into."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 3.5), layout="constrained")
    for name, parts in trainings.items():
        left = 0.0
        for part, colour in _COLOURS.items():
            axis.barh(name, parts[part], left=left, color=colour)
            left += parts[part]
        axis.text(left, name, f" {left:.0f}", va="center")
    for part, colour in _COLOURS.items():
        axis.barh(next(iter(trainings)), 0, color=colour, label=part)
    axis.invert_yaxis()
    axis.set(xlabel="seconds")
    axis.margins(x=0.1)
    figure.legend(loc="outside upper center", ncols=len(_COLOURS))
    figure.savefig(PLOT, dpi=110)


def disk(folder: Path) -> str:
    """What a version and a film's features take, and what packing the features would save."""
    model = product.artifact(folder, "Trainer", "model") / "Format-Serving"
    version = sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6
    shard = max(
        (folder / "runs" / product.RUN / "cache").rglob("*.npy"), key=lambda p: p.stat().st_size
    )
    content, count = shard.read_bytes(), len(np.load(shard, mmap_mode="r")["features"][0])
    began = time.perf_counter()
    packed = zlib.compress(content, 1)
    packing = time.perf_counter() - began
    began = time.perf_counter()
    zlib.decompress(packed)
    unpacking = time.perf_counter() - began
    return (
        f"A version takes {version:.1f} MB. A film's features take "
        f"{len(content) / count / 1e3:.0f} kB; packed by zlib (level 1) "
        f"{len(packed) / len(content):.0%} of it, for {1e3 * packing / count:.0f} ms of packing "
        f"and {1e3 * unpacking / count:.1f} ms of unpacking a film and epoch."
    )


if __name__ == "__main__":
    main()
