"""Datasets of samples and their words: what a trainer reads is made of these."""

from __future__ import annotations

import pyarrow as pa

from curation.schemas.columns import (
                BUCKET,
                ENTRY_ID,
                INTS,
                MEDIA_ID,
                MODALITY,
                VOCABULARY_LANG,
                Dataset,
                column,
)
from curation.schemas.media import FINAL_PAIRS
from curation.schemas.videos import listed

SAMPLE_ID = column("sample_id", pa.string(), "media_id of an image or a whole video, clip_id of a clip")
_CAPTIONER = column("captioner", pa.string(), "its name in the recipe's captions.captioners")
_KIND = column("kind", pa.string(), "alt, title, subtitles, brief, detailed, short ...; empty: there is no caption")
_ORDINAL = column("ordinal", pa.int32(), "place among the sample's captions of one captioner and kind, from 0")
_START = column("start_ms", pa.int64(), "begin of what it is about, on the sample's own clock; null: all of it",
                nullable=True)  # fmt: skip
_END = column("end_ms", pa.int64(), "its end; null: all of it", nullable=True)
_SHA256 = column("stored_sha256", pa.string(), "SHA-256 of the sample's stored bytes")
_ENTRY_IDS = column("entry_ids", INTS, "entries found in the text, ascending, each once")
_TEXT_MEDIA = column("text_media_id", pa.string(), "media that a final pair's text was said about; null: it is none's",
                     nullable=True)  # fmt: skip
_SIMILARITY = column("similarity", pa.float32(), "cosine of the caption's and the picture's embeddings", nullable=True)



def _spent(name: str, doc: str) -> pa.Field:
    return column(name, pa.int32(), f"{doc}; on the first of them, else null", nullable=True)


SAMPLES = Dataset(
    "samples",
    1,
    "media bucket",
    "What is trained on: one row per image, clip, or whole video of the final pairs, and where its bytes lie; by "
    "sample_id.",
    pa.schema(
        [
            SAMPLE_ID,
            MEDIA_ID,
            BUCKET,
            MODALITY,
            column("path", pa.string(), "file that holds the bytes, below the work folder"),
            column("offset", pa.int64(), "where they begin in it"),
            column("size_bytes", pa.int64(), "of them"),
            _SHA256,
            column("extension", pa.string(), "jpg, png, webp, mp4 ..."),
            column("width", pa.int32(), "pixels upright"),
            column("height", pa.int32(), "pixels upright"),
            column("start_ms", pa.int64(), "where it begins in its video; null: an image", nullable=True),
            column("end_ms", pa.int64(), "where it ends in its video; null: an image", nullable=True),
            column("duration_ms", pa.int64(), "of its pictures; null: an image", nullable=True),
            column("fps", pa.float64(), "frames per second, on average; null: an image", nullable=True),
            column("has_audio", pa.bool_(), "whether it has sound; null: an image", nullable=True),
            column("mark", pa.string(), "chapter or subtitles that gave the clip its bounds", nullable=True),
        ]
    ),
)  # fmt: skip

SAMPLE_TEXTS = Dataset(
    "sample_texts",
    2,
    "media bucket",
    "The final pairs, each in the bucket of the media whose bytes belong to it; by media_id and pair_id.",
    FINAL_PAIRS.schema,
)

CAPTIONS = Dataset(
    "captions",
    1,
    "media bucket",
    "One row per sample, captioner, kind and ordinal: a text, or why there is none; by sample_id.",
    pa.schema(
        [
            SAMPLE_ID,
            MEDIA_ID,
            BUCKET,
            MODALITY,
            _CAPTIONER,
            _KIND,
            _ORDINAL,
            column("status", pa.string(), "ok, silent (a model was asked, and has nothing to say) or failed"),
            column("error", pa.string(), "curation.captions.faults.Fault; null: it did not fail", nullable=True),
            column("detail", pa.string(), "what exactly went wrong, in words", nullable=True),
            column("text", pa.string(), "the caption; null: there is none", nullable=True),
            column("lang", pa.string(), "language by fastText lid.176, or as its source says it", nullable=True),
            _START,
            _END,
            column("score", pa.float32(), "the captioner's own; HowToCaption's similarity after alignment",
                   nullable=True),
            column("pair_id", pa.string(), "128-bit hash of (sample_id, text); of a final pair's text that pair's",
                   nullable=True),
            _TEXT_MEDIA,
            column("model", pa.string(), "name of the model; null: none", nullable=True),
            _spent("requests", "answers that the captioner's captions of the sample were made of"),
            _spent("prompt_tokens", "of these requests, as far as they were counted"),
            _spent("answer_tokens", "of these answers, as far as they were counted"),
            column("made_from", pa.string(), "digest of what it depends on: captioner, model, prompts, the sample's "
                   "bytes and words"),
            _SHA256,
        ]
    ),
)  # fmt: skip

CAPTION_SCORES = Dataset(
    "caption_scores",
    1,
    "media bucket",
    "One row per caption: how near it is to its picture; ALIP's three similarities are here and in the rows of alt.",
    pa.schema(
        [
            SAMPLE_ID,
            MEDIA_ID,
            _CAPTIONER,
            _KIND,
            _ORDINAL,
            _START,
            _END,
            column("pair_id", pa.string(), "of the caption"),
            _TEXT_MEDIA,
            column("error", pa.string(), "why there is no similarity; null: there is one", nullable=True),
            _SIMILARITY,
            column("text_similarity", pa.float32(), "cosine with the embedding of the sample's first alt text; null: "
                   "it has none", nullable=True),
        ]
    ),
)  # fmt: skip

EMBEDDINGS = Dataset(
    "embeddings",
    1,
    "media bucket",
    "Vectors of length one of pictures (mean over frames) and captions, as captions.similarity asks for them.",
    pa.schema(
        [
            SAMPLE_ID,
            MEDIA_ID,
            column("of", pa.string(), "picture, or text"),
            column("pair_id", pa.string(), "of the caption; null: picture", nullable=True),
            _TEXT_MEDIA,
            _START,
            _END,
            column("model", pa.string(), "as the recipe names it"),
            _SHA256,
            column("vector", listed(pa.float32()), "its numbers"),
        ]
    ),
)

CHOSEN_CAPTIONS = Dataset(
    "chosen_captions",
    1,
    "media bucket",
    "One row per sample that has a caption: the one that stands for it, and the entries in it; by sample_id.",
    pa.schema(
        [
            column("pair_id", pa.string(), "of the caption"),
            _TEXT_MEDIA,
            SAMPLE_ID,
            MEDIA_ID,
            BUCKET,
            MODALITY,
            _CAPTIONER,
            _KIND,
            _ORDINAL,
            column("text", pa.string(), "the caption"),
            column("lang", pa.string(), "its language"),
            _START,
            _END,
            _SIMILARITY,
            column("candidates", pa.int32(), "captions that it was chosen from"),
            column("vocabulary_lang", pa.string(), "language of the vocabulary that was matched against; null: none",
                   nullable=True),
            _ENTRY_IDS,
        ]
    ),
)  # fmt: skip

_TEXTS = column("texts", pa.int64(), "captions that hold the entry")

CAPTION_COUNTS = Dataset(
    "caption_counts",
    1,
    "media bucket",
    "Partial sums: captions per captioner, kind and entry, one set per unit.",
    pa.schema([_CAPTIONER, _KIND, MODALITY, VOCABULARY_LANG, ENTRY_ID, _TEXTS]),
)

CHOSEN_COUNTS = Dataset(
    "chosen_counts",
    1,
    "media bucket",
    "Partial sums: chosen captions per entry, one set per unit.",
    pa.schema([MODALITY, VOCABULARY_LANG, ENTRY_ID, _TEXTS]),
)

BALANCED_CAPTIONS = Dataset(
    "balanced_captions",
    1,
    "media bucket",
    "The samples that stay when the chosen captions are balanced by their own counts; by sample_id.",
    pa.schema(
        [
            column("pair_id", pa.string(), "of the chosen caption"),
            _TEXT_MEDIA,
            SAMPLE_ID,
            MEDIA_ID,
            MODALITY,
            VOCABULARY_LANG,
            _ENTRY_IDS,
            column("keep_probability", pa.float64(), "1 - product over entry_ids of (1 - min(1, t / count))"),
            column("critical_threshold", pa.float64(), "smallest t >= 1 that keeps it"),
        ]
    ),
)
