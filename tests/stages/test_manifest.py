"""manifest and entry_probabilities of whole runs: what is joined, split, taken out, redone, and forgotten."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from faults_captions import SHOTS, CaptionWeb, Outcomes, Row, caption_web, two_shots
from faults_films import executed, rows

from curation.balance import pair_id, uniforms
from curation.crawl.urls import media_id
from curation.errors import RecipeError
from curation.forget import Request, forget
from curation.inspect import connect
from curation.media.shards import read_member
from curation.recipe import Decontamination, load_recipe
from curation.schemas import MANIFEST
from curation.stages.manifest import set_names
from curation.stages.manifest_rows import splits
from curation.storage import Store

ALL_TEXTS = {"max_distance": None, "texts": "all"}
CAPTIONS: list[Any] = [None, {}, {"balance": {"t": 3}}, {"captioners": [{"source": "page"}, {"source": "alt"}]}]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    films = two_shots(tmp_path_factory.mktemp("films"))
    films |= {"again.mp4": films["dog.mp4"]}
    with caption_web(tmp_path_factory.mktemp("web"), films) as started:
        yield started


def made(web: CaptionWeb, captions: Any = None, *, count: int = 8, **sections: Any) -> Path:
    """Pictures, of which four have a copy with a text of its own; three films, two of them the same."""
    told = [(web.picture(number), f"a dog by the way, {number}") for number in range(count)]
    told += [(web.picture(number, f"copy-{number}"), f"a cat of {number}, secret{number}x") for number in range(4)]
    parts = [{"start": 0.0, "end": 1.5, "title": "a tree in the beginning"}]
    films = [{"url": web.film(name), "caption": f"a car, {name}", "parts": parts * ("dog" in name)}
             for name in ("dog.mp4", "cat.mp4", "again.mp4")]  # fmt: skip
    sections = {"duplicates": ALL_TEXTS, **SHOTS, **sections}
    return web.recipe(told, films, "without" if captions is None else captions, **sections)


def run(recipe: Path, work: Path, captions: Any, *overrides: str) -> Outcomes:
    return executed(recipe, work, *(["captions=null"] if captions is None else []), *overrides)


@pytest.mark.parametrize(
    ("clips", "captions"),
    [
        pytest.param(clips, captions, marks=() if (clips is None) == (captions is None) else pytest.mark.slow)
        for clips in (SHOTS["clips"], None)
        for captions in CAPTIONS
    ],
)
def test_every_sample_is_a_row_with_all_its_texts(web: CaptionWeb, tmp_path: Path, captions: Any, clips: Any) -> None:
    recipe = made(web, captions, clips=clips, pairs={"media_buckets": 3})
    outcomes = run(recipe, tmp_path, captions)
    found, samples = (
        {row["sample_id"]: row for row in rows(outcomes, tmp_path, name)} for name in ("manifest", "samples")
    )
    counts = outcomes["manifest"].manifest.counts
    assert len(samples) == counts["not_drawn"] + counts["without_text"] + len(found)
    assert (counts["not_drawn"] > 0) == (captions == {"balance": {"t": 3}})
    assert not counts["without_text"]
    pairs: dict[str, set[str]] = {}
    for pair in rows(outcomes, tmp_path, "final_pairs"):
        pairs.setdefault(pair["media_id"], set()).add(pair["pair_id"])
    media = {row["media_id"]: row for row in rows(outcomes, tmp_path, "media")}
    for sample_id, row in found.items():
        data = read_member(str(tmp_path), row["path"], row["offset"], row["size_bytes"])
        assert hashlib.sha256(data).hexdigest() == row["sha256"] == samples[sample_id]["stored_sha256"]
        assert row["media_url"] == media[row["media_id"]]["media_url"]
        assert media_id(row["media_url"]) == row["media_id"]
        assert row["text"] == row["texts"][0]["text"]
        told = {text["pair_id"] for text in row["texts"] if text["text_media_id"] is not None}
        parts = {text["pair_id"] for text in row["texts"] if text["text"].startswith("a tree")}
        assert told - parts == {one for one in pairs[row["media_id"]] if one in told - parts}
        assert len(told) == len(row["texts"]) - sum(text["captioner"] == "page" for text in row["texts"])
        assert (row["archive"], row["snapshot"]) != (None, None)
    tellers: dict[str, set[str]] = {}
    for pair in rows(outcomes, tmp_path, "final_pairs"):
        tellers.setdefault(pair["media_id"], set()).add(pair["text_media_id"])
    copied = {of for of, several in tellers.items() if len(several) > 1}
    assert len(copied) == 4 + 1, "texts of copies, wherever these lie, are texts of the one that is kept"
    told_so = {row["media_id"] for row in found.values() if len({text["text_media_id"] for text in row["texts"]}) > 1}
    assert told_so == copied & {row["media_id"] for row in found.values()}
    if clips is None:
        return
    dog = media_id(web.film("dog.mp4"))
    of_dog = [row for row in found.values() if row["media_id"] in (dog, media_id(web.film("again.mp4")))]
    for row in of_dog:  # two clips: (0, 40) and (60, 108) at 24 a second; the title is about 0 to 1.5 s
        spans = [(text["start_ms"], text["end_ms"], text["weight"]) for text in row["texts"] if "tree" in text["text"]]
        assert len(spans) == (row["start_ms"] == 0)
        assert row["clip_id"] == row["sample_id"] == f"{row['media_id']}-{row['start_ms']}-{row['end_ms']}"


@pytest.mark.slow
def test_entries_are_told_as_balancing_knows_them(web: CaptionWeb, tmp_path: Path) -> None:
    for captions in (None, {"balance": {"t": 3}}):
        work = tmp_path / str(captions is None)
        outcomes = run(made(web, captions, balance={"t": 6}, rebalance={"t": 4}), work, captions)
        found = {(row["modality"], row["entry"]): row for row in rows(outcomes, work, "entry_probabilities")}
        samples = rows(outcomes, work, "manifest")
        held = Counter((row["modality"], entry) for row in samples for entry in row["entry_ids"])
        pool = {(row["modality"], row["entry"]): row["texts"] for row in rows(outcomes, work, "entry_counts")}
        assert {key: row["samples"] for key, row in found.items() if row["samples"]} == {
            (modality, ("dog", "cat", "house", "tree", "car")[entry]): n for (modality, entry), n in held.items()
        }
        assert {key: row["pool_texts"] for key, row in found.items() if row["pool_texts"]} == pool
        chosen = Counter((row["modality"], entry) for row in rows(outcomes, work, "chosen_captions")
                         for entry in row["entry_ids"]) if captions else Counter()  # fmt: skip
        for key, row in found.items():
            t = 3 if captions else 4
            assert row["threshold"] == t
            if captions:
                assert row["count"] == chosen[key[0], row["entry_id"]]
            else:
                assert 0 < row["count"] <= pool[key]
            assert row["probability"] == (1 if row["count"] < t else t / row["count"])
        assert any(row["probability"] < 1 for row in found.values())


# ---------------------------------------------------------------------------------------------------------- split


def ids(count: int, seed: int = 0) -> pa.Array:
    numbers = np.random.default_rng(seed).integers(0, 1 << 48, (count, 2)).tolist()
    return pa.array([f"{high:012x}{low:012x}" for high, low in numbers])


def test_splits_are_fixed_to_the_byte() -> None:
    """Another split would train on what was held out: by pair_id(media_id, "") under the salt `split`."""
    known = pa.array(["00a1b2c3d4e5f60718293a4b", "ffffffffffffffffffffffff", "0123456789abcdef01234567"])
    assert [pair_id(each, "") for each in known.to_pylist()] == [
        "e62b2a6b459e2c63d31b0cd1e5891d58", "b1fc341600f3a534499ba6dcbc130c1d", "2ef0b448f76d3008e6a5a4647ed7f38d"
    ]  # fmt: skip
    for share, wanted in ((0.41257, "ttt"), (0.41258, "vtt"), (0.43136, "vtt"), (0.43137, "vtv"), (0.61615, "vtv"),
                          (0.61616, "vvv")):  # fmt: skip
        assert "".join(each[0] for each in splits(known, 0, share).to_pylist()) == wanted


def test_the_share_is_met_and_larger_ones_hold_smaller_ones() -> None:
    known = ids(40_000)
    before: set[int] = set()
    for share in (0, 0.01, 0.1, 0.5, 0.999):
        val = set(np.flatnonzero(np.asarray(splits(known, 0, share)) == "val").tolist())
        assert abs(len(val) / len(known) - share) < 4 * (share * (1 - share) / len(known)) ** 0.5 + 1e-12
        assert before <= val
        before = val
    again = splits(known.take(pa.array(np.arange(len(known))[::-1])), 0, 0.1).to_pylist()[::-1]
    assert again == splits(known, 0, 0.1).to_pylist(), "whatever the order"


def test_the_split_has_nothing_to_do_with_any_draw() -> None:
    known = ids(40_000)
    is_val = np.asarray(splits(known, 0, 0.3)) == "val"
    as_pairs = pa.array([pair_id(each, "") for each in known.to_pylist()])
    for salt in ("draw", "pick", "shuffle", "sample", "recaption"):
        drawn = uniforms(as_pairs, 0, salt) < 0.3
        assert abs(float(is_val[drawn].mean()) - 0.3) < 0.02, salt
    other = np.asarray(splits(known, 1, 0.3)) == "val"
    assert abs(float(other[is_val].mean()) - 0.3) < 0.02


@pytest.mark.slow
def test_clips_of_a_video_stay_together_and_the_draw_does_not_move_them(web: CaptionWeb, tmp_path: Path) -> None:
    found: list[dict[str, str]] = []
    for seed, own in ((0, 0), (5, 0), (0, 1)):
        recipe = made(web, {}, count=16, draw={"seed": seed}, manifest={"val_share": 0.4, "seed": own})
        outcomes = executed(recipe, tmp_path / f"{seed}-{own}")
        of_media: dict[str, set[str]] = {}
        for row in rows(outcomes, tmp_path / f"{seed}-{own}", "manifest"):
            of_media.setdefault(row["media_id"], set()).add(row["split"])
        assert all(len(each) == 1 for each in of_media.values())
        found.append({media: next(iter(each)) for media, each in of_media.items()})
        assert set(found[-1].values()) == {"train", "val"}
    assert {media: found[0][media] for media in found[0].keys() & found[1].keys()} == {
        media: found[1][media] for media in found[0].keys() & found[1].keys()
    }
    assert found[0] != found[2]


# ------------------------------------------------------------------------------------------------ decontamination


@pytest.mark.slow
def test_what_another_set_has_is_counted_and_removed(web: CaptionWeb, tmp_path: Path) -> None:
    recipe = made(web, {})
    before = {row["sample_id"]: row for row in rows(executed(recipe, tmp_path), tmp_path, "manifest")}
    images = [row for row in before.values() if row["modality"] == "image"]
    url, text = images[0], images[1]["texts"][0]["text"]
    clip = next(row for row in before.values() if row["modality"] == "video")
    (tmp_path / "a").mkdir()
    eval_set, other = tmp_path / "a" / "eval.csv", tmp_path / "eval.csv"
    eval_set.write_text(f'url,text\n{url["media_url"]},\n,"{text.upper()}"\n')
    other.write_text(f"sha256\n{clip['sha256']}\n{url['fetched_sha256']}\n")
    sets = [f"against: {eval_set}, min_text_chars: 5", f"against: {other}"]
    for removes in ((True, True), (False, True), (False, False)):
        told = (f"{{{each}, remove: {remove}}}" for each, remove in zip(sets, removes, strict=True))
        outcomes = executed(recipe, tmp_path, f"manifest.decontaminate=[{', '.join(told)}]")
        counts = outcomes["manifest"].manifest.counts
        assert {name: n for name, n in counts.items() if name.startswith("overlap:")} == {
            "overlap:eval.csv#1:url": 1, "overlap:eval.csv#1:text": 1, "overlap:eval.csv#2:sha256": 2
        }  # fmt: skip
        gone = [{images[0]["sample_id"], images[1]["sample_id"]}, {clip["sample_id"], images[0]["sample_id"]}]
        wanted = set(before) - set().union(*(own for own, remove in zip(gone, removes, strict=True) if remove))
        left = rows(outcomes, tmp_path, "manifest")
        assert {row["sample_id"] for row in left} == wanted
        refused = [row for row in rows_of_rejections(outcomes, tmp_path) if row["reason"] == "overlap"]
        assert {row["detail"].partition(" ")[0] for row in refused} == set(before) - wanted
        assert len(refused) == counts.get("removed:eval.csv#1", 0) + counts.get("removed:eval.csv#2", 0)
        assert {row["id"] for row in refused} == {before[each]["media_id"] for each in set(before) - wanted}
        assert {name: each.units_done for name, each in outcomes.items() if each.units_done}.keys() <= {
            "manifest", "entry_probabilities"
        }  # fmt: skip
    assert refused == []


def rows_of_rejections(outcomes: Outcomes, work: Path) -> list[Row]:
    with connect(work) as database:
        found = database.sql("SELECT * FROM rejections WHERE stage = 'manifest'").to_arrow_table().to_pylist()
    assert len(found) == sum(outcomes["manifest"].manifest.rejected.values())
    return list(found)


def test_sets_of_one_name_are_told_apart() -> None:
    sets = [Decontamination(against=each) for each in ("/a/x.csv", "s3://b/x.csv", "y.txt", "/runs/one/")]
    assert set_names(sets) == ["x.csv#1", "x.csv#2", "y.txt", "one"]


# ------------------------------------------------------------------------------------------------- what is redone


@pytest.mark.slow
def test_another_section_redoes_the_manifest_alone(web: CaptionWeb, tmp_path: Path) -> None:
    def redone(*overrides: str) -> set[str]:
        outcomes = executed(recipe, tmp_path, *overrides)
        return {name for name, each in outcomes.items() if each.units_done}

    recipe = made(web, {})
    assert redone() >= {"samples", "captions", "manifest", "entry_probabilities"}
    assert redone() == set()
    assert redone("manifest.val_share=0.5") == {"manifest"}
    assert redone("manifest.text_weights={alt: 2}", "manifest.val_share=0.5") == {"manifest"}
    eval_set = tmp_path / "eval.txt"
    eval_set.write_text("https://nowhere.test/a.jpg\n")
    decontaminate = "manifest.decontaminate=[{against: %s}]"
    assert redone(decontaminate % eval_set) == {"manifest"}
    assert redone(decontaminate % eval_set) == set()
    (tmp_path / "moved").mkdir()
    eval_set.rename(tmp_path / "moved" / "eval.txt")
    assert redone(decontaminate % (tmp_path / "moved" / "eval.txt")) == set(), "the same set in another place"
    (tmp_path / "moved" / "eval.txt").write_text(web.picture(6))
    assert redone(decontaminate % (tmp_path / "moved" / "eval.txt")) == {"manifest", "entry_probabilities"}


@pytest.mark.parametrize(
    ("captions", "weights", "refused"),
    [
        ({}, "{vlm: 1}", "names vlm, which is none of the captioners alt"),
        (None, "{brief: 1}", "names brief, which is none of the captioners alt"),
        ({"captioners": [{"source": "alt", "name": "said"}]}, "{alt: 1}", "which is none of the captioners said"),
        ({"captioners": [{"source": "chapters"}]}, "{chapters.title: 1}", "chapters.title, but chapters has chapter"),
        ({}, "{alt: -1}", "greater than or equal to 0"),
    ],
)
def test_weights_of_what_there_is_not_are_refused(web: CaptionWeb, captions: Any, weights: str, refused: str) -> None:
    recipe = made(web, captions)
    overrides = ["captions=null"] if captions is None else []
    assert load_recipe(recipe, [*overrides, "manifest.text_weights={}"]).manifest.text_weights == {}
    with pytest.raises(RecipeError, match=refused):
        load_recipe(recipe, [*overrides, f"manifest.text_weights={weights}"])


# ---------------------------------------------------------------------------------------------------- forgetting


def traces(work: Path, gone: str, words: str) -> list[str]:
    """Parquet files of the manifest that hold a row about some media, or words."""
    folders = [path for name in ("manifest", "rejections/stage=manifest") for path in (work / name).rglob("*.parquet")]
    return [str(path) for path in folders if any(gone in str(row) or words in str(row) for row in _all(path))]


def _all(path: Path) -> list[Row]:
    found: list[Row] = pa.parquet.read_table(path).to_pylist()
    return found


@pytest.mark.parametrize("name", ["7", "film", "copy"])
@pytest.mark.slow
def test_what_is_forgotten_is_in_no_row(web: CaptionWeb, tmp_path: Path, name: str, monkeypatch: Any) -> None:
    recipe = made(web, {})
    before = executed(recipe, tmp_path)
    executed(recipe, tmp_path, "manifest.val_share=0.5")  # an earlier version is there, too
    found = rows(before, tmp_path, "manifest")
    moved = next(row for row in found if any("secret2x" in text["text"] for text in row["texts"]))
    of_copy = next(text for text in moved["texts"] if text["text_media_id"] != moved["media_id"])
    url = {"7": web.picture(7), "film": web.film("cat.mp4")}.get(name)
    gone = of_copy["text_media_id"] if url is None else media_id(url)
    words = of_copy["text"] if url is None else {"7": "by the way, 7", "film": "cat.mp4"}[name]
    assert traces(tmp_path, gone, words)
    copies = "none" if name == "copy" else "near"
    with monkeypatch.context() as patch:  # killed behind the tombstone: no file was touched yet
        patch.setattr("curation.taking_out.TakingOut.run", _killed)
        with pytest.raises(KeyboardInterrupt):
            forget(Store.at(tmp_path), Request(media_ids=(gone,), copies=copies))
    assert traces(tmp_path, gone, words)
    here = {row["sample_id"] for row in found if gone not in str(row)}
    with connect(tmp_path) as database:
        seen = database.sql("SELECT * FROM manifest").to_arrow_table().to_pylist()
    assert {row["sample_id"] for row in seen} == here
    receipt = forget(Store.at(tmp_path), Request(media_ids=(gone,), copies=copies))
    assert receipt["media_taken_out"] == 1
    assert traces(tmp_path, gone, words) == []
    with connect(tmp_path) as database:
        (left,) = database.sql("SELECT count(*) FROM manifest").fetchall()[0]
    assert left == len(here)
    after = rows(executed(recipe, tmp_path), tmp_path, "manifest")
    assert traces(tmp_path, gone, words) == []
    assert len(after) == len(found) - (0 if name == "copy" else 2 if name == "film" else 1)
    again = next((row for row in after if row["sample_id"] == moved["sample_id"]), None)
    assert again is not None
    assert len(again["texts"]) == len(moved["texts"]) - (name == "copy")


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_the_schema_is_what_files_hold(web: CaptionWeb, tmp_path: Path) -> None:
    outcomes = executed(made(web, {}), tmp_path)
    path = outcomes["manifest"].manifest.paths("manifest")[0]
    assert pa.parquet.read_schema(tmp_path / path).names == MANIFEST.columns
