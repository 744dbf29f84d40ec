"""Which films are sent to the model: frontal radiographs of the chest."""

from dataclasses import dataclass
from typing import Final

from pydicom import Dataset

CHEST: Final = ("CHEST", "THORAX", "LUNG")
FRONTAL: Final = ("PA", "AP")
# By SNOMED CT's code and by the older one that PS3.16 used: chest, thorax; CID 4010's views.
_REGION_CODES: Final = ("816094009", "51185008", "T-D3000")
_VIEW_CODES: Final = ("399348003", "272479007", "R-10206", "R-10214")


@dataclass(frozen=True)
class Rule:
    """Says which films to judge.

    A film that says nothing of a property has it: to miss a chest film is the worse error.

    Attributes:
        body_parts: values of BodyPartExamined, in capitals.
        views: values of ViewPosition, in capitals.
    """

    body_parts: tuple[str, ...] = CHEST
    views: tuple[str, ...] = FRONTAL

    def objection(self, film: Dataset) -> str | None:
        """Why a film is left alone, in a few words without its values; None where it is not."""
        if film.get("PresentationIntentType") == "FOR PROCESSING":
            return "for processing"
        if not _allows(film, "BodyPartExamined", self.body_parts, "AnatomicRegionSequence"):
            return "body part"
        if not _allows(film, "ViewPosition", self.views, "ViewCodeSequence"):
            return "view"
        return None


def _allows(film: Dataset, keyword: str, wanted: tuple[str, ...], sequence: str) -> bool:
    """Whether a film's plain text value, or without one its code, is wanted or missing."""
    text = str(film.get(keyword) or "").strip().upper()
    if text:
        return text in wanted
    codes = {str(item.get("CodeValue")) for item in film.get(sequence) or ()}
    return not codes or bool(codes & {*_REGION_CODES, *_VIEW_CODES})
