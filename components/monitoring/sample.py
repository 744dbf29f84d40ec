"""The films of a request log as arrays, each film once, and the windows they fall into."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from client.request_log.record import Film
from components import names

Floats = NDArray[np.float64]

DAY: Final = "day"
WEEK: Final = "week"
_EDGE: Final = 1e-7  # keeps a probability's logit finite


@dataclass(frozen=True)
class Sample:
    """Some films, in the order in which they were asked.

    Attributes:
        time: float[N], unix seconds.
        hashes: SHA-256 of each film.
        instances: of its SOP Instance UID; "" for none.
        probability: float[N], of pneumonia, calibrated.
        called: bool[N], whether the model decided for pneumonia.
        quality, familiarity: float[N] in [0,1]; nan where the model tells none.
        features: float32[N,C], the trunk's, averaged over the film; C is 0 where it tells none.
    """

    time: Floats
    hashes: tuple[str, ...]
    instances: tuple[str, ...]
    probability: Floats
    called: NDArray[np.bool_]
    quality: Floats
    familiarity: Floats
    features: NDArray[np.float32]

    def __len__(self) -> int:
        """How many films."""
        return len(self.time)

    def __getitem__(self, chosen: NDArray[np.int64] | slice) -> "Sample":
        """Some of the films."""
        places = np.arange(len(self))[chosen]
        return Sample(
            self.time[places],
            tuple(self.hashes[place] for place in places),
            tuple(self.instances[place] for place in places),
            self.probability[places],
            self.called[places],
            self.quality[places],
            self.familiarity[places],
            self.features[places],
        )

    @property
    def logit(self) -> Floats:
        """Of the probability."""
        return np.asarray(special.logit(np.clip(self.probability, _EDGE, 1 - _EDGE)))


def of(films: Iterable[Film]) -> Sample:
    """Gathers films; one that was asked more than once counts once, as it was first answered."""
    first: dict[str, Film] = {}
    for film in sorted(films, key=lambda film: film.time):
        first.setdefault(film.sha256, film)
    kept = list(first.values())

    def column(name: str) -> Floats:
        return np.array([float(film.outputs.get(name, np.nan)) for film in kept])

    rows = [film.outputs.get(names.FEATURES, np.empty(0, np.float32)) for film in kept]
    width = min((len(row) for row in rows), default=0)  # an older version's films have none
    return Sample(
        time=np.array([film.time for film in kept]),
        hashes=tuple(film.sha256 for film in kept),
        instances=tuple(film.instance for film in kept),
        probability=column(names.PROBABILITY),
        called=np.array([film.called for film in kept], bool),
        quality=column(names.QUALITY),
        familiarity=column(names.FAMILIARITY),
        features=np.array([row[:width] for row in rows], np.float32).reshape(len(kept), width),
    )


def windows(sample: Sample, by: str | int) -> Iterator[tuple[str, Sample]]:
    """Splits films by the day or the week (UTC) they were asked in, or after every so many.

    Args:
        sample: the films.
        by: DAY, WEEK, or a number of films.

    Yields:
        The window's name and its films; the last of a count may be smaller.
    """
    if isinstance(by, int):
        for start in range(0, len(sample), by):
            part = sample[slice(start, start + by)]
            yield f"films {start + 1} to {start + len(part)}", part
        return
    days = [datetime.fromtimestamp(time, UTC).date() for time in sample.time]
    if by == WEEK:
        days = [day - timedelta(days=day.weekday()) for day in days]
    for day in sorted(set(days)):
        name = f"week of {day}" if by == WEEK else str(day)
        yield name, sample[np.flatnonzero([other == day for other in days])]
