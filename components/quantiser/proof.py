"""Whether the int8 form decides as the float32 form does."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import stats

from components import names
from components.examples import batches
from components.files import replacing
from components.model.int8 import Network

FILE: Final = "int8.json"
CHANGED: Final = 0.002  # of the decisions
SIGNIFICANT: Final = 0.05  # of McNemar's test: changes all in one direction
DIFFERENCE: Final = 0.02  # of a probability, in all but one of a thousand films
LIKENESS: Final = 0.99  # of heat maps


@dataclass(frozen=True)
class Proof:
    """What two forms of a model differ in.

    Attributes:
        films: how many were asked about.
        changed: decisions.
        p: of McNemar's exact test on these.
        difference: of the probabilities, the 99.9th percentile.
        largest: of these differences.
        likeness: the correlation of the heat maps, all pixels of all films; None without heat.
        faults: why the int8 form is refused; none: it is as good.
        bfloat16: whether it is as good with the rest in bfloat16, too; False where the processor
            that it was proven on has none.
    """

    films: int
    changed: int
    p: float
    difference: float
    largest: float
    likeness: float | None
    faults: tuple[str, ...]
    bfloat16: bool = False

    @property
    def summary(self) -> str:
        """In one line."""
        if self.faults:
            return "; ".join(self.faults)
        likeness = "" if self.likeness is None else f", heat maps correlate by {self.likeness:.4f}"
        return (
            f"{self.changed} of {self.films} decisions changed, probabilities differ by "
            f"{self.difference:.4f}{likeness}"
        )


def write(found: Proof, folder: Path) -> None:
    """Writes FILE."""
    with replacing(folder / FILE) as file:
        file.write(json.dumps(asdict(found), indent=1).encode())


def read(folder: Path) -> Proof:
    """Reads what `write` wrote."""
    values = json.loads((folder / FILE).read_text("utf-8"))
    return Proof(**{**values, "faults": tuple(values["faults"])})


def prove(model: Any, networks: Sequence[Network], films: Iterable[bytes]) -> Proof:
    """Asks a model and the int8 form of its network about films.

    Args:
        model: a loaded SavedModel of `ServedModel`.
        networks: the form in each arithmetic of `int8.runners`.
        films: JPEG or PNG, at least one.

    Returns:
        Of the form with the rest in float32, and whether it holds in bfloat16, too.
    """
    probabilities: list[list[NDArray[np.float32]]] = []
    called: list[list[NDArray[np.int64]]] = []
    maps = [_Likeness() for _ in networks]
    for batch in batches(films):
        images = tf.constant(batch)
        grey = model.prepare(images)[names.GREY]
        own, *others = (
            _answer(model, images, grey, form(grey)) for form in (model.network, *networks)
        )
        probabilities.append([form[names.PROBABILITY].numpy() for form in (own, *others)])
        called.append([form[names.LABEL].numpy() for form in (own, *others)])
        for likeness, other in zip(maps, others, strict=True):
            likeness.add(own[names.HEATMAP].numpy(), other[names.HEATMAP].numpy())
    before, *after = np.concatenate(called, axis=1)
    exact, *found = np.concatenate(probabilities, axis=1)
    in_float32, *in_bfloat16 = (
        judged(before, labels, np.abs(exact - values), likeness.correlation())
        for labels, values, likeness in zip(after, found, maps, strict=True)
    )
    return replace(in_float32, bfloat16=any(not other.faults for other in in_bfloat16))


def judged(
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    differences: NDArray[np.float32],
    likeness: float | None,
) -> Proof:
    """Holds what two forms have answered against the bounds.

    Args:
        before: decisions of the model, int64[N], 0 or 1.
        after: decisions of the other form.
        differences: of the probabilities, float32[N], >= 0.
        likeness: of the heat maps, as of Proof.
    """
    changed = int((before != after).sum())
    p = stats.binomtest(int((before > after).sum()), changed).pvalue if changed else 1.0
    difference = float(np.percentile(differences, 99.9))
    faults = []
    if changed > CHANGED * len(before):
        faults.append(f"{changed} of {len(before)} decisions are others, {CHANGED:.1%} may be")
    if p < SIGNIFICANT:
        faults.append(f"changed decisions lean to one side (McNemar's p {p:.3f})")
    if difference > DIFFERENCE:
        faults.append(f"probabilities differ by {difference:.3f}, by {DIFFERENCE} they may")
    if likeness is not None and likeness < LIKENESS:
        faults.append(f"heat maps correlate by {likeness:.3f}, by {LIKENESS} they must")
    return Proof(
        len(before), changed, p, difference, float(differences.max()), likeness, tuple(faults)
    )


class _Likeness:
    """Pearson's correlation of what comes in pairs, in sums: maps of all films need not be held."""

    def __init__(self) -> None:
        self._sums = np.zeros(6)

    def add(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> None:
        x, y = one.astype(np.float64), other.astype(np.float64)
        self._sums += [x.size, x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]

    def correlation(self) -> float | None:
        """None where one of them is the same everywhere."""
        count, x, y, xx, yy, xy = self._sums
        scale = (count * xx - x * x) * (count * yy - y * y)
        return float((count * xy - x * y) / np.sqrt(scale)) if scale > 0 else None


def _answer(model: Any, images: tf.Tensor, grey: tf.Tensor, seen: Any) -> Any:
    return model.conclude(images, grey, *(tf.constant(seen[name]) for name in names.SEEN))
