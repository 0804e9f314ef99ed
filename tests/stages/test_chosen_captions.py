"""chosen_captions and balanced_captions against what their rules say, row by row."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from faults_caption_rows import Row, done, manifest, recipe, rows_of, vocabulary
from hypothesis import given, settings
from hypothesis import strategies as st

import curation.stages.chosen_captions as chosen_module
from curation.balance import pair_id, uniforms
from curation.concepts import Matcher
from curation.errors import BalanceError
from curation.runner.stage import Manifest
from curation.schemas import (
    BALANCED_CAPTIONS,
    CAPTION_COUNTS,
    CAPTION_SCORES,
    CAPTIONS,
    CHOSEN_CAPTIONS,
    CHOSEN_COUNTS,
)
from curation.stages.balanced_captions import BalancedCaptions
from curation.stages.chosen_captions import ChosenCaptions
from curation.storage import Store

ENTRIES = ("dog", "cat", "red dog", "tree", "by the way")
MODELS = {"m": {"backend": "server", "url": "http://127.0.0.1:1/v1", "model": "m"},
          "e": {"backend": "transformers", "model": "clip", "task": "embed"}}  # fmt: skip
CAPTIONERS = [{"source": "alt"}, {"source": "model", "name": "one", "model": "m"},
              {"source": "model", "name": "two", "model": "m"}]  # fmt: skip
LABELS = ("alt", "one", "two")
KINDS = {"alt": ("caption", "alt"), "one": ("brief", "detailed"), "two": ("brief", "short")}


def captioned(sample: int, told: Sequence[tuple[str, str, str, str | None, bool, float | None]]) -> list[Row]:
    """Rows of captions of one sample, as the stage before writes them: by captioner."""
    sample_id = f"{sample:024x}"
    same = {"sample_id": sample_id, "media_id": sample_id, "modality": ("image", "video")[sample % 2]}
    found, ordinals = [], Counter[tuple[str, str]]()
    for captioner in LABELS:
        own = [each for each in told if each[0] == captioner]
        for _, kind, text, lang, is_part, similarity in own:
            row = {**same, "captioner": captioner, "kind": kind, "status": "ok", "text": text, "lang": lang}
            row |= {"start_ms": 5 if is_part else None, "end_ms": 9 if is_part else None, "similarity": similarity}
            ordinal = ordinals[captioner, kind]
            found.append({**row, "ordinal": ordinal, "pair_id": pair_id(sample_id, f"{text} {len(found)}")})
            ordinals[captioner, kind] += 1
        if not own and captioner != "alt":
            found.append({**same, "captioner": captioner, "kind": "", "status": ("silent", "failed")[sample % 2]})
    return found


def before(store: Store, samples: Sequence[list[Row]], *, scored: bool = True) -> dict[str, Manifest]:
    """captions and caption_scores of these samples, which lie in two units in turn; empty units have no scores."""
    units = {f"bucket-{n:05d}": samples[n::2] for n in range(2)}
    counts = {name: {"samples": len(own), "texts": sum(row["status"] == "ok" for rows in own for row in rows)}
              for name, own in units.items()}  # fmt: skip
    rows = {name: [row for each in own for row in each] for name, own in units.items()}
    found = {"captions": manifest(store, "captions", {name: {CAPTIONS: own} for name, own in rows.items()},
                                  of_units=counts)}  # fmt: skip
    if scored:
        texts = {name: [row for row in own if row["status"] == "ok"] for name, own in rows.items()}
        scores = {name: {CAPTION_SCORES: own} for name, own in texts.items() if rows[name]}
        found["caption_scores"] = manifest(store, "caption_scores", scores)
    return found


# ------------------------------------------------------------------------------------------------- the reference


def expected(samples: Sequence[list[Row]], choose: Row) -> list[Row]:
    """By the words of the rule."""
    order, named = choose.get("order") or list(LABELS), bool(choose.get("order"))
    kinds_of = {name: ["brief", "detailed", "short"] for name in ("one", "two")}  # as prompts stand in the recipe

    def rank(row: Row) -> tuple[int, int] | None:
        """Place in the order, and among the kinds of its captioner; None: not to be chosen."""
        names = (row["captioner"], f"{row['captioner']}.{row['kind']}")
        found = [place for place, name in enumerate(order) if name in names]
        if row["status"] != "ok" or not found or not (named or row["start_ms"] is None):
            return None
        kinds = kinds_of.get(order[found[0]], [])
        return found[0], kinds.index(row["kind"]) if row["kind"] in kinds else len(kinds)

    able = [row for each in samples for row in each if rank(row) is not None and _has_score(row)]
    every = sorted((np.float32(row["similarity"]) for row in able), reverse=True)
    limits = [np.float32(choose["min_score"])] if "min_score" in choose else []
    if "top" in choose:
        limits.append(every[choose["top"] - 1] if len(every) > choose["top"] else np.float32(-2))
    found = []
    for each in samples:
        able = []
        for place, row in enumerate(each):
            if rank(row) is None:
                continue
            if limits and not (_has_score(row) and all(np.float32(row["similarity"]) >= least for least in limits)):
                continue
            score = -np.float32(row["similarity"]) if _has_score(row) else np.inf
            able.append(((score if choose.get("rule") == "score" else 0, rank(row), place), row))
        if able:
            best = min(able, key=lambda one: one[0])[1]
            found.append({**best, "candidates": len(able)})
    return found


def _has_score(row: Row) -> bool:
    return row.get("similarity") is not None


def entries_of(text: str, lang: str | None, matcher: Matcher) -> list[int]:
    found: list[list[int]] = matcher.match(pa.array([text])).to_pylist()
    return found[0] if lang == "en" else []


def counted(rows: Sequence[Row], matcher: Matcher, *names: str) -> Counter[tuple[Any, ...]]:
    found = ((row, entry) for row in rows for entry in entries_of(row["text"], row["lang"], matcher))
    return Counter((*(row[name] for name in names), entry) for row, entry in found)


_WORDS = st.lists(st.sampled_from(["dog", "red", "cat", "tree", "by the way", "car", "dogs"]), min_size=1, max_size=4)
_SIMILARITY = st.one_of(st.none(), st.sampled_from([-1.0, -0.25, 0.0, 0.1, 0.3, 0.43, 0.9]), st.floats(-1, 1, width=32))
_KIND = st.sampled_from([(captioner, kind) for captioner, kinds in KINDS.items() for kind in kinds])
_CAPTION = st.builds(
    lambda kind, words, lang, part, similarity: (*kind, " ".join(words), lang, part, similarity),
    _KIND, _WORDS, st.sampled_from(["en", "en", "de"]), st.booleans(), _SIMILARITY,
)  # fmt: skip
_SAMPLES = st.lists(st.lists(_CAPTION, max_size=5), max_size=12).map(
    lambda every: [captioned(number, told) for number, told in enumerate(every)]
)
_NAMES = [*LABELS, *(f"{captioner}.{kind}" for captioner, kinds in KINDS.items() for kind in kinds)]
_CHOICE = st.fixed_dictionaries(
    {"rule": st.sampled_from(["order", "score"])},
    optional={"order": st.lists(st.sampled_from(_NAMES), max_size=4, unique=True),
              "min_score": st.sampled_from([-1.0, 0.0, 0.1, 0.43]), "top": st.integers(1, 12)},
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(_SAMPLES, _CHOICE, st.integers(1, 5))
@pytest.mark.slow
def test_the_chosen_one_is_the_rule_s(samples: list[list[Row]], choose: Row, batch: int) -> None:
    section = recipe({"captioners": CAPTIONERS, "models": MODELS, "similarity": {"model": "e"}, "choose": choose})
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(chosen_module, "BATCH_ROWS", batch)
        store = Store.at(folder)
        match, matcher = vocabulary(store, ENTRIES)
        made = done(ChosenCaptions(), store, section, {"match": match, **before(store, samples)})
        chosen, wanted = rows_of(store, made, CHOSEN_CAPTIONS), expected(samples, choose)
        same = ("sample_id", "pair_id", "captioner", "kind", "ordinal", "text", "start_ms", "candidates", "modality")
        key = ["sample_id"]
        assert [[row[name] for name in same] for row in _by(chosen, key)] == [
            [row[name] for name in same] for row in _by(wanted, key)
        ]
        for row, of in zip(_by(chosen, key), _by(wanted, key), strict=True):
            assert row["entry_ids"] == entries_of(of["text"], of["lang"], matcher)
            assert row["vocabulary_lang"] == ("en" if of["lang"] == "en" else None)
            assert row["similarity"] == (None if of["similarity"] is None else np.float32(of["similarity"]))
        texts = [row for each in samples for row in each if row["status"] == "ok"]
        sums: Counter[tuple[Any, ...]] = Counter()
        for row in rows_of(store, made, CAPTION_COUNTS):
            assert row["vocabulary_lang"] == "en" and row["texts"] > 0
            sums[row["captioner"], row["kind"], row["modality"], row["entry_id"]] += row["texts"]
        assert sums == counted(texts, matcher, "captioner", "kind", "modality")
        chosen_sums: Counter[tuple[Any, ...]] = Counter()
        for row in rows_of(store, made, CHOSEN_COUNTS):
            chosen_sums[row["modality"], row["entry_id"]] += row["texts"]
        assert chosen_sums == counted(chosen, matcher, "modality")
        _are_counts(made.counts, texts, chosen, matcher, len(samples))


def _are_counts(counts: dict[str, int], texts: list[Row], chosen: list[Row], matcher: Matcher, samples: int) -> None:
    def told(what: str) -> Counter[str]:
        return Counter({name.removeprefix(what): n for name, n in counts.items() if name.startswith(what) and n})

    entries = [(f"{row['captioner']}.{row['kind']}", entries_of(row["text"], row["lang"], matcher)) for row in texts]
    assert told("texts:") == Counter(label for label, _ in entries)
    assert told("matched:") == Counter(label for label, found in entries if found)
    assert told("entry_matches:") == sum((Counter({label: len(found)}) for label, found in entries), Counter())
    assert told("chosen:") == Counter(f"{row['captioner']}.{row['kind']}" for row in chosen)
    assert counts.get("chosen_matched", 0) == sum(bool(row["entry_ids"]) for row in chosen)
    assert counts.get("without", 0) == samples - len(chosen)


def _by(rows: Sequence[Row], key: Sequence[str]) -> list[Row]:
    return sorted(rows, key=lambda row: [row[name] for name in key])


@pytest.mark.parametrize("top", [1, 7, 40, 79, 80, 81, 200])
def test_the_best_of_all(tmp_path: Path, top: int) -> None:
    """Exactly so many captions of all stay, but for ties with the last; those without a score do not."""
    rng = np.random.default_rng(top)
    scores = rng.permutation(np.round(np.linspace(-0.5, 0.9, 80), 2)).tolist()
    every = [captioned(n, [("one", "brief", "a dog", "en", False, score)]) for n, score in enumerate(scores)]
    every.append(captioned(80, [("one", "brief", "a dog", "en", False, None)]))
    choose = {"top": top, "rule": "score"}
    section = recipe({"captioners": CAPTIONERS, "models": MODELS, "similarity": {"model": "e"}, "choose": choose})
    store = Store.at(tmp_path)
    match, _ = vocabulary(store, ENTRIES)
    made = done(ChosenCaptions(), store, section, {"match": match, **before(store, every)})
    chosen = rows_of(store, made, CHOSEN_CAPTIONS)
    least = sorted(scores, reverse=True)[min(top, 80) - 1]
    assert len(chosen) == sum(score >= least for score in scores) >= min(top, 80)
    assert min(row["similarity"] for row in chosen) == np.float32(least)


@pytest.mark.parametrize("order", [["one"], ["one.brief"], []])
def test_the_best_are_of_those_that_may_be_chosen(tmp_path: Path, order: list[str]) -> None:
    """Captions of parts that nobody named, of captioners and kinds outside the order, take no place."""
    told = [("one", "brief", "a dog", "en", False, 0.0), *[("alt", "alt", "a cat", "en", True, 0.9)] * 5]
    if order:
        told += [("alt", "alt", "a tree", "en", False, 0.8), ("two", "brief", "a tree", "en", False, 0.8)]
    if order == ["one.brief"]:
        told += [("one", "detailed", "a tree", "en", False, 0.7)]
    every = [captioned(n, [(*each[:5], each[5] + n / 1000) for each in told]) for n in range(20)]
    choose = {"rule": "score", "top": 10, "order": order}
    section = recipe({"captioners": CAPTIONERS, "models": MODELS, "similarity": {"model": "e"}, "choose": choose})
    store = Store.at(tmp_path)
    match, _ = vocabulary(store, ENTRIES)
    made = done(ChosenCaptions(), store, section, {"match": match, **before(store, every)})
    assert made.context["cutoff"] == np.float32(0.01)
    chosen = rows_of(store, made, CHOSEN_CAPTIONS)
    assert {(row["captioner"], row["kind"], row["similarity"]) for row in chosen} == {
        ("one", "brief", np.float32(n / 1000)) for n in range(10, 20)
    }


@pytest.mark.parametrize("column", ["pair_id", "captioner", "kind"])
def test_scores_of_other_captions_are_not_taken(tmp_path: Path, column: str) -> None:
    """As many, of the same samples, in another order."""
    told = [("one", "brief", "a dog", "en", False, 0.1), ("one", "brief", "a cat", "en", False, 0.2),
            ("one", "detailed", "a cat", "en", False, 0.3), ("two", "brief", "a dog", "en", False, 0.4)]  # fmt: skip
    every = [captioned(n, told) for n in range(4)]
    store = Store.at(tmp_path)
    match, _ = vocabulary(store, ENTRIES)
    sound, others = before(store, every), [[dict(row) for row in each] for each in every]
    values = [row[column] for row in others[2]]
    for row, value in zip(others[2], values[1:] + values[:1], strict=True):
        row[column] = value
    mixed = {"captions": sound["captions"], "caption_scores": before(store, others)["caption_scores"]}
    section = recipe({"captioners": CAPTIONERS, "models": MODELS, "similarity": {"model": "e"}})
    made = done(ChosenCaptions(), store, section, {"match": match, **sound})
    assert made.rows("chosen_captions") == 4
    with pytest.raises(AssertionError, match="captions and caption_scores differ"):
        done(ChosenCaptions(), store, section, {"match": match, **mixed})


@pytest.mark.parametrize("held", [1, 7, 1 << 19])
def test_counts_are_the_same_however_many_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    rng = np.random.default_rng(0)
    texts = ["a dog", "a cat", "a red dog by the way", "a tree", "a car"]
    every = [captioned(n, [("one", ("brief", "detailed")[n % 3 > 0], texts[rng.integers(5)], "en", False, None),
                           ("two", "brief", texts[rng.integers(5)], ("en", "de")[n % 2], False, None)])
             for n in range(60)]  # fmt: skip
    monkeypatch.setattr(chosen_module, "_HELD", held)
    monkeypatch.setattr(chosen_module, "BATCH_ROWS", 8)
    store = Store.at(tmp_path)
    match, matcher = vocabulary(store, ENTRIES)
    section = recipe({"captioners": CAPTIONERS, "models": MODELS})
    made = done(ChosenCaptions(), store, section, {"match": match, **before(store, every, scored=False)})
    rows, sums = rows_of(store, made, CAPTION_COUNTS), Counter[tuple[Any, ...]]()
    for row in rows:
        sums[row["captioner"], row["kind"], row["modality"], row["entry_id"]] += row["texts"]
    texts_of = [row for each in every for row in each if row["status"] == "ok"]
    assert sums == counted(texts_of, matcher, "captioner", "kind", "modality")
    assert (len(rows) > 2 * len(sums)) == (held < 10), "what is more is written"
    chosen = Counter[tuple[Any, ...]]()
    for row in rows_of(store, made, CHOSEN_COUNTS):
        chosen[row["modality"], row["entry_id"]] += row["texts"]
    assert chosen == counted(rows_of(store, made, CHOSEN_CAPTIONS), matcher, "modality")


def test_counts_take_memory_for_what_occurs(tmp_path: Path) -> None:
    """Not for every entry of the vocabulary, times captioners and kinds."""
    kinds = [("alt", f"k{n}") for n in range(100)]
    every = [captioned(n, [(*kind, "a dog", "en", False, None) for kind in kinds]) for n in range(2)]
    store = Store.at(tmp_path)
    match, _ = vocabulary(store, [*ENTRIES, *(f"entry {n}" for n in range(50_000))])
    section = recipe({"captioners": CAPTIONERS, "models": MODELS})
    inputs = {"match": match, **before(store, every, scored=False)}
    done(ChosenCaptions(), store, section, inputs)  # compiles the vocabulary
    tracemalloc.start()
    try:
        done(ChosenCaptions(), Store.at(tmp_path), section, inputs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6, "dense: 100 kinds of 400 kB a modality"


def test_without_similarity_there_are_no_scores(tmp_path: Path) -> None:
    every = [captioned(n, [("one", "brief", "a dog", "en", False, 0.5), ("alt", "alt", "a cat", "en", n == 1, 0.5)])
             for n in range(3)]  # fmt: skip
    store = Store.at(tmp_path)
    match, _ = vocabulary(store, ENTRIES)
    made = done(ChosenCaptions(), store, recipe({"captioners": CAPTIONERS, "models": MODELS}),
                {"match": match, **before(store, every, scored=False)})  # fmt: skip
    chosen = _by(rows_of(store, made, CHOSEN_CAPTIONS), ["sample_id"])
    assert [(row["captioner"], row["candidates"]) for row in chosen] == [("alt", 2), ("one", 1), ("alt", 2)]
    assert {row["similarity"] for row in chosen} == {None}


# -------------------------------------------------------------------------------------------------- balanced anew


def balanced(
    store: Store, every: list[list[Row]], balance: Row, seed: int = 0
) -> tuple[list[Row], list[Row], Manifest]:
    """Chosen captions, and what stays of them."""
    section = recipe({"captioners": CAPTIONERS, "models": MODELS, "balance": balance}, draw={"seed": seed})
    match, _ = vocabulary(store, ENTRIES)
    chosen = done(ChosenCaptions(), store, section, {"match": match, **before(store, every, scored=False)})
    made = done(BalancedCaptions(), store, section, {"match": match, "chosen_captions": chosen})
    return rows_of(store, chosen, CHOSEN_CAPTIONS), rows_of(store, made, BALANCED_CAPTIONS), made


def pool(count: int, *, one_modality: bool = False) -> list[list[Row]]:
    """A long tail: half are dogs, a quarter cats ...; some hold two entries, some none."""
    rng = np.random.default_rng(count)
    texts = ["a dog", "a cat", "a tree", "a red dog", "a car", "a cat by the way", "a dog and a cat"]
    picks = rng.choice(len(texts), count, p=[0.4, 0.2, 0.1, 0.05, 0.1, 0.05, 0.1])
    step = 2 if one_modality else 1
    return [captioned(step * n, [("one", "brief", texts[pick], "en", False, None)]) for n, pick in enumerate(picks)]


def keep_of(entry_ids: list[int], counts: Counter[int], t: float) -> float:
    lost = 1.0
    for entry in entry_ids:
        lost *= 1 - (1 if counts[entry] < t else t / counts[entry])
    return 1 - lost


@pytest.mark.parametrize(("t", "seed"), [(1, 0), (5, 1), (20, 2), (37.5, 3), (10_000, 4)])
def test_a_sample_stays_where_its_draw_is_below_its_probability(tmp_path: Path, t: float, seed: int) -> None:
    chosen, kept, made = balanced(Store.at(tmp_path), pool(300), {"t": t}, seed)
    ids = [pair_id(row["sample_id"], row["pair_id"]) for row in chosen]  # clips of a video may share a caption
    drawn = uniforms(pa.array(ids), seed, "recaption")
    draws = dict(zip((row["pair_id"] for row in chosen), drawn, strict=True))
    by_modality = {name: [row for row in chosen if row["modality"] == name] for name in ("image", "video")}
    wanted = set()
    for own in by_modality.values():
        counts = Counter(entry for row in own for entry in row["entry_ids"])
        for row in own:
            probability = keep_of(row["entry_ids"], counts, t)
            if draws[row["pair_id"]] < probability:
                wanted.add(row["pair_id"])
            if (found := next((one for one in kept if one["pair_id"] == row["pair_id"]), None)) is not None:
                assert found["keep_probability"] == pytest.approx(probability)
                assert found["critical_threshold"] <= t
                assert (found["sample_id"], found["entry_ids"]) == (row["sample_id"], row["entry_ids"])
                least = found["critical_threshold"]
                assert draws[row["pair_id"]] < keep_of(row["entry_ids"], counts, least * (1 + 1e-12))
                assert least == 1 or draws[row["pair_id"]] >= keep_of(row["entry_ids"], counts, least * (1 - 1e-9))
    assert {row["pair_id"] for row in kept} == wanted
    assert len(kept) == len(wanted)
    counts_of = made.counts
    assert counts_of["unmatched"] == sum(not row["entry_ids"] for row in chosen) > 0
    assert counts_of.get("not_drawn", 0) == len(chosen) - len(kept) - counts_of["unmatched"]
    assert {name: counts_of.get(f"balanced:{name}", 0) for name in by_modality} == Counter(
        row["modality"] for row in kept
    )


@pytest.mark.parametrize("unit", ["pairs", "media"])
@pytest.mark.parametrize("wanted", [30, 111])
def test_a_size_is_met(tmp_path: Path, unit: str, wanted: int) -> None:
    _, kept, made = balanced(Store.at(tmp_path), pool(300, one_modality=True), {"target": {unit: wanted}})
    (report,) = made.context["target"].values()
    assert report["expected"] == len(kept) == wanted


def test_clips_of_one_video_are_samples_of_their_own(tmp_path: Path) -> None:
    """A target in media counts samples: each is trained on by itself."""
    every = pool(200, one_modality=True)
    for number, rows in enumerate(every):
        for row in rows:
            row["media_id"] = f"{number // 4:024x}"
    _, kept, _ = balanced(Store.at(tmp_path), every, {"target": {"media": 50}})
    assert len(kept) == len({row["sample_id"] for row in kept}) == 50


def test_the_draw_is_another_one_than_that_of_pairs(tmp_path: Path) -> None:
    """Samples that a draw let through have small numbers: drawn by the same ones again, all of them would stay."""
    chosen, kept, _ = balanced(Store.at(tmp_path), pool(300), {"t": 20})
    first = uniforms(pa.array([pair_id(row["sample_id"], row["pair_id"]) for row in chosen]), 0, "draw")
    again = dict(zip((row["pair_id"] for row in chosen), first, strict=True))
    assert 0.35 < float(np.mean([again[row["pair_id"]] for row in kept])) < 0.65


def test_nothing_to_balance_is_said(tmp_path: Path) -> None:
    with pytest.raises(BalanceError, match="no chosen caption holds an entry: see the coverage"):
        balanced(Store.at(tmp_path), [captioned(1, [("one", "brief", "a car", "en", False, None)])], {"t": 5})
