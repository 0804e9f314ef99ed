"""Figures of samples: their pictures, read from where the manifest says, and what is said of them."""

from __future__ import annotations

import io
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.captions.faults import CaptionFaultError
from curation.captions.media import VideoMedia
from curation.inspect.plots.canvas import drawn_text, is_drawable, new_figure, say_nothing_there, styled
from curation.inspect.wording import clock
from curation.storage import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]

_SIDE = 160
"""Pixels to which pictures are scaled down."""
_NO_BYTES = "no bytes there"


@styled
def picture_grid(table: pa.Table, work: str | Path, columns: int = 4) -> Figure:
    """Samples with their pictures (of a video the frame in its middle) and the begin of their text.

    table: an answer of `questions.samples` or `samples_of`; work: the folder it is of.
    """
    rows = table.to_pylist()
    lines = max(1, -(-len(rows) // columns))
    figure = new_figure(8, 2.35 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    if not rows:
        say_nothing_there(panels[0], "no such samples")
    store = Store.at(work)
    for axes, row in zip(panels, rows, strict=False):
        _show(axes, _picture(store, row))
        seconds = f"{row['duration_ms'] / 1000:.1f} s: " if row["modality"] == "video" else ""
        text = drawn_text(row["text"], f"({row['text_lang']}: see the table)", 26, 2)
        axes.set_title(f"{seconds}{text}", fontsize=8)
    for axes in panels[len(rows) :]:
        axes.set_axis_off()
    return figure


@styled
def key_frame_strips(clips: pa.Table, texts: pa.Table, work: str | Path, frames: int = 4, lines: int = 7) -> Figure:
    """One line per clip: key frames at even distances, and beside them all that is said of it, the chosen text first.

    clips: an answer of `questions.clips_with_key_frames`; texts: of `texts_of_samples` for the same samples; work: the
    folder they are of.
    """
    rows = clips.to_pylist()
    said: dict[str, list[dict[str, Any]]] = {}
    for text in texts.to_pylist():
        said.setdefault(text["sample_id"], []).append(text)
    figure = new_figure(10, max(1, len(rows)) * 1.75)
    if not rows:
        say_nothing_there(figure.subplots(), "no clip has key frames")
        return figure
    shown = min(frames, max(len(row["key_frames"]) for row in rows))
    panels = figure.subplots(len(rows), shown + 1, squeeze=False, width_ratios=[*[1] * shown, 2.6])
    store = Store.at(work)
    for strip, row in zip(panels, rows, strict=True):
        _add_strip(strip[:-1], row, store)
        _add_texts(strip[-1], said.get(row["sample_id"], []), lines)
        strip[0].set_title(f"{row['sample_id'][:8]}… {clock(row['start_ms'])} to {clock(row['end_ms'])}", fontsize=8)
    return figure


def _add_strip(panels: npt.NDArray[Any], row: dict[str, Any], store: Store) -> None:
    chosen = np.unique(np.linspace(0, len(row["key_frames"]) - 1, len(panels)).round().astype(int))
    for axes, place in zip(panels, chosen, strict=False):
        frame = row["key_frames"][place]
        _show(axes, _decoded(store, row["path"], frame["offset"], frame["size_bytes"]))
        axes.set_xlabel(f"{frame['time_ms'] / 1000:.1f} s", fontsize=7.5)
    for axes in panels[len(chosen) :]:
        axes.set_axis_off()


def _add_texts(axes: Axes, texts: list[dict[str, Any]], lines: int) -> None:
    axes.set_axis_off()
    told: list[tuple[str, bool]] = []
    hidden = 0
    for text in texts:
        name = f"{text['captioner']}.{text['kind']}"
        if not is_drawable(text["text"]):
            hidden += 1
            continue
        part = "" if text["start_ms"] is None else f" [{clock(text['start_ms'])}]"
        wrapped = drawn_text(f"{name}{part}: {text['text']}", "", 56, 2).splitlines()
        told += [(f"{'    ' if number else ''}{line}", text["place"] == 0) for number, line in enumerate(wrapped)]
    if len(told) > lines:
        told = [*told[: lines - 1], ("and more: see the table", False)]
    if hidden:
        told.append((f"{hidden} in scripts that figures cannot draw: see the table", False))
    for number, (line, is_chosen) in enumerate(told):
        axes.text(0, 0.98 - number / (lines + 1), line, transform=axes.transAxes, va="top", fontsize=7.5,
                  fontweight="bold" if is_chosen else "normal")  # fmt: skip


def _show(axes: Axes, pixels: Pixels | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if pixels is None:
        say_nothing_there(axes, _NO_BYTES)
    else:
        axes.imshow(pixels)
        axes.set_anchor("NW")


def _picture(store: Store, row: dict[str, Any]) -> Pixels | None:
    if row["modality"] != "video":
        return _decoded(store, row["path"], row["offset"], row["size_bytes"])
    try:
        data = store.part(row["path"], row["offset"], row["size_bytes"])
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder) / f"film.{row['extension']}"
            film.write_bytes(data)
            found = VideoMedia(film).pictures([row["duration_ms"] // 2], _SIDE)
    except (FileNotFoundError, CaptionFaultError):
        return None
    return _pixels(found[0].data)


def _decoded(store: Store, path: str, offset: int, size_bytes: int) -> Pixels | None:
    """Small RGB pixels; None where the bytes are gone, or are no picture."""
    try:
        return _pixels(store.part(path, offset, size_bytes))
    except OSError:  # of the disk, or Pillow's for what is no picture
        return None


def _pixels(data: bytes) -> Pixels:
    image = import_module("PIL.Image").open(io.BytesIO(data)).convert("RGB")
    image.thumbnail((_SIDE, _SIDE))
    return np.asarray(image, np.uint8)
