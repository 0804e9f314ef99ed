"""Questions about the selection against the same rows counted in plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from card_pools import Pool, Row, make_pool, make_recipe, publish

from curation.balance import thresholds_for
from curation.errors import InputError, WorkFolderError
from curation.inspect import connect, questions

TS = [1, 1.5, 2, 3.1, 4.1, 5, 8, 100]


@pytest.fixture(scope="module")
def pool() -> Pool:
    return make_pool(
        5, media=200, modalities=("image", "video"),
        thresholds={"image": {"en": 3.1, "de": 4.1}, "video": {"en": 2.5, "de": 3.5}})  # fmt: skip


@pytest.fixture(scope="module")
def db(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("pool")
    publish(folder, pool, make_recipe(pool))
    with connect(folder) as connection:
        yield connection


def rows_of(table: Any) -> list[Row]:
    found: list[Row] = table.to_pylist()
    return found


def entry_counts(matches: list[Row], modality: str, lang: str) -> Counter[int]:
    return Counter(
        entry for row in matches if (row["modality"], row["vocabulary_lang"]) == (modality, lang)
        for entry in row["entry_ids"]
    )  # fmt: skip


def test_thresholds_are_those_of_the_run(db: duckdb.DuckDBPyConnection, pool: Pool) -> None:
    assert [(row["stage"], row["modality"], row["vocabulary_lang"], row["t"])
            for row in rows_of(questions.thresholds(db))] == [
        ("balance", modality, lang, t) for modality, of_lang in sorted(pool.thresholds.items())
        for lang, t in sorted(of_lang.items())]  # fmt: skip


def test_stages_tell_their_counts_and_settings(db: duckdb.DuckDBPyConnection) -> None:
    found = db.sql("SELECT stage, counts['entry_matches'] FROM stages WHERE stage IN ('match', 'draw')").fetchall()
    assert [stage for stage, _ in found] == ["match", "draw"]  # in the order of the pipeline
    assert found[0][1] > 0
    assert found[1][1] is None


@pytest.mark.parametrize(("modality", "lang"), [("image", "en"), ("video", "de")])
def test_cumulative_counts_are_sums_from_the_rarest(
    db: duckdb.DuckDBPyConnection, pool: Pool, modality: str, lang: str
) -> None:
    before, after = (entry_counts(rows, modality, lang) for rows in (pool.matches, pool.kept))
    order = sorted(before, key=lambda entry: (before[entry], entry))
    found = rows_of(questions.cumulative_counts(db, modality, lang))
    assert [row["entry"] for row in found] == [pool.vocabularies[lang][entry] for entry in order]
    assert [row["rank"] for row in found] == list(range(1, len(order) + 1))
    sums = [0, 0]
    for row, entry in zip(found, order, strict=True):
        sums = [sums[0] + before[entry], sums[1] + after[entry]]
        assert (row["count_before"], row["count_after"]) == (before[entry], after[entry])
        assert (row["cumulative_before"], row["cumulative_after"]) == tuple(sums)
        assert row["t"] == pool.thresholds[modality][lang]


@pytest.mark.parametrize("points", [2, 3, 7, 20])
def test_fewer_points_are_some_of_all_with_both_ends(db: duckdb.DuckDBPyConnection, points: int) -> None:
    everything = rows_of(questions.cumulative_counts(db))
    some = rows_of(questions.cumulative_counts(db, points=points))
    assert len(some) == min(points, len(everything))
    assert all(row in everything for row in some)
    assert (some[0], some[-1]) == (everything[0], everything[-1])


def test_other_thresholds_keep_what_their_critical_thresholds_say(db: duckdb.DuckDBPyConnection, pool: Pool) -> None:
    before = entry_counts(pool.matches, "image", "en")
    order = sorted(before, key=lambda entry: (before[entry], entry))
    critical = next(row["critical_threshold"] for row in pool.kept
                    if (row["modality"], row["vocabulary_lang"]) == ("image", "en"))  # fmt: skip
    steps = sorted({*TS, critical})
    found = rows_of(questions.cumulative_at(db, steps))
    assert [row["t"] for row in found] == [t for t in steps for _ in order]
    for t in steps:
        kept = entry_counts([row for row in pool.matches if row["critical_threshold"] <= t], "image", "en")
        curve = [row for row in found if row["t"] == t]
        assert [row["count"] for row in curve] == [kept[entry] for entry in order]
        assert [row["cumulative"] for row in curve] == [
            sum(kept[entry] for entry in order[: place + 1]) for place in range(len(order))
        ]


def test_head_and_tail_add_up(db: duckdb.DuckDBPyConnection, pool: Pool) -> None:
    for row in rows_of(questions.head_and_tail(db)):
        modality, lang, t = row["modality"], row["lang"], row["t"]
        assert t == pool.thresholds[modality][lang]
        before, after = (entry_counts(rows, modality, lang) for rows in (pool.matches, pool.kept))
        head = {entry for entry, texts in before.items() if texts > t}
        tail = {entry for entry, texts in before.items() if texts < t}
        assert (row["entries_matched"], row["entries_above_t"]) == (len(before), len(head))
        for when, counts in (("before", before), ("after", after)):
            assert row[f"matches_{when}"] == sum(counts.values())
            assert row[f"above_t_{when}"] == sum(counts[entry] for entry in head)
            assert row[f"tail_{when}"] == sum(counts[entry] for entry in tail)


def test_top_entries_have_their_ranks_and_counts(db: duckdb.DuckDBPyConnection, pool: Pool) -> None:
    for modality in ("image", "video"):
        counts = {(lang, entry): texts for lang in pool.vocabularies
                  for entry, texts in entry_counts(pool.matches, modality, lang).items()}  # fmt: skip
        order = sorted(counts, key=lambda key: (-counts[key], *key))[:5]
        found = [row for row in rows_of(questions.top_entries(db, 5)) if row["modality"] == modality]
        assert [(row["lang"], row["entry"], row["before"]) for row in found] == [
            (lang, pool.vocabularies[lang][entry], counts[lang, entry]) for lang, entry in order
        ]
        assert [row["rank_before"] for row in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("most", [1, 2, 10])
def test_matches_per_text(db: duckdb.DuckDBPyConnection, pool: Pool, most: int) -> None:
    texts, kept = (Counter((row["modality"], min(len(row["entry_ids"]), most)) for row in rows)
                   for rows in (pool.matches, pool.kept))  # fmt: skip
    found = rows_of(questions.matches_per_text(db, most))
    assert {(row["modality"], row["matches"]): (row["texts"], row["kept"]) for row in found} == {
        key: (texts[key], kept[key]) for key in texts
    }
    assert [(row["modality"], row["matches"]) for row in found] == sorted(texts)


def kept_at(pool: Pool, thresholds: dict[str, float], modality: str) -> list[Row]:
    return [row for row in pool.matches if row["modality"] == modality
            and row["critical_threshold"] <= thresholds.get(row["vocabulary_lang"], -1)]  # fmt: skip


@pytest.mark.parametrize("modality", ["image", "video"])
def test_sizes_hold_what_would_be_kept(db: duckdb.DuckDBPyConnection, pool: Pool, modality: str) -> None:
    found = rows_of(questions.sizes_at(db, TS, modality))
    assert [(row["lang"], row["t"]) for row in found] == [(lang, t) for lang in ("de", "en") for t in TS]
    for row in found:
        kept = kept_at(pool, {row["lang"]: row["t"]}, modality)
        sizes = {"pairs": len(kept), "media": len({pair["media_id"] for pair in kept})}
        for unit, size in sizes.items():
            assert row[f"{unit}_at_least"] <= size <= row[f"{unit}_at_most"]
            assert row[f"{unit}_at_least"] <= row[unit] <= row[f"{unit}_at_most"]
        if row["t"] == pool.thresholds[modality][row["lang"]]:
            assert row["factor"] == 1.0
            assert (row["pairs"], row["media"]) == (sizes["pairs"], sizes["media"])
    assert rows_of(questions.sizes_at(db, TS, modality, "en")) == [row for row in found if row["lang"] == "en"]


def test_the_other_languages_follow_the_pivot(db: duckdb.DuckDBPyConnection, pool: Pool) -> None:
    counts = {lang: list(entry_counts(pool.matches, "image", lang).values()) for lang in pool.vocabularies}
    for row in rows_of(questions.sizes_following(db, [t for t in TS if t != 3.1], "image")):
        thresholds = thresholds_for(counts, t=row["t"])
        kept = kept_at(pool, thresholds.by_language, "image")
        assert row["pairs_at_least"] <= len(kept) <= row["pairs_at_most"]
        assert math.isclose(row["tail_share"], thresholds.tail_share)
    (now,) = rows_of(questions.sizes_following(db, [3.1], "image"))
    assert now["pairs"] == len([row for row in pool.kept if row["modality"] == "image"])


def test_without_the_pivot_nothing_follows(tmp_path: Path) -> None:
    pool = make_pool(1, languages=("de",))
    publish(tmp_path, pool, make_recipe(pool))
    with connect(tmp_path) as connection:
        assert questions.sizes_following(connection, TS).num_rows == 0
        assert questions.cumulative_counts(connection).num_rows == 0


def test_pooled_counts_decide_what_is_head(pool: Pool, tmp_path: Path) -> None:
    publish(tmp_path, pool, make_recipe(pool, count={"pool_modalities": True}))
    with connect(tmp_path) as connection:
        found = rows_of(questions.head_and_tail(connection))
    for row in found:
        pooled = sum((entry_counts(pool.matches, modality, row["lang"]) for modality in ("image", "video")), Counter())
        own = entry_counts(pool.matches, row["modality"], row["lang"])
        assert row["above_t_before"] == sum(own[entry] for entry in own if pooled[entry] > row["t"])


def _host(url: str | None) -> str | None:
    return None if url is None or "://" not in url else urlsplit(url).hostname


_FACETS = {
    "lang": lambda pair: [pair["lang"] or None],
    "page_host": lambda pair: [_host(pair["page_url"])],
    "media_host": lambda pair: [_host(pair["media_url"])],
    "licence": lambda pair: [pair["licence"]],
    "platform": lambda pair: [pair["platform"]],
    "snapshot": lambda pair: [pair["snapshot"]],
    "text_source": lambda pair: pair["text_sources"],
    "modality": lambda pair: [pair["modality"]],
}


@pytest.mark.parametrize("facet", _FACETS)
@pytest.mark.parametrize("top", [1, 3, 100])
def test_breakdowns_count_every_pair_once_per_value(
    db: duckdb.DuckDBPyConnection, pool: Pool, facet: str, top: int
) -> None:
    counts: dict[Any, Counter[str]] = defaultdict(Counter)
    for pair in pool.pairs:
        for value in _FACETS[facet](pair):
            matched = bool(pair["entry_ids"])
            counts[value].update(pairs=1, matched=matched, kept=matched and pair["kept"])
    order = sorted(counts, key=lambda value: (-counts[value]["pairs"], value is None, value or ""))
    found = rows_of(questions.breakdown(db, facet, top))
    assert [row["value"] for row in found if not row["others"]] == order[:top]
    for row in found:
        values = order[top:] if row["others"] else [row["value"]]
        for step in ("pairs", "matched", "kept"):
            assert row[step] == sum(counts[value][step] for value in values)
        assert row["samples"] is None  # there is no manifest
    assert [row["others"] for row in found if row["others"]] == ([len(order) - top] if len(order) > top else [])


def test_what_cannot_be_asked_is_said(db: duckdb.DuckDBPyConnection) -> None:
    for ask, words in (
        (lambda: questions.cumulative_counts(db, "picture"), "'picture': choose one of image, video, audio"),
        (lambda: questions.cumulative_counts(db, points=1), "points is 1: give a whole number from 2"),
        (lambda: questions.top_entries(db, 0), "number is 0"),
        (lambda: questions.top_entries(db, 10**9), "to 10,000"),
        (lambda: questions.sizes_at(db, []), "give one at least"),
        (lambda: questions.sizes_at(db, [0.5]), "at least 1"),
        (lambda: questions.sizes_at(db, [math.nan]), "at least 1"),
        (lambda: questions.sizes_at(db, [2], lang="xx"), "lang is 'xx': choose one of de, en"),
        (lambda: questions.breakdown(db, "colour"), "facet is 'colour': choose one of lang, page_host"),
        (lambda: questions.breakdown(db, "lang", True), "top is True"),
    ):
        with pytest.raises(InputError, match=words):
            ask()


def test_a_dataset_that_is_not_there_is_said(pool: Pool, tmp_path: Path) -> None:
    publish(tmp_path, pool, make_recipe(pool), until="match")
    with connect(tmp_path) as connection:
        with pytest.raises(WorkFolderError, match=r"reads entry_counts and kept_counts, .* finish `curation run`"):
            questions.head_and_tail(connection)
        with pytest.raises(WorkFolderError, match="reads manifest"):
            questions.by_language(connection)
        with pytest.raises(WorkFolderError, match="reads media"):
            questions.link_rot(connection)


def test_answers_do_not_depend_on_threads(pool: Pool, tmp_path: Path) -> None:
    publish(tmp_path, pool, make_recipe(pool))
    answers = []
    for threads in (1, 4):
        with connect(tmp_path, threads=threads) as connection:
            answers.append([questions.cumulative_counts(connection), questions.breakdown(connection, "page_host", 5),
                            questions.top_entries(connection, 7), questions.sizes_at(connection, TS)])  # fmt: skip
    assert answers[0] == answers[1]
