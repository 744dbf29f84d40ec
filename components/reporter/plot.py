"""Draws plots as inline SVG; the page's style colours them, so they follow dark mode and print."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from components.statistics import Interval

_WIDTH, _HEIGHT = 440, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 50


@dataclass(frozen=True)
class Axis:
    """A scale with its label.

    Attributes:
        label: what stands beside it.
        low: the value at its start.
        high: the value at its end.
        ticks: values and their texts.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float, start: float, end: float) -> float:
        """Places a value between two pixels; values beyond the scale lie at its ends.

        Args:
            value: the value.
            start: the pixel of `low`.
            end: the pixel of `high`.

        Returns:
            The pixel, not rounded.

        >>> unit_axis("share").at(0.25, 100, 200)
        125.0
        """
        span = self.high - self.low or 1.0
        share = min(max((value - self.low) / span, 0.0), 1.0)
        return start + share * (end - start)

    def absolute(self) -> "Axis":
        """Drops the ticks' signs, for what is drawn to both sides of 0."""
        return replace(self, ticks=tuple((value, text.lstrip("-")) for value, text in self.ticks))


def unit_axis(label: str) -> Axis:
    """Makes an axis from 0 to 1."""
    return Axis(label, 0, 1, tuple((tick / 5, f"{tick / 5:.1f}") for tick in range(6)))


def range_axis(label: str, values: Sequence[float]) -> Axis:
    """Makes an axis over all finite values, widened to round ticks.

    Args:
        label: what stands beside it.
        values: what it must hold.

    Returns:
        The axis, with about five ticks; from 0 to 1 without a finite value.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    rough = (high - low) / 4 or abs(high) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = max(0, -math.floor(math.log10(step)))
    ticks = tuple((tick * step, f"{tick * step:.{digits}f}") for tick in range(first, last + 1))
    return Axis(label, ticks[0][0], ticks[-1][0], ticks)


def count_axis(label: str, last: int) -> Axis:
    """Makes an axis of whole numbers.

    Args:
        label: what stands beside it.
        last: the largest number; the first is 1.

    Returns:
        The axis, half a number longer at either end, with at most ten ticks.
    """
    step = max(1, math.ceil(last / 10))
    ticks = tuple((float(tick), str(tick)) for tick in range(1, last + 1, step))
    return Axis(label, 0.5, last + 0.5, ticks)


class Plot:
    """Collects marks; `svg` joins them.

    Args:
        title: what a screen reader says.
        x: the axis to the right.
        y: the axis upwards.
        height: of the drawing, in pixels.
    """

    def __init__(self, title: str, x: Axis, y: Axis, height: int = _HEIGHT) -> None:
        self._title, self._x, self._y, self._height = title, x, y, height
        self._marks: list[str] = []

    def line(self, points: Sequence[tuple[float, float]], css: str, *, dots: bool = False) -> None:
        """Adds a polyline.

        Args:
            points: x and y of each; points with nan are left out.
            css: the classes that colour it.
            dots: whether each point gets a dot.
        """
        pixels = [self._pixel(*point) for point in points if not any(map(math.isnan, point))]
        path = " ".join(f"{left:.1f},{top:.1f}" for left, top in pixels)
        self._marks.append(f'<polyline class="line {css}" points="{path}"/>')
        if dots:
            self._marks += [
                f'<circle class="dot {css}" cx="{left:.1f}" cy="{top:.1f}" r="4"/>'
                for left, top in pixels
            ]

    def cross(
        self,
        point: tuple[float, float],
        css: str,
        across: Interval | None = None,
        along: Interval | None = None,
    ) -> None:
        """Adds a point with its intervals; nothing where the point has a nan.

        Args:
            point: x and y.
            css: the classes that colour it.
            across: the interval of x, if known.
            along: the interval of y, if known.
        """
        if any(map(math.isnan, point)):
            return
        ends = []
        if across:
            ends.append([(across[0], point[1]), (across[1], point[1])])
        if along:
            ends.append([(point[0], along[0]), (point[0], along[1])])
        for first, second in ends:
            (left, top), (right, bottom) = self._pixel(*first), self._pixel(*second)
            self._marks.append(
                f'<line class="whisker {css}" x1="{left:.1f}" y1="{top:.1f}" '
                f'x2="{right:.1f}" y2="{bottom:.1f}"/>'
            )
        left, top = self._pixel(*point)
        self._marks.append(f'<circle class="dot {css}" cx="{left:.1f}" cy="{top:.1f}" r="5"/>')

    def bars(self, bars: Sequence[tuple[float, float, float, float]], css: str) -> None:
        """Adds rectangles.

        Args:
            bars: low x, high x, low y and high y of each.
            css: the classes that colour them.
        """
        for low, high, bottom, top in bars:
            left, upper = self._pixel(low, top)
            right, lower = self._pixel(high, bottom)
            if lower - upper > 0.05:
                self._marks.append(
                    f'<rect class="box {css}" x="{left + 0.5:.1f}" y="{upper:.1f}" '
                    f'width="{max(right - left - 1, 0.5):.1f}" height="{lower - upper:.1f}"/>'
                )

    def vertical(self, value: float, css: str) -> None:
        """Adds a line from bottom to top.

        Args:
            value: its x.
            css: the classes that colour it.
        """
        left = self._pixel(value, self._y.low)[0]
        self._marks.append(
            f'<line class="line {css}" x1="{left:.1f}" y1="{_TOP}" '
            f'x2="{left:.1f}" y2="{self._height - _BOTTOM}"/>'
        )

    def live(self, name: str, shape: str) -> None:
        """Adds a mark that the page's script moves.

        Args:
            name: what the script finds it by.
            shape: `dot`, or `rule` for a line from bottom to top.
        """
        left, top = self._pixel(self._x.low, self._y.low)
        if shape == "dot":
            mark = f'<circle data-live="{name}" class="live" cx="{left}" cy="{top}" r="6"/>'
        else:
            mark = (
                f'<line data-live="{name}" class="live" x1="{left}" y1="{_TOP}" '
                f'x2="{left}" y2="{self._height - _BOTTOM}"/>'
            )
        self._marks.append(mark)

    def svg(self) -> Markup:
        """Joins the marks and draws the axes."""
        bottom, right = self._height - _BOTTOM, _WIDTH - _RIGHT
        parts = []
        for value, text in self._x.ticks:
            left = self._pixel(value, self._y.low)[0]
            parts.append(
                f'<line class="grid" x1="{left:.1f}" y1="{_TOP}" x2="{left:.1f}" y2="{bottom}"/>'
                f'<text x="{left:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(text)}</text>'
            )
        for value, text in self._y.ticks:
            top = self._pixel(self._x.low, value)[1]
            parts.append(
                f'<line class="grid" x1="{_LEFT}" y1="{top:.1f}" x2="{right}" y2="{top:.1f}"/>'
                f'<text x="{_LEFT - 8}" y="{top + 4:.1f}" text-anchor="end">{escape(text)}</text>'
            )
        middle = (_TOP + bottom) / 2
        parts += [
            f'<text class="axis" x="{(_LEFT + right) / 2}" y="{self._height - 10}" '
            f'text-anchor="middle">{escape(self._x.label)}</text>',
            f'<text class="axis" transform="translate(14 {middle}) rotate(-90)" '
            f'text-anchor="middle">{escape(self._y.label)}</text>',
        ]
        return Markup(
            f'<svg class="plot" viewBox="0 0 {_WIDTH} {self._height}" role="img" '
            f'aria-label="{escape(self._title)}" data-left="{_LEFT}" data-right="{right}" '
            f'data-top="{_TOP}" data-bottom="{bottom}">{"".join(parts)}{"".join(self._marks)}</svg>'
        )

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        return (
            self._x.at(x, _LEFT, _WIDTH - _RIGHT),
            self._y.at(y, self._height - _BOTTOM, _TOP),
        )
