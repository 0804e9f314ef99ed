"""Presets of published tables: as recipes name them, on real files and on rows of their documented form."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from crawl_archives import reasons_of
from mapped_tables import ID, WATCH, Rows, lines, parquet, read, spans_of

from curation.errors import RecipeError
from curation.recipe import TableColumns, TableInput, load_recipe
from curation.recipe.inputs import TABLE_PRESETS

# --------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize(("name", "count"), [("webvid_2m_val_9rows.csv", 9), ("webvid_rows_video2dataset.csv", 20)])
def test_webvid(real_data: Path, name: str, count: int) -> None:
    path = real_data / "video_text" / name
    rows, log = read(path, "webvid")
    with path.open(newline="") as file:
        said = list(csv.DictReader(file))
    assert (len(rows), log.rejections, set(log.counts)) == (count, [], {"read_rows", "texts", "rows"})
    assert [(row["text"], row["media_url"]) for row in rows] == [(row["name"], row["contentUrl"]) for row in said]
    assert [f"PT00H{row['duration_ms'] // 60_000:02}M{row['duration_ms'] // 1000 % 60:02}S" for row in rows] == [
        row["duration"] for row in said
    ]
    assert {(row["modality"], row["text_source"], row["platform"]) for row in rows} == {("video", "title", None)}


def test_video2dataset(real_data: Path) -> None:
    rows, log = read(real_data / "video_text" / "video2dataset_youtube.parquet", "video2dataset-youtube")
    said = pq.read_table(real_data / "video_text" / "video2dataset_youtube.parquet").to_pylist()
    assert log.rejections == []
    assert log.counts["texts"] == 200  # no caption column: no texts of it
    assert len(rows) == sum(bool((row[name] or "").strip()) for row in said for name in ("title", "description"))
    for row in rows:
        source = said[row["record_offset"]]
        assert (row["media_url"], row["platform"]) == (WATCH + source["videoID"], "youtube")
        assert row["platform_id"] == source["videoID"]
        assert (row["start_ms"], row["end_ms"]) == (round(source["start"] * 1000), round(source["end"] * 1000))


def test_titles_in_many_languages(real_data: Path) -> None:
    columns = TableColumns(
        media_url="url", texts={"title": "title", "description": "description"}, facts={"page_lang": "language"}
    )
    rows, log = read(real_data / "video_text" / "3b1b_titles_descriptions.jsonl.gz", columns)
    assert (len(rows), log.counts["rejected:bad_url"], log.counts["odd:page_lang"]) == (4478, 57, 2718)
    assert {row["platform"] for row in rows} == {"youtube"}
    assert len({row["media_id"] for row in rows}) < 200 < len({row["text"] for row in rows})


def test_hd_vila_has_texts_only_where_they_were_joined(tmp_path: Path) -> None:
    clips: Rows = [
        {"clip_id": f"{ID}.1.mp4", "span": ["00:00:17.759", "00:00:23.279"]},
        {"clip_id": f"{ID}.16.mp4", "span": ["00:04:52.140", "00:05:03.350"]},
    ]
    plain = {"video_id": ID, "url": WATCH + ID, "clip": clips}
    rows, log = read(lines(tmp_path, plain), "hd-vila")
    assert (rows, log.rejections, log.counts["skipped:empty_text"]) == ([], [], 4)
    said = [{**clip, "text": f"said {at}"} for at, clip in enumerate(clips)]
    rows, _ = read(lines(tmp_path, {"video_id": ID, "clip": said, "title": "A video"}), "hd-vila")
    assert spans_of(rows) == [("said 0", 17759, 23279), ("said 1", 292140, 303350)]
    assert (rows[0]["text"], rows[0]["start_ms"], rows[0]["end_ms"]) == ("A video", None, None)
    assert {row["media_url"] for row in rows} == {WATCH + ID}


_CHAPTERS = [{"start_time": 0.0, "title": "Intro"}, {"start_time": 12.5, "title": "Main"}]


@pytest.mark.parametrize(
    ("chapters", "tags"),
    [
        (_CHAPTERS, ["a", "b c"]),
        (json.dumps(_CHAPTERS), '["a", "b c"]'),
        ({"0": "Intro", "00:00:12.500": "Main"}, "a,b c"),
        ('{"00:00:00": "Intro", "12.5": "Main"}', "['a', 'b c']"),
    ],
)
def test_vidchapters(tmp_path: Path, chapters: Any, tags: Any) -> None:
    row = {"video_id": ID, "title": "T", "description": "D", "duration": "60", "chapters": chapters, "tags": tags}
    files = [lines(tmp_path, row)]
    if not isinstance(chapters, dict):
        files.append(parquet(tmp_path, **{name: [value] for name, value in row.items()}))
    for file in files:
        rows, log = read(file, "vidchapters")
        assert log.rejections == []
        assert [(row["text_source"], row["text"]) for row in rows[:3]] == [
            ("title", "T"),
            ("description", "D"),
            ("tags", "a, b c"),
        ]
        assert spans_of(rows) == [("Intro", 0, 12500), ("Main", 12500, 60000)]
        assert {(row["media_url"], row["duration_ms"]) for row in rows} == {(WATCH + ID, 60000)}


def test_laion_and_img2dataset_share_a_preset(tmp_path: Path) -> None:
    laion = {"URL": ["http://h.com/a.jpg"], "TEXT": ["a"], "WIDTH": [640], "HEIGHT": [480.0], "LICENSE": ["?"]}
    rows, log = read(parquet(tmp_path, **laion), "laion")
    assert [(row["text"], row["width"], row["height"], row["licence"]) for row in rows] == [("a", 640, 480, None)]
    assert (log.counts["odd:licence"], rows[0]["modality"]) == (1, "image")
    done = {"url": ["http://h.com/a.jpg"], "caption": ["a"], "width": [256], "original_width": [1000]}
    rows, _ = read(parquet(tmp_path, **done), "img2dataset")
    assert [(row["text"], row["width"], row["height"]) for row in rows] == [("a", 1000, None)]


def test_a_preset_needs_some_text(tmp_path: Path) -> None:
    rows, log = read(parquet(tmp_path, videoLoc=[WATCH + ID], start=[1.0]), "video2dataset-youtube")
    assert (rows, reasons_of(log)) == ([], [(None, "missing_column")])
    assert log.rejections[0].detail == "no column caption, description, title; the file has videoLoc, start"
    rows, log = read(parquet(tmp_path, title=["x"]), "video2dataset-youtube")
    assert log.rejections[0].detail == "no column url or videoLoc; the file has title"


# ---------------------------------------------------------------------------------------------- recipes


def _input(folder: Path, entry: str) -> TableInput:
    (folder / "r.yaml").write_text(
        f"name: r\ninputs: [{{kind: table, paths: [t.csv], {entry}}}]\nmatch: {{vocabularies: {{en: 'demo:en'}}}}\n"
    )
    (loaded,) = load_recipe(folder / "r.yaml").inputs
    assert isinstance(loaded, TableInput)
    return loaded


@pytest.mark.parametrize("name", TABLE_PRESETS)
def test_a_preset_is_its_mapping_and_its_modality(tmp_path: Path, name: str) -> None:
    loaded = _input(tmp_path, f"columns: {name}")
    assert (loaded.columns, loaded.modality) == (TABLE_PRESETS[name].columns, TABLE_PRESETS[name].modality)
    assert _input(tmp_path, f"columns: {name}, modality: audio").modality == "audio"
    assert TableInput.model_validate(json.loads(loaded.model_dump_json())) == loaded


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "webvidd",
            "inputs.0.columns: no preset 'webvidd': give webvid, hd-vila, vidchapters, video2dataset-youtube, ",
        ),
        ("3", "inputs.0.columns: give a mapping of settings"),
        ("{media_url: [], texts: {a: b}}", "inputs.0.columns.media_url: give a column, or a list of columns"),
        ("{media_url: [u, 3], texts: {a: b}}", "inputs.0.columns.media_url: give a column, or a list of columns"),
        ("{media_url: ['u', ''], texts: {a: b}}", "inputs.0.columns.media_url: String should have at least 1"),
        ("{media_url: 'https://h/{id', texts: {a: b}}", "inputs.0.columns.media_url: 'https://h/{id' is no template"),
        ("{media_url: '{id}', texts: {a: b}}", "inputs.0.columns.media_url: '{id}' is no template"),
        ("{media_url: u, texts: {a: b}, facts: {length: l}}", "inputs.0.columns.facts.length: Input should be 'durat"),
        ("{media_url: u, texts: {a: b}, chapter: c}", "inputs.0.columns.chapter: unknown key"),
    ],
)
def test_a_mistake_in_columns_is_one_line(tmp_path: Path, columns: str, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        _input(tmp_path, f"columns: {columns}")
    assert message in str(raised.value)
    assert str(raised.value).count("inputs.0") == 1
    assert "\n" not in str(raised.value)
