"""What all figures share: matplotlib when it is there, one look, and texts that its font can draw.

A machine without further fonts has DejaVu alone, which knows no Chinese or Japanese, and matplotlib before 3.11 writes
Arabic backwards. Such texts are not drawn: a figure says where to read them, and `as_table` shows them.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import numpy as np
import numpy.typing as npt

from curation.errors import CurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXTRA: Final = "pip install 'curation[notebooks]'"
BEFORE, AFTER, THIRD, FOURTH, LOST = "#7f8c9b", "#0072b2", "#e69f00", "#009e73", "#d55e00"
"""Colours that also differ for the colour-blind (Okabe and Ito's, and a grey)."""
FAMILY = (AFTER, THIRD, FOURTH, "#cc79a7", "#56b4e9", LOST, "#999933", BEFORE, "#332288", "#000000")
"""Of lines in one figure, in this order."""

_FONT = "DejaVu Sans"
_STYLE: Final = {
    "font.family": _FONT,
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.dpi": 100.0,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a dollar sign in a text is a dollar sign
}
_HAS_DIRECTION = ("R", "AL", "RLE", "LRE", "RLO", "LRO", "RLI", "LRI", "FSI", "PDF", "PDI")

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """The same function with one look, whatever the user's settings. CurationError where matplotlib is missing."""

    @wraps(draw)
    def drawn(*arguments: P.args, **options: P.kwargs) -> Figure:
        with _matplotlib().rc_context(_STYLE):
            return draw(*arguments, **options)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches (of 100 pixels); it belongs to no window and needs no closing."""
    figure: Figure = import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    return figure


def one_axes(width: float = 8.0, height: float = 3.6, title: str = "") -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    axes: Axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _matplotlib() -> Any:
    try:
        return import_module("matplotlib")
    except ImportError:
        raise CurationError(f"figures need matplotlib: {EXTRA}") from None


def say_nothing_there(axes: Axes, words: str) -> None:
    """An empty answer drawn as words, without axes."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, color="#555555")


def thousands(axis: Any) -> None:
    """Ticks like 12,000."""
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def name_bars(axes: Axes, names: Sequence[str]) -> None:
    """Names of horizontal bars at 0, 1 ... from above; no lines between them."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def legend_below(figure: Figure, axes: Axes) -> None:
    """What the colours mean, under the axes, where no bar is."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)


def add_bar_texts(axes: Axes, values: Sequence[float], texts: Sequence[str]) -> None:
    """A text behind the end of each horizontal bar; the axis grows, so that it has room."""
    room = max((len(text) for text in texts), default=0)
    most = max([*values, 1e-9])
    axes.set_xlim(0, most * (1.04 + 0.014 * room))
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.text(value + most * 0.008, place, text, va="center", ha="left", fontsize=8)


@cache
def _glyphs() -> frozenset[int]:
    manager = import_module("matplotlib.font_manager")
    return frozenset(manager.get_font(manager.findfont(_FONT)).get_charmap())


def is_drawable(text: str) -> bool:
    """Whether the figures' font has every character, and none is of a script that is written from right to left."""
    return all(
        (ord(char) in _glyphs() or char.isspace()) and unicodedata.bidirectional(char) not in _HAS_DIRECTION
        for char in text
    )


def drawn_text(text: str | None, instead: str, width: int = 40, lines: int = 1) -> str:
    """The text in so many lines of so many characters; `instead` where the font cannot draw it."""
    plain = " ".join((text or "").split())
    plain = "".join(char for char in plain if unicodedata.category(char) != "Cc")
    if not plain or not is_drawable(plain):
        return instead
    return "\n".join(textwrap.wrap(plain, width, max_lines=lines, placeholder=" …"))


def column(table: Any, name: str) -> list[Any]:
    """A column's values as Python's."""
    values: list[Any] = table.column(name).to_pylist()
    return values


def floats(table: Any, name: str) -> npt.NDArray[np.float64]:
    """A column's numbers, NaN for null."""
    return np.array([np.nan if value is None else value for value in column(table, name)], np.float64)
