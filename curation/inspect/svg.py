"""Charts as inline SVG: no script, no font, no colour of their own (classes s0 to s5; the page's style has them).

Every chart is WIDTH units wide and is scaled by the page. What a chart shows is in its aria-label in short, in the
titles of its parts for a pointer, and in a table that its figure brings along.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from curation.inspect.report_markup import Content, Html, element, joined

WIDTH, HEIGHT = 460, 270
SERIES = 6
"""Colours and dashes there are."""

_RIGHT, _TOP, _BOTTOM = 18, 26, 44
_CHAR = 7.0  # units that a character of a tick label is wide, at a font size of 12
_GAP = 8  # units between two labels
_BARS = 6  # of a histogram for which there is room at least
_HOVERED = 24  # points of a series that tell their values


def compact(value: float) -> str:
    """1,234 as it is up to 9,999; 12k, 1.5M, 3B beyond; small ones with what digits they need."""
    for limit, divisor, unit in ((1e4, 1.0, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M"), (math.inf, 1e9, "B")):
        if abs(value) < limit:
            return f"{value / divisor:,.4g}{unit}" if abs(value / divisor) < 1000 else f"{value / divisor:,.0f}{unit}"
    return f"{value:g}"


def percent(value: float) -> str:
    """0.25 as 25%."""
    return f"{100 * value:.4g}%"


@dataclass(frozen=True)
class Axis:
    """What an axis stands for. low, high: where it begins and ends; None: as the values do. log: values above 0."""

    title: str
    log: bool = False
    write: Callable[[float], str] = compact
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """A line, from left to right. place: its colour and dash. steps: level until the next point."""

    name: str
    points: Sequence[tuple[float, float]]
    place: int
    steps: bool = False


@dataclass(frozen=True)
class Mark:
    """A point that is to be seen, on the line of a series."""

    x: float
    y: float
    place: int
    words: str


@dataclass(frozen=True)
class Bar:
    """A bar over [low, high) of the axis; words: what a pointer is told."""

    low: float
    high: float
    parts: Sequence[float]
    words: str


@dataclass(frozen=True)
class Cell:
    """A rectangle of a heat map; part: how dense, 0 to 1."""

    left: float
    right: float
    low: float
    high: float
    part: float
    words: str


@dataclass(frozen=True)
class _Scale:
    """Values onto units: `low` of the axis is at `start`, `high` at `end`."""

    axis: Axis
    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
        low = axis.low if axis.low is not None else min(values, default=1.0)
        high = axis.high if axis.high is not None else max(values, default=1.0)
        if not low < high:
            high = low * 10 if axis.log else low + 1
        return cls(axis, low, high, start, end)

    def at(self, value: float) -> float:
        held = min(max(value, self.low), self.high)
        if self.axis.log:
            part = math.log(held / self.low) / math.log(self.high / self.low)
        else:
            part = (held - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        found = _log_ticks(self.low, self.high) if self.axis.log else _linear_ticks(self.low, self.high, most)
        return found[:: max(1, math.ceil(len(found) / most))]


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; with their multiples where there are few, and even steps where there are hardly any."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    for factors in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        found = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        found = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(found) >= 3:
            return found
    return _linear_ticks(low, high, 5)


def line_chart(
    label: str, series: Sequence[Series], x: Axis, y: Axis, marks: Sequence[Mark] = (), height: int = HEIGHT
) -> Html:
    """Lines over two axes. label: what is seen, in a sentence."""
    points = [point for each in series for point in each.points] + [(mark.x, mark.y) for mark in marks]
    frame = _Frame(x, y, [x for x, _ in points], [y for _, y in points], height)
    drawn = [frame.grid()]
    drawn += [part for each in series for part in (frame.line(each), frame.hovered(each))]
    drawn += [frame.mark(mark) for mark in marks]
    return _svg(label, height, drawn)


def bar_chart(label: str, bars: Sequence[Bar], x: Axis, y: Axis, height: int = HEIGHT) -> Html:
    """A histogram, its parts upon each other. Few bars leave room on both sides."""
    lows, highs = [bar.low for bar in bars], [bar.high for bar in bars]
    missing = max(0, _BARS - len(bars)) / 2
    if x.log:
        step = highs[0] / lows[0]
        edges = [min(lows) / step**missing, max(highs) * step**missing]
    else:
        edges = [min(lows) - missing * (highs[0] - lows[0]), max(highs) + missing * (highs[0] - lows[0])]
    frame = _Frame(x, y, edges, [0.0, *(1.05 * sum(bar.parts) for bar in bars)], height)
    return _svg(label, height, [frame.grid(), *map(frame.bar, bars)])


def heat_map(label: str, cells: Sequence[Cell], x: Axis, y: Axis, height: int = HEIGHT) -> Html:
    """Rectangles, the denser the more there is in them."""
    across = [edge for cell in cells for edge in (cell.left, cell.right)]
    upward = [edge for cell in cells for edge in (cell.low, cell.high)]
    frame = _Frame(x, y, across, upward, height)
    return _svg(label, height, [frame.grid(), *map(frame.cell, cells)])


def meter(parts: Sequence[tuple[float, int]], words: str) -> Html:
    """A bar as wide as its column: (share of the whole, series) side by side."""
    drawn, at = [], 0.0
    for part, place in parts:
        width = max(0.0, min(100.0 - at, 100 * part))
        drawn.append(element("rect", x=_unit(at), y=0, width=_unit(width), height=10, class_=f"fill s{place}"))
        at += width
    return element(
        "svg", *drawn, class_="meter", viewBox="0 0 100 10", preserveAspectRatio="none", role="img", aria_label=words
    )


def key(name: Content, place: int, *, filled: bool = False) -> Html:
    """An item of a legend."""
    if filled:
        sign = element("rect", x=2, y=1, width=20, height=10, class_=f"fill s{place}")
    else:
        sign = element("line", x1=0, x2=24, y1=6, y2=6, class_=f"line s{place}")
    return element("li", element("svg", sign, class_="key", viewBox="0 0 24 12", aria_hidden="true"), name)


def _svg(label: str, height: int, parts: Sequence[Html]) -> Html:
    return element("svg", *parts, class_="chart", viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=label)


def _unit(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


@dataclass
class _Frame:
    """The place of a chart between its axes."""

    x: Axis
    y: Axis
    xs: Sequence[float]
    ys: Sequence[float]
    height: int
    _across: _Scale = field(init=False)
    _up: _Scale = field(init=False)
    _rows: list[float] = field(init=False)

    def __post_init__(self) -> None:
        bottom = self.height - _BOTTOM
        self._up = _Scale.over(self.y, self.ys, bottom, _TOP)
        self._rows = self._up.ticks(6)
        left = 12 + _CHAR * max((len(self.y.write(value)) for value in self._rows), default=1)
        self._across = _Scale.over(self.x, self.xs, max(left, 36), WIDTH - _RIGHT)

    def grid(self) -> Html:
        """Axes, ticks, their labels and titles."""
        left, right, bottom = self._across.start, self._across.end, self._up.start
        drawn: list[Content] = []
        for value in self._rows:
            at = _unit(self._up.at(value))
            drawn.append(element("line", x1=_unit(left), x2=_unit(right), y1=at, y2=at, class_="grid"))
            drawn.append(_label(self.y.write(value), left - 6, self._up.at(value) + 4, "end"))
        drawn.append(
            element("line", x1=_unit(left), x2=_unit(right), y1=_unit(bottom), y2=_unit(bottom), class_="axis")
        )
        for value, at_x, anchor in self._columns():
            drawn.append(
                element("line", x1=_unit(at_x), x2=_unit(at_x), y1=_unit(bottom), y2=_unit(bottom + 4), class_="axis")
            )
            drawn.append(_label(self.x.write(value), at_x, bottom + 17, anchor))
        drawn.append(_label(self.x.title, (left + right) / 2, self.height - 6, "middle", "title"))
        drawn.append(_label(self.y.title, 0, 13, "start", "title"))
        return element("g", *drawn, aria_hidden="true")

    def _columns(self) -> list[tuple[float, float, str]]:
        """Ticks of the x axis that leave room for each other's labels: value, where, anchor of its label."""
        found: list[tuple[float, float, str]] = []
        free = -math.inf
        for value in self._across.ticks(9):
            at, width = self._across.at(value), _CHAR * len(self.x.write(value))
            anchor = "end" if at + width / 2 > WIDTH else "middle"
            begin = at - (width if anchor == "end" else width / 2)
            if begin >= free:
                found.append((value, at, anchor))
                free = begin + width + _GAP
        return found

    def line(self, series: Series) -> Html:
        steps: list[str] = []
        before = ""
        for x, y in series.points:
            at_x, at_y = _unit(self._across.at(x)), _unit(self._up.at(y))
            steps += [f"L{at_x} {before}"] if series.steps and before else []
            steps.append(f"{'L' if steps else 'M'}{at_x} {at_y}")
            before = at_y
        return element("path", d="".join(steps), class_=f"line s{series.place % SERIES}")

    def hovered(self, series: Series) -> Html:
        """Places that a pointer may rest on."""
        points = list(series.points)
        chosen = points[:: max(1, math.ceil(len(points) / _HOVERED))]
        return joined(*(self._spot(series.name, x, y) for x, y in chosen))

    def _spot(self, name: str, x: float, y: float) -> Html:
        words = f"{name}: {self.y.write(y)} at {self.x.write(x)}"
        return element(
            "g",
            element("title", words),
            element("circle", cx=_unit(self._across.at(x)), cy=_unit(self._up.at(y)), r=7, class_="spot"),
        )

    def mark(self, mark: Mark) -> Html:
        spot = element(
            "circle",
            cx=_unit(self._across.at(mark.x)),
            cy=_unit(self._up.at(mark.y)),
            r=5,
            class_=f"mark s{mark.place % SERIES}",
        )
        return element("g", element("title", mark.words), spot)

    def bar(self, bar: Bar) -> Html:
        left, right = self._across.at(bar.low), self._across.at(bar.high)
        drawn: list[Content] = [element("title", bar.words)]
        total = 0.0
        for place, part in enumerate(bar.parts):
            low, total = self._up.at(total), total + part
            high = self._up.at(total)
            if part > 0:
                drawn.append(
                    element(
                        "rect",
                        x=_unit(left + 0.5),
                        y=_unit(high),
                        width=_unit(max(0.6, right - left - 1)),
                        height=_unit(max(0.6, low - high)),
                        class_=f"fill s{place}",
                    )
                )
        return element("g", *drawn)

    def cell(self, cell: Cell) -> Html:
        left, right = self._across.at(cell.left), self._across.at(cell.right)
        low, high = self._up.at(cell.low), self._up.at(cell.high)
        return element(
            "g",
            element("title", cell.words),
            element(
                "rect",
                x=_unit(left),
                y=_unit(high),
                width=_unit(right - left),
                height=_unit(low - high),
                fill_opacity=f"{0.08 + 0.92 * cell.part:.2f}",
                class_="fill s0",
            ),
        )


def _label(words: str, x: float, y: float, anchor: str, kind: str = "tick") -> Html:
    return element("text", words, x=_unit(x), y=_unit(y), text_anchor=anchor, class_=kind)
