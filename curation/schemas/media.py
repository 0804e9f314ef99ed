"""Datasets of what follows the selection: media, their copies, and the pairs that are left."""

from __future__ import annotations

import pyarrow as pa

from curation.schemas.columns import (
    BUCKET,
    ENTRY_ID,
    INTS,
    LICENCE,
    MEDIA_ID,
    MEDIA_URL,
    MODALITY,
    PAGE_URL,
    PAIR_ID,
    PLATFORM,
    PLATFORM_ID,
    RECORD,
    STRINGS,
    UPLOAD_DATE,
    VOCABULARY_LANG,
    Dataset,
    column,
)

_KIND_OF_COPY = column("kind", pa.string(), "exact (same sha256) or near (perceptual hashes within max_distance)")
_FINDING = pa.struct(
    [
        pa.field("hook", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("left", pa.float32()),
        pa.field("top", pa.float32()),
        pa.field("right", pa.float32()),
        pa.field("bottom", pa.float32()),
    ]
)

MEDIA = Dataset(
    "media",
    1,
    "planned media of one shard",
    "The ledger: one row per media that was to be fetched, what became of it, and where its bytes lie; by media_id.",
    pa.schema(
        [
            MEDIA_ID,
            BUCKET,
            MODALITY,
            MEDIA_URL,
            column("status", pa.string(), "ok or failed"),
            column(
                "error",
                pa.string(),
                "why it failed: dns, connect, tls, timeout, http_4xx ... (curation.media.outcomes.ErrorClass), "
                "not_an_image, filtered_size ... (curation.media.image_facts.ImageRefusal), or a refusal; null: ok",
                nullable=True,
            ),
            column("detail", pa.string(), "what exactly went wrong, in words", nullable=True),
            column("transient", pa.bool_(), "whether a later run asks again (fetch.retry_days)"),
            column("attempts", pa.int32(), "times it was asked for, over all runs; 0: never"),
            column("http_status", pa.int32(), "of the last answer; null: there was none", nullable=True),
            column("final_url", pa.string(), "URL after redirects, where it is another", nullable=True),
            column("fetched_bytes", pa.int64(), "size of the answer's body", nullable=True),
            column("sha256", pa.string(), "SHA-256 of the fetched bytes, 64 hex digits", nullable=True),
            column("mime", pa.string(), "by content, of the fetched bytes", nullable=True),
            column("last_modified", pa.string(), "the header of that name, as sent", nullable=True),
            column("original_width", pa.int32(), "pixels as fetched, upright", nullable=True),
            column("original_height", pa.int32(), "pixels as fetched, upright", nullable=True),
            column("orientation", pa.int32(), "EXIF orientation as fetched, 1 to 8", nullable=True),
            column("frames", pa.int32(), "pictures in the file, of which the first is taken", nullable=True),
            column("mode", pa.string(), "as fetched: L, LA, RGB, RGBA, P, PA or CMYK", nullable=True),
            column("bit_depth", pa.int32(), "bits per sample as fetched", nullable=True),
            column("exif", pa.string(), "EXIF as img2dataset's JSON", nullable=True),
            column("phash", pa.uint64(), "perceptual hash; 0: too flat to be told apart", nullable=True),
            column("findings", pa.list_(pa.field("item", _FINDING, nullable=False)),
                    "what hooks found: label, score and box in shares of width and height (null: the whole picture)"),
            column("path", pa.string(), "tar shard that holds the bytes, below the work folder", nullable=True),
            column("offset", pa.int64(), "where the stored bytes begin in it", nullable=True),
            column("size_bytes", pa.int64(), "of the stored bytes", nullable=True),
            column("stored_sha256", pa.string(), "SHA-256 of the stored bytes", nullable=True),
            column("stored_mime", pa.string(), "of the stored bytes", nullable=True),
            column("width", pa.int32(), "pixels as stored, upright", nullable=True),
            column("height", pa.int32(), "pixels as stored, upright", nullable=True),
        ]
    ),
)

MEDIA_SHARDS = Dataset(
    "media_shards",
    1,
    "planned media of one shard",
    "The tar shards that hold the media: media_id.jpg and media_id.json (img2dataset's columns), by media_id.",
    pa.schema(
        [
            column("path", pa.string(), "below the work folder; the name follows from the content"),
            column("samples", pa.int32(), "media in it"),
            column("size_bytes", pa.int64(), "of the tar"),
            column("sha256", pa.string(), "SHA-256 of the tar, 64 hex digits"),
        ]
    ),
)

DUPLICATE_GROUPS = Dataset(
    "duplicate_groups",
    1,
    "hash bucket of the band",
    "Media of kept pairs that share a sha256, or a band of their perceptual hash and are near; a media may be in many.",
    pa.schema(
        [
            MEDIA_ID,
            column("group_id", pa.string(), "smallest media_id of the group"),
            _KIND_OF_COPY,
            column("pixels", pa.int64(), "original width times height"),
            column("fetched_bytes", pa.int64(), "size as fetched"),
            column("pair_id", pa.string(), "its best pair: by text source, then by critical threshold, then by id"),
            column("source_rank", pa.int32(), "place of that pair's text source, 0 is best"),
            column("critical_threshold", pa.float64(), "of that pair"),
        ]
    ),
)

DUPLICATES = Dataset(
    "duplicates",
    1,
    "all",
    "Clusters of media that show the same picture, two members or more: one row per member.",
    pa.schema(
        [
            MEDIA_ID,
            column("cluster_id", pa.string(), "smallest media_id of the cluster"),
            _KIND_OF_COPY,
            column("kept_media_id", pa.string(), "the member whose bytes stand for all: the largest copy"),
            column("kept_pair_id", pa.string(), "the pair whose text stands for all: the best of their best"),
        ]
    ),
)

SURVIVORS = Dataset(
    "survivors",
    1,
    "media bucket",
    "Kept pairs whose media was obtained and whose text stands for its picture; same order as kept_pairs.",
    pa.schema(
        [
            PAIR_ID,
            MEDIA_ID,
            column("kept_media_id", pa.string(), "media whose bytes belong to it: media_id, or its largest copy"),
            MODALITY,
            VOCABULARY_LANG,
            column("entry_ids", INTS, "entries found in the text, ascending, each once"),
            column("keep_before", pa.float64(), "keep_probability of kept_pairs"),
        ]
    ),
)

SURVIVOR_COUNTS = Dataset(
    "survivor_counts",
    1,
    "media bucket",
    "Partial sums over survivors, one set per unit.",
    pa.schema(
        [
            MODALITY,
            VOCABULARY_LANG,
            ENTRY_ID,
            column("texts", pa.int64(), "survivors whose text holds the entry"),
            column("weight", pa.float64(), "sum of 1 / keep_before over survivors"),
            column("kept_weight", pa.float64(), "the same over all kept pairs of what is fetched, before losses"),
        ]
    ),
)

FINAL_PAIRS = Dataset(
    "final_pairs",
    3,
    "media bucket",
    "The selection after losses: pairs with an obtained media, balanced anew, and where they were found; what a "
    "manifest is made of.",
    pa.schema(
        [
            PAIR_ID,
            column("media_id", pa.string(), "media whose bytes belong to the pair"),
            column("text_media_id", pa.string(), "media that the text was said about: media_id, or a copy of it"),
            MODALITY,
            column("text", pa.string(), "the text that was matched"),
            column("text_sources", STRINGS, "every field that said this text about that media, sorted"),
            column("lang", pa.string(), "language by fastText lid.176"),
            column("start_ms", pa.int64(), "where the part begins that the text is about; null: all of it",
                   nullable=True),
            column("end_ms", pa.int64(), "where that part ends; null: not said", nullable=True),
            VOCABULARY_LANG,
            column("entry_ids", INTS, "entries found in the text, ascending, each once"),
            column("keep_before", pa.float64(), "probability with which it was kept before the fetch"),
            column("keep_probability", pa.float64(), "after re-balancing; at most keep_before"),
            column("critical_threshold", pa.float64(), "smallest t >= 1 that keeps it by the counts after losses"),
            PLATFORM,
            PLATFORM_ID,
            LICENCE,
            UPLOAD_DATE,
            PAGE_URL,
            *RECORD,
        ]
    ),
)  # fmt: skip
