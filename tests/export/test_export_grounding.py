"""Texts about parts, read as Moment-DETR, VidChapters' loaders, HowToCaption and VTG-LLM read them."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from export_manifests import Folder, hostile

from curation.export.grounding import short_id
from curation.export.view import Selection

SPOKEN = ("subtitles", "transcript", "schema_transcript")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"))


def parts(row: dict[str, Any]) -> list[tuple[float, float, str]]:
    """By the definition: described spans in seconds within the sample, by begin."""
    last = row["duration_ms"]
    found = {(text["start_ms"] / 1000, min(text["end_ms"], last) / 1000, text["text"].strip()) for text in row["texts"]
             if text["start_ms"] is not None and text["kind"] not in SPOKEN
             and text["start_ms"] < min(text["end_ms"], last) and any(map(str.isalnum, text["text"]))}  # fmt: skip
    return sorted(found)


def with_parts(folder: Folder) -> dict[str, dict[str, Any]]:
    return {row["sample_id"]: row for row in folder.videos if parts(row)}


@pytest.mark.parametrize("saliency", [None, 2])
def test_qvhighlights(folder: Folder, tmp_path: Path, saliency: int | None) -> None:
    lines = folder.export("qvhighlights", tmp_path, **({} if saliency is None else {"saliency": saliency}))
    assert ("nobody rated" in " ".join(lines)) is (saliency is None)
    form = "subs_{}.jsonl" if saliency is None else "highlight_{}_release.jsonl"
    seen: dict[str, list[str]] = defaultdict(list)
    qids = []
    for split in ("train", "val"):
        for line in (tmp_path / form.format(split)).open():
            meta = json.loads(line)
            row = with_parts(folder)[meta["vid"]]
            assert row["split"] == split and meta["duration"] == row["duration_ms"] // 1000
            check_windows(meta, row)
            assert ("saliency_scores" in meta) is (saliency is not None)
            if saliency is not None:
                assert meta["saliency_scores"] == [[saliency] * 3] * len(meta["relevant_clip_ids"])
            seen[meta["vid"]].append(meta["query"])
            qids.append(meta["qid"])
            assert (tmp_path / "videos" / f"{meta['vid']}.mp4").is_file()
    assert qids and sorted(qids) == list(range(len(qids)))
    for key, row in with_parts(folder).items():
        clips = row["duration_ms"] // 2000
        once = [part for part in parts(row) if sum(part[2] == text for *_, text in parts(row)) == 1]
        assert {text for start, end, text in once if len(touched(start, end, clips)) + 2 <= clips} <= set(seen[key])


def touched(start: float, end: float, clips: int) -> set[int]:
    """Clips of 2 s that a span touches; a begin in the rest at the end counts to the last."""
    return {clip for clip in range(clips) if 2 * clip < end and start < 2 * clip + 2} or {clips - 1}


def check_windows(meta: dict[str, Any], row: dict[str, Any]) -> None:
    clips = row["duration_ms"] // 2000
    ids, windows = meta["relevant_clip_ids"], meta["relevant_windows"]
    assert ids == [clip for start, end in windows for clip in range(start // 2, end // 2)]  # Moment-DETR's relation
    assert all(start % 2 == end % 2 == 0 and 0 <= start < end <= meta["duration"] for start, end in windows)
    assert all(before[1] < after[0] for before, after in pairwise(windows))
    assert len(set(range(clips)) - set(ids)) >= 2
    spans = [(start, end) for start, end, text in parts(row) if text == meta["query"]]
    assert spans and set(ids) == set().union(*(touched(start, end, clips) for start, end in spans))


def test_dense_captions(folder: Folder, tmp_path: Path) -> None:
    folder.export("dense-captions", tmp_path)
    ids = dict(pd.read_csv(tmp_path / "ids.csv")[["id", "sample_id"]].values.tolist())
    assert set(ids.values()) == set(with_parts(folder))
    for split in ("train", "val"):
        data = json.loads((tmp_path / f"chapters_dvc_{split}.json").read_text())
        features = {video_id[-11:] for video_id in data}  # where Vid2Seq's loader looks
        assert len(features) == len(data) > 3
        for video_id, told in data.items():
            row = with_parts(folder)[ids[video_id]]
            assert row["split"] == split
            triples = [(*times, text) for times, text in zip(told["timestamps"], told["sentences"], strict=True)]
            assert triples == parts(row) and all(text.strip() for text in told["sentences"])
            for start, end in told["timestamps"]:
                assert 0 <= int(99 * start / told["duration"]) <= int(99 * end / told["duration"]) <= 99  # time tokens
            assert told["path"] == f"{video_id}.mp4.npy" and (tmp_path / "videos" / f"{video_id}.mp4").is_file()


def test_moment_retrieval(folder: Folder, tmp_path: Path) -> None:
    folder.export("moment-retrieval", tmp_path)
    ids = dict(pd.read_csv(tmp_path / "ids.csv")[["id", "sample_id"]].values.tolist())
    found: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for split in ("train", "val"):
        lines = [json.loads(line) for line in (tmp_path / "Chapters" / f"chapters_vmr_{split}.json").open()]
        assert len({meta["qid"] for meta in lines}) == len(lines) == len({meta["vid"] for meta in lines}) > 3
        for meta in lines:
            row = with_parts(folder)[ids[meta["vid"][-11:]]]
            assert meta["split"] == split == row["split"] and meta["duration"] == row["duration_ms"] // 1000
            several = isinstance(meta["query"], list)
            assert several is (split == "train")
            queries = meta["query"] if several else [meta["query"]]
            windows = meta["relevant_windows"] if several else [meta["relevant_windows"]]
            for query, ((start, end),) in zip(queries, windows, strict=True):
                found[row["sample_id"]].append((start, end, query))
    expected = {key: [part for part in parts(row) if part[1] - part[0] < 0.9 * row["duration_ms"] / 1000]
                for key, row in with_parts(folder).items()}  # fmt: skip
    assert found == {key: each for key, each in expected.items() if each}
    assert sum(map(len, expected.values())) < sum(len(parts(row)) for row in with_parts(folder).values())


def test_short_ids_look_like_youtubes_and_differ() -> None:
    ids = {short_id(f"{number // 2:024x}-{number % 2}-5000") for number in range(20_000)}
    assert len(ids) == 20_000 and all(re.fullmatch(r"[\w-]{11}", each) for each in ids)


def test_howtocaption(folder: Folder, tmp_path: Path) -> None:
    folder.export("howtocaption", tmp_path)
    found = {}
    for split in ("train", "val"):
        captions = json.loads((tmp_path / f"howtocaption_{split}.json").read_text())
        table = pd.read_csv(tmp_path / f"{split}.csv")
        assert set(table.video_id) == set(captions) and len(table)
        for video_id, path in zip(table.video_id, table.video_path, strict=True):
            assert (tmp_path / path).is_file() and with_parts(folder)[video_id]["split"] == split
            told = captions[video_id]
            found[video_id] = sorted(
                (start, end, text) for start, end, texts in zip(told["start"], told["end"], told["text"], strict=True)
                for text in texts
            )  # fmt: skip
            assert len({*zip(told["start"], told["end"], strict=True)}) == len(told["start"])
    assert found == {key: sorted((math.floor(start), math.ceil(end), text) for start, end, text in parts(row))
                     for key, row in with_parts(folder).items()}  # fmt: skip


def test_vtg_it(folder: Folder, tmp_path: Path) -> None:
    folder.export("vtg-it", tmp_path)
    counts: dict[str, int] = defaultdict(int)
    for split in ("train", "val"):
        for row in json.loads((tmp_path / f"vtg_it_{split}.json").read_text()):
            assert set(row) == {"video", "QA", "source"} and (tmp_path / row["video"]).is_file()
            (asked,) = row["QA"]
            told = with_parts(folder)[Path(row["video"]).stem]
            times = [f"{start:.1f} - {end:.1f} seconds" for start, end, _ in parts(told)]
            if row["source"] == "dense_captions":
                assert re.findall(r"\d+\.\d - \d+\.\d seconds", asked["a"])[: len(times)] == times
                assert all(" ".join(text.split()) in asked["a"] for *_, text in parts(told))
            else:
                assert asked["a"].removesuffix(".") in times
            counts[row["source"]] += 1
    assert counts == {"dense_captions": len(with_parts(folder)),
                      "moment_retrieval": sum(len(parts(row)) for row in with_parts(folder).values())}  # fmt: skip


def test_chat(folder: Folder, tmp_path: Path) -> None:
    folder.export("chat", tmp_path)
    by_id = {row["sample_id"]: row for row in folder.rows}
    answers = {key: row["detailed"] or row["text"] for key, row in by_id.items()}
    for split in ("train", "val"):
        for row in json.loads((tmp_path / f"llava_{split}.json").read_text()):
            kind = by_id[row["id"]]["modality"]
            human, gpt = row["conversations"]
            assert human["from"] == "human" and human["value"].startswith(f"<{kind}>\n") and gpt["from"] == "gpt"
            assert gpt["value"] == answers[row["id"]] and (tmp_path / row[kind]).is_file()
        for line in (tmp_path / f"tarsier_{split}.jsonl").open():
            ann = json.loads(line)
            assert by_id[ann["vid"]]["split"] == split and (tmp_path / ann["video_file"]).is_file()
            assert Path(ann["video_file"]).suffix in (".mp4", ".jpg")
            assert ann["text"]["prompt"] and ann["text"]["response"] == answers.pop(ann["vid"])
            if by_id[ann["vid"]]["modality"] == "video":
                assert ann["extra_info"]["events"] == [text for *_, text in parts(by_id[ann["vid"]])]
    assert not answers


def test_no_answer_holds_what_stands_for_a_picture(tmp_path: Path) -> None:
    def told(row: dict[str, Any], number: int) -> str:
        return "an <image> of a <video> tag, <b>bold</b>"

    hostile(tmp_path / "work", 12, text=told, detailed=told).export("chat", tmp_path / "out", media="none")
    rows = [row for path in tmp_path.glob("out/llava_*.json") for row in json.loads(path.read_text())]
    assert {row["conversations"][1]["value"] for row in rows} == {"an image of a video tag, <b>bold</b>"}


def test_transcripts(folder: Folder, tmp_path: Path) -> None:
    folder.export("transcripts", tmp_path, media="none")
    found = {path.stem: path.read_text().splitlines() for path in (tmp_path / "scripts").iterdir()}
    expected = {}
    for row in folder.videos:
        said = sorted((text["start_ms"] or 0, text["text"]) for text in row["texts"]
                      if text["kind"] in SPOKEN)  # fmt: skip
        if said:
            expected[row["sample_id"]] = [text for _, text in said]
    assert found == expected and len(found) > 40


def test_texts_may_be_named(folder: Folder, tmp_path: Path) -> None:
    folder.export("howtocaption", tmp_path, Selection(texts=("asr.transcript",)), media="none")
    told = json.loads((tmp_path / "howtocaption_train.json").read_text())
    assert {text for each in told.values() for texts in each["text"] for text in texts} == {
        "so here we are", "and off we go"
    }  # fmt: skip
