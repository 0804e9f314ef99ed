"""From the outcome of a request to a row of the ledger: bodies are decoded in a thread beside the network's."""

from __future__ import annotations

import queue
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from curation.errors import StageError
from curation.media.image_facts import ImageRefusal
from curation.media.journal import FLUSH_S, Journal, Row
from curation.media.outcomes import ErrorClass, Outcome
from curation.media.refusals import FORGOTTEN, Refusals
from curation.schemas import MEDIA

if TYPE_CHECKING:
    from curation.media.images import ImageProcessor, ProcessedImage

WAITING: Final = 64
WAITING_BYTES: Final = 128 << 20
"""Outcomes, and their bytes, that wait to be decoded; where there are more, nothing new is asked for."""
PICTURE_S: Final = 300.0
"""Seconds after which a picture that a decoder or a hook is at stops the unit: it would wait for ever."""
HOOK_FAILURES: Final = 50
"""Pictures in a row on which a hook failed that stop the unit: then it is the hook, or its device, not the pictures."""

_COLUMNS: Final = frozenset(MEDIA.columns)
_EMPTY: Final[Row] = {name: [] if name == "findings" else None for name in MEDIA.columns}


class Keeper:
    """`take` is fetch_all's on_done. A context: at its end everything taken is in the journal, on the disk."""

    def __init__(
        self, processor: ImageProcessor, media: dict[str, Row], journal: Journal, refusals: Refusals
    ) -> None:
        self._processor, self._refusals = processor, refusals
        self._media, self._journal = media, journal
        self._queue: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._begun: tuple[float, str] | None = None
        self._hook_failures = 0
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        while self._thread.is_alive():
            self._thread.join(FLUSH_S)
            self._check_picture()
        if self._error is not None:
            raise self._error
        self._journal.flush()

    def ready(self) -> bool:
        """Whether more may be asked for. Raises what went wrong with what came so far."""
        if self._error is not None:
            raise self._error
        self._check_picture()
        return self._queue.qsize() < WAITING and self._waiting_bytes < WAITING_BYTES

    def _check_picture(self) -> None:
        begun = self._begun
        if begun is not None and time.monotonic() - begun[0] > PICTURE_S:
            raise StageError(
                f"a decoder or a hook has not come back from media {begun[1]} for {PICTURE_S:.0f} s: leave it out with "
                "fetch.opt_out, or mend the hook, and run again"
            )

    def take(self, outcome: Outcome) -> None:
        self._count(len(outcome.body))
        self._queue.put(outcome)

    def _count(self, size: int) -> None:
        with self._lock:
            self._waiting_bytes += size

    def _work(self) -> None:
        while True:
            try:
                outcome = self._queue.get(timeout=FLUSH_S)
                if outcome is None:
                    return
            except queue.Empty:
                outcome = None
            if self._error is None:
                try:
                    if outcome is not None:
                        self._begun = time.monotonic(), outcome.media_id
                        self._keep(outcome)
                    self._journal.flush_if_due()
                except Exception as error:  # noqa: BLE001 - carried to the thread that waits for this one
                    self._error = error
                self._begun = None
            if outcome is not None:
                self._count(-len(outcome.body))

    def _keep(self, outcome: Outcome) -> None:
        row = failed_row(self._media[outcome.media_id], outcome)
        if row["final_url"] is not None and (error := self._refusals.of_urls([row])[0]) is not None:
            self._journal.add(refused_row(row, error), None)
            return
        if outcome.status == "failed":
            self._journal.add(row, None)
            return
        image = self._processor(outcome.body)
        row |= {"fetched_bytes": len(outcome.body)} | _of(image)
        self._watch(row)
        if (error := self._refusals.of_bytes(row)) is not None:
            self._journal.add(refused_row(row, error), None)
            return
        self._journal.add(row, image.data)

    def _watch(self, row: Row) -> None:
        """Raises StageError where a hook fails on everything."""
        self._hook_failures = self._hook_failures + 1 if row["error"] == ImageRefusal.HOOK_FAILED else 0
        if self._hook_failures >= HOOK_FAILURES:
            told = f"a hook failed on the last {HOOK_FAILURES} pictures: {row['detail']}"
            raise StageError(f"{told}; mend it, and run the same command again")


def refused_row(row: Row, error: str) -> Row:
    """The row of a media that is not to be kept, whatever it said before; of a forgotten one nothing else is told.

    row: of the ledger, or of a plan (then it was never asked for). Of bytes on a list of hashes the hashes stay: the
    lists may change.
    """
    whole = {**_EMPTY, "attempts": 0, **row}
    if error == FORGOTTEN:
        kept = {name: whole[name] for name in ("media_id", "media_bucket", "modality")}
        whole = {**_EMPTY, **kept, "media_url": "", "attempts": 0}
    names = ("path", "offset", "size_bytes", "stored_sha256", "stored_mime", "width", "height")
    return {**whole, **dict.fromkeys(names), "status": "failed", "error": error, "transient": False}


def failed_row(media: Row, outcome: Outcome) -> Row:
    """What the request alone says."""
    return {
        **_EMPTY,
        **media,
        "status": outcome.status,
        "error": None if outcome.error is None else str(outcome.error),
        "detail": outcome.detail or None,
        "transient": outcome.transient or outcome.error == ErrorClass.DNS,  # names come back; this run asked enough
        "attempts": outcome.attempts,
        "http_status": outcome.http_status,
        "final_url": None if outcome.final_url == media["media_url"] else outcome.final_url,
        "last_modified": outcome.headers.get("last-modified"),
    }


def _of(image: ProcessedImage) -> dict[str, Any]:
    """What the bytes say."""
    facts = {name: value for name, value in image.facts().items() if name in _COLUMNS}
    if image.reason is not None:
        passing = image.reason == ImageRefusal.HOOK_FAILED
        told = {"status": "failed", "error": str(image.reason), "detail": image.detail or None, "transient": passing}
        return facts | told
    return facts
