"""What a page has in it, read by yt-dlp in a process of its own (curation.media.video.page_reader)."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from curation.errors import StageError
from curation.media.outcomes import ErrorClass, FetchFaultError, printable
from curation.media.video.calls import NO_MEMORY, Call, fault_from, fault_to
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.turns import SLICE_S, Clock
from curation.recipe.video import VideoSettings

THINK_S: Final = 120.0
"""Seconds from one word of the process to the next; its limit of processor time usually comes first."""
MAX_WORD_BYTES: Final = 64 << 20

_END_S: Final = 5.0
"""Seconds that a process may take to end after its last word."""
_LAST_BYTES: Final = 4096
_ROOT = str(Path(__file__).resolve().parents[3])


class PageReaders:
    """Processes that read pages: as many as threads ask at once, each used again until a page has broken it."""

    def __init__(self) -> None:
        self._idle: list[_Reader] = []
        self._lock = threading.Lock()

    def described(self, url: str, video: VideoSettings, ask: Any, clock: Clock) -> dict[str, Any]:
        """yt-dlp's description of what is at an address, a form chosen.

        ask: Call -> (status, final address, headers, body, fault or None), or FetchFaultError: yt-dlp's way to the
        network. Raises FetchFaultError, RefusedVideo, and StageError where no page can be read on this machine.
        """
        with self._lock:
            reader = self._idle.pop() if self._idle else None
        reader = reader or _Reader()
        try:
            told = reader.described({"url": url, "video": video.model_dump()}, ask, clock)
        except BaseException:
            reader.kill()
            raise
        if told["worn"]:
            reader.kill()
        else:
            with self._lock:
                self._idle.append(reader)
        if "info" in told:
            return dict(told["info"])
        raise _refused(told)

    def close(self) -> None:
        """Ends those that are idle."""
        with self._lock:
            while self._idle:
                self._idle.pop().kill()


class _Reader:
    def __init__(self) -> None:
        paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._errors = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by kill
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "curation.media.video.page_reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "YTDLP_NO_PLUGINS": "1"},
            start_new_session=True,  # an interrupt at the terminal is ours to deal with
        )
        self._heard = b""
        self._works = False
        """Whether it ever said a word: then it is a page that ends it."""

    def described(self, order: dict[str, Any], ask: Any, clock: Clock) -> dict[str, Any]:
        self._errors.seek(0)  # its own place in the file, too
        self._errors.truncate()
        self._say(order)
        while "ask" in (told := self._hear(clock)):
            asked = told["ask"]
            body = None if asked["body"] is None else base64.b64decode(asked["body"])
            call = Call(asked["url"], asked["method"], asked["headers"], body)
            try:
                status, url, headers, found, fault = ask(call)
            except FetchFaultError as error:
                status, url, headers, found, fault = None, call.url, {}, b"", error
            self._say(
                {
                    "status": status,
                    "url": url,
                    "headers": headers,
                    "fault": fault and fault_to(fault),
                    "body": base64.b64encode(found).decode(),
                }
            )
            if fault is not None:
                clock.check_run()
        return told

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with suppress(OSError):  # what it was not told any more
                    pipe.close()

    def _say(self, told: dict[str, Any]) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(json.dumps(told).encode() + b"\n")
                self._process.stdin.flush()
            except OSError:
                raise self._ended() from None

    def _hear(self, clock: Clock) -> dict[str, Any]:
        """The next line. Raises FetchFaultError (the clock's), RefusedVideo (TIMEOUT) and StageError where none is."""
        if self._process.stdout is None:
            raise self._ended()
        file = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(file, select.POLLIN)
        until, parts = time.monotonic() + THINK_S, [self._heard]
        while b"\n" not in parts[-1]:
            clock.check()
            if time.monotonic() > until or sum(map(len, parts)) > MAX_WORD_BYTES:
                raise _broken()
            if poll.poll(1000 * SLICE_S):
                part = os.read(file, 1 << 20)
                if not part:
                    raise self._ended()
                parts.append(part)
        line, _, self._heard = b"".join(parts).partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        self._works = True
        return found

    def _ended(self) -> Exception:
        """Why it talks no more: of the page, if that took too much, or broke a process that had worked; else of all."""
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return _broken()
        self._errors.seek(max(self._errors.seek(0, os.SEEK_END) - _LAST_BYTES, 0))
        last = self._errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        if status == -signal.SIGXCPU or (self._works and (status < 0 or status == NO_MEMORY)):
            return _broken()
        return StageError(printable(f"pages of videos cannot be read: the process ended with {status}: {last}"))


def _broken() -> RefusedVideo:
    return RefusedVideo(VideoRefusal.TIMEOUT, "the page takes too much time or memory to read")


def _refused(told: dict[str, Any]) -> Exception:
    """What yt-dlp's words come to; they are the site's, mostly."""
    words, names = printable(told["words"]), set(told.get("names", ()))
    reason = told.get("refused")
    if told.get("fault"):
        return fault_from(told["fault"])
    if "UserNotLive" in names or "live event will begin" in words:
        reason = VideoRefusal.LIVE
    elif "DRM" in words:
        reason = VideoRefusal.UNSUPPORTED
    elif "UnsupportedError" in names or "No video formats" in words or "Requested format" in words:
        reason, words = VideoRefusal.NOT_A_VIDEO, "no video was found there"
    if reason:
        return RefusedVideo(VideoRefusal(reason), words)
    if "ExtractorError" in names or "GeoRestrictedError" in names:  # or yt-dlp does not understand the site any more
        return RefusedVideo(VideoRefusal.UNAVAILABLE, words)
    return FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)
