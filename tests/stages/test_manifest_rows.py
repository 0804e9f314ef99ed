"""The manifest row by row against a plain reading of what its columns say, on made-up samples, texts and captions."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from faults_caption_rows import Row, done, manifest, recipe, rows_of
from faults_manifest_rows import FOUND_IN, World, made_up, text_of, words_of
from hypothesis import given, settings
from hypothesis import strategies as st

import curation.stages.manifest as manifest_module
import curation.stages.manifest_rows as rows_module
from curation.balance import pair_id, uniforms
from curation.crawl.page import TEXT_SOURCES
from curation.runner.stage import Manifest, Planning
from curation.runner.units import Unit
from curation.schemas import (
    BALANCED_CAPTIONS,
    CAPTION_SCORES,
    CAPTIONS,
    CHOSEN_CAPTIONS,
    CLIPS,
    MANIFEST,
    MANIFEST_COUNTS,
    MEDIA,
    SAMPLE_TEXTS,
    SAMPLES,
    SCORES,
    VIDEOS,
)
from curation.schemas.manifest import SCORE, TEXT
from curation.stages.manifest import ManifestStage
from curation.storage import Store

MODELS = {"m": {"backend": "server", "url": "http://127.0.0.1:1/v1", "model": "m"},
          "e": {"backend": "transformers", "model": "clip", "task": "embed"}}  # fmt: skip
CAPTIONERS = [{"source": "alt"}, {"source": "model", "name": "vlm", "model": "m"}, {"source": "subtitles"}]
WEIGHTS = {"vlm": 3.0, "vlm.detailed": 0.25, "alt.alt": 0.5, "subtitles.subtitles": 2.0}


def published(store: Store, world: World, *, scored: bool, balanced: bool) -> dict[str, Manifest]:
    """What the stages before might have published; an empty bucket beside it."""
    empty = "bucket-00001"

    def stage(name: str, *datasets: Any, unit: str = "bucket-00000") -> Manifest:
        return manifest(store, name, {unit: dict(datasets), empty: {dataset: [] for dataset, _ in datasets}})

    media = [*world.media, {"media_id": "f" * 24, "status": "failed", "error": "dns"}]
    world.dice.shuffle(media)
    found = {
        "fetch": stage("fetch", (MEDIA, media), (VIDEOS, list(world.videos.values())), unit="bucket-00000-0f3c"),
        "samples": stage("samples", (SAMPLES, world.samples), (SAMPLE_TEXTS, world.texts)),
    }
    if world.has_clips:
        found["clips"] = stage("clips", (CLIPS, world.clips[::-1]), unit="bucket-00000-aa-bb")
        found["scores"] = stage("scores", (SCORES, world.scores[::-1]), unit="bucket-00000-aa-bb")
    if world.has_captions:
        found["captions"] = stage("captions", (CAPTIONS, world.captions))
        found["chosen_captions"] = stage("chosen_captions", (CHOSEN_CAPTIONS, world.chosen))
        if scored:
            texts = [row for row in world.captions if row["status"] == "ok"]
            found["caption_scores"] = stage("caption_scores", (CAPTION_SCORES, texts))
        if balanced:
            found["balanced_captions"] = stage("balanced_captions", (BALANCED_CAPTIONS, world.balanced))
    return found


def section_of(world: World, *, scored: bool, balanced: bool, **own: Any) -> Any:
    captions = None
    if world.has_captions:
        captions = {"captioners": CAPTIONERS, "models": MODELS}
        captions |= {"similarity": {"model": "e"}} if scored else {}
        captions |= {"balance": {"t": 1}} if balanced else {}
    clips = {"clips": {}} if world.has_clips else {}
    weights = WEIGHTS if world.has_captions else {"alt.alt": 0.5}
    fetch = {"fetch": {"modalities": ["image", "video"]}}
    return recipe(captions, manifest={"text_weights": weights, "val_share": 0.3, **own}, **fetch, **clips)


# ------------------------------------------------------------------------------------------------- the reference


def expected(world: World, *, scored: bool, balanced: bool) -> tuple[list[Row], Counter[str]]:
    """Rows of the manifest, and how many samples have none and why."""
    rows, counts = [], Counter[str]()
    for sample in world.samples:
        texts, first = _texts(world, sample, scored)
        chosen = _of(world.chosen, sample)
        drawn = _of(world.balanced, sample)
        if first is None:
            counts["without_text"] += 1
        elif balanced and drawn is None:
            counts["not_drawn"] += 1
        else:
            rows.append(_row(world, sample, [first, *(text for text in texts if text is not first)],
                             (chosen, drawn if balanced else None)))  # fmt: skip
    return rows, counts


def _of(rows: list[Row], sample: Row) -> Row | None:
    return next((row for row in rows if row["sample_id"] == sample["sample_id"]), None)


def _rank(pair: Row) -> int:
    return min([TEXT_SOURCES.index(name) if name in TEXT_SOURCES else len(TEXT_SOURCES)
                for name in pair["text_sources"]], default=len(TEXT_SOURCES))  # fmt: skip


def _texts(world: World, sample: Row, scored: bool) -> tuple[list[Row], Row | None]:
    """TEXT of the sample in order, but for the chosen one, which is given too; weights as the recipe has them."""
    pairs = {pair["pair_id"]: pair for pair in world.texts if pair["media_id"] == sample["media_id"]}
    own = [row for row in world.captions if row["sample_id"] == sample["sample_id"] and row["status"] == "ok"]
    told = {row["pair_id"] for row in own if row["captioner"] == "alt"}
    found = [_of_text(row, pairs.get(row["pair_id"]) if row["captioner"] == "alt" else None, scored) for row in own]
    left = [caption for caption in words_of(world, sample).alts if caption.pair_id not in told]
    left.sort(key=lambda one: (_rank(pairs[one.pair_id]), pairs[one.pair_id]["critical_threshold"], one.pair_id))
    found += [_of_text({"captioner": "alt", **one._asdict()}, pairs[one.pair_id], scored) for one in left]
    if not world.has_captions:
        return found, next((text for text in found if text["start_ms"] is None), None)
    chosen = _of(world.chosen, sample)
    if chosen is None:
        return found, None
    place = next(place for place, row in enumerate(own)
                 if all(row[name] == chosen[name] for name in ("captioner", "kind", "ordinal")))  # fmt: skip
    found[place] |= {name: chosen[name] for name in ("vocabulary_lang", "entry_ids")}
    return found, found[place]


def _of_text(row: Row, pair: Row | None, scored: bool) -> Row:
    text = {each.name: row.get(each.name) for each in TEXT}
    if not scored:
        text |= {"similarity": None, "text_similarity": None}
    label = f"{row['captioner']}.{row['kind']}"
    weights = WEIGHTS if scored is not None else {}
    by_captioner = 0.0 if text["start_ms"] is not None else weights.get(row["captioner"], 1.0)
    text["weight"] = weights.get(label, by_captioner)
    text |= {"text_sources": [], "entry_ids": [], "vocabulary_lang": None}
    if pair is not None:
        names = ("keep_probability", "critical_threshold", "page_url", "licence", "archive", "record_offset",
                 "text_sources", "entry_ids", "vocabulary_lang")  # fmt: skip
        text |= {name: pair[name] for name in names}
    return text


def _row(world: World, sample: Row, texts: list[Row], judged: tuple[Row | None, Row | None]) -> Row:
    media = next(row for row in world.media if row["media_id"] == sample["media_id"])
    pairs = [pair for pair in world.texts if pair["media_id"] == sample["media_id"]]
    is_clip, is_video = sample["sample_id"] != sample["media_id"], sample["modality"] == "video"
    first, drawn = texts[0], judged[1]
    row = {name: sample.get(name) for name in MANIFEST.columns}
    row |= {"sha256": sample["stored_sha256"], "fetched_sha256": media["sha256"], "media_url": media["media_url"]}
    row["clip_id"] = sample["sample_id"] if is_clip else None
    row |= {name: None if is_video else media[name] for name in ("original_width", "original_height")}
    clip = next((one for one in world.clips if one["clip_id"] == sample["sample_id"]), None)
    frames = clip["key_frames"] if clip else []
    row["phash"] = (frames[0]["phash"] if frames else None) if is_clip else media["phash"]
    row["source_duration_ms"] = world.videos.get(sample["media_id"], {}).get("duration_ms")
    by = min(pairs, key=lambda one: (one["media_id"] != one["text_media_id"], one["snapshot"], one["archive"],
                                     one["record_offset"], one["pair_id"]))  # fmt: skip
    row |= {name: by[name] for name in FOUND_IN}
    u = uniforms(pa.array([pair_id(sample["media_id"], "")]), 0, "split")[0]
    row["split"] = "val" if u < 0.3 else "train"
    row |= {"texts": texts, "text": first["text"], "text_lang": first["lang"], "entry_ids": first["entry_ids"]}
    row |= {"text_kind": f"{first['captioner']}.{first['kind']}", "text_similarity": first["similarity"]}
    row |= {"vocabulary_lang": first["vocabulary_lang"],
            "text_rule": "captions.order" if world.has_captions else "best_source"}  # fmt: skip
    if drawn is not None:  # the chosen text alone was drawn
        draw = ("keep_probability", "critical_threshold")
        row["texts"] = [{**text, **{name: drawn[name] if not place else None for name in draw}}
                        for place, text in enumerate(texts)]  # fmt: skip
    kept = [drawn] if drawn is not None else pairs
    row["keep_probability"] = max(one["keep_probability"] for one in kept)
    row["critical_threshold"] = min(one["critical_threshold"] for one in kept)
    own = [one for one in world.captions if one["sample_id"] == sample["sample_id"] and one.get("model")
           and one["start_ms"] is None]  # fmt: skip
    brief = [one for kind in ("brief", "short") for one in own if one["kind"] == kind]
    row["brief"] = brief[0]["text"] if brief else None
    row["detailed"] = next((one["text"] for one in own if one["kind"] == "detailed"), None)
    measured = next((one for one in world.scores if one["clip_id"] == sample["sample_id"]), {"status": "failed"})
    row["scores"] = None if measured["status"] != "ok" else {each.name: measured.get(each.name) for each in SCORE}
    row["media_bucket"] = 0
    return row


# ----------------------------------------------------------------------------------------------------- the tests


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), count=st.integers(1, 14), batch=st.sampled_from([1, 3, 1000]),
    parts=st.sets(st.sampled_from(["captions", "clips", "scored", "balanced"])),
)  # fmt: skip
def test_every_row_is_as_its_columns_say(seed: int, count: int, batch: int, parts: set[str]) -> None:
    captions, clips, scored, balanced = (name in parts for name in ("captions", "clips", "scored", "balanced"))
    world = made_up(seed, count, captions=captions, clips=clips)
    told = {"scored": scored and captions, "balanced": balanced and captions}
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_module, "_ROWS", batch)
        patch.setattr(rows_module, "_ROWS", batch)
        store = Store.at(folder)
        made = done(ManifestStage(), store, section_of(world, **told), published(store, world, **told))
        rows, (wanted, left_out) = rows_of(store, made, MANIFEST), expected(world, **told)
        if not captions:
            for row in wanted:
                for text in row["texts"]:  # only alt.alt is told
                    text["weight"] = 0.5 if text["kind"] == "alt" else float(text["start_ms"] is None)
        assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in wanted]
        for row, other in zip(rows, wanted, strict=True):
            assert row == other
        assert {name: made.counts.get(name, 0) for name in ("without_text", "not_drawn")} == {
            "without_text": left_out["without_text"], "not_drawn": left_out["not_drawn"]
        }  # fmt: skip
        _are_counts(made, rows, rows_of(store, made, MANIFEST_COUNTS))


def _are_counts(made: Manifest, rows: list[Row], counts: list[Row]) -> None:
    def of(what: str) -> Counter[str]:
        return Counter({name.removeprefix(what): n for name, n in made.counts.items() if name.startswith(what) and n})

    assert of("samples:") == Counter(row["modality"] for row in rows)
    assert of("split:") == Counter(row["split"] for row in rows)
    assert of("val:") == Counter(row["modality"] for row in rows if row["split"] == "val")
    assert of("chosen:") == Counter(row["text_kind"] for row in rows)
    assert of("texts:") == Counter(f"{text['captioner']}.{text['kind']}" for row in rows for text in row["texts"])
    assert made.counts.get("licence_known", 0) == sum(row["licence"] is not None for row in rows)
    sums = Counter[tuple[str, str, int]]()
    for row in counts:
        sums[row["modality"], row["vocabulary_lang"], row["entry_id"]] += row["samples"]
    entries = [(row["modality"], row["vocabulary_lang"], entry) for row in rows for entry in row["entry_ids"]]
    assert sums == Counter(entries)
    assert made.counts.get("entry_samples", 0) == sum(sums.values())


def test_captions_and_scores_or_choices_of_other_captions_are_not_joined(tmp_path: Path) -> None:
    world = made_up(3, 12, captions=True, clips=False)
    told = {"scored": True, "balanced": False}
    store = Store.at(tmp_path)
    sound = published(store, world, **told)
    assert done(ManifestStage(), store, section_of(world, **told), sound).rows("manifest")
    texts = [row for row in world.captions if row["status"] == "ok"]
    mixed = manifest(store, "caption_scores", {"bucket-00000": {CAPTION_SCORES: texts[1:] + texts[:1]}})
    with pytest.raises(AssertionError, match="captions and their scores differ"):
        done(ManifestStage(), store, section_of(world, **told), {**sound, "caption_scores": mixed})
    others = [{**row, "ordinal": 99} for row in world.chosen]
    chosen = manifest(store, "chosen_captions", {"bucket-00000": {CHOSEN_CAPTIONS: others}})
    with pytest.raises(AssertionError, match="captions and chosen_captions differ"):
        done(ManifestStage(), store, section_of(world, **told), {**sound, "chosen_captions": chosen})


def test_a_set_that_changed_after_planning_ends_the_run(tmp_path: Path) -> None:
    """Otherwise rows would be said to be held against another set than they were."""
    world = made_up(3, 12, captions=False, clips=False)
    told = {"scored": False, "balanced": False}
    held = tmp_path / "held.txt"
    held.write_text("https://example.org/a.jpg\n")

    class Later(ManifestStage):
        def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
            held.write_text("https://example.org/another.jpg\n")
            return super().plan(planning, context)

    section = section_of(world, **told, decontaminate=[{"against": str(held)}])
    store = Store.at(tmp_path / "work")
    with pytest.raises(AssertionError, match="changed while it was compared with: run again"):
        done(Later(), store, section, published(store, world, **told))


def test_the_sources_of_the_recipe_decide_which_text_stands_for_a_sample(tmp_path: Path) -> None:
    """match.text_sources: a title before an alt text, where the recipe wants it so."""
    world = made_up(5, 1, captions=False, clips=False)
    media_id = world.media[0]["media_id"]
    same = {**text_of(random.Random(0), media_id, "image"), "start_ms": None, "end_ms": None}
    world.media[0]["modality"] = "image"
    world.samples = [{**world.samples[0], "modality": "image"}]
    world.texts = [
        {**same, "pair_id": f"{place:032x}", "text_sources": [source], "critical_threshold": t, "text": f"{place}"}
        for place, (source, t) in enumerate([("alt", 1.0), ("title", 7.0), ("title", 3.0), ("title", 3.0)])
    ]
    for order, best in ((None, "0"), (["title", "alt"], "2")):
        store = Store.at(tmp_path / str(best))
        section = recipe(None, match={"definition": "v1", "vocabularies": {"en": "e.txt"}, "fallback": "en",
                                      "text_sources": None if order is None else {"image": order}})  # fmt: skip
        inputs = published(store, world, scored=False, balanced=False)
        (row,) = rows_of(store, done(ManifestStage(), store, section, inputs), MANIFEST)
        assert row["text"] == best
        assert [text["text"] for text in row["texts"]] == list("0231" if best == "0" else "2310")


def test_texts_without_a_sample_are_an_error(tmp_path: Path) -> None:
    world = made_up(4, 3, captions=False, clips=False)
    world.texts = [{**row, "media_id": "0" * 24} for row in world.texts[:1]] + world.texts
    told, store = {"scored": False, "balanced": False}, Store.at(tmp_path)
    with pytest.raises(AssertionError, match="samples and their texts differ"):
        done(ManifestStage(), store, section_of(world, **told), published(store, world, **told))
