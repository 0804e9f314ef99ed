"""How questions are asked: DuckDB over the views of `connect`, Arrow tables of a bounded size in a fixed order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from curation.errors import InputError, WorkFolderError
from curation.schemas import MODALITIES

Database = duckdb.DuckDBPyConnection

MOST = 10_000
"""Rows that may be asked for at once: an answer is looked at, not worked on."""

HOST = "nullif(lower(regexp_extract({url}, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)', 1)), '')"
"""SQL: the host of a URL without user and port, in lower case; null where there is none."""


def ask(db: Database, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """The answer as a table of Arrow."""
    return db.sql(sql, params=list(parameters)).to_arrow_table()


def has(db: Database, name: str) -> bool:
    """Whether the connection has a dataset."""
    found = db.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = ? AND NOT internal", [name]).fetchall()
    return bool(found[0][0])


def require(db: Database, *names: str) -> None:
    """Raises WorkFolderError where a dataset is not there that a question reads."""
    missing = [name for name in names if not has(db, name)]
    if missing:
        raise WorkFolderError(
            f"this question reads {' and '.join(missing)}, which the work folder did not have, or not up to date, when "
            "it was connected to: finish `curation run`, then connect again"
        )


def stage_facts(db: Database, stage: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(settings, context) of a stage; both empty where it is not there."""
    rows = db.execute("SELECT settings, context FROM stages WHERE stage = ?", [stage]).fetchall()
    return (json.loads(rows[0][0]), json.loads(rows[0][1])) if rows else ({}, {})


def bounded(name: str, value: int, least: int = 1) -> int:
    """Raises InputError for a number that an answer cannot have."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        raise InputError(f"{name} is {value!r}: give a whole number from {least} to {MOST:,}")
    return value


def checked_thresholds(ts: Iterable[float]) -> list[float]:
    """Ascending, each once. Raises InputError for none, too many, or one below 1."""
    found = sorted({float(t) for t in ts})
    if not found or len(found) > MOST or any(not t >= 1 for t in found):
        raise InputError(f"thresholds are numbers of texts: give one at least, each of at least 1, not {found[:5]}")
    return found


def checked_modality(modality: str) -> str:
    """Raises InputError for an unknown one."""
    if modality not in MODALITIES:
        raise InputError(f"modality is {modality!r}: choose one of {', '.join(MODALITIES)}")
    return modality


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """Raises InputError for a value that is none of those known."""
    choices = list(known)
    if value not in choices:
        raise InputError(f"{name} is {value!r}: choose one of {', '.join(choices)}")
    return value
