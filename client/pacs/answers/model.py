"""Which model answered, and the names under which its answers are kept."""

import uuid
from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID

NOTICE: Final = "Research use only, not for diagnosis"
MANUFACTURER: Final = "pneumonia"

_NAMESPACE: Final = uuid.UUID("8c9d4d4e-5f0b-4b0e-9a57-1f6f6f2b7a10")


@dataclass(frozen=True)
class ModelVersion:
    """Which version of a model answered.

    Attributes:
        name: as served.
        version: as served, unix seconds.
        card: where the model card is, at most 64 characters.
    """

    name: str
    version: int
    card: str = ""

    def uid(self, film: str, kind: str) -> UID:
        """Makes an object's UID: the same for the same film, model and kind, for ever.

        Args:
            film: the film's SOP Instance UID.
            kind: what the object is, such as "report".

        Returns:
            A UID from a UUID (PS3.5, B.2).
        """
        text = f"{film} {self.name} {self.version} {kind}"
        return UID(f"2.25.{uuid.uuid5(_NAMESPACE, text).int}")
