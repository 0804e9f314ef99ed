"""After losses: who survives, what the pool would count, and who stays; recomputed here in plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lossy import Duplicates, Fetch, Rows, build_pool, pool_recipe, rows_of, run, stages, unlucky

from curation.balance import SALTS, uniforms
from curation.errors import BalanceError, ConservationError, RecipeError, StageError
from curation.recipe import Recipe, load_recipe
from curation.runner.run import Run
from curation.stages import survive
from curation.stages.rebalance import clamped_shares
from curation.testing import build_web

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
LOST = unlucky(0.4)
Key = tuple[str, str, int]


def paired(media_id: str) -> str | None:
    """A tenth of the media, in clusters of a few."""
    number = int(media_id[:6], 16)
    return str(number % 200) if number % 10 == 0 else None


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    build_pool(folder, 8000)
    return folder


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    build_web(folder / "web", pages=300)
    return folder


def of_pool(pool: Path, **sections: Any) -> Run:
    way = stages(Fetch(LOST, "lossy"), Duplicates(paired, "paired"))
    return run(pool / "work", pool_recipe(pool, **sections), way)


def of_web(web: Path, *overrides: str) -> Run:
    inputs = f"inputs=[{{kind: wat, paths: ['{web / 'web'}']}}]"
    without = ("balance.tail_share=null", "fetch={}", "clips=null")
    recipe = load_recipe(RECIPES / "demo.yaml", [inputs, *without, *overrides])
    return run(web / "work", recipe, stages(Fetch(unlucky(0.2), "lossy"), Duplicates(paired, "paired")))


def counted(rows: Rows) -> Counter[Key]:
    return Counter((row["modality"], row["vocabulary_lang"], entry) for row in rows for entry in row["entry_ids"])


def weighted(rows: Rows) -> dict[Key, float]:
    total: dict[Key, float] = defaultdict(float)
    for row in rows:
        for entry in row["entry_ids"]:
            total[row["modality"], row["vocabulary_lang"], entry] += 1 / row["keep_before"]
    return total


def after_losses(made: Run) -> dict[Key, float]:
    """The definition: an entry's texts in the pool times the share of them that survived, by what was kept."""
    survivors = weighted(rows_of(made, "survivors"))
    fetched = {row["modality"] for row in rows_of(made, "media")}
    kept = [
        {**row, "keep_before": row["keep_probability"]}
        for row in rows_of(made, "kept_pairs")
        if row["modality"] in fetched
    ]
    before, pool = weighted(kept), counted(rows_of(made, "matches"))
    return {key: pool[key] * weight / before[key] for key, weight in survivors.items()}


def keep(row: dict[str, Any], counts: Any, t: float) -> float:
    own = [counts[row["modality"], row["vocabulary_lang"], entry] for entry in row["entry_ids"]]
    return 1 - math.prod(1 - min(1.0, t / count) for count in own)


def draws(rows: Rows, seed: int) -> dict[str, float]:
    ids = [row["pair_id"] for row in rows]
    return dict(zip(ids, uniforms(pa.array(ids, pa.string()), seed, SALTS["draw"]).tolist(), strict=True))


@pytest.mark.parametrize("texts", ["best", "all"])
def test_survivors_are_what_fetch_and_duplicates_leave(pool: Path, texts: str) -> None:
    made = of_pool(pool, balance={"t": 60}, duplicates={"texts": texts})
    kept, copies = rows_of(made, "kept_pairs"), {row["media_id"]: row for row in rows_of(made, "duplicates")}
    expected = {}
    for row in kept:
        copy = copies.get(row["media_id"])
        if LOST(row["media_id"]) or (texts == "best" and copy and copy["kept_pair_id"] != row["pair_id"]):
            continue
        expected[row["pair_id"]] = copy["kept_media_id"] if copy else row["media_id"]
    found = rows_of(made, "survivors")
    assert {row["pair_id"]: row["kept_media_id"] for row in found} == expected
    assert [row["pair_id"] for row in found] == [row["pair_id"] for row in kept if row["pair_id"] in expected]
    before = {row["pair_id"]: row["keep_probability"] for row in kept}
    assert all(row["keep_before"] == before[row["pair_id"]] for row in found)
    counts = made.catalog.visible("survive").counts
    media = {row["media_id"] for row in kept}
    ok = {media_id for media_id in media if not LOST(media_id)}
    assert counts["lost:dns"] == sum(row["media_id"] not in ok for row in kept) > 0
    assert counts["duplicate_pairs"] == len(kept) - counts["lost:dns"] - len(expected)
    assert (counts["media_wanted"], counts["media_ok"], counts["media_lost"]) == (
        len(media),
        len(ok),
        len(media) - len(ok),
    )
    assert counts["media_duplicate"] == sum(media_id != row["kept_media_id"] for media_id, row in copies.items()) > 0


def test_weights_are_sums_over_survivors(pool: Path) -> None:
    made = of_pool(pool, balance={"t": 60})
    survivors, texts, weights = rows_of(made, "survivors"), Counter[Key](), defaultdict[Key, float](float)
    for row in rows_of(made, "survivor_counts"):
        key = row["modality"], row["vocabulary_lang"], row["entry_id"]
        texts[key] += row["texts"]
        weights[key] += row["weight"]
    assert texts == counted(survivors)
    assert weights == pytest.approx(weighted(survivors))


@pytest.mark.parametrize(
    "rebalance", [{"t": 20}, {"t": 7.5}, {"tail_share": 0.02}, {"target": {"pairs": 900}}, {"target": {"media": 700}}]
)
def test_the_final_selection_equals_the_definition(pool: Path, rebalance: dict[str, Any]) -> None:
    made = of_pool(pool, balance={"t": 60}, rebalance=rebalance, draw={"seed": 3})
    survivors, final = rows_of(made, "survivors"), {row["pair_id"]: row for row in rows_of(made, "final_pairs")}
    counts, u = after_losses(made), draws(survivors, 3)
    t = made.catalog.visible("rebalance").context["thresholds"]["image"]["en"]
    assert 1 < t <= 60
    expected = {row["pair_id"]: min(row["keep_before"], keep(row, counts, t)) for row in survivors}
    stays = {pair_id for pair_id, probability in expected.items() if u[pair_id] < probability}
    assert set(final) == stays
    assert 0 < len(stays) < len(survivors)
    kept = {row["pair_id"]: row for row in rows_of(made, "kept_pairs")}
    for row in (row for row in survivors if row["pair_id"] in stays):
        told = final[row["pair_id"]]
        assert told["keep_probability"] == pytest.approx(expected[row["pair_id"]])
        assert told["keep_probability"] <= told["keep_before"] == row["keep_before"]
        assert (told["media_id"], told["text_media_id"]) == (row["kept_media_id"], row["media_id"])
        assert told["text"] == kept[row["pair_id"]]["text"]
        critical = told["critical_threshold"]
        assert u[row["pair_id"]] < keep(row, counts, critical * (1 + 1e-9))
        assert critical == 1 or u[row["pair_id"]] >= keep(row, counts, critical * (1 - 1e-9))
    manifest = made.catalog.visible("rebalance")
    clamped = sum(keep(row, counts, t) > row["keep_before"] for row in survivors)
    assert clamped_shares(manifest)["image"]["en"] == pytest.approx(clamped / len(survivors), abs=0.002)
    assert manifest.counts["final_media:image"] == len({row["text_media_id"] for row in final.values()})


def test_smaller_thresholds_keep_subsets(pool: Path) -> None:
    sets = [
        {row["pair_id"] for row in rows_of(of_pool(pool, balance={"t": 60}, rebalance={"t": t}), "final_pairs")}
        for t in (1, 3, 9, 20, 30)
    ]
    assert all(smaller < larger for smaller, larger in pairwise(sets))


def test_without_thresholds_every_survivor_stays(pool: Path) -> None:
    made = of_pool(pool, balance={"t": 60})
    survivors, final = rows_of(made, "survivors"), rows_of(made, "final_pairs")
    assert [row["pair_id"] for row in final] == [row["pair_id"] for row in survivors]
    counts = after_losses(made)
    for row, told in zip(survivors, final, strict=True):
        assert told["keep_probability"] == pytest.approx(min(row["keep_before"], keep(row, counts, 60)))


@pytest.mark.parametrize("unit", ["pairs", "media"])
def test_targets_are_hit_or_the_nearest_sizes_named(pool: Path, unit: str) -> None:
    for target in (500, 901, 1100, 10**6):
        made = of_pool(pool, balance={"t": 60}, rebalance={"target": {unit: target}})
        final = rows_of(made, "final_pairs")
        size = len(final) if unit == "pairs" else len({row["text_media_id"] for row in final})
        told = made.catalog.visible("rebalance").context
        (report,) = told["target"].values()
        assert size == report["expected"]
        if abs(size - target) > 0.001 * target:
            assert size in (report["reachable_below"], report["reachable_above"])
            assert any("cannot be reached" in note for note in told["notes"])


def test_no_size_is_promised_that_lies_above_the_drawn_thresholds(pool: Path) -> None:
    """What was drawn at t=60 is not drawn higher, however much is asked for after losses."""
    made = of_pool(pool, balance={"t": 60}, rebalance={"target": {"pairs": 10**6}})
    told = made.catalog.visible("rebalance").context
    assert told["thresholds"]["image"]["en"] <= 60
    assert any("cannot be reached" in note for note in told["notes"])
    assert told["target"]["image"]["expected"] == len(rows_of(made, "final_pairs"))


def test_without_losses_the_counts_are_those_of_the_pool(pool: Path) -> None:
    made = run(pool / "work", pool_recipe(pool, balance={"t": 60}, rebalance={"t": 60}), stages())
    matched = counted(rows_of(made, "matches"))
    assert after_losses(made) == pytest.approx({key: matched[key] for key in after_losses(made)})
    assert len(rows_of(made, "final_pairs")) == len(rows_of(made, "survivors")) == len(rows_of(made, "kept_pairs"))


def test_one_text_per_media_is_measured_against_all_texts(pool: Path) -> None:
    """Counting takes all matched texts of a media; a picked one stands for its like, not for a smaller pool."""
    made = of_pool(pool, balance={"t": 60}, draw={"texts_per_media": "one"})
    found, left = after_losses(made), counted([r for r in rows_of(made, "matches") if not LOST(r["media_id"])])
    large = [key for key, texts in left.items() if texts > 200]
    assert large
    assert all(found[key] == pytest.approx(left[key], rel=0.25) for key in large)


def test_the_target_of_balance_is_meant_without_its_losses(pool: Path) -> None:
    target = {"pairs": 1000, "survival": 0.5}
    made = of_pool(pool, balance={"target": target}, rebalance={"target": target})
    assert len(rows_of(made, "final_pairs")) == 1000


@pytest.mark.slow
def test_weighted_counts_are_unbiased_and_plain_ones_are_not(pool: Path, tmp_path: Path) -> None:
    """Pre-draw at 3t, 40% lost: against the counts and sizes of the pool that was never thinned."""
    t = 15
    lost = unlucky(0.4, "bias")
    errors, plain_errors, scores = [], [], []
    for seed in range(3):
        recipe = pool_recipe(pool, balance={"t": 3 * t}, rebalance={"t": t}, draw={"seed": seed})
        made = run(tmp_path / "work", recipe, stages(Fetch(lost, "bias")))
        left = [row for row in rows_of(made, "matches") if not lost(row["media_id"])]
        pool_counts, truth = counted(rows_of(made, "matches")), counted(left)
        survivors = rows_of(made, "survivors")
        found, variance = after_losses(made), defaultdict[Key, float](float)
        for row in rows_of(made, "matches"):
            probability = keep(row, pool_counts, 3 * t)
            for entry in row["entry_ids"]:
                key = row["modality"], row["vocabulary_lang"], entry
                residual = (not lost(row["media_id"])) - truth[key] / pool_counts[key]
                variance[key] += residual**2 * (1 - probability) / probability
        for key, count in truth.items():  # Hajek's ratio of two Horvitz-Thompson sums, linearised
            assert found.get(key, 0.0) == pytest.approx(count, abs=6 * math.sqrt(variance[key]) + 1e-6)
            if variance[key] > 1:
                scores.append((found[key] - count) / math.sqrt(variance[key]))
        chances = np.array([keep(row, truth, t) for row in left])
        final = rows_of(made, "final_pairs")
        assert abs(len(final) - chances.sum()) < 5 * math.sqrt((chances * (1 - chances)).sum())
        errors.append(len(final) / chances.sum() - 1)
        plain = counted(survivors)
        naive = sum(min(row["keep_before"], keep(row, plain, t)) / row["keep_before"] for row in survivors)
        plain_errors.append(naive / chances.sum() - 1)
    assert abs(np.mean(scores)) < 0.25
    assert 0.7 < np.mean(np.square(scores)) < 1.3
    assert abs(np.mean(errors)) < 0.02
    assert min(plain_errors) > 0.1  # the thinned set counted as if it were the pool


def test_a_final_threshold_above_the_drawn_one_is_refused(pool: Path) -> None:
    with pytest.raises(BalanceError, match=r"wants t=61 .*drew them at t=60"):
        of_pool(pool, balance={"t": 60}, rebalance={"t": 61})
    with pytest.raises(BalanceError, match=r"drew them at t=60"):
        of_pool(pool, balance={"t": 60}, rebalance={"tail_share": 0.9})
    of_pool(pool, balance={"t": 60}, rebalance={"t": 60})


@pytest.mark.parametrize("pooled", ["true", "false"])
def test_languages_and_modalities(web: Path, pooled: str) -> None:
    made = of_web(web, "balance.t=40", "rebalance.t=12", f"count.pool_modalities={pooled}")
    kept, survivors = rows_of(made, "kept_pairs"), rows_of(made, "survivors")
    others = sum(row["modality"] != "image" for row in kept)
    assert made.catalog.visible("survive").counts["not_fetched"] == others > 0
    thresholds = made.catalog.visible("rebalance").context["thresholds"]["image"]
    before = made.catalog.visible("balance").context["thresholds"]["image"]
    assert set(thresholds) == {row["vocabulary_lang"] for row in survivors}
    assert len(thresholds) > 3
    assert all(t <= before[lang] for lang, t in thresholds.items())
    counts, u = after_losses(made), draws(survivors, made.recipe.draw.seed)
    stays = {
        row["pair_id"]
        for row in survivors
        if u[row["pair_id"]] < min(row["keep_before"], keep(row, counts, thresholds[row["vocabulary_lang"]]))
    }
    assert {row["pair_id"] for row in rows_of(made, "final_pairs")} == stays
    assert len(stays) < len(survivors)


def test_the_ledger_may_hold_more_but_never_less(pool: Path, tmp_path: Path) -> None:
    recipe = pool_recipe(pool, balance={"t": 60})
    run(tmp_path / "work", recipe, stages(Fetch(LOST, "more", extra=50)))
    gaps = Fetch(lambda media_id: "" if media_id < "1" else None, "gaps")
    with pytest.raises(StageError, match=r"kept pairs have no row in the ledger.*run `curation run` again"):
        run(tmp_path / "work", recipe, stages(gaps))


def test_all_lost_is_told(pool: Path, tmp_path: Path) -> None:
    recipe = pool_recipe(pool, balance={"t": 60}, rebalance={"t": 5})
    made = run(tmp_path / "work", recipe, stages(Fetch(lambda media_id: "timeout", "none")))
    assert rows_of(made, "final_pairs") == []
    assert any("no kept pair survived" in note for note in made.catalog.visible("rebalance").context["notes"])


def test_a_lost_pair_or_cluster_breaks_a_law(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = pool_recipe(pool, balance={"t": 60})
    with pytest.raises(ConservationError, match="clusters"):
        run(tmp_path / "work", recipe, stages(duplicates=Duplicates(paired, "spoilt", spoil=True)))
    honest = survive._survivors
    monkeypatch.setattr(survive, "_survivors", lambda *args: honest(*args).slice(1))
    with pytest.raises(ConservationError, match="in:kept_pairs"):
        run(tmp_path / "work", recipe, stages())


def test_a_recipe_without_fetch_is_refused(pool: Path) -> None:
    with pytest.raises(RecipeError, match="add the section fetch"):
        survive.Survive().settings(pool_recipe(pool, fetch=None))


def test_a_second_run_does_nothing_and_a_changed_t_starts_at_rebalance(pool: Path) -> None:
    way = stages(Fetch(LOST, "lossy"), Duplicates(paired, "paired"))
    recipe: Recipe = pool_recipe(pool, balance={"t": 60}, rebalance={"t": 20})
    made = run(pool / "work", recipe, way)
    assert [stage.name for stage in way if made.execute(stage).units_done] == []
    changed = Run(made.store, pool_recipe(pool, balance={"t": 60}, rebalance={"t": 19}), way, *_local())
    assert [stage.name for stage in way if changed.execute(stage).units_done] == ["rebalance"]


def _local() -> tuple[Any, Any]:
    from curation.runner.engine import LocalEngine
    from curation.runner.progress import Silent

    return LocalEngine, Silent()
