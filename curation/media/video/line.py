"""What yt-dlp asks for, as requests under our rules: the only way that it has to the network.

Pages and playlists are read whole, once each; an answer that turns out to be the video itself is kept open until the
video is wanted, so that nothing is asked for twice. Importing this imports yt-dlp.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from yt_dlp.networking.common import Request, RequestHandler, Response
from yt_dlp.networking.exceptions import HTTPError, RequestError, TransportError

from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.media.video.calls import Call

if TYPE_CHECKING:
    from curation.media.video.web import Answer, Visitor
    from curation.recipe.video import VideoSettings

MAX_PAGES: Final = 64
"""Requests before a video begins; the sites that yt-dlp knows need up to some 20."""
KEPT_PAGES: Final = 4
"""Pages of the largest size that are held in memory for one video."""
HEAD_BYTES: Final = 4096

_OWN_HEADERS = frozenset(
    [
        *("accept-encoding", "accept-language", "connection", "content-length", "cookie", "host", "if-range"),
        *("transfer-encoding", "user-agent", "x-forwarded-for"),
    ]
)
_MEDIA = re.compile(r"(?i)\s*(?:video/|audio/|application/(?:octet-stream|ogg|mp4|mxf|vnd\.rn-realmedia|x-matroska))")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)").fullmatch
_CONTENT_RANGE = re.compile(r"\s*bytes\s+(\d+)-(\d+)/(\d+|\*)\s*").fullmatch
_STOPS = frozenset([ErrorClass.CANCELLED, ErrorClass.DEADLINE, ErrorClass.TOO_LARGE, ErrorClass.HOST_DOWN])


class _StopError(RequestError):  # type: ignore[misc]
    """Ends all of yt-dlp's doing."""

    def __init__(self, fault: FetchFaultError) -> None:
        super().__init__(f"{fault.error}: {fault.detail}")
        self.fault = fault


class _MissedError(TransportError):  # type: ignore[misc]
    """A request failed, which yt-dlp may get over."""

    def __init__(self, fault: FetchFaultError) -> None:
        super().__init__(f"{fault.error}: {fault.detail}")
        self.fault = fault


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error of yt-dlp's and all that is behind it, nearest first."""
    found: list[object] = [error]
    seen: set[int] = set()
    while found:
        one = found.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            info = getattr(one, "exc_info", None) or (None, None)
            found += [getattr(one, "cause", None), one.__cause__, info[1], one.__context__]


def fault_of(error: BaseException) -> FetchFaultError | None:
    """What of ours is behind an error of yt-dlp's."""
    for one in causes(error):
        fault = one if isinstance(one, FetchFaultError) else getattr(one, "fault", None)
        if isinstance(fault, FetchFaultError):
            return fault
    return None


@dataclass
class Track:
    """A file in transfer: which address its bytes are from, and what tells whether that has changed meanwhile."""

    part: Path
    memo: Path
    url: str
    validator: str = ""

    def resume(self) -> int:
        """Bytes that are there to be continued; a part of something else is deleted."""
        try:
            told = json.loads(self.memo.read_text())
            self.validator = told["validator"] if told["url"] == self.url else ""
        except (OSError, ValueError, KeyError, TypeError):
            self.validator = ""
        if not self.validator:
            self.forget()
            self.part.unlink(missing_ok=True)
        return self.part.stat().st_size if self.part.exists() else 0

    def note(self, answer: Answer) -> None:
        """Remembers the whole that is being sent."""
        etag = answer.headers.get("ETag", "").strip()
        known = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "").strip()
        self.validator = "" if answer.encoded else known
        self.forget()
        if self.validator:
            self.memo.write_text(json.dumps({"url": self.url, "validator": self.validator}))

    def forget(self) -> None:
        self.memo.unlink(missing_ok=True)


Page = tuple[int, str, dict[str, str], bytes, FetchFaultError | None]
"""Status, final address, headers, body, and what the status means where it is no success."""


@dataclass
class Line:
    """What yt-dlp's requests are, as seen from our side. One per attempt at a video."""

    visitor: Visitor
    video: VideoSettings
    track: Track | None = None
    """The file in transfer; None: segments."""
    in_segments: bool = False
    done_bytes: int = 0
    """Of files and segments of this video that are on the disk."""
    segment_bytes: int | None = None
    """Of a segment, instead of the recipe's."""
    pages: int = 0
    page_bytes: int = 0
    kept: dict[str, Page] = field(default_factory=dict)
    stash: dict[str, Answer] = field(default_factory=dict)
    """An answer that turned out to be the video itself, under the addresses that lead to it."""
    last: Answer | None = None
    """Of the video's own bytes, the last answer."""
    playlist_url: str = ""
    where: str = ""
    """In which segment."""

    @property
    def transferring(self) -> bool:
        """Whether it is about the video's bytes, no more about what there is."""
        return self.track is not None or self.in_segments

    def answer(self, call: Call) -> Response:
        """For yt-dlp's transfers. Raises FetchFaultError, HTTPError."""
        try:
            return self._file(call, self.track) if self.track is not None else self._segment(call)
        except FetchFaultError as fault:
            self.visitor.failed = call.url, fault  # yt-dlp does not always pass on what it was told
            raise

    def text(self, url: str) -> tuple[str, str]:
        """A text that is needed by us, and its final address. Raises FetchFaultError."""
        _, final, _, body, fault = self.page(Call(url), may_be_media=False)
        if fault is not None:
            raise fault
        is_wide = body.startswith((b"\xff\xfe", b"\xfe\xff"))
        return body.decode("utf-16" if is_wide else "utf-8", "replace"), final

    def close(self) -> None:
        """Gives back what is still open."""
        self._drop_stash()
        if self.last is not None:
            self.last.close()

    def _drop_stash(self) -> None:
        for answer in self.stash.values():
            answer.close()  # before anything else is asked: it may be the host's last turn
        self.stash = {}

    def page(self, call: Call, *, may_be_media: bool = True) -> Page:
        """Anything but the video's own bytes; of those, should they come, the first. Raises FetchFaultError."""
        plain = call.method == "GET" and not any(name.lower() == "range" for name in call.headers)
        if plain and call.url in self.kept:
            return self.kept[call.url]
        self.pages += 1
        if self.pages > MAX_PAGES:
            words = f"more than {MAX_PAGES} requests, and no video yet"
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)
        self._drop_stash()
        answer = self.visitor.open(call)
        url = answer.target.url
        if answer.fault is None and plain and may_be_media and _is_media(answer):
            body = answer.head(HEAD_BYTES)
            self.stash = dict.fromkeys((call.url, url), answer)
        else:
            try:
                answer.limit(min(self.video.page_bytes, KEPT_PAGES * self.video.page_bytes - self.page_bytes))
                body = answer.read()
            finally:
                answer.close()
            self.page_bytes += len(body)
        page = answer.status, url, _plain(answer), body, answer.fault
        if answer.fault is not None:
            self.visitor.failed = call.url, answer.fault
        elif plain:
            self.kept[call.url] = self.kept[url] = page
        return page

    def _file(self, call: Call, track: Track) -> Response:
        asked = _RANGE(call.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        answer = self.stash.pop(call.url, None) if asked is None and call.method == "GET" else None
        if answer is not None:
            self.stash = {}
        else:
            self._drop_stash()
            if start and track.validator:
                call = Call(call.url, call.method, {**call.headers, "If-Range": track.validator}, call.body)
            answer = self.visitor.open(call)
        self.last = answer
        if answer.status == 416:
            track.forget()
            answer.close()
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, "what was there has no continuation", transient=True)
        self._check(call, answer)
        if answer.status == 206 and asked is None:
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, "a part, where the whole was asked for", transient=False)
        if answer.status == 206 and not _fits(answer, start, track.validator):
            track.forget()
            answer.close()
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, "not the part that was asked for", transient=True)
        if answer.status == 200 or not start:
            start = 0
            track.note(answer)
        answer.limit(max(self.video.max_bytes - self.done_bytes - start, 0))
        return _Streamed(answer)

    def _segment(self, call: Call) -> Response:
        self._drop_stash()
        answer = self.last = self.visitor.open(call)
        self._check(call, answer)
        asked = _RANGE(call.headers.get("Range", ""))
        if (answer.status == 206) != (asked is not None) or (asked and not _fits(answer, int(asked[1]), "")):
            answer.close()
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, "not the range that was asked for", transient=False)
        most = self.segment_bytes or self.video.segment_bytes
        answer.limit(max(min(most, self.video.max_bytes - self.done_bytes), 0))
        return _Streamed(answer, self)

    def _check(self, call: Call, answer: Answer) -> None:
        if answer.fault is not None:
            answer.close()
            self.visitor.failed = call.url, answer.fault
            error = HTTPError(Response(io.BytesIO(), answer.target.url, _plain(answer), answer.status))
            error.fault = answer.fault
            raise error


def _is_media(answer: Answer) -> bool:
    """Whether it is the video itself rather than a page or a playlist."""
    head = answer.head(HEAD_BYTES).lstrip()
    if head.startswith((b"#EXTM3U", b"<", b"WEBVTT")):
        return False
    kind = answer.headers.get("Content-Type", "")
    return bool(_MEDIA.match(kind)) or head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3")


def _fits(answer: Answer, start: int, validator: str) -> bool:
    """Whether a part is the one that continues what is there."""
    told = _CONTENT_RANGE(answer.headers.get("Content-Range", ""))
    etag = answer.headers.get("ETag", "").strip()
    same = not (validator.startswith('"') and etag) or etag == validator
    return told is not None and int(told[1]) == start and same


def _plain(answer: Answer) -> dict[str, str]:
    """Headers of the body as it is read, without codings."""
    gone = ("content-encoding", "content-length") if answer.encoded else ()
    return {name: value for name, value in answer.headers.items() if name.lower() not in gone}


class _Streamed(Response):  # type: ignore[misc]
    """A body that is read from the network as it is asked for."""

    def __init__(self, answer: Answer, line: Line | None = None) -> None:
        super().__init__(io.BytesIO(), answer.target.url, _plain(answer), answer.status)
        self._answer, self._line = answer, line

    def read(self, amt: int | None = None) -> bytes:
        try:
            data = self._answer.read(amt)
        except FetchFaultError as fault:
            raise _raised(fault) from fault
        if self._line is not None:
            self._line.done_bytes += len(data)
        return data

    def close(self) -> None:
        self._answer.close()
        super().close()


def _raised(fault: FetchFaultError) -> RequestError:
    return _StopError(fault) if fault.error in _STOPS else _MissedError(fault)


class RulesRH(RequestHandler):  # type: ignore[misc]
    """The only handler of requests that yt-dlp has."""

    _SUPPORTED_URL_SCHEMES = ("http", "https")

    def __init__(self, *, line: Line, **more: Any) -> None:
        super().__init__(**more)
        self._line = line

    def _check_proxies(self, proxies: object) -> None:
        """There are none."""

    def _check_extensions(self, extensions: dict[str, Any]) -> None:
        extensions.clear()  # cookie jars, time limits, browsers to look like: none is heeded

    def _send(self, request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if _is_sent(name, value)}
        data = request.data
        if data is not None and not isinstance(data, bytes):
            data = data.read() if hasattr(data, "read") else b"".join(data)
        try:
            return self._line.answer(Call(request.url, request.method, {"Accept": "*/*", **headers}, data))
        except FetchFaultError as fault:
            raise _raised(fault) from fault


def _is_sent(name: str, value: str) -> bool:
    low = name.lower()
    basic = low == "authorization" and value.lower().startswith("basic")  # from a URL's user name: never sent
    return not (low in _OWN_HEADERS or low.startswith(("sec-", "proxy-")) or basic)
