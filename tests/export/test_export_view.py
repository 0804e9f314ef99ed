"""What every export keeps: no sample lost, the same bytes again, a selection, texts by rule, media as stored."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from export_manifests import Folder, hostile
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError, WorkFolderError
from curation.export.shapes import SHAPES
from curation.export.texts import MISSING, Part, one_line, spans
from curation.export.view import Selection

LABELS: dict[str, dict[str, Any]] = {name: {"labels": "entries", "min_samples": 2} for name in ("labels", "coop")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def plate(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "export.json").read_text())
    return loaded


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_selected_sample_is_written_or_left_out(folder: Folder, tmp_path: Path, shape: str) -> None:
    folder.export(shape, tmp_path / "out", **LABELS.get(shape, {}))
    told, modality = plate(tmp_path / "out"), SHAPES[shape].modality
    selected = sum(modality in (None, row["modality"]) for row in folder.rows)
    assert told["samples"] + sum(told["left_out"].values()) == selected
    assert told["samples"] > 30


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_again_is_the_same_bytes(folder: Folder, tmp_path: Path, shape: str) -> None:
    options = LABELS.get(shape, {})
    folder.export(shape, tmp_path / "out", **options)
    first = files(tmp_path / "out")
    folder.export(shape, tmp_path / "out", **options)  # over the earlier one
    assert files(tmp_path / "out") == first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"panda70m", "parquet"}))
def test_without_media_the_lists_are_the_same(folder: Folder, tmp_path: Path, shape: str) -> None:
    options = LABELS.get(shape, {})
    folder.export(shape, tmp_path / "copied", **options)
    folder.export(shape, tmp_path / "lists", media="none", **options)
    copied, lists = files(tmp_path / "copied"), files(tmp_path / "lists")
    assert {name: copied[name] for name in lists if name != "export.json"} == {
        name: data for name, data in lists.items() if name != "export.json"
    }
    media = {sha256(copied[name]) for name in copied.keys() - lists.keys()}
    assert media
    if shape != "metaclip":
        assert media <= {row["sha256"] for row in folder.rows}


def test_media_lie_under_the_names_in_the_lists(folder: Folder, tmp_path: Path) -> None:
    folder.export("jsonl", tmp_path)
    named = [json.loads(line) for split in ("train", "val") for line in (tmp_path / f"{split}.jsonl").open()]
    stored = {row["sample_id"]: row["sha256"] for row in folder.rows}
    assert {row["sample_id"]: sha256((tmp_path / row["filepath"]).read_bytes()) for row in named} == stored


def test_linked_media_are_the_files_of_an_earlier_export(folder: Folder, tmp_path: Path) -> None:
    folder.export("jsonl", tmp_path / "first", Selection(modality="image"))
    changed = next((tmp_path / "first" / "media").rglob("*.jpg"))
    changed.write_bytes(b"another picture")
    folder.export("csv", tmp_path / "linked", media=f"link:{tmp_path / 'first'}")
    folder.export("csv", tmp_path / "copied")
    assert files(tmp_path / "linked") == files(tmp_path / "copied")
    linked = {path.stem for path in (tmp_path / "linked" / "media").rglob("*.*") if path.stat().st_nlink == 2}
    assert linked == {row["sample_id"] for row in folder.rows if row["modality"] == "image"} - {changed.stem}


@pytest.mark.parametrize("selection", [
    Selection(split="val"), Selection(modality="image"), Selection(t=1.0), Selection(lang="de"),
    Selection(split="train", modality="video", t=30.5, lang="en"),
])  # fmt: skip
def test_a_selection_is_its_rows(folder: Folder, tmp_path: Path, selection: Selection) -> None:
    folder.export("jsonl", tmp_path, selection, media="none")
    found = {json.loads(line)["sample_id"] for path in tmp_path.glob("*.jsonl") for line in path.open()}
    assert found == {
        row["sample_id"] for row in folder.rows
        if selection.split in (None, row["split"]) and selection.modality in (None, row["modality"])
        and selection.lang in (None, row["text_lang"]) and row["critical_threshold"] <= (selection.t or 1e9)
    }  # fmt: skip
    assert 0 < len(found) < len(folder.rows)
    assert {path.name for path in tmp_path.glob("*.jsonl")} == {
        f"{split}.jsonl" for split in ("train", "val") if selection.split in (None, split)
    }


@pytest.fixture(scope="module")
def thinned(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Of every third sample the chosen text needs a larger threshold than the sample."""

    def raised(row: dict[str, Any], number: int) -> list[dict[str, Any]]:
        first, *others = row["texts"]
        own = first["critical_threshold"]
        return [first | {"critical_threshold": own if own is None or number % 3 else own * 100}, *others]

    return hostile(tmp_path_factory.mktemp("thinned"), 120, texts=raised)


@pytest.mark.parametrize("t", [1.0, 2.0, 5.0, 1e9])
def test_at_a_threshold_texts_stay_as_samples_do(thinned: Folder, tmp_path: Path, t: float) -> None:
    folder = thinned

    def stays(text: dict[str, Any]) -> bool:
        return text["critical_threshold"] is None or text["critical_threshold"] <= t

    expected = {}
    for row in folder.rows:
        left = [text for text in row["texts"] if stays(text)]
        whole = [text for text in left if text["start_ms"] is None]
        first = left[0] if stays(row["texts"][0]) else next(iter(sorted(whole, key=lambda x: x["weight"] <= 0)), None)
        if row["critical_threshold"] <= t and first is not None:
            others = [text for text in left if text is not first]
            expected[row["sample_id"]] = row | {
                "texts": [first, *others], "text": first["text"], "text_lang": first["lang"],
                "text_kind": f"{first['captioner']}.{first['kind']}", "text_similarity": first["similarity"],
                "vocabulary_lang": first["vocabulary_lang"], "entry_ids": first["entry_ids"],
            }  # fmt: skip
    folder.export("parquet", tmp_path, Selection(t=t), media="none")
    found = {row["sample_id"]: row for path in tmp_path.glob("*.parquet") for row in pq.read_table(path).to_pylist()}
    assert found == {key: {name: row[name] for name in found[key]} for key, row in expected.items()}
    if t < 1e9:
        changed = [key for key, row in expected.items() if row["text"] != row_of(folder, key)["text"]]
        assert len(changed) > 3, "some chosen text does not stay where another one does"
    folder.export("csv", tmp_path / "csv", Selection(t=t), media="none")


def row_of(folder: Folder, sample_id: str) -> dict[str, Any]:
    return next(row for row in folder.rows if row["sample_id"] == sample_id)


def test_named_captioners_give_the_texts(folder: Folder, tmp_path: Path) -> None:
    folder.export("jsonl", tmp_path, Selection(texts=("vlm.brief", "tags")), media="none")
    found = {row["sample_id"]: row for path in tmp_path.glob("*.jsonl") for row in map(json.loads, path.open())}
    expected = {}
    for row in folder.rows:
        named = [text for text in row["texts"] if text["captioner"] == "tags"
                 or (text["captioner"], text["kind"]) == ("vlm", "brief")]  # fmt: skip
        texts = [text for text in named if text["start_ms"] is None]
        if texts:
            expected[row["sample_id"]] = texts[0]["text"], texts[0]["lang"]
    assert {key: (row["title"], row["lang"]) for key, row in found.items()} == expected
    assert plate(tmp_path)["left_out"] == {"without such a text": len(folder.rows) - len(expected)}


def test_splits_share_no_source(folder: Folder, tmp_path: Path) -> None:
    folder.export("jsonl", tmp_path, media="none")
    train, val = ({json.loads(line)["sample_id"][:24] for line in (tmp_path / f"{split}.jsonl").open()}
                  for split in ("train", "val"))  # fmt: skip
    assert train and val and not train & val


def test_bytes_that_are_gone_or_altered_are_told(tmp_path: Path) -> None:
    folder = hostile(tmp_path / "work", 24)
    victim = folder.work / folder.videos[0]["path"]
    data = victim.read_bytes()
    at = folder.videos[0]["offset"] + 40
    victim.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(WorkFolderError, match="altered"):
        folder.export("msvd", tmp_path / "out")
    victim.unlink()
    for shape in ("msvd", "parquet"):
        with pytest.raises(WorkFolderError, match="are gone"):
            folder.export(shape, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    folder.export("msvd", tmp_path / "out", media="none")


@given(st.text())
def test_one_line_is_one_line_for_every_reader(text: str) -> None:
    line = one_line(text)
    assert line.splitlines() in ([line], []) and "\t" not in line and line == line.strip()
    assert line.split() == line.split(" ") or not line
    assert one_line(line) == line
    assert [char for char in line if char.isalnum()] == [char for char in text if char.isalnum()]


def test_missing_words_are_those_of_pandas() -> None:
    from pandas._libs.parsers import STR_NA_VALUES

    assert MISSING == STR_NA_VALUES


def test_parts_are_cut_to_the_sample() -> None:
    told = [(0, 500, " a "), (400, 9000, "b"), (-50, 100, "c"), (2000, 3000, "d"), (1000, 1000, "e"), (0, 9, "..."),
            (0, 500, "a")]  # fmt: skip
    row = {"duration_ms": 2000, "parts": [{"start_ms": s, "end_ms": e, "text": t} for s, e, t in told]}
    assert spans(row) == [Part(0, 100, "c"), Part(0, 500, "a"), Part(400, 2000, "b")]


@pytest.mark.parametrize(("shape", "options", "told"), [
    ("msvd", {"labels": "entries"}, "--labels is of labels, coop; msvd has no use for it"),
    ("parquet", {"saliency": 3}, "--saliency is of qvhighlights; parquet"),
    ("panda70m", {"media": "copy"}, "--media is of"),
    ("nothing", {}, "no shape is called 'nothing': choose one of webdataset, parquet"),
    ("csv", {"media": "symlink"}, "choose copy, none, or link:DIR"),
    ("csv", {"media": "link:/nowhere/at/all"}, "there is no folder"),
    ("labels", {}, "--labels says where classes come from"),
    ("labels", {"labels": "/nowhere"}, "neither hashtags nor entries, nor a file"),
    ("labels", {"labels": "hashtags", "min_samples": 10_000}, "lower --min-samples"),
])  # fmt: skip
def test_what_cannot_be_chosen_is_told(
    folder: Folder, tmp_path: Path, shape: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        folder.export(shape, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("column", ["path", "extension"])
def test_no_manifest_leads_out_of_the_folders(tmp_path: Path, column: str) -> None:
    """Such as one of a work folder that somebody else made."""
    (tmp_path / "secret.txt").write_text("a secret")
    way = {"path": "../secret.txt", "extension": "/../../../../evil.jpg"}[column]
    folder = hostile(tmp_path / "work", 12, **{column: lambda row, number: way})
    with pytest.raises(WorkFolderError, match=r"(does|would) not lie below"):
        folder.export("csv", tmp_path / "out" / "deep")
    assert {path.name for path in tmp_path.rglob("*")} & {"evil.jpg", "deep"} == set()


def test_nothing_selected_is_told(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sample of the manifest has lang xx"):
        folder.export("csv", tmp_path / "out", Selection(lang="xx"))
    with pytest.raises(InputError, match=r"left out .* images"):
        folder.export("msvd", tmp_path / "out", Selection(modality="image"))
    for selection, told in (
        (Selection(split="test"), "choose one of train, val"), (Selection(modality="audio"), "choose one of image"),
        (Selection(t=0.5), "no threshold"), (Selection(t=float("nan")), "--t nan"), (Selection(t=math.inf), "--t inf"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=told):
            folder.export("csv", tmp_path / "out", selection)
    with pytest.raises(InputError, match="NUL"):
        folder.export("csv", tmp_path / "out", Selection(lang="a\0b"))
    with pytest.raises(InputError, match="--texts"):
        folder.export("parquet", tmp_path / "out", Selection(texts=("words",)))
    assert not list(tmp_path.iterdir())
