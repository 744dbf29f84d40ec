"""A DICOM's elements as values, whatever VR and multiplicity a writer gave them."""

import re
from typing import Any

from pydicom import Dataset

from client.image_errors import ImageError, Reason

_LARGEST = 1e30  # nothing that is calculated with it overflows
_TERM = re.compile(r"[A-Z0-9 _]{1,16}")


def value(dataset: Dataset, keyword: str) -> Any:
    """An element's first value; None where it is absent, empty (PS3.5, 7.4.5) or unreadable."""
    try:
        element = dataset[keyword]
        found = element.value[0] if element.VM > 1 or element.VR == "SQ" else element.value
        return None if element.is_empty else found
    except Exception:  # pydicom converts on access, and raises what it may
        return None


def number(dataset: Dataset, keyword: str) -> float | None:
    """The same where it is a number to calculate with."""
    found = value(dataset, keyword)
    try:
        result = float(found)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if abs(result) <= _LARGEST else None  # nor NaN


def whole(dataset: Dataset, keyword: str, absent: int | None = None) -> int:
    """The same where it has to be a whole number of at least 0, or may be absent.

    Raises:
        ImageError: it is not; the message names it.
    """
    result = number(dataset, keyword)
    if result is None and absent is not None:
        return absent
    if result is None or result < 0 or result != int(result):
        state = "lacks" if keyword not in dataset else "has no whole number for"
        raise ImageError(Reason.UNREADABLE, f"the DICOM {state} {keyword}")
    return int(result)


def term(dataset: Dataset, keyword: str) -> str:
    """A code string in upper case, "" without one.

    What is no code string may be anybody's name, and is not repeated: it reads "(no code string)".
    """
    found = value(dataset, keyword)
    text = "" if found is None else str(found).strip().upper()
    return text if not text or _TERM.fullmatch(text) else "(no code string)"
