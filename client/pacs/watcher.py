"""Films that are found: a look, every few seconds, at what the PACS has that is new."""

import logging
from collections.abc import Callable
from typing import Final

from client.pacs.destination import RejectedError
from client.pacs.dicomweb import DicomWeb
from client.pacs.intake import FILM_CLASSES, OUT_OF_RESOURCES, SUCCESS, FilmIntake

_LOGGER: Final = logging.getLogger(__name__)


class Watcher:
    """Looks through the radiographs of the last days.

    Args:
        pacs: where they are.
        intake: takes the films.
        days: how many, today besides.
        has_time: says whether a film more may come.
    """

    def __init__(self, pacs: DicomWeb, intake: FilmIntake, days: int, has_time: Callable[[], bool]):
        self._pacs = pacs
        self._intake = intake
        self._days = days
        self._has_time = has_time
        self._seen: dict[str, int] = {}  # instances by series, of those that hold nothing new
        self._refused: set[str] = set()  # series that were logged

    def look(self) -> None:
        """Takes what is new; ends early where films come faster than answers go.

        Raises AwayError.
        """
        found = self._pacs.series(self._days)
        self._seen = {series: self._seen[series] for _, series, _ in found if series in self._seen}
        self._refused &= {series for _, series, _ in found}
        for study, series, count in found:
            if count is not None and self._seen.get(series) == count:
                continue
            try:
                if not self._take(study, series):
                    return
            except RejectedError as error:  # another series may be readable
                if series not in self._refused:
                    _LOGGER.warning("not fetched", extra={"reason": str(error)})
                self._refused.add(series)
                continue
            if count is not None:
                self._seen[series] = count

    def _take(self, study: str, series: str) -> bool:
        """Takes a series' new films; returns False where that must wait.

        Raises RejectedError where some cannot be fetched, after it took the others.
        """
        rejected: RejectedError | None = None
        for sop_class, instance in self._pacs.instances(study, series):
            if sop_class not in FILM_CLASSES or self._intake.has_had(instance):
                continue
            if not self._has_time():
                return False
            try:
                content = self._pacs.fetch(study, series, instance)
            except RejectedError as error:
                rejected = error
                continue
            status = self._intake.take(content, sop_class, instance)
            if status == OUT_OF_RESOURCES:
                return False
            if status != SUCCESS:
                self._intake.leave_alone(instance, study, "refused")
        if rejected:
            raise rejected
        return True
