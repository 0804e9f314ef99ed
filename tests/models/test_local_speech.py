"""Speech to text by a tiny Whisper in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.captions.asking import Transcripts
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.local_speech import LocalTranscriber, windows
from curation.captions.models import SOUND_RATE, Sound
from curation.recipe.captions import LocalModel
from curation.testing.models import WORDS

pytest.importorskip("torch", reason="extra models")
pytest.importorskip("transformers", reason="extra models")


def noise(seconds: float, seed: int = 0) -> Sound:
    """A tone whose loudness changes ten times a second."""
    count = round(seconds * SOUND_RATE)
    levels = np.random.default_rng(seed).random(count // 1600 + 1).repeat(1600)[:count]
    return (0.3 * np.sin(np.arange(count) * (0.1 + seed / 50)) * levels).astype(np.float32)


@pytest.fixture(scope="module")
def whisper(tiny: Callable[[str], Path]) -> Transcripts:
    settings = LocalModel(backend="transformers", model=str(tiny("whisper")), task="speech", batch=8)
    return Transcripts(LocalTranscriber(settings), settings)


@pytest.mark.parametrize("seconds", [0.5, 12.0, 30.0, 75.0])
@pytest.mark.parametrize("language", [None, "en", "de", "xx"])
def test_what_is_said_has_words_and_ascending_times_within_the_sound(
    whisper: Transcripts, seconds: float, language: str | None
) -> None:
    spoken = whisper.transcribe(noise(seconds), language)
    assert spoken or seconds < 1
    for each in spoken:
        assert each.text
        assert set(each.text.split()) <= set(WORDS)
        assert 0 <= each.start_ms < each.end_ms <= 1000 * seconds
    assert all(before.start_ms <= after.start_ms for before, after in pairwise(spoken))
    assert seconds < 60 or spoken[-1].end_ms > 45_000  # later windows are heard, at their times


def test_a_window_is_heard_the_same_wherever_it_lies(whisper: Transcripts) -> None:
    """Two pieces of speech with a long silence between: the second has the times of it alone, later."""
    first, second = noise(8, 1), noise(8, 2)
    sound = np.concatenate([first, np.zeros(30 * SOUND_RATE - len(first), np.float32), second])
    (_, later) = list(windows(sound))
    begin = round(1000 * later.start / SOUND_RATE)
    alone = whisper.transcribe(later.sound, "en")
    found = [each for each in whisper.transcribe(sound, "en") if each.start_ms >= begin]
    assert found == [each._replace(start_ms=each.start_ms + begin, end_ms=each.end_ms + begin) for each in alone]
    assert found


def test_languages_are_told_or_found_out(whisper: Transcripts) -> None:
    sounds = [noise(5, seed) for seed in range(8)]
    told = {code: [whisper.transcribe(sound, code) for sound in sounds] for code in ("en", "de")}
    assert told["en"] != told["de"]
    found = [whisper.transcribe(sound, None) for sound in sounds]
    assert found == [whisper.transcribe(sound, "xx") for sound in sounds]
    assert all(said in (english, german) for said, english, german in zip(found, told["en"], told["de"], strict=True))


def test_sounds_of_many_threads_go_into_one_batch(whisper: Transcripts) -> None:
    sounds = [noise(3 + seed, seed) for seed in range(12)]
    alone = [whisper.transcribe(sound, "en") for sound in sounds]
    sizes, work = [], whisper._model._batched._work

    def counted(asked: list[tuple[str | None, Sound]]) -> object:
        sizes.append(len(asked))
        return work(asked)

    whisper._model._batched._work = counted  # type: ignore[assignment]
    with ThreadPoolExecutor(whisper.slots) as pool:
        assert list(pool.map(lambda sound: whisper.transcribe(sound, "en"), sounds)) == alone
    assert max(sizes) > 1


@pytest.mark.parametrize("sound", [np.zeros(0, np.float32), np.zeros(40 * SOUND_RATE, np.float32)])
def test_silence_says_nothing(whisper: Transcripts, sound: Sound) -> None:
    assert whisper.transcribe(sound, None) == []


def test_a_model_that_fails_is_a_fault(whisper: Transcripts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper._model, "_model", None)
    with pytest.raises(CaptionFaultError) as caught:
        whisper.transcribe(noise(1), "en")
    assert caught.value.fault == Fault.MODEL


@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=8))
@settings(max_examples=25, deadline=None)
def test_windows_hold_all_that_is_loud_once(stretches: list[tuple[int, bool]]) -> None:
    """stretches: tenths of seconds, loud or silent."""
    parts = [noise(tenths / 10) if loud else np.zeros(tenths * 1600, np.float32) for tenths, loud in stretches]
    sound = np.concatenate([*parts, np.zeros(0, np.float32)])
    heard = np.zeros_like(sound)
    end = 0
    for window in windows(sound):
        assert end <= window.start
        end = window.start + len(window.sound)
        assert len(window.sound) <= 30 * SOUND_RATE
        assert len(window.sound) >= 24 * SOUND_RATE or end == len(sound)
        assert np.abs(window.sound).max() > 0
        heard[window.start : end] += window.sound
    assert np.allclose(heard, sound, atol=1e-4)


def test_windows_are_cut_in_pauses() -> None:
    pauses = [27.0, 55.0]
    sound = noise(80)
    for at in pauses:
        sound[round((at - 0.3) * SOUND_RATE) : round((at + 0.3) * SOUND_RATE)] = 0
    ends = [(window.start + len(window.sound)) / SOUND_RATE for window in windows(sound)]
    assert [abs(end - at) < 0.25 for end, at in zip(ends, pauses, strict=False)] == [True, True]
    assert ends[-1] == 80
