"""From matches to the selection: every kept pair follows from the definition, recomputed here in plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from curation.balance import SALTS, hashes, uniforms
from curation.pipeline import STAGES
from curation.recipe import Recipe, load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.storage import Store
from curation.testing import build_web

Rows = list[dict[str, Any]]
RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder whose pairs and matches all tests share, each with its own balance."""
    folder = tmp_path_factory.mktemp("selection")
    build_web(folder / "web", pages=400)
    return folder


def _run(folder: Path, *overrides: str) -> Run:
    run = Run(Store.at(folder / "work"), _recipe(folder, *overrides), STAGES, LocalEngine, Silent())
    for stage in STAGES:
        run.execute(stage)
    return run


def _recipe(folder: Path, *overrides: str) -> Recipe:
    inputs = f"inputs=[{{kind: wat, paths: ['{folder / 'web'}']}}]"
    return load_recipe(RECIPES / "demo.yaml", [inputs, "balance.tail_share=null", *overrides])


def _rows(run: Run, dataset: str) -> Rows:
    manifest = run.catalog.visible(run.catalog.stage_of(dataset))
    return [row for batch in run.store.batches(manifest.paths(dataset)) for row in batch.to_pylist()]


def _kept(run: Run) -> set[str]:
    return {row["pair_id"] for row in _rows(run, "kept_pairs")}


def _counts(matches: Rows) -> Counter[tuple[str, str, int]]:
    return Counter((row["modality"], row["vocabulary_lang"], entry) for row in matches for entry in row["entry_ids"])


def _definition(run: Run) -> dict[str, float]:
    """pair_id -> keep probability of every kept pair, from the formula."""
    import pyarrow as pa

    thresholds = run.catalog.visible("balance").context["thresholds"]
    matches = _rows(run, "matches")
    counts = _counts(matches)
    if run.recipe.count.pool_modalities:
        pooled = Counter({(lang, entry): 0 for _, lang, entry in counts})
        for (_, lang, entry), n in counts.items():
            pooled[lang, entry] += n
        counts = Counter({key: pooled[key[1:]] for key in counts})
    ids = pa.array([row["pair_id"] for row in matches])
    seed = run.recipe.draw.seed
    u = dict(zip(ids.to_pylist(), uniforms(ids, seed, SALTS["draw"]), strict=True))
    order = dict(zip(ids.to_pylist(), hashes(ids, seed, SALTS["pick"]), strict=True))
    picked = set(u)
    if run.recipe.draw.texts_per_media == "one":
        texts = defaultdict(list)
        for row in matches:
            texts[row["media_id"]].append(row["pair_id"])
        picked = {min(of_media, key=lambda pair: order[pair]) for of_media in texts.values()}
    kept = {}
    for row in matches:
        t = thresholds[row["modality"]][row["vocabulary_lang"]]
        parts = [min(1.0, t / counts[row["modality"], row["vocabulary_lang"], entry]) for entry in row["entry_ids"]]
        keep = 1 - math.prod(1 - p for p in parts)
        if row["pair_id"] in picked and u[row["pair_id"]] < keep:
            kept[row["pair_id"]] = keep
    return kept


@pytest.mark.parametrize(
    "overrides",
    [
        ["balance.t=20"],
        ["balance.t=7.5", "draw.seed=12345"],
        ["balance.tail_share=0.3", "balance.other_languages=interpolated"],
        ["balance.t=20", "draw.texts_per_media=one"],
        ["balance.t={image: 5}", "count.pool_modalities=true"],
        ["balance.target={pairs: 2000}"],
    ],
)
def test_the_selection_equals_the_definition(folder: Path, overrides: list[str]) -> None:
    run = _run(folder, *overrides)
    expected = _definition(run)
    rows = _rows(run, "kept_pairs")
    assert {row["pair_id"]: pytest.approx(row["keep_probability"]) for row in rows} == expected
    assert 0 < len(rows) < len(_rows(run, "matches"))


def test_kept_pairs_carry_what_pairs_and_matches_say(folder: Path) -> None:
    run = _run(folder, "balance.t=20")
    pairs = {row["pair_id"]: row for row in _rows(run, "pairs")}
    matches = {row["pair_id"]: row for row in _rows(run, "matches")}
    for row in _rows(run, "kept_pairs"):
        for name in (
            "media_id",
            "media_bucket",
            "modality",
            "media_url",
            "text",
            "text_sources",
            "lang",
            "page_url",
            "robots",
        ):
            assert row[name] == pairs[row["pair_id"]][name]
        assert row["entry_ids"] == matches[row["pair_id"]]["entry_ids"]
        assert row["vocabulary_lang"] == matches[row["pair_id"]]["vocabulary_lang"]


def test_counts_are_those_of_matches_and_of_the_selection(folder: Path) -> None:
    run = _run(folder, "balance.t=20")
    for dataset, rows in (("entry_counts", _rows(run, "matches")), ("kept_counts", _rows(run, "kept_pairs"))):
        told: Counter[tuple[str, str, int]] = Counter()
        for row in _rows(run, dataset):
            told[row["modality"], row["vocabulary_lang"], row["entry_id"]] += row["texts"]
        assert told == _counts(rows)


def test_smaller_thresholds_keep_subsets(folder: Path) -> None:
    sets = [_kept(_run(folder, f"balance.t={t}")) for t in (1, 3, 20, 50, 10_000)]
    for smaller, larger in pairwise(sets):
        assert smaller < larger or (smaller == larger and len(larger) == len(sets[-1]))
    assert sets[-1] == {row["pair_id"] for row in _rows(_run(folder, "balance.t=10000"), "matches")}


def test_a_draw_is_kept_exactly_where_its_critical_threshold_allows(folder: Path) -> None:
    run = _run(folder, "balance.t=20")
    thresholds = run.catalog.visible("balance").context["thresholds"]
    allowed = {
        row["pair_id"]
        for row in _rows(run, "draws")
        if row["critical_threshold"] <= thresholds[row["modality"]][row["vocabulary_lang"]]
    }
    assert allowed == _kept(run)


def test_one_text_per_media(folder: Path) -> None:
    run = _run(folder, "balance.t=1000000", "draw.texts_per_media=one")
    media = [row["media_id"] for row in _rows(run, "kept_pairs")]
    assert len(media) == len(set(media)) == len({row["media_id"] for row in _rows(run, "matches")})


@pytest.mark.parametrize("unit", ["pairs", "media"])
@pytest.mark.parametrize("rule", ["step", "interpolated"])
@pytest.mark.slow
def test_targets_are_hit_or_the_nearest_sizes_named(folder: Path, unit: str, rule: str) -> None:
    for target in (600, 800, 1000, 1200, 10**6, 1):
        run = _run(folder, f"balance.target={{{unit}: {target}}}", f"balance.other_languages={rule}")
        rows = _rows(run, "kept_pairs")
        size = len(rows) if unit == "pairs" else len({row["media_id"] for row in rows})
        told = run.catalog.visible("balance").context
        (report,) = told["target"].values()  # of all modalities
        assert size == report["expected"]
        if abs(size - target) <= 0.001 * target:
            assert told["notes"] == []
        else:
            assert size in (report["reachable_below"], report["reachable_above"])
            assert any("cannot be reached: the nearest sizes are" in note for note in told["notes"])


def test_a_changed_threshold_redoes_nothing_before_balance(folder: Path) -> None:
    _run(folder, "balance.t=20")
    run = Run(Store.at(folder / "work"), _recipe(folder, "balance.t=21"), STAGES, LocalEngine, Silent())
    assert {stage.name: run.execute(stage).units_done > 0 for stage in STAGES} == {
        "extract": False,
        "pairs": False,
        "match": False,
        "count": False,
        "draw": False,
        "balance": True,
    }


def test_a_changed_seed_starts_at_draw_and_a_changed_rule_at_pairs(folder: Path) -> None:
    _run(folder, "balance.t=20")
    for override, first in (
        ("draw.seed=7", "draw"),
        ("pairs.rules.min_chars=5", "pairs"),
        ("match.fallback=en", "match"),
    ):
        run = Run(Store.at(folder / "work"), _recipe(folder, "balance.t=20", override), STAGES, LocalEngine, Silent())
        assert next(stage.name for stage in STAGES if run.execute(stage).units_done) == first


def test_seeds_draw_other_sets_of_the_same_size(folder: Path) -> None:
    sets = [_kept(_run(folder, "balance.t=20", f"draw.seed={seed}")) for seed in range(8)]
    expected = [sum(_definition_expectation(_run(folder, "balance.t=20", f"draw.seed={seed}"))) for seed in range(1)]
    assert len(set(map(frozenset, sets))) == 8
    mean = sum(map(len, sets)) / len(sets)
    assert mean == pytest.approx(expected[0], rel=0.03)


def _definition_expectation(run: Run) -> list[float]:
    thresholds = run.catalog.visible("balance").context["thresholds"]
    matches = _rows(run, "matches")
    counts = _counts(matches)
    return [
        1
        - math.prod(
            1
            - min(
                1.0,
                thresholds[row["modality"]][row["vocabulary_lang"]]
                / counts[row["modality"], row["vocabulary_lang"], entry],
            )
            for entry in row["entry_ids"]
        )
        for row in matches
    ]


def test_without_english_a_threshold_needs_a_tail_share(folder: Path, tmp_path: Path) -> None:
    from curation.errors import BalanceError, RecipeError

    with pytest.raises(RecipeError, match=r"give balance\.tail_share"):
        _run(folder, "match.vocabularies={de: 'demo:de', ja: 'demo:ja'}", "balance.t=20")
    (tmp_path / "none.txt").write_text("xylophonically\n")
    with pytest.raises(BalanceError, match="tail"):
        _run(folder, f"match.vocabularies={{en: '{tmp_path / 'none.txt'}', de: 'demo:de'}}", "balance.t=20")
    run = _run(folder, "match.vocabularies={de: 'demo:de', ja: 'demo:ja'}", "balance.tail_share=0.2")
    assert all(
        t >= 1 and math.isfinite(t) for t in run.catalog.visible("balance").context["thresholds"]["image"].values()
    )


def test_nothing_matched_is_a_clear_error(folder: Path, tmp_path: Path) -> None:
    from curation.errors import BalanceError

    (tmp_path / "none.txt").write_text("xylophonically\n")
    with pytest.raises(BalanceError, match="no text matched any entry"):
        _run(folder, f"match.vocabularies={{en: '{tmp_path / 'none.txt'}'}}")
