"""`python -m benchmarks.ablation [ROW ...]`: trains the rows without a result, writes the table."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from benchmarks.ablation.films import Film

ROWS = Path(__file__).with_name("rows.yaml")
START = Path(__file__).with_name("start.yaml")


def main() -> int:
    rows = yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(rows)}; default: all")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"), help="results, cache")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument(
        "--every-look",
        action="store_true",
        help="train on films of every look, twice as many; results in a folder of their own",
    )
    options = parser.parse_args()
    unknown = set(options.rows) - rows.keys()
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there is {', '.join(rows)}")

    from benchmarks.ablation import experiment, films, table
    from pipeline import config

    xrays = Path(os.environ.get("PNEUMONIA_XRAYS", "../shared/xrays"))
    chosen = films.choose(xrays / "kermany224", options.every_look)
    judges = _judges(chosen["judge"], chosen["unlike"], films.of_folder(xrays / "external", 4))
    results = options.folder / "every-look" if options.every_look else options.folder
    results.mkdir(parents=True, exist_ok=True)
    for name in options.rows or rows:
        result = results / f"{name}-{options.seed}.json"
        if result.exists():
            continue
        print(name, flush=True)
        scores = experiment.run(
            config.load(START, rows[name]["set"]),
            chosen["train"],
            chosen["tune"],
            judges,
            options.folder,
            options.seed,
        )
        figures = {judged: dataclasses.asdict(score) for judged, score in scores.items()}
        for judged, score in figures.items():
            print(" ", judged, {key: round(value, 3) for key, value in score.items()}, flush=True)
        result.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    table.write(rows, results, options.every_look)
    return 0


def _judges(
    films: "list[Film]", unlike: "list[Film]", external: "list[Film]"
) -> "dict[str, list[Film]]":
    """The held-out films as they are, with looks swapped, with faults, cut above; and others."""
    from benchmarks.ablation import nuisances

    def changed(change: Callable[[bytes, int], bytes], numbers: Iterable[int]) -> "list[Film]":
        return [
            dataclasses.replace(film, image_bytes=change(film.image_bytes, number))
            for film, number in zip(films, numbers, strict=True)
        ]

    labels = [film.label for film in films]
    return {
        "clean": films,
        "swapped": changed(nuisances.swap, labels),
        "corrupted": changed(nuisances.corrupt, range(len(films))),
        "cut": changed(nuisances.cut, labels),
        "unlike": unlike,
        "external": external,
    }


if __name__ == "__main__":
    sys.exit(main())
