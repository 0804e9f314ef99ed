"""What became of a request for a media URL: one outcome each, with an error class that says what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from curation.errors import StageError

MAX_DETAIL_CHARS: Final = 200


class ErrorClass(StrEnum):
    """Why a URL gave no bytes. In brackets whether another attempt, now or in a later run, makes sense."""

    DNS = "dns"  # the name does not exist [no], or the resolver failed or was too slow [yes]
    CONNECT = "connect"  # refused, reset or not answered, or closed before an answer [yes]
    TLS = "tls"  # certificate or handshake [no]
    TIMEOUT = "timeout"  # no byte for read_timeout_s, or total_timeout_s is used up [yes]
    HTTP_4XX = "http_4xx"  # [no; 408 and 425: yes]
    HTTP_5XX = "http_5xx"  # [yes; 501 and 505: no]
    TOO_MANY_REQUESTS = "too_many_requests"  # 429, or a Retry-After longer than we wait [yes]
    ROBOTS = "robots"  # X-Robots-Tag or tdm-reservation [no]
    TOO_LARGE = "too_large"  # above max_bytes as sent or decoded [no]
    TRUNCATED = "truncated"  # fewer bytes than announced [yes]
    REDIRECT_LOOP = "redirect_loop"  # to a URL that was tried before, or more than max_redirects [no]
    REFUSED_ADDRESS = "refused_address"  # private, loopback, reserved ... [no]
    BAD_URL = "bad_url"  # not an http(s) URL that can be asked for, also in Location [no]
    BAD_RESPONSE = "bad_response"  # not HTTP, a status that answers nothing, an empty or undecodable body [no]
    HOST_DOWN = "host_down"  # not asked, because its host failed host_down_after times in a row [yes]
    DEADLINE = "deadline"  # not done when deadline_s was over [yes]
    REFUSED = "refused"  # a redirect leads to what is not to be asked for [no]
    CANCELLED = "cancelled"  # not done when the run was stopped [yes]


class FetchStormError(StageError):
    """Nearly all URLs fail in one way: something between us and the web is broken, not the list. error: that way."""

    def __init__(self, words: str, error: ErrorClass) -> None:
        super().__init__(words)
        self.error = error


@dataclass(frozen=True, slots=True)
class TextTrack:
    """A timed text that a page declares beside a media. kind: subtitles, captions, chapters ..."""

    url: str
    kind: str
    lang: str | None = None


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A media to fetch. tracks: timed texts that come with it, should they be wanted; of videos alone."""

    media_id: str
    url: str
    tracks: tuple[TextTrack, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    media_id: str
    status: Literal["ok", "failed"]
    error: ErrorClass | None
    """None if and only if the status is ok."""
    transient: bool
    """Whether another run may succeed; False where the status is ok."""
    http_status: int | None
    """Of the last answer, None where there was none."""
    attempts: int
    """Times that the URL was tried, redirects and all; 0 where it never came to that."""
    final_url: str
    """After redirects, in the form that was asked for; the request's own URL where nothing was."""
    body: bytes = field(repr=False)
    """Content, without content codings; empty unless ok."""
    mime: str | None
    """The Content-Type header of the last answer, as sent. What the bytes are is for the decoder to say."""
    headers: Mapping[str, str]
    """Those of HEADERS_KEPT in the last answer, by lower-case name; repeated ones joined with ", "."""
    elapsed_ms: int
    """Milliseconds spent on the URL over all its attempts, without waiting for its turn."""
    detail: str
    """What went wrong in words, at most MAX_DETAIL_CHARS characters; empty where ok."""


class FetchFaultError(Exception):
    """An attempt failed.

    error, transient: see Outcome. retry_after_s: seconds for which the host asks not to be asked, None: it does not.
    """

    def __init__(self, error: ErrorClass, detail: str, *, transient: bool, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.transient = transient
        self.retry_after_s = retry_after_s


def printable(text: str) -> str:
    """The text as a detail: one line, no lone surrogates, at most MAX_DETAIL_CHARS characters."""
    short = text[:MAX_DETAIL_CHARS].encode("utf-8", "replace").decode("utf-8")
    return "".join(character if character.isprintable() else " " for character in short)
