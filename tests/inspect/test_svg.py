"""Charts: every part lies within, labels leave each other room, and values are where their axis says."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from curation.inspect.svg import (
    HEIGHT,
    WIDTH,
    Axis,
    Bar,
    Cell,
    Mark,
    Series,
    bar_chart,
    compact,
    heat_map,
    line_chart,
    meter,
    percent,
)

positive = st.floats(1e-3, 1e12, allow_nan=False)
points = st.lists(st.tuples(positive, positive), min_size=1, max_size=30).map(sorted)


def numbers(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.-]+) ([\d.-]+)", path)]


def chart(markup: str) -> LexborHTMLParser:
    return LexborHTMLParser(f"<body>{markup}</body>")


def test_sizes_are_written_short() -> None:
    written = {0: "0", 7: "7", 0.25: "0.25", 1234: "1,234", 9999: "9,999", 12_300: "12.3k", 999_000: "999k",
               2_500_000: "2.5M", 3e9: "3B", 5e12: "5,000B"}  # fmt: skip
    assert {value: compact(value) for value in written} == written
    assert percent(0.075) == "7.5%"


@given(points, st.booleans(), st.booleans())
def test_lines_lie_within_the_chart(found: list[tuple[float, float]], log_x: bool, log_y: bool) -> None:
    series = [Series("a", found, 0), Series("b", found[:1], 1)]
    drawn = chart(line_chart("label", series, Axis("x", log=log_x), Axis("y", log=log_y)))
    paths = drawn.css("path")
    assert len(paths) == 2
    for path in paths:
        for x, y in numbers(str(path.attributes["d"])):
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT


@given(points, st.booleans())
@example([(1e-3, 1.0), (1e12, 2.0)], True)
@example([(99_990.0, 1.0), (100_120.0, 2.0)], False)
@example([(1.0, 1.0), (1.5, 2.0)], True)
def test_labels_of_an_axis_leave_each_other_room(found: list[tuple[float, float]], log: bool) -> None:
    drawn = chart(line_chart("label", [Series("a", found, 0)], Axis("x", log=log), Axis("y")))
    boxes = []
    for label in drawn.css("text.tick"):
        at, wide = float(str(label.attributes["x"])), 6.7 * len(label.text())  # of the usual fonts at 12 units
        begin = {"end": at - wide, "middle": at - wide / 2}[str(label.attributes["text-anchor"])]
        boxes.append((float(str(label.attributes["y"])), begin, begin + wide))
    below = sorted(box for box in boxes if box[0] == max(y for y, _, _ in boxes))
    assert all(first[2] <= second[1] for first, second in pairwise(below))
    assert all(begin >= -12 and end <= WIDTH + 12 for _, begin, end in boxes)
    rows = sorted({y for y, _, _ in boxes} - {below[0][0]}) if below else []
    assert all(second - first >= 12 for first, second in pairwise(rows))


@given(st.floats(0.01, 1e9), st.floats(1.5, 1e9), st.booleans())
def test_every_axis_has_labels(low: float, factor: float, log: bool) -> None:
    drawn = chart(line_chart("", [Series("a", [(low, 1), (low * factor, 2)], 0)], Axis("x", log=log), Axis("y")))
    baseline = max(float(str(label.attributes["y"])) for label in drawn.css("text.tick"))
    assert sum(float(str(label.attributes["y"])) == baseline for label in drawn.css("text.tick")) >= 2


def test_values_are_where_the_axis_says() -> None:
    series = [Series("a", [(1, 1), (10, 10), (100, 100)], 0)]
    (path,) = chart(line_chart("", series, Axis("x", log=True), Axis("y", log=True))).css("path")
    (x0, y0), (x1, y1), (x2, y2) = numbers(str(path.attributes["d"]))
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.2)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.2)
    assert y0 > y2


def test_steps_are_level_until_the_next_point() -> None:
    (path,) = chart(line_chart("", [Series("a", [(0, 0), (1, 5)], 0, steps=True)], Axis("x"), Axis("y"))).css("path")
    (_, y0), (x1, y1), (x2, y2) = numbers(str(path.attributes["d"]))
    assert (y0, x1) == (y1, x2) and y2 < y1


def test_bars_are_as_high_as_their_parts() -> None:
    bars = [Bar(1, 2, [3, 1], "one"), Bar(2, 4, [8, 0], "two")]
    drawn = chart(bar_chart("", bars, Axis("x", log=True), Axis("y", low=0)))
    heights = [float(str(rect.attributes["height"])) for rect in drawn.css("rect")]
    assert len(heights) == 3  # no part of nothing
    assert heights[0] / heights[2] == pytest.approx(3 / 8, abs=0.01)
    assert [title.text() for title in drawn.css("title")] == ["one", "two"]


def test_one_bar_is_no_wall() -> None:
    (rect,) = chart(bar_chart("", [Bar(32, 64, [5], "")], Axis("x", log=True), Axis("y", low=0))).css("rect")
    assert float(str(rect.attributes["width"])) < WIDTH / 4


def test_cells_are_where_they_belong() -> None:
    cells = [Cell(1, 2, 1, 2, 1.0, "many"), Cell(2, 4, 2, 4, 0.0, "none")]
    many, none = chart(heat_map("", cells, Axis("x", log=True), Axis("y", log=True))).css("rect")
    assert float(str(many.attributes["fill-opacity"])) == 1
    assert float(str(many.attributes["x"])) < float(str(none.attributes["x"]))
    assert float(str(many.attributes["y"])) > float(str(none.attributes["y"]))


@given(st.lists(st.floats(0, 3), max_size=4))
def test_a_meter_never_runs_over(parts: list[float]) -> None:
    drawn = chart(meter([(part, place) for place, part in enumerate(parts)], "words"))
    ends = [float(str(r.attributes["x"])) + float(str(r.attributes["width"])) for r in drawn.css("rect")]
    assert all(end <= 100.11 for end in ends)
    wanted = min(100, 100 * sum(parts))
    assert math.isclose(sum(float(str(r.attributes["width"])) for r in drawn.css("rect")), wanted, abs_tol=0.5)


def test_what_charts_say_is_escaped() -> None:
    evil = "</title></svg><script>alert(1)</script>"
    drawn = [
        line_chart(evil, [Series(evil, [(1, 2)], 0)], Axis(evil), Axis(evil), [Mark(1, 2, 0, evil)]),
        bar_chart(evil, [Bar(1, 2, [1], evil)], Axis(evil), Axis(evil)),
        heat_map(evil, [Cell(1, 2, 1, 2, 1, evil)], Axis(evil), Axis(evil)),
        meter([(1, 0)], evil),
    ]
    for markup in drawn:
        assert not chart(markup).css("script")
        assert len(chart(markup).css("body > *")) == 1
