"""Tables of pairs, read as open_clip, Frozen in Time and Panda-70M's users read them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from export_manifests import AS_MISSING, Folder, hostile

from curation.export import tables
from curation.export.texts import one_line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"))


@pytest.mark.parametrize(("shape", "separator"), [("csv", ","), ("tsv", "\t")])
def test_separated(folder: Folder, tmp_path: Path, shape: str, separator: str) -> None:
    folder.export(shape, tmp_path)
    for split in ("train", "val"):
        table = pd.read_csv(tmp_path / f"{split}.{shape}", sep=separator)  # as open_clip's CsvDataset
        rows = {row["sample_id"]: row for row in folder.rows if row["split"] == split}
        assert dict(zip(table.sample_id, table.title, strict=True)) == {
            key: one_line(row["text"]) for key, row in rows.items()
        }
        assert all((tmp_path / name).is_file() for name in table.filepath)
        assert list(table.licence.fillna("")) == [rows[key]["licence"] or "" for key in table.sample_id]
        lines = (tmp_path / f"{split}.{shape}").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1 + len(rows)  # no cell has a line break that any reader would see


@pytest.mark.parametrize("shape", ["csv", "tsv", "webvid"])
@pytest.mark.slow
def test_texts_that_are_read_as_missing_are_left_out(tmp_path: Path, shape: str) -> None:
    words = AS_MISSING
    folder = hostile(tmp_path / "work", 200, text=lambda row, n: words[n % len(words)] if n % 5 < 2 else row["text"])
    folder.export(shape, tmp_path / "out", media="none")
    told = json.loads((tmp_path / "out" / "export.json").read_text())
    rows = folder.videos if shape == "webvid" else folder.rows
    assert told["left_out"]["whose text csv readers take for missing (NA, null ...)"] == sum(
        row["text"] in AS_MISSING for row in rows
    )
    for path in (tmp_path / "out").rglob("*.?sv"):
        table = pd.read_csv(path, sep="\t" if shape == "tsv" else ",")
        texts = table["name" if shape == "webvid" else "title"]
        assert len(texts) and not texts.isna().any()


def test_jsonl_has_texts_as_they_are(folder: Folder, tmp_path: Path) -> None:
    folder.export("jsonl", tmp_path, media="none")
    found = [json.loads(line) for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert {row["sample_id"]: row["title"] for row in found} == {row["sample_id"]: row["text"] for row in folder.rows}


def test_webvid(folder: Folder, tmp_path: Path) -> None:
    folder.export("webvid", tmp_path)
    by_id = {row["sample_id"]: row for row in folder.videos}
    for split in ("train", "val"):
        metadata = pd.read_csv(tmp_path / "metadata" / f"results_2M_{split}.csv")
        listed = len(metadata)
        metadata = metadata.dropna()
        assert listed == len(metadata) == sum(row["split"] == split for row in folder.videos)
        for row in metadata.to_dict("records"):
            told = by_id[row["videoid"]]
            assert (tmp_path / "videos" / row["page_dir"] / f"{row['videoid']}.mp4").is_file()
            assert (row["name"], row["contentUrl"]) == (one_line(told["text"]), told["media_url"])
            hours, minutes, seconds = map(int, re.fullmatch(r"PT(\d\d)H(\d\d)M(\d\d)S", row["duration"]).groups())
            assert hours == 0 and abs(60 * minutes + seconds - told["duration_ms"] / 1000) <= 0.5
            assert re.fullmatch(r"\d{6}_\d{6}", row["page_dir"])


def test_webvid_has_a_page_of_videos_per_folder(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PAGE", 20)
    folder.export("webvid", tmp_path)
    counts = {page.name: len(list(page.iterdir())) for page in (tmp_path / "videos").iterdir()}
    assert sorted(counts) == [f"{first + 1:06d}_{first + 20:06d}" for first in range(0, 20 * len(counts), 20)]
    assert [*sorted(counts.values())[1:]] == [20] * (len(counts) - 1)


def test_panda(folder: Folder, tmp_path: Path) -> None:
    folder.export("panda70m", tmp_path)
    clips = {}
    for split, name in (("train", "panda70m_training_full.csv"), ("val", "panda70m_validation.csv")):
        table = pd.read_csv(tmp_path / name)
        assert table.videoID.is_unique and len(table)
        for row in table.to_dict("records"):
            lists = [ast.literal_eval(row[column]) for column in ("timestamp", "caption", "matching_score")]
            starts = []
            for (start, end), caption, score in zip(*lists, strict=True):
                starts.append(_ms(start))
                clips[row["videoID"], _ms(start), _ms(end)] = split, row["url"], caption, score
            assert starts == sorted(starts)
    expected = {
        (row["media_id"], row["start_ms"], row["end_ms"]): (
            row["split"], row["media_url"], one_line(row["text"]),
            None if row["text_similarity"] is None else pytest.approx(row["text_similarity"], abs=1e-6),
        )
        for row in folder.videos
    }  # fmt: skip
    assert clips == expected


def _ms(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)
