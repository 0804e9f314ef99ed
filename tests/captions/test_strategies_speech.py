"""speech: blocks, the form of answers, times, alignment; and everything that is no caption."""

from __future__ import annotations

import re
import time

import pytest
from caption_fakes import (
    BLUE,
    GREEN,
    RED,
    ColouredMedia,
    ColourEmbedder,
    Played,
    ScriptedChat,
    captioner,
    cues,
    image,
    play,
    video,
    words,
)
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.films import CuesByTime
from curation.captions.models import Request
from curation.captions.strategies.speech import SaidCaption, parse_captions
from curation.captions.timed_text import Cue
from curation.errors import StageError

OWN = {"speech": "{block}"}
PLAIN = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


def one_block(answer: str, duration_ms: int = 60_000, **settings: object) -> Played:
    """A minute: red, 20 s green, blue; somebody speaks from second 10 to second 50."""
    media = ColouredMedia([RED, GREEN, BLUE], 20_000)
    sample = video(media, duration_ms, cues=cues((10, 30, "One thing."), (30, 50, "Another thing.")))
    return play(sample, captioner("speech", **settings), ScriptedChat([answer]), OWN, embedder=ColourEmbedder())


@given(st.lists(st.tuples(st.integers(0, 10**6), PLAIN), max_size=8))
def test_lines_come_back(rows: list[tuple[int, str]]) -> None:
    answer = "\n".join(f"{second}s: {text}" for second, text in rows)
    assert parse_captions(answer) == ([SaidCaption(second, text) for second, text in rows], 0)


@given(st.text())
def test_any_text_can_be_parsed(answer: str) -> None:
    captions, unformed = parse_captions(answer)
    lines = [line for line in answer.splitlines() if line.strip()]
    form = re.compile(r"[\s>*\-•]*(\d{1,3}[.)]\s+)?\**(?<!-)[0-9]{1,9}s:")
    assert unformed == sum(form.match(line) is None for line in lines)
    assert all(text and text == text.strip() for _, text in captions)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12s: A man cuts an onion.", [(12, "A man cuts an onion.")]),
        ("12s:A man cuts. He peels!  Done? Yes", [(12, "A man cuts."), (12, "He peels!"), (12, "Done?"), (12, "Yes")]),
        ("  - 7s: Water boils", [(7, "Water boils")]),
        ("-  **7s:** Water boils", [(7, "Water boils")]),
        ("* **7s:** Water boils", [(7, "Water boils")]),
        ("3. 7s: Water boils", [(7, "Water boils")]),
        ("> 7s: Water boils", [(7, "Water boils")]),
        ("007s: 1.5 cups of water", [(7, "1.5 cups of water")]),
        ("7s: 水を入れる。混ぜる。", [(7, "水を入れる。"), (7, "混ぜる。")]),
        ("7s:", []),
        ("7s: **", []),
    ],
)
def test_forms_of_a_line(line: str, expected: list[tuple[int, str]]) -> None:
    assert parse_captions(line) == (expected, 0)


@pytest.mark.parametrize(
    "line", ["At 12s: it boils", "12: it boils", "12 s: it", "-12s it", "1234567890s: it", "٣s: it", "-3s: it",
             "> -3s: it", "- -3s: it", "1. -3s: it"]
)  # fmt: skip
def test_no_captions(line: str) -> None:
    assert parse_captions(line) == ([], 1)


def test_each_block_is_asked_about_once_with_its_seconds() -> None:
    spoken = [(2.0 * place, 2.0 * place + 2, " ".join(["word"] * 9) + ".") for place in range(30)]
    chat = ScriptedChat(lambda request: words(request).partition(":")[0] + ": a red wall")
    sample = video(ColouredMedia([RED], 60_000), 60_000, cues=cues(*spoken))
    played = play(sample, captioner("speech", block_words=90), chat, OWN, embedder=ColourEmbedder())
    asked = [words(request).splitlines() for request in played.asked]
    assert [len(lines) for lines in asked] == [10, 10, 10]
    assert [line.partition(":")[0] for lines in asked for line in lines] == [f"> {2 * place}s" for place in range(30)]
    assert [caption.start_ms for caption in played.captions] == [0, 20_000, 40_000]
    assert all(not request.parts[:-1] for request in played.asked)


def test_captions_go_to_where_they_are_seen() -> None:
    """Said at 12: red is right there; green is whole from 20 on, 10 s are allowed; blue, from 40 on, is too far."""
    played = one_block("12s: a red wall\n12s: a green wall\n22s: a green wall\n12s: a blue wall")
    spans = [(each.text, each.start_ms, each.end_ms) for each in played.captions]
    assert spans[:2] == [("a red wall", 12_000, 20_000), ("a green wall", 20_000, 28_000)]
    assert spans[3] == ("a green wall", 22_000, 30_000)
    assert {each.kind for each in played.captions} == {"speech_caption"}
    red, green, blue, later = [each.score for each in played.captions]
    assert red == pytest.approx(1, abs=0.01)
    assert green == later == pytest.approx(1, abs=0.01)
    assert blue is not None
    assert blue < 0.1


def test_windows_and_reach_are_the_recipes() -> None:
    played = one_block("12s: a green wall", window_seconds=4.0, search_seconds=1.0)
    assert [(each.start_ms, each.end_ms) for each in played.captions] == [(12_000, 16_000)]
    played = one_block("12s: a green wall", window_seconds=0.2, search_seconds=9.0)
    assert [(each.start_ms, each.end_ms) for each in played.captions] == [(20_000, 21_000)]


def test_spans_lie_within_the_clip() -> None:
    """Four frames, windows of 8: they begin at -4 to -1, and none lies later."""
    sample = video(ColouredMedia([RED], 1), 3500, cues=cues((0, 3.5, "All red.")))
    chat = ScriptedChat(["0s: red\n3s: red wall"])
    played = play(sample, captioner("speech"), chat, OWN, embedder=ColourEmbedder())
    assert [(each.text, each.start_ms, each.end_ms) for each in played.captions] == [
        ("red", 0, 3500),
        ("red wall", 0, 3500),
    ]


def test_times_outside_the_block_are_left_out_and_counted() -> None:
    played = one_block("9s: before\n10s: red a\n50s: blue b\n51s: after\nchatter\n\n999999999s: far")
    assert [each.text for each in played.captions] == ["red a", "blue b"]
    assert played.counts == {"outside": 3, "unformed": 1}


def test_times_out_of_order_are_put_in_order_and_repeats_stand_once() -> None:
    played = one_block("40s: blue c\n12s: red a\n30s: green b\n12s: red a\n" * 500)
    assert [each.text for each in played.captions] == ["red a", "green b", "blue c"]


def test_times_near_which_there_is_no_picture() -> None:
    """Subtitles that go on after the clip has ended."""
    played = one_block("10s: red a\n45s: blue b", duration_ms=20_000)
    assert [each.text for each in played.captions] == ["red a"]
    assert played.counts == {"unseen": 1}


def test_what_began_before_the_clip_is_asked_about_from_its_begin() -> None:
    track = CuesByTime([Cue(7000, 13_000, "We see a red wall."), Cue(13_000, 30_000, "And so on.")])
    chat = ScriptedChat(lambda request: words(request).splitlines()[0].lstrip("> ").partition(":")[0] + ": a red wall")
    sample = video(ColouredMedia([RED, GREEN], 10_000), 20_000, cues=track.within(10_000, 30_000))
    played = play(sample, captioner("speech", search_seconds=1.0), chat, OWN, embedder=ColourEmbedder())
    assert words(played.asked[0]).splitlines() == ["> 0s: We see a red wall.", "> 3s: And so on."]
    assert [(each.text, each.start_ms) for each in played.captions] == [("a red wall", 0)]
    assert not played.counts


@pytest.mark.parametrize("answer", ["I see nothing to caption here.", "12 - a man\n13 - a dog", "{}"])
def test_answers_in_another_form(answer: str) -> None:
    with pytest.raises(CaptionFaultError) as caught:
        one_block(answer)
    assert caught.value.fault is Fault.BAD_FORM


@pytest.mark.parametrize("answer", ["none", "None.", "**NONE**", "99s: too late"])
def test_answers_that_say_there_is_nothing(answer: str) -> None:
    assert one_block(answer).captions == []


def test_one_answer_in_another_form_costs_its_block_alone() -> None:
    sample = video(ColouredMedia([RED], 1), 9000, cues=cues((0, 4, "One two three."), (4, 8, "Four five six.")))
    chat = ScriptedChat(["Sure! Here it is", "5s: red"])
    played = play(sample, captioner("speech", block_words=3), chat, OWN, embedder=ColourEmbedder())
    assert [each.text for each in played.captions] == ["red"]
    assert played.counts == {"unformed": 1}


def test_a_fault_in_the_middle_fails_the_sample() -> None:
    sample = video(ColouredMedia([RED], 1), 9000, cues=cues((0, 4, "One two three."), (4, 8, "Four five six.")))
    chat = ScriptedChat(["1s: red", CaptionFaultError(Fault.CONNECT, "gone")])
    with pytest.raises(CaptionFaultError, match="gone"):
        play(sample, captioner("speech", block_words=3), chat, OWN, embedder=ColourEmbedder())


@pytest.mark.parametrize("told", [[], [(0.0, 5.0, "   ")]])
def test_without_subtitles_nothing_is_asked(told: list[tuple[float, float, str]]) -> None:
    sample = video(ColouredMedia([RED], 1), 9000, cues=cues(*told))
    assert play(sample, captioner("speech"), ScriptedChat([]), OWN, embedder=ColourEmbedder()).captions == []


def test_images_and_clips_without_length_say_nothing() -> None:
    said = cues((0, 5, "Something is said."))
    for sample in (image(ColouredMedia([RED], 0), cues=said), video(ColouredMedia([RED], 1), 0, cues=said)):
        assert play(sample, captioner("speech"), ScriptedChat([]), OWN, embedder=ColourEmbedder()).captions == []


def test_without_an_embedder_the_run_ends() -> None:
    sample = video(ColouredMedia([RED], 1), 9000, cues=cues((0, 4, "One two three.")))
    with pytest.raises(StageError, match="model of task embed"):
        play(sample, captioner("speech"), ScriptedChat(["1s: red"]), OWN)


@pytest.mark.parametrize(
    "answer",
    [
        " " * 2_000_000,
        "*" * 2_000_000,
        "1. " * 700_000,
        "9" * 2_000_000,
        "-\t" * 1_000_000 + "12s",
        "12s: " + "a. " * 100_000,
    ],
)
def test_hostile_answers_take_linear_time(answer: str) -> None:
    begun = time.process_time()
    parse_captions(answer)
    assert time.process_time() - begun < 3


def test_a_word_of_megabytes_is_a_caption() -> None:
    def shout(request: Request) -> str:
        return "12s: red " + "a" * 3_000_000

    media = ColouredMedia([RED], 1)
    sample = video(media, 60_000, cues=[Cue(10_000, 50_000, "One thing.")])
    played = play(sample, captioner("speech"), ScriptedChat(shout), OWN, embedder=ColourEmbedder())
    assert len(played.captions[0].text) == 3_000_004
