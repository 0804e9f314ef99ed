"""A made-up bucket of samples with their texts, captions, clips and scores, for tests of the manifest."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from faults_caption_rows import Row

from curation.balance import pair_id
from curation.captions.films import Film
from curation.captions.words import Words

SOURCES = ("alt", "caption", "figcaption", "og:title", "schema:hasPart", "title", "zzz")
FOUND_IN = ("platform", "platform_id", "licence", "upload_date", "page_url", "snapshot", "archive", "record_offset")


@dataclass
class World:
    """Rows of every dataset that the manifest is made of, all in one bucket."""

    dice: random.Random
    has_captions: bool
    has_clips: bool
    media: list[Row] = field(default_factory=list)
    videos: dict[str, Row] = field(default_factory=dict)
    samples: list[Row] = field(default_factory=list)
    texts: list[Row] = field(default_factory=list)
    captions: list[Row] = field(default_factory=list)
    clips: list[Row] = field(default_factory=list)
    scores: list[Row] = field(default_factory=list)
    chosen: list[Row] = field(default_factory=list)
    balanced: list[Row] = field(default_factory=list)


def made_up(seed: int, count: int, *, captions: bool, clips: bool) -> World:
    world = World(random.Random(seed), captions, clips)
    dice = world.dice
    ids = sorted(f"{dice.randrange(1 << 96):024x}" for _ in range(count))
    for media_id in ids:
        _add_media(world, media_id, "video" if dice.random() < 0.5 else "image")
    world.samples.sort(key=lambda row: row["sample_id"])
    world.texts.sort(key=lambda row: (row["media_id"], row["pair_id"]))
    if captions:
        for sample in world.samples:
            _add_captions(world, sample)
    return world


def _add_media(world: World, media_id: str, modality: str) -> None:
    dice = world.dice
    row = {"media_id": media_id, "modality": modality, "status": "ok", "media_url": f"https://a.test/{media_id}"}
    row |= {"sha256": f"{dice.randrange(1 << 256):064x}", "original_width": dice.randrange(9), "original_height": 5}
    world.media.append({**row, "phash": dice.choice([0, None, 1 << 63 | dice.randrange(99)])})
    if modality == "video" and dice.random() < 0.9:
        video = {"media_id": media_id, "duration_ms": dice.choice([0, 9000])}
        world.videos[media_id] = {**video, "chapters": [], "subtitles": [], "tags": []}
    for _ in range(dice.choice([1, 1, 2, 5])):
        world.texts.append(text_of(dice, media_id, modality))
    same = {"media_id": media_id, "modality": modality, "stored_sha256": f"{dice.randrange(1 << 256):064x}"}
    same |= {"extension": "jpg", "offset": dice.randrange(99), "size_bytes": 7, "width": 3, "height": 4}
    same["path"] = "a.tar"
    if modality == "image":
        world.samples.append({**same, "sample_id": media_id})
        return
    spans = [(0, 9000)]
    if world.has_clips:
        begins = sorted(dice.sample(range(0, 9000, 500), dice.choice([1, 1, 4])))
        spans = [(begin, begin + dice.choice([300, 2500])) for begin in begins]
    for begin, end in spans:
        sample_id = f"{media_id}-{begin}-{end}" if world.has_clips else media_id
        facts = {"start_ms": begin, "end_ms": end, "duration_ms": end - begin, "fps": 24.0, "has_audio": True}
        world.samples.append({**same, **facts, "sample_id": sample_id, "extension": "mp4"})
        if world.has_clips:
            _add_clip(world, sample_id, media_id)


def text_of(dice: random.Random, media_id: str, modality: str) -> Row:
    about = media_id if dice.random() < 0.7 else f"{dice.randrange(3):024x}"
    words = f"text {dice.randrange(1 << 40)}"
    row = {"media_id": media_id, "text_media_id": about, "text": words, "pair_id": pair_id(about, words)}
    row |= {"text_sources": sorted(dice.sample(SOURCES, dice.choice([0, 1, 1, 2]))), "lang": "en"}
    row["vocabulary_lang"] = dice.choice(["en", "de"])
    row["entry_ids"] = sorted(dice.sample(range(9), dice.choice([1, 2])))
    row |= {"keep_probability": dice.random(), "critical_threshold": dice.choice([1.0, 2.0, 5.0]), "modality": modality}
    if dice.random() < 0.4:
        row["start_ms"] = dice.randrange(0, 9000, 700)
        row["end_ms"] = None if dice.random() < 0.5 else row["start_ms"] + dice.randrange(0, 4000, 500)
    row |= {name: dice.choice([None, f"{name} {dice.randrange(2)}"]) for name in FOUND_IN[:5]}
    row |= {name: f"{name} {dice.randrange(2)}" for name in ("snapshot", "archive")}
    return {**row, "record_offset": dice.randrange(3)}


def _add_clip(world: World, clip_id: str, media_id: str) -> None:
    dice = world.dice
    frame = {"frame": 0, "time_ms": 0, "offset": 0, "size_bytes": 0}
    frames = [{**frame, "phash": dice.randrange(1 << 64)} for _ in range(dice.choice([0, 1, 3]))]
    clip = {"clip_id": clip_id, "media_id": media_id}
    world.clips.append({**clip, "key_frames": frames})
    if dice.random() < 0.8:
        status = dice.choice(["ok", "ok", "failed"])
        measured = {"brightness": dice.random(), "width": dice.randrange(999)} if status == "ok" else {}
        world.scores.append({**clip, "status": status, **measured})


def words_of(world: World, sample: Row) -> Words:
    video = world.videos.get(sample["media_id"])
    texts = [{"start_ms": None, "end_ms": None, **text} for text in world.texts
             if text["media_id"] == sample["media_id"]]  # fmt: skip
    film = None if video is None else Film(lambda: video)
    return Words({"start_ms": None, "end_ms": None, **sample}, texts, film)


def _add_captions(world: World, sample: Row) -> None:
    """As the captions stage writes them: alt with the ids of pairs, others with ids of their own."""
    dice, found = world.dice, []
    for caption in words_of(world, sample).alts:
        found.append({"captioner": "alt", **caption._asdict()})
    for kind in ("brief", "detailed", "detailed", "short"):
        if dice.random() < 0.4:
            told = f"{kind} {dice.randrange(1 << 40)}"
            found.append({"captioner": "vlm", "kind": kind, "text": told, "model": "m", "lang": "en",
                          "start_ms": dice.choice([None, None, 5]), "score": dice.choice([None, 0.5])})  # fmt: skip
    found += [{"captioner": "subtitles", "kind": "subtitles", "text": f"said {dice.randrange(9)}", "lang": "en",
               "start_ms": 10, "end_ms": 20}] * (dice.random() < 0.4)  # fmt: skip
    ordinals = Counter[tuple[str, str]]()
    rows = []
    for caption in found:
        row = {**caption, "sample_id": sample["sample_id"], "media_id": sample["media_id"], "status": "ok"}
        row["ordinal"] = ordinals[row["captioner"], row["kind"]]
        ordinals[row["captioner"], row["kind"]] += 1
        row["pair_id"] = row.get("pair_id") or pair_id(row["sample_id"], row["text"])
        row |= {"similarity": dice.choice([None, 0.25]), "text_similarity": dice.choice([None, 0.75])}
        rows.append(row)
    world.captions += rows
    if dice.random() < 0.3:
        world.captions.append({"sample_id": sample["sample_id"], "captioner": "vlm", "kind": "", "status": "failed"})
    if rows and dice.random() < 0.9:
        best = dice.choice(rows)
        entries = {"vocabulary_lang": dice.choice([None, "en"])}
        entries["entry_ids"] = [] if entries["vocabulary_lang"] is None else [dice.randrange(9)]
        world.chosen.append({**best, **entries, "modality": sample["modality"]})
        if dice.random() < 0.7:
            drawn = {"keep_probability": dice.random(), "critical_threshold": 1 + dice.random()}
            world.balanced.append({**world.chosen[-1], "vocabulary_lang": "en", **drawn})
