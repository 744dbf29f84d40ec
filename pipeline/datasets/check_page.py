"""Shows what a data check found: tables on the console and one self-contained HTML page."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import ImageOps
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components import names
from components.files import replacing
from components.pictures import thumbnail
from pipeline.datasets.check import Check, ReadableFilm, open_film
from pipeline.datasets.measures import PROPERTIES

_TEMPLATES = Path(__file__).parent
_THUMBNAIL = 128  # pixels
_SHOWN = 12  # films of each class and split
_LISTED = 40  # groups, pairs, rejects
_BINS = 24
_COLOURS = {"problem": "red", "warning": "yellow", "note": "dim"}


def print_tables(check: Check, console: Console) -> None:
    """Prints what the set holds, how the classes differ and what was found.

    Args:
        check: what was found.
        console: where to print.
    """
    contents = Table(
        "split", "class", "films", "patients", "formats", title="What ingest will make of it"
    )
    for split, label, films, patients, formats in _contents(check):
        contents.add_row(split, label, f"{films:,}", f"{patients:,}", formats)
    console.print(contents)
    differences = Table("measure", *names.CLASSES, "AUC", "Cohen's d", "verdict")
    differences.title = "What tells the classes apart, besides the lungs (medians)"
    for measure in _differences(check):
        differences.add_row(*measure)
    console.print(differences)
    for finding in check.findings:
        colour = _COLOURS[finding.level]
        console.print(f"[{colour}]{finding.level:8}[/] {escape(finding.text)}", highlight=False)
    for reject in check.rejects[:5]:
        console.print(f"  {escape(reject.name)}: {escape(reject.detail)}", highlight=False)
    for group in check.duplicates[:5]:
        same = ", ".join(film.name for film in group)
        console.print(f"  the same bytes: {escape(same)}", highlight=False)


def write_page(check: Check, path: Path) -> None:
    """Writes the page with thumbnails, whole or not at all; it loads nothing from elsewhere.

    Args:
        check: what was found.
        path: the page's file; missing folders are made.

    Raises:
        ImageError: a film is no longer as it was checked.
        OSError: a film cannot be read, or the page not be written.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("check.html").render(
        check=check,
        written=sum(len(films) for films in check.splits.values()),
        classes=names.CLASSES,
        contents=_contents(check),
        differences=_differences(check),
        histograms=[_histogram(check, name) for name in PROPERTIES if _varies(check, name)],
        samples=_samples(check),
        duplicates=[_thumbnails(check.folder, group) for group in check.duplicates[:_LISTED]],
        near=[_thumbnails(check.folder, pair) for pair in check.near[:_LISTED]],
        listed=_LISTED,
    )
    with replacing(path) as file:
        file.write(page.encode())


def _contents(check: Check) -> list[tuple[str, str, int, int, str]]:
    rows = []
    for split, label, films in _places(check):
        patients = {film.record.patient_id for film in films}
        formats = Counter(film.record.source_format for film in films)
        shown = ", ".join(f"{count:,} {name}" for name, count in formats.most_common())
        rows.append((split, label, len(films), len(patients), shown))
    return rows


def _places(check: Check) -> Iterator[tuple[str, str, list[ReadableFilm]]]:
    for split, films in check.splits.items():
        for label in names.CLASSES:
            yield split, label, [film for film in films if film.label == label]


def _differences(check: Check) -> list[tuple[str, ...]]:
    rows = [
        (
            ", ".join(PROPERTIES[name]),
            *(_number(median, ",.4g") for median in comparison.medians),
            _number(comparison.auc, ".2f"),
            _number(comparison.cohen_d, "+.2f"),
            comparison.verdict,
        )
        for name, comparison in check.comparisons.items()
    ]
    joint = _number(check.joint_auc, ".2f")
    return [*rows, ("all together, linear", "", "", joint, "", check.joint_verdict)]


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def _varies(check: Check, name: str) -> bool:
    column = list(PROPERTIES).index(name)
    return len({film.values[column] for film in check.films}) > 1


def _histogram(check: Check, name: str) -> dict[str, Any]:
    """Computes each class's bins, heights in 0..1; the outermost hundredths go to the end bins."""
    column = list(PROPERTIES).index(name)
    values = np.array([film.values[column] for film in check.films])
    labels = np.array([film.label for film in check.films])
    low, high = np.percentile(values, [1, 99])
    low, high = (low, high) if high > low else (values.min(), values.max())
    counts = [
        np.histogram(values[labels == label].clip(low, high), _BINS, (low, high))[0]
        for label in names.CLASSES
    ]
    shares = [count / max(1, count.sum()) for count in counts]
    top = max(share.max() for share in shares)
    return {
        "title": ", ".join(PROPERTIES[name]),
        "low": f"{low:,.3g}",
        "high": f"{high:,.3g}",
        "verdict": check.comparisons[name].verdict,
        "bars": [(share / top).round(3).tolist() for share in shares],
    }


def _samples(check: Check) -> list[tuple[str, list[tuple[str, str]]]]:
    samples = []
    for split, label, films in _places(check):
        chosen = random.Random(0).sample(films, min(_SHOWN, len(films)))
        samples.append((f"{split}, {label}", _thumbnails(check.folder, chosen)))
    return samples


def _thumbnails(folder: Path, films: Iterable[ReadableFilm]) -> list[tuple[str, str]]:
    """Pairs each film's name with its picture as a data URI."""
    return [(film.name, _thumbnail(folder, film)) for film in films]


def _thumbnail(folder: Path, film: ReadableFilm) -> str:
    with open_film(folder, film.record) as image:
        image.draft("L", (_THUMBNAIL, _THUMBNAIL))
        small = ImageOps.exif_transpose(image).convert("L")
    return thumbnail(small, _THUMBNAIL)
