"""Balance at t, by what is stored and drawn anew, against the formula."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.balance import entry_probabilities, keep_probability, pair_id, uniforms
from curation.errors import BalanceError, InputError
from curation.training.balancing import Balancer, EntryCounts, Verdict
from curation.training.reading import Reading
from curation.training.texts import TextChoice

COUNTS = {("image", "en"): np.array([1.0, 50, 400, 3000, 9, 0]), ("image", "de"): np.array([700.0, 2])}


def _row(number: int, **columns: Any) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    lang = "en" if number % 3 else "de"
    entries = np.flatnonzero(rng.random(len(COUNTS["image", lang])) < 0.4).tolist()
    return {
        "sample_id": f"{number:024x}",
        "media_id": f"{number:024x}",
        "modality": "image",
        "text": f"text {number}",
        "vocabulary_lang": lang if entries else None,
        "entry_ids": entries,
        "keep_probability": 1.0,
        "critical_threshold": float(1 + rng.integers(0, 1000)),
        **columns,
    }


ROWS = [_row(number) for number in range(2000)]


def _left_out(reading: Reading, rows: list[dict[str, Any]], epoch: int = 0, gone: frozenset[str] = frozenset()) -> Any:
    balancer = Balancer(reading, EntryCounts(COUNTS), gone, epoch)
    return [_told(verdict) for verdict in balancer.verdicts(rows, [row["sample_id"] for row in rows])]


def _told(verdict: Verdict) -> str | None:
    assert verdict.fault is None, verdict.fault
    return verdict.reason


def _drawn(row: dict[str, Any], t: float, seed: int, epoch: int) -> bool:
    """Design: u(pair, seed, salt = epoch) < keep(t)."""
    if not row["entry_ids"]:
        return False
    keep = keep_probability(row["entry_ids"], entry_probabilities(COUNTS["image", row["vocabulary_lang"]], t))
    (u,) = uniforms(pa.array([pair_id(row["sample_id"], row["text"])]), seed, epoch)
    return bool(u < keep)


@pytest.mark.parametrize("t", [1, 50, 333, 1e6])
def test_stored_balance_is_critical_threshold_at_most_t(t: float) -> None:
    found = _left_out(Reading(t=t), ROWS)
    assert [reason is None for reason in found] == [row["critical_threshold"] <= t for row in ROWS]
    assert set(found) <= {None, "t"}


def test_sets_of_smaller_t_lie_within_those_of_larger_t() -> None:
    sets = [{n for n, why in enumerate(_left_out(Reading(t=t), ROWS)) if why is None} for t in (10, 100, 500, 2000)]
    assert all(small < large for small, large in pairwise(sets))


def test_thresholds_by_language_and_modality() -> None:
    found = _left_out(Reading(t={"de": 10, "image/en": 700, "en": 1}), [row for row in ROWS if row["entry_ids"]])
    expected = [
        row["critical_threshold"] <= (10 if row["vocabulary_lang"] == "de" else 700)
        for row in ROWS if row["entry_ids"]
    ]  # fmt: skip
    assert [reason is None for reason in found] == expected
    with pytest.raises(BalanceError, match="t names no threshold for image/en: it has de"):
        _left_out(Reading(t={"de": 10}), ROWS)


@pytest.mark.parametrize(("t", "seed", "epoch"), [(1, 0, 0), (20, 3, 7), (500, 3, 8)])
def test_redrawn_balance_is_the_formula(t: float, seed: int, epoch: int) -> None:
    found = _left_out(Reading(t=t, redraw=True, seed=seed), ROWS, epoch)
    assert [reason is None for reason in found] == [_drawn(row, t, seed, epoch) for row in ROWS]


def test_how_samples_are_grouped_changes_no_draw() -> None:
    whole = _left_out(Reading(t=20, redraw=True), ROWS)
    parts = [_left_out(Reading(t=20, redraw=True), ROWS[start : start + 7]) for start in range(0, len(ROWS), 7)]
    assert [reason for part in parts for reason in part] == whole


def test_redraws_of_epochs_are_independent_and_keep_what_they_should() -> None:
    row = {"entry_ids": [3], "vocabulary_lang": "en"}  # count 3000: keep(300) = 0.1
    rows = [_row(number, **row) for number in range(3000)]
    epochs = [np.array([r is None for r in _left_out(Reading(t=300, redraw=True), rows, e)]) for e in range(4)]
    assert all(abs(kept.mean() - 0.1) < 0.02 for kept in epochs)
    assert abs((epochs[0] & epochs[1]).mean() - 0.01) < 0.006
    assert len({kept.tobytes() for kept in epochs}) == 4


def test_a_set_that_was_thinned_before_is_thinned_by_the_rest() -> None:
    """Kept with 0.2 before, keep(300) = 0.1: half of them are left, 0.1 of the pool."""
    row = {"entry_ids": [3], "vocabulary_lang": "en", "keep_probability": 0.2}
    rows = [_row(number, **row) for number in range(3000)]
    kept = [reason is None for reason in _left_out(Reading(t=300, redraw=True), rows)]
    assert abs(np.mean(kept) - 0.5) < 0.03
    same = _left_out(Reading(t=600, redraw=True), rows)  # the t with which it was kept: nothing is lost twice
    assert set(same) == {None}


ONE_OF_EACH = (
    {"text": "head", "vocabulary_lang": "en", "entry_ids": [3], "keep_probability": 0.2, "critical_threshold": 500.0},
    {"text": "tail", "vocabulary_lang": "en", "entry_ids": [1], "keep_probability": 1.0, "critical_threshold": 20.0},
    {"text": "German", "vocabulary_lang": "de", "entry_ids": [0], "keep_probability": 0.6, "critical_threshold": 300.0},
    {"text": "a model's"},
)
"""Texts of one media: on an entry of the head, on one of the tail, of another language, and one that goes along."""


def _several(number: int, texts: Any = ONE_OF_EACH, **more: Any) -> dict[str, Any]:
    """A row as the manifest has it: the numbers of the sample are those of its best text."""
    same = {"weight": 1.0, "captioner": "alt", "kind": "alt"}
    balanced = [text for text in texts if "critical_threshold" in text]
    whole = {
        "texts": [{**same, **text} for text in texts],
        "text": texts[0]["text"],
        "entry_ids": texts[0].get("entry_ids", []),
        "vocabulary_lang": texts[0].get("vocabulary_lang"),
        "keep_probability": max((text["keep_probability"] for text in balanced), default=1.0),
        "critical_threshold": min((text["critical_threshold"] for text in balanced), default=5.0),
    }
    return _row(number, **whole | more)


def _left(reading: Reading, rows: list[dict[str, Any]], epoch: int = 0) -> list[set[str]]:
    """Texts of each sample that are left."""
    balancer = Balancer(reading, EntryCounts(COUNTS), frozenset(), epoch)
    verdicts = balancer.verdicts(rows, [row["sample_id"] for row in rows])
    assert all(verdict.fault is None for verdict in verdicts)
    return [
        set() if verdict.reason else {text["text"] for text in verdict.texts or row["texts"]}
        for row, verdict in zip(rows, verdicts, strict=True)
    ]


@pytest.mark.parametrize("t", [60, 300, 500])
def test_a_redraw_keeps_every_text_with_its_own_keep(t: float) -> None:
    """Of the texts that the set's own draw has left, so many that of the whole pool keep(t) are."""
    rng = np.random.default_rng(3)
    rows = [
        _several(number, [text for text in ONE_OF_EACH if rng.random() < text.get("keep_probability", 1)])
        for number in range(6000)
    ]
    left = _left(Reading(t=t, redraw=True), rows)
    probabilities = {group: entry_probabilities(counts, t) for group, counts in COUNTS.items()}
    for text in ONE_OF_EACH[:3]:
        keep = keep_probability(text["entry_ids"], probabilities["image", text["vocabulary_lang"]])
        own = min(keep, text["keep_probability"])  # what the set has lost comes back at no t
        assert abs(np.mean([text["text"] in texts for texts in left]) - own) < 0.02, text["text"]


def test_a_sample_goes_with_the_last_of_its_balanced_texts() -> None:
    rows = [_several(number, ONE_OF_EACH[:1] + ONE_OF_EACH[3:]) for number in range(2000)]
    left = _left(Reading(t=300, redraw=True), rows)  # keep(300) = 0.1, of 0.2
    assert {frozenset(texts) for texts in left} == {frozenset(), frozenset({"head", "a model's"})}
    assert abs(np.mean([bool(texts) for texts in left]) - 0.5) < 0.04
    epochs = [_left(Reading(t=300, redraw=True), rows, epoch) for epoch in (0, 1, 0)]
    assert epochs[0] == epochs[2] != epochs[1]


def test_the_thresholds_of_the_set_draw_nothing_away() -> None:
    rows = [_several(number) for number in range(200)]
    everything = {text["text"] for text in ONE_OF_EACH}
    assert all(texts == everything for texts in _left(Reading(t=500), rows))
    of = {text["text"]: keep_probability(text["entry_ids"], entry_probabilities(COUNTS["image", "en"], 600.0))
          for text in ONE_OF_EACH[:2]}  # fmt: skip
    texts = [{**text, "keep_probability": of[text["text"]]} for text in ONE_OF_EACH[:2]]
    rows = [_several(number, texts) for number in range(200)]
    assert all(texts == {"head", "tail"} for texts in _left(Reading(t=600, redraw=True), rows))


@given(data=st.data(), small=st.floats(1, 40), more=st.floats(0, 40), names=st.sampled_from(["chosen", "weighted"]))
def test_stored_texts_lie_within_those_of_larger_t(data: Any, small: float, more: float, names: str) -> None:
    """And what is handed out is one of them: none that the set at t would not have."""
    critical = st.none() | st.floats(1, 80)
    drawn = data.draw(st.lists(st.tuples(critical, st.sampled_from([0.0, 1.0])), min_size=1, max_size=5))
    texts = [
        {"text": str(number), "weight": weight}
        | ({} if t is None else {"critical_threshold": t, "keep_probability": 1.0, "vocabulary_lang": "en"})
        for number, (t, weight) in enumerate(drawn)
    ]
    row = _several(1, texts, vocabulary_lang="en")
    inner, outer = (_left(Reading(t=t, text=names), [row])[0] for t in (small, small + more))
    assert inner <= outer
    reading = Reading(t=small, text=names)
    (verdict,) = Balancer(reading, None, frozenset(), 0).verdicts([row], ["k"])
    balanced = [t for t, _ in drawn if t is not None]
    expected = min(balanced, default=5.0) <= small
    if names == "chosen":
        assert (verdict.reason is None) == expected
    if verdict.reason is None:
        found = TextChoice(reading.texts, 0, 0).of(row, "k", verdict.texts)
        if found is not None:
            t, weight = drawn[int(found["text"])]
            assert t is None or t <= small
            assert weight or names == "chosen"


def test_the_first_text_that_is_left_stands_for_the_sample() -> None:
    texts = [
        {**ONE_OF_EACH[0], "critical_threshold": 50.0},
        {**ONE_OF_EACH[1], "critical_threshold": 2.0, "weight": 0.0},
        {**ONE_OF_EACH[2], "critical_threshold": 3.0},
    ]
    row = _several(1, texts)
    for t, expected in ((60, "head"), (4, "German"), (2.5, "tail")):
        (verdict,) = Balancer(Reading(t=t), None, frozenset(), 0).verdicts([row], ["k"])
        found = TextChoice(("chosen",), 0, 0).of(row, "k", verdict.texts)
        assert found is not None and found["text"] == expected
    assert _left_out(Reading(t=1.5), [row]) == ["t"]
    part = _several(1, [texts[0], {**texts[2], "start_ms": 0}])
    assert _left_out(Reading(t=4), [part]) == ["t"]  # a text about a part does not stand for the sample
    assert _left_out(Reading(t=4, text="vlm"), [row]) == [None]  # broken, whatever t: it never had one
    assert _left_out(Reading(t=2.5, text="weighted"), [row]) == ["t"]  # what is left weighs nothing
    assert _left_out(Reading(t={"en": 1, "de": 4}), [row]) == [None]


def test_texts_that_nobody_drew_go_with_the_sample() -> None:
    """With captions.balance the first text carries the draw, and the others go along."""
    texts = [{**ONE_OF_EACH[0], "text": "caption"}, {"text": "alt"}]
    assert _left(Reading(t=500), [_several(1, texts)]) == [{"caption", "alt"}]
    assert _left_out(Reading(t=499), [_several(1, texts)]) == ["t"]
    alone = [_several(n, [{"text": "alt"}], critical_threshold=t) for n, t in enumerate((5.0, 6.0))]
    for redraw in (False, True):
        assert _left_out(Reading(t=5, redraw=redraw), alone) == [None, "t"]


def test_forgotten_media_and_other_modalities_are_left_out() -> None:
    rows = [_row(0, modality="video"), _row(1), _row(2)]
    found = _left_out(Reading(modality="image"), rows, gone=frozenset({rows[1]["media_id"]}))
    assert found == ["modality", "forgotten", None]


def test_samples_with_words_about_forgotten_media_are_left_out() -> None:
    """Whatever text is asked for: the words are in their other columns, too."""
    texts = [{"text": "own", "text_media_id": "here"}, {"text": "other's", "text_media_id": "gone"}]
    rows = [_several(0, texts), _several(1, texts[:1]), _several(2, [{"text": "caption", "text_media_id": None}])]
    for reading in (Reading(), Reading(text="weighted"), Reading(t=5), Reading(t=5, redraw=True)):
        assert _left_out(reading, rows, gone=frozenset({"gone"})) == ["forgotten", None, None]


def test_what_cannot_be_balanced_is_said() -> None:
    foreign = {"key": "1", "caption": "x"}
    with pytest.raises(InputError, match="these samples carry no critical_threshold"):
        Balancer(Reading(t=5), None, frozenset(), 0).verdicts([foreign], ["1"])
    with pytest.raises(BalanceError, match="no counts of entries for image/fr, only for: image/de, image/en"):
        _left_out(Reading(t=5, redraw=True), [_row(1, vocabulary_lang="fr", entry_ids=[0])])
    endless = _row(1, critical_threshold=None)  # JSON has no infinity
    assert _left_out(Reading(t=1e9), [endless]) == ["t"]


@pytest.mark.parametrize(
    ("reading", "wrong", "said"),
    [
        (Reading(t=5, redraw=True), {"entry_ids": [99]}, "matches and counts are of different vocabularies"),
        (Reading(t=5, redraw=True), {"entry_ids": [-1]}, "matches and counts are of different vocabularies"),
        (Reading(t=5, redraw=True), {"entry_ids": ["x"]}, "invalid literal"),
        (Reading(t=5, redraw=True), {"text": "\ud800"}, "is not Unicode"),
        (Reading(t=5, redraw=True), {"keep_probability": "x"}, "could not convert"),
        (Reading(t=5), {"critical_threshold": "x"}, "not supported between"),
        (Reading(t=5), {"texts": 7}, "not iterable"),
        (Reading(t=5), {"texts": ["x"]}, "no attribute 'get'"),
        (Reading(t={"en": 5}), {"vocabulary_lang": []}, "unhashable"),
    ],
)
def test_rows_that_are_not_as_the_manifest_has_them_are_broken(reading: Reading, wrong: Any, said: str) -> None:
    rows = [_row(1), _row(2) | {"vocabulary_lang": "en", "entry_ids": [0]} | wrong, _row(4)]
    balancer = Balancer(reading, EntryCounts(COUNTS), frozenset(), 0)
    if isinstance(reading.t, dict):
        rows = rows[1:2]
    faults = [verdict.fault for verdict in balancer.verdicts(rows, ["a", "b", "c"][: len(rows)])]
    assert [str(fault) for fault in faults if fault] and said in str(next(fault for fault in faults if fault))
    assert sum(fault is not None for fault in faults) == 1


def test_t_by_language_leaves_out_what_is_of_no_language() -> None:
    rows = [_row(1, vocabulary_lang="en"), _row(2, vocabulary_lang=None)]
    assert _left_out(Reading(t={"en": 1e9}), rows) == [None, "no_vocabulary_lang"]
    texts = [{**ONE_OF_EACH[0], "vocabulary_lang": None}, ONE_OF_EACH[1]]
    assert _left(Reading(t={"en": 1e9}), [_several(1, texts)]) == [{"tail"}]
    with pytest.raises(BalanceError, match="t names no threshold for image/en: it has de; give one for 'en'"):
        _left_out(Reading(t={"de": 10}), rows)


def test_counts_come_from_a_work_folder_or_a_file(bed: Any, tmp_path: Path) -> None:
    counts = EntryCounts.read(bed.work)
    assert counts.of(("image", "en")).max() > 10
    table = pa.table({"modality": ["image", "image"], "vocabulary_lang": ["en", "en"], "entry_id": [3, 0],
                      "count": [7.0, 2.0], "more": [0, 0]})  # fmt: skip
    pq.write_table(table, tmp_path / "counts.parquet")
    assert EntryCounts.read(tmp_path / "counts.parquet").of(("image", "en")).tolist() == [2, 0, 0, 7]
    for strange in ("gone.parquet", "other.parquet"):
        (tmp_path / "other.parquet").write_bytes(b"no Parquet")
        with pytest.raises(InputError, match="holds no counts of entries: give a work folder, or the Parquet file"):
            EntryCounts.read(tmp_path / strange)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"t": 0.5}, "t is 0.5: give a number of texts, at least 1"),
        ({"t": float("nan")}, "t is nan"),
        ({"t": {"en": float("inf")}}, "t is inf"),
        ({"redraw": True}, "redraw needs a threshold: give t"),
        ({"even": True}, "even is True: choose one of drop, repeat, None"),
        ({"picture": "jpeg"}, "picture is 'jpeg': choose one of tensor, array, pil, bytes"),
        ({"shuffle": -1}, "shuffle is -1: give a whole number from 0"),
        ({"frames": 0}, "frames is 0: give a whole number from 1"),
        ({"text": ()}, "text names no kind of text"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"columns": "lang"}, r"columns is 'lang': give a tuple, \('lang',\)"),
        ({"columns": ("licence", "text")}, "columns names text, which samples have of their own"),
    ],
)
def test_readings_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Reading(**wrong)
