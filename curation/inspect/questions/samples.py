"""Questions about single samples of the manifest: some to look at, those of a concept, where their pictures lie."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.errors import InputError
from curation.inspect.questions.asking import (
    Database,
    ask,
    bounded,
    checked_modality,
    checked_thresholds,
    has,
    one_of,
    require,
)

ORDERS = ("random", "head", "tail")

_SHOWN = """sample_id, media_id, clip_id, modality, split, text, text_lang, text_kind, len(texts) AS texts,
            vocabulary_lang, keep_probability, critical_threshold, media_url, page_url, licence, path, "offset",
            size_bytes, extension, width, height, duration_ms"""
_AS_DRAWN = "md5(concat($seed, '/', sample_id)), sample_id"


def samples(
    db: Database,
    number: int = 12,
    order: str = "random",
    *,
    modality: str | None = None,
    lang: str | None = None,
    seed: int = 0,
) -> pa.Table:
    """Some samples of the manifest, with what they say and where their bytes lie: one row each.

    order: random (by a salted hash, so always the same for a seed); tail: those whose rarest entry is in the fewest
    texts of the pool first; head: those whose rarest entry is in the most. rarest_texts is that number, null where the
    text holds no entry or the folder has no entry_probabilities, without which there is no head and no tail.
    modality, lang (of the text): only such samples. Times in ms, sizes in bytes.
    """
    require(db, "manifest")
    if one_of("order", order, ORDERS) != "random":
        require(db, "entry_probabilities")
    by = {"random": "", "tail": "rarest_texts NULLS LAST, ", "head": "rarest_texts DESC NULLS LAST, "}[order]
    rarest = _RAREST if has(db, "entry_probabilities") else _NO_RAREST
    where, told = _where(modality, lang)
    return _ask_named(
        db,
        f"""
        SELECT {_SHOWN}, rarest_texts FROM manifest LEFT JOIN ({rarest}) USING (sample_id)
        WHERE {where} ORDER BY {by}{_AS_DRAWN} LIMIT $number""",
        {**told, "number": bounded("number", number), "seed": str(seed)},
    )


_RAREST = """
    SELECT sample_id, min(pool_texts)::BIGINT AS rarest_texts
    FROM (SELECT sample_id, modality, vocabulary_lang, unnest(entry_ids) AS entry_id FROM manifest)
    JOIN entry_probabilities USING (modality, vocabulary_lang, entry_id) GROUP BY sample_id"""

_NO_RAREST = "SELECT NULL::VARCHAR AS sample_id, NULL::BIGINT AS rarest_texts WHERE false"


def samples_of(
    db: Database, concept: str, number: int = 12, *, lang: str | None = None, modality: str | None = None, seed: int = 0
) -> pa.Table:
    """Samples whose chosen text holds an entry, as `samples` without rarest_texts; lang: of the vocabulary.

    found: how many there are in all, the same in every row. Raises InputError where no vocabulary has the entry with a
    text in the pool.
    """
    require(db, "manifest", "entry_probabilities")
    entries = db.execute(
        "SELECT DISTINCT vocabulary_lang, entry_id FROM entry_probabilities "
        "WHERE entry = $1 AND ($2 IS NULL OR vocabulary_lang = $2)",
        [concept, lang],
    ).fetchall()
    if not entries:
        raise InputError(
            f"no text of the pool holds the entry {concept!r}{f' of {lang}' if lang else ''}: entries are matched as "
            "they are written; `curation explain` proposes near ones"
        )
    where, told = _where(modality, None)
    return _ask_named(
        db,
        f"""
        SELECT {_SHOWN}, count(*) OVER () AS found FROM manifest
        SEMI JOIN (SELECT unnest($langs) AS vocabulary_lang, unnest($ids) AS entry_id) AS wanted
            ON manifest.vocabulary_lang = wanted.vocabulary_lang AND list_contains(entry_ids, wanted.entry_id)
        WHERE {where} ORDER BY {_AS_DRAWN} LIMIT $number""",
        {**told, "langs": [name for name, _ in entries], "ids": [entry_id for _, entry_id in entries],
         "number": bounded("number", number), "seed": str(seed)},
    )  # fmt: skip


def clips_with_key_frames(db: Database, number: int = 6, *, seed: int = 0) -> pa.Table:
    """Some clips of the manifest and where their key frames lie: as `samples` in random order, with key_frames.

    key_frames: structs of frame and time_ms (in the clip), phash, offset and size_bytes of a JPEG in the shard `path`.
    """
    require(db, "manifest", "clips")
    return _ask_named(
        db,
        f"""
        SELECT {_SHOWN}, start_ms, end_ms, key_frames
        FROM manifest JOIN (SELECT clip_id, key_frames FROM clips WHERE len(key_frames) > 0) USING (clip_id)
        ORDER BY {_AS_DRAWN} LIMIT $number""",
        {"number": bounded("number", number), "seed": str(seed)},
    )


def samples_at(db: Database, ts: list[float], lang: str | None = None) -> pa.Table:
    """Samples of the manifest that a trainer keeps at other thresholds: those with critical_threshold <= t.

    modality, lang (of the vocabulary), t, samples, of (all of them). A t above the run's own keeps all there are. lang
    None: every language.
    """
    require(db, "manifest")
    return ask(
        db,
        """
        WITH steps AS (SELECT unnest($1::DOUBLE[]) AS t)
        SELECT modality, vocabulary_lang AS lang, t, count(*) FILTER (critical_threshold <= t) AS samples,
               count(*) AS of
        FROM manifest, steps WHERE $2 IS NULL OR vocabulary_lang = $2
        GROUP BY ALL ORDER BY modality, lang NULLS LAST, t""",
        [checked_thresholds(ts), lang],
    )


def _ask_named(db: Database, sql: str, parameters: dict[str, Any]) -> pa.Table:
    """`ask` with named parameters, those that the SQL does not name left out."""
    return db.sql(sql, params={k: v for k, v in parameters.items() if f"${k}" in sql}).to_arrow_table()


def _where(modality: str | None, lang: str | None) -> tuple[str, dict[str, Any]]:
    conditions, told = ["true"], {}
    if modality is not None:
        conditions.append("modality = $modality")
        told["modality"] = checked_modality(modality)
    if lang is not None:
        conditions.append("text_lang = $lang")
        told["lang"] = lang
    return " AND ".join(conditions), told
