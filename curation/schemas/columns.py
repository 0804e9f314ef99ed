"""What a dataset is, and the columns that several have."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

MODALITIES = ("image", "video", "audio")


@dataclass(frozen=True)
class Dataset:
    """A dataset: its name, schema version (raised when a column changes its meaning), and columns."""

    name: str
    version: int
    unit: str
    about: str
    schema: pa.Schema

    @property
    def columns(self) -> list[str]:
        return list(self.schema.names)


def column(name: str, kind: pa.DataType, doc: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


STRINGS = pa.list_(pa.field("item", pa.string(), nullable=False))
INTS = pa.list_(pa.field("item", pa.int32(), nullable=False))

MEDIA_ID = column("media_id", pa.string(), "first 24 hex digits of SHA-224 of media_url (variant v2: without blanks)")
PAIR_ID = column("pair_id", pa.string(), "128-bit hash of (media_id, text), 32 hex digits")
MODALITY = column("modality", pa.string(), "image, video or audio")
MEDIA_URL = column("media_url", pa.string(), "absolute URL of the media")
VOCABULARY_LANG = column("vocabulary_lang", pa.string(), "language of the vocabulary that was matched against")
ENTRY_ID = column("entry_id", pa.int32(), "position of the entry in its vocabulary")
BUCKET = column("media_bucket", pa.int32(), "first 8 hex digits of media_id modulo the recipe's media_buckets")
PLATFORM = column("platform", pa.string(), "player that shows it (youtube, vimeo ...); null for files", nullable=True)
PLATFORM_ID = column("platform_id", pa.string(), "its id there; media_url is then the canonical URL", nullable=True)
LICENCE = column("licence", pa.string(), "SPDX or Creative Commons id the page gives; null: none known", nullable=True)
UPLOAD_DATE = column("upload_date", pa.string(), "declared date, ISO 8601", nullable=True)
PAGE_URL = column("page_url", pa.string(), "page that held the link; null for tables without one", nullable=True)
RECORD = (
    column("snapshot", pa.string(), "crawl the archive belongs to (CC-MAIN-2024-22), or the input's name"),
    column("archive", pa.string(), "file name of the archive or table"),
    column("record_offset", pa.int64(), "byte offset of the record in the archive; row number in a table"),
)
NEARLY_ALL_DIFFER = frozenset({"pair_id", "media_id", "media_url", "text", "sha256", "fetched_sha256", "stored_sha256"})
"""Columns, and fields of structs, whose values a Parquet dictionary makes slower and larger."""
