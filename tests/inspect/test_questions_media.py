"""Questions about media, clips and captions against the same rows counted in plain Python."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from card_pools import make_pool, make_recipe, publish
from published_rows import Row, publish_rows

from curation.errors import InputError
from curation.inspect import connect, questions
from curation.inspect.card_media import ERRORS
from curation.schemas import CAPTIONS, CHOSEN_CAPTIONS, CLIPS, KEPT_CLIPS, MEDIA, SCORES

HOSTS = ["a.example", "b.example:8080", "user@C.example"]


def make_media(seed: int, number: int = 150) -> list[Row]:
    draw = random.Random(seed)
    rows = []
    for place in range(number):
        modality = draw.choice(["image", "image", "video"])
        error = draw.choice([None, None, None, "http_4xx", "dns", "a new one"])
        side = draw.choice([1, 31, 32, 255, 256, 257, 511, 512, 4096]) + draw.choice([0, 0, 1])
        rows.append({
            "media_id": f"m{place}", "modality": modality,
            "media_url": f"https://{draw.choice(HOSTS)}/{place}" if draw.random() < 0.95 else "",
            "status": "failed" if error else "ok", "error": error, "transient": draw.random() < 0.5,
            **({} if error else {"path": "media/x.tar", "original_width": side, "original_height": side // 2 + 1,
                                 "width": min(side, 256), "height": min(side // 2 + 1, 256)})})  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def media() -> list[Row]:
    return make_media(3)


@pytest.fixture(scope="module")
def clips() -> list[Row]:
    """Rows with what clips, scores and kept_clips say of them."""
    draw = random.Random(4)
    return [
        {"clip_id": f"c{place}", "duration_ms": draw.choice([999, 1000, 1500, 2000, 7300, 61_000]),
         "brightness": draw.choice([None, 0.0, 0.25, 0.5, 1.0, float("nan")]), "fps": 24.0, "status": "ok",
         "has_audio": draw.choice([True, False]), "kept": draw.random() < 0.7}
        for place in range(90)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def db(
    media: list[Row], clips: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("media")
    publish_rows(folder, "fetch", {MEDIA: media})
    publish_rows(folder, "clips", {CLIPS: [_some(row, "clip_id", "duration_ms") for row in clips]})
    publish_rows(folder, "scores", {SCORES: [
        _some(row, "clip_id", "brightness", "fps", "status", "has_audio") for row in clips]})  # fmt: skip
    publish_rows(folder, "kept_clips", {KEPT_CLIPS: [_some(row, "clip_id", "kept") for row in clips]})
    with connect(folder) as connection:
        yield connection


def _some(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


def rows_of(table: Any) -> list[Row]:
    found: list[Row] = table.to_pylist()
    return found


def test_every_media_is_obtained_or_lost_for_one_reason(db: duckdb.DuckDBPyConnection, media: list[Row]) -> None:
    found = rows_of(questions.link_rot(db))
    counts = Counter((row["modality"], row["error"]) for row in media)
    passing = Counter((row["modality"], row["error"]) for row in media if row["error"] and row["transient"])
    whole = Counter(row["modality"] for row in media)
    assert {(row["modality"], row["error"]): (row["media"], row["transient"]) for row in found} == {
        key: (counts[key], passing[key]) for key in counts
    }
    for row in found:
        assert row["share"] == pytest.approx(row["media"] / whole[row["modality"]])
        known = {None: "obtained", "a new one": "a new one"}
        assert row["meaning"] == known.get(row["error"], ERRORS.get(row["error"] or ""))
    assert found[0]["error"] is None  # obtained first


@pytest.mark.parametrize("top", [1, 2, 100])
def test_hosts_that_lost_most_come_first(db: duckdb.DuckDBPyConnection, media: list[Row], top: int) -> None:
    hosts: dict[Any, list[Row]] = {}
    for row in media:
        hosts.setdefault(urlsplit(row["media_url"]).hostname, []).append(row)
    lost = {host: [row["error"] for row in rows if row["error"]] for host, rows in hosts.items()}
    order = sorted(hosts, key=lambda host: (-len(lost[host]), -len(hosts[host]), host is None, host or ""))
    found = rows_of(questions.link_rot_by_host(db, top))
    assert [row["host"] for row in found if not row["others"]] == order[:top]
    for row in found:
        those = order[top:] if row["others"] else [row["host"]]
        assert row["media"] == sum(len(hosts[host]) for host in those)
        assert row["lost"] == sum(len(lost[host]) for host in those)
        assert row["lost_share"] == pytest.approx(row["lost"] / row["media"])
        if not row["others"]:
            errors = Counter(lost[row["host"]])
            assert row["most_common"] == min(errors, key=lambda error: (-errors[error], error))
    assert sum(row["media"] for row in found) == len(media)


def test_a_media_belongs_to_the_first_snapshot_of_its_kept_pairs(tmp_path: Path) -> None:
    pool = make_pool(6)
    publish(tmp_path, pool, make_recipe(pool))
    first: dict[str, str] = {}
    for pair in pool.kept:
        first[pair["media_id"]] = min(pair["snapshot"], first.get(pair["media_id"], pair["snapshot"]))
    ledger = [{"media_id": media_id, "modality": "image", "media_url": "https://x.example/", "status": "failed",
               "error": "dns" if number % 3 else None} for number, media_id in enumerate(sorted(first))]  # fmt: skip
    publish_rows(tmp_path, "fetch", {MEDIA: ledger})
    media, lost = Counter(first.values()), Counter(first[row["media_id"]] for row in ledger if row["error"])
    with connect(tmp_path) as connection:
        found = rows_of(questions.link_rot_by_snapshot(connection))
    assert {row["snapshot"]: (row["media"], row["lost"]) for row in found} == {
        name: (media[name], lost[name]) for name in media
    }


def test_every_image_is_in_the_bin_of_its_longest_side(db: duckdb.DuckDBPyConnection, media: list[Row]) -> None:
    images = [row for row in media if row["modality"] == "image" and not row["error"]]
    found = rows_of(questions.image_sizes(db))
    for row in found:
        for name, prefix in (("fetched", "original_"), ("stored", "")):
            sides = [max(image[f"{prefix}width"], image[f"{prefix}height"]) for image in images]
            assert row[name] == sum(row["from_px"] <= side <= row["to_px"] for side in sides)
        assert row["samples"] is None
    assert sum(row["fetched"] for row in found) == sum(row["stored"] for row in found) == len(images)
    assert [row["from_px"] for row in found] == sorted(row["from_px"] for row in found)


@pytest.mark.parametrize(("width", "most"), [(1.0, 60), (1.0, 100), (0.5, 10), (2.5, 1)])
def test_every_clip_is_in_the_bin_of_its_length(
    db: duckdb.DuckDBPyConnection, clips: list[Row], width: float, most: int
) -> None:
    found = rows_of(questions.clip_lengths(db, width, most))
    assert len(found) <= most
    for row in found:
        inside = [clip for clip in clips
                  if row["from_s"] * 1000 <= clip["duration_ms"] < (row["to_s"] or 1e9) * 1000]  # fmt: skip
        assert (row["clips"], row["kept"]) == (len(inside), sum(clip["kept"] for clip in inside))
    assert sum(row["clips"] for row in found) == len(clips)
    assert [row["from_s"] for row in found] == [place * width for place in range(len(found))]
    assert all(row["to_s"] is not None for row in found[:-1])


def test_scores_are_summed_up(db: duckdb.DuckDBPyConnection, clips: list[Row]) -> None:
    found = {row["score"]: row for row in rows_of(questions.score_summary(db))}
    assert list(found) == list(questions.SCORES)
    known = [row["brightness"] for row in clips if row["brightness"] is not None and row["brightness"] >= 0]
    assert (found["brightness"]["clips"], found["brightness"]["missing"]) == (len(known), len(clips) - len(known))
    assert (found["brightness"]["least"], found["brightness"]["most"]) == (min(known), max(known))
    assert found["brightness"]["median"] == statistics.median(known)
    assert found["has_audio"]["most"] == 1.0
    assert (found["loudness"]["clips"], found["loudness"]["median"]) == (0, None)


@pytest.mark.parametrize("bins", [1, 4, 7])
def test_a_histogram_of_scores_counts_every_clip_once(
    db: duckdb.DuckDBPyConnection, clips: list[Row], bins: int
) -> None:
    found = rows_of(questions.score_histogram(db, "brightness", bins))
    known = [row for row in clips if row["brightness"] is not None and row["brightness"] >= 0]
    assert len(found) == bins
    assert (found[0]["low"], found[-1]["high"]) == (0.0, 1.0)
    for place, row in enumerate(found):
        last = place == bins - 1
        inside = [clip for clip in known
                  if row["low"] <= clip["brightness"] and (last or clip["brightness"] < row["high"])]  # fmt: skip
        assert (row["clips"], row["kept"]) == (len(inside), sum(clip["kept"] for clip in inside))


def test_scores_that_are_all_the_same_or_missing(db: duckdb.DuckDBPyConnection, clips: list[Row]) -> None:
    (row,) = rows_of(questions.score_histogram(db, "fps"))
    assert (row["low"], row["high"], row["clips"]) == (24.0, 24.0, len(clips))
    assert rows_of(questions.score_histogram(db, "loudness")) == []
    with pytest.raises(InputError, match="score is 'beauty': choose one of width, height"):
        questions.score_histogram(db, "beauty")


def test_captions_are_counted_by_captioner_and_kind(tmp_path: Path) -> None:
    draw = random.Random(9)
    said = [{"sample_id": f"s{draw.randrange(30)}", "captioner": draw.choice(["alt", "vlm"]),
             "kind": draw.choice(["alt", "brief"]), "status": status, "ordinal": place,
             "text": "x" * draw.randrange(1, 9) if status == "ok" else None}
            for place in range(120) for status in [draw.choice(["ok", "ok", "silent", "failed"])]]  # fmt: skip
    chosen = [row for row in said if row["status"] == "ok"][:20]
    publish_rows(tmp_path, "captions", {CAPTIONS: said})
    publish_rows(tmp_path, "chosen_captions", {CHOSEN_CAPTIONS: [
        _some(row, "sample_id", "captioner", "kind", "text") for row in chosen]})  # fmt: skip
    with connect(tmp_path) as connection:
        found = rows_of(questions.captions_by_kind(connection))
    for row in found:
        of = [one for one in said if one["captioner"] == row["captioner"]
              and (one["kind"] if one["status"] == "ok" else "") == row["kind"]]  # fmt: skip
        ok = [one for one in of if one["status"] == "ok"]
        assert (row["captions"], row["samples"]) == (len(ok), len({one["sample_id"] for one in ok}))
        assert row["silent"] == sum(one["status"] == "silent" for one in of)
        assert row["failed"] == sum(one["status"] == "failed" for one in of)
        key = (row["captioner"], row["kind"])
        assert row["chosen"] == sum((one["captioner"], one["kind"]) == key for one in chosen)
        if ok:
            assert row["mean_chars"] == pytest.approx(statistics.mean(len(one["text"]) for one in ok))
    assert sum(row["captions"] + row["silent"] + row["failed"] for row in found) == len(said)
    assert sum(row["chosen"] for row in found) == len(chosen)
