"""Times for corrected words by dynamic time warping, and segments of transcripts."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.timed_text import Word, transcripts
from curation.captions.timed_text.transcripts import (
    MIN_CHARACTERS,
    SEGMENT_MS,
    Segment,
    align_words,
    plain_tokens,
    sample_segments,
)


def raw(*texts: str) -> list[Word]:
    return [Word(100 * place, text) for place, text in enumerate(texts)]


def cheapest(recognised: list[str], corrected: list[str]) -> list[list[int]]:
    """Cost of the cheapest warping that leads over each pair, by the definition."""

    def costs(left: list[str], right: list[str]) -> list[list[int]]:
        table = [[0] * len(right) for _ in left]
        for row, one in enumerate(left):
            for column, two in enumerate(right):
                before = [
                    table[up][back]
                    for up, back in ((row - 1, column), (row, column - 1), (row - 1, column - 1))
                    if up >= 0 and back >= 0
                ]
                table[row][column] = (one != two) + min(before, default=0)
        return table

    forward = costs(corrected, recognised)
    backward = [line[::-1] for line in costs(corrected[::-1], recognised[::-1])[::-1]]
    return [
        [forward[row][column] + backward[row][column] - (one != two) for column, two in enumerate(recognised)]
        for row, one in enumerate(corrected)
    ]


_TOKENS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=12)


@given(_TOKENS, _TOKENS)
def test_words_lie_on_a_cheapest_way(recognised: list[str], corrected: list[str]) -> None:
    found = align_words(raw(*recognised), corrected)
    assert [word.text for word in found] == corrected
    times = [word.start_ms for word in found]
    assert times == sorted(times)
    table = cheapest(recognised, corrected)
    least = table[0][0]
    assert all(table[row][ms // 100] == least for row, ms in enumerate(times))


@given(st.lists(st.sampled_from(["a", "b", "dog", "Dog"]), max_size=20))
def test_the_same_words_keep_their_times(texts: list[str]) -> None:
    assert align_words(raw(*texts), texts) == raw(*texts)


def test_corrected_words_get_the_times_of_what_was_heard() -> None:
    heard = raw("so", "the", "uh", "quick", "brown", "fox", "um", "jumps", "over", "over", "lazy", "dog")
    found = align_words(heard, ["The", "quick,", "brown", "fox", "jumps", "over", "the", "lazy", "dog."])
    assert [(word.start_ms // 100, word.text) for word in found] == [
        *((1, "The"), (3, "quick,"), (4, "brown"), (5, "fox"), (7, "jumps"), (8, "over"), (9, "the"), (10, "lazy")),
        (11, "dog."),
    ]
    assert align_words([], ["a"]) == align_words(raw("a"), []) == []
    assert align_words(raw("..", "a"), ["?!", "a"]) == [Word(0, "?!"), Word(100, "a")]


def test_a_narrow_band_still_aligns_what_drifts_little(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [str(number) for number in range(3000)]
    kept = [text for number, text in enumerate(texts) if number % 10]
    expected = [word for number, word in enumerate(raw(*texts)) if number % 10]
    assert align_words(raw(*texts), kept) == expected
    monkeypatch.setattr(transcripts, "MAX_CELLS", 2 * 20 * len(kept))
    assert align_words(raw(*texts), kept) == expected


def test_long_transcripts_take_linear_time() -> None:
    begun = time.process_time()
    for one, two in ((10_000, 10_000), (20_000, 3), (3, 100_000), (1000, 15_000)):
        assert len(align_words(raw(*["a"] * one), ["b"] * two)) == two
    assert time.process_time() - begun < 5


def test_remains_of_references_are_no_words() -> None:
    texts = ["&amp;", "a", "&nbsp", "b;", "R&B", ";c"]
    assert [word.text for word in plain_tokens(raw(*texts))] == ["a", "R&B", ";c"]


_TALK = [Word(300 * place, f"word{place}") for place in range(1000)]


@given(st.integers(0, 10**9), st.integers(0, 300_000))
def test_segments_hold_the_words_that_begin_inside(seed: int, duration: int) -> None:
    found = sample_segments(_TALK, duration, seed)
    assert found == sample_segments(_TALK, duration, seed)
    if duration < 15_000:
        assert found is None
    if duration >= 23_000:
        assert found is not None
    if found is None:
        return
    assert len(found) == 4
    lengths = {segment.end_ms - segment.start_ms for segment in found}
    assert len(lengths) == 1
    assert 3000 <= lengths.pop() <= 5000
    assert found[0].start_ms >= 0
    assert found[-1].end_ms <= duration
    assert [after.start_ms - before.end_ms for before, after in pairwise(found)] == [1000] * 3
    for segment in found:
        inside = [word.text for word in _TALK if segment.start_ms < word.start_ms < segment.end_ms]
        assert segment.text.split() == inside


def test_words_at_the_edges_are_not_inside() -> None:
    plain = sample_segments(_TALK, 60_000, 5)
    assert plain is not None
    edges = [Word(moment, "edge") for segment in plain for moment in (segment.start_ms, segment.end_ms)]
    assert sample_segments([*_TALK, *edges], 60_000, 5) == plain
    near = [Word(moment, "near") for segment in plain for moment in (segment.start_ms + 1, segment.end_ms - 1)]
    found = sample_segments([*_TALK, *near], 60_000, 5)
    assert found is not None
    assert [segment.text for segment in found] == [f"{segment.text} near near" for segment in plain]


def test_draws_are_even_and_differ_by_seed() -> None:
    found = [sample_segments(_TALK, 119_000, f"video {number}") for number in range(400)]
    lengths = [one[0].end_ms - one[0].start_ms for one in found if one]
    starts = [one[0].start_ms / (119_000 - 3000 - 4 * (one[0].end_ms - one[0].start_ms)) for one in found if one]
    assert abs(sum(lengths) / 400 - 4000) < 100
    assert abs(sum(starts) / 400 - 0.5) < 0.05
    assert len(set(starts)) > 390


def test_the_draw_is_fixed_for_good() -> None:
    found = sample_segments(_TALK, 60_000, "golden")
    assert found is not None
    assert [segment[:2] for segment in found] == [(29630, 34208), (35208, 39786), (40786, 45364), (46364, 50942)]
    assert found[0] == Segment(29630, 34208, " ".join(f"word{number}" for number in range(99, 115)))


def test_a_segment_with_little_text_is_refused() -> None:
    assert (MIN_CHARACTERS, SEGMENT_MS) == (10, (3000, 5000))
    few = [Word(ms, "abcdefghi") for ms in range(0, 300_000, 5001)]
    assert all(sample_segments(few, 300_000, seed) is None for seed in range(20))
