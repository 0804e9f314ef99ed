"""The card as a document: where it lies, when it is written anew, and what it says of settings and of other runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from card_pools import Pool, Row, make_pool, make_recipe, publish

from curation.errors import StaleDatasetError, WorkFolderError
from curation.inspect.card import build_card, recipe_hash, write_card
from curation.inspect.card_text import card_markdown
from curation.inspect.card_words import target_words, threshold_words


@pytest.fixture
def pool() -> Pool:
    return make_pool(1, modalities=("image", "video"))


def without_run(card: Row) -> bytes:
    return json.dumps({key: value for key, value in card.items() if key != "run"}).encode()


def test_the_card_lies_in_the_work_folder(tmp_path: Path, pool: Pool) -> None:
    recipe = make_recipe(pool)
    card = write_card(publish(tmp_path, pool, recipe), recipe)
    assert json.loads((tmp_path / "card.json").read_text()) == card
    assert (tmp_path / "card.md").read_text() == card_markdown(card)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_the_same_run_gives_the_same_bytes_outside_the_run_section(tmp_path: Path, pool: Pool) -> None:
    recipe = make_recipe(pool)
    first = build_card(publish(tmp_path / "a", pool, recipe), recipe)
    second = build_card(publish(tmp_path / "b", pool, recipe), recipe)
    assert without_run(first) == without_run(second)
    assert first["run"]["work"] != second["run"]["work"]
    one, two = (card_markdown(card).split("## This run")[0] for card in (first, second))
    assert one == two


def test_an_unchanged_run_keeps_its_card_and_a_changed_one_does_not(tmp_path: Path, pool: Pool) -> None:
    recipe = make_recipe(pool)
    catalog = publish(tmp_path, pool, recipe)
    first = write_card(catalog, recipe)
    before = (tmp_path / "card.json").stat().st_mtime_ns
    assert write_card(catalog, recipe) == first
    assert (tmp_path / "card.json").stat().st_mtime_ns == before
    assert len(write_card(catalog, make_recipe(pool, card={"top_entries": 3}))["top_entries"]) == 6
    assert write_card(catalog, make_recipe(pool, name="other"))["recipe"]["name"] == "other"
    manifest = catalog.visible("balance")
    catalog.publish(replace(manifest, version="v-later"))
    assert write_card(catalog, recipe)["versions"]["datasets"]["kept_pairs"]["version"] == "v-later"


def test_a_broken_card_is_written_anew(tmp_path: Path, pool: Pool) -> None:
    recipe = make_recipe(pool)
    catalog = publish(tmp_path, pool, recipe)
    for content in ("[]", "{}", '{"run": null}', "{ torn"):
        (tmp_path / "card.json").write_text(content)
        card = write_card(catalog, recipe)
        assert json.loads((tmp_path / "card.json").read_text()) == card


def test_an_unfinished_or_outdated_run_has_no_card(tmp_path: Path, pool: Pool) -> None:
    recipe = make_recipe(pool)
    catalog = publish(tmp_path, pool, recipe, until="draw")
    with pytest.raises(WorkFolderError, match="no balance yet"):
        write_card(catalog, recipe)
    catalog = publish(tmp_path, pool, recipe)
    catalog.publish(replace(catalog.visible("pairs"), version="v-later"))
    with pytest.raises(StaleDatasetError):
        write_card(catalog, recipe)
    assert not (tmp_path / "card.json").exists()


def test_the_recipe_hash_changes_with_the_result_only(pool: Pool) -> None:
    base = recipe_hash(make_recipe(pool))
    assert base == recipe_hash(make_recipe(pool, runtime={"driver_memory": "9g"}, card={"top_entries": 1}))
    for other in ({"draw": {"seed": 1}}, {"balance": {"t": 20.0}}, {"pairs": {"media_buckets": 3}}):
        assert recipe_hash(make_recipe(pool, **other)) != base


def test_settings_of_the_folder_that_are_not_the_recipes_are_noted(tmp_path: Path, pool: Pool) -> None:
    catalog = publish(tmp_path, pool, make_recipe(pool, balance={"t": 20.0}))
    notes = build_card(catalog, make_recipe(pool, balance={"t": 30.0}, extract={"limit_archives": 2}))["notes"]
    assert notes == [
        "a <note>",
        "1 of 2 input files were missing: see rejections",
        "only the first 2 input files were read (extract.limit_archives)",
        "balance was made with another setting than this recipe's: t: 20 -> 30",
    ]


def words(tmp_path: Path, pool: Pool, **balance: Any) -> list[str]:
    recipe = make_recipe(pool, balance=balance)
    card = build_card(publish(tmp_path, pool, recipe), recipe)
    return [
        *(threshold_words(card, modality) for modality in sorted(pool.thresholds)),
        *(target_words(target) for target in card["thresholds"]["targets"]),
    ]


def test_how_thresholds_came_about(tmp_path: Path, pool: Pool) -> None:
    tail = "from a tail share of 6.0% in every language (nearest count)"
    given = "given for en; other languages follow its tail share of 6.0%"
    assert words(tmp_path / "default", pool) == [tail, tail]
    assert words(tmp_path / "share", pool, tail_share=0.06) == [tail, tail]
    assert words(tmp_path / "t", pool, t=20.0) == [f"t = 20 {given}", f"t = 20 {given}"]
    assert words(tmp_path / "each", pool, t={"video": 20.0}) == [tail, f"t = 20 {given}"]


def test_one_language_follows_no_other(tmp_path: Path) -> None:
    pool = make_pool(1, languages=("en",))
    assert words(tmp_path / "t", pool, t=20.0) == ["t = 20 given for en, a tail share of 6.0%"]
    assert words(tmp_path / "share", pool, other_languages="interpolated") == [
        "from a tail share of 6.0% (between the nearest counts)"
    ]


def test_what_became_of_a_target(tmp_path: Path, pool: Pool) -> None:
    kept = len(pool.kept)
    report = {
        "unit": "pairs",
        "wanted": 1000,
        "survival": 1.0,
        "wanted_before_losses": 1000,
        "expected": kept,
        "reachable_below": kept,
        "reachable_above": 1010,
    }
    pool.context = {"target": {"all": report}}
    solved = "solved for the target, at a tail share of 6.0%"
    assert words(tmp_path / "all", pool, target={"pairs": 1000}) == [
        solved,
        solved,
        f"1,000 pairs wanted, {kept} kept; nearest reachable sizes: {kept} and 1,010",
    ]
    report = {**report, "reachable_above": kept}
    pool.context = {"target": {"all": report}}
    assert words(tmp_path / "far", pool, target={"pairs": 1000})[2] == (
        f"1,000 pairs wanted, {kept} kept; nearest reachable size: {kept}"
    )
    videos = len({row["media_id"] for row in pool.kept if row["modality"] == "video"})
    report = {**report, "unit": "media", "wanted": videos // 2, "survival": 0.5, "wanted_before_losses": videos}
    pool.context = {"target": {"video": report}}
    assert words(tmp_path / "video", pool, target={"video": {"media": videos // 2, "survival": 0.5}})[1:] == [
        solved,
        f"{videos // 2} video media wanted after losses ({videos} before, 50.0% survive), {videos} kept",
    ]
