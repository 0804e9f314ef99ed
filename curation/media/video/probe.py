"""What a video file is: read from its packets and its first frame, not from what its header claims."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from curation.media.image_headers import sniff
from curation.media.video.facts import RefusedVideo, VideoFacts, VideoRefusal, check_deadline
from curation.media.video.frames import Clock
from curation.media.video.sniffing import check_beginning, check_end, is_playlist

MAX_PIXELS = 1 << 26
"""Pixels of a frame that may be decoded, where nothing else is said: 8K has half of them."""

FORMATS = (
    "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,asf,ogg,gif,webp,webp_anim,apng,avif,ivf,h264,hevc,vvc,av1,obu,"
    "m4v,mxf,nut,rm,dv,wtv,gxf,swf,yuv4mpegpipe,mp3,aac,wav,flac,ac3,eac3,aiff,au,amr,caf,w64,ape,wv,tta,image2,"
    "jpeg_pipe,png_pipe,webp_pipe,gif_pipe"
)
"""Demuxers that read one file and never another: not hls, dash, concat, sdp, nor any that takes an address."""

_UNREADABLE = "it cannot be read"
_PLAYLIST_FORMATS = "hls,mpegts,mov,aac,mp3,ac3,eac3,webvtt"
_MAX_PACKETS = 20_000_000  # 46 hours at 120 a second; a list of so many times takes 640 MB
_FIRST_FRAME = 1000  # packets among which one must decode: a cut broadcast begins up to ten seconds before a key frame
_LONGEST_END = 10  # times the longest of others that the last frame may stand, or
_LONGEST_END_S = 10  # so many seconds; what is more was made up
_JITTER = 0.05  # of a frame's length by which distances may differ without the rate being called variable
_PAUSE = Fraction(1, 10)  # seconds between packets of sound that are no silence
_MAX_ASPECT = 16  # of a pixel; beyond it is a fault, and taken as square


def input_options(path: Path, max_pixels: int) -> dict[str, str]:
    """Options under which FFmpeg opens a file that nobody vouches for, and leads nowhere else."""
    playlist = is_playlist(path)
    return {
        "protocol_whitelist": "file,crypto" if playlist else "file",
        "format_whitelist": _PLAYLIST_FORMATS if playlist else FORMATS,
        "max_pixels": str(max_pixels),
    }


@contextmanager
def open_video(
    path: str | Path, *, max_pixels: int = MAX_PIXELS, deadline: float | None = None
) -> Iterator[InputContainer]:
    """A local file for reading; FFmpeg's errors, here or in the block, become RefusedVideo.

    A name is never taken as an address, and no file leads to another (but a playlist called .m3u8 to its segments).
    """
    path, left = Path(path), None if deadline is None else max(0.0, deadline - time.monotonic())
    name, options = f"file:{path.absolute()}", input_options(path, max_pixels)
    try:
        container = av.open(name, options=options, metadata_errors="replace", timeout=left)
    except (av.FFmpegError, ValueError, ArithmeticError) as error:
        raise _unreadable(error, deadline) from None
    with container:
        try:
            yield container
        except av.FFmpegError as error:
            raise _unreadable(error, deadline) from None


def _unreadable(error: Exception, deadline: float | None) -> RefusedVideo:
    check_deadline(deadline, "reading")
    if isinstance(error, av.error.ExitError):
        return RefusedVideo(VideoRefusal.TIMEOUT, "reading took longer than its limit")
    words = (isinstance(error, av.FFmpegError) and error.strerror) or str(error)
    return RefusedVideo(VideoRefusal.CORRUPT, f"{_UNREADABLE}: {words}")


def video_stream(container: InputContainer) -> VideoStream:
    """The stream that is meant by "the video": FFmpeg's choice among those that are no cover picture.

    Raises RefusedVideo: NOT_A_VIDEO without one, UNSUPPORTED without a decoder for it, or encrypted.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        cover = " and a cover picture" if container.streams.video else ""
        found = "sound" if "audio" in kinds else ", ".join(kinds) or "nothing"
        raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, f"no video in it, only {found}{cover} ({container.format.name})")
    best = container.streams.best("video")
    stream = next((stream for stream in streams if best is not None and stream.index == best.index), streams[0])
    if stream.codec_context is None:
        raise RefusedVideo(VideoRefusal.UNSUPPORTED, "no decoder for the codec of its video here")
    if stream.codec_tag in ("encv", "drmi") or "enc_key_id" in stream.metadata:
        raise RefusedVideo(VideoRefusal.UNSUPPORTED, "the video is encrypted")
    return stream


@dataclass(slots=True)
class Scan:
    """The packets of a video stream, in the order they are stored, and its first frame."""

    clock: Clock
    times: array[int] = field(default_factory=lambda: array("q"))
    """Presentation times in units of the stream, of the packets that hold a frame to be shown; ascending where frames
    are counted.
    """
    keys: list[int] = field(default_factory=list)
    """Places in `times` at which decoding can begin."""
    last: tuple[int, int] = (0, 0)
    """Time and declared duration of the last frame shown."""
    first: VideoFrame | None = None
    error: str = ""
    packets: int = 0
    size: int = 0
    sounds: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    """Seconds in which there is sound, as FFmpeg counts, if it was looked for: from, to."""

    def standing(self, stream: VideoStream) -> int:
        """How long the last frame is shown, in units of the stream: as the file says, or where that is absurd, as most.

        Of a variable rate with B-frames MP4 does not say it: a packet's length is there that to the one stored next.
        """
        distances = np.diff(np.unique(np.asarray(self.times, np.int64)))
        unit = stream.time_base or Fraction(1, 1000)
        longest = int(distances.max(initial=0))
        if 0 < self.last[1] <= max(Fraction(_LONGEST_END * longest), _LONGEST_END_S / unit):
            return self.last[1]
        usual = float(np.median(distances)) if len(distances) else 0.0
        usual = usual or 1 / float((stream.average_rate or stream.base_rate or 25) * unit)
        return max(1, round(usual))

    @property
    def frame(self) -> VideoFrame:
        """The first frame. Raises RefusedVideo where none was decoded."""
        if self.first is not None:
            return self.first
        if not self.packets:
            raise RefusedVideo(VideoRefusal.NO_FRAMES, "a video stream without a frame")
        tried = min(self.packets, _FIRST_FRAME)
        said = f": {self.error}" if self.error else ""
        raise RefusedVideo(VideoRefusal.CORRUPT, f"none of the first {tried} packets decodes{said}")

    def add(self, packet: Packet[VideoStream], stream: VideoStream) -> None:
        """Notes a packet, and decodes it while there is no frame yet."""
        if packet.size and not packet.is_discard:
            self.packets += 1
            self.size += packet.size
            self.clock.add(packet)
            at = packet.pts if packet.pts is not None else packet.dts
            if at is not None:
                self.last = max(self.last, (at, packet.duration or 0)) if self.times else (at, packet.duration or 0)
                if packet.is_keyframe:
                    self.keys.append(len(self.times))
                self.times.append(at)
        if self.first is None and self.packets <= _FIRST_FRAME:
            if packet.has_sidedata("encryption_info"):
                raise RefusedVideo(VideoRefusal.UNSUPPORTED, "the video is encrypted")
            try:
                self.first = next(iter(stream.decode(packet)), None)
            except av.FFmpegError as error:
                self.error = error.strerror or str(error)

    def add_sound(self, packet: Packet[AudioStream]) -> None:
        if packet.pts is None or not packet.size:
            return
        unit = packet.time_base or Fraction(1, 1000)
        begin, end = packet.pts * unit, (packet.pts + max(1, packet.duration or 0)) * unit
        if self.sounds and self.sounds[-1][0] <= begin <= self.sounds[-1][1] + _PAUSE:
            begin, end = self.sounds[-1][0], max(self.sounds.pop()[1], end)
        self.sounds.append((begin, end))

    def finish(self) -> None:
        """When all packets were added."""
        if self.clock.is_counted and self.packets:
            self.times, self.keys = array("q", self.clock.stamps()), []
            self.last = self.times[-1], 0


def probe(path: str | Path, *, max_pixels: int, deadline: float | None = None) -> VideoFacts:
    """The facts of a file. max_pixels: of a frame that is decoded; deadline: by time.monotonic().

    Reads all packets of the video, without decoding more than the first frame. An animation (GIF, APNG, AVIF) of two
    frames or more is a video. Raises RefusedVideo for all else.
    """
    path = Path(path)
    check_beginning(path)
    check_end(path, deadline)
    with _named(path), open_video(path, max_pixels=max_pixels, deadline=deadline) as container:
        stream = video_stream(container)
        _check_pixels(stream.width, stream.height, max_pixels)
        scan = scan_packets(container, stream, deadline)
        _check_picture(path, scan)
        facts = _facts(container, stream, scan, path.stat().st_size)
        _check_pixels(facts.width, facts.height, max_pixels)
        return facts


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What cannot be opened is no video where it does not even begin like one."""
    try:
        yield
    except RefusedVideo as refused:
        if refused.reason != VideoRefusal.CORRUPT or not str(refused).startswith(_UNREADABLE):
            raise
        with path.open("rb") as file:
            head = file.read(16)
        known = head[4:8] in (b"ftyp", b"moov", b"mdat") or head.startswith(_MAGICS)
        if known:
            raise
        detail = f"no known video format begins with {head[:8].hex(' ')}"
        raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, detail) from None


_MAGICS = (b"\x1a\x45\xdf\xa3", b"RIFF", b"FLV", b"OggS", b"GIF8", b"G", b"\x00\x00\x01", b"\x30\x26\xb2\x75", b"#EXT")


def _packets(container: InputContainer, streams: list[Any]) -> Iterator[Any]:
    """PyAV ends in an IndexError where a stream began late in the file; by then all packets have come."""
    with suppress(IndexError):
        yield from container.demux(streams)


def scan_packets(
    container: InputContainer, stream: VideoStream, deadline: float | None, sound: AudioStream | None = None
) -> Scan:
    """All packets of a stream, and when there is sound; of others in its container, none will be read.

    Raises RefusedVideo: TIMEOUT, TOO_LONG, CLOCK.
    """
    wanted = [stream] if sound is None else [stream, sound]
    for other in container.streams:
        if other not in wanted:
            other.discard = av.stream.Discard.all
    stream.codec_context.thread_count = 1  # frame threads would hold back the first frame
    scan = Scan(Clock(container, stream))
    for packet in _packets(container, wanted):
        check_deadline(deadline, "reading the packets")
        if packet.stream.index != stream.index:
            scan.add_sound(packet)
            continue
        scan.add(packet, stream)
        if scan.packets > _MAX_PACKETS:
            raise RefusedVideo(VideoRefusal.TOO_LONG, f"more than {_MAX_PACKETS} frames")
    scan.finish()
    return scan


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        detail = f"{width} x {height} pixels, more than {max_pixels} in all"
        raise RefusedVideo(VideoRefusal.TOO_MANY_PIXELS, detail)


def _check_picture(path: Path, scan: Scan) -> None:
    """A single frame in a picture's format is a picture."""
    with path.open("rb") as file:
        mime = sniff(file.read(4096))
    if mime and scan.packets < 2:
        raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, f"a picture: {mime} of one frame")


def _facts(container: InputContainer, stream: VideoStream, scan: Scan, size: int) -> VideoFacts:
    frame = scan.frame
    width, height, rotation = upright(frame, stream)
    rate, is_vfr = frame_rate(scan, stream)
    first, end = min(scan.times, default=0), scan.last[0] + scan.standing(stream)
    start = Fraction(container.start_time or 0, 1_000_000)
    unit = stream.time_base or Fraction(1, 1000)
    duration = max(end * unit - start, (end - first) * unit, Fraction(1, 1000))
    audio = audio_stream(container)
    if is_playlist(Path(container.name)):
        size = scan.size
    return VideoFacts(
        container=container.format.name, duration_ms=round(1000 * duration), width=width, height=height,
        coded_width=frame.width, coded_height=frame.height, rotation=rotation, fps=rate, is_vfr=is_vfr,
        frames=scan.packets, video_codec=stream.codec.canonical_name, pixel_format=frame.format.name,
        audio_codec=audio.codec.canonical_name if audio else None, audio_rate=audio.rate if audio else None,
        bit_rate=round(8 * size / duration),
    )  # fmt: skip


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The sound that goes with the video: FFmpeg's choice, if it can be decoded."""
    best = container.streams.best("audio")
    return best if isinstance(best, AudioStream) and best.codec_context is not None else None


def upright(frame: VideoFrame, stream: VideoStream) -> tuple[int, int, int]:
    """(width, height) as shown, with square pixels, and degrees clockwise by which players turn it."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if not Fraction(1, _MAX_ASPECT) <= aspect <= _MAX_ASPECT:
        aspect = Fraction(1)
    width, height = max(1, round(frame.width * aspect)), frame.height
    rotation = round(-frame.rotation / 90) * 90 % 360
    return (height, width, rotation) if rotation in (90, 270) else (width, height, rotation)


def frame_rate(scan: Scan, stream: VideoStream) -> tuple[float, bool]:
    """Frames per second on average, and whether distances vary."""
    times = np.unique(np.asarray(scan.times, np.int64))
    unit = stream.time_base or Fraction(1, 1000)
    if len(times) < 2:
        return float(1 / (scan.standing(stream) * unit)), False
    distances = np.diff(times)
    usual = float(np.median(distances))
    rounding = 1.01 if usual >= 4 else 0.0  # a unit nearly as coarse as a frame's length holds no rounded times
    varying = bool((np.abs(distances - usual) > max(rounding, _JITTER * usual)).any())
    length = int(times[-1] - times[0])
    exact = float((len(times) - 1) / (length * unit))
    declared = float(stream.average_rate or stream.base_rate or 0)
    near = abs(declared - exact) <= exact / length + 1e-9 * exact
    return declared if near else exact, varying
