"""One video: what it is at its address, its bytes to a file, its facts. Failed attempts are continued, not repeated."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from curation.media.outcomes import ErrorClass, FetchFaultError, FetchRequest, printable
from curation.media.targets import Target
from curation.media.video.facts import RefusedVideo, VideoFacts, VideoRefusal
from curation.media.video.ffmpeg import FfmpegError, run
from curation.media.video.info import VideoInfo, described_info
from curation.media.video.pages import PageReaders
from curation.media.video.tracks import Texts, beside, inside
from curation.media.video.turns import Clock
from curation.media.video.web import Visitor, Web
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings

if TYPE_CHECKING:
    from curation.captions.timed_text.embedded import EmbeddedTrack
    from curation.media.video.line import Line

DIRECT: Final = frozenset(
    [
        *("mp4", "m4v", "mov", "webm", "mkv", "ogv", "ogg", "avi", "mpg", "mpeg", "wmv", "flv", "3gp", "ts", "m2ts"),
        *("gif", "asf", "qt"),
    ]
)
"""Endings of addresses that are the file itself: asked for once, without looking for a page there."""
JOIN_S: Final = 300.0
"""Seconds for joining picture and sound; gigabytes take some ten."""
SOUND: Final = frozenset({"m4a", "mp3", "opus", "aac", "weba", "oga"})
PROBE_S: Final = 60.0
"""Seconds that the probe has at least, however long the transfer took."""

_MOST = "fetch.video.max_duration_s"
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,100}").fullmatch
_SAME_FAMILY = (("mp4", frozenset({"mp4", "m4a", "m4v", "mov"})), ("webm", frozenset({"webm", "weba"})))
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,ogg,aac,mp3,flac,wav,avi"


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """What became of one request. As curation.media.outcomes.Outcome, but for a file instead of a body."""

    media_id: str
    status: Literal["ok", "failed"]
    error: ErrorClass | VideoRefusal | None
    """None if and only if the status is ok."""
    detail: str
    """What went wrong in words, one line; empty where ok and nothing is missing."""
    transient: bool
    http_status: int | None
    attempts: int
    """Times that the video was tried, each continuing the one before; 0 where nothing was asked."""
    final_url: str
    """Where the file, or its playlist, was sent from, or the last answer; the request's own where there was none."""
    path: Path | None
    """The finished file; None where failed."""
    size_bytes: int | None
    sha256: str | None
    """Of the file, hexadecimal."""
    mime: str | None
    """Content-Type of the last answer, as sent."""
    headers: Mapping[str, str]
    """As in Outcome, of the last answer."""
    elapsed_ms: int
    info: VideoInfo
    facts: VideoFacts | None
    """What `probe` said; None where it was not asked."""


@dataclass(frozen=True)
class VideoRules:
    """How videos are fetched, and to where.

    folder: for finished files and partial ones, which another call with the same folder continues. probe: path and a
    moment by time.monotonic() -> the file's facts, or RefusedVideo; called in the threads. may_follow: whether an
    address that a request leads to (its own, too) may be asked. texts: as probe, for the subtitles in a file; they are
    looked for where the recipe wants some.
    """

    settings: FetchSettings
    video: VideoSettings
    folder: Path
    probe: Callable[[Path, float], VideoFacts] | None = None
    may_follow: Callable[[str], bool] = lambda url: True
    texts: Callable[[Path, float], list[EmbeddedTrack]] | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A video on the disk."""

    path: Path
    size_bytes: int
    sha256: str
    info: VideoInfo
    facts: VideoFacts | None


class VideoTransfer:
    """A video over its attempts. Not for several threads at once."""

    def __init__(self, request: FetchRequest, target: Target, rules: VideoRules) -> None:
        self.request, self.target = request, target
        self._rules = rules
        self.failures: Counter[str] = Counter()
        """Transient failures by the address that was asked."""
        self.asked = 0
        self.final_url = target.url
        self.http_status: int | None = None
        self.headers: Mapping[str, str] = {}
        safe = _SAFE(request.media_id)
        digest = hashlib.sha256(request.media_id.encode("utf-8", "replace")).hexdigest()
        self._stem = request.media_id if safe else digest

    def attempt(self, web: Web, readers: PageReaders, clock: Clock) -> Fetched:
        """Brings the video to its file.

        Raises FetchFaultError, RefusedVideo, OSError (the folder's), StageError (pages cannot be read here), and
        whatever yt-dlp makes of something unforeseen.
        """
        from curation.media.video.line import Line

        visitor = Visitor(web, clock)
        line = Line(visitor, self._rules.video)
        try:
            return self._attempt(line, readers, clock)
        except FetchFaultError as fault:
            url = visitor.failed[0] if visitor.failed else self.target.url
            self.failures[url] += 1
            words = f"{line.where}: {fault.detail}" if line.where else fault.detail
            raise FetchFaultError(
                fault.error, words, transient=fault.transient, retry_after_s=fault.retry_after_s
            ) from fault
        finally:
            self.asked += visitor.asked
            self._seen(line, visitor)
            line.close()

    def clean(self, keep: Path | None = None) -> None:
        """Deletes what there is of it, but for one file."""
        for path in self._rules.folder.glob(f"{self._stem}.*"):
            if path != keep:
                path.unlink(missing_ok=True)

    def _attempt(self, line: Line, readers: PageReaders, clock: Clock) -> Fetched:
        from curation.media.video.players import is_live

        info = self._described(line, readers, clock)
        seconds, most = info.get("duration"), self._rules.video.max_duration_s
        if is_live(info):
            raise RefusedVideo(VideoRefusal.LIVE, "it is, or will be, sent live")
        if isinstance(seconds, int | float) and seconds > most:
            raise RefusedVideo(VideoRefusal.TOO_LONG, f"{seconds:.0f} s by its page; {_MOST} is {most:g}")
        path = self._transferred(line, info, clock)
        facts = self._probed(path, clock)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Fetched(path, path.stat().st_size, digest, self._told(line, info, path, clock), facts)

    def _told(self, line: Line, info: dict[str, Any], path: Path, clock: Clock) -> VideoInfo:
        """What is said of it, and its timed texts: those beside it, those of its player, and those in the file."""
        from curation.media.video.players import subtitles

        declared, failed = beside(line, self.request.tracks)
        spoken = {each.language for each in declared if each.kind != "chapters"}
        told = described_info(info, *subtitles(line, info, spoken))
        held, unread = self._held(path, clock)
        texts, missing = (*declared, *told.subtitles, *held), (*failed, *told.missing_subtitles, *unread)
        return replace(told, subtitles=texts, missing_subtitles=missing)

    def _held(self, path: Path, clock: Clock) -> Texts:
        """The texts in the file; one that cannot be read for them stays a video."""
        if self._rules.texts is None or not self._rules.video.subtitles:
            return [], []
        try:
            return inside(self._rules.texts(path, clock.for_probe(PROBE_S)), self._rules.video.subtitles)
        except RefusedVideo as refusal:
            clock.check_run()
            return [], [printable(f"in the file: {refusal}")]

    def _described(self, line: Line, readers: PageReaders, clock: Clock) -> dict[str, Any]:
        """What is at the address, a form chosen."""
        name = urlsplit(self.target.url).path.rpartition("/")[2].lower()
        ending = name.rpartition(".")[2]
        if ending in DIRECT and ":" not in name:  # "File:Flower.webm" is a page of a wiki
            return {"id": self._stem, "url": self.target.url, "ext": ending, "direct": True}
        return readers.described(self.target.url, self._rules.video, line.page, clock)

    def _transferred(self, line: Line, info: dict[str, Any], clock: Clock) -> Path:
        from yt_dlp.utils import YoutubeDLError

        from curation.media.video.players import Player, formats_of

        folder, paths = self._rules.folder, list[Path]()
        folder.mkdir(parents=True, exist_ok=True)
        forms = list(formats_of(info))
        for place, form in enumerate(forms):
            ending = str(form.get("ext")).lower()
            name = f"{self._stem}.{ending if ending in DIRECT | SOUND else 'bin'}"
            path = folder / (name if len(forms) == 1 else name.replace(".", f".{place}.", 1))
            try:
                Player(line, sites=False).transfer(form, path)
            except YoutubeDLError as error:
                raise _missed(line.visitor, error) from error
            paths.append(path)
            line.done_bytes = sum(one.stat().st_size for one in paths)
        return paths[0] if len(paths) == 1 else _joined(paths, folder / self._stem, clock)

    def _probed(self, path: Path, clock: Clock) -> VideoFacts | None:
        if self._rules.probe is None:
            return None
        try:
            facts = self._rules.probe(path, clock.for_probe(PROBE_S))
        except RefusedVideo:
            clock.check_run()
            raise
        most = self._rules.video.max_duration_s
        if facts.duration_ms > 1000 * most:
            raise RefusedVideo(VideoRefusal.TOO_LONG, f"{facts.duration_ms / 1000:.0f} s; {_MOST} is {most:g}")
        return facts

    def _seen(self, line: Line, visitor: Visitor) -> None:
        answer = line.last or visitor.last
        if answer is not None:
            self.final_url = line.playlist_url or answer.target.url
            self.http_status, self.headers = answer.status, answer.kept


def _missed(visitor: Visitor, error: Exception) -> Exception:
    """What an error of a transfer, by yt-dlp, comes to."""
    from curation.media.video.line import fault_of

    fault = fault_of(error) or (visitor.failed and visitor.failed[1])
    words = printable(str(error).removeprefix("ERROR: ").strip())
    if fault:
        return fault
    if "unable to write data" in words or "unable to open for writing" in words:
        return OSError(words)
    return FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)


def _joined(paths: list[Path], stem: Path, clock: Clock) -> Path:
    """Picture and sound in one file, streams copied. Raises RefusedVideo and FetchFaultError (the clock's)."""
    endings = {path.suffix[1:] for path in paths}
    ending = next((name for name, family in _SAME_FAMILY if endings <= family), "mkv")
    goal = stem.with_name(f"{stem.name}.{ending}")
    inputs = [
        word
        for path in paths
        for word in ("-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS, "-i", f"file:{path.absolute()}")
    ]
    outputs = ["-map", "0:v:0", "-map", "1:a:0", "-c", "copy", "-fflags", "+bitexact", "-flags", "+bitexact"]
    try:
        run([*inputs, *outputs, f"file:{goal.absolute()}"], clock.left(JOIN_S))
    except FfmpegError as error:
        goal.unlink(missing_ok=True)
        clock.check()
        raise RefusedVideo(VideoRefusal.CORRUPT, printable(f"picture and sound cannot be joined: {error}")) from None
    for path in paths:
        path.unlink()
    return goal
