"""A DICOM's elements as values, whatever VR and multiplicity a writer gave them."""

import re
from typing import Any

from pydicom import Dataset

from client.image_errors import ImageError, Reason

_LARGEST = 1e30  # nothing that is calculated with it overflows
_TERM = re.compile(r"[A-Z0-9 _]{1,16}")


def value(dataset: Dataset, keyword: str) -> Any:
    """Reads an element's first value.

    Args:
        dataset: a DICOM's data set.
        keyword: the element's, as pydicom spells it.

    Returns:
        The value; None where it is absent, empty (PS3.5, 7.4.5) or unreadable.
    """
    try:
        element = dataset[keyword]
        found = element.value[0] if element.VM > 1 or element.VR == "SQ" else element.value
        return None if element.is_empty else found
    except Exception:  # pydicom converts on access, and raises what it may
        return None


def number(dataset: Dataset, keyword: str) -> float | None:
    """Reads an element's first value as a number to calculate with.

    Args:
        dataset: a DICOM's data set.
        keyword: the element's, as pydicom spells it.

    Returns:
        The number, in [-1e30, 1e30]; None where it is none.
    """
    found = value(dataset, keyword)
    try:
        result = float(found)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if abs(result) <= _LARGEST else None  # nor NaN


def whole(dataset: Dataset, keyword: str, absent: int | None = None) -> int:
    """Reads an element's first value as a whole number.

    Args:
        dataset: a DICOM's data set.
        keyword: the element's, as pydicom spells it.
        absent: stands for an element that is absent, or is no number; None: it must be there.

    Returns:
        The number, at least 0.

    Raises:
        ImageError: it is no such number; the message names it.
    """
    result = number(dataset, keyword)
    if result is None and absent is not None:
        return absent
    if result is None or result < 0 or result != int(result):
        state = "lacks" if keyword not in dataset else "has no whole number for"
        raise ImageError(Reason.UNREADABLE, f"the DICOM {state} {keyword}")
    return int(result)


def term(dataset: Dataset, keyword: str) -> str:
    """Reads an element's first value as a code string in upper case.

    What is no code string may be anybody's name, and is not repeated.

    Args:
        dataset: a DICOM's data set.
        keyword: the element's, as pydicom spells it.

    Returns:
        The code string; "" without one, "(no code string)" where it is none.
    """
    found = value(dataset, keyword)
    text = "" if found is None else str(found).strip().upper()
    return text if not text or _TERM.fullmatch(text) else "(no code string)"
