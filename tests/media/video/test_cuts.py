"""Shots: the detectors by their definition and as PySceneDetect computes them, on numbers, on frames and on files."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imageio_ffmpeg import get_ffmpeg_exe

from curation.media.video import cuts
from curation.media.video.content import Measures, Sampler
from curation.media.video.cuts import adaptive_cuts, content_cuts, detect_cuts, detect_shots, fade_cuts, found_cuts
from curation.recipe.scenes import Scenes
from curation.testing.videos import Film, Shot, Style, write_video

SHOTS = (Shot(40, "dog"), Shot(30, "cat"), Shot(50, "car", motion=3), Shot(33, "house"), Shot(40, "bird"))
FADES = (Shot(40, "dog", fade_out=12), Shot(10, black=True), Shot(50, "cat", fade_in=12), Shot(40, "car"))
REAL = ("big_buck_bunny_480p_30s.mp4", "mdn_cc0_flower.mp4", "mdn_cc0_flower.webm", "mdn_cc0_friday.mp4")

runs = st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=30)


def flags(of: list[tuple[bool, int]]) -> list[bool]:
    return [False] + [value for value, length in of for _ in range(length if not value else min(length, 2))]


def merged(above: list[bool], shortest: int) -> list[int]:
    """The definition, over the frames that are above: where each waits for the next."""
    events = [frame for frame, is_above in enumerate(above) if is_above]
    cuts: list[int] = []
    before, at = 0, 0
    while at < len(events):
        first = events[at]
        if first - before >= shortest or not cuts:
            if first - before >= shortest:
                cuts.append(first)
            before, at = first, at + 1
            continue
        while True:  # merging from `first`: up to an event with `shortest` frames behind it, and as many since `first`
            last, at = events[at], at + 1
            following = events[at] if at < len(events) else len(above)
            if last - first >= shortest and following - last > shortest:
                cuts.append(last)
                before = last
                break
            if at == len(events):
                return cuts
    return cuts


@settings(max_examples=500)
@given(runs, st.integers(1, 15))
def test_content_cuts_are_those_of_the_definition(of: list[tuple[bool, int]], shortest: int) -> None:
    values = [30.0 if above else 26.9 for above in flags(of)]
    assert content_cuts(values, 30.0, shortest) == merged(flags(of), shortest)


def test_content_cuts_by_hand() -> None:
    values = [0.0] * 100
    for frame in (5, 20, 40, 45, 60, 90):
        values[frame] = 27.0
    assert content_cuts(values, 27.0, 15) == [20, 40, 60, 90]  # 5 is too near to 0; 45 and 60 are merged to 60
    assert content_cuts(values, 27.1, 15) == []
    assert content_cuts(values, 27.0, 0) == [5, 20, 40, 45, 60, 90]


def peer(detector: Any, numbers: list[float]) -> list[int]:
    """What a detector of PySceneDetect finds in these numbers, each put in the place of a frame's."""
    from scenedetect import FrameTimecode

    detector._calculate_frame_score = lambda timecode, frame_img: float(frame_img)
    cuts = []
    for frame, number in enumerate(numbers):
        cuts += detector.process_frame(FrameTimecode(frame, 25.0), np.float64(number))
    return sorted({cut.frame_num for cut in cuts})


numbers = st.lists(st.sampled_from([0.0, 0.0, 1.0, 3.0, 12.0, 14.9, 15.0, 27.0, 45.0, 80.0]), min_size=1, max_size=90)


@settings(max_examples=300, deadline=None)
@given(numbers, st.integers(0, 8), st.integers(1, 3), st.sampled_from([-1.0, -0.3, 0.0, 0.5, 1.0]))
def test_detectors_find_what_those_of_pyscenedetect_find(
    found: list[float], shortest: int, window: int, bias: float
) -> None:
    detectors = pytest.importorskip("scenedetect.detectors")
    found[0] = 0.0  # the first frame has no content value
    assert content_cuts(found, 27.0, shortest) == peer(detectors.ContentDetector(27.0, shortest), found)
    section = Scenes(detector="adaptive", min_scene_frames=shortest, window=window)
    adaptive = detectors.AdaptiveDetector(min_scene_len=shortest, window_width=window)
    assert adaptive_cuts(found, section) == peer(adaptive, found)
    fades = detectors.ThresholdDetector(12, shortest, bias)
    assert sorted(set(fade_cuts(found, 12, bias, shortest))) == peer(fades, found)


def test_adaptive_cuts_stand_out_from_what_is_known_around_them() -> None:
    values = [5.0] * 30
    values[10], values[20] = 44.9, 45.0
    section = Scenes(detector="adaptive", adaptive_threshold=9.0)
    assert adaptive_cuts(values, section) == [20]
    assert adaptive_cuts([*values[:21], float("nan"), 5.0, *values[23:]], section) == [20]
    assert adaptive_cuts([0.0] * 20 + [15.0] + [0.0] * 9, section) == [20]  # nothing moves but this
    assert adaptive_cuts([0.0] * 20 + [14.9] + [0.0] * 9, section) == []


def test_fade_cuts_lie_in_the_dark_as_the_bias_says() -> None:
    levels = [50.0] * 20 + [5.0] * 10 + [50.0] * 20
    assert [fade_cuts(levels, 12, bias, 15) for bias in (-1.0, 0.0, 1.0)] == [[20], [25], [30]]
    assert fade_cuts(levels, 12, 0.0, 31) == []  # the light comes back too near to the beginning
    assert fade_cuts(levels, 5, 0.0, 15) == []  # never below
    measures = Measures([0.0] * 50, levels, np.arange(50), 50, 50, 0)
    assert found_cuts(measures, Scenes(fades=True)) == [25]
    assert found_cuts(measures, Scenes()) == []


def painting(width: int, height: int, seed: int, dark: bool = False) -> np.ndarray:
    """Soft colours of all kinds, (height, width, 3) in BGR."""
    small = np.random.default_rng(seed).integers(0, 20 if dark else 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("size", [(640, 360), (853, 481), (200, 120), (360, 640)])
@pytest.mark.parametrize(
    "name",
    ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuvj444p", "yuv440p", "yuv411p", "yuv410p", "gray", "nv12",
     "yuv420p10le", "yuv444p12le", "gray10le", "rgb24", "bgra", "gbrp", "yuyv422"],
)  # fmt: skip
@pytest.mark.slow
def test_samples_of_every_format_are_what_pyscenedetect_looks_at(name: str, size: tuple[int, int]) -> None:
    width, height = size[0] - size[0] % 2, size[1]  # yuyv422 has no odd widths
    sampler, samples, expected = Sampler(), [], []
    for number in range(3):
        source = av.VideoFrame.from_ndarray(painting(width, height, number, dark=number == 2), format="bgr24")
        frame = source.reformat(format=name)
        samples.append(sampler(frame))
        scale = max(1.0, max(width, height) / 256)
        small = round(width / scale), round(height / scale)
        expected.append(np.asarray(cv2.resize(frame.to_ndarray(format="bgr24"), small), np.uint8))
    for sample, known in zip(samples, expected, strict=True):
        assert sample.bgr.shape == known.shape
        error = np.abs(sample.bgr.astype(int) - known).mean()
        assert error < (4.0 if name.startswith("yuv41") else 2.0)  # of whose colours few are left to interpolate
        assert sample.level == pytest.approx(known.mean(), abs=1.2)
    hsv = [np.asarray(cv2.cvtColor(known, cv2.COLOR_BGR2HSV), int) for known in expected]
    change = np.abs(hsv[1] - hsv[0]).mean()
    assert samples[1].change(samples[0]) == pytest.approx(change, rel=0.02)
    assert samples[1].change(samples[1]) == 0.0


SECTIONS = (
    Scenes(),
    Scenes(threshold=12.0, min_scene_frames=4),
    Scenes(detector="adaptive"),
    Scenes(detector="adaptive", min_scene_frames=3),
    Scenes(fades=True),
    Scenes(fades=True, fade_threshold=40, fade_bias=-0.5, min_scene_frames=5),
)


def recorded(detector: Any) -> list[int]:
    """Fills, while a video is read, with what this detector finds: milliseconds from the first frame."""
    found: list[int] = []
    process = detector.process_frame

    def process_frame(*frame: Any) -> Any:
        cuts = process(*frame)
        found.extend(round(1000 * cut.seconds) for cut in cuts)
        return cuts

    detector.process_frame = process_frame
    return found


def psd(path: Path, sections: Sequence[Scenes] = SECTIONS) -> list[list[int]]:
    """For each of the settings: milliseconds from the first frame to every cut that PySceneDetect finds with them."""
    scenedetect = pytest.importorskip("scenedetect")
    manager, found = scenedetect.SceneManager(), []
    for section in sections:
        length = section.min_scene_frames
        detectors = [
            scenedetect.ContentDetector(section.threshold, length)
            if section.detector == "content"
            else scenedetect.AdaptiveDetector(min_scene_len=length)
        ]
        if section.fades:
            detectors.append(scenedetect.ThresholdDetector(section.fade_threshold, length, section.fade_bias))
        found.append([recorded(detector) for detector in detectors])
        for detector in detectors:
            manager.add_detector(detector)
    manager.detect_scenes(scenedetect.open_video(str(path), backend="pyav"))
    return [sorted({cut for part in parts for cut in part}) for parts in found]


def ours(path: Path, sections: Sequence[Scenes] = SECTIONS) -> list[list[int]]:
    """The same by one decoding."""
    measures = cuts._measures(path, Scenes(fades=True), time.monotonic() + 60)
    times = measures.times_ms - measures.times_ms[0]
    return [[int(times[cut]) for cut in found_cuts(measures, section)] for section in sections]


def assert_as_pyscenedetect(path: Path) -> None:
    for section, own, other in zip(SECTIONS, ours(path), psd(path), strict=True):
        assert own == pytest.approx(other, abs=1), section


@pytest.mark.parametrize("name", REAL)
@pytest.mark.slow
def test_real_videos_have_the_cuts_seen_by_eye_and_by_pyscenedetect(real_data: Path, name: str) -> None:
    path = real_data / "media" / "videos" / name
    known = json.loads((path.parent / "scene_cuts.json").read_text())[name]["hard_cuts"]
    assert detect_cuts(path) == known
    assert detect_shots(path, Scenes(detector="adaptive")).cuts == known
    assert_as_pyscenedetect(path)


STYLES: dict[str, tuple[str, Style]] = {
    "mp4": ("film.mp4", Style()),
    "b_frames": ("film.mp4", Style(b_frames=4, gop=100)),
    "webm": ("film.webm", Style(gop=30)),
    "rotated": ("film.mp4", Style(rotation=90, size=(180, 320))),
    "odd": ("film.mkv", Style(size=(301, 181), pixel_format="yuv444p")),
    "ten_bits": ("film.mkv", Style(pixel_format="yuv420p10le")),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.slow
def test_films_have_the_cuts_they_were_made_with(tmp_path: Path, style: str) -> None:
    name, settings_ = STYLES[style]
    film = write_video(tmp_path / name, SHOTS, settings_)
    shots = detect_shots(film.path, Scenes())
    assert shots.cuts == list(film.cuts)
    assert list(shots.times_ms) == pytest.approx(list(film.times_ms), abs=1)
    assert abs(shots.end_ms - film.end_ms) <= 2
    assert (shots.decoded_frames, shots.corrupt) == (film.frames, 0)
    assert_as_pyscenedetect(film.path)


def test_fades_are_cut_in_the_dark(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", FADES)
    found = detect_shots(film.path, Scenes(fades=True)).cuts
    assert any(36 <= cut <= 56 for cut in set(found) - set(detect_cuts(film.path)))
    assert_as_pyscenedetect(film.path)


def test_flashes_are_merged_as_pyscenedetect_merges_them(tmp_path: Path) -> None:
    flashing = [Shot(40, "dog"), *(Shot(3, "cat" if number % 2 else "dog", str(number)) for number in range(9))]
    film = write_video(tmp_path / "film.mp4", [*flashing, Shot(40, "car")])
    cuts = detect_cuts(film.path)
    assert cuts == [40, film.cuts[-1]]
    assert_as_pyscenedetect(film.path)


def test_variable_frame_rates_change_no_index(tmp_path: Path) -> None:
    frames = sum(shot.frames for shot in SHOTS)
    times = list(accumulate((33 if place % 3 else 100 for place in range(frames - 1)), initial=0))
    film = write_video(tmp_path / "film.mp4", SHOTS, Style(times_ms=times))
    shots = detect_shots(film.path, Scenes())
    assert shots.cuts == list(film.cuts)
    assert list(shots.times_ms) == times
    assert set(ours(film.path)[0]) <= set(psd(film.path)[0])  # which counts frames by time


def ffmpeg(*arguments: str | Path) -> None:
    command = [get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return write_video(tmp_path_factory.mktemp("films") / "film.mp4", SHOTS)


def test_a_size_that_changes_in_mid_stream_is_sampled_to_one(film: Film, tmp_path: Path) -> None:
    parts = []
    for number, scale in enumerate(("320:180", "200:112", "640:360")):
        parts.append(tmp_path / f"{number}.ts")
        begin = ("-output_ts_offset", f"{number * film.end_ms / 1000:.3f}")
        ffmpeg("-i", film.path, "-an", "-vf", f"scale={scale}", "-c:v", "libx264", "-g", "20", *begin, parts[-1])
    joined = tmp_path / "film.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    shots = detect_shots(joined, Scenes())
    expected = [begin + cut for begin in (0, film.frames, 2 * film.frames) for cut in (0, *film.cuts)][1:]
    assert shots.cuts == expected
    assert len(shots.times_ms) == 3 * film.frames
    assert (np.diff(shots.times_ms) > 0).all()


def test_an_edit_list_leaves_out_frames_that_are_decoded(film: Film, tmp_path: Path) -> None:
    ffmpeg("-ss", "1.3", "-i", film.path, "-c", "copy", tmp_path / "film.mp4")
    shots = detect_shots(tmp_path / "film.mp4", Scenes())
    lost = film.frames - len(shots.times_ms)
    assert 24 <= lost <= 32
    assert shots.cuts == [cut - lost for cut in film.cuts if cut - lost >= 15]


def test_times_are_made_up_where_a_stream_has_none(film: Film, tmp_path: Path) -> None:
    ffmpeg("-i", film.path, "-an", "-c:v", "copy", tmp_path / "film.h264")
    shots = detect_shots(tmp_path / "film.h264", Scenes())
    assert shots.cuts == list(film.cuts)
    assert len(shots.times_ms) == film.frames
    assert (np.diff(shots.times_ms) > 0).all()


def test_damaged_packets_are_left_out_and_counted(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", SHOTS, Style(gop=10, sound="none"))
    with av.open(str(film.path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(film.path.read_bytes())
    for position, size in packets[81:84]:  # in the third shot
        data[position : position + size] = b"\xff" * size
    film.path.write_bytes(data)
    shots = detect_shots(film.path, Scenes())
    assert shots.corrupt > 0
    lost = film.frames - len(shots.times_ms)
    assert 0 < lost < 20
    assert {film.cuts[0], film.cuts[1], film.cuts[3] - lost} <= set(shots.cuts)
