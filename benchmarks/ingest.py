"""`python -m benchmarks.ingest`: reading, preparing and augmenting, beside one tf.data loop.

The steps XrayExampleGen, Transform and Augmenter, from their start to their end, against the loop's
process without its imports. What a step costs whatever the number of films is told apart by
measuring two numbers of films.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import films, options, product
from benchmarks.process import Observed

_TWO = "this pipeline, beam.workers=2"
_STEPS = ("XrayExampleGen", "Transform", "Augmenter")
_SETTINGS = (
    *product.NO_GATE,
    "augment.balance=0",
    "data.val_fraction=0.02",
    "data.test_fraction=0.02",
)


@dataclass(frozen=True)
class Line:
    """Seconds at the smaller and at the larger number of films."""

    few: float
    many: float

    def per_film(self, films_between: int) -> float:
        return (self.many - self.few) / films_between


def main() -> None:
    quick = options.quick(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        print(measured(Path(scratch), quick))


def measured(folder: Path, quick: bool) -> str:
    counts = (60, 180) if quick else (600, 3600)
    data = [films.lay_out(folder / f"xrays{n}", n, 0) for n in counts]
    one_core = ("taskset", "--cpu-list", "0")
    lines = {
        "tf.data loop, one core": Line(*(loop(d, folder, one_core, 1) for d in data)),
        "this pipeline, one core": Line(*(pipeline(d, folder, one_core, 1) for d in data)),
    }
    if not quick:
        lines["tf.data loop, two threads"] = Line(*(loop(d, folder, (), 2) for d in data))
        lines[_TWO] = Line(*(pipeline(d, folder, (), 2) for d in data))
    more = counts[1] - counts[0]
    peer = lines["tf.data loop, one core"]
    one = lines["this pipeline, one core"]
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{line.few:.1f}",
            f"{line.many:.1f}",
            f"{1000 * line.per_film(more):.1f}",
            f"{line.many / peer.many:.2f}",
            f"{line.per_film(more) / peer.per_film(more):.2f}",
        )
        for name, line in lines.items()
    ]
    head = (
        *("what", f"s for {counts[0]:,} films", f"s for {counts[1]:,}", "ms for one film more"),
        *(f"of the loop's time for {counts[1]:,}", "of the loop's time for one more"),
    )
    said = written(folder, counts[1])
    if two := lines.get(_TWO):
        said = (
            f"Two processes are {one.many / two.many:.2f} times as fast as one core, "
            f"{one.per_film(more) / two.per_film(more):.2f} times for one film more. {said}"
        )
    return f"{options.table(head, rows)}\n\n{said}"


def loop(data: Path, folder: Path, before: tuple[str, ...], processes: int) -> float:
    """The loop's seconds, those of its imports left out."""
    target = folder / f"loop-{data.name}-{processes}"
    command = [
        *before,
        sys.executable,
        "-m",
        "benchmarks.peers.tfdata_ingest",
        str(data),
        str(target),
    ]
    observed = Observed([*command, f"--processes={processes}"], Path.cwd(), folder / "loop.log")
    began = ended = 0.0
    for line in observed.lines():
        if line == "begun":
            began = observed.seconds
        elif line.startswith("done"):
            ended = observed.seconds
    if observed.wait():
        raise SystemExit((folder / "loop.log").read_text()[-2000:])
    return ended - began


def pipeline(data: Path, folder: Path, before: tuple[str, ...], workers: int) -> float:
    """The three steps' seconds."""
    settings = (*_SETTINGS, f"beam.workers={workers}")
    where = folder / f"{data.name}-{workers}"
    cost = product.run(where, data, settings, until="Augmenter", before=before)
    return sum(cost.seconds[step] for step in _STEPS)


def written(folder: Path, count: int) -> str:
    """Bytes a film that each step leaves."""
    outputs = {"XrayExampleGen": "examples", "Transform": "transformed_examples"}
    where = folder / f"xrays{count}-1"
    kilobytes = {
        step: sum(
            path.stat().st_size for path in product.artifact(where, step, output).rglob("*.gz")
        )
        / 1e3
        / count
        for step, output in {**outputs, "Augmenter": "augmented_examples"}.items()
    }
    texts = [f"{step} {size:.0f} kB" for step, size in kilobytes.items()]
    return f"Written for each film: {', '.join(texts)}."


if __name__ == "__main__":
    main()
