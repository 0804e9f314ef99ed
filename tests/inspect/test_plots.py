"""Figures hold the numbers of their answers, draw without a warning, and show every text that they can."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from card_pools import make_pool, make_recipe, publish
from matplotlib.figure import Figure
from published_rows import publish_rows

from curation.errors import CurationError, InputError
from curation.inspect import connect, plots, questions
from curation.inspect.plots.canvas import drawn_text, is_drawable
from curation.schemas import CLIPS, MANIFEST
from curation.testing.manifests import manifest_table, write_manifest

Row = dict[str, Any]

STRANGE = ["猫と犬", "كلب كبير", "กระต่าย", "a $x$ for $5", "^_{\\alpha", "line\nbreak\x07", "<b>bold</b>", "İ😀", "",
           "very " * 60 + "long", "\u202ertl\u202c", "नमस्ते", "from $5^_ to $9"]  # fmt: skip


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(figure: Figure) -> bytes:
    """The figure as a notebook stores it; a glyph that is missing would warn."""
    stored = io.BytesIO()
    figure.savefig(stored, format="png", bbox_inches="tight")
    assert stored.getvalue().startswith(b"\x89PNG")
    return stored.getvalue()


def line(figure: Figure, gid: str) -> tuple[list[float], list[float]]:
    (found,) = [one for axes in figure.axes for one in axes.lines if one.get_gid() == gid]
    return list(found.get_xdata()), list(found.get_ydata())


def bars(figure: Figure, label: str, axes: int = 0) -> list[float]:
    (found,) = [one for one in figure.axes[axes].containers if one.get_label() == label]
    lie = found.orientation == "horizontal"
    return [patch.get_width() if lie else patch.get_height() for patch in found.patches]


def words(figure: Figure) -> list[str]:
    figure.canvas.draw()
    found = [text.get_text() for axes in figure.axes
             for text in (*axes.texts, axes.title, axes._left_title, axes.xaxis.label, *axes.get_yticklabels())]
    return [text for text in found if text]  # fmt: skip


def columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("selection")
    pool = make_pool(5, media=200, modalities=("image", "video"))
    pool.vocabularies["en"][:4] = STRANGE[:4]
    publish(folder, pool, make_recipe(pool))
    with connect(folder) as connection:
        yield connection


def test_curves_are_the_cumulative_counts(selection: Any) -> None:
    table = questions.cumulative_counts(selection)
    figure = plots.cumulative_counts(table)
    ranks, before, after = columns(table, "rank", "cumulative_before", "cumulative_after")
    assert line(figure, "before") == (ranks, before)
    assert line(figure, "after") == (ranks, after)
    assert figure.axes[0].get_ylabel() == "matches up to this entry"
    drawn(figure)


def test_curves_at_other_thresholds(selection: Any) -> None:
    table = questions.cumulative_at(selection, [1, 3.1, 50])
    figure = plots.cumulative_at(table)
    for t in (1, 3.1, 50):
        rows = [row for row in table.to_pylist() if row["t"] == t]
        assert line(figure, f"t={t:g}") == ([row["rank"] for row in rows], [row["cumulative"] for row in rows])
    drawn(figure)


def test_head_and_tail_add_up_to_all(selection: Any) -> None:
    table = questions.head_and_tail(selection)
    figure = plots.head_and_tail(table, "video")
    rows = sorted((row for row in table.to_pylist() if row["modality"] == "video"),
                  key=lambda row: -row["matches_before"])  # fmt: skip
    lengths = np.array([[patch.get_width() for patch in container.patches] for container in figure.axes[0].containers])
    lengths = lengths.reshape(len(rows), 2, 3)
    assert np.allclose(lengths.sum(axis=2), 1)
    for place, row in enumerate(rows):
        for turn, when in enumerate(("before", "after")):
            assert np.isclose(lengths[place, turn, 0], row[f"above_t_{when}"] / row[f"matches_{when}"])
            assert np.isclose(lengths[place, turn, 2], row[f"tail_{when}"] / row[f"matches_{when}"])
    drawn(figure)


def test_entries_of_every_script_are_drawn_or_told(selection: Any) -> None:
    table = questions.top_entries(selection, 60)
    figure = plots.top_entries(table, "image")
    rows = [row for row in table.to_pylist() if row["modality"] == "image"]
    assert bars(figure, "pool") == [row["before"] for row in rows]
    assert bars(figure, "kept") == [row["after"] for row in rows]
    assert "see the table (en)" in words(figure)
    assert "a $x$ for $5 (en)" in words(figure)
    drawn(figure)


def test_shares_of_texts(selection: Any) -> None:
    table = questions.matches_per_text(selection)
    rows = [row for row in table.to_pylist() if row["modality"] == "image"]
    figure = plots.matches_per_text(table, "image")
    for label, name in (("pool", "texts"), ("kept", "kept")):
        whole = sum(row[name] for row in rows)
        (found,) = [one for one in figure.axes[0].containers if str(one.get_label()).startswith(label)]
        assert np.allclose([patch.get_height() for patch in found.patches], [row[name] / whole for row in rows])
    drawn(figure)


def test_a_breakdown_leaves_the_others_to_words(selection: Any) -> None:
    table = questions.breakdown(selection, "page_host", 5)
    figure = plots.breakdown(table, "host")
    rows = table.to_pylist()[:5]
    for name in ("pairs", "matched", "kept"):
        assert bars(figure, name) == [row[name] for row in rows]
    assert [one.get_label() for one in figure.axes[0].containers] == ["pairs", "matched", "kept"]  # no manifest here
    assert f"{table.to_pylist()[5]['others']} others: {table.to_pylist()[5]['pairs']}" in figure.axes[0].get_xlabel()
    drawn(figure)


@pytest.mark.parametrize("unit", ["pairs", "media"])
def test_sizes_are_lines_with_a_dot_at_the_runs_own(selection: Any, unit: str) -> None:
    table = questions.sizes_at(selection, [1, 2, 3.1, 4.1, 20], "image")
    figure = plots.sizes_at(table, unit)
    for lang, t in (("en", 3.1), ("de", 4.1)):
        rows = [row for row in table.to_pylist() if row["lang"] == lang]
        assert line(figure, lang) == ([row["t"] for row in rows], [row[unit] for row in rows])
        assert line(figure, f"{lang} now") == ([t], [row[unit] for row in rows if row["t"] == t])
    drawn(figure)
    with pytest.raises(InputError, match="unit is 'bytes'"):
        plots.sizes_at(table, "bytes")


def test_the_tail_share_is_below_the_sizes(selection: Any) -> None:
    table = questions.sizes_following(selection, [1, 2, 3.1, 20])
    figure = plots.sizes_following(table)
    ts, pairs, shares = columns(table, "t", "pairs", "tail_share")
    assert line(figure, "kept pairs") == (ts, pairs)
    assert line(figure, "tail_share") == (ts, shares)
    assert any("this run: t = 3.1" in text for text in words(figure))
    drawn(figure)


def test_losses_are_bars_by_modality() -> None:
    rows = [("image", None, 80, 0), ("image", "http_4xx", 15, 0), ("image", "dns", 5, 4), ("video", None, 7, 0)]
    table = pa.Table.from_pylist([
        {"modality": modality, "error": error, "meaning": str(error), "media": media, "share": media / 100,
         "transient": transient} for modality, error, media, transient in rows])  # fmt: skip
    figure = plots.link_rot(table)
    assert bars(figure, "for good") == [15, 1]
    assert bars(figure, "a later run asks again") == [0, 4]
    assert "image: 20 of 100 media were lost (20.0%)" in words(figure)
    assert "nothing was lost" in words(figure)
    drawn(figure)


def test_hosts_lost_and_obtained() -> None:
    rows = [{"host": host, "others": others, "media": media, "lost": lost, "lost_share": lost / media,
             "most_common": "dns"}
            for host, others, media, lost in (("a.example", 0, 10, 9), ("例え.jp", 0, 5, 1), (None, 0, 4, 1),
                                              (None, 12, 400, 1))]  # fmt: skip
    figure = plots.link_rot_by(pa.Table.from_pylist(rows))
    assert bars(figure, "lost") == [9, 1, 1]
    assert bars(figure, "obtained") == [1, 4, 3]
    assert {"see the table", "not known"} <= set(words(figure))
    assert "12 others" in figure.axes[0].get_xlabel()
    drawn(figure)


def test_sizes_lengths_and_scores_are_histograms() -> None:
    sizes = pa.table({"from_px": [182, 256], "to_px": [255, 362], "fetched": [3, 9], "stored": [1, 11],
                      "samples": pa.array([None, None], pa.int64())})  # fmt: skip
    figure = plots.image_sizes(sizes)
    assert (bars(figure, "as fetched"), bars(figure, "as stored")) == ([3, 9], [1, 11])
    assert len(figure.axes[0].containers) == 2
    drawn(figure)
    lengths = pa.table({"from_s": [0.0, 1.5], "to_s": [1.5, None], "clips": [4, 6], "kept": [3, 2], "samples": [3, 1]})
    figure = plots.clip_lengths(lengths)
    assert (bars(figure, "cut: 10"), bars(figure, "kept: 5")) == ([4, 6], [3, 2])
    assert "1.5 s and more" in figure.axes[0].get_xlabel()
    drawn(figure)
    schema = pa.schema({"low": pa.float64(), "high": pa.float64(), "clips": pa.int64(), "kept": pa.int64()})
    one = pa.table({"low": [0.0, 0.5], "high": [0.5, 1.0], "clips": [7, 2], "kept": [5, 1]}, schema=schema)
    same = pa.table({"low": [24.0], "high": [24.0], "clips": [9], "kept": [6]}, schema=schema)
    figure = plots.score_histograms({"text_area": one, "fps": same, "loudness": schema.empty_table(), "more": one})
    assert (bars(figure, "clips"), bars(figure, "kept"), bars(figure, "clips", 1)) == ([7, 2], [5, 1], [9])
    assert {"text area", "no clip has it"} <= set(words(figure))
    drawn(figure)


def test_texts_by_captioner_and_per_sample(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([
        {"captioner": "alt", "kind": "alt", "samples": 3, "captions": 9, "chosen": 4, "mean_chars": 12.5},
        {"captioner": "vlm", "kind": "", "samples": 0, "captions": 0, "chosen": 0, "mean_chars": None}])  # fmt: skip
    figure = plots.captions_by_kind(table)
    assert (bars(figure, "texts"), bars(figure, "chosen for their sample")) == ([9], [4])
    drawn(figure)
    write_manifest(tmp_path, 200)
    with connect(tmp_path) as connection:
        table = questions.texts_per_sample(connection)
    rows = [row for row in table.to_pylist() if row["modality"] == "image"]
    whole = sum(row["samples"] for row in rows)
    assert np.allclose(bars(plots.texts_per_sample(table), f"image: {whole} samples"),
                       [row["samples"] / whole for row in rows])  # fmt: skip


def test_changes_are_bars_to_both_sides() -> None:
    table = pa.Table.from_pylist([
        {"kind": "concept", "value": value, "lang": "en", "a": a, "b": b, "change": b - a}
        for value, a, b in (("dog", 9, 3), ("猫", 1, 8))])  # fmt: skip
    figure = plots.diff_changes(table)
    assert [patch.get_width() for patch in figure.axes[0].patches] == [-6, 7]
    assert {"dog (en)", "see the table (en)", "9 → 3"} <= set(words(figure))
    drawn(figure)
    assert "the same by colour" in words(plots.diff_changes(table, "colour"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of real bytes and strange texts; its clips have key frames, which are images of it."""
    folder = tmp_path_factory.mktemp("pictures")
    rows: list[Row] = manifest_table(40, seed=2, videos=0.4).to_pylist()
    for place, row in enumerate(rows):
        row["text"] = STRANGE[place % len(STRANGE)]
        row["texts"] = [{**said, "text": STRANGE[(place + turn) % len(STRANGE)]}
                        for turn, said in enumerate(row["texts"])]  # fmt: skip
    write_manifest(folder, pa.Table.from_pylist(rows, MANIFEST.schema), with_bytes=True)
    with connect(folder) as connection:
        clips = connection.sql("SELECT * FROM manifest WHERE modality = 'video'").to_arrow_table().to_pylist()
        images = connection.sql("SELECT * FROM manifest WHERE modality = 'image'").to_arrow_table().to_pylist()
    tars = {row["path"] for row in clips}
    assert len(clips) > 4
    for row, image in zip(clips, images * 3, strict=False):  # a clip's frames lie in the file of the clip
        still = (folder / image["path"]).read_bytes()[image["offset"] : image["offset"] + image["size_bytes"]]
        (folder / row["path"]).write_bytes((folder / row["path"]).read_bytes() + still)
    ends = {path: (folder / path).stat().st_size for path in tars}
    frames = []
    for row, image in reversed(list(zip(clips, images * 3, strict=False))):
        ends[row["path"]] -= image["size_bytes"]
        frames.append((row, {"frame": 3, "time_ms": 400, "phash": 1, "offset": ends[row["path"]],
                             "size_bytes": image["size_bytes"]}))  # fmt: skip
    publish_rows(folder, "clips", {CLIPS: [
        {"clip_id": row["clip_id"], "media_id": row["media_id"], "key_frames": [frame] * (1 + place % 3)}
        for place, (row, frame) in enumerate(frames)]})  # fmt: skip
    return folder


def test_pictures_are_those_of_the_samples(pictures: Path) -> None:
    with connect(pictures) as connection:
        images = questions.samples(connection, 12, modality="image")
        films = questions.samples(connection, 3, modality="video")
    figure = plots.picture_grid(images, pictures)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 12
    assert {pixels.shape for pixels in shown} == {(48, 48, 3)}
    assert len({pixels.tobytes() for pixels in shown}) > 6
    drawn(figure)
    figure = plots.picture_grid(films, pictures)
    assert len([axes for axes in figure.axes if axes.images]) == 3
    drawn(figure)


def test_key_frames_stand_beside_all_texts(pictures: Path) -> None:
    with connect(pictures) as connection:
        clips = questions.clips_with_key_frames(connection, 5)
        texts = questions.texts_of_samples(connection, clips["sample_id"].to_pylist())
    figure = plots.key_frame_strips(clips, texts, pictures)
    frames = [len(row["key_frames"]) for row in clips.to_pylist()]
    assert len([axes for axes in figure.axes if axes.images]) == sum(frames)
    told = " ".join(words(figure))
    for row in texts.to_pylist():
        if row["text"].startswith("a $x$"):
            assert f"{row['captioner']}.{row['kind']}: a $x$ for $5" in told
    assert "in scripts that figures cannot draw: see the table" in told
    drawn(figure)


def test_bytes_that_are_gone_or_broken_are_told(pictures: Path, tmp_path: Path) -> None:
    with connect(pictures) as connection:
        images = questions.samples(connection, 2, modality="image")
        films = questions.samples(connection, 1, modality="video")
    figure = plots.picture_grid(pa.concat_tables([images, films]), tmp_path)
    assert words(figure).count("no bytes there") == 3
    path = tmp_path / images["path"][0].as_py()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no picture" * 10_000)
    film = tmp_path / films["path"][0].as_py()
    film.parent.mkdir(parents=True)
    film.write_bytes(b"no film" * 10_000)
    figure = plots.picture_grid(pa.concat_tables([images.slice(0, 1), films]), tmp_path)
    assert words(figure).count("no bytes there") == 2


EMPTY: dict[str, tuple[Callable[[Any], Figure], pa.Schema]] = {
    name: (draw, pa.schema({column: kind for kind, names in kinds.items() for column in names.split()}))
    for name, draw, kinds in (
        ("cumulative_counts", plots.cumulative_counts, {
            pa.int64(): "rank count_before count_after cumulative_before cumulative_after", pa.float64(): "t"}),
        ("cumulative_at", plots.cumulative_at, {pa.int64(): "rank count cumulative", pa.float64(): "t"}),
        ("head_and_tail", plots.head_and_tail, {pa.string(): "modality lang"}),
        ("top_entries", plots.top_entries, {pa.string(): "modality lang"}),
        ("matches_per_text", plots.matches_per_text, {pa.string(): "modality"}),
        ("breakdown", plots.breakdown, {pa.string(): "value"}),
        ("sizes_at", plots.sizes_at, {pa.string(): "lang", pa.int64(): "pairs"}),
        ("sizes_following", plots.sizes_following, {pa.string(): "lang", pa.int64(): "pairs"}),
        ("link_rot", plots.link_rot, {pa.string(): "modality error", pa.int64(): "media"}),
        ("link_rot_by", plots.link_rot_by, {pa.string(): "host"}),
        ("image_sizes", plots.image_sizes, {pa.int64(): "from_px to_px fetched stored samples"}),
        ("clip_lengths", plots.clip_lengths, {pa.float64(): "from_s to_s", pa.int64(): "clips kept samples"}),
        ("captions_by_kind", plots.captions_by_kind, {pa.string(): "captioner kind"}),
        ("texts_per_sample", plots.texts_per_sample, {pa.string(): "modality"}),
        ("picture_grid", lambda table: plots.picture_grid(table, "/nowhere"), {pa.string(): "path"}),
        ("key_frame_strips", lambda table: plots.key_frame_strips(table, table, "/nowhere"), {pa.string(): "path"}),
    )
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_answer_is_told_in_words(name: str) -> None:
    draw, schema = EMPTY[name]
    figure = draw(schema.empty_table())
    assert any(text.startswith(("no ", "the pivot")) for text in words(figure))
    drawn(figure)


def test_no_scores_are_no_panels() -> None:
    drawn(plots.score_histograms({}))


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    draw, schema = EMPTY["top_entries"]
    with pytest.raises(CurationError, match=r"figures need matplotlib: pip install 'curation\[notebooks\]'"):
        draw(schema.empty_table())


def test_the_package_needs_no_matplotlib_until_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("curation.inspect.plots")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    import curation.inspect.plots as again

    assert again.as_table(pa.table({"a": [1]})).html


@pytest.mark.parametrize("text", STRANGE)
def test_what_is_drawn_can_be_drawn(text: str) -> None:
    figure = plots.diff_changes(pa.Table.from_pylist(
        [{"kind": "concept", "value": text, "lang": None, "a": 1, "b": 3, "change": 2}]))  # fmt: skip
    drawn(figure)
    shown = drawn_text(text, "instead", 20, 2)
    assert is_drawable(shown)
    assert len(shown.splitlines()) <= 2


def test_tables_escape_every_text() -> None:
    table = pa.Table.from_pylist([
        {"text": text, "number": 1234.5678, "count": 1_000_000, "both": {"<i>": ["<u>", None]}, "is": True, "no": None}
        for text in STRANGE])  # fmt: skip
    shown = plots.as_table(table, most=4)
    assert "<b>" not in plots.as_table(table).html
    assert "&lt;b&gt;bold&lt;/b&gt;" in plots.as_table(table).html
    assert "\u202e" not in plots.as_table(table).html
    assert "猫と犬" in shown.html
    assert "1,234.568" in shown.html
    assert "1,000,000" in shown.html
    assert "&lt;i&gt;: &lt;u&gt;, –" in shown.html
    assert shown.html.count("<tr>") == 5
    assert f"and {len(STRANGE) - 4} more rows" in shown.html
    assert repr(shown) == f"{len(STRANGE)} rows: text, number, count, both, is, no"
    assert shown._repr_html_() == shown.html
    assert "long" not in plots.as_table(table, "text").html
    assert json.dumps(plots.as_table(table.slice(0, 0)).html) == '"<p>no rows</p>"'
