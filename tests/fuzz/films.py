"""DICOM films of every kind that the reader knows, one attribute of each made wrong.

Each film is drawn from a description, so what it shows is known from the standard's formulas, which
are written out here, and not from any reader. `python -m tests.fuzz.films 10000` tries as many.
"""

import argparse
import collections
import dataclasses
import functools
import io
import random
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset

from client import images
from tests.client.image_files import dicom, grey, recoded_by_gdcm

MOST_SECONDS = 1.0  # of the processor, here; a decoder's own are limited to as many
_GDCM = {
    uid.JPEGLossless: "JPEGLosslessProcess14",
    uid.JPEGLosslessSV1: "JPEGLosslessProcess14_1",
    uid.JPEGLSLossless: "JPEGLSLossless",
    uid.JPEG2000Lossless: "JPEG2000Lossless",
}
_PYDICOM = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEG2000Lossless,
)
DISPLAY = {  # what may be absent without making the film unreadable, and what goes with it
    "VOILUTFunction": ("VOILUTFunction",),
    "WindowCenter": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "WindowWidth": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "VOILUTSequence": ("VOILUTSequence",),
    "ModalityLUTSequence": ("ModalityLUTSequence",),
    "RescaleSlope": ("RescaleSlope", "RescaleIntercept"),
    "RescaleIntercept": ("RescaleSlope", "RescaleIntercept"),
    "PixelPaddingValue": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "PixelPaddingRangeLimit": ("PixelPaddingRangeLimit",),
}
HEADER = (
    *("Modality", "PatientID", "PatientName", "NumberOfFrames", "SamplesPerPixel", "HighBit"),
    *("PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored"),
    *("PixelRepresentation", "BodyPartExamined", "ViewPosition", "PresentationIntentType"),
    *("SOPClassUID", "SpecificCharacterSet", "PixelData"),
)
ABSURD = ("", 0, -1, 1, 65_535, 2**31 - 1, 1e300, "nan", "x" * 70, b"\xff" * 9, [1, 2, 3], "\\")
VRS = ("US", "SS", "DS", "IS", "CS", "LO", "UI", "OB", "OW", "FD", "UN", "SQ", "AT")


@dataclasses.dataclass
class Film:
    """What a film holds, and the elements that say how it is shown."""

    stored: NDArray
    bits: int
    photometric: str
    elements: dict[str, Any]


def drawn(dice: random.Random) -> Film:
    """A small film of any depth and sign, with any of the ways to say what is shown."""
    bits = dice.choice((8, 10, 12, 14, 15, 16))
    signed = dice.random() < 0.3
    kind = f"{'i' if signed else 'u'}{1 if bits == 8 else 2}"
    lowest = -(2 ** (bits - 1)) if signed else 0
    share = grey(dice.randrange(32, 64), dice.randrange(32, 64), dice.randrange(10**6)) / 255
    stored = (lowest + share * (2**bits - 1)).astype(np.int64).astype(kind)
    elements: dict[str, Any] = {}
    if dice.random() < 0.3:
        elements |= {"RescaleSlope": dice.choice((1, 0.5, 2, -1, 0.001)), "RescaleIntercept": -7}
    elif dice.random() < 0.3:
        elements["ModalityLUTSequence"] = [_lut(dice, lowest, 2**bits, _word(signed))]
    if dice.random() < 0.5:
        low, high = np.percentile(_modality(stored, elements), [5, 90])
        elements["WindowCenter"] = round(float(low + high) / 2, 3)
        elements["WindowWidth"] = round(max(float(high - low), 1.0), 3)
        elements["VOILUTFunction"] = dice.choice(("LINEAR", "LINEAR_EXACT", "SIGMOID"))
    if dice.random() < 0.3 and "RescaleSlope" not in elements:
        values = _modality(stored, elements)
        elements["VOILUTSequence"] = [_lut(dice, int(values.min()) + 3, 900, "US")]
    if dice.random() < 0.3:
        ends = sorted(int(value) for value in dice.sample(list(np.unique(stored)), 2))
        elements["PixelPaddingValue"], elements["PixelPaddingRangeLimit"] = ends
    return Film(stored, bits, dice.choice(("MONOCHROME1", "MONOCHROME2")), elements)


def _word(signed: bool) -> str:
    return "SS" if signed else "US"


def _lut(dice: random.Random, first: int, count: int, vr: str) -> Dataset:
    bits = dice.choice((8, 10, 12, 16))
    item = Dataset()
    entries = np.linspace(0, 1, count) ** dice.uniform(0.5, 2) * (2**bits - 1)
    item.add_new("LUTDescriptor", "SS" if first < 0 else vr, [count % 2**16, first, bits])
    words = entries.astype("<u2")
    item.add_new("LUTData", "OW", (words.astype("u1") if bits == 8 else words).tobytes())
    return item


def _table(item: Dataset, values: NDArray) -> tuple[NDArray, int]:
    """PS3.3 C.11.1.1: values before the first get the first entry, those beyond the last its."""
    _, first, bits = item.LUTDescriptor
    entries = np.frombuffer(item.LUTData, "u1" if bits == 8 else "<u2").astype(float)
    return entries[np.clip(values - first, 0, len(entries) - 1).astype(int)], bits


def _modality(stored: NDArray, elements: dict[str, Any]) -> NDArray:
    """PS3.3 C.11.1."""
    if "ModalityLUTSequence" in elements:
        return _table(elements["ModalityLUTSequence"][0], stored.astype(int))[0]
    slope, intercept = elements.get("RescaleSlope", 1), elements.get("RescaleIntercept", 0)
    return stored.astype(float) * slope + intercept


def shown(film: Film) -> NDArray[np.float64]:
    """The grey of each pixel, 0 to 255. Source: PS3.3 C.11.2.1, C.7.6.3.1.2 and C.7.5.1.1.2."""
    elements = film.elements
    x = _modality(film.stored, elements)
    padding = np.zeros(x.shape, bool)
    if "PixelPaddingValue" in elements:
        first = elements["PixelPaddingValue"]
        last = elements.get("PixelPaddingRangeLimit", first)
        padding = (film.stored >= min(first, last)) & (film.stored <= max(first, last))
    if "VOILUTSequence" in elements:
        y, bits = _table(elements["VOILUTSequence"][0], x)
        y = y / (2**bits - 1)
    elif "WindowCenter" in elements:
        y = _windowed(x, elements)
    else:
        own = x[~padding] if (~padding).any() else x * 0
        y = (x - own.min()) / ((own.max() - own.min()) or 1)
    y = np.clip(y, 0, 1)
    if film.photometric == "MONOCHROME1":
        y = 1 - y
    return np.where(padding, 0, y) * 255


def _windowed(x: NDArray, elements: dict[str, Any]) -> NDArray:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    center, width = elements["WindowCenter"], elements["WindowWidth"]
    function = elements.get("VOILUTFunction", "LINEAR")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR" and width >= 1:
        center, width = center - 0.5, width - 1
    below, above = x <= center - width / 2, x > center + width / 2
    return np.where(below, 0, np.where(above, 1, (x - center) / (width or 1) + 0.5))


def written(film: Film, syntax: uid.UID, by_gdcm: bool) -> bytes:
    """The film as a file; losslessly, whatever the syntax."""
    native = functools.partial(
        dicom, film.stored, bits=film.bits, photometric=film.photometric, **film.elements
    )
    if not by_gdcm:
        return native(syntax=syntax)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "native.dcm", Path(folder) / "recoded.dcm"
        source.write_bytes(native())
        recoded_by_gdcm(str(source), str(target), _GDCM[syntax])
        return target.read_bytes()


def spoiled(data: bytes, keyword: str, how: Callable[[Dataset, str], None]) -> bytes | None:
    """The file with one element made wrong; None where it cannot be written so."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    file = io.BytesIO()
    try:
        how(dataset, keyword)
        dataset.save_as(file)
    except Exception:  # pydicom refuses to write the worst
        return None
    return file.getvalue()


def absent(dataset: Dataset, keyword: str) -> None:
    dataset.pop(keyword, None)


def empty(dataset: Dataset, keyword: str) -> None:
    setattr(dataset, keyword, None)


def several(dataset: Dataset, keyword: str) -> None:
    first = dataset[keyword].value
    dataset[keyword].value = [*first, *first] if dataset[keyword].VR == "SQ" else [first] * 2


def absurd(dice: random.Random, dataset: Dataset, keyword: str) -> None:
    vr = dice.choice(VRS) if dice.random() < 0.5 else pydicom.datadict.dictionary_VR(keyword)[:2]
    dataset.add_new(keyword, vr, dice.choice(ABSURD))


def check(seed: int) -> str:
    """Reads one film; returns what became of it. Raises AssertionError where that is not right."""
    dice = random.Random(f"film {seed}")
    film = drawn(dice)
    syntax, by_gdcm = dice.choice(
        [(one, False) for one in _PYDICOM] + [(one, True) for one in _GDCM]
    )
    by_gdcm = by_gdcm and film.stored.itemsize == 2
    syntax = syntax if by_gdcm or syntax in _PYDICOM else uid.ExplicitVRLittleEndian
    data = written(film, syntax, by_gdcm)
    kind = dice.choice(("sound", "lacking", "lacking", "several", "absurd", "absurd", "absurd"))
    is_known = kind != "absurd"
    if kind == "lacking" and film.elements:
        keyword = dice.choice(sorted(film.elements))
        data = spoiled(data, keyword, dice.choice((absent, empty))) or data
        for gone in DISPLAY[keyword]:
            film.elements.pop(gone, None)
    elif kind == "several" and (windows := {"WindowCenter", "WindowWidth"} & set(film.elements)):
        for keyword in sorted(windows):
            data = spoiled(data, keyword, several) or data
    elif kind == "absurd":
        for _ in range(dice.choice((1, 1, 2))):
            keyword = dice.choice((*DISPLAY, *HEADER))
            data = spoiled(data, keyword, functools.partial(absurd, dice)) or data
    taken, outcome, xray = _timed(data)
    if taken > MOST_SECONDS:  # the first film of its kind imports its decoder
        taken, outcome, xray = _timed(data)
    assert taken < MOST_SECONDS, f"{seed}: too slow"
    assert len(outcome.splitlines()) == 1, seed
    if is_known:
        assert xray, f"{seed}: a sound film is refused: {outcome}"
        pixels = np.asarray(Image.open(io.BytesIO(xray.data))).astype(float)
        difference = np.abs(pixels - shown(film)).max()
        assert difference <= 1, f"{seed}: {difference:.1f} grey levels off ({syntax.name})"
        outcome = f"as the standard says, {syntax.name}"
    return outcome


def _timed(data: bytes) -> tuple[float, str, images.XRay | None]:
    """Reads a film; the first value is seconds of this processor."""
    started = _processor_seconds()
    outcome, xray = _read(data)
    return _processor_seconds() - started, outcome, xray


def _read(data: bytes) -> tuple[str, images.XRay | None]:
    try:
        return "read", images.read(data, max_pixels=1_000_000)
    except images.ImageError as refusal:
        return f"{refusal.reason}: {refusal}", None


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Tries films and says what became of them; ends with 1 where one was not read aright."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("count", type=int, help="of films")
    parser.add_argument("first", type=int, nargs="?", default=0, help="seed; default: %(default)s")
    arguments = parser.parse_args()
    outcomes: collections.Counter[str] = collections.Counter()
    for seed in range(arguments.first, arguments.first + arguments.count):
        try:
            outcomes[check(seed)] += 1
        except AssertionError as error:
            outcomes["WRONG"] += 1
            print(error)
    for outcome, number in outcomes.most_common():
        print(f"{number:7,} {outcome}")
    sys.exit("WRONG" in outcomes)


if __name__ == "__main__":
    main()
