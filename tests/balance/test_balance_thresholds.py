"""Thresholds of all languages from a pivot's t or a tail share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import Rule, Thresholds, tail_share, threshold_for_tail_share, thresholds_for
from curation.errors import BalanceError

LANGUAGES = st.sampled_from(["en", "de", "ja", "sw", "other"])
ENTRIES = st.lists(st.integers(0, 5) | st.integers(0, 10**9), max_size=12)
COUNTS = st.dictionaries(LANGUAGES, ENTRIES, max_size=5)
RULES: list[Rule] = ["step", "interpolated"]


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)
@given(counts=COUNTS, p=st.floats(0, 1))
def test_with_a_tail_share_every_language_follows_it(rule: Rule, counts: dict[str, list[int]], p: float) -> None:
    if not any(any(entries) for entries in counts.values()):
        with pytest.raises(BalanceError, match="no language has a match"):
            thresholds_for(counts, p=p, rule=rule)
        return
    found = thresholds_for(counts, p=p, rule=rule)
    assert found.tail_share == p
    assert set(found.by_language) == set(counts)
    for lang, t in found.by_language.items():
        assert t == (threshold_for_tail_share(counts[lang], p, rule=rule) if any(counts[lang]) else 1.0)
        assert 1 <= t < math.inf


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)
@given(counts=COUNTS, t=st.floats(1, 2e9))
def test_with_t_the_pivot_keeps_it_and_the_others_follow(rule: Rule, counts: dict[str, list[int]], t: float) -> None:
    if not any(counts.get("en", [])):
        with pytest.raises(BalanceError):
            thresholds_for(counts, t=t, rule=rule)
        return
    found = thresholds_for(counts, t=t, rule=rule)
    p = tail_share(counts["en"], t)
    assert found == Thresholds(found.by_language, p, "en")
    for lang, entries in counts.items():
        expected = threshold_for_tail_share(entries, p, rule=rule) if any(entries) else 1.0
        assert found.by_language[lang] == (t if lang == "en" else expected)


def test_vector_and_tiny_languages() -> None:
    counts = {"en": [1, 2, 7, 10], "xx": [1, 3, 6, 10], "one": [1], "equal": [4, 4, 4], "none": [0], "empty": []}
    found = thresholds_for(counts, t=5)
    assert found == Thresholds({"en": 5, "xx": 3, "one": 1, "equal": 4, "none": 1, "empty": 1}, 0.15, "en")
    assert thresholds_for(counts, pivot="xx", t=3).by_language["en"] == 1
    assert thresholds_for({"en": np.array([1, 2, 7, 10])}, t=1).tail_share == 0


def test_without_a_pivot_a_tail_share_is_asked_for() -> None:
    for counts in ({"de": [1, 2]}, {"de": [1, 2], "en": [0, 0]}, {"de": [1], "en": []}):
        with pytest.raises(BalanceError, match=r"'en', which has no match here .*de.*give a tail share"):
            thresholds_for(counts, t=20)
        assert thresholds_for(counts, p=0.06).by_language["de"] == 1


def test_bad_arguments_are_errors() -> None:
    counts = {"en": [1, 2]}
    for t in (0.5, 0, -1, math.nan, math.inf):
        with pytest.raises(BalanceError, match="at least 1"):
            thresholds_for(counts, t=t)
    for p in (-0.1, 1.5, math.nan):
        with pytest.raises(BalanceError, match="no share"):
            thresholds_for(counts, p=p)
    for given_ in ({}, {"t": 1.0, "p": 0.1}):
        with pytest.raises(BalanceError, match="exactly one"):
            thresholds_for(counts, **given_)
    with pytest.raises(BalanceError, match="unknown rule"):
        thresholds_for(counts, t=2, rule="nearest")  # type: ignore[arg-type]
    with pytest.raises(BalanceError, match="no language has a match"):
        thresholds_for({}, p=0.1)
    with pytest.raises(BalanceError, match="counts"):
        thresholds_for({"en": [1], "de": [-3]}, t=1)
