"""describe: which pictures, which words, in which order; and when there is nothing to tell."""

from __future__ import annotations

import pytest
from caption_fakes import (
    BLUE,
    GREEN,
    RED,
    ColouredMedia,
    ScriptedChat,
    captioner,
    cues,
    image,
    pictures,
    play,
    video,
    words,
)
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.samples import Caption
from curation.captions.strategies.describe import picture_times
from curation.errors import StageError


@given(st.text(max_size=8), st.integers(0, 10**8), st.integers(2, 40))
def test_pictures_are_the_middles_of_equal_parts(sample_id: str, duration_ms: int, frames: int) -> None:
    times = picture_times(sample_id, duration_ms, frames)
    assert times == sorted({int((part + 0.5) * duration_ms / frames) for part in range(frames)})
    assert all(0 <= time_ms < max(duration_ms, 1) for time_ms in times)


@given(st.text(st.characters()), st.integers(0, 10**8))
def test_one_picture_is_drawn_around_the_middle(sample_id: str, duration_ms: int) -> None:
    (time_ms,) = picture_times(sample_id, duration_ms, 1)
    assert int(0.3 * duration_ms) <= time_ms <= 0.7 * duration_ms
    assert picture_times(sample_id, duration_ms, 1) == [time_ms]


def test_draws_are_spread_over_the_middle() -> None:
    times = [picture_times(f"{number:032x}", 1000, 1)[0] for number in range(2000)]
    assert min(times) < 310
    assert max(times) > 690
    assert sum(times) / len(times) == pytest.approx(500, abs=10)


def test_a_request_per_prompt_with_all_pictures_and_then_the_words() -> None:
    media, chat = ColouredMedia([RED, GREEN, BLUE, RED], 1000), ScriptedChat(["  a brief one\n", "a long one. More."])
    prompts = {"brief": "Be brief about {title}.", "long": "Be long."}
    sample = video(media, 4000, facts={"title": "Four colours"})
    played = play(
        sample, captioner("describe", frames=4, longest_side=640, max_tokens=99, temperature=0.5), chat, prompts
    )
    assert played.captions == [Caption("brief", "a brief one"), Caption("long", "a long one. More.")]
    assert [pictures(request) for request in played.asked] == [[f"picture {place}" for place in range(4)]] * 2
    assert "Four colours" in words(played.asked[0])
    assert words(played.asked[1]).strip() == "Be long."
    assert {(request.max_tokens, request.temperature) for request in played.asked} == {(99, 0.5)}
    assert media.shown == [[500, 1500, 2500, 3500]]
    assert media.longest_sides == [640]


def test_the_own_prompts_make_brief_and_detailed() -> None:
    played = play(image(ColouredMedia([RED], 0)), captioner("describe"), ScriptedChat(["red", "Red. All of it."]))
    assert [caption.kind for caption in played.captions] == ["brief", "detailed"]
    assert [pictures(request) for request in played.asked] == [["picture 0"]] * 2


@pytest.mark.parametrize("duration_ms", [0, 1, 40])
def test_a_clip_of_one_frame_is_one_picture(duration_ms: int) -> None:
    played = play(video(ColouredMedia([RED], 40), duration_ms), captioner("describe"), ScriptedChat(["a", "b"]))
    assert [pictures(request) for request in played.asked] == [["picture 0"]] * 2


def test_a_picture_that_comes_back_is_sent_again() -> None:
    media = ColouredMedia([RED, GREEN], 1000)
    media._place = lambda time_ms: (time_ms // 1000) % 2  # type: ignore[method-assign]
    played = play(video(media, 4000), captioner("describe", frames=8), ScriptedChat(["a", "b"]))
    assert pictures(played.asked[0]) == ["picture 0", "picture 1"] * 2


def test_words_alone_merge_earlier_captions() -> None:
    chat = ScriptedChat(["merged"])
    sample = video(
        ColouredMedia([RED], 40),
        9000,
        texts={"teacher_a": ["a dog", "a brown dog"], "teacher_b": ["an animal"]},
        cues=cues((0, 2, "Look\nat him"), (3, 4, "run")),
        facts={"hashtags": ["dogs", "fun"]},
    )
    prompt = "{teacher_a}\n{teacher_b}\n{subtitles}\n{hashtags}"
    played = play(sample, captioner("describe", frames=0), chat, {"merged": prompt})
    assert played.captions == [Caption("merged", "merged")]
    assert pictures(played.asked[0]) == []
    assert words(played.asked[0]).splitlines() == [
        "> a dog",
        "> a brown dog",
        "> an animal",
        "> Look at him run",
        "> dogs, fun",
    ]


def test_words_alone_where_there_are_none_say_nothing() -> None:
    media, silent = ColouredMedia([RED], 40), captioner("describe", frames=0)
    sample = video(media, 9000, texts={"teacher": [], "other": ["  "]}, facts={"title": None})
    assert play(sample, silent, ScriptedChat([]), {"merged": "{teacher} {other} {title} {subtitles}"}).captions == []
    assert play(sample, silent, ScriptedChat([])).captions == []  # the own prompts name no words
    assert media.shown == []


def test_pictures_are_described_where_there_are_no_words() -> None:
    """Panda-70M's question with subtitles and title, of a clip without them."""
    played = play(
        video(ColouredMedia([RED], 40), 9000),
        captioner("describe", frames=1),
        ScriptedChat(["a"]),
        {"vqa": "Said: {subtitles} Title: {title}"},
    )
    assert played.captions == [Caption("vqa", "a")]


@pytest.mark.parametrize(
    ("answers", "fault", "asked"),
    [
        (["fine", CaptionFaultError(Fault.REFUSAL, "I cannot")], Fault.REFUSAL, 2),
        ([CaptionFaultError(Fault.TIMEOUT, "slow")], Fault.TIMEOUT, 1),
        (["fine", " \n\t "], Fault.EMPTY, 2),
    ],
)
def test_one_fault_fails_the_sample(answers: list[str | Exception], fault: Fault, asked: int) -> None:
    chat = ScriptedChat(answers)
    with pytest.raises(CaptionFaultError) as caught:
        play(image(ColouredMedia([RED], 0)), captioner("describe"), chat)
    assert caught.value.fault is fault
    assert len(chat.asked) == asked


def test_without_a_model_the_run_ends() -> None:
    with pytest.raises(StageError, match=r"model of task caption: name one in captions\.models"):
        play(image(ColouredMedia([RED], 0)), captioner("describe"))


def test_an_answer_is_taken_as_it_is() -> None:
    huge = "word " * 200_000
    played = play(image(ColouredMedia([RED], 0)), captioner("describe"), ScriptedChat([huge, "{brief} \x00 12s:"]))
    assert [caption.text for caption in played.captions] == [huge.strip(), "{brief} \x00 12s:"]
