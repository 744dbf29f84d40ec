"""What the model server answers, as plain values."""

from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np

from client.contract import CLASSES
from client.errors import ServerError
from client.images import ImageError

LIMIT: Final = 0.5  # of quality and familiarity; below it there is something to say
UNUSUAL: Final = "is no frontal chest film with two lungs; do not rely on this result"
UNFAMILIAR: Final = (
    "is unlike the films the model learned from: its threshold may not hold here; recalibrate"
)


@dataclass(frozen=True)
class Prediction:
    """The model's answer for one X-ray.

    Attributes:
        probability: of pneumonia, in [0, 1].
        threshold: in [0, 1].
        label: 1 where probability >= threshold, else 0.
        version: the model's, unix seconds.
        latency: seconds from request to answer.
        quality: whether this is a frontal chest film with two lungs to judge, in [0, 1]; None where
            the model does not say.
        heatmap: float32[224,224] in [0,1], the whole X-ray squashed to a square; None unless asked
            for, like `lungs` and `overlay`.
        overlay: a PNG file of the heat map over the X-ray.
        notes: what was odd about the file when it was read, a line each.
        familiarity: how like the training set's films this one is, in [0, 1]; None where the model
            does not say.
        lungs: float32[224,224] in [0,1], as `heatmap`.
    """

    probability: float
    threshold: float
    label: int
    version: int
    latency: float
    quality: float | None = None
    heatmap: np.ndarray | None = field(default=None, repr=False, compare=False)
    overlay: bytes | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    familiarity: float | None = None
    lungs: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def positive(self) -> bool:
        """Whether the model decides for pneumonia."""
        return self.label == 1

    @property
    def decision(self) -> str:
        """PNEUMONIA or NORMAL."""
        return CLASSES[self.positive]

    @property
    def judged(self) -> bool:
        """Whether there was a frontal chest film to judge; true where the model does not say.

        Of a model that tells no familiarity, quality says how like its films this one is.
        """
        return self.quality is None or self.familiarity is None or self.quality >= LIMIT

    @property
    def likeness(self) -> float | None:
        """How like the training's films this one is, under whichever name the model says it."""
        return self.quality if self.familiarity is None else self.familiarity

    @property
    def warning(self) -> str | None:
        """Why the result deserves no trust, where the model or the file says so."""
        doubts = []
        if not self.judged:
            doubts.append(UNUSUAL)
        elif self.likeness is not None and self.likeness < LIMIT:
            doubts.append(UNFAMILIAR)
        return "; ".join((*doubts, *self.notes)) or None


Source = TypeVar("Source")


@dataclass(frozen=True)
class Outcome(Generic[Source]):
    """One of many images: what was asked for, and either its prediction or what went wrong."""

    source: Source
    prediction: Prediction | None = None
    error: ImageError | ServerError | None = None


@dataclass(frozen=True)
class VersionStatus:
    """A version of the model and its state: START, LOADING, AVAILABLE, UNLOADING or END."""

    version: int
    state: str
    error: str = ""


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's type, such as "float32" or "string", and shape; -1 is any size."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """One way to call the model."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


@dataclass(frozen=True)
class Metadata:
    """The served model: its version, unix seconds, and its signatures by name."""

    name: str
    version: int
    signatures: dict[str, Signature]
