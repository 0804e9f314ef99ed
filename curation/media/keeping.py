"""From the outcome of a request to a row of the ledger: bodies are decoded in a thread beside the network's."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Any, Final, Self

from curation.media.images import ImageProcessor, ProcessedImage
from curation.media.journal import Journal, Row
from curation.media.outcomes import Outcome
from curation.recipe import ImageSettings
from curation.schemas import MEDIA

WAITING: Final = 64
"""Outcomes that wait to be decoded; beyond them the network waits, so that memory is bounded."""

_EMPTY: Final[Row] = {name: [] if name == "findings" else None for name in MEDIA.columns}


class Keeper:
    """`take` is fetch_all's on_done. A context: at its end everything taken is in the journal, on the disk."""

    def __init__(self, settings: ImageSettings, media: dict[str, Row], journal: Journal) -> None:
        self._processor = ImageProcessor(settings)
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
        while (outcome := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._keep(outcome)
                except Exception as error:  # noqa: BLE001 - carried to the thread that waits for this one
                    self._error = error

    def _keep(self, outcome: Outcome) -> None:
        media = self._media[outcome.media_id]
        if outcome.status == "failed":
            self._journal.add(failed_row(media, outcome), None)
            return
        image = self._processor(outcome.body)
        self._journal.add({**failed_row(media, outcome), **_of(image)}, image.data)


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
    facts = {name: value for name, value in image.facts().items() if name in MEDIA.columns}
    if image.reason is not None:
        return {**facts, "status": "failed", "error": str(image.reason), "detail": image.detail or None}
    return facts
