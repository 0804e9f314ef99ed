"""Every dataset's Arrow schema, one description per column: the contract between stages and with users.

`curation describe DATASET` and docs/schemas.md are made from this module. Sizes are in bytes, offsets count from 0.
Imports nothing of ours.
"""

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


def _column(name: str, kind: pa.DataType, doc: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


_STRINGS = pa.list_(pa.field("item", pa.string(), nullable=False))
_INTS = pa.list_(pa.field("item", pa.int32(), nullable=False))

_MEDIA_ID = _column("media_id", pa.string(), "first 24 hex digits of SHA-224 of media_url (variant v2: without blanks)")
_PAIR_ID = _column("pair_id", pa.string(), "128-bit hash of (media_id, text), 32 hex digits")
_MODALITY = _column("modality", pa.string(), "image, video or audio")
_MEDIA_URL = _column("media_url", pa.string(), "absolute URL of the media")
_VOCABULARY_LANG = _column("vocabulary_lang", pa.string(), "language of the vocabulary that was matched against")
_ENTRY_ID = _column("entry_id", pa.int32(), "position of the entry in its vocabulary")
_BUCKET = _column("media_bucket", pa.int32(), "first 8 hex digits of media_id modulo the recipe's media_buckets")
NEARLY_ALL_DIFFER = frozenset({"pair_id", "media_id", "media_url", "text"})
"""Columns whose values a Parquet dictionary makes slower and larger."""
_TRACK = pa.struct(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("lang", pa.string()),
    ]
)
_FACTS = (
    _column("platform", pa.string(), "player that shows it (youtube, vimeo ...); null for files", nullable=True),
    _column("platform_id", pa.string(), "its id there; media_url is then the canonical URL", nullable=True),
    _column("licence", pa.string(), "SPDX or Creative Commons id the page gives; null: none known", nullable=True),
    _column("width", pa.int32(), "declared width in pixels", nullable=True),
    _column("height", pa.int32(), "declared height in pixels", nullable=True),
    _column("duration_ms", pa.int64(), "declared duration in milliseconds", nullable=True),
    _column("upload_date", pa.string(), "declared date, ISO 8601", nullable=True),
    _column("poster_url", pa.string(), "absolute URL of the preview image", nullable=True),
    _column(
        "tracks",
        pa.list_(pa.field("item", _TRACK, nullable=False)),
        "timed texts beside the media: absolute url, kind (subtitles, captions, chapters ...), lang",
    ),
    _column("start_ms", pa.int64(), "where the part begins that the text is about; null: all of it", nullable=True),
    _column("end_ms", pa.int64(), "where that part ends; null: not said", nullable=True),
)
_PROVENANCE = (
    _column("page_url", pa.string(), "page that held the link; null for tables without one", nullable=True),
    _column(
        "robots",
        _STRINGS,
        "consent signals of the page, lower case, sorted: robots directives (noindex, noai ...; with their agent as "
        "'bot: noindex'), and tdm-reservation",
    ),
    _column("snapshot", pa.string(), "crawl the archive belongs to (CC-MAIN-2024-22), or the input's name"),
    _column("archive", pa.string(), "file name of the archive or table"),
    _column("record_offset", pa.int64(), "byte offset of the record in the archive; row number in a table"),
    _column("field_order", pa.int32(), "running number of the text within its record"),
)

CANDIDATES = Dataset(
    "candidates",
    2,
    "archive",
    "What the archives say: one row per (media URL, text) occurrence, raw, with provenance.",
    pa.schema(
        [
            _MEDIA_ID,
            _MODALITY,
            _MEDIA_URL,
            _column("text", pa.string(), "the text as found, white space trimmed, line breaks as spaces"),
            _column(
                "text_source", pa.string(), "field that said it: alt, figcaption, og:title ..., or a table's column"
            ),
            *_FACTS,
            _column("page_lang", pa.string(), "language the page declares (html lang)", nullable=True),
            _column("canonical_url", pa.string(), "rel=canonical, where it is another URL", nullable=True),
            *_PROVENANCE,
        ]
    ),
)

SITE_RULES = Dataset(
    "site_rules",
    1,
    "archive",
    "Rules of the robots.txt and ai.txt files that the archives hold, in the order of each file.",
    pa.schema(
        [
            _column("host", pa.string(), "host that the file was fetched from, lower case, with its port if unusual"),
            _column("kind", pa.string(), "robots.txt or ai.txt"),
            _column("agent", pa.string(), "user agent the rule is for, lower case; * is every other"),
            _column("allow", pa.bool_(), "whether it allows or disallows"),
            _column("pattern", pa.string(), "path with * and $; empty: nothing"),
            *_PROVENANCE[2:5],
        ]
    ),
)

PAIRS = Dataset(
    "pairs",
    2,
    "media bucket",
    "Distinct (media, text) with language, after the text rules; ordered by media_id, then pair_id.",
    pa.schema(
        [
            _PAIR_ID,
            _MEDIA_ID,
            _BUCKET,
            _MODALITY,
            _MEDIA_URL,
            _column("text", pa.string(), "text after the recipe's redactions"),
            _column("text_sources", _STRINGS, "every field that said this text about this media, sorted"),
            _column("lang", pa.string(), "language by fastText lid.176; empty where the text has no letters"),
            _column("lang_score", pa.float32(), "probability the identifier gave to lang"),
            *_FACTS,
            *_PROVENANCE,
            _column("occurrences", pa.int64(), "candidates merged into this row; provenance is that of the smallest"),
        ]
    ),
)

MATCHES = Dataset(
    "matches",
    2,
    "media bucket",
    "Pairs whose text holds at least one entry; same order as pairs.",
    pa.schema(
        [
            _PAIR_ID,
            _MEDIA_ID,
            _MODALITY,
            _VOCABULARY_LANG,
            _column("entry_ids", _INTS, "entries found in the text, ascending, each once"),
            _column("source_rank", pa.int16(), "place of its best text source in match.text_sources, from 0"),
        ]
    ),
)

_COUNT = _column("texts", pa.int64(), "number of pairs whose text holds the entry")

MATCH_COUNTS = Dataset(
    "match_counts",
    1,
    "media bucket",
    "Partial sums of entry_counts, one set per unit of match.",
    pa.schema([_MODALITY, _VOCABULARY_LANG, _ENTRY_ID, _COUNT]),
)

ENTRY_COUNTS = Dataset(
    "entry_counts",
    1,
    "all",
    "Texts per (modality, vocabulary_lang, entry) in the whole pool; entries without a match have no row.",
    pa.schema(
        [
            _MODALITY,
            _VOCABULARY_LANG,
            _ENTRY_ID,
            _column("entry", pa.string(), "the entry's text"),
            _COUNT,
        ]
    ),
)

DRAWS = Dataset(
    "draws",
    1,
    "media bucket",
    "One row per match: what decides at any threshold whether it is kept. Kept at t is critical_threshold <= t.",
    pa.schema(
        [
            _PAIR_ID,
            _MEDIA_ID,
            _MODALITY,
            _VOCABULARY_LANG,
            _column(
                "picked", pa.bool_(), "the text chosen for its media; always true where the recipe keeps all texts"
            ),
            _column(
                "critical_threshold", pa.float64(), "smallest t >= 1 that keeps the pair; infinite where not picked"
            ),
        ]
    ),
)

DRAW_HISTOGRAMS = Dataset(
    "draw_histograms",
    1,
    "media bucket",
    "Partial histograms of critical_threshold on fixed logarithmic bins.",
    pa.schema(
        [
            _MODALITY,
            _VOCABULARY_LANG,
            _column("bin", pa.int32(), "bin of curation.balance.CriticalHistogram"),
            _column("pairs", pa.int64(), "pairs whose critical_threshold falls into the bin"),
            _column(
                "media", pa.int64(), "media whose smallest critical_threshold (in this language) falls into the bin"
            ),
        ]
    ),
)

KEPT_PAIRS = Dataset(
    "kept_pairs",
    2,
    "media bucket",
    "The balanced selection: the pairs that were kept, complete enough to fetch from.",
    pa.schema(
        [
            _PAIR_ID,
            _MEDIA_ID,
            _BUCKET,
            _MODALITY,
            _MEDIA_URL,
            _column("text", pa.string(), "the text that was matched"),
            _column("text_sources", _STRINGS, "every field that said this text about this media, sorted"),
            _column("lang", pa.string(), "language by fastText lid.176"),
            _VOCABULARY_LANG,
            _column("entry_ids", _INTS, "entries found in the text, ascending, each once"),
            _column("keep_probability", pa.float64(), "1 - product over entry_ids of (1 - min(1, t / count))"),
            _column("critical_threshold", pa.float64(), "smallest t >= 1 that keeps the pair"),
            *_FACTS,
            *_PROVENANCE[:2],
        ]
    ),
)

KEPT_COUNTS = Dataset(
    "kept_counts",
    1,
    "media bucket",
    "Partial sums: kept texts per (modality, vocabulary_lang, entry), one set per unit of balance.",
    pa.schema([_MODALITY, _VOCABULARY_LANG, _ENTRY_ID, _COUNT]),
)

REJECTIONS = Dataset(
    "rejections",
    1,
    "as its stage",
    "One row per failed or refused thing, under rejections/stage=...",
    pa.schema(
        [
            _column("stage", pa.string(), "stage that refused it"),
            _column("unit", pa.string(), "unit it belongs to"),
            _column("id", pa.string(), "media_id, where it is known", nullable=True),
            _column("file", pa.string(), "input file, where there is one", nullable=True),
            _column("offset", pa.int64(), "byte offset in the file; row number in a table", nullable=True),
            _column("reason", pa.string(), "code of curation.errors.Reason"),
            _column("detail", pa.string(), "what exactly was wrong, in words", nullable=True),
        ]
    ),
)

_KIND_OF_COPY = _column("kind", pa.string(), "exact (same sha256) or near (perceptual hashes within max_distance)")
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
            _MEDIA_ID,
            _BUCKET,
            _MODALITY,
            _MEDIA_URL,
            _column("status", pa.string(), "ok or failed"),
            _column(
                "error",
                pa.string(),
                "why it failed: dns, connect, tls, timeout, http_4xx ... (curation.media.outcomes.ErrorClass), "
                "not_an_image, filtered_size ... (curation.media.image_facts.ImageRefusal), or a refusal; null: ok",
                nullable=True,
            ),
            _column("detail", pa.string(), "what exactly went wrong, in words", nullable=True),
            _column("transient", pa.bool_(), "whether a later run asks again (fetch.retry_days)"),
            _column("attempts", pa.int32(), "times it was asked for, over all runs; 0: never"),
            _column("http_status", pa.int32(), "of the last answer; null: there was none", nullable=True),
            _column("final_url", pa.string(), "URL after redirects, where it is another", nullable=True),
            _column("fetched_bytes", pa.int64(), "size of the answer's body", nullable=True),
            _column("sha256", pa.string(), "SHA-256 of the fetched bytes, 64 hex digits", nullable=True),
            _column("mime", pa.string(), "by content, of the fetched bytes", nullable=True),
            _column("last_modified", pa.string(), "the header of that name, as sent", nullable=True),
            _column("original_width", pa.int32(), "pixels as fetched, upright", nullable=True),
            _column("original_height", pa.int32(), "pixels as fetched, upright", nullable=True),
            _column("orientation", pa.int32(), "EXIF orientation as fetched, 1 to 8", nullable=True),
            _column("frames", pa.int32(), "pictures in the file, of which the first is taken", nullable=True),
            _column("mode", pa.string(), "as fetched: L, LA, RGB, RGBA, P, PA or CMYK", nullable=True),
            _column("bit_depth", pa.int32(), "bits per sample as fetched", nullable=True),
            _column("exif", pa.string(), "EXIF as img2dataset's JSON", nullable=True),
            _column("phash", pa.uint64(), "perceptual hash; 0: too flat to be told apart", nullable=True),
            _column("findings", pa.list_(pa.field("item", _FINDING, nullable=False)),
                    "what hooks found: label, score and box in shares of width and height (null: the whole picture)"),
            _column("path", pa.string(), "tar shard that holds the bytes, below the work folder", nullable=True),
            _column("offset", pa.int64(), "where the stored bytes begin in it", nullable=True),
            _column("size_bytes", pa.int64(), "of the stored bytes", nullable=True),
            _column("stored_sha256", pa.string(), "SHA-256 of the stored bytes", nullable=True),
            _column("stored_mime", pa.string(), "of the stored bytes", nullable=True),
            _column("width", pa.int32(), "pixels as stored, upright", nullable=True),
            _column("height", pa.int32(), "pixels as stored, upright", nullable=True),
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
            _column("path", pa.string(), "below the work folder; the name follows from the content"),
            _column("samples", pa.int32(), "media in it"),
            _column("size_bytes", pa.int64(), "of the tar"),
            _column("sha256", pa.string(), "SHA-256 of the tar, 64 hex digits"),
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
            _MEDIA_ID,
            _column("group_id", pa.string(), "smallest media_id of the group"),
            _KIND_OF_COPY,
            _column("pixels", pa.int64(), "original width times height"),
            _column("fetched_bytes", pa.int64(), "size as fetched"),
            _column("pair_id", pa.string(), "its best pair: by text source, then by critical threshold, then by id"),
            _column("source_rank", pa.int32(), "place of that pair's text source, 0 is best"),
            _column("critical_threshold", pa.float64(), "of that pair"),
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
            _MEDIA_ID,
            _column("cluster_id", pa.string(), "smallest media_id of the cluster"),
            _KIND_OF_COPY,
            _column("kept_media_id", pa.string(), "the member whose bytes stand for all: the largest copy"),
            _column("kept_pair_id", pa.string(), "the pair whose text stands for all: the best of their best"),
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
            _PAIR_ID,
            _MEDIA_ID,
            _column("kept_media_id", pa.string(), "media whose bytes belong to it: media_id, or its largest copy"),
            _MODALITY,
            _VOCABULARY_LANG,
            _column("entry_ids", _INTS, "entries found in the text, ascending, each once"),
            _column("keep_before", pa.float64(), "keep_probability of kept_pairs"),
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
            _MODALITY,
            _VOCABULARY_LANG,
            _ENTRY_ID,
            _column("texts", pa.int64(), "survivors whose text holds the entry"),
            _column("weight", pa.float64(), "sum of 1 / keep_before over survivors"),
            _column("kept_weight", pa.float64(), "the same over all kept pairs of what is fetched, before losses"),
        ]
    ),
)

FINAL_PAIRS = Dataset(
    "final_pairs",
    1,
    "media bucket",
    "The selection after losses: pairs with an obtained media, balanced anew; what a manifest is made of.",
    pa.schema(
        [
            _PAIR_ID,
            _column("media_id", pa.string(), "media whose bytes belong to the pair"),
            _column("text_media_id", pa.string(), "media that the text was said about: media_id, or a copy of it"),
            _MODALITY,
            _column("text", pa.string(), "the text that was matched"),
            _column("lang", pa.string(), "language by fastText lid.176"),
            _VOCABULARY_LANG,
            _column("entry_ids", _INTS, "entries found in the text, ascending, each once"),
            _column("keep_before", pa.float64(), "probability with which it was kept before the fetch"),
            _column("keep_probability", pa.float64(), "after re-balancing; at most keep_before"),
            _column("critical_threshold", pa.float64(), "smallest t >= 1 that keeps it by the counts after losses"),
        ]
    ),
)

DATASETS = {
    dataset.name: dataset
    for dataset in (
        CANDIDATES,
        SITE_RULES,
        PAIRS,
        MATCHES,
        MATCH_COUNTS,
        ENTRY_COUNTS,
        DRAWS,
        DRAW_HISTOGRAMS,
        KEPT_PAIRS,
        KEPT_COUNTS,
        REJECTIONS,
        MEDIA,
        MEDIA_SHARDS,
        DUPLICATE_GROUPS,
        DUPLICATES,
        SURVIVORS,
        SURVIVOR_COUNTS,
        FINAL_PAIRS,
    )
}

_TERM = (
    _column("kind", pa.string(), "unigram, bigram (two words with a space between) or title"),
    _column("term", pa.string(), "the words, or the title, as they are written"),
)

SOURCE_FILES = Dataset(
    "source_files",
    1,
    "file",
    "The files that a vocabulary is built from.",
    pa.schema(
        [
            _column("location", pa.string(), "path or URL"),
            _column("size_bytes", pa.int64(), "size of the file"),
            _column("sha256", pa.string(), "SHA-256 of its bytes, 64 hex digits"),
        ]
    ),
)

TERM_COUNTS = Dataset(
    "term_counts",
    1,
    "part of a dump, or file of page views",
    "Partial sums: occurrences of words and pairs of words in Wikipedia, and views of titles.",
    pa.schema([*_TERM, _column("count", pa.int64(), "occurrences or views in the unit; a term may have several rows")]),
)

TERMS = Dataset(
    "terms",
    1,
    "hash bucket of the term",
    "The sums of term_counts: one row per (kind, term), ordered by both.",
    pa.schema([*_TERM, _column("count", pa.int64(), "occurrences or views in all")]),
)

VOCABULARY = Dataset(
    "vocabulary",
    1,
    "language",
    "The entries of one language, ordered by entry_id.",
    pa.schema(
        [
            _ENTRY_ID,
            _column("entry", pa.string(), "what is looked for in texts"),
            _column("lang", pa.string(), "language of the vocabulary"),
            _column("source", pa.string(), "the first source of the recipe that named it"),
            _column("source_score", pa.float64(), "its score there: count, PMI, views; null: none", nullable=True),
            _column("sources", _STRINGS, "all sources that name it, in the recipe's order"),
        ]
    ),
)

VOCABULARY_DATASETS = {dataset.name: dataset for dataset in (SOURCE_FILES, TERM_COUNTS, TERMS, VOCABULARY)}
