"""Datasets of the last mile: the manifest that a training job reads, entry probabilities, and exported shards."""

from __future__ import annotations

import pyarrow as pa

from curation.schemas.captions import SAMPLE_ID
from curation.schemas.columns import (
    BUCKET,
    ENTRY_ID,
    INTS,
    MEDIA_ID,
    MODALITY,
    STRINGS,
    VOCABULARY_LANG,
    Dataset,
    column,
)
from curation.schemas.videos import SCORES, listed, structured

_NOT_SCORES = frozenset({"clip_id", "media_id", "media_bucket", "stored_sha256", "status", "error", "detail"})
SCORE = pa.struct([field.remove_metadata() for field in SCORES.schema if field.name not in _NOT_SCORES])
"""The measured columns of `scores`."""

TEXT = structured(
    text=pa.string(),
    lang=pa.string(),
    captioner=pa.string(),
    kind=pa.string(),
    text_sources=STRINGS,
    model=pa.string(),
    start_ms=pa.int64(),
    end_ms=pa.int64(),
    score=pa.float32(),
    similarity=pa.float32(),
    text_similarity=pa.float32(),
    weight=pa.float32(),
    pair_id=pa.string(),
    text_media_id=pa.string(),
    vocabulary_lang=pa.string(),
    entry_ids=INTS,
    keep_probability=pa.float64(),
    critical_threshold=pa.float64(),
    page_url=pa.string(),
    licence=pa.string(),
    archive=pa.string(),
    record_offset=pa.int64(),
    nullable=(
        "lang", "model", "start_ms", "end_ms", "score", "similarity", "text_similarity", "text_media_id",
        "vocabulary_lang", "keep_probability", "critical_threshold", "page_url", "licence", "archive", "record_offset",
    ),
)  # fmt: skip
"""One text of a sample: a final pair's, or a caption. What only pairs have is null for captions, and the other way.

captioner, kind: `alt` and the text source for texts of pages; else as in `captions`. text_sources: every field that
said it, [] for captions. start_ms, end_ms: the part that it is about, on the sample's own clock; null: all of it.
weight: by which a trainer draws one of several (manifest.text_weights); 0: never. keep_probability and
critical_threshold: of the final pair; with captions.balance of the chosen text, which alone was drawn there; null: it
was not drawn by itself, and goes with the sample. page_url, licence, archive, record_offset: where the text comes from.
"""

MANIFEST = Dataset(
    "manifest",
    1,
    "media bucket",
    "One row per training sample, images and clips alike: identity, bytes, texts, concepts, scores, provenance; by "
    "sample_id.",
    pa.schema(
        [
            SAMPLE_ID,
            MEDIA_ID,
            column("clip_id", pa.string(), "media_id, start and end in milliseconds; null: no clip", nullable=True),
            BUCKET,
            MODALITY,
            column("split", pa.string(), "train or val, by a hash of the source: clips of one video stay together"),
            column("media_url", pa.string(), "absolute URL of the media"),
            column("page_url", pa.string(), "page that held the link; this and all to record_offset are of the final "
                   "pair of the smallest provenance, one about the media itself before those about copies",
                   nullable=True),
            column("platform", pa.string(), "player that shows it (youtube, vimeo ...); null for files", nullable=True),
            column("platform_id", pa.string(), "its id there", nullable=True),
            column("licence", pa.string(), "SPDX or Creative Commons id the page gives; null: none known",
                   nullable=True),
            column("upload_date", pa.string(), "declared date, ISO 8601", nullable=True),
            column("snapshot", pa.string(), "crawl the archive belongs to, or the input's name", nullable=True),
            column("archive", pa.string(), "file name of the archive or table", nullable=True),
            column("record_offset", pa.int64(), "byte offset of the record in the archive; row number in a table",
                   nullable=True),
            column("path", pa.string(), "file that holds the bytes, below the work folder"),
            column("offset", pa.int64(), "where they begin in it"),
            column("size_bytes", pa.int64(), "of them"),
            column("sha256", pa.string(), "SHA-256 of them, 64 hex digits"),
            column("fetched_sha256", pa.string(), "SHA-256 of the media as fetched", nullable=True),
            column("phash", pa.uint64(), "perceptual hash of the image, or of the clip's first key frame; 0: too flat "
                   "to be told apart; null: none", nullable=True),
            column("extension", pa.string(), "jpg, png, webp, mp4 ..."),
            column("width", pa.int32(), "pixels upright"),
            column("height", pa.int32(), "pixels upright"),
            column("original_width", pa.int32(), "pixels as fetched, upright; null: a video", nullable=True),
            column("original_height", pa.int32(), "pixels as fetched, upright; null: a video", nullable=True),
            column("fps", pa.float64(), "frames per second, on average; null: an image", nullable=True),
            column("duration_ms", pa.int64(), "of its pictures; null: an image", nullable=True),
            column("has_audio", pa.bool_(), "whether it has sound; null: an image", nullable=True),
            column("start_ms", pa.int64(), "where it begins in its video; null: an image", nullable=True),
            column("end_ms", pa.int64(), "where it ends in its video; null: an image", nullable=True),
            column("source_duration_ms", pa.int64(), "of the whole video; null: an image, or not known", nullable=True),
            column("text", pa.string(), "the text that stands for it"),
            column("text_lang", pa.string(), "its language", nullable=True),
            column("text_kind", pa.string(), "CAPTIONER.KIND of it: alt.alt, alt.figcaption, words.detailed ..."),
            column("text_rule", pa.string(), "what chose it: best_source, captions.order or captions.score"),
            column("text_similarity", pa.float32(), "cosine of its and the picture's embeddings; null: not embedded",
                   nullable=True),
            column("brief", pa.string(), "a model's brief caption, or the first sentence of its long one; null: none",
                   nullable=True),
            column("detailed", pa.string(), "a model's detailed caption; null: none", nullable=True),
            column("texts", listed(TEXT), "all texts of it, the chosen one first: see curation.schemas.manifest.TEXT"),
            column("vocabulary_lang", pa.string(), "language of the vocabulary that text was matched against; null: "
                   "none", nullable=True),
            column("entry_ids", INTS, "entries found in text, ascending, each once"),
            column("keep_probability", pa.float64(), "of captions.balance where the recipe has it, else the highest of "
                   "the final pairs about its media"),
            column("critical_threshold", pa.float64(), "smallest t >= 1 that keeps it: of captions.balance where the "
                   "recipe has it, else the smallest of the final pairs about its media"),
            column("scores", SCORE, "the clip's scores; null: none were made", nullable=True),
        ]
    ),
)  # fmt: skip

_SAMPLES = column("samples", pa.int64(), "samples of the manifest whose chosen text holds the entry")

MANIFEST_COUNTS = Dataset(
    "manifest_counts",
    1,
    "media bucket",
    "Partial sums: samples of the manifest per entry of their chosen text, one set per unit.",
    pa.schema([MODALITY, VOCABULARY_LANG, ENTRY_ID, _SAMPLES]),
)

ENTRY_PROBABILITIES = Dataset(
    "entry_probabilities",
    1,
    "all",
    "What balancing knows of every entry, so that a trainer can balance on the fly at any t.",
    pa.schema(
        [
            MODALITY,
            VOCABULARY_LANG,
            ENTRY_ID,
            column("entry", pa.string(), "the entry's text"),
            column("pool_texts", pa.int64(), "texts in the whole pool that hold it"),
            column("count", pa.float64(), "texts that balancing counts: of the pool, less what was lost since; with "
                   "captions.balance chosen captions"),
            column("threshold", pa.float64(), "t of its modality and language; null: nothing was balanced there",
                   nullable=True),
            column("probability", pa.float64(), "min(1, t / count); 1 without a threshold"),
            _SAMPLES,
        ]
    ),
)  # fmt: skip

SHARDS = Dataset(
    "shards",
    1,
    "shard",
    "Exported WebDataset tars: samples by salted hash, one split each.",
    pa.schema(
        [
            column("split", pa.string(), "train or val"),
            column("name", pa.string(), "file name: five digits and .tar, counted within the split from 0"),
            column("path", pa.string(), "of the tar, below the work folder"),
            column("samples", pa.int64(), "in it"),
            column("images", pa.int64(), "samples that are images"),
            column("videos", pa.int64(), "samples that are clips or whole videos"),
            column("size_bytes", pa.int64(), "of the tar"),
            column("sha256", pa.string(), "SHA-256 of the tar, 64 hex digits"),
        ]
    ),
)

SHARD_SAMPLES = Dataset(
    "shard_samples",
    1,
    "shard",
    "Which shard holds which sample, in the order of the shard.",
    pa.schema(
        [
            SAMPLE_ID,
            MEDIA_ID,
            column("split", pa.string(), "train or val"),
            column("path", pa.string(), "of the tar, below the work folder"),
            column("offset", pa.int64(), "where the sample's first header begins in it"),
        ]
    ),
)
