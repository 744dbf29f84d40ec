"""Two runs on the films that both were tested on: who is right where, and where they differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import tensorflow as tf

from components import names
from components.evaluator import results
from components.evaluator.results import Results, Slice
from components.examples import Split
from components.reporter.films import FilmPicture, JudgedFilm, ask, pictures
from components.statistics import mcnemar
from pipeline.runs.history import Finished

_SHOWN = 12  # films on which two runs differ


@dataclass(frozen=True)
class Examined:
    """A run, what TFMA measured of it, and its model's answer to each test film."""

    run: Finished

    @cached_property
    def results(self) -> Results:
        """What the Evaluator wrote."""
        return results.read(self.run.evaluation)

    @cached_property
    def split(self) -> Split:
        """The raw examples of its test split."""
        return Split(self.run.test)

    @cached_property
    def model(self) -> tf.Module:
        """Its SavedModel."""
        return tf.saved_model.load(str(self.run.model))

    @cached_property
    def films(self) -> dict[str, JudgedFilm]:
        """Its test films by their bytes' SHA-256, with the model's answers."""
        counts = self.results.candidate.overall.counts
        asked = ask(self.model, self.split, counts.positives + counts.negatives)
        return {film.sha256: film for film in asked}


@dataclass(frozen=True)
class Paired:
    """Decisions of two models on the same films, and McNemar's test of them.

    Attributes:
        name: which films.
        films: how many.
        only_first: that the first model alone is right about.
        only_second: that the second model alone is right about.
    """

    name: str
    films: int
    only_first: int
    only_second: int

    @property
    def p(self) -> float:
        """McNemar's exact two-sided p-value."""
        return mcnemar(self.only_first, self.only_second)


@dataclass(frozen=True)
class RunDifference:
    """A film on which two runs decide otherwise, under the heat map of either."""

    first: FilmPicture
    second: FilmPicture


@dataclass(frozen=True)
class RunComparison:
    """Two runs on the films that both were tested on.

    Attributes:
        first, second: the runs.
        common: films that are in both test splits.
        alone: films that are in one of them only, and are not compared.
        paired: of all films, the sick and the healthy ones.
        slices: each that both runs have.
        differing: films on which they decide otherwise.
        differences: some of those, the wrong answers of the second first.
    """

    first: Examined
    second: Examined
    common: int
    alone: int
    paired: tuple[Paired, ...]
    slices: tuple[tuple[Slice, Slice], ...]
    differing: int
    differences: tuple[RunDifference, ...]


def compare(runs: Sequence[Finished]) -> Iterator[RunComparison]:
    """Compares each run with each later one; each model is asked once about each of its films."""
    for first, second in combinations([Examined(run) for run in runs], 2):
        yield _compared(first, second)


def _compared(first: Examined, second: Examined) -> RunComparison:
    common = [
        (film, second.films[sha256])
        for sha256, film in first.films.items()
        if sha256 in second.films
    ]
    healthy, sick = ([pair for pair in common if pair[0].label == label] for label in (0, 1))
    differing = sorted(
        (pair for pair in common if pair[0].called != pair[1].called),
        key=lambda pair: (pair[1].called == pair[1].label, -pair[1].distance),
    )
    return RunComparison(
        first=first,
        second=second,
        common=len(common),
        alone=len(first.films) + len(second.films) - 2 * len(common),
        paired=tuple(
            _paired(name, films)
            for name, films in (
                ("all films", common),
                (names.CLASSES[1], sick),
                (names.CLASSES[0], healthy),
            )
        ),
        slices=tuple(_slices(first.results, second.results)),
        differing=len(differing),
        differences=tuple(_differences(first, second, differing[:_SHOWN])),
    )


def _paired(name: str, films: Sequence[tuple[JudgedFilm, JudgedFilm]]) -> Paired:
    right = [(one.called == one.label, other.called == other.label) for one, other in films]
    return Paired(name, len(films), right.count((True, False)), right.count((False, True)))


def _slices(first: Results, second: Results) -> Iterator[tuple[Slice, Slice]]:
    of_second = {(item.key, item.value): item for item in second.evaluation.slices}
    yield first.evaluation.overall, second.evaluation.overall
    for item in first.evaluation.slices:
        if other := of_second.get((item.key, item.value)):
            yield item, other


def _differences(
    first: Examined, second: Examined, films: Sequence[tuple[JudgedFilm, JudgedFilm]]
) -> Iterator[RunDifference]:
    sides = zip((first, second), zip(*films, strict=True), strict=False)
    found = [list(pictures(side.model, side.split, of_side)) for side, of_side in sides]
    yield from map(RunDifference, *found) if found else ()
