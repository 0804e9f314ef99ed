"""Prompts of the strategies' own, a recipe's in their place; short texts; what a sample will cost."""

from __future__ import annotations

import pytest
from caption_fakes import (
    BLUE,
    GREEN,
    RED,
    ColouredMedia,
    ColourEmbedder,
    ScriptedChat,
    captioner,
    cues,
    image,
    play,
    video,
)
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.models import Picture
from curation.captions.prompts import Prompt
from curation.captions.samples import Caption
from curation.captions.strategies import (
    STRATEGIES,
    before_full_stop,
    default_prompts,
    first_sentence,
    prompts_of,
    requests_of,
    with_short,
)
from curation.captions.strategies.default_prompts import KINDS
from curation.errors import RecipeError
from curation.recipe.captions import ModelCaptioner

GIVEN = {"difference": {"previous", "from_s", "to_s"}, "summary": {"differences", "duration_s"}, "speech": {"block"}}


def test_each_strategy_of_recipes_is_there() -> None:
    named = ModelCaptioner.model_fields["strategy"].annotation.__args__  # type: ignore[union-attr]
    assert set(STRATEGIES) == set(KINDS) == set(named)


@pytest.mark.parametrize("strategy", sorted(KINDS))
def test_own_prompts_have_four_parts_and_name_what_their_strategy_gives(strategy: str) -> None:
    texts = default_prompts(strategy)
    assert tuple(texts) == KINDS[strategy]
    for kind, text in texts.items():
        places = [text.index(part) for part in ("Role: ", "Skills: ", "Constraints:", "Input: ")]
        assert places == sorted(places)
        assert set(Prompt.parse(text).names) == GIVEN.get(kind, set())
        assert text.isascii()


def test_a_recipes_prompts() -> None:
    assert list(prompts_of("describe", {"poem": "Rhyme."})) == ["poem"]
    assert prompts_of("describe", {}) == default_prompts("describe")
    mine = prompts_of("differential", {"summary": "Short: {differences}"})
    assert mine == {**default_prompts("differential"), "summary": "Short: {differences}"}
    with pytest.raises(RecipeError, match="strategy speech has no prompt brief: its prompts are speech"):
        prompts_of("speech", {"brief": "x"})
    with pytest.raises(RecipeError, match="its prompts are none"):
        prompts_of("transcribe", {"speech": "x"})


@given(st.text(st.sampled_from("ab. ")))
def test_the_first_sentence_is_long_clips(text: str) -> None:
    """Where words stand apart by one space, and something stands before the full stop."""
    if text == " ".join(text.split()) and not text.startswith(". "):
        assert first_sentence(text) == text.split(". ", maxsplit=1)[0].rstrip()


@pytest.mark.parametrize(
    ("text", "sentence", "cut"),
    [
        ("A dog runs. It is brown.", "A dog runs", "A dog runs"),
        ("A dog runs.", "A dog runs.", "A dog runs"),
        ("A dog at 2.5 m . It", "A dog at 2.5 m", "A dog at 2"),
        ("A dog\nruns.\n\nIt is brown.", "A dog runs", "A dog\nruns"),
        ("no stop", "no stop", "no stop"),
        (". a", ". a", ""),
        ("", "", ""),
    ],
)
def test_cuts_by_hand(text: str, sentence: str, cut: str) -> None:
    assert first_sentence(text) == sentence
    assert before_full_stop(text) == cut


def test_long_and_short_are_both_kept() -> None:
    captions = [
        Caption("brief", "A dog. Runs."),
        Caption("detailed", "A dog runs. It is brown.", 0, 9000, 0.5, "en"),
        Caption("detailed", "No stop"),
    ]
    found = with_short(captions)
    assert found == [
        captions[0],
        captions[1],
        Caption("short", "A dog runs", 0, 9000, None, "en"),
        captions[2],
        Caption("short", "No stop"),
    ]
    assert with_short(found) == found
    assert with_short([]) == []


def asked(strategy: str, sample: object, answers: object, **settings: object) -> tuple[int, int]:
    """(requests, pictures) that were really asked."""
    chat = ScriptedChat(answers)  # type: ignore[arg-type]
    play(sample, captioner(strategy, **settings), chat, embedder=ColourEmbedder())  # type: ignore[arg-type]
    return len(chat.asked), sum(isinstance(part, Picture) for request in chat.asked for part in request.parts)


@pytest.mark.parametrize("frames", [0, 1, 3, 8])
def test_the_cost_of_describe_is_exact(frames: int) -> None:
    settings = captioner("describe", frames=frames)
    for sample in (image(ColouredMedia([RED], 0)), video(ColouredMedia([RED, GREEN] * 9, 100), 1800)):
        expected = requests_of(settings, sample.duration_ms)
        found = asked("describe", sample, lambda request: "a", frames=frames)
        assert found == ((expected.requests, expected.pictures) if frames else (0, 0))
    assert requests_of(settings, 5000, {"poem": "Rhyme, please, in one line."})[::2] == (1, 5)


@pytest.mark.parametrize("duration_ms", [0, 1, 1999, 2000, 2001, 7000, 60_000])
def test_the_cost_of_differential_is_the_most_it_can_be(duration_ms: int) -> None:
    settings = captioner("differential")
    changing = video(ColouredMedia([RED, GREEN, BLUE] * 20, 1999), duration_ms)
    most = requests_of(settings, duration_ms)
    found = asked("differential", changing, lambda request: "a")
    assert found[0] <= most.requests
    assert found[1] <= most.pictures
    if duration_ms % 2000 == 0:
        assert found == most[:2] or duration_ms == 2000
    assert most.prompt_words >= 100


def test_the_cost_of_speech_and_transcripts() -> None:
    """87 s hold 199.4 words at 2.2915 a second, 88 s hold 201.7."""
    settings = captioner("speech")
    assert requests_of(settings, 87_000, {"speech": "one two"})[:2] == (1, 0)
    assert requests_of(settings, 88_000, {"speech": "one two"})[:2] == (2, 0)
    assert requests_of(settings, 87_000, {"speech": "one two"}).prompt_words == pytest.approx(
        2 + 199.36 * 12.5 / 11.5, abs=0.1
    )
    assert requests_of(settings, 0).requests == 0
    assert requests_of(captioner("transcribe"), 5000) == (1, 0, 0)
    spoken = cues(*[(place, place + 1, "two words.") for place in range(87)])
    sample = video(ColouredMedia([RED], 1), 87_000, cues=spoken)
    assert asked("speech", sample, lambda request: "none") == (1, 0)
