"""The pages of drift and shadow: one file each that loads nothing, in the report's style."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Template
from markupsafe import Markup
from PIL import Image

from components.files import replacing
from components.monitoring.audit import Audit
from components.monitoring.drift import FEWEST, LEVEL, Window
from components.monitoring.estimate import Estimate
from components.monitoring.sample import Sample
from components.monitoring.shadow import Shadow, ShadowDifference
from components.pictures import thumbnail
from components.reporter import html
from components.reporter.plot import Plot, count_axis, range_axis, unit_axis

_TEMPLATES: Final = Path(__file__).with_name("templates")
_SIDE: Final = 320  # pixels of a heat map


@dataclass(frozen=True)
class DriftReport:
    """What a page tells.

    Attributes:
        version: the model's.
        source: what the reference is, in words.
        reference: its films.
        windows: what was found in each.
        newest: the films of the last.
        left_out: films of other models, which were not compared.
        divergences: by window's name and measure; see `divergence`.
        estimates: by window's name.
        audit: where outcomes are known.
    """

    version: int
    source: str
    reference: Sample
    windows: Sequence[Window]
    newest: Sample
    left_out: int
    divergences: Mapping[str, Mapping[str, float]]
    estimates: Mapping[str, Estimate]
    audit: Audit | None

    @property
    def drifted(self) -> list[Window]:
        """The windows that are unlike the reference."""
        return [window for window in self.windows if window.drifted]


def write(report: DriftReport, target: Path) -> None:
    """Writes the page, whole or not at all.

    Args:
        report: what the page tells.
        target: the HTML file.
    """
    page = _template("drift.html").render(
        report=report,
        fewest=FEWEST,
        level=LEVEL,
        shares=_shares(report),
        chances=_chances(report.windows),
        control=_control(report.audit) if report.audit else None,
    )
    with replacing(target) as file:
        file.write(page.encode())


def write_shadow(
    found: Shadow,
    differences: Sequence[ShadowDifference],
    served: int,
    candidate: int,
    target: Path,
) -> None:
    """Writes a shadow's page, whole or not at all.

    Args:
        found: the figures.
        differences: films that are shown with both heat maps.
        served: the served version's number.
        candidate: the candidate's.
        target: the HTML file.
    """
    pictures = [
        {"of": one, "served": _picture(one.overlays[0]), "candidate": _picture(one.overlays[1])}
        for one in differences
    ]
    page = _template("shadow.html").render(
        found=found, pictures=pictures, served=served, candidate=candidate
    )
    with replacing(target) as file:
        file.write(page.encode())


def _picture(png: bytes) -> str:
    return thumbnail(Image.open(io.BytesIO(png)).convert("RGB"), _SIDE)


def _template(name: str) -> Template:
    return html.environment(_TEMPLATES, html.TEMPLATES).get_template(name)


def _shares(report: DriftReport) -> Markup:
    """The share called sick in each window, beside the reference's."""
    axis = count_axis("window", len(report.windows))
    plot = Plot("Share called sick by window", axis, unit_axis("called sick"), 260)
    share = float(report.reference.called.mean())
    plot.line([(axis.low, share), (axis.high, share)], "baseline")
    for place, window in enumerate(report.windows, 1):
        css = "operating" if window.drifted else "model"
        plot.cross((place, window.share), css, along=window.share_interval)
    return plot.svg()


def _chances(windows: Sequence[Window]) -> Markup:
    """How unlikely each window is, were its films like the reference's."""
    axis = count_axis("window", len(windows))
    plot = Plot("p-value by window", axis, unit_axis("p-value"), 260)
    plot.line([(axis.low, LEVEL), (axis.high, LEVEL)], "baseline")
    for place, window in enumerate(windows, 1):
        plot.cross((place, window.p_value), "operating" if window.drifted else "model")
    return plot.svg()


def _control(audit: Audit) -> Markup:
    """The control chart on missed pneumonias."""
    limit = audit.chart.limit
    axis = count_axis("sick film", max(2, len(audit.sums)))
    plot = Plot("Control chart on misses", axis, range_axis("sum", [0, limit, *audit.sums]), 260)
    plot.line([(axis.low, limit), (axis.high, limit)], "operating")
    plot.line([(place, at) for place, at in enumerate(audit.sums, 1)], "model")
    return plot.svg()
