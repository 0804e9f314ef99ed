"""Datasets from archives to kept pairs."""

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

_TRACK = pa.struct(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("lang", pa.string()),
    ]
)
_FACTS = (
    PLATFORM,
    PLATFORM_ID,
    LICENCE,
    column("width", pa.int32(), "declared width in pixels", nullable=True),
    column("height", pa.int32(), "declared height in pixels", nullable=True),
    column("duration_ms", pa.int64(), "declared duration in milliseconds", nullable=True),
    UPLOAD_DATE,
    column("poster_url", pa.string(), "absolute URL of the preview image", nullable=True),
    column(
        "tracks",
        pa.list_(pa.field("item", _TRACK, nullable=False)),
        "timed texts beside the media: absolute url, kind (subtitles, captions, chapters ...), lang",
    ),
    column("start_ms", pa.int64(), "where the part begins that the text is about; null: all of it", nullable=True),
    column("end_ms", pa.int64(), "where that part ends; null: not said", nullable=True),
)
_PROVENANCE = (
    PAGE_URL,
    column(
        "robots",
        STRINGS,
        "consent signals of the page, lower case, sorted: robots directives (noindex, noai ...; with their agent as "
        "'bot: noindex'), and tdm-reservation",
    ),
    *RECORD,
    column("field_order", pa.int32(), "running number of the text within its record"),
)

CANDIDATES = Dataset(
    "candidates",
    2,
    "archive",
    "What the archives say: one row per (media URL, text) occurrence, raw, with provenance.",
    pa.schema(
        [
            MEDIA_ID,
            MODALITY,
            MEDIA_URL,
            column("text", pa.string(), "the text as found, white space trimmed, line breaks as spaces"),
            column(
                "text_source", pa.string(), "field that said it: alt, figcaption, og:title ..., or a table's column"
            ),
            *_FACTS,
            column("page_lang", pa.string(), "language the page declares (html lang)", nullable=True),
            column("canonical_url", pa.string(), "rel=canonical, where it is another URL", nullable=True),
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
            column("host", pa.string(), "host that the file was fetched from, lower case, with its port if unusual"),
            column("kind", pa.string(), "robots.txt or ai.txt"),
            column("agent", pa.string(), "user agent the rule is for, lower case; * is every other"),
            column("allow", pa.bool_(), "whether it allows or disallows"),
            column("pattern", pa.string(), "path with * and $; empty: nothing"),
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
            PAIR_ID,
            MEDIA_ID,
            BUCKET,
            MODALITY,
            MEDIA_URL,
            column("text", pa.string(), "text after the recipe's redactions"),
            column("text_sources", STRINGS, "every field that said this text about this media, sorted"),
            column("lang", pa.string(), "language by fastText lid.176; empty where the text has no letters"),
            column("lang_score", pa.float32(), "probability the identifier gave to lang"),
            *_FACTS,
            *_PROVENANCE,
            column("occurrences", pa.int64(), "candidates merged into this row; provenance is that of the smallest"),
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
            PAIR_ID,
            MEDIA_ID,
            MODALITY,
            VOCABULARY_LANG,
            column("entry_ids", INTS, "entries found in the text, ascending, each once"),
            column("source_rank", pa.int16(), "place of its best text source in match.text_sources, from 0"),
        ]
    ),
)

_COUNT = column("texts", pa.int64(), "number of pairs whose text holds the entry")

MATCH_COUNTS = Dataset(
    "match_counts",
    1,
    "media bucket",
    "Partial sums of entry_counts, one set per unit of match.",
    pa.schema([MODALITY, VOCABULARY_LANG, ENTRY_ID, _COUNT]),
)

ENTRY_COUNTS = Dataset(
    "entry_counts",
    1,
    "all",
    "Texts per (modality, vocabulary_lang, entry) in the whole pool; entries without a match have no row.",
    pa.schema(
        [
            MODALITY,
            VOCABULARY_LANG,
            ENTRY_ID,
            column("entry", pa.string(), "the entry's text"),
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
            PAIR_ID,
            MEDIA_ID,
            MODALITY,
            VOCABULARY_LANG,
            column(
                "picked", pa.bool_(), "the text chosen for its media; always true where the recipe keeps all texts"
            ),
            column(
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
            MODALITY,
            VOCABULARY_LANG,
            column("bin", pa.int32(), "bin of curation.balance.CriticalHistogram"),
            column("pairs", pa.int64(), "pairs whose critical_threshold falls into the bin"),
            column(
                "media", pa.int64(), "media whose smallest critical_threshold (in this language) falls into the bin"
            ),
        ]
    ),
)

KEPT_PAIRS = Dataset(
    "kept_pairs",
    3,
    "media bucket",
    "The balanced selection: the pairs that were kept, complete enough to fetch from.",
    pa.schema(
        [
            PAIR_ID,
            MEDIA_ID,
            BUCKET,
            MODALITY,
            MEDIA_URL,
            column("text", pa.string(), "the text that was matched"),
            column("text_sources", STRINGS, "every field that said this text about this media, sorted"),
            column("lang", pa.string(), "language by fastText lid.176"),
            VOCABULARY_LANG,
            column("entry_ids", INTS, "entries found in the text, ascending, each once"),
            column("keep_probability", pa.float64(), "1 - product over entry_ids of (1 - min(1, t / count))"),
            column("critical_threshold", pa.float64(), "smallest t >= 1 that keeps the pair"),
            *_FACTS,
            *_PROVENANCE[:5],
        ]
    ),
)

KEPT_COUNTS = Dataset(
    "kept_counts",
    1,
    "media bucket",
    "Partial sums: kept texts per (modality, vocabulary_lang, entry), one set per unit of balance.",
    pa.schema([MODALITY, VOCABULARY_LANG, ENTRY_ID, _COUNT]),
)

REJECTIONS = Dataset(
    "rejections",
    1,
    "as its stage",
    "One row per failed or refused thing, under rejections/stage=...",
    pa.schema(
        [
            column("stage", pa.string(), "stage that refused it"),
            column("unit", pa.string(), "unit it belongs to"),
            column("id", pa.string(), "media_id, where it is known", nullable=True),
            column("file", pa.string(), "input file, where there is one", nullable=True),
            column("offset", pa.int64(), "byte offset in the file; row number in a table", nullable=True),
            column("reason", pa.string(), "code of curation.errors.Reason"),
            column("detail", pa.string(), "what exactly was wrong, in words", nullable=True),
        ]
    ),
)
