"""Sentences with times, what is said in a clip, blocks for a language model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.timed_text import Cue, Word, blocks, sentences, text_within
from curation.captions.timed_text.sentences import MAX_GAP_MS, MAX_WORDS


def split(*texts: str) -> list[str]:
    """Sentences of cues of a second each."""
    return [cue.text for cue in sentences([Cue(1000 * at, 1000 * at + 1000, text) for at, text in enumerate(texts)])]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["One. Two! Three? Four… Five"], ["One.", "Two!", "Three?", "Four…", "Five"]),
        (["Add the", "flour. Then", "stir."], ["Add the flour.", "Then stir."]),
        (["It costs 3.50 at 5.30 p.m. today."], ["It costs 3.50 at 5.30 p.m. today."]),
        (["Dr. Smith and Mr.", "J. K. Jones left. Bye."], ["Dr. Smith and Mr. J. K. Jones left.", "Bye."]),
        (["So do I. You?"], ["So do I.", "You?"]),
        (["1. Cut it. 2. Fry it."], ["1. Cut it.", "2. Fry it."]),
        (['"Stop!" she said. (Really.) Yes'], ['"Stop!"', "she said.", "(Really.)", "Yes"]),
        (["Well... maybe. Oh... No"], ["Well... maybe.", "Oh...", "No"]),
        (["what? go. now"], ["what?", "go.", "now"]),
        (["今日は。元気！", "はい」と。そう"], ["今日は。", "元気！", "はい」と。", "そう"]),
        (["كيف حالك؟ بخير। ठीक"], ["كيف حالك؟", "بخير।", "ठीक"]),
        (["元気", "です。OK"], ["元気です。", "OK"]),
        (["...and so", "...on."], ["...and so ...on."]),
        (["v1.2.3 of example.com/a.b is out"], ["v1.2.3 of example.com/a.b is out"]),
        ([" two  lines\nhere. ", "\n", "Yes"], ["two lines here.", "Yes"]),
    ],
)
def test_where_sentences_end(texts: list[str], expected: list[str]) -> None:
    assert split(*texts) == expected


def test_times_in_proportion_to_characters() -> None:
    found = sentences([Cue(1000, 3000, "Abcd. Efgh. I"), Cue(3000, 4000, "jk. Lm")])
    assert [(cue.start_ms, cue.end_ms, cue.text) for cue in found] == [
        (1000, round(1000 + 2000 * 5 / 13), "Abcd."),
        (round(1000 + 2000 * 6 / 13), round(1000 + 2000 * 11 / 13), "Efgh."),
        (round(1000 + 2000 * 12 / 13), 3500, "I jk."),
        (round(3000 + 1000 * 4 / 6), 4000, "Lm"),
    ]


def test_times_of_words_where_they_are_known() -> None:
    one = Cue(1000, 3000, "One. Two", (Word(1000, "One."), Word(2500, "Two")))
    two = Cue(3000, 4000, "three. Four", (Word(3000, "three."), Word(3300, "Four")))
    found = sentences([one, two, Cue(4000, 5000, "five. Six")])
    assert found[:2] == [
        Cue(1000, 2500, "One.", (Word(1000, "One."),)),
        Cue(2500, 3300, "Two three.", (Word(2500, "Two"), Word(3000, "three."))),
    ]
    assert found[2] == Cue(3300, 4556, "Four five.")


@pytest.mark.parametrize("text", ["今日は OK です", "a b c d", "今日は元気", "OK です ね"])
def test_spaces_between_words_are_those_of_the_cue(text: str) -> None:
    words = tuple(Word(place, part) for place, part in enumerate(re.findall("今日は|OK|です|元気|ね|[a-d]", text)))
    assert [cue.text for cue in sentences([Cue(0, 900, text, words)])] == [text]


def test_silence_ends_a_sentence() -> None:
    near, far = Cue(1000 + MAX_GAP_MS, 9000, "b"), Cue(1001 + MAX_GAP_MS, 9000, "b")
    assert [cue.text for cue in sentences([Cue(0, 1000, "a"), near])] == ["a b"]
    assert [cue.text for cue in sentences([Cue(0, 1000, "a"), far])] == ["a", "b"]
    heard = Cue(0, 9000, "a b c", (Word(0, "a"), Word(500, "b"), Word(501 + MAX_GAP_MS, "c")))
    assert [(cue.text, cue.start_ms, cue.end_ms) for cue in sentences([heard])] == [
        ("a b", 0, 500 + MAX_GAP_MS),
        ("c", 501 + MAX_GAP_MS, 501 + 2 * MAX_GAP_MS),
    ]


@pytest.mark.parametrize(("unit", "each"), [("word ", 1), ("你好", 1), ("你", 0.5)])
def test_what_goes_on_without_an_end_is_cut(unit: str, each: float) -> None:
    count = round((2 * MAX_WORDS + 7) / each)
    found = sentences([Cue(0, 60_000, (unit * count).strip())])
    size = round(MAX_WORDS / each)
    assert [cue.text for cue in found] == [(unit * part).strip() for part in (size, size, round(7 / each))]


_TEXT = st.text("aB. !?。你5", min_size=1, max_size=12).filter(str.strip)


@st.composite
def tracks(draw: st.DrawFn) -> list[Cue]:
    """Cues one after the other, as cleaning leaves them, some with times of words."""
    found, now = [], 0
    for text in draw(st.lists(_TEXT, max_size=8)):
        start = now + draw(st.sampled_from([0, 0, 100, 5000]))
        now = start + draw(st.integers(1, 4000))
        text = " ".join(text.split())  # noqa: PLW2901
        words: tuple[Word, ...] = ()
        if draw(st.booleans()):
            times = sorted(draw(st.integers(start, now)) for _ in text.split())
            words = tuple(Word(ms, part) for ms, part in zip(times, text.split(), strict=True))
        found.append(Cue(start, now, text, words))
    return found


@given(tracks())
def test_sentences_say_all_in_order(cues: list[Cue]) -> None:
    found = sentences(cues)
    assert "".join("".join(cue.text.split()) for cue in found) == "".join("".join(cue.text.split()) for cue in cues)
    assert [cue.start_ms for cue in found] == sorted(cue.start_ms for cue in found)
    for cue in found:
        assert cue.start_ms < cue.end_ms
        assert cues[0].start_ms <= cue.start_ms
        assert cue.end_ms <= max(cues[-1].end_ms, cue.start_ms + 1)
        assert not cue.words or "".join(word.text for word in cue.words) == "".join(cue.text.split())
    if all(cue.words for cue in cues):
        given_words = {word.start_ms for cue in cues for word in cue.words}
        assert all(cue.start_ms in given_words or "。" in "".join(one.text for one in cues) for cue in found)


def by_definition(cues: list[Cue], start: int, end: int, share: float) -> list[str]:
    parts = []
    for cue in cues:
        if not cue.words:
            parts.append((cue.start_ms, cue.end_ms, cue.text))
        for number, word in enumerate(cue.words):
            over = cue.words[number + 1].start_ms if number + 1 < len(cue.words) else cue.end_ms
            parts.append((word.start_ms, over, word.text))
    found = []
    for begin, over, text in parts:
        inside = len(range(max(begin, start), min(over, end)))
        if (start <= begin < end) if begin == over else (inside and inside / (over - begin) >= share):
            found.append(text)
    return found


@given(tracks(), st.integers(0, 9000), st.integers(1, 9000), st.sampled_from([0.01, 0.25, 0.5, 0.75, 1.0]))
def test_text_within_is_what_overlaps_enough(cues: list[Cue], start: int, length: int, share: float) -> None:
    expected = "".join("".join(by_definition(cues, start, start + length, share)).split())
    assert "".join(text_within(cues, start, start + length, share).split()) == expected


def test_text_within_takes_whole_cues_and_single_words() -> None:
    cues = [Cue(0, 1000, "one two"), Cue(1000, 3000, "three four", (Word(1000, "three"), Word(2000, "four")))]
    assert text_within(cues, 500, 2400) == "one two three"
    assert text_within(cues, 501, 2500) == "three four"
    assert text_within(cues, 500, 2400, share=0.4) == "one two three four"
    assert text_within(cues, 3000, 9000) == ""
    assert text_within([Cue(0, 9, "你好"), Cue(9, 18, "吗")], 0, 18) == "你好吗"


def _sentence(second: int, count: int) -> Cue:
    return Cue(1000 * second + 999, 1000 * second + 1500, " ".join(["word"] * count))


def test_blocks_of_200_words() -> None:
    sizes = {0: 120, 9: 80, 20: 1, 30: 300, 40: 5, 50: 6}
    told = [_sentence(second, size) for second, size in sizes.items()]
    found = blocks(told)
    assert [[len(one.text.split()) for one in block.sentences] for block in found] == [[120, 80], [1], [300], [5, 6]]
    assert [(block.start_ms, block.end_ms) for block in found] == [
        (999, 10_500),
        (20_999, 21_500),
        (30_999, 31_500),
        (40_999, 51_500),
    ]
    assert found[3].text() == "40s: word word word word word\n50s: word word word word word word"
    assert blocks([]) == []
    with pytest.raises(ValueError, match="words 0"):
        blocks(told, 0)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 40))
def test_blocks_are_full(sizes: list[int], words: int) -> None:
    told = [_sentence(number, size) for number, size in enumerate(sizes)]
    found = blocks(told, words)
    assert [one for block in found for one in block.sentences] == told
    counts = [[len(one.text.split()) for one in block.sentences] for block in found]
    for count, after in zip(counts, [*counts[1:], [words]], strict=True):
        assert sum(count) <= words or len(count) == 1
        assert sum(count) + after[0] > words
