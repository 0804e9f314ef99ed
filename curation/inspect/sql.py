"""Questions in SQL to a work folder's datasets: answers as a table to look at, or as a file to work on."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb

from curation.errors import CurationError, InputError
from curation.inspect.views import connect, files_of
from curation.inspect.wording import how_many, number, on_screen
from curation.outputs import folders_above, keep_out
from curation.pipeline import ALL_STAGES
from curation.query import literal
from curation.runner.catalog import Catalog
from curation.schemas import DATASETS
from curation.storage import Store, explain_os_error

ROWS: Final = 40
"""Rows of a table that are shown where nothing is said."""
CELL_CHARS: Final = 64
"""Characters of a cell that are shown in a table; as many as a SHA-256 has."""
_MOST_ITEMS = 50  # of a list
_MOST_CHARS = 400  # where rows are shown one below the other
FORMATS: Final = ("table", "csv", "json", "parquet")
_BY_ENDING = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
_COPY = {"csv": "FORMAT csv, HEADER", "json": "FORMAT json", "parquet": "FORMAT parquet, COMPRESSION zstd"}
_HELPERS = {
    "stages": "what is current of each stage: version, counts, settings, context",
    "thresholds": "t by stage, modality and vocabulary_lang",
}
_NO_TABLE = re.compile(r"Table with name (\w+) does not exist")
_FIRST_WORD = re.compile(r"(?s)(?:\s|--[^\n]*|/\*.*?\*/)*(\w+)")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BIGNUM")


@dataclass(frozen=True)
class View:
    """Something that can be asked for: a dataset, or a small table about the stages."""

    name: str
    rows: int
    about: str


@dataclass(frozen=True)
class Answer:
    """The first rows of an answer, their cells in words; `more`: there are others. numeric: columns of numbers."""

    columns: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    more: bool


def views(work: str) -> tuple[list[View], list[str]]:
    """What a work folder can be asked for, with its rows, and the datasets that are not there."""
    with _errors(work), closing(connect(work)) as database:
        found = {
            row[0] for row in database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        }
        told = {name: dataset.about for name, dataset in DATASETS.items() if name in found} | _HELPERS
        listed = [View(name, _rows(database, name), about) for name, about in told.items()]
    return listed, [name for name in DATASETS if name not in found]


def _rows(database: duckdb.DuckDBPyConnection, name: str) -> int:
    return int(database.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0])


def answer(sql: str, work: str, limit: int = ROWS) -> Answer:
    """The first rows of what a SELECT gives. Raises CurationError for a mistake in it or in the folder."""
    with _errors(work), closing(connect(work)) as database:
        found = database.sql(_checked(database, sql))
        rows = found.limit(limit + 1).fetchall()
        numeric = [str(kind).removeprefix("U").startswith(_NUMBERS) and "[" not in str(kind) for kind in found.types]
        cells = [[cell(value) for value in row] for row in rows[:limit]]
        return Answer(list(found.columns), numeric, cells, len(rows) > limit)


def write_answer(sql: str, work: str, form: str, to: str) -> int:
    """Writes all that a SELECT gives into a file, whole or not at all; how many rows. Raises as `answer` does.

    json: an object a line. The file replaces one of that name; it may not lie in the work folder. Folders above
    it are made.
    """
    keep_out("--to", to, work)
    target = Path(to).expanduser().absolute()
    if target.is_dir():
        raise InputError(f"{to} is a folder: name a file in it with --to")
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with folders_above(target):
            rows = _copied(sql, work, form, scratch)
            scratch.replace(target)
    except OSError as error:
        raise InputError(explain_os_error(error, str(target.parent))) from None
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
    return rows


def stream_answer(sql: str, work: str, form: str, out: BinaryIO, *, screen: bool = False) -> None:
    """Writes all that a SELECT gives to a stream, as csv or json, once it is complete.

    screen: it is a terminal, which controls in texts of the web would change: they are written as codes.
    """
    with tempfile.TemporaryDirectory(prefix="curation-") as folder:
        file = Path(folder) / "answer"
        _copied(sql, work, form, file)
        if not screen:
            with file.open("rb") as made:
                shutil.copyfileobj(made, out)
            return
        with file.open(encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
            for line in lines:
                out.write(on_screen(line, json=form == "json").encode("utf-8", "backslashreplace"))
        out.flush()


def form_of(form: str | None, to: str | None) -> str:
    """The format that is asked for, or that a file's name tells. Raises InputError where they do not fit."""
    if form is not None and form not in FORMATS:
        raise InputError(f"--format {form!r}: choose one of {', '.join(FORMATS)}")
    if to is None:
        if form == "parquet":
            raise InputError("Parquet is no text: name a file with --to")
        return form or "table"
    told = form or _BY_ENDING.get(Path(to).suffix.lower())
    if told is None:
        raise InputError(f"--to {to}: the name tells no format; end it in {', '.join(_BY_ENDING)}, or give --format")
    if told == "table":
        raise InputError("a table is for the screen: give --format csv, json or parquet with --to")
    return told


def _copied(sql: str, work: str, form: str, file: Path) -> int:
    with _errors(work), closing(connect(work)) as database:
        # parsed alone before, so that nothing can end the brackets; a comment at its end would
        question = f"SELECT * FROM (\n{_checked(database, sql)}\n)"
        told = literal(str(file)) if not set("*?[") & set(str(file)) else "'" + str(file).replace("'", "''") + "'"
        return int(database.execute(f"COPY ({question}) TO {told} ({_COPY[form]})").fetchall()[0][0])


def _checked(database: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The one question of an SQL text. Raises CurationError for what would do more than ask."""
    database.execute("SET python_enable_replacements = false")  # names of Python's variables are no tables
    statements = database.extract_statements(sql)
    if not statements:
        raise CurationError("there is no question in this SQL: without one, `curation sql --work DIR` lists the views")
    if len(statements) > 1:
        raise CurationError("give one question at a time: this SQL has several statements")
    if statements[0].type == duckdb.StatementType.MULTI:  # it would make a type of the values first
        raise CurationError(
            "PIVOT has to name its values with IN, for a work folder is only read: "
            "PIVOT manifest ON split IN ('train', 'val') USING count(*)"
        )
    if statements[0].type != duckdb.StatementType.SELECT:
        typed = _FIRST_WORD.match(str(statements[0].query))
        kind = typed[1].upper() if typed else "this"
        kind = kind if kind != "WITH" else str(statements[0].type).rpartition(".")[2]
        raise CurationError(
            f"{kind} is no question: a work folder is only read (SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, "
            "SHOW, PIVOT with its values named by IN)"
        )
    return str(statements[0].query).rstrip().removesuffix(";")


@contextmanager
def _errors(work: str) -> Iterator[None]:
    """Mistakes in SQL as one line; of a dataset that is not there, why."""
    try:
        yield
    except duckdb.Error as error:
        lost = _NO_TABLE.search(str(error))
        if lost and lost[1] in DATASETS:
            files_of(Catalog(Store.at(work), ALL_STAGES), lost[1])  # says why it is not there
        told = " ".join(str(error).partition("\n\nLINE")[0].partition("\n\tCandidate functions")[0].split())
        raise CurationError(f"{told[:500]}{_place(str(error))}") from None


def _place(error: str) -> str:
    """Where DuckDB's caret points to, in words."""
    lines = error.partition("\n\n")[2].splitlines()
    if len(lines) < 2 or not lines[0].startswith("LINE "):
        return ""
    head, _, text = lines[0].partition(": ")
    at = lines[1].find("^") - len(head) - 2
    return f" (line {head.removeprefix('LINE ')}, at {text[at : at + 30]!r})" if 0 <= at < len(text) else ""


def cell(value: Any, chars: int = _MOST_CHARS) -> str:
    """A value on one line, cut where it is long."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if (abs(value) < 1e-3 and value) or abs(value) >= 1e15 else number(value, 6).replace(",", "")
    if isinstance(value, list | tuple):
        value = f"[{', '.join(map(_inner, value[:_MOST_ITEMS]))}{', …' if len(value) > _MOST_ITEMS else ''}]"
    elif isinstance(value, dict):
        value = _inner(value)
    text = value.hex() if isinstance(value, bytes) else str(value)
    safe = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text[:chars])
    return f"{safe}…" if len(text) > chars else safe


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARS + 1 else f"{text[:CELL_CHARS]}…"


def _inner(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_inner(each)}" for name, each in list(value.items())[:_MOST_ITEMS]) + "}"
    if isinstance(value, str):
        return f"'{value[:_MOST_CHARS]}'"
    return cell(value)


def answer_lines(found: Answer, width: int) -> list[str]:
    """The answer for a terminal: as a table, or row by row where a table would be wider than `width` characters."""
    short = [[_cut(text) for text in row] for row in found.rows]
    widths = [max(len(name), *(len(row[at]) for row in short), 1) for at, name in enumerate(found.columns)]
    if sum(widths) + 2 * len(widths) - 2 > width:
        lines = _records(found)
    else:
        lines = [_line(found.columns, widths, found.numeric), "  ".join("-" * size for size in widths)]
        lines += [_line(row, widths, found.numeric) for row in short]
    rows = how_many(len(found.rows), "row")
    if found.more:
        return [*lines, "", f"the first {rows}; there are more: --limit N shows N, --to FILE.csv writes all"]
    return [*lines, "", rows] if lines else [rows]


def _line(cells: Sequence[str], widths: list[int], numeric: list[bool]) -> str:
    placed = (
        text.rjust(size) if right else text.ljust(size)
        for text, size, right in zip(cells, widths, numeric, strict=True)
    )
    return "  ".join(placed).rstrip()


def _records(found: Answer) -> list[str]:
    size = max(map(len, found.columns))
    lines = []
    for place, row in enumerate(found.rows, 1):
        lines += [
            f"row {place:,}",
            *(f"  {name:<{size}}  {text}" for name, text in zip(found.columns, row, strict=True)),
        ]
    return lines


def view_lines(found: list[View], missing: list[str]) -> list[str]:
    """The list of what can be asked for."""
    size = max(len(view.name) for view in found)
    lines = [f"{view.name:<{size}}  {view.rows:>13,}  {view.about}" for view in found]
    if missing:
        lines += ["", f"not made, or not up to date: {', '.join(missing)}"]
    return [*lines, "", "`curation describe DATASET` tells the columns"]
