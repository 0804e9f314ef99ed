"""Splitting: what holds for all sets, then shots, windows and marks, then real videos with the built-in features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.media.video.descriptors import frame_features, loaded_features
from curation.media.video.splitting import Dropped, Mark, Piece, split
from curation.recipe.splitting import SETS, Split
from curation.testing.videos import Film, Shot, Style, write_video

Vector = npt.NDArray[np.float32]


@dataclass
class Shots:
    cuts: Sequence[int]
    times_ms: npt.NDArray[np.int64]
    end_ms: int


def even(frames: int, cuts: Sequence[int] = (), ms: int = 40) -> Shots:
    return Shots(cuts, np.arange(frames) * ms, frames * ms)


def no_features(frames: Sequence[int]) -> list[Vector | None]:
    raise AssertionError("nobody should ask")


def bounds(pieces: Sequence[Piece]) -> list[tuple[int, int, str | None]]:
    return [(piece.start_frame, piece.end_frame, piece.dropped) for piece in pieces]


def kept(pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.dropped is None]


@st.composite
def films(draw: st.DrawFn) -> Shots:
    steps = draw(st.lists(st.integers(1, 3000) | st.sampled_from([33, 40, 42]), max_size=120))
    first = draw(st.integers(0, 500))
    times = np.cumsum([first, *steps])[: len(steps)].astype(np.int64)
    cuts = draw(st.lists(st.integers(1, max(1, len(steps) - 1)), max_size=8, unique=True).map(sorted)) if steps else []
    return Shots([cut for cut in cuts if cut < len(steps)], times, first + sum(steps))


@st.composite
def settings_of_all_sets(draw: st.DrawFn) -> Split:
    chosen: dict[str, Any] = {"set": draw(st.sampled_from(sorted(SETS)))}
    seconds = st.sampled_from([0.04, 0.5, 1.0, 2.5, 5.0, 20.0, 60.0])
    distance = st.sampled_from([None, 0.0, 0.25, 1.0])
    choices = {"min_length_s": seconds | st.none(), "max_length_s": seconds | st.none(), "cut_every_s": seconds,
               "stride_s": seconds, "length_s": seconds, "transition_above": distance, "stitch_within": distance,
               "still_distance": distance, "redundant_within": distance, "stitch_gaps": st.booleans(),
               "trim": st.sampled_from([None, 0.1, 0.3, 0.49])}  # fmt: skip
    own = SETS[chosen["set"]]
    chosen |= {key: draw(choice) for key, choice in choices.items() if key in own and draw(st.booleans())}
    try:
        return Split.model_validate(chosen)
    except ValidationError:  # contradictions: the set as it is
        return Split.model_validate({"set": chosen["set"]})


marks_of_any_kind = st.lists(
    st.builds(Mark, st.integers(-5000, 150_000), st.integers(-5000, 150_000), st.just("text")), max_size=12
)


def hashed(frames: Sequence[int]) -> list[Vector | None]:
    """Features by frame: some alike, some far apart, some unreadable, some no numbers."""
    told: list[Vector | None] = []
    for frame in frames:
        kind = frame * 2654435761 % 97
        bad = None if kind % 2 else np.array([np.nan, 0], np.float32)
        told.append(np.array([kind % 5 / 4, kind % 3 / 8], np.float32) if kind > 4 else bad)
    return told


@given(films(), settings_of_all_sets(), marks_of_any_kind)
def test_every_frame_is_in_exactly_one_piece(shots: Shots, settings: Split, marks: list[Mark]) -> None:
    """frames = kept + dropped for each reason; pieces in order; times are those of the frames."""
    pieces = split(shots, settings, hashed, marks)
    frames = [frame for piece in pieces for frame in range(piece.start_frame, piece.end_frame)]
    assert sorted(frames) == list(range(len(shots.times_ms)))
    assert [piece.start_frame for piece in pieces] == sorted(piece.start_frame for piece in pieces)
    edges = [*shots.times_ms.tolist(), shots.end_ms]
    for piece in pieces:
        assert (piece.start_ms, piece.end_ms) == (edges[piece.start_frame], edges[piece.end_frame])
        assert (piece.start_frame == piece.end_frame) == (piece.dropped is Dropped.EMPTY_MARK)
    assert split(shots, settings, hashed, marks) == pieces


@given(films(), settings_of_all_sets(), marks_of_any_kind)
def test_clips_have_the_lengths_that_were_asked_for(shots: Shots, settings: Split, marks: list[Mark]) -> None:
    pieces = split(shots, settings, hashed, marks)
    low, high = settings.min_length_s or 0, settings.max_length_s or np.inf
    for before, piece, after in zip([None, *pieces], pieces, [*pieces[1:], None], strict=False):
        length = (piece.end_ms - piece.start_ms) / 1000
        if piece.dropped is None:
            whole = [near for near in (before, after) if near and near.dropped in (Dropped.TRIMMED, Dropped.BEYOND_MAX)]
            assert length <= high or piece.end_frame - piece.start_frame == 1
            assert length + sum((near.end_ms - near.start_ms) / 1000 for near in whole) >= min(low, length) or not whole
            assert whole or length >= low
        elif piece.dropped is Dropped.TOO_SHORT:
            assert piece.value == length < low
        elif piece.dropped is Dropped.BEYOND_MAX:
            assert piece.value is not None and piece.value > high


@given(films(), settings_of_all_sets(), marks_of_any_kind)
def test_shots_are_those_the_frames_lie_in(shots: Shots, settings: Split, marks: list[Mark]) -> None:
    shot_of = [sum(cut <= frame for cut in shots.cuts) for frame in range(len(shots.times_ms))]
    for piece in split(shots, settings, hashed, marks):
        lie_in = set(shot_of[piece.start_frame : piece.end_frame])
        assert piece.shots == len(lie_in)
        assert not lie_in or piece.shot == min(lie_in)
        assert piece.stitched >= 1


@given(films(), settings_of_all_sets(), marks_of_any_kind)
def test_clips_as_marks_give_the_same_clips(shots: Shots, settings: Split, marks: list[Mark]) -> None:
    clips = kept(split(shots, settings, hashed, marks))
    again = split(shots, Split(set="chapters"), no_features, [Mark(clip.start_ms, clip.end_ms) for clip in clips])
    assert bounds(kept(again)) == bounds(clips)


@given(films(), marks_of_any_kind, st.randoms())
def test_every_mark_is_told_of_once_in_any_order(shots: Shots, marks: list[Mark], random: Any) -> None:
    pieces = split(shots, Split(set="subtitles"), no_features, marks)
    assert sorted(piece.mark for piece in pieces if piece.mark is not None) == list(range(len(marks)))
    for piece in kept(pieces):
        mark = marks[piece.mark or 0]
        assert mark.start_ms <= piece.start_ms
        assert shots.times_ms[piece.end_frame - 1] < mark.end_ms
    shuffled = random.sample(marks, len(marks))
    assert bounds(kept(split(shots, Split(set="subtitles"), no_features, shuffled))) == bounds(kept(pieces))


def test_shots_with_limits() -> None:
    """Shots of 1 s, 2 s and 12 s: at least 2, at most 5."""
    pieces = split(even(375, [25, 75]), Split(set="shots", max_length_s=5.0), no_features)
    assert bounds(pieces) == [(0, 25, "too_short"), (25, 75, None), (75, 200, None), (200, 375, "beyond_max")]
    assert [piece.value for piece in pieces] == [1.0, None, None, 12.0]
    assert [piece.shot for piece in pieces] == [0, 1, 2, 2]


def test_windows() -> None:
    """2 s every 3 s, over cuts; the last is short."""
    settings = Split(set="stride", stride_s=3.0, length_s=2.0, min_length_s=1.0)
    assert bounds(split(even(170, [10]), settings, no_features)) == [
        (0, 50, None), (50, 75, "outside"), (75, 125, None), (125, 150, "outside"), (150, 170, "too_short"),
    ]  # fmt: skip


def test_windows_count_from_the_first_frame_and_pass_over_gaps() -> None:
    shots = Shots([], np.array([700, 1200, 60_700, 61_650, 61_750]), 61_800)
    settings = Split(set="stride", stride_s=1.0, length_s=1.0, min_length_s=None)
    assert bounds(split(shots, settings, no_features)) == [(0, 2, None), (2, 4, None), (4, 5, None)]


def test_a_stride_of_no_whole_milliseconds() -> None:
    settings = Split(set="stride", stride_s=0.07, length_s=0.07, min_length_s=None)
    assert [p.start_frame for p in split(even(100, ms=10), settings, no_features)] == list(range(0, 100, 7))


def test_chapters_are_snapped_to_frames() -> None:
    """Frames at 0, 40, 80 ...: a chapter holds those whose time lies in it."""
    marks = [Mark(0, 1000, "one"), Mark(1000, 1990, "two"), Mark(1990, 9999, "three")]
    pieces = split(even(100), Split(set="chapters"), no_features, marks)
    assert [(p.start_ms, p.end_ms, p.mark) for p in pieces] == [(0, 1000, 0), (1000, 2000, 1), (2000, 4000, 2)]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([], [(0, 100, "outside", None)]),
        ([(400, 800)], [(0, 10, "outside", None), (10, 20, None, 0), (20, 100, "outside", None)]),
        ([(2000, 4000), (0, 2000)], [(0, 50, None, 1), (50, 100, None, 0)]),  # in no order
        ([(0, 3000), (2000, 4000)], [(0, 50, None, 0), (50, 100, None, 1)]),  # one lasts into the next
        ([(0, 4000), (0, 2000)], [(0, 0, "empty_mark", 1), (0, 100, None, 0)]),  # both begin at once: the longer
        ([(0, 4000), (1000, 1000)], [(0, 100, None, 0), (25, 25, "empty_mark", 1)]),  # an empty one cuts nothing
        ([(0, 4000), (3000, 1000)], [(0, 100, None, 0), (75, 75, "empty_mark", 1)]),  # backwards
        (
            [(-500, 400), (9000, 9999)],
            [(0, 10, None, 0), (10, 100, "outside", None), (100, 100, "empty_mark", 1)],
        ),
        ([(1, 39)], [(0, 1, "outside", None), (1, 1, "empty_mark", 0), (1, 100, "outside", None)]),  # between
    ],
)
def test_marks_of_all_sorts(marks: list[tuple[int, int]], expected: list[tuple[int, int, Any, Any]]) -> None:
    pieces = split(even(100), Split(set="subtitles"), no_features, [Mark(*mark) for mark in marks])
    assert [(p.start_frame, p.end_frame, p.dropped, p.mark) for p in pieces] == expected


def test_a_mark_without_frames_says_how_long_it_is() -> None:
    (lost,) = (p for p in split(even(10), Split(set="chapters"), no_features, [Mark(5000, 7500)]) if p.mark == 0)
    assert (lost.start_ms, lost.end_ms, lost.shots, lost.value) == (400, 400, 0, 2.5)


def test_limits_hold_for_marks() -> None:
    settings = Split(set="subtitles", min_length_s=0.8, max_length_s=2.0)
    pieces = split(even(100), settings, no_features, [Mark(0, 400), Mark(400, 4000)])
    assert [(*bound, piece.mark) for bound, piece in zip(bounds(pieces), pieces, strict=True)] == [
        (0, 10, "too_short", 0), (10, 60, None, 1), (60, 100, "beyond_max", 1),
    ]  # fmt: skip


def test_cuts_that_are_no_frames_are_none() -> None:
    assert bounds(split(even(100, [0, 60, 60, 100, 300]), Split(set="shots", min_length_s=None), no_features)) == [
        (0, 60, None), (60, 100, None),
    ]  # fmt: skip


def test_a_section_holds_all_numbers() -> None:
    resolved = Split.model_validate({"set": "panda_paper", "max_length_s": 30})
    assert resolved.model_dump(exclude_none=True) == SETS["panda_paper"] | {"set": "panda_paper", "max_length_s": 30}
    assert Split.model_validate(resolved.model_dump()) == resolved
    assert Split() == Split(set="panda_code")
    assert Split(set="panda_code", trim=None).trim is None
    assert Split(set="shots", min_length_s=3.0, max_length_s=3.0).max_length_s == 3


@pytest.mark.parametrize("name", sorted(SETS))
def test_what_a_set_does_not_know_is_none(name: str) -> None:
    told = Split.model_validate({"set": name}).model_dump(exclude={"set"})
    assert {key: value for key, value in told.items() if value is not None or key in SETS[name]} == SETS[name]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"set": "panda"}, "panda_paper"),
        ({"set": "shots", "stride_s": 3.0}, "stride_s: not of the set shots, which knows min_length_s, max_length_s"),
        ({"set": "chapters", "still_distance": 0.2, "trim": 0.1}, "still_distance, trim: not of the set chapters"),
        ({"set": "panda_code", "min_length_s": 90.0}, "min_length_s 90 is above max_length_s 60"),
        ({"set": "stride", "length_s": 11.0}, "clips would overlap"),
        ({"set": "stride", "stride_s": 1.0, "length_s": 1.0}, "min_length_s 2 is above length_s 1"),
        ({"set": "stride", "stride_s": 0.0004}, "greater than or equal to 0.001"),
        ({"set": "stride", "length_s": None}, "length_s: the set stride needs a value"),
        ({"set": "panda_code", "features": "clip"}, "transformers:NAME-OR-FOLDER"),
        ({"set": "panda_code", "trim": 0.5}, "less than 0.5"),
        ({"set": "panda_code", "transition_above": -1.0}, "greater than or equal to 0"),
        ({"set": "panda_code", "max_length_s": float("nan")}, "max_length_s"),
        ({"set": ["shots"]}, "panda_paper"),
        ({"length": 3}, "length"),
        ("shots", "dictionary"),
    ],
)
def test_recipes_that_cannot_be_meant(recipe: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Split.model_validate(recipe)


SCENES = [
    Shot(192, "dog", motion=1),  # 8 s
    Shot(30, "boat", motion=1),  # 1.25 s: too short
    Shot(96, "car", motion=0),  # 4 s: still
    Shot(144, "tree", motion=2),  # 6 s
    Shot(120, "dog", name="", motion=1),  # 5 s: as the first
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    path = tmp_path_factory.mktemp("scenes") / "film.mp4"
    return write_video(path, SCENES, Style(sound="none", counter=False))


@pytest.mark.parametrize("name", ["panda_paper", "panda_code"])
def test_known_scenes_with_the_built_in_features(film: Film, name: str) -> None:
    shots = Shots(film.cuts, np.array(film.times_ms), film.end_ms)
    features = frame_features(film.path, film.times_ms, loaded_features("colour_edges"))
    pieces = split(shots, Split.model_validate({"set": name, "trim": None}), features)
    assert bounds(pieces) == [
        (0, 192, None), (192, 222, "too_short"), (222, 318, "still"), (318, 462, None), (462, 582, "redundant"),
    ]  # fmt: skip
    assert [piece.stitched for piece in kept(pieces)] == [2, 2 if name == "panda_paper" else 1]


def test_a_missed_cut_is_a_transition(tmp_path: Path) -> None:
    """5 s in whose middle the picture changes, and the detector did not see it."""
    shots = [Shot(60, "dog"), Shot(60, "car")]
    film = write_video(tmp_path / "missed.mp4", shots, Style(sound="none", counter=False))
    features = frame_features(film.path, film.times_ms, loaded_features("colour_edges"))
    (piece,) = split(Shots([], np.array(film.times_ms), film.end_ms), Split(set="panda_code"), features)
    assert piece.dropped is Dropped.TRANSITION


def test_a_real_film_is_split_at_its_cuts(real_data: Path) -> None:
    """Cuts at 285, 378 and 553 of 720 frames; it fades in over 60; of the second shot nothing moves but the water."""
    path = real_data / "media" / "videos" / "big_buck_bunny_480p_30s.mp4"
    if not path.is_file():
        pytest.skip(f"no {path}")
    times = np.round(np.arange(720) * 1000 / 24).astype(np.int64)
    features = frame_features(path, times, loaded_features("colour_edges"))
    pieces = split(Shots([285, 378, 553], times, 30_000), Split(set="panda_code", trim=None), features)
    assert bounds(pieces) == [
        (0, 120, "transition"), (120, 285, None), (285, 378, "still"), (378, 553, None), (553, 720, None),
    ]  # fmt: skip
    assert [piece.stitched for piece in pieces] == [1, 1, 1, 2, 1]
