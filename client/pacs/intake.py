"""What is done with a file that comes from a PACS, whichever way it came."""

import logging
from collections.abc import Callable
from typing import Final

from pydicom import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
)

from client import dicom
from client.images import MAX_BYTES, MAX_PIXELS, ImageError, Reason
from client.pacs.film import key_of
from client.pacs.metrics import RECEIVED, REFUSED
from client.pacs.queue import FullError, Queue
from client.pacs.rule import Rule

FILM_CLASSES: Final = (ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation)

# PS3.4, B.2.3 and GG.4
SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
MISMATCH: Final = 0xA900
NOT_UNDERSTOOD: Final = 0xC000

_UIDS: Final = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_LOGGER: Final = logging.getLogger(__name__)


class FilmIntake:
    """Checks a file, asks the rule, and hands it to the queue.

    Args:
        queue: where films wait.
        rule: which films to judge.
        served: gives the model version that the server has now, if known.
        max_bytes: the cap on a film's file.
    """

    def __init__(
        self,
        queue: Queue,
        rule: Rule,
        served: Callable[[], int | None],
        max_bytes: int = MAX_BYTES,
    ):
        self.max_bytes = max_bytes
        self._queue = queue
        self._rule = rule
        self._served = served

    def has_had(self, instance: str) -> bool:
        """Whether a film came before; who wants another answer of it sends it again."""
        return self._queue.find(key_of(instance)) is not None

    def leave_alone(self, instance: str, study: str, reason: str) -> None:
        """Sees to it that a film is not fetched again.

        Args:
            instance: the SOP Instance UID.
            study: the study's UID.
            reason: why, in a few fixed words.
        """
        self._queue.leave_alone(instance, study, reason)

    def take(self, content: bytes, sop_class: str, instance: str) -> int:
        """Takes a DICOM file.

        Args:
            content: the file.
            sop_class: the SOP class UID that the sender announced.
            instance: the SOP Instance UID that the sender announced.

        Returns:
            The DICOM status. A film that is known, or that the rule leaves alone, is a success: a
            sender that was refused would send it for ever.
        """
        if sop_class not in FILM_CLASSES or not UID(instance).is_valid:
            return self._refused("wrong SOP class or UID", MISMATCH)
        if not self._queue.has_room(len(content)):  # before a header is looked at
            return self._refused("queue full", OUT_OF_RESOURCES)
        try:
            film = dicom.checked(content, max_bytes=self.max_bytes, max_pixels=MAX_PIXELS)
        except ImageError as error:
            if error.reason is Reason.UNSUPPORTED:
                return self._refused("not a single grey radiograph", MISMATCH)
            return self._refused(str(error.reason), NOT_UNDERSTOOD)
        if (film.get("SOPClassUID"), film.get("SOPInstanceUID")) != (sop_class, instance):
            return self._refused("another object than announced", MISMATCH)
        if not all(UID(str(film.get(keyword) or "")).is_valid for keyword in _UIDS):
            return self._refused("no valid UIDs", MISMATCH)
        return self._hand_over(film, content)

    def _hand_over(self, film: Dataset, content: bytes) -> int:
        instance, study = str(film.SOPInstanceUID), str(film.StudyInstanceUID)
        film_key = {"film": key_of(instance)}
        objection = self._rule.objection(film)
        if objection:
            self._queue.leave_alone(instance, study, objection)
            RECEIVED.labels("left alone").inc()
            _LOGGER.info("left alone", extra={**film_key, "reason": objection})
            return SUCCESS
        try:
            new = self._queue.add(instance, study, content, self._served())
        except FullError:
            return self._refused("queue full", OUT_OF_RESOURCES)
        RECEIVED.labels("new" if new else "known").inc()
        _LOGGER.info("received" if new else "known", extra=film_key)
        return SUCCESS

    def _refused(self, reason: str, status: int) -> int:
        REFUSED.labels(reason).inc()
        _LOGGER.warning("refused", extra={"reason": reason, "status": f"0x{status:04X}"})
        return status
