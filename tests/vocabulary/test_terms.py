"""Cleaning and choosing terms, against the definitions written plainly."""

from __future__ import annotations

import time
import unicodedata
from fractions import Fraction
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.concepts.prepare import WHITE_SPACE
from curation.errors import VocabularyError
from curation.vocabulary.terms import clean, clean_rows, numbers, ranked, top

# Every character below U+10000 that Unicode's emoji-data.txt gives Emoji_Presentation.
BMP_EMOJI = (
    "⌚⌛⏩⏪⏫⏬⏰⏳◽◾☔☕♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽"
    "⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓❔❕❗➕➖➗➰➿⬛⬜⭐⭕"
)

MIXED = st.text(
    st.one_of(
        st.sampled_from("ab .-!#'\t\n\x00\x1f\x85\xa0\u200d\u2028\u3000\u0301\ufe0f★©⚽😀กา국" + WHITE_SPACE),
        st.characters(exclude_categories=["Cn", "Cs"]),  # Cn: newer Unicode tables may know it
    ),
    max_size=12,
)
SCORES = st.one_of(st.none(), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False))


def judged(entry: str | None) -> tuple[str | None, str | None]:
    """The definition: the tidied entry, or the reason for which it is dropped."""
    text = (entry or "").strip()
    if not text:
        return None, "empty"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        return None, "control_character"
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if len(text) > 256:
        return None, "too_long"
    bare = all(
        unicodedata.category(character)[0] in "PSZM" or unicodedata.category(character) == "Cf" for character in text
    )
    return (None, "punctuation") if bare and not has_emoji(text) else (text, None)


def has_emoji(text: str) -> bool:
    pictures = any(character in BMP_EMOJI or "\U0001f1e6" <= character <= "\U0001faff" for character in text)
    pairs = pairwise(text)
    return pictures or any(unicodedata.category(one) == "So" and two == "\ufe0f" for one, two in pairs)


@given(st.lists(st.one_of(st.none(), MIXED), max_size=20))
@example(["★", "⚽", "❤", "❤\ufe0f", "#\ufe0f", "!!!", "...", "\u200d", "\u0301", "a\tb", "a \u3000 b", None, ""])
def test_clean_is_the_definition(entries: list[str | None]) -> None:
    expected = [judged(entry) for entry in entries]
    terms, dropped = clean_rows(entries)
    assert terms.to_pylist() == [text for text, _ in expected]
    reasons = [reason for _, reason in expected]
    assert dropped == {
        reason: reasons.count(reason) for reason in ("empty", "control_character", "too_long", "punctuation")
    }
    kept, counted = clean(entries)
    assert kept.to_pylist() == [text for text, _ in expected if text is not None]
    assert counted == dropped


@given(st.lists(MIXED, max_size=20))
def test_clean_changes_nothing_twice(entries: list[str]) -> None:
    once, _ = clean(entries)
    twice, dropped = clean(once)
    assert twice.equals(once)
    assert not any(dropped.values())


@pytest.mark.parametrize("emoji", [*BMP_EMOJI, "😀", "🇫🇷", "🦖", "👩\u200d🚒", "❤\ufe0f", "☀\ufe0f"])
def test_emoji_are_concepts(emoji: str) -> None:
    assert clean([emoji, f"{emoji}!"])[0].to_pylist() == [emoji, f"{emoji}!"]


@pytest.mark.parametrize("text", ["★", "☆☆☆", "♪", "→", "$", "--", "« »", "。", "©", "#\ufe0f", "\u200b", "\u0e31"])
def test_symbols_are_none(text: str) -> None:
    assert clean([text])[1]["punctuation"] == 1


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ("a" * 256, True),
        ("a" * 257, False),
        (" " * 500 + "a" + " " * 500 + "b", True),  # measured as tidied
        ("e\u0301" * 256, True),  # 256 characters once composed
        ("e\u0301" * 257, False),
        (unicodedata.normalize("NFD", "\u1f82") * 256, True),  # the longest decomposition, four code points each
        ("\u0958" * 129, False),  # NFC makes two code points of each
        ("😀" * 256, True),
        ("😀" * 257, False),
    ],
)
def test_the_limit_is_256_code_points_as_tidied(entry: str, kept: bool) -> None:
    terms, dropped = clean([entry])
    assert (len(terms), dropped["too_long"]) == ((1, 0) if kept else (0, 1))


@pytest.mark.parametrize("entry", ["\ud800", "a\udfffb", "cat\x00", "cat\x7f", "two\nlines", "a\u2029b", "a\x85b"])
def test_control_characters_and_lone_surrogates_go(entry: str) -> None:
    terms, dropped = clean([entry, "dog"])
    assert terms.to_pylist() == ["dog"]
    assert dropped["control_character"] == 1


@pytest.mark.parametrize(
    "entries",
    [
        pa.array([" cat", None, "dog "]),
        pa.array([" cat", None, "dog "], pa.large_string()),
        pa.array([" cat", None, "dog "]).dictionary_encode(),
        pa.chunked_array([[" cat", None], ["dog "]]),
        pa.array(["x", " cat", None, "dog "])[1:],
    ],
)
def test_arrow_of_any_kind_is_taken(entries: pa.Array) -> None:
    terms, dropped = clean(entries)
    assert isinstance(terms, pa.LargeStringArray)
    assert (terms.to_pylist(), dropped["empty"]) == (["cat", "dog"], 1)


@pytest.mark.parametrize("entries", [[], pa.array([], pa.string()), pa.chunked_array([], pa.string()), [None], [""]])
def test_nothing_gives_nothing(entries: pa.Array) -> None:
    assert len(clean(entries)[0]) == 0
    assert [len(array) for array in top([], [])] == [0, 0]
    assert [len(array) for array in top([], [], min_score=1, top_share=0.5, max_entries=3)] == [0, 0]
    assert [len(array) for array in ranked(pa.chunked_array([], pa.string()), [])] == [0, 0]


@pytest.mark.parametrize(
    "hostile", ["a" + "\u0301\u0327" * 500_000, " \u3000" * 500_000, "." * 1_000_000, "é " * 500_000]
)
def test_a_megabyte_takes_no_time(hostile: str) -> None:
    begun = time.monotonic()
    assert len(clean([hostile, "cat"])[0]) == 1
    assert time.monotonic() - begun < 5


def by_rank(pair: tuple[str, float | None]) -> tuple[bool, float, list[int]]:
    text, score = pair
    return score is None, -(score or 0), [ord(character) for character in text]


TEXTS = st.text(st.sampled_from("aAzé０\uffee\U00010000😀"), max_size=3)
PAIRS = st.lists(st.tuples(TEXTS, st.one_of(st.none(), st.integers(-2, 2), st.sampled_from([0.5, -0.0]))), max_size=25)


def columns(pairs: list[tuple[str, float | None]]) -> tuple[list[str], pa.Array]:
    return [text for text, _ in pairs], pa.array([score for _, score in pairs], pa.float64())


@given(PAIRS)
def test_ranked_is_by_score_then_code_points(pairs: list[tuple[str, float | None]]) -> None:
    terms, scores = ranked(*columns(pairs))
    expected = sorted(pairs, key=by_rank)
    assert terms.to_pylist() == [text for text, _ in expected]
    assert scores.to_pylist() == [score for _, score in expected]


@given(
    PAIRS,
    st.one_of(st.none(), st.integers(-2, 2)),
    st.one_of(st.none(), st.sampled_from(["0.1", "0.29", "0.5", "0.76", "1"])),
    st.one_of(st.none(), st.integers(1, 8)),
    st.randoms(),
)
def test_top_is_the_definition_in_any_order(pairs, min_score, top_share, max_entries, random) -> None:
    best: dict[str, float | None] = {}
    for text, score in pairs:
        known = best.get(text)
        best[text] = score if known is None else max(known, known if score is None else score)
    expected = sorted(best.items(), key=by_rank)
    if top_share is not None:
        expected = expected[: max(1, int(Fraction(top_share) * len(best)))]
    expected = expected[:max_entries]
    expected = [pair for pair in expected if min_score is None or (pair[1] is not None and pair[1] >= min_score)]
    share = None if top_share is None else float(top_share)
    shuffled = random.sample(pairs, len(pairs))
    for given_pairs in (pairs, shuffled):
        terms, scores = top(*columns(given_pairs), min_score=min_score, top_share=share, max_entries=max_entries)
        assert list(zip(terms.to_pylist(), scores.to_pylist(), strict=True)) == expected


def test_a_share_is_of_all_distinct_terms_and_decimal() -> None:
    terms = [f"{number:03}" for number in range(100)]
    scores = list(range(100))
    assert len(top(terms * 2, scores * 2, top_share=0.29)[0]) == 29  # 0.29 * 100 is 28.999999999999996 in floats
    assert len(top(terms, scores, top_share=0.5, min_score=90)[0]) == 10
    assert len(top(terms, scores, top_share=0.05, min_score=50)[0]) == 5  # of the 100, not of the 50
    assert len(top(terms, scores, top_share=0.001)[0]) == 1


def test_counts_keep_their_type_and_every_digit() -> None:
    terms, scores = top(["a", "b"], pa.array([2**60, 2**60 + 1]))
    assert (terms.to_pylist(), scores.to_pylist(), scores.type) == (["b", "a"], [2**60 + 1, 2**60], pa.int64())


def test_many_equal_scores_stay_in_the_order_of_their_texts() -> None:
    texts = [f"{number * 7919 % 100_003:06}" for number in range(100_000)]
    terms, _ = top(texts, pa.array([number % 3 for number in range(100_000)]))
    scores = dict(zip(texts, (number % 3 for number in range(100_000)), strict=True))
    assert terms.to_pylist() == sorted(texts, key=lambda text: (-scores[text], text))


@pytest.mark.parametrize("limits", [{"top_share": 0}, {"top_share": 1.1}, {"top_share": -0.1}, {"max_entries": 0}])
def test_limits_out_of_range_are_errors(limits: dict[str, float]) -> None:
    with pytest.raises(VocabularyError, match=next(iter(limits))):
        top(["a"], [1.0], **limits)


def test_the_numbers() -> None:
    assert numbers() == [str(number) for number in range(100)]
    assert len(clean(numbers())[0]) == 100
