"""Every number of the card equals the one counted in plain Python from the rows that were written."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from card_pools import Pool, Row, entry_rows, make_pool, make_recipe, publish
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import thresholds_for
from curation.inspect.card import build_card
from curation.inspect.card_tables import TOP_VALUES

pools = st.builds(
    make_pool,
    st.integers(0, 10**6),
    media=st.integers(1, 150),
    languages=st.sampled_from([("en",), ("de",), ("en", "de", "zh")]),
    modalities=st.sampled_from([("image",), ("image", "video"), ("image", "video", "audio")]),
)


def card_of(pool: Pool, **sections: Any) -> Row:
    recipe = make_recipe(pool, **sections)
    with tempfile.TemporaryDirectory() as folder:
        return build_card(publish(folder, pool, recipe), recipe)


@settings(max_examples=8, deadline=None)
@given(pools)
@pytest.mark.slow
def test_every_number_is_the_counted_one(pool: Pool) -> None:
    card = card_of(pool)
    check_funnel(pool, card)
    check_matching(pool, card)
    check_balance(pool, card)
    check_sizes(pool, card)
    check_top_entries(pool, card)
    for facet, values in FACETS.items():
        check_breakdown(pool, card["breakdowns"][facet], values)
    check_what_a_step_does_not_carry(card)
    check_filters(pool, card)


def check_filters(pool: Pool, card: Row) -> None:
    assert card["filters"]["refused"] == {
        name.removeprefix("filtered:"): lost
        for name, lost in pool.dropped.items()
        if name.startswith("filtered:") and name not in ("filtered:min_chars", "filtered:language")
    }
    assert card["filters"]["consent"]["scope"] == "media"
    assert card["filters"]["site_rules"] == 0


def check_funnel(pool: Pool, card: Row) -> None:
    steps = card["funnel"]
    assert [step["step"] for step in steps] == ["texts", "candidates", "pairs", "matches", "kept_pairs"]
    assert [step["rows"] for step in steps] == [
        len(pool.candidates) + 10,
        *(len(rows) for rows in (pool.candidates, pool.pairs, pool.matches, pool.kept)),
    ]
    assert [step["media"] for step in steps] == [
        None,
        None,
        *(len({row["media_id"] for row in rows}) for rows in (pool.pairs, pool.matches, pool.kept)),
    ]
    for before, step in pairwise(steps):
        assert before["rows"] == step["rows"] + sum(step["left_out"].values())
    found = {reason: lost for step in steps for reason, lost in step["left_out"].items()}
    counted = {
        "skipped:bad_url": 4,
        "skipped:not_http": 4,
        "rejected_texts": 2,
        "duplicates": sum(row["occurrences"] - 1 for row in pool.pairs),
        **pool.dropped,
        "other_source": sum(row["other_source"] for row in pool.pairs),
        "no_vocabulary": sum(row["lang"] not in pool.vocabularies and not row["other_source"] for row in pool.pairs),
        "unmatched": sum(row["vocabulary_lang"] is not None and not row["entry_ids"] for row in pool.pairs),
        "not_picked": sum(not row["picked"] for row in pool.matches),
        "not_drawn": sum(row["picked"] and not row["kept"] for row in pool.matches),
    }
    assert found == {reason: lost for reason, lost in counted.items() if lost}
    assert card["rejections"] == [
        {"stage": "extract", "reason": "broken_gzip", "rejected": 1},
        {"stage": "pairs", "reason": "placeholder", "rejected": 1},
    ]
    assert card["inputs"] == {
        "files": 2,
        "missing": 1,
        "size_bytes": 2000,
        "by_kind": [{"kind": "wat", "files": 2, "size_bytes": 2000}],
    }


def check_matching(pool: Pool, card: Row) -> None:
    matching = card["matching"]
    occurrences = sum(len(row["entry_ids"]) for row in pool.matches)
    assert matching["entry_matches"] == occurrences
    assert matching["matched_share"] == len(pool.matches) / len(pool.pairs)
    assert matching["matches_per_text"] == (occurrences / len(pool.matches) if pool.matches else None)
    for row in matching["vocabularies"]:
        found = {
            entry for pair in pool.matches if pair["vocabulary_lang"] == row["lang"] for entry in pair["entry_ids"]
        }
        assert row["never_matched"] == 48 - len(found)
        assert row["never_matched_share"] == (48 - len(found)) / 48


def check_balance(pool: Pool, card: Row, *, pooled: bool = False) -> None:
    keys = sorted((modality, lang) for modality, of_lang in pool.thresholds.items() for lang in of_lang)
    assert [(row["modality"], row["lang"]) for row in card["balance"]] == keys
    for row in card["balance"]:
        key = row["modality"], row["lang"]
        t = pool.thresholds[key[0]][key[1]]
        matches = [pair for pair in pool.matches if (pair["modality"], pair["vocabulary_lang"]) == key]
        kept = [pair for pair in matches if pair["kept"]]
        decisive = Counter(
            entry
            for pair in pool.matches
            for entry in pair["entry_ids"]
            if pair["vocabulary_lang"] == key[1] and (pooled or pair["modality"] == key[0])
        )
        before, after = (Counter(entry for pair in rows for entry in pair["entry_ids"]) for rows in (matches, kept))
        assert row["t"] == t
        assert row["entries_matched"] == len(before)
        assert row["entries_above_t"] == sum(decisive[entry] > t for entry in before)
        assert row["entries_above_t_share"] == row["entries_above_t"] / 48
        for when, counts in (("before", before), ("after", after)):
            head = sum(texts for entry, texts in counts.items() if decisive[entry] > t)
            tail = sum(texts for entry, texts in counts.items() if decisive[entry] < t)
            total = sum(counts.values())
            assert (row[f"matches_{when}"], row[f"above_t_{when}"], row[f"tail_{when}"]) == (total, head, tail)
            assert row[f"above_t_share_{when}"] == (head / total if total else None)
            assert row[f"tail_share_{when}"] == (tail / total if total else None)
        for name, rows in (("matched", matches), ("kept", kept)):
            assert row[f"{name}_pairs"] == len(rows)
            assert row[f"{name}_media"] == len({pair["media_id"] for pair in rows})
        assert row["kept_share"] == (len(kept) / len(matches) if matches else None)


def check_sizes(pool: Pool, card: Row) -> None:
    for row in card["sizes"]["by_language"]:
        matches = [
            pair
            for pair in pool.matches
            if (pair["modality"], pair["vocabulary_lang"]) == (row["modality"], row["lang"])
        ]
        within = [pair for pair in matches if pair["critical_threshold"] <= row["t"]]
        for unit, size in (("pairs", len(within)), ("media", len({pair["media_id"] for pair in within}))):
            assert row[f"{unit}_at_least"] <= size <= row[f"{unit}_at_most"]
            assert row[f"{unit}_at_least"] <= row[unit] <= row[f"{unit}_at_most"]
            if row["factor"] == 1:
                assert row[unit] == row[f"{unit}_at_least"] == row[f"{unit}_at_most"] == size
    for row in card["sizes"]["whole"]:
        check_whole(pool, row)
    expected = {
        modality
        for modality in pool.thresholds
        if "en" in pool.vocabularies
        and any(pair["modality"] == modality and pair["vocabulary_lang"] == "en" for pair in pool.matches)
    }
    assert {row["modality"] for row in card["sizes"]["whole"]} == expected


def check_whole(pool: Pool, row: Row) -> None:
    matches = [pair for pair in pool.matches if pair["modality"] == row["modality"]]
    if row["factor"] == 1:
        assert row["pairs"] == sum(pair["kept"] for pair in matches)
        return
    counts = {lang: [0] * 48 for lang in {pair["vocabulary_lang"] for pair in matches}}
    for found in entry_rows(matches):
        counts[found["vocabulary_lang"]][found["entry_id"]] = found["texts"]
    thresholds = thresholds_for(counts, pivot="en", t=row["t"])
    assert row["tail_share"] == thresholds.tail_share
    size = sum(pair["critical_threshold"] <= thresholds.by_language[pair["vocabulary_lang"]] for pair in matches)
    assert row["pairs_at_least"] <= size <= row["pairs_at_most"]


def check_top_entries(pool: Pool, card: Row) -> None:
    after = Counter(
        {(row["modality"], row["vocabulary_lang"], row["entry_id"]): row["texts"] for row in entry_rows(pool.kept)}
    )
    expected = []
    for modality in sorted(pool.thresholds):
        rows = [row for row in entry_rows(pool.matches) if row["modality"] == modality]
        rows.sort(key=lambda row: (-row["texts"], row["vocabulary_lang"], row["entry_id"]))
        expected += [
            (
                modality,
                row["vocabulary_lang"],
                pool.vocabularies[row["vocabulary_lang"]][row["entry_id"]],
                row["texts"],
                after[modality, row["vocabulary_lang"], row["entry_id"]],
            )
            for row in rows[:50]
        ]
    assert [
        (row["modality"], row["lang"], row["entry"], row["before"], row["after"]) for row in card["top_entries"]
    ] == expected
    for row in card["top_entries"]:
        assert (row["rank_after"] is None) == (row["after"] == 0)


def host_of(row: Row) -> str | None:
    return urlsplit(row["page_url"]).hostname if row["page_url"] else None


FACETS: dict[str, Any] = {
    "lang": lambda row: [row["lang"]] if "lang" in row else [],
    "modality": lambda row: [row["modality"]],
    "text_source": lambda row: [
        (row["modality"], source) for source in row.get("text_sources", [row.get("text_source")])
    ],
    "page_lang": lambda row: [] if "text_sources" in row else [row["page_lang"] and row["page_lang"].lower()],
    "platform": lambda row: [row["platform"]],
    "licence": lambda row: [row["licence"]],
    "page_host": lambda row: [host_of(row)],
    "snapshot": lambda row: [row["snapshot"]],
}


def check_breakdown(pool: Pool, found: Row, values: Any) -> None:
    steps = ("candidates", "pairs", "matched", "kept")
    counted = {
        step: Counter(value for row in rows for value in values(row))
        for step, rows in zip(steps, (pool.candidates, pool.pairs, pool.matches, pool.kept), strict=True)
    }
    expected = {value: tuple(counted[step][value] for step in steps) for value in set().union(*counted.values())}
    listed = {
        (row["modality"], row["value"]) if "modality" in row else row["value"]: tuple(row[step] or 0 for step in steps)
        for row in found["values"]
    }
    assert listed == {value: expected[value] for value in listed}
    order = [(row.get("modality", ""), -(row["pairs"] or 0)) for row in found["values"]]
    assert order == sorted(order)
    rest = [counts for value, counts in expected.items() if value not in listed]
    if not rest:
        assert found["others"] is None
        return
    assert len(listed) == TOP_VALUES
    others = found["others"]
    assert others["values"] == len(rest)
    assert tuple(others[step] or 0 for step in steps) == tuple(map(sum, zip(*rest, strict=True)))
    assert max(counts[1] for counts in rest) <= min(counts[1] for counts in listed.values())


def check_what_a_step_does_not_carry(card: Row) -> None:
    assert {row["candidates"] for row in card["breakdowns"]["lang"]["values"]} <= {None}
    assert {row[step] for row in card["breakdowns"]["page_lang"]["values"] for step in ("pairs", "kept")} <= {None}


def test_inside_a_bin_sizes_are_bounds() -> None:
    pool = make_pool(2, languages=("en",), thresholds={"image": {"en": 5.0}})
    for pair in pool.matches:  # 10.05 and 10.09 lie in one bin, of which t = 10.06 keeps a part
        pair["critical_threshold"] = 10.05
        pair["picked"] = True
    pool.matches[0]["critical_threshold"] = 10.09
    pool.thresholds["image"]["en"] = 5.03
    row = next(row for row in card_of(pool)["sizes"]["by_language"] if row["factor"] == 2)
    assert (row["pairs_at_least"], row["pairs_at_most"]) == (0, len(pool.matches))
    assert 0 < row["pairs"] < len(pool.matches)


def test_pooled_counts_decide_what_is_head() -> None:
    pool = make_pool(
        3,
        modalities=("image", "video"),
        thresholds={"image": {"en": 15.0, "de": 15.0}, "video": {"en": 15.0, "de": 15.0}},
    )
    pooled = card_of(pool, count={"pool_modalities": True})
    check_balance(pool, pooled, pooled=True)
    apart = card_of(pool)
    check_balance(pool, apart)
    assert sum(row["entries_above_t"] for row in pooled["balance"]) > sum(
        row["entries_above_t"] for row in apart["balance"]
    )
    assert pooled["thresholds"]["pool_modalities"]


def test_buckets_are_joined_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool(4, modalities=("image", "video"))
    whole = card_of(pool)
    monkeypatch.setattr("curation.inspect.card_tables.CHUNK_ROWS", 1)
    parts = card_of(pool)
    assert {key: whole[key] for key in whole if key != "run"} == {key: parts[key] for key in parts if key != "run"}


def test_a_pool_without_rows_has_a_card() -> None:
    pool = Pool({"en": ["cat"]}, {})
    card = card_of(pool)
    assert [step["rows"] for step in card["funnel"]] == [10, 0, 0, 0, 0]
    assert card["matching"]["matched_share"] is None
    assert card["matching"]["vocabularies"][0]["never_matched_share"] == 1
    assert card["balance"] == card["top_entries"] == card["sizes"]["by_language"] == card["sizes"]["whole"] == []
    assert all(not found["values"] and found["others"] is None for found in card["breakdowns"].values())
    assert all(row["ours"] is None or row["figure"] == "entries never matched" for row in card["published"])


def test_a_language_with_a_threshold_but_no_match_is_listed() -> None:
    pool = make_pool(5, languages=("en",))
    pool.vocabularies["fr"] = ["chat"] * 48
    pool.thresholds["image"]["fr"] = 1.0
    row = next(row for row in card_of(pool)["balance"] if row["lang"] == "fr")
    assert (row["t"], row["matched_pairs"], row["matches_before"], row["kept_share"]) == (1.0, 0, 0, None)


def test_figures_beside_the_published_ones_are_those_of_english_images() -> None:
    pool = make_pool(6, modalities=("image", "video"))
    card = card_of(pool)
    ours = {row["figure"]: row["ours"] for row in card["published"]}
    english = [row for row in pool.pairs if row["lang"] == "en"]
    images = [row for row in pool.matches if (row["modality"], row["lang"]) == ("image", "en")]
    assert ours["English texts that match"] == sum(bool(row["entry_ids"]) for row in english) / len(english)
    assert ours["matches per matched text"] == sum(len(row["entry_ids"]) for row in images) / len(images)
    assert ours["matched pairs kept"] == sum(row["kept"] for row in images) / len(images)
