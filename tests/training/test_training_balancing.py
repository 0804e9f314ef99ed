"""Balance at t, by what is stored and drawn anew, against the formula."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.balance import entry_probabilities, keep_probability, pair_id, uniforms
from curation.errors import BalanceError, InputError
from curation.training.balancing import Balancer, EntryCounts
from curation.training.reading import Reading

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
    return balancer.left_out(rows, [row["sample_id"] for row in rows])


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


def test_drawn_texts_are_drawn_by_their_own_entries() -> None:
    same = {"weight": 1, "vocabulary_lang": "en", "captioner": "alt", "kind": "alt"}
    texts = [{**same, "text": "a", "entry_ids": [3]}, {**same, "text": "b", "entry_ids": [0]}]
    rows = [_row(number, entry_ids=[3], vocabulary_lang="en", texts=texts) for number in range(2000)]
    kept = [reason is None for reason in _left_out(Reading(t=300, redraw=True, text="weighted"), rows)]
    assert abs(np.mean(kept) - (0.1 + 1) / 2) < 0.04


def test_forgotten_media_and_other_modalities_are_left_out() -> None:
    rows = [_row(0, modality="video"), _row(1), _row(2)]
    found = _left_out(Reading(modality="image"), rows, gone=frozenset({rows[1]["media_id"]}))
    assert found == ["modality", "forgotten", None]


def test_what_cannot_be_balanced_is_said() -> None:
    foreign = {"key": "1", "caption": "x"}
    with pytest.raises(InputError, match="these samples carry no critical_threshold"):
        Balancer(Reading(t=5), None, frozenset(), 0).left_out([foreign], ["1"])
    with pytest.raises(BalanceError, match="no counts of entries for image/fr, only for: image/de, image/en"):
        _left_out(Reading(t=5, redraw=True), [_row(1, vocabulary_lang="fr", entry_ids=[0])])
    with pytest.raises(BalanceError, match="matches and counts are of different vocabularies"):
        _left_out(Reading(t=5, redraw=True), [_row(1, vocabulary_lang="en", entry_ids=[99])])
    endless = _row(1, critical_threshold=None)  # JSON has no infinity
    assert _left_out(Reading(t=1e9), [endless]) == ["t"]


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
    ],
)
def test_readings_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Reading(**wrong)
