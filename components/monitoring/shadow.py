"""A candidate asked about films that the served model answered, outside every answer's path.

Decisions are compared by McNemar's exact test: of the films on which the two differ, is one of
them right, or calling sick, more often than chance would have it?
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf

from client.request_log.outcomes import Outcome
from client.request_log.record import digest
from components import names
from components.examples import batches
from components.files import replacing
from components.model import loading
from components.progress import bar
from components.statistics import mcnemar

FEWEST: Final = 100  # films on which a candidate can be found no worse
LEVEL: Final = 0.05
_FOLDER: Final = ".shadow"  # in the serving folder; servers pass over every name that is no number


@dataclass(frozen=True)
class AgreementCounts:
    """On how many films two models agree and differ, and McNemar's p-value."""

    both: int
    only_served: int
    only_candidate: int
    neither: int
    p_value: float

    @classmethod
    def of(cls, served: np.ndarray, candidate: np.ndarray) -> "AgreementCounts":
        """Counts on how many films two models agree and differ.

        Args:
            served: bool[N], the served model's decisions.
            candidate: bool[N], the candidate's on the same films.
        """
        first, second = int((served & ~candidate).sum()), int((candidate & ~served).sum())
        return cls(
            both=int((served & candidate).sum()),
            only_served=first,
            only_candidate=second,
            neither=int((~served & ~candidate).sum()),
            p_value=mcnemar(first, second),
        )


@dataclass(frozen=True)
class Shadow:
    """What a shadow found.

    Attributes:
        films: that both were asked about.
        called: films called sick by either.
        missed, false_alarms: errors by either, where outcomes are known; None where none is.
    """

    films: int
    called: AgreementCounts
    missed: AgreementCounts | None
    false_alarms: AgreementCounts | None

    @property
    def is_worse(self) -> bool:
        """Whether the candidate misses more; without sick outcomes, whether it calls fewer sick."""
        if self.missed:
            lost = self.missed.only_candidate > self.missed.only_served
            return lost and self.missed.p_value < LEVEL
        fewer = self.called.only_served > self.called.only_candidate
        return fewer and self.called.p_value < LEVEL

    @property
    def is_enough(self) -> bool:
        """Whether it saw enough films."""
        return self.films >= FEWEST


@dataclass(frozen=True)
class ShadowDifference:
    """A film that only one of the two calls sick, with both heat maps as PNG files."""

    sha256: str
    probabilities: tuple[float, float]
    label: int | None
    overlays: tuple[bytes, bytes]


def shadow(
    served: Path, candidate: Path, films: Sequence[bytes], known: Mapping[str, Outcome], shown: int
) -> tuple[Shadow, list[ShadowDifference]]:
    """Asks both versions and compares.

    Args:
        served, candidate: SavedModels.
        films: different ones, JPEG or PNG.
        known: outcomes by the film's hash.
        shown: films on which they differ that are given with heat maps, the farthest apart first.

    Raises:
        DamagedModelError: one of the two cannot be loaded.
    """
    models = [loading.load(path) for path in (served, candidate)]
    answers = [_ask(model, films) for model in models]
    called = [answer[names.LABEL] == 1 for answer in answers]
    hashes = [digest(film) for film in films]
    labels = np.array([known[one].label if one in known else -1 for one in hashes])
    sick, healthy = labels == 1, labels == 0
    found = Shadow(
        films=len(films),
        called=AgreementCounts.of(*called),
        missed=AgreementCounts.of(*(~part[sick] for part in called)) if sick.any() else None,
        false_alarms=AgreementCounts.of(*(part[healthy] for part in called))
        if healthy.any()
        else None,
    )
    probabilities = [answer[names.PROBABILITY] for answer in answers]
    apart = np.abs(probabilities[0] - probabilities[1]) * (called[0] != called[1])
    places = [place for place in np.argsort(-apart)[:shown] if called[0][place] != called[1][place]]
    differences = [
        ShadowDifference(
            sha256=hashes[place],
            probabilities=(float(probabilities[0][place]), float(probabilities[1][place])),
            label=int(labels[place]) if labels[place] >= 0 else None,
            overlays=(_overlay(models[0], films[place]), _overlay(models[1], films[place])),
        )
        for place in places
    ]
    return found, differences


def keep(found: Shadow, serving: Path, served_sha256: str, candidate_sha256: str) -> None:
    """Keeps the figures in the serving folder, for `pneumonia promote --shadowed`.

    Args:
        found: the figures.
        serving: the folder.
        served_sha256: digest of the served model (versions.model_sha256).
        candidate_sha256: digest of the candidate.
    """
    with replacing(_file(serving, served_sha256, candidate_sha256)) as file:
        file.write(json.dumps(asdict(found), indent=1).encode())


def kept(serving: Path, served_sha256: str, candidate_sha256: str) -> Shadow | None:
    """What `keep` has kept of these two models.

    Args:
        serving: the serving folder.
        served_sha256: digest of the served model (versions.model_sha256).
        candidate_sha256: digest of the candidate.

    Returns:
        The figures; None: the two were never compared.
    """
    try:
        values = json.loads(_file(serving, served_sha256, candidate_sha256).read_text("utf-8"))
        counts = {
            name: values[name] and AgreementCounts(**values[name])
            for name in ("called", "missed", "false_alarms")
        }
        return Shadow(films=values["films"], **counts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(serving: Path, served_sha256: str, candidate_sha256: str) -> Path:
    return serving / _FOLDER / f"{served_sha256[:16]}-{candidate_sha256[:16]}.json"


def _ask(model: tf.Module, films: Iterable[bytes]) -> dict[str, np.ndarray]:
    predict = model.signatures[names.PREDICT_IMAGE]
    films = list(films)
    parts: dict[str, list[np.ndarray]] = {names.PROBABILITY: [], names.LABEL: []}
    with bar("films", len(films)) as progress:
        for batch in batches(films):
            answer = predict(tf.constant(batch))
            for name, rows in parts.items():
                rows.append(answer[name].numpy())
            progress.update(len(batch))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _overlay(model: tf.Module, film: bytes) -> bytes:
    return bytes(model.signatures[names.CAM](tf.constant([film]))[names.OVERLAY].numpy()[0])
