"""From the outcome of a request to a row of the ledger: bodies are decoded in a thread beside the network's."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from curation.media.journal import FLUSH_S, Journal, Row
from curation.media.outcomes import Outcome
from curation.media.refusals import FORGOTTEN, Refusals
from curation.schemas import MEDIA

if TYPE_CHECKING:
    from curation.media.images import ImageProcessor, ProcessedImage

WAITING: Final = 64
"""Outcomes that wait to be decoded; beyond them the network waits, so that memory is bounded."""

_COLUMNS: Final = frozenset(MEDIA.columns)
_EMPTY: Final[Row] = {name: [] if name == "findings" else None for name in MEDIA.columns}


class Keeper:
    """`take` is fetch_all's on_done. A context: at its end everything taken is in the journal, on the disk."""

    def __init__(
        self, processor: ImageProcessor, media: dict[str, Row], journal: Journal, refusals: Refusals
    ) -> None:
        self._processor, self._refusals = processor, refusals
        self._media, self._journal = media, journal
        self._queue: queue.Queue[Outcome | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._journal.flush()

    def take(self, outcome: Outcome) -> None:
        if self._error is not None:
            raise self._error
        self._queue.put(outcome)

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
                        self._keep(outcome)
                    self._journal.flush_if_due()
                except Exception as error:  # noqa: BLE001 - carried to the thread that waits for this one
                    self._error = error

    def _keep(self, outcome: Outcome) -> None:
        media = self._media[outcome.media_id]
        if outcome.status == "failed":
            self._journal.add(failed_row(media, outcome), None)
            return
        row = failed_row(media, outcome)
        if (error := self._refusals.of_urls([row])[0]) is not None:  # of the URL that it led to
            self._journal.add(refused_row(row, error), None)
            return
        image = self._processor(outcome.body)
        row |= _of(image)
        if (error := self._refusals.of_bytes(row)) is not None:
            self._journal.add(refused_row(row, error), None)
            return
        self._journal.add(row, image.data)


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
        "transient": outcome.transient,
        "attempts": outcome.attempts,
        "http_status": outcome.http_status,
        "final_url": None if outcome.final_url == media["media_url"] else outcome.final_url,
        "fetched_bytes": len(outcome.body) if outcome.status == "ok" else None,
        "last_modified": outcome.headers.get("last-modified"),
    }


def _of(image: ProcessedImage) -> dict[str, Any]:
    """What the bytes say."""
    facts = {name: value for name, value in image.facts().items() if name in _COLUMNS}
    if image.reason is not None:
        return {**facts, "status": "failed", "error": str(image.reason), "detail": image.detail or None}
    return facts
