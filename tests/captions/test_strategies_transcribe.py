"""transcribe: sentences with their spans; silence says nothing."""

from __future__ import annotations

import pytest
from caption_fakes import (
    RED,
    ColouredMedia,
    ScriptedTranscriber,
    captioner,
    image,
    play,
    silence,
    video,
)
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import Spoken
from curation.captions.samples import Caption
from curation.errors import StageError

HEARD = ColouredMedia([RED], 1, track=silence(9.0))


def test_what_is_said_becomes_sentences_with_their_times() -> None:
    transcriber = ScriptedTranscriber([Spoken(0, 2000, "Hello there. This"), Spoken(2000, 4000, "is a test.")])
    played = play(video(HEARD, 9000), captioner("transcribe"), transcriber=transcriber)
    assert [each.text for each in played.captions] == ["Hello there.", "This is a test."]
    assert {each.kind for each in played.captions} == {"transcript"}
    assert played.captions[0].start_ms == 0
    assert played.captions[-1].end_ms == 4000
    assert transcriber.heard == [9 * 16_000]


@pytest.mark.parametrize("track", [None, silence(0)])
def test_without_sound_nobody_is_asked(track: object) -> None:
    transcriber = ScriptedTranscriber([Spoken(0, 1000, "no")])
    media = ColouredMedia([RED], 1, track=track)  # type: ignore[arg-type]
    assert play(video(media, 9000), captioner("transcribe"), transcriber=transcriber).captions == []
    assert play(image(media), captioner("transcribe"), transcriber=transcriber).captions == []
    assert transcriber.heard == []


def test_where_nobody_speaks() -> None:
    assert play(video(HEARD, 9000), captioner("transcribe"), transcriber=ScriptedTranscriber([])).captions == []


@given(
    st.lists(st.builds(Spoken, st.integers(-100, 10_000), st.integers(-100, 10_000), st.text(max_size=20)), max_size=8)
)
def test_odd_times_and_texts_are_no_error(spoken: list[Spoken]) -> None:
    played = play(video(HEARD, 9000), captioner("transcribe"), transcriber=ScriptedTranscriber(spoken))
    for caption in played.captions:
        assert caption.text.strip()
        assert caption.start_ms is not None
        assert caption.end_ms is not None
        assert 0 <= caption.start_ms < caption.end_ms <= 9000


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ([Spoken(100, 700, " yes ")], [("yes", 100, 700)]),
        ([Spoken(5000, 6000, "Later."), Spoken(0, 1000, "Sooner.")], [("Sooner.", 0, 1000), ("Later.", 5000, 6000)]),
        ([Spoken(8000, 50_000, "Yes. No.")], [("Yes.", 8000, 8500), ("No.", 8625, 9000)]),  # in 1 s of 8 characters
        ([Spoken(8999, 9001, "Yes. No.")], [("Yes.", 8999, 9000), ("No.", 8999, 9000)]),
        ([Spoken(9000, 9500, "Heard in what is not there.")], []),
        ([Spoken(-400, 500, "Yes.")], [("Yes.", 0, 500)]),
    ],
)
def test_spans_by_hand(spoken: list[Spoken], expected: list[tuple[str, int, int]]) -> None:
    played = play(video(HEARD, 9000), captioner("transcribe"), transcriber=ScriptedTranscriber(spoken))
    assert played.captions == [Caption("transcript", *each) for each in expected]


def test_faults_pass_through() -> None:
    transcriber = ScriptedTranscriber(CaptionFaultError(Fault.MODEL, "no memory"))
    with pytest.raises(CaptionFaultError, match="no memory"):
        play(video(HEARD, 9000), captioner("transcribe"), transcriber=transcriber)


def test_without_a_model_the_run_ends() -> None:
    with pytest.raises(StageError, match="model of task speech"):
        play(video(HEARD, 9000), captioner("transcribe"))
