"""Shots of a video: PySceneDetect's detectors (0.7.2; by their definition) over frames sampled while they are decoded.

A cut is the index of the first frame of a new shot; frames count from 0 in presentation order.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curation.media.video.content import Measures, Sample, Sampler
from curation.media.video.frames import FrameReader
from curation.media.video.key_frame_cuts import guided_measures
from curation.media.video.probe import open_video, video_stream
from curation.media.video.sniffing import check_beginning
from curation.recipe.scenes import Scenes


@dataclass(frozen=True, slots=True)
class Shots:
    """The shots of a video: frames from 0, or a cut, up to the next cut or the end.

    cuts: increasing, without 0. times_ms: of every frame, from the container's start. end_ms: of the last frame.
    decoded_frames: those that were decoded, some twice. corrupt: packets that could not be decoded, which are left out.
    """

    cuts: list[int]
    times_ms: npt.NDArray[np.int64]
    end_ms: int
    decoded_frames: int
    corrupt: int


def detect_cuts(path: str | Path) -> list[int]:
    """The first frame of each new shot of a video file, found as PySceneDetect's ContentDetector does by default.

    Raises RefusedVideo for what is no video or cannot be decoded.
    """
    return detect_shots(path, Scenes()).cuts


def detect_shots(path: str | Path, settings: Scenes, deadline: float | None = None) -> Shots:
    """The shots of a local video file. deadline: by time.monotonic(), besides settings.max_seconds.

    Raises RefusedVideo: NOT_A_VIDEO, CORRUPT where nothing can be decoded, NO_FRAMES, UNSUPPORTED, TIMEOUT; OSError.
    """
    path, limit = Path(path), time.monotonic() + settings.max_seconds
    deadline = limit if deadline is None else min(deadline, limit)
    check_beginning(path)
    measures = guided_measures(path, settings, deadline) if settings.key_frame_guided else None
    if measures is None:
        measures = _measures(path, settings, deadline)
    return Shots(found_cuts(measures, settings), measures.times_ms, measures.end_ms, measures.decoded, measures.corrupt)


def _measures(path: Path, settings: Scenes, deadline: float) -> Measures:
    """By decoding every frame."""
    with open_video(path, deadline=deadline) as container:
        reader, sampler = FrameReader(container, video_stream(container), deadline), Sampler()
        values, levels = array("d"), array("d")
        stamps: list[int | None] = []
        last: Sample | None = None
        length = 0
        for frame in reader.frames():
            sample = sampler(frame)
            values.append(sample.change(last) if last else 0.0)
            if settings.fades:
                levels.append(sample.level)
            stamps.append(frame.pts)
            last, length = sample, frame.duration
        reader.check_any(len(values), path)
        times, end = reader.times(stamps, length)
        return Measures(values, levels, times, end, reader.decoded, reader.corrupt)


def found_cuts(measures: Measures, settings: Scenes) -> list[int]:
    """All cuts that the settings ask for, increasing."""
    shortest = settings.min_scene_frames
    if settings.detector == "content":
        cuts = content_cuts(measures.values, settings.threshold, shortest)
    else:
        cuts = adaptive_cuts(measures.values, settings)
    if settings.fades:
        cuts += fade_cuts(measures.levels, settings.fade_threshold, settings.fade_bias, shortest)
    return sorted(set(cuts))


def content_cuts(values: Sequence[float], threshold: float, shortest: int) -> list[int]:
    """Frames whose content value reaches the threshold, at least `shortest` frames after frame 0 and any such frame.

    After the first cut, others that follow sooner are merged into one: the last of them, once they span `shortest`
    frames and as many have passed since without another. (PySceneDetect: ContentDetector, FlashFilter.Mode.MERGE)
    """
    cuts: list[int] = []
    last, merged_from = 0, -1
    for frame, value in enumerate(values):
        is_above, is_far = value >= threshold, frame - last >= shortest
        if is_above:
            last = frame
        if merged_from >= 0:
            if is_far and not is_above and last - merged_from >= shortest:
                cuts.append(last)
                merged_from = -1
        elif is_above and is_far:
            cuts.append(frame)
        elif is_above and cuts:
            merged_from = frame
    return cuts


def adaptive_cuts(values: Sequence[float], settings: Scenes) -> list[int]:
    """Frames whose content value reaches min_content_value, and adaptive_threshold times the mean of those around it.

    Frames nearer than `window` to either end are none. (PySceneDetect: AdaptiveDetector)
    """
    window, cuts, last = settings.window, [], 0
    for frame in range(window, len(values) - window):
        value = values[frame]
        if not value >= settings.min_content_value or frame - last < settings.min_scene_frames:
            continue
        around = [*values[frame - window : frame], *values[frame + 1 : frame + 1 + window]]
        known = [near for near in around if not isnan(near)]
        mean = sum(known) / max(1, len(known))
        ratio = _MOST if mean < _STILL else min(value / mean, _MOST)
        if ratio >= settings.adaptive_threshold:
            last = frame
            cuts.append(frame)
    return cuts


_STILL = 1e-5
"""Mean content value below which nothing moves."""
_MOST = 255.0
"""Largest ratio of a content value to those around it."""


def fade_cuts(levels: Sequence[float], threshold: float, bias: float, shortest: int) -> list[int]:
    """Between the frame at which it gets black and the one at which that ends, at least `shortest` frames after the
    end before (or frame 0): in the middle for a bias of 0. levels: brightness. (PySceneDetect: ThresholdDetector)
    """
    cuts: list[int] = []
    begin, last = 0, 0
    was_black = bool(levels) and levels[0] < threshold
    for frame, level in enumerate(levels):
        is_black = level < threshold
        if is_black and not was_black:
            begin = frame
        elif was_black and not is_black and frame - last >= shortest:
            cuts.append(begin + round((frame - begin) * (1 + bias) / 2))
            last = frame
        was_black = is_black
    return cuts
