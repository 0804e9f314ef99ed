"""Stored media by their id: one range read of a shard, local or on any object store.

reader = MediaReader("s3://bucket/run"); reader.bytes(media_id)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import CurationError, WorkFolderError
from curation.media.refusals import FOLDER, FORGOTTEN, Tombstones
from curation.media.shards import ShardError, read_member
from curation.schemas import MEDIA
from curation.storage import Store, storage_errors

Data = bytes  # within the class, bytes is a method
_COLUMNS: Final = ["media_id", "status", "error", "detail", "path", "offset", "size_bytes", "stored_sha256"]


class MediaUnavailableError(CurationError):
    """The bytes of a media are not to be had; the message says why and what to do."""


class MediaReader:
    """Reads the bytes of media that a run stored.

    The ledger is that of when the reader was made, the tombstones those of each read: what is forgotten meanwhile is
    refused. Cheap to pickle where the ledger is not asked (`of_row`).
    """

    def __init__(self, work: str | Path | Store, ledger: Sequence[str] | None = None) -> None:
        """work: the work folder. ledger: paths in it of the files of MEDIA; None: those that are current.

        Raises WorkFolderError, where `ledger` is None, for a folder without fetched media.
        """
        self._store = work if isinstance(work, Store) else Store.at(work)
        self._names: set[str] = set()
        self._forgotten: frozenset[str] = frozenset()
        self._ledger = list(_current_ledger(self._store) if ledger is None else ledger)

    def bytes(self, media_id: str) -> Data:
        """The stored bytes of a media. Looks through the ledger; for many, `read` does so once.

        Raises MediaUnavailableError where it was never fetched, failed, was forgotten, or its shard is gone or altered.
        """
        return next(data for _, data in self.read([media_id]))

    def read(self, media_ids: Sequence[str]) -> Iterator[tuple[str, Data]]:
        """(media_id, bytes) of some media in their order; raises as `bytes` does."""
        rows = self.rows(media_ids)
        for media_id in media_ids:
            if media_id not in rows:
                self._refuse_forgotten(media_id)
                raise MediaUnavailableError(
                    f"{media_id} is not in the ledger of {self._store.root}: it was not among the pairs that were "
                    "fetched, or the id is not one"
                )
            yield media_id, self.of_row(rows[media_id])

    def rows(self, media_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The ledger's rows of some media, as far as it has them, by media_id: what `of_row` needs of them."""
        wanted = pa.array(sorted(set(media_ids)), pa.string())
        found: dict[str, dict[str, Any]] = {}
        with storage_errors(self._store):
            for batch in self._store.batches(self._ledger, _COLUMNS):
                rows = batch.filter(pc.is_in(batch.column("media_id"), value_set=wanted))
                found.update((row["media_id"], row) for row in rows.to_pylist())
        return found

    def of_row(self, row: dict[str, Any]) -> Data:
        """The stored bytes of a row of the ledger (its columns media_id, status, error, path, offset, size_bytes,
        stored_sha256), checked against their SHA-256. Raises as `bytes` does.
        """
        media_id = row["media_id"]
        self._refuse_forgotten(media_id)
        if row["status"] != "ok":
            detail = f" ({row['detail']})" if row.get("detail") else ""
            raise MediaUnavailableError(f"{media_id} was not obtained: {row['error']}{detail}")
        try:
            data = read_member(self._store, row["path"], row["offset"], row["size_bytes"])
        except FileNotFoundError:
            raise MediaUnavailableError(
                f"{self._store.url(row['path'])}, the shard of {media_id}, is gone: it was removed, or written anew "
                "since the ledger was read: open the reader again"
            ) from None
        except ShardError as error:
            raise MediaUnavailableError(f"{media_id}: {error}") from None
        if hashlib.sha256(data).hexdigest() != row["stored_sha256"]:
            raise MediaUnavailableError(
                f"{self._store.url(row['path'])} does not hold {media_id} at byte {row['offset']}: it was altered"
            )
        return data

    def _refuse_forgotten(self, media_id: str) -> None:
        with storage_errors(self._store):
            if (names := self._store.names(FOLDER)) != self._names:
                self._names, self._forgotten = names, Tombstones.read(self._store).media_ids
            if media_id in self._forgotten:
                raise MediaUnavailableError(f"{media_id} was {FORGOTTEN}: see `curation forget`")


def _current_ledger(store: Store) -> list[str]:
    """Files of the ledger that is current; that the selection changed since makes no stored bytes wrong."""
    with storage_errors(store):
        pointer = store.read_json(f"{MEDIA.name}/_current.json")
        manifest = None if pointer is None else store.read_json(pointer["manifest"])
    if manifest is None:
        raise WorkFolderError(f"{store.root} has no fetched media: run `curation run` with a section fetch to get them")
    reports = manifest["reports"]
    return [entry["path"] for name in sorted(reports) for entry in reports[name]["files"].get(MEDIA.name, [])]
