"""Fetches a list of URLs: every one ends in exactly one outcome, in bounded time.

fetch_all(requests, FetchSettings(), on_done=keep, deadline_s=600)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from curation.media.addresses import AddressBook
from curation.media.attempts import Storm, backoff_s, not_done, unsettled
from curation.media.client import Answer, Client
from curation.media.outcomes import ErrorClass, FetchFaultError, FetchRequest, FetchStormError, Outcome, printable
from curation.media.politeness import Host, HostQueues
from curation.media.targets import BadUrlError, Target, parse_target
from curation.recipe.network import FetchSettings

OnDone = Callable[[Outcome], None]

_NOT_READY_S: Final = 0.02  # between two questions whether something new may begin
_LOOK_S: Final = 2.0  # between two looks whether the run is to end


def fetch_all(
    requests: Sequence[FetchRequest],
    settings: FetchSettings,
    *,
    on_done: OnDone,
    deadline_s: float,
    ready: Callable[[], bool] = lambda: True,
    may_follow: Callable[[str], bool] = lambda url: True,
) -> None:
    """Fetches all requests and calls on_done once for each, in the order in which they end.

    Returns when all are done, or after deadline_s seconds (and what it takes to call on_done for the rest, some
    microseconds each): what is left then is DEADLINE. An interrupt (SIGINT) leaves
    CANCELLED ones and is passed on. on_done runs in the calling thread between two events of the network: while it
    works nothing is read, which holds back the hosts, but time limits run on; above some 100 ms give work to others.
    What on_done raises ends the run, without further outcomes. Not from within a running event loop.

    ready: while it says no, nothing new begins; what it raises ends the run. may_follow: whether a redirect to a URL is
    followed; where not, the outcome is REFUSED.

    Bodies in memory are at most settings.concurrency x max_bytes, and what on_done keeps: see `ready`.
    Raises FetchStormError, after CANCELLED outcomes for the rest, where more than storm_share of the last storm_window
    outcomes are of one of curation.media.attempts.STORM_CLASSES (HOST_DOWN is left out: one dead host may have many
    URLs).
    """
    asyncio.run(_Run(requests, settings, (on_done, ready, may_follow)).until(time.monotonic() + deadline_s))


@dataclass(slots=True)
class _Job:
    """A request that has begun."""

    number: int
    start: Target
    target: Target
    attempts: int = 0
    spent_s: float = 0.0
    trail: list[str] = field(default_factory=list)
    """URLs of this attempt, before the present one."""
    answer: Answer = field(default_factory=Answer)


class _Run:
    def __init__(
        self,
        requests: Sequence[FetchRequest],
        settings: FetchSettings,
        asked: tuple[OnDone, Callable[[], bool], Callable[[str], bool]],
    ) -> None:
        self._requests = requests
        self._settings = settings
        self._on_done, self._ready, self._may_follow = asked
        self._queues: HostQueues[_Job] = HostQueues(settings.per_host_concurrency, settings.per_host_delay_s)
        self._settled = bytearray(len(requests))
        self._jobs: dict[int, _Job] = {}
        self._tasks: dict[asyncio.Task[None], tuple[Host[_Job], _Job]] = {}
        self._ended: deque[asyncio.Task[None]] = deque()
        self._storm = Storm(settings)

    async def until(self, deadline: float) -> None:
        """The whole run; deadline by time.monotonic()."""
        self._wake = asyncio.Event()
        book = AddressBook(self._settings)
        try:
            async with Client(self._settings, book) as self._client:
                try:
                    await self._work(deadline)
                finally:
                    await self._stop()
            self._leave(ErrorClass.DEADLINE)
        except (FetchStormError, asyncio.CancelledError):
            self._leave(ErrorClass.CANCELLED)
            raise
        finally:
            book.close()

    async def _work(self, deadline: float) -> None:
        for number, request in enumerate(self._requests):
            try:
                self._queues.add(parse_target(request.url).host, number)
            except BadUrlError as error:
                self._fail(number, ErrorClass.BAD_URL, printable(str(error)), transient=False)
        while (now := time.monotonic()) < deadline:
            self._wake.clear()
            while self._ended:
                self._settle(self._ended.popleft(), now)
                await asyncio.sleep(0)  # on_done may take its time, and the network's timers run on
            is_ready = self._ready()
            if is_ready:
                self._begin(now)
            next_s = self._queues.next_time() if len(self._tasks) < self._settings.concurrency else None
            if not self._tasks and (next_s is None or next_s >= deadline):
                return
            wait_until = deadline if next_s is None else min(next_s, deadline)
            wait_until = min(wait_until, now + _LOOK_S) if is_ready else now + _NOT_READY_S
            timer = asyncio.get_running_loop().call_later(max(wait_until - time.monotonic(), 0.0), self._wake.set)
            await self._wake.wait()
            timer.cancel()

    def _begin(self, now: float) -> None:
        while len(self._tasks) < self._settings.concurrency and (taken := self._queues.take(now)):
            host, item = taken
            job = self._job(item) if isinstance(item, int) else item
            task = asyncio.create_task(self._visit(job))
            self._tasks[task] = (host, job)
            task.add_done_callback(self._note)

    def _job(self, number: int) -> _Job:
        target = parse_target(self._requests[number].url)
        job = self._jobs[number] = _Job(number, target, target, attempts=1)
        return job

    def _note(self, task: asyncio.Task[None]) -> None:
        self._ended.append(task)
        self._wake.set()

    async def _visit(self, job: _Job) -> None:
        begun = time.monotonic()
        job.answer = Answer()
        try:
            limit_s = max(self._settings.total_timeout_s - job.spent_s, 0.001)
            await self._client.get(job.target, job.answer, limit_s=limit_s)
        finally:
            job.spent_s += time.monotonic() - begun

    def _settle(self, task: asyncio.Task[None], now: float) -> None:
        """Decides what a visit that has ended means for its request and its host."""
        host, job = self._tasks.pop(task)
        error = task.exception()
        if isinstance(error, FetchFaultError):
            fault = error
        elif error is not None:  # nothing that a host sends may end the run, whatever the library makes of it
            words = f"{type(error).__name__}: {error}"
            fault = FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)
        else:
            host.note(None, 0.0, self._settings, now)
            self._queues.finished(host)
            self._answered(job, now)
            return
        self._failed(host, job, fault, now)
        self._queues.finished(host)

    def _answered(self, job: _Job, now: float) -> None:
        """Passes on a body, or queues the next step of a redirect at the host that it leads to."""
        location = job.answer.location
        if location is None:
            self._done(job)
        elif not self._may_follow(location.url):
            job.target = location
            self._end(job, FetchFaultError(ErrorClass.REFUSED, "a redirect to what is refused", transient=False))
        elif (
            location.url in job.trail
            or location.url == job.target.url
            or (len(job.trail) >= self._settings.max_redirects)
        ):
            words = f"redirect {len(job.trail) + 1} leads to {location.url}"
            self._end(job, FetchFaultError(ErrorClass.REDIRECT_LOOP, words, transient=False))
        else:
            job.trail.append(job.target.url)
            job.target = location
            self._queues.resume(location.host, job, now)

    def _failed(self, host: Host[_Job], job: _Job, fault: FetchFaultError, now: float) -> None:
        settings = self._settings
        wait_s = backoff_s(settings, job.attempts, job.start.url)
        down = host.note(fault, wait_s, settings, now)
        wait_s = max(wait_s, fault.retry_after_s or 0.0)
        again = fault.transient and job.attempts < settings.attempts and job.spent_s < settings.total_timeout_s
        if again and not down:
            job.attempts += 1
            job.target, job.trail = job.start, []
            self._queues.resume(job.target.host, job, now + wait_s)
            return
        self._end(job, fault)
        if down:
            for item in list(self._queues.drain(host)):
                number = item if isinstance(item, int) else item.number
                self._fail(number, ErrorClass.HOST_DOWN, printable(f"{host.name}: {down}"), transient=True)

    def _done(self, job: _Job) -> None:
        self._emit(job.number, None, "", transient=False)

    def _end(self, job: _Job, fault: FetchFaultError) -> None:
        self._fail(job.number, fault.error, printable(fault.detail), transient=fault.transient)

    def _fail(self, number: int, error: ErrorClass, detail: str, *, transient: bool) -> None:
        self._emit(number, error, detail, transient=transient)

    def _emit(self, number: int, error: ErrorClass | None, detail: str, *, transient: bool) -> None:
        """Hands out the one outcome of a request."""
        request, job = self._requests[number], self._jobs.pop(number, None)
        answer = job.answer if job else Answer()
        self._settled[number] = 1
        outcome = Outcome(
            media_id=request.media_id,
            status="failed" if error else "ok",
            error=error,
            transient=transient,
            http_status=answer.http_status,
            attempts=job.attempts if job else 0,
            final_url=job.target.url if job else request.url,
            body=b"" if error else answer.body,
            mime=answer.headers.get("content-type"),
            headers=answer.headers,
            elapsed_ms=round(job.spent_s * 1000) if job else 0,
            detail=detail,
        )
        self._on_done(outcome)
        self._storm.note(error, detail)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    def _leave(self, error: ErrorClass) -> None:
        """Ends all that has not ended."""
        fault = not_done(error)
        for number in unsettled(self._settled):
            self._fail(number, error, fault.detail, transient=True)
