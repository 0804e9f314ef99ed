"""Panda-70M's splitting, in both of its parameter sets, against results computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from curation.media.video.splitting import Dropped, Piece, split
from curation.recipe.splitting import Split

MS = 40  # between two frames


@dataclass
class Shots:
    cuts: list[int]
    times_ms: npt.NDArray[np.int64]
    end_ms: int

    @classmethod
    def even(cls, lengths: Sequence[int]) -> Shots:
        """Shots of so many frames each, 25 frames per second."""
        ends = np.cumsum(lengths).tolist()
        return cls(ends[:-1], np.arange(ends[-1]) * MS, ends[-1] * MS)


@dataclass
class Line:
    """Features that are one number each: distances are differences. values: by frame, NaN: cannot be read."""

    values: npt.NDArray[np.float32]
    asked: list[list[int]] = field(default_factory=list)

    def __call__(self, frames: Sequence[int]) -> list[npt.NDArray[np.float32] | None]:
        self.asked.append(list(frames))
        return [None if np.isnan(self.values[frame]) else self.values[[frame]] for frame in frames]


def rise(begin: float, per_frame: float, frames: int) -> npt.NDArray[np.float64]:
    return begin + per_frame * np.arange(frames)


def numbers(pieces: Sequence[Piece]) -> list[tuple[int, int, str | None, float | None, int]]:
    """start, end, why dropped, the number behind it (to 4 digits), pieces stitched."""
    told = [None if piece.value is None else round(piece.value, 4) for piece in pieces]
    return [(p.start_frame, p.end_frame, p.dropped, v, p.stitched) for p, v in zip(pieces, told, strict=True)]


FILM = [
    (300, rise(0, 1 / 500, 300)),  # A: 12 s, changes slowly
    (75, rise(5, 0, 75)),  # B: 3 s, nothing changes
    (50, rise(10, 1 / 100, 50)),  # C: 2 s
    (75, np.repeat([20.0, 30.0], [38, 37])),  # D: 3 s, another picture in the middle
    (100, rise(10.6, 1 / 100, 100)),  # E: 4 s, goes on where C ended
    (100, np.full(100, np.nan)),  # F: 4 s, cannot be read
    (100, rise(0.2, 1 / 400, 100)),  # G: 4 s, like A
    (1675, rise(50, 1 / 1000, 1675)),  # H: 67 s
]
SHOTS = Shots.even([frames for frames, _ in FILM])
VALUES = np.concatenate([values for _, values in FILM]).astype(np.float32)


def test_the_papers_set_step_by_step() -> None:
    features = Line(VALUES)
    pieces = split(SHOTS, Split(set="panda_paper"), features)
    assert numbers(pieces) == [
        # A is cut at 5 s and 10 s; frames 12, 112 | 137, 237 | 255, 295: stitched again; 10 % of 12 s are 30 frames
        (0, 30, "trimmed", 12.0, 1),
        (30, 270, None, None, 3),
        (270, 300, "trimmed", 12.0, 1),
        (300, 375, "still", 0.0, 1),
        # C (10.05, 10.45) is just long enough, and E (10.7, 11.5) begins 0.25 from its end; D between them is no reason
        # to keep them apart. 9 s, of which 10 % are 22.5 frames, so 23
        (375, 398, "trimmed", 9.0, 1),
        (398, 577, None, None, 2),
        (577, 600, "trimmed", 9.0, 1),
        (600, 700, "unreadable", None, 1),
        # G: (v(710) + v(790)) / 2 = 0.325; A: (12 + 112 + 137 + 237 + 255 + 295) / 6 / 500 = 0.3493
        (700, 800, "redundant", 0.0243, 1),
        # H: 13 pieces of 5 s and one of 2 s; the first 60 s; 10 % of them are 150 frames
        (800, 950, "trimmed", 60.0, 1),
        (950, 2150, None, None, 14),
        (2150, 2300, "trimmed", 60.0, 1),
        (2300, 2475, "beyond_max", 67.0, 1),
    ]
    assert [(p.shot, p.shots) for p in pieces if p.dropped is None] == [(0, 1), (2, 3), (7, 1)]
    (asked,) = features.asked  # once
    assert asked[:6] == [12, 112, 137, 237, 255, 295]


def test_the_codes_set_step_by_step() -> None:
    features = Line(VALUES)
    pieces = split(SHOTS, Split(set="panda_code"), features)
    assert numbers(pieces) == [
        # A: 12 s are cut at 5 s; the 7 s that remain are not more than 7; frames 6, 118 | 133, 291
        (0, 30, "trimmed", 12.0, 1),
        (30, 270, None, None, 2),
        (270, 300, "trimmed", 12.0, 1),
        (300, 375, "still", 0.0, 1),
        (375, 425, "too_short", 2.0, 1),
        (425, 500, "transition", 10.0, 1),
        # E stands alone: C is too short, and D keeps them apart
        (500, 510, "trimmed", 4.0, 1),
        (510, 590, None, None, 1),
        (590, 600, "trimmed", 4.0, 1),
        (600, 700, "unreadable", None, 1),
        # G: (v(705) + v(795)) / 2 = 0.325; A: (6 + 118 + 133 + 291) / 4 / 500 = 0.274
        (700, 800, "redundant", 0.051, 1),
        # H: 12 pieces of 5 s and one of 7 s
        (800, 950, "trimmed", 60.0, 1),
        (950, 2150, None, None, 13),
        (2150, 2300, "trimmed", 60.0, 1),
        (2300, 2475, "beyond_max", 67.0, 1),
    ]
    (asked,) = features.asked
    assert asked[:6] == [6, 118, 133, 291, 303, 371]  # B: 75 frames, 3.75 and 71.25


def test_codes_defaults_by_overriding() -> None:
    """min 2 s, cap 1200 s, no redundancy, no trim: what the released scripts do without arguments."""
    code = Split(set="panda_code", min_length_s=2.0, max_length_s=1200.0, redundant_within=None, trim=None)
    assert [(p.start_frame, p.end_frame) for p in split(SHOTS, code, Line(VALUES)) if p.dropped is None] == [
        (0, 300), (375, 425), (500, 600), (700, 800), (800, 2475),
    ]  # fmt: skip


PLAIN = {"trim": None, "redundant_within": None, "still_distance": None, "min_length_s": None, "max_length_s": None}


def one_shot(values: Sequence[float], **settings: object) -> list[Piece]:
    """Shots of 100 frames (4 s); the first half of each has one value, the second another."""
    shots = Shots.even([100] * (len(values) // 2))
    return split(shots, Split.model_validate(PLAIN | settings), Line(np.repeat(values, 50).astype(np.float32)))


def reasons(pieces: Sequence[Piece]) -> list[str | None]:
    return [piece.dropped for piece in pieces]


@pytest.mark.parametrize("name", ["panda_paper", "panda_code"])
def test_at_the_thresholds(name: str) -> None:
    assert reasons(one_shot([0, 1], set=name)) == [None]  # 1.0 is no transition yet
    assert reasons(one_shot([0, 1.001], set=name)) == ["transition"]
    assert len(one_shot([0, 0, 0.5, 0.5], set=name, stitch_within=0.5)) == 1
    assert len(one_shot([0, 0, 0.501, 0.501], set=name, stitch_within=0.5)) == 2
    redundant = {"set": name, "stitch_within": None, "redundant_within": 0.25}
    assert reasons(one_shot([0, 0, 0.25, 0.25], **redundant)) == [None, "redundant"]
    assert reasons(one_shot([0, 0, 0.251, 0.251], **redundant)) == [None, None]
    assert reasons(one_shot([0, 0], set=name, min_length_s=4.0)) == [None]
    assert reasons(one_shot([0, 0], set=name, min_length_s=4.001)) == ["too_short"]
    assert reasons(one_shot([0, 0], set=name, max_length_s=4.0)) == [None]
    assert reasons(one_shot([0, 0], set=name, max_length_s=3.999)) == [None, "beyond_max"]
    exactly_still = one_shot([0, 0.25], set=name, still_distance=0.25)
    assert reasons(exactly_still) == (["still"] if name == "panda_paper" else [None])
    assert reasons(one_shot([0, 0.249], set=name, still_distance=0.25)) == ["still"]


@pytest.mark.parametrize(("name", "pieces"), [("panda_paper", [125, 125]), ("panda_code", [250])])
def test_remainders_of_forced_cuts(name: str, pieces: list[int]) -> None:
    """Exactly 10 s are two pieces of 5 s; with the code's slack, exactly 7 s are one and a frame more is two."""
    settings = Split.model_validate(PLAIN | {"set": name, "stitch_within": None})
    assert [p.end_frame - p.start_frame for p in split(Shots.even([250]), settings, still)] == [125, 125]
    seven, more = (split(Shots.even([frames]), settings, still) for frames in (175, 176))
    assert [len(seven), len(more)] == ([2, 2] if name == "panda_paper" else [1, 2])
    assert [p.end_frame for p in split(Shots.even([125]), settings, still)] == [125]


def still(frames: Sequence[int]) -> list[npt.NDArray[np.float32] | None]:
    return [np.zeros(2, np.float32) for _ in frames]


def test_pieces_are_int_seconds_times_fps_frames() -> None:
    """At 29.97 frames a second 5 s are int(149.85) frames, again and again; none is longer than 5 s."""
    times = np.round(np.arange(1000) * 1001 / 30).astype(np.int64)
    shots = Shots([], times, round(1000 * 1001 / 30))
    settings = Split.model_validate(PLAIN | {"set": "panda_paper", "stitch_within": None})
    assert [p.start_frame for p in split(shots, settings, still)] == [0, 149, 298, 447, 596, 745, 894]


def test_redundancy_is_measured_from_every_earlier_clip_that_was_kept() -> None:
    """0 | 1 | 0.2: too near the first, though not the second. 0.4 is near 0.2 alone, which was dropped: kept."""
    pieces = one_shot([0, 0, 1, 1, 0.2, 0.2, 0.4, 0.4], set="panda_code", stitch_within=None, redundant_within=0.25)
    assert [(p.dropped, p.value and round(p.value, 6)) for p in pieces] == [
        (None, None), (None, None), ("redundant", 0.2), (None, None),
    ]  # fmt: skip


def test_rules_are_checked_in_the_codes_order() -> None:
    """Short and still is short; still and redundant is still; what is dropped makes nothing redundant."""
    both = {"set": "panda_code", "stitch_within": None, "still_distance": 0.1}
    assert reasons(one_shot([0, 0], min_length_s=5.0, **both)) == ["too_short"]
    assert reasons(one_shot([0, 0.5, 0.25, 0.25], redundant_within=0.3, **both)) == [None, "still"]
    assert reasons(one_shot([0.25, 0.25, 0, 0.5], redundant_within=0.3, **both)) == ["still", None]


def test_a_cap_then_a_trim_leave_48_seconds_of_60() -> None:
    (clip,) = (p for p in split(SHOTS, Split(set="panda_code"), Line(VALUES)) if p.dropped is None and p.shot == 7)
    assert (clip.start_ms, clip.end_ms, clip.end_ms - clip.start_ms) == (950 * MS, 2150 * MS, 48_000)


def test_length_counts_before_the_trim() -> None:
    """2.5 s are long enough, though 2 s are left of them."""
    settings = Split.model_validate({"set": "panda_code", "still_distance": None})
    (clip,) = (p for p in split(Shots.even([63]), settings, still) if p.dropped is None)
    assert clip.end_ms - clip.start_ms < 2500


def test_what_would_be_trimmed_away_is_not_trimmed() -> None:
    shots = Shots([], np.array([0]), 4000)
    settings = Split(set="panda_code", still_distance=None)
    assert numbers(split(shots, settings, still)) == [(0, 1, None, None, 1)]


def test_shares_are_of_whole_numbers() -> None:
    """0.29 * 100 and 0.07 * 10000 are not what they seem to a computer; at 0 the frames are the first and the last."""
    for share, looked_at in ((0.29, [29, 71]), (0.0, [0, 99])):
        features = Line(np.zeros(100, np.float32))
        split(Shots.even([100]), Split.model_validate(PLAIN | {"set": "panda_code", "feature_at": share}), features)
        assert features.asked == [looked_at]
    shots = Shots([], np.arange(500) * 20, 10_000)  # 10 s, of which 7 % are 35 frames
    settings = Split.model_validate(PLAIN | {"set": "panda_code", "trim": 0.07, "cut_every_s": None})
    assert numbers(split(shots, settings, still))[1] == (35, 465, None, None, 1)


def test_stitching_goes_over_dropped_pieces_only_where_it_may() -> None:
    """A, a transition, something unreadable, and A again."""
    values = [0, 0, 7, 9, np.nan, np.nan, 0.5, 0.5]
    over = one_shot(values, set="panda_code", stitch_gaps=True)
    assert numbers(over) == [(0, 400, None, None, 2)]
    apart = one_shot(values, set="panda_paper", stitch_gaps=False)
    assert reasons(apart) == [None, "transition", "unreadable", None]
    other = one_shot([0, 0, 7, 9, 5, 5], set="panda_paper")  # the next is another picture: the gap stays dropped
    assert reasons(other) == [None, "transition", None]


def test_a_chain_of_small_steps_is_one_clip() -> None:
    """Stitching compares neighbours, not the first with the last."""
    assert numbers(one_shot([0, 0.5, 1, 1.5, 2, 2.5], set="panda_code")) == [(0, 300, None, None, 3)]


def test_vectors_that_are_no_numbers_cannot_be_used() -> None:
    def broken(frames: Sequence[int]) -> list[npt.NDArray[np.float32] | None]:
        return [np.array([0, np.inf if frame > 100 else 1], np.float32) for frame in frames]

    pieces = split(Shots.even([100, 100]), Split(set="panda_code", still_distance=None, trim=None), broken)
    assert [p.dropped for p in pieces] == [None, Dropped.UNREADABLE]


def test_features_must_answer_for_every_frame() -> None:
    with pytest.raises(ValueError):
        split(Shots.even([100]), Split(set="panda_code"), lambda frames: [None])


def test_one_frame_longer_than_a_forced_piece() -> None:
    """A slide that stands for a minute cannot be cut: it is one piece, and the next begins after it."""
    shots = Shots([], np.array([0, 60_000, 60_040, 66_000]), 66_040)  # the third stands for 5.96 s
    settings = Split.model_validate(PLAIN | {"set": "panda_paper", "stitch_within": None})
    assert [(p.start_frame, p.end_frame) for p in split(shots, settings, still)] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_no_frames_no_pieces() -> None:
    assert split(Shots([], np.array([], np.int64), 0), Split(set="panda_code"), Line(np.array([], np.float32))) == []
