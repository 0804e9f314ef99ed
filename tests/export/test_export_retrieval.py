"""Benchmark folders, read as X-Pool and CLIP4Clip read them: their file names, keys, separators and path rules."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from export_manifests import AS_MISSING, Folder, hostile

from curation.export.texts import one_line
from curation.export.view import Selection

SPOKEN = ("subtitles", "transcript", "schema_transcript")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"))


def captions(folder: Folder) -> dict[str, list[str]]:
    """By the definition: the chosen text, then others about all of it that are neither speech nor labels; each once."""
    found = {}
    for row in folder.videos:
        others = [text["text"] for text in row["texts"] if text["start_ms"] is None and text["weight"] > 0
                  and text["kind"] not in (*SPOKEN, "hashtag", "schema_keywords")]  # fmt: skip
        found[row["sample_id"]] = list(dict.fromkeys([row["text"], *others]))
    return found


def of(folder: Folder, split: str) -> set[str]:
    return {row["sample_id"] for row in folder.videos if row["split"] == split}


def test_msrvtt(folder: Folder, tmp_path: Path) -> None:
    folder.export("msrvtt", tmp_path)
    data = json.loads((tmp_path / "MSRVTT_data.json").read_text())
    vid2caption = defaultdict(list)
    for annotation in data["sentences"]:
        vid2caption[annotation["video_id"]].append(annotation["caption"])
    assert vid2caption == captions(folder)
    assert [each["sen_id"] for each in data["sentences"]] == list(range(len(data["sentences"])))
    train = pd.read_csv(tmp_path / "MSRVTT_train.9k.csv")["video_id"].unique()
    test = pd.read_csv(tmp_path / "MSRVTT_JSFUSION_test.csv")
    assert set(train) == of(folder, "train") and set(test.video_id) == of(folder, "val") and len(test)
    chosen = {row["sample_id"]: one_line(row["text"]) for row in folder.videos}
    assert dict(zip(test.video_id, test.sentence, strict=True)) == {key: chosen[key] for key in of(folder, "val")}
    parents = {each["video_id"]: each["url"].split("?v=")[-1] for each in data["videos"]}  # CLIP4Clip
    assert parents == {row["sample_id"]: row["media_url"].split("?v=")[-1] for row in folder.videos}
    assert all((tmp_path / "videos" / f"{video}.mp4").is_file() for video in [*train, *test.video_id])


def test_msrvtt_test_texts_that_pandas_takes_for_missing_are_left_out(tmp_path: Path) -> None:
    folder = hostile(tmp_path / "work", 200, text=lambda row, number: AS_MISSING[number % len(AS_MISSING)])
    folder.export("msrvtt", tmp_path / "out", media="none")
    told = json.loads((tmp_path / "out" / "export.json").read_text())["left_out"]
    assert told["whose text csv readers take for missing (NA, null ...)"] == len(of(folder, "val")) > 0
    assert json.loads((tmp_path / "out" / "MSRVTT_data.json").read_text())["videos"]


def test_msvd(folder: Folder, tmp_path: Path) -> None:
    folder.export("msvd", tmp_path)
    vid2caption = json.loads((tmp_path / "captions_msvd.json").read_text())
    assert vid2caption == captions(folder)
    names = ("train", "val", "test")
    lists = {name: [line.strip() for line in (tmp_path / f"{name}_list.txt").open()] for name in names}
    assert lists["val"] == lists["test"]
    assert set(lists["train"]) == of(folder, "train") and set(lists["test"]) == of(folder, "val")
    pairs = [(vid, caption) for vid in lists["train"] + lists["test"] for caption in vid2caption[vid]]
    assert len(pairs) == sum(map(len, vid2caption.values()))
    assert all((tmp_path / "videos" / f"{vid}.avi").is_file() for vid, _ in pairs)


def test_lsmdc(folder: Folder, tmp_path: Path) -> None:
    folder.export("lsmdc", tmp_path)
    texts = {}
    for split, name in (("train", "LSMDC16_annos_training.csv"), ("val", "LSMDC16_challenge_1000_publictect.csv")):
        for line in (tmp_path / name).open(encoding="utf-8"):
            cells = line.strip().split("\t")
            assert len(cells) == 6
            clip_id = cells[0]
            assert clip_id not in texts
            prefix = clip_id.split(".")[0][:-3]
            assert (tmp_path / "videos" / prefix / f"{clip_id}.avi").is_file()
            texts[clip_id] = split, prefix, cells[5]
    assert (tmp_path / "LSMDC16_annos_val.csv").read_bytes() == (
        tmp_path / "LSMDC16_challenge_1000_publictect.csv"
    ).read_bytes()
    expected = sorted((row["split"], row["media_id"], one_line(row["text"])) for row in folder.videos)
    assert sorted(texts.values()) == expected


def test_lsmdc_clocks(tmp_path: Path) -> None:
    folder = hostile(tmp_path / "work", 8, start_ms=lambda *_: 3_723_004, end_ms=lambda row, n: 3_725_000 + n)
    folder.export("lsmdc", tmp_path / "out", media="none")
    line = (tmp_path / "out" / "LSMDC16_annos_training.csv").read_text().splitlines()[0].split("\t")
    assert line[1] == line[3] == "01.02.03.004" and line[2] == line[4] and line[2].startswith("01.02.05.00")
    assert line[0].endswith(f"_{line[1]}-{line[2]}")


def moments(row: dict) -> list[tuple[float, float, str]]:  # type: ignore[type-arg]
    """By the definition: described spans within the sample, by begin; without any, the chosen text of all of it."""
    last = row["duration_ms"]
    found = {(text["start_ms"] / 1000, min(text["end_ms"], last) / 1000, text["text"].strip()) for text in row["texts"]
             if text["start_ms"] is not None and text["kind"] not in SPOKEN
             and text["start_ms"] < min(text["end_ms"], last) and any(map(str.isalnum, text["text"]))}  # fmt: skip
    return sorted(found) or [(0.0, last / 1000, row["text"].strip())]


def test_activitynet(folder: Folder, tmp_path: Path) -> None:
    folder.export("activitynet", tmp_path)
    stems = {path.stem for path in (tmp_path / "videos").iterdir()}
    several = 0
    for split, name in (("train", "train.json"), ("val", "val_1.json")):
        ids = json.loads((tmp_path / f"{split}_ids.json").read_text())
        told = json.loads((tmp_path / name).read_text())
        assert list(told) == ids and {each[2:] for each in ids} == of(folder, split) <= stems
        for row in folder.videos:
            if row["split"] == split:
                each = told[f"v_{row['sample_id']}"]
                triples = [(*times, text) for times, text in zip(each["timestamps"], each["sentences"], strict=True)]
                assert triples == moments(row)
                assert each["duration"] == row["duration_ms"] / 1000 >= max(end for _, end, _ in triples)
                several += len(triples) > 1
    assert several > 20


def test_didemo(folder: Folder, tmp_path: Path) -> None:
    folder.export("didemo", tmp_path)
    by_name = {f"{row['sample_id']}.mp4": row for row in folder.videos}
    seen = set()
    for split in ("train", "test"):
        names = [line.strip() for line in (tmp_path / f"{split}_list.txt").open()]
        texts: dict[str, list[str]] = defaultdict(list)
        for item in json.loads((tmp_path / f"{split}_data.json").read_text()):
            texts[item["video"]].append(item["description"])
            row = by_name[item["video"]]
            (first, last), = item["times"]
            assert 0 <= first <= last < item["num_segments"] == max(-(-row["duration_ms"] // 5000), 1)
            spans = [(start, end) for start, end, text in moments(row) if text == item["description"]]
            assert (first, last) in [(int(start // 5), max(-(-int(end * 1000) // 5000) - 1, int(start // 5)))
                                     for start, end in spans]  # fmt: skip
            seen.add(item["annotation_id"])
        assert texts == {name: [text for _, _, text in moments(by_name[name])] for name in names}
        assert {by_name[name]["split"] for name in names} == {"train" if split == "train" else "val"}
        assert all((tmp_path / "videos" / name).is_file() for name in names)
    assert len(seen) == sum(len(moments(row)) for row in folder.videos)


def test_one_split_has_only_its_files(folder: Folder, tmp_path: Path) -> None:
    folder.export("msvd", tmp_path / "train", Selection(split="train"), media="none")
    assert {path.name for path in (tmp_path / "train").iterdir()} == {
        "captions_msvd.json", "train_list.txt", "export.json"
    }  # fmt: skip
    folder.export("msvd", tmp_path / "val", Selection(split="val"), media="none")
    assert {path.name for path in (tmp_path / "val").iterdir()} == {
        "captions_msvd.json", "val_list.txt", "test_list.txt", "export.json"
    }  # fmt: skip
