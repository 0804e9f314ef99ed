"""Fetches a list of videos: every one ends in exactly one outcome, in bounded time.

fetch_videos(requests, VideoRules(FetchSettings(), VideoSettings(), folder), on_done=keep, deadline_s=3600)
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from curation.errors import StageError
from curation.media.attempts import Storm, backoff_s, not_done, unsettled
from curation.media.outcomes import ErrorClass, FetchFaultError, FetchRequest, FetchStormError, printable
from curation.media.politeness import Host, HostQueues
from curation.media.targets import BadUrlError, parse_target
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.info import VideoInfo
from curation.media.video.pages import PageReaders
from curation.media.video.transfer import Fetched, VideoOutcome, VideoRules, VideoTransfer
from curation.media.video.turns import Clock
from curation.media.video.web import Web

OnDone = Callable[[VideoOutcome], None]

_NOT_READY_S: Final = 0.02
_LOOK_S: Final = 2.0
_END_S: Final = 10.0
"""Seconds that threads have to see that the run is over."""
_NOT_AGAIN = frozenset([ErrorClass.CANCELLED, ErrorClass.DEADLINE, ErrorClass.HOST_DOWN])


def fetch_videos(
    requests: Sequence[FetchRequest],
    rules: VideoRules,
    *,
    on_done: OnDone,
    deadline_s: float,
    ready: Callable[[], bool] = lambda: True,
) -> None:
    """Fetches all requests, some at a time, and calls on_done once for each, in the order in which they end.

    As curation.media.fetching.fetch_all: returns when all are done, or after deadline_s seconds, and what was not done
    then is DEADLINE; an interrupt leaves CANCELLED ones and is passed on; on_done and ready run in the calling thread;
    what they raise ends the run without further outcomes; raises FetchStormError. OSError (the folder cannot be written
    to) and StageError (pages cannot be read on this machine) end it likewise, without further outcomes. A thread that
    does not see the end in time (10 s) is left behind.

    A video is tried until one address that it needs has failed settings.attempts times, each time continuing what is
    in rules.folder. What failed for a passing reason leaves its partial file there, for a later call to continue; any
    other leaves nothing but a finished file.
    """
    _Run(requests, rules, on_done, ready).until(time.monotonic() + deadline_s)


@dataclass(slots=True)
class _Job:
    """A request that has begun."""

    number: int
    transfer: VideoTransfer
    left_s: float
    attempts: int = 0
    spent_s: float = 0.0


Result = Fetched | Exception


class _Run:
    def __init__(
        self, requests: Sequence[FetchRequest], rules: VideoRules, on_done: OnDone, ready: Callable[[], bool]
    ) -> None:
        self._requests, self._rules = requests, rules
        self._on_done, self._ready = on_done, ready
        self._queues: HostQueues[_Job] = HostQueues(rules.settings.per_host_concurrency, 0.0)
        self._settled = bytearray(len(requests))
        self._jobs: dict[int, _Job] = {}
        self._active: dict[threading.Thread, tuple[Host[_Job], _Job]] = {}
        self._ended: queue.SimpleQueue[tuple[threading.Thread, Result]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._readers = PageReaders()
        self._storm = Storm(rules.settings)

    def until(self, deadline: float) -> None:
        """The whole run; deadline by time.monotonic()."""
        try:
            with Web(self._rules.settings, self._rules.may_follow) as self._web:
                try:
                    self._work(deadline)
                finally:
                    self._stop.set()
                    end = time.monotonic() + _END_S
                    for thread in list(self._active):
                        thread.join(max(end - time.monotonic(), 0.0))
                    self._readers.close()
                while not self._ended.empty():
                    self._settle(*self._ended.get(), last=True)
            self._leave(ErrorClass.DEADLINE)
        except (FetchStormError, KeyboardInterrupt):
            self._leave(ErrorClass.CANCELLED)
            raise

    def _work(self, deadline: float) -> None:
        for number, request in enumerate(self._requests):
            try:
                self._queues.add(parse_target(request.url).host, number)
            except BadUrlError as error:
                self._emit(number, FetchFaultError(ErrorClass.BAD_URL, str(error), transient=False))
        while (now := time.monotonic()) < deadline:
            is_ready = self._ready()
            while is_ready and len(self._active) < self._rules.video.concurrency and (taken := self._queues.take(now)):
                self._begin(*taken, deadline)
            next_s = self._queues.next_time() if len(self._active) < self._rules.video.concurrency else None
            if not self._active and (next_s is None or next_s >= deadline):
                return
            look_s = _LOOK_S if is_ready else _NOT_READY_S
            wait_until = min(deadline, now + look_s, *([] if next_s is None else [next_s]))
            try:
                ended = self._ended.get(timeout=max(wait_until - time.monotonic(), 0.001))
            except queue.Empty:
                continue
            self._settle(*ended)

    def _begin(self, host: Host[_Job], item: int | _Job, deadline: float) -> None:
        if isinstance(item, int):
            request = self._requests[item]
            transfer = VideoTransfer(request, parse_target(request.url), self._rules)
            item = _Job(item, transfer, self._rules.video.total_timeout_s)
            self._jobs[item.number] = item
        item.attempts += 1
        thread = threading.Thread(target=self._attempt, args=(item, deadline), name="video", daemon=True)
        self._active[thread] = host, item
        thread.start()

    def _attempt(self, job: _Job, deadline: float) -> None:
        """In a thread of its own."""
        begun = time.monotonic()
        clock = Clock(begun + job.left_s, deadline, self._stop)
        try:
            result: Result = job.transfer.attempt(self._web, self._readers, clock)
        except Exception as error:  # noqa: BLE001 - whatever a host makes of a library, it ends this video only
            result = error
        now = time.monotonic()
        job.left_s = clock.ends - now
        job.spent_s += now - begun
        self._ended.put((threading.current_thread(), result))

    def _settle(self, thread: threading.Thread, result: Result, *, last: bool = False) -> None:
        """Decides what an attempt that has ended means. last: there is no other."""
        host, job = self._active.pop(thread)
        if isinstance(result, FetchFaultError) and result.transient and result.error not in _NOT_AGAIN and not last:
            settings = self._rules.settings
            wait_s = backoff_s(settings, job.attempts, job.transfer.target.url)
            wait_s = max(wait_s, result.retry_after_s or 0.0)
            many = max(job.transfer.failures.values(), default=0) >= settings.attempts
            if not many and job.left_s > 0 and (result.retry_after_s or 0.0) <= settings.max_retry_after_s:
                self._queues.resume(job.transfer.target.host, job, time.monotonic() + wait_s)
                self._queues.finished(host)
                return
        self._queues.finished(host)
        self._emit(job.number, result)

    def _emit(self, number: int, result: Result) -> None:
        """Hands out the one outcome of a request."""
        request, job = self._requests[number], self._jobs.pop(number, None)
        transfer = job.transfer if job else None
        if isinstance(result, OSError | StageError):
            raise result  # the disk's, or that of what reads pages: no video is to blame
        error, detail, transient = _judged(result)
        done = result if isinstance(result, Fetched) else None
        if transfer is not None and not transient:
            transfer.clean(done.path if done else None)
        headers = transfer.headers if transfer else {}
        self._settled[number] = 1
        outcome = VideoOutcome(
            media_id=request.media_id,
            status="failed" if error else "ok",
            error=error,
            detail=printable(detail),
            transient=transient,
            http_status=transfer.http_status if transfer else None,
            attempts=job.attempts if job and job.transfer.asked else 0,
            final_url=transfer.final_url if transfer else request.url,
            path=done.path if done else None,
            size_bytes=done.size_bytes if done else None,
            sha256=done.sha256 if done else None,
            mime=headers.get("content-type"),
            headers=headers,
            elapsed_ms=round(job.spent_s * 1000) if job else 0,
            info=done.info if done else VideoInfo(),
            facts=done.facts if done else None,
        )
        self._on_done(outcome)
        self._storm.note(error, detail)

    def _leave(self, error: ErrorClass) -> None:
        """Ends all that has not ended."""
        for number in unsettled(self._settled):
            self._emit(number, not_done(error))


def _judged(result: Result) -> tuple[ErrorClass | VideoRefusal | None, str, bool]:
    """Error, detail, transient."""
    if isinstance(result, Fetched):
        return None, "; ".join(f"no subtitles {line}" for line in result.info.missing_subtitles), False
    if isinstance(result, FetchFaultError):
        return result.error, result.detail, result.transient
    if isinstance(result, RefusedVideo):
        return result.reason, str(result), False
    return ErrorClass.BAD_RESPONSE, f"{type(result).__name__}: {result}", False
