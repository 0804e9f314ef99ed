"""Top-up: the target is reached after losses, by pairs that were not kept before, and nothing is fetched twice."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lossy import Duplicates, Fetch, build_pool, pool_recipe, rows_of, run, stages, unlucky

from curation.errors import RecipeError, StageError
from curation.recipe import Recipe
from curation.runner.run import Run
from curation.runner.stage import Stage
from curation.stages.thresholds import TOP_UP
from curation.storage import Store
from curation.top_up import Size, Sizes, TopUp, measured, top_up


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    build_pool(folder, 6000)
    return folder


class Once:
    """One run after the other on a work folder; what was kept each time."""

    def __init__(self, folder: Path, recipe: Recipe, way: tuple[Stage, ...]) -> None:
        self.folder, self.recipe, self.way = folder, recipe, way
        self.kept: list[set[str]] = []

    def __call__(self) -> Sizes:
        self.made: Run = run(self.folder, self.recipe, self.way)
        self.kept.append({row["pair_id"] for row in rows_of(self.made, "kept_pairs")})
        return measured(self.made.catalog, self.recipe)

    def top_up(self, **options: Any) -> TopUp:
        return top_up(self, Store.at(self.folder), self.recipe, **options)

    def notes(self, stage: str = "balance") -> list[str]:
        return list(self.made.catalog.visible(stage).context["notes"])


@pytest.mark.parametrize("unit", ["pairs", "media"])
def test_a_target_is_reached_under_losses_and_nothing_taken_twice(pool: Path, unit: str) -> None:
    target = {unit: 800, "survival": 0.8}
    recipe = pool_recipe(pool, balance={"target": target}, rebalance={"target": {unit: 800}})
    once = Once(pool / "work", recipe, stages(Fetch(unlucky(0.4), "lossy")))
    done = once.top_up()
    assert done.reached
    assert 1 <= len(done.history) - 1 <= 3
    assert all(before < after for before, after in pairwise(once.kept))
    final = rows_of(once.made, "final_pairs")
    size = len(final) if unit == "pairs" else len({row["text_media_id"] for row in final})
    assert size == 800 == done.sizes["all"].final  # cut to the target exactly
    assert done.history[0]["all"].final < 600 / 0.8
    (line,) = done.lines()
    assert "800 of 800 wanted" in line
    assert "reached after" in line
    assert any(note.startswith("topped up (all): survival 0.5") and "0.8 expected" in note for note in once.notes())


@pytest.mark.slow
def test_a_topped_up_folder_stays_as_it_is_until_the_target_changes(pool: Path) -> None:
    way = stages(Fetch(unlucky(0.4), "lossy"))
    recipe = pool_recipe(pool, balance={"target": {"pairs": 500}})
    assert Once(pool / "work", recipe, way).top_up().reached
    again = Once(pool / "work", recipe, way)
    assert len(again.top_up().history) == 1
    assert again.top_up().lines()[0].endswith("no top-up was needed")
    other = Once(pool / "work", pool_recipe(pool, balance={"target": {"pairs": 501}}), way)
    assert other()["all"].kept == pytest.approx(501, rel=0.002)
    assert not any("topped up" in note for note in other.notes())
    back = Once(pool / "work", recipe, way)
    back()
    assert back.kept == again.kept[:1]
    version = back.made.catalog.visible("balance").version
    Store.at(pool / "work").remove(TOP_UP)
    back()
    assert back.made.catalog.visible("balance").version != version


def test_the_nearest_size_that_rebalance_can_cut_to_is_enough(pool: Path) -> None:
    recipe = pool_recipe(
        pool, balance={"target": {"pairs": 2900, "survival": 0.7}}, rebalance={"target": {"pairs": 2900}}
    )
    done = Once(pool / "work", recipe, stages(Fetch(unlucky(0.2), "less"))).top_up()
    assert done.reached
    assert len(done.history) == 1
    assert abs(2900 - done.sizes["all"].final) <= 0.001 * 2900


def test_with_copies_too(pool: Path) -> None:
    """Copies among what is fetched: their share grows with the selection."""
    copies = Duplicates(lambda media_id: str(int(media_id[:6], 16) % 2000), "many")
    recipe = pool_recipe(pool, balance={"target": {"pairs": 350}})
    once = Once(pool / "work", recipe, stages(Fetch(unlucky(0.2), "lossy"), copies))
    done = once.top_up()
    assert done.reached
    assert all(before < after for before, after in pairwise(once.kept))


def test_an_exhausted_pool_is_told(pool: Path) -> None:
    recipe = pool_recipe(pool, balance={"target": {"pairs": 4000}})
    once = Once(pool / "work", recipe, stages(Fetch(unlucky(0.4), "lossy")))
    done = once.top_up()
    assert not done.reached
    assert [sizes["all"].is_all for sizes in done.history] == [False] * (len(done.history) - 1) + [True]
    assert once.kept[-1] == {row["pair_id"] for row in rows_of(once.made, "matches")}
    assert "the pool is exhausted" in done.lines()[0]
    assert any("cannot be reached" in note for note in once.notes())


def test_one_target_per_modality(pool: Path) -> None:
    targets = {"image": {"pairs": 400}, "video": {"pairs": 10}}
    recipe = pool_recipe(pool, balance={"target": targets})
    lines = [f"https://tv.example/{n}.mp4,{n} conaa conab" for n in range(50)]
    (pool / "videos.csv").write_text("\n".join(["url,caption", *lines]))
    videos = recipe.inputs[0].model_copy(update={"paths": [str(pool / "videos.csv")], "modality": "video"})
    recipe = recipe.model_copy(update={"inputs": [*recipe.inputs, videos]})
    once = Once(pool / "both", recipe, stages(Fetch(unlucky(0.3), "lossy")))
    done = once.top_up()
    assert done.reached
    assert list(done.sizes) == ["image"]
    assert any(note.startswith("topped up (image)") for note in once.notes())


def test_recipes_without_a_size_to_reach_are_refused(pool: Path, tmp_path: Path) -> None:
    for sections, told in (
        ({}, r"give balance\.target"),
        ({"balance": {"target": {"pairs": 5}}, "fetch": None}, "add the section fetch"),
        ({"balance": {"target": {"pairs": 5}}, "rebalance": {"t": 5}}, "rebalance"),
        ({"balance": {"target": {"pairs": 5}}, "rebalance": {"target": {"pairs": 6}}}, "same size"),
        ({"balance": {"target": {"pairs": 5}}, "rebalance": {"target": {"image": {"pairs": 5}}}}, "same size"),
    ):
        once = Once(tmp_path, pool_recipe(pool, **sections), ())
        with pytest.raises(RecipeError, match=told):
            once.top_up()


def test_where_nothing_survives_more_is_no_help(pool: Path) -> None:
    recipe = pool_recipe(pool, balance={"target": {"pairs": 555}})
    with pytest.raises(StageError, match="none is left"):
        Once(pool / "work", recipe, stages(Fetch(lambda media_id: "dns", "dead"))).top_up()


def test_a_round_that_finds_nothing_does_not_ask_for_the_whole_web(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    target = {"pairs": 100_000}
    recipe = pool_recipe(tmp_path, balance={"target": target})
    kept: list[int] = []

    def once() -> Sizes:
        known = store.read_json(TOP_UP)
        kept.append(round(100_000 / known["survival"]["all"]) if known else 100_000)
        return {"all": Size(100_000, kept[-1], 50_000, False)}

    done = top_up(once, store, recipe)
    assert not done.reached
    assert len(kept) == 4
    assert "run the same command again" in done.lines()[0]
    for before, after in pairwise(kept):  # 50,000 are missing; of all that was kept 50,000 are left
        assert before < after < before + 4.2 * 50_000 * before / 50_000


@given(st.integers(1, 10**7), st.floats(0.05, 1), st.floats(0.3, 1), st.floats(0.05, 1), st.integers(0, 2**30))
def test_sizes_only_rise_and_stay_near_what_is_needed(
    wanted: int, survives: float, steeper: float, expected: float, seed: int
) -> None:
    """Binomial losses, the later pairs losing more: three rounds get there or nearly, and ask for little too much."""
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "inputs": [{"kind": "wat", "paths": ["x"]}],
            "match": {"vocabularies": {"en": "x"}},
            "balance": {"target": {"pairs": wanted, "survival": expected}},
            "fetch": {},
        }
    )
    generator = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        sizes: list[Size] = []

        def once() -> Sizes:
            known = store.read_json(TOP_UP)
            kept = round(wanted / (known["survival"]["all"] if known else expected))
            before, left = (sizes[-1].kept, sizes[-1].final) if sizes else (0, 0)
            chance = survives * (steeper if sizes else 1)
            sizes.append(Size(wanted, kept, left + int(generator.binomial(kept - before, chance)), False))
            return {"all": sizes[-1]}

        try:
            top_up(once, store, recipe)
        except StageError:
            assert sizes[-1].final == 0
            return
    assert all(before.kept < after.kept for before, after in pairwise(sizes))
    assert sizes[-1].reached or sizes[-1].final > 0.99 * wanted or wanted < 1000
    if len(sizes) > 1:
        needed = sizes[0].kept + (wanted - sizes[0].final) / (survives * steeper)
        assert sizes[-1].kept < needed * 1.05 + 40 / survives / steeper + 8 * needed**0.5 / (survives * steeper)
