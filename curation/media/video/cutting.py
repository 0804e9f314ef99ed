"""Cuts clips out of a video file, and reads every clip to see that it is what was asked for.

Accurate clips are encoded anew, by one FFmpeg for a few neighbouring clips: it seeks once, decodes once, and passes
each frame to the clips that it belongs to. Frames are chosen by their times in the file, and FFmpeg writes down which
ones each encoder was given. Copied clips are the stored packets from a key frame on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import ffmpeg

from curation.media.video.facts import RefusedVideo
from curation.media.video.ffmpeg import FfmpegError, FfmpegTimeoutError, run
from curation.media.video.probe import (
    MAX_PIXELS,
    audio_stream,
    frame_rate,
    input_options,
    open_video,
    scan_packets,
    upright,
    video_stream,
)
from curation.media.video.sources import Source, copied_span, read_source, seek
from curation.recipe.cutting import Cut

_TOGETHER = {"accurate": 4, "copy": 16}
"""Clips of one process. Encoders live until all are done, so memory grows with them; measured, more save no time."""
_APART_MS = 1000  # of frames in no clip that are decoded rather than left to a process of their own
_BEFORE = 10  # key frames further back from which a clip is cut again that came out wrong
_ROUNDED = Fraction(2, 1000)  # seconds: Matroska's times are whole ms
_MP4_VIDEO = ("h264", "hevc", "av1", "vp9", "mpeg4")
_MP4_AUDIO = ("aac", "mp3", "ac3", "eac3", "opus", None)
_PLAIN = {
    "map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact",
}  # fmt: skip


LATE = "late: "
"""How the problem of a clip begins that another limit, or a machine with less to do, might have cut."""


class Span(NamedTuple):
    """What is asked for: the frames [start_frame, end_frame), whose times are in [start_ms, end_ms)."""

    start_frame: int
    end_frame: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class CutClip:
    """A clip as it came out, or why it did not: `problem`, one line; without one, `path` is a file of these facts.

    start_ms, end_ms: in the source, as really cut: copies begin and end where copies can. frames: as counted in the
    file. width, height: upright. fps: on average.
    """

    span: Span
    path: Path | None = None
    frames: int = 0
    start_ms: int = 0
    end_ms: int = 0
    duration_ms: int = 0
    size_bytes: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    has_audio: bool = False
    sha256: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    """A clip to cut. start_ms, end_ms, frames: what can be had; path: where to; has_sound: whether there is any."""

    number: int
    span: Span
    start_ms: int
    end_ms: int
    frames: int
    path: Path
    has_sound: bool

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")

    @property
    def log(self) -> Path:
        """Which frames the encoder was given."""
        return self.path.with_name(f"{self.path.stem}.frames")


class _WrongClipError(Exception):
    """A clip is not what was asked for; the words say how."""


def cut(
    path: str | Path, clips: Sequence[tuple[int, int, int, int]], settings: Cut, folder: str | Path,
    deadline: float | None = None,
) -> list[CutClip]:  # fmt: skip
    """Cuts clips (start_frame, end_frame, start_ms, end_ms) of one local file into `folder`: 00000.mp4 and so on (.mkv
    for copies of codecs that MP4 does not have).

    A result for each, in the given order; what goes wrong with one is its `problem` and touches no other. The same
    file, clips and settings give the same bytes; the pictures of a clip are the same whatever else is cut (not so its
    sound: what AAC decodes to depends on where decoding began). Raises RefusedVideo where the file itself cannot be
    read.
    """
    source, folder = read_source(Path(path), settings.max_height, deadline), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[int, CutClip] = {}
    jobs = []
    for number, clip in enumerate(clips):
        try:
            jobs.append(_job(source, number, Span(*clip), settings, folder))
        except _WrongClipError as wrong:
            results[number] = CutClip(Span(*clip), problem=str(wrong))
    for batch in _batches(source, jobs, _TOGETHER[settings.mode]):
        said = _run(source, batch, settings, deadline)
        for job in batch:
            results[job.number] = _outcome(source, job, settings, deadline, said)
    return [results[number] for number in range(len(clips))]


def _job(source: Source, number: int, span: Span, settings: Cut, folder: Path) -> _Job:
    """Raises _WrongClipError where there is nothing to cut."""
    if not (0 <= span.start_frame < span.end_frame and span.start_ms < span.end_ms):
        raise _WrongClipError(f"no clip has the bounds {tuple(span)}")
    first = source.place(span.start_ms)
    if first == source.place(span.end_ms):
        raise _WrongClipError(f"the video has no frames from {span.start_ms} to {span.end_ms} ms")
    if source.is_counted and first != span.start_frame:
        raise _WrongClipError(f"by its times it begins with frame {first}, not with frame {span.start_frame}")
    path, keep = folder / f"{number:05d}.mp4", settings.audio == "keep"
    asked, shown = span.end_frame - span.start_frame, source.place(span.end_ms) - first
    if settings.mode == "accurate":
        has_sound = keep and source.has_sound(span.start_ms, span.end_ms)
        return _Job(number, span, span.start_ms, span.end_ms, asked, path, has_sound)
    if source.is_counted:
        raise _WrongClipError("the file does not say when each frame is shown: clips of it cannot be copied")
    if shown != asked:
        raise _WrongClipError(f"{asked} frames were asked for, the video has {shown} at those times")
    if len(source.keys) and source.keys[0] > source.times[first]:
        raise _WrongClipError("there is no key frame before it at which a copy could begin")
    start_ms, end_ms = copied_span(source, int(source.times[first]), span.end_ms)
    if source.is_crowded and source.has_equals(start_ms, end_ms):
        raise _WrongClipError("some of its frames have the same time: they cannot be copied")
    is_mp4 = source.codecs[0] in _MP4_VIDEO and (settings.audio == "drop" or source.codecs[1] in _MP4_AUDIO)
    frames = source.place(end_ms) - source.place(start_ms)
    return _Job(number, span, start_ms, end_ms, frames, path.with_suffix(".mp4" if is_mp4 else ".mkv"),
                keep and source.has_sound(start_ms, end_ms))  # fmt: skip


def _batches(source: Source, jobs: Sequence[_Job], together: int) -> Iterator[list[_Job]]:
    """Clips that one process cuts: neighbours, with little between them that would be decoded for nothing."""
    batch: list[_Job] = []
    end_ms = 0
    for job in sorted(jobs, key=lambda job: (job.start_ms, job.end_ms)):
        seek_ms = seek(source, job.start_ms)
        is_apart = seek_ms is not None and seek_ms > end_ms + _APART_MS
        if batch and (len(batch) == together or is_apart):
            yield batch
            batch, end_ms = [], 0
        end_ms = max(end_ms, job.end_ms)
        batch.append(job)
    if batch:
        yield batch


def _run(source: Source, jobs: Sequence[_Job], settings: Cut, deadline: float | None, back: int = 0) -> str:
    """One FFmpeg. Gives its complaint, empty where it has none."""
    left = settings.process_seconds if deadline is None else deadline - time.monotonic()
    options: dict[str, Any] = {"copyts": None, "noaccurate_seek": None, "fflags": "+genpts", "threads": 1}
    seek_ms = seek(source, jobs[0].start_ms, back)
    if seek_ms is not None:
        options["ss"] = f"{seek_ms / 1000:.6f}"
    opened = ffmpeg.input(_url(source.path), **options, **input_options(source.path, MAX_PIXELS))
    outputs = (_accurate if settings.mode == "accurate" else _copied)(source, jobs, settings, opened)
    try:
        run(ffmpeg.merge_outputs(*outputs).get_args(), min(settings.process_seconds, left))
    except FfmpegTimeoutError as error:
        return LATE + str(error)
    except FfmpegError as error:
        words = str(error)
        for path in (source.path, jobs[0].path):  # folders that are others in the next run
            words = words.replace(f"{path.absolute().parent}/", "")
        return words
    return ""


def _accurate(source: Source, jobs: Sequence[_Job], settings: Cut, opened: Any) -> list[Any]:
    """Decoded once; each clip's frames encoded, and noted with the times that they have in the file."""
    pictures = opened[str(source.video)]
    if source.is_crowded and not source.is_counted:  # as `stamps` are
        pictures = pictures.filter("setpts", "if(isnan(PREV_OUTPTS),PTS,max(PTS,PREV_OUTPTS+ceil(0.001/TB-0.001)))")
    pictures, loud = pictures.filter_multi_output("split", len(jobs)), [job for job in jobs if job.has_sound]
    sounds = opened[str(source.audio)].filter_multi_output("asplit", len(loud)) if loud else None
    outputs = []
    for place, job in enumerate(jobs):
        streams = [_picture(source, _chosen(source, job, pictures.stream(place)))]
        if sounds is not None and job.has_sound:
            start, end = source.seconds(job.start_ms), source.seconds(job.end_ms)
            streams.append(sounds.stream(loud.index(job)).filter("atrim", start=start, end=end))
        log = {"stats_enc_pre:v": _url(job.log), "stats_enc_pre_fmt:v": "{pts} {tb}", "bsf:v": _last(source, job)}
        outputs.append(ffmpeg.output(*streams, _url(job.part), **_encoding(settings), **log, **_muxing(source, job)))
    return outputs


def _chosen(source: Source, job: _Job, stream: Any) -> Any:
    """The frames of a clip. Those that are counted are spaced evenly between its first and its last."""
    if not source.is_counted:
        start, end = source.before(job.start_ms), source.before(job.end_ms)
        return stream.filter("trim", start=start, end=end)
    first, last = (float(source.exact(source.place(ms) - back)) for ms, back in ((job.start_ms, 0), (job.end_ms, 1)))
    step = (last - first) / max(1, job.frames - 1)
    stream = stream.filter("trim", start_frame=job.span.start_frame, end_frame=job.span.end_frame)
    return stream.filter("setpts", f"round(({first:.6f}+N*{step:.9f})/TB)")


def _picture(source: Source, stream: Any) -> Any:
    """Even sides, square pixels. FFmpeg has turned the frames upright before."""
    if not source.is_scaled:  # a line less, rather than all of them interpolated
        stream = stream.filter("crop", "trunc(iw/2)*2", "trunc(ih/2)*2", 0, 0)
    stream = stream.filter("scale", *source.size, flags="bicubic+accurate_rnd+bitexact")
    return stream.filter("setsar", 1).filter("format", "yuv420p")


def _encoding(settings: Cut) -> dict[str, Any]:
    """One thread: with two, libx264 gave a clip other bytes beside others than alone (seen once in six)."""
    options: dict[str, Any] = {
        "c:v": settings.codec, "preset": settings.preset, "crf": settings.crf, "threads:v": 1,
        "fps_mode": "passthrough", "enc_time_base:v": "filter", "c:a": "aac", "b:a": f"{settings.audio_kbps}k",
    }  # fmt: skip
    if settings.codec == "libx265":
        options |= {"tag:v": "hvc1", "x265-params": "log-level=error:pools=none:frame-threads=1"}
    return options


def _last(source: Source, job: _Job) -> str:
    """The last frame stands until the clip's end: of what is stored only the distance to the frame stored next."""
    last = float(source.exact(source.place(job.end_ms) - 1))
    length = source.seconds(job.end_ms) - last
    return f"setts=pts=PTS:dts=DTS:duration='if(gt(PTS*TB,{last - 0.0005:.6f}),{length:.6f}/TB,DURATION)'"


def _url(path: Path) -> str:
    return f"file:{path.absolute()}"  # whose name is no option, and no address


def _muxing(source: Source, job: _Job) -> dict[str, Any]:
    """Times begin with the clip, and nothing in the file says when or by what it was made."""
    kind = {"f": "mp4", "movflags": "+faststart"} if job.path.suffix == ".mp4" else {"f": "matroska"}
    start = float(source.exact(source.place(job.start_ms)))
    return {**kind, **_PLAIN, "output_ts_offset": f"{-start:.6f}"}


def _copied(source: Source, jobs: Sequence[_Job], settings: Cut, opened: Any) -> list[Any]:
    """Packets of a clip's times; those before its key frame, or referring to what lies before it, are left out."""
    outputs = []
    for job in jobs:
        start, end = (source.seconds(ms - 0.51) for ms in (job.start_ms, job.end_ms))
        streams = [opened[str(source.video)]]
        if job.has_sound:
            streams.append(opened[str(source.audio)])
        to = {"to": source.seconds(job.end_ms + 2 * _APART_MS)}  # where reading ends: by then all of it was stored
        drop = f"noise=drop='lt(pts*tb,{start:.6f})+gte(pts*tb,{end:.6f})'"
        copy = {"c": "copy", "copypriorss": 1, "bsf:v": f"{drop},{_last(source, job)}", "bsf:a": drop, **to}
        outputs.append(ffmpeg.output(*streams, _url(job.part), **copy, **_muxing(source, job)))
    return outputs


def _outcome(source: Source, job: _Job, settings: Cut, deadline: float | None, said: str) -> CutClip:
    """Looks at what came out; if it is wrong, tries once more by itself, from further back; then without its sound."""
    try:
        try:
            return _checked(source, job, settings, said)
        except _WrongClipError:
            said = _run(source, [job], settings, deadline, back=_BEFORE)
        try:
            return _checked(source, job, settings, said)
        except _WrongClipError:
            if not job.has_sound or not said or said.startswith(LATE):
                raise
            job = replace(job, has_sound=False)
            return _checked(source, job, settings, _run(source, [job], settings, deadline, back=_BEFORE))
    except _WrongClipError as wrong:
        return CutClip(job.span, problem=str(wrong))
    finally:
        for path in (job.part, job.log):
            path.unlink(missing_ok=True)


def _checked(source: Source, job: _Job, settings: Cut, said: str) -> CutClip:
    """The clip, read from its file. Raises _WrongClipError where it is not what was asked for."""
    if not job.part.exists() or not job.part.stat().st_size:
        raise _WrongClipError(said or "ffmpeg wrote no file")
    if settings.mode == "accurate":
        _check_frames(source, job, said)
    try:
        width, height, rate = _check_file(source, job, said)
    except RefusedVideo as refused:
        raise _WrongClipError(said or f"the clip cannot be read: {refused}") from None
    if said:  # whole, as it seems, but nobody knows what is missing
        raise _WrongClipError(said)
    has_sound = _has_sound(job.part)
    with job.part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    job.part.rename(job.path)
    return CutClip(
        job.span, job.path, job.frames, job.start_ms, job.end_ms, job.end_ms - job.start_ms, size, width, height, rate,
        has_sound, digest,
    )  # fmt: skip


def _check_file(source: Source, job: _Job, said: str) -> tuple[int, int, float]:
    """Upright size and frame rate of what was written: as many frames, as far apart as in the source."""
    with open_video(job.part) as container:
        stream = video_stream(container)
        scan = scan_packets(container, stream, None)
        width, height, _ = upright(scan.frame, stream)
        if len(scan.times) != job.frames:
            count = len(scan.times)
            raise _WrongClipError(f"{job.frames} frames were asked for, the clip has {count}{said and ': ' + said}")
        first, last = source.exact(source.place(job.start_ms)), source.exact(source.place(job.end_ms) - 1)
        shown = (max(scan.times) - min(scan.times)) * (stream.time_base or 0)
        if abs(shown - (last - first)) > _ROUNDED:
            raise _WrongClipError(f"its frames span {float(shown):.3f} s, in the video {float(last - first):.3f} s")
        return width, height, frame_rate(scan, stream)[0]


def _check_frames(source: Source, job: _Job, said: str) -> None:
    """By what FFmpeg noted: as many frames as asked for, at the times that they have in the file, in that order."""
    lines = job.log.read_text().splitlines() if job.log.exists() else []
    times = [round(1000 * (int(at) * Fraction(unit) - source.start)) for at, unit in (line.split() for line in lines)]
    if len(times) != job.frames:
        raise _WrongClipError(f"{job.frames} frames were asked for, {len(times)} came{said and ': ' + said}")
    if times[0] != job.start_ms or not job.start_ms <= max(times) < job.end_ms:
        bounds = f"{job.start_ms} to {job.end_ms}"
        raise _WrongClipError(f"the frames are those of {times[0]} to {max(times)} ms, not of {bounds}")
    expected = source.times[source.place(job.start_ms) :][: job.frames].tolist()
    if not source.is_counted and any(abs(at - other) > 1 for at, other in zip(times, expected, strict=False)):
        raise _WrongClipError("its frames came in another order than the file's times say")


def _has_sound(path: Path) -> bool:
    with open_video(path) as container:
        stream = audio_stream(container)
        return stream is not None and any(packet.size for packet in container.demux(stream))
