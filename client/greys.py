"""The greys that a viewer shows for a radiograph's stored values.

A film has at most 65,536 different values, so whatever the standard does to pixels is done once to
each value, and the pixels are looked up. Source: PS3.3 C.7.6.3.1.2, C.7.5.1.1.2, C.11.1 and C.11.2.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.pixels.processing import apply_windowing

from client import dicom_elements, tables
from client.image_errors import ImageError, Reason

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_LONGEST_TABLE = 2**16
_NO_SLOPE = "its RescaleSlope is 0: read without it"

Table = tuple[int, NDArray[np.uint16]]


def display(stored: NDArray, dataset: Dataset) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """What a viewer shows: 0 is black.

    Modality LUT or rescale, then VOI LUT or window (the first usable where there are several), and
    MONOCHROME1 inverted. The window's or LUT's whole output range becomes 0..255, rounded; without
    either, the range that the film's own values span does. Padding is black and in no range. An
    element without a usable value is as none.

    Args:
        stored: (u)int8 or (u)int16[rows, columns], the values as decoded.
        dataset: what the file says of them; its BitsStored, PixelRepresentation and
            PhotometricInterpretation are known to be sound.

    Returns:
        uint8[rows, columns], and what a reader should know of how they came about.

    Raises:
        ImageError: a Modality LUT that cannot be used.
    """
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    limits = np.iinfo(stored.dtype)
    domain = np.arange(limits.min, limits.max + 1)
    places = stored.view(f"u{stored.itemsize}")  # in a table whose second half is negative
    is_there = np.zeros(len(domain), bool)
    for row in places:  # numpy makes 8 bytes of each index, so not all at once
        is_there[row] = True
    is_there = np.roll(is_there, -limits.min)
    is_film = ~_is_padding(domain, dataset)
    shares = _shares(_of_modality(domain, dataset), is_film & is_there, dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shares = 1 - shares
    greys = np.rint(np.where(is_film, shares, 0) * 255).astype(np.uint8)
    notes = (_NO_SLOPE,) if dicom_elements.number(dataset, "RescaleSlope") == 0 else ()
    return tables.looked_up(np.roll(greys, limits.min), places), notes


def _is_padding(domain: NDArray, dataset: Dataset) -> NDArray[np.bool_]:
    """Which values are no film. Writers take no notice of the sign or of the unused high bits."""
    names = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ends = [dicom_elements.number(dataset, name) for name in names]
    stored = 2**dataset.BitsStored
    lowest = -stored // 2 if dataset.PixelRepresentation else 0
    within = [
        (int(end) - lowest) % stored + lowest
        for end in ends
        if end is not None and -len(domain) // 2 <= end < len(domain)
    ]
    if ends[0] is None or not within:
        return np.zeros(domain.shape, bool)
    return (domain >= min(within)) & (domain <= max(within))


def _of_modality(domain: NDArray, dataset: Dataset) -> NDArray[np.float64]:
    """What the stored values measure."""
    if item := dicom_elements.value(dataset, "ModalityLUTSequence"):
        table = _table(item, dataset)
        if table is None:
            raise ImageError(Reason.UNREADABLE, "the DICOM's Modality LUT cannot be used")
        return _looked_up(domain, table)
    rescale = Dataset()
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        if (number := dicom_elements.number(dataset, keyword)) is not None:
            setattr(rescale, keyword, number)
    if not rescale.get("RescaleSlope"):  # 0 would make all greys one
        return domain.astype(np.float64)
    return apply_modality_lut(domain, rescale).astype(np.float64)


def _shares(
    values: NDArray[np.float64], is_there: NDArray[np.bool_], dataset: Dataset
) -> NDArray[np.float64]:
    """Where between black, 0, and white, 1, each value lies; `is_there`: which the film has."""
    items = dataset.get("VOILUTSequence") or ()
    table = next((table for item in items if (table := _table(item, dataset))), None)
    window = _window(dataset)
    if table:
        values = _looked_up(values, table)
        # Descriptors often say 16 bits of entries that need 12: viewers trust the entries.
        low, high = 0.0, 2.0 ** int(table[1].max()).bit_length() - 1
    elif window:
        with np.errstate(over="ignore"):
            values = apply_windowing(values, window)
            # What darkest and brightest become.
            low, high = apply_windowing(np.array([-np.inf, np.inf]), window)
    else:
        own = values[is_there] if is_there.any() else values[:1]
        low, high = own.min(), own.max()
    return np.clip((values - low) / ((high - low) or 1), 0, 1)


def _window(dataset: Dataset) -> Dataset | None:
    """The first window as pydicom can apply it, or None.

    Of LINEAR the standard wants a width of at least 1; with a small slope narrower ones mean what
    LINEAR_EXACT does.
    """
    center, width = (
        dicom_elements.number(dataset, f"Window{part}") for part in ("Center", "Width")
    )
    if center is None or width is None or width <= 0:
        return None
    function = dicom_elements.term(dataset, "VOILUTFunction")
    if function not in _FUNCTIONS:
        function = "LINEAR"
    window = Dataset()
    window.WindowCenter, window.WindowWidth = center, width
    window.VOILUTFunction = "LINEAR_EXACT" if function == "LINEAR" and width < 1 else function
    window.PhotometricInterpretation = dataset.PhotometricInterpretation
    window.BitsStored = dataset.BitsStored
    window.PixelRepresentation = dataset.PixelRepresentation
    return window


def _looked_up(values: NDArray, table: Table) -> NDArray[np.float64]:
    first, entries = table
    at = np.clip(values - first, 0, len(entries) - 1).astype(np.intp)
    return entries[at].astype(np.float64)


def _table(item: Dataset, dataset: Dataset) -> Table | None:
    """A LUT item's first input value and its entries; None where it has none that can be used.

    Entries of 8 bits may stand two in a word. Source: PS3.3 C.11.1.1 and C.11.2.1.1.
    """
    try:
        count, first, bits = (int(value) for value in item.LUTDescriptor)
        content = item.LUTData
        if isinstance(content, bytes):
            order = ">" if dataset.original_encoding[1] is False else "<"
            words = np.frombuffer(content[: len(content) // 2 * 2], f"{order}u2").astype("<u2")
        else:
            words = np.array(content, np.int64).ravel().astype("<u2")
    except Exception:  # pydicom converts on access, and raises what it may
        return None
    count = count % _LONGEST_TABLE or _LONGEST_TABLE  # whose VR may be signed
    entries = words if len(words) >= count or bits > 8 else words.view(np.uint8)
    return (first, entries[:count].astype(np.uint16)) if len(entries) >= count else None
