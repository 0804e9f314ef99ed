"""Is the manifest sound: nulls, repetitions, what lies in both splits."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from curation.inspect.questions.asking import Database, ask, bounded, one_of, require
from curation.schemas import MANIFEST

_REQUIRED = tuple(field.name for field in MANIFEST.schema if not field.nullable)
_HASHED = {"media_id": "media_id", "fetched_sha256": "fetched_sha256", "phash": "nullif(phash, 0)", "text": "text"}
"""By what a sample may be in both splits, and the SQL of it; a perceptual hash of 0 says nothing."""


@dataclass(frozen=True)
class _Check:
    """A SELECT of the sample_ids that fail, and what it means."""

    name: str
    kind: str
    about: str
    failing: str


def _where(condition: str) -> str:
    return f"SELECT sample_id FROM manifest WHERE {condition}"


def _repeated(columns: str) -> str:
    """Samples that share a value with an earlier one, in the order of sample_id."""
    return (f"SELECT sample_id FROM manifest WHERE ({columns}) IS NOT NULL "
            f"QUALIFY row_number() OVER (PARTITION BY {columns} ORDER BY sample_id) > 1")  # fmt: skip


def _leaking(value: str) -> str:
    """Samples of val whose value train has, too."""
    return (f"SELECT sample_id FROM manifest WHERE split = 'val' "
            f"AND {value} IN (SELECT {value} FROM manifest WHERE split = 'train' AND {value} IS NOT NULL)")  # fmt: skip


_CHECKS = (
    _Check("null", "defect", "a column without a value that must have one",
           _where(" OR ".join(f'"{name}" IS NULL' for name in _REQUIRED))),
    _Check("repeated_sample_id", "defect", "a sample_id that an earlier row has", _repeated("sample_id")),
    _Check("split", "defect", "a split other than train and val", _where("split NOT IN ('train', 'val')")),
    _Check("empty_text", "defect", "a text of nothing but white space", _where("trim(text) = ''")),
    _Check("text_not_listed", "defect", "a chosen text that is not the first of texts",
           _where("texts[1].text IS DISTINCT FROM text")),
    _Check("no_bytes", "defect", "bytes that are nowhere: an offset below 0, a size of 0, or no path",
           _where("\"offset\" < 0 OR size_bytes <= 0 OR path = ''")),
    _Check("same_place", "defect", "bytes at the place of an earlier sample's", _repeated('path, "offset"')),
    _Check("no_extent", "defect", "a width, height or length of 0, or an end before the begin",
           _where("width <= 0 OR height <= 0 OR duration_ms <= 0 OR end_ms <= start_ms")),
    _Check("probability", "defect", "a keep_probability outside of (0, 1], or a critical_threshold below 1 or infinite",
           _where("NOT (keep_probability > 0 AND keep_probability <= 1 AND critical_threshold >= 1 "
                  "AND isfinite(critical_threshold))")),
    _Check("leak_media", "leak", "samples of val whose image or video train has, too", _leaking("media_id")),
    _Check("leak_fetched", "leak", "samples of val whose bytes, as they were fetched, train has, too",
           _leaking("fetched_sha256")),
    _Check("leak_phash", "leak", "samples of val whose perceptual hash train has, too",
           _leaking(_HASHED["phash"])),
    _Check("leak_text", "notice", "samples of val whose text train has, too", _leaking("text")),
    _Check("repeated_sha256", "notice", "stored bytes that an earlier sample has", _repeated("sha256")),
    _Check("repeated_text", "notice", "a text that an earlier sample has", _repeated("text")),
    _Check("no_entry", "notice", "a chosen text that holds no entry", _where("len(entry_ids) = 0")),
    _Check("no_licence", "notice", "no licence known", _where("licence IS NULL")),
)  # fmt: skip


def audit(db: Database) -> pa.Table:
    """What may be wrong with the manifest, one row per check.

    check, kind (defect: must not be; leak: training sees what it is tested on; notice: to be known), about, found
    (samples that fail), share (of all), example (the smallest sample_id of them; null: none).
    """
    require(db, "manifest")
    each = " UNION ALL ".join(
        f"SELECT {place} AS place, count(*) AS found, min(sample_id) AS example FROM ({check.failing})"
        for place, check in enumerate(_CHECKS)
    )
    told = ask(
        db,
        f"""
        SELECT found, CASE WHEN samples > 0 THEN found / samples ELSE 0 END AS share, example
        FROM ({each}), (SELECT count(*) AS samples FROM manifest) ORDER BY place""",
    )
    known = {name: [getattr(check, column) for check in _CHECKS]
             for name, column in (("check", "name"), ("kind", "kind"), ("about", "about"))}  # fmt: skip
    return pa.table({**known, **{name: told[name] for name in told.schema.names}})


def nulls(db: Database) -> pa.Table:
    """How complete the manifest is: column, nulls, share (of all samples), may_be_null; in the manifest's order."""
    require(db, "manifest")
    counts = ", ".join(f'count(*) - count("{name}") AS "{name}"' for name in MANIFEST.columns)
    found = ask(db, f"SELECT count(*) AS \"*\", {counts} FROM manifest").to_pylist()[0]
    samples = found["*"]
    return pa.table(
        {
            "column": MANIFEST.columns,
            "nulls": pa.array([found[name] for name in MANIFEST.columns], pa.int64()),
            "share": pa.array([found[name] / samples if samples else 0.0 for name in MANIFEST.columns], pa.float64()),
            "may_be_null": [field.nullable for field in MANIFEST.schema],
        }
    )


def repeated_texts(db: Database, top: int = 20) -> pa.Table:
    """The texts that stand for most samples: text, samples, media, train, val. Those of one sample are left out."""
    require(db, "manifest")
    return ask(
        db,
        """
        SELECT text, count(*) AS samples, count(DISTINCT media_id) AS media,
               count(*) FILTER (split = 'train') AS train, count(*) FILTER (split = 'val') AS val
        FROM manifest GROUP BY text HAVING count(*) > 1 ORDER BY samples DESC, text LIMIT $1""",
        [bounded("top", top)],
    )


def leaks(db: Database, by: str = "fetched_sha256", top: int = 20) -> pa.Table:
    """What lies in both splits, by media_id, fetched_sha256, phash or text: value, train, val, and an example of each.

    train and val are samples; the most of both first. A perceptual hash is written as 16 hex digits.
    """
    require(db, "manifest")
    value = _HASHED[one_of("by", by, _HASHED)]
    shown = "lpad(lower(hex(value)), 16, '0')" if by == "phash" else "value"
    return ask(
        db,
        f"""
        SELECT {shown} AS value, count(*) FILTER (split = 'train') AS train, count(*) FILTER (split = 'val') AS val,
               min(sample_id) FILTER (split = 'train') AS train_example,
               min(sample_id) FILTER (split = 'val') AS val_example
        FROM (SELECT {value} AS value, split, sample_id FROM manifest) WHERE value IS NOT NULL
        GROUP BY ALL HAVING train > 0 AND val > 0 ORDER BY train + val DESC, value LIMIT $1""",
        [bounded("top", top)],
    )
