"""Columns that say facts about a table's media, as the values of the candidates' columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.cells import Chunk, IntArray, python_values
from curation.crawl.licences import normalise
from curation.crawl.log import ReadLog
from curation.crawl.page import MAX_URL_CHARS
from curation.crawl.pages import without_surrogates
from curation.crawl.quantities import milliseconds
from curation.crawl.rows import SCHEMA
from curation.crawl.table_mappings import alternatives
from curation.crawl.urls import is_http
from curation.recipe import TableColumns

_MAX_PIXELS = 1 << 20
_MAX_LICENCE = 2048  # characters; keeps the cache of licences small

_DATE = re.compile(r"\d{4}(?:-\d\d)?", re.ASCII).fullmatch
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,5}").fullmatch

Parser = Callable[[Any], Any]


def _only_milliseconds(value: Any) -> int | None:
    return milliseconds(value, per_second=1)


def _pixels(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value <= _MAX_PIXELS else None


def _date(value: Any) -> str | None:
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is int and value < 10**8 else ""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text if _DATE(text) else None
    return when.date().isoformat() if len(text) <= 10 else when.isoformat()


def _url(value: Any) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return without_surrogates(text) if is_http(text) and len(text) <= MAX_URL_CHARS else None


def _language(value: Any) -> str | None:
    return value.strip().replace("_", "-") if isinstance(value, str) and _LANGUAGE(value.strip()) else None


_normalised = lru_cache(maxsize=4096)(normalise)


def _licence(value: Any) -> str | None:
    return _normalised(value) if isinstance(value, str) and len(value) <= _MAX_LICENCE else None


def _tracks(value: Any) -> list[dict[str, str | None]] | None:
    """Tracks of a list of {url, kind, lang} (or of URLs), of {lang: formats} as yt-dlp has it, or of either as JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, dict) and not {"url", "src"} & value.keys():
        value = [_track(_best(formats), lang) for lang, formats in value.items()]
    else:
        value = [_track(item, None) for item in (value if isinstance(value, list) else [value])]
    if None in value or sum(len(track["url"]) for track in value) > MAX_URL_CHARS:
        return None
    return list(value)


def _best(formats: Any) -> Any:
    if not isinstance(formats, list) or not formats:
        return formats
    return next((each for each in formats if isinstance(each, dict) and each.get("ext") == "vtt"), formats[0])


def _track(item: Any, lang: Any) -> dict[str, str | None] | None:
    item = item if isinstance(item, dict) else {"url": item}
    url = _url(item.get("url") or item.get("src"))
    kind = item.get("kind")
    said = lang or item.get("lang") or item.get("srclang") or item.get("language")
    if url is None or not isinstance(kind, str | None):
        return None
    return {"url": url, "kind": without_surrogates(kind or "").strip().lower() or "subtitles", "lang": _language(said)}


_FACTS: dict[str, tuple[str, Parser]] = {
    "duration": ("duration_ms", milliseconds),
    "duration_ms": ("duration_ms", _only_milliseconds),
    "start": ("start_ms", milliseconds),
    "start_ms": ("start_ms", _only_milliseconds),
    "end": ("end_ms", milliseconds),
    "end_ms": ("end_ms", _only_milliseconds),
    "width": ("width", _pixels),
    "height": ("height", _pixels),
    "licence": ("licence", _licence),
    "upload_date": ("upload_date", _date),
    "poster_url": ("poster_url", _url),
    "page_lang": ("page_lang", _language),
    "tracks": ("tracks", _tracks),
}


def read_facts(columns: TableColumns, chunk: Chunk, log: ReadLog) -> dict[str, pa.Array]:
    """The facts that the mapping and the file have: a candidates' column -> its value for each row of the chunk.

    A value that is none for its fact becomes null and counts as odd:FACT, and so does an end that is not behind its
    start (odd:end). What is missing (null, NaN, an empty text) is not odd.
    """
    found: dict[str, pa.Array] = {}
    for fact, reference in columns.facts.items():
        present = [chunk.columns[name] for name in alternatives(reference) if name in chunk.columns]
        if not present:
            continue
        column, parse = _FACTS[fact]
        values = python_values(present)
        parsed = [None if value is None else parse(value) for value in values]
        log.tally(f"odd:{fact}", parsed.count(None) - values.count(None))
        if column == "tracks":
            parsed = [[] if tracks is None else tracks for tracks in parsed]
        array = pa.array(parsed, SCHEMA.field(column).type)
        found[column] = pc.coalesce(found[column], array) if column in found else array
    if "start_ms" in found and "end_ms" in found:
        wrong = pc.fill_null(pc.less_equal(found["end_ms"], found["start_ms"]), False)
        log.tally("odd:end", pc.sum(wrong).as_py() or 0)
        found["end_ms"] = pc.if_else(wrong, pa.scalar(None, pa.int64()), found["end_ms"])
    return found


def fact_columns(facts: dict[str, pa.Array], rows: IntArray) -> dict[str, pa.Array]:
    """Every fact column of the candidates for these rows of a chunk; what is not known is null (tracks: none)."""
    taken = {name: facts[name].take(pa.array(rows)) for name in facts}
    for name in {column for column, _ in _FACTS.values()} - taken.keys():
        kind = SCHEMA.field(name).type
        taken[name] = empty_lists(kind, len(rows)) if pa.types.is_list(kind) else pa.nulls(len(rows), kind)
    return taken


def empty_lists(kind: pa.ListType, count: int) -> pa.ListArray:
    """`count` lists without items."""
    nothing = pa.array([], kind.value_type)
    return pa.ListArray.from_arrays(pa.array(np.zeros(count + 1, np.int32)), nothing, type=kind)
