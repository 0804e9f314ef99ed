"""Loudness against tones of known level, silence against its definition."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media.video.sound import GATE, Sound
from curation.recipe.clip_rules import Scores

RATE = 48_000
Samples = npt.NDArray[np.float32]


def tone(seconds: float, level_db: float, *, hertz: float = 1000.0, rate: int = RATE) -> Samples:
    """A sine whose peak is level_db below full scale."""
    places = np.arange(round(seconds * rate))
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * places / rate)).astype(np.float32)


def heard(samples: Samples, *, layout: str = "stereo", rate: int = RATE, chosen: Scores | None = None) -> Sound:
    """The same samples in all channels of a layout."""
    sound, channels = Sound(chosen or Scores()), av.AudioLayout(layout).nb_channels
    for start in range(0, len(samples), 1024):
        part = np.ascontiguousarray(np.tile(samples[start : start + 1024], (channels, 1)))
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate = rate
        sound.add(frame)
    sound.finish()
    return sound


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 14)), min_size=1, max_size=8), st.sampled_from([0.25, 0.55, 1.15])
)
def test_silence_is_what_lasts_long_enough_below_the_level(parts: list[tuple[bool, int]], shortest: float) -> None:
    """Parts of some tenths of a second, each a tone or silence; times are found to a few milliseconds."""
    samples = [tone(length / 10, -20 if loud else -60, hertz=400) for loud, length in parts]
    found = heard(np.concatenate(samples), chosen=Scores(silence_seconds=shortest))
    runs = [(loud, sum(length for _, length in run)) for loud, run in groupby(parts, key=itemgetter(0))]
    expected = sum(length for loud, length in runs if not loud and length / 10 > shortest)
    assert found.silence_share == pytest.approx(expected / sum(length for _, length in parts), abs=0.02)


@pytest.mark.parametrize("level", [-23.0, -33.0, -14.0])
def test_a_tone_of_one_kilohertz_in_two_channels_is_as_loud_as_its_peak(level: float) -> None:
    """EBU Tech 3341, cases 1 and 2: a stereo sine of 1 kHz with a peak of -23 dBFS has -23 LUFS, +-0.1."""
    assert heard(tone(5, level)).loudness == pytest.approx(level, abs=0.1)


def test_pauses_do_not_make_it_softer() -> None:
    """EBU Tech 3341, case 3: what is far below the rest is gated."""
    parts = [tone(3, -36), tone(15, -23), tone(3, -36)]
    assert heard(np.concatenate(parts)).loudness == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize(
    ("layout", "rate", "weight"),
    [("mono", 8000, 1), ("mono", 44_100, 1), ("5.1", 48_000, 3 + 2 * 1.41), ("stereo", 96_000, 2)],
)
def test_channels_and_rates(layout: str, rate: int, weight: float) -> None:
    """weight: of all channels by BS.1770: left, right and centre 1, surround 1.41, LFE nothing."""
    found = heard(tone(3, -23, rate=rate), layout=layout, rate=rate)
    assert found.loudness == pytest.approx(-23 + 10 * np.log10(weight / 2), abs=0.1)
    assert found.silence_share == 0


def test_silence_alone_is_at_the_gate() -> None:
    found = heard(np.zeros(2 * RATE, np.float32))
    assert (found.loudness, found.silence_share) == (GATE, 1.0)


def test_silence_at_the_end_counts() -> None:
    found = heard(np.concatenate([tone(3, -23), np.zeros(RATE, np.float32)]))
    assert found.silence_share == pytest.approx(0.25, abs=0.01)


def test_the_level_of_silence_is_the_recipes() -> None:
    soft = tone(2, -45)
    assert heard(soft).silence_share == 0
    assert heard(soft, chosen=Scores(silence_db=-40)).silence_share == pytest.approx(1, abs=0.01)


def test_no_sound_has_no_scores() -> None:
    sound = Sound(Scores())
    sound.finish()
    assert (sound.loudness, sound.silence_share) == (None, None)


def test_less_than_a_block_has_no_loudness() -> None:
    assert heard(tone(0.39, -23)).loudness is None
    assert heard(tone(0.6, -23)).loudness == pytest.approx(-23, abs=0.3)


def test_sound_that_changes_its_format_is_refused_and_the_rest_measured() -> None:
    sound, refused = Sound(Scores()), 0
    for layout in ["stereo"] * 60 + ["mono"] * 30 + ["stereo"] * 10:
        part = np.tile(tone(0.02133334, -23)[:1024], (av.AudioLayout(layout).nb_channels, 1))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="fltp", layout=layout)
        frame.sample_rate = RATE
        try:
            sound.add(frame)
        except av.FFmpegError:
            refused += 1
    sound.finish()
    assert refused == 30
    assert sound.loudness == pytest.approx(-23, abs=0.2)
