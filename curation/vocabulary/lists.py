"""Plain lists of entries: hashtags, class names, word frequencies, a user's own.

    .txt       one entry per line; nothing is trimmed but the line's end, blank lines are ignored
    .csv .tsv  a column of entries and, if there is one, a column of scores; .tsv knows no quotes
    .json      a list of strings, or an object {entry: score}
    .parquet   a column of entries and, if there is one, a column of scores
    .msgpack   wordfreq's "cBpack": lists of words by frequency in centibels; the score is the share of all words

All but .parquet may end in .gz or .bz2 as well. Text is UTF-8; a byte order mark is dropped.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.crawl.streams import READ_ERRORS, open_binary
from curation.errors import VocabularyError
from curation.vocabulary.terms import Scored

Column: TypeAlias = str | int
"""A column by its name in the header, or by its number from 1 in a file without a header."""

_Columns: TypeAlias = tuple[Column | None, Column | None]

_KINDS = (".txt", ".csv", ".tsv", ".json", ".parquet", ".msgpack")
_PACKED = (".gz", ".bz2")
_HASHES = ("#", "＃")  # the second is the one of Japanese keyboards
_CENTIBELS = 100  # in a factor of ten


def read_list(
    location: str,
    *,
    entry_column: Column | None = None,
    score_column: Column | None = None,
    strip_hash: bool = False,
) -> list[Scored]:
    """The entries of a list in the file's order, repeated ones too, and their scores.

    location: a local path or fsspec URL. entry_column, score_column: for .csv, .tsv and .parquet; where not given,
    `entry`, and `score` if the file has it. strip_hash: without outer white space and one leading "#" or "＃".

    Raises VocabularyError for a file that cannot be read, is of another format, has not these columns, or has no
    entries, and for a score that is no finite number.
    """
    kind = _kind(location)
    columns = (entry_column, score_column)
    if kind in (".csv", ".tsv"):
        entries = _from_csv(location, "\t" if kind == ".tsv" else ",", columns)
    elif kind == ".parquet":
        entries = _from_parquet(location, columns)
    elif columns != (None, None):
        raise VocabularyError(f"{location}: a {kind} list has no columns: leave entry_column and score_column out")
    elif kind == ".txt":
        entries = [(line, None) for line in map(_line_without_end, text_lines(location)) if line.strip()]
    else:
        entries = _from_json(location) if kind == ".json" else _from_centibels(location)
    if not entries:
        raise VocabularyError(f"{location} holds no entry: give another file, or leave it out")
    return [(_without_hash(entry), score) for entry, score in entries] if strip_hash else entries


@contextmanager
def opened(location: str) -> Iterator[BinaryIO]:
    """The bytes of a local path or fsspec URL, inflated where its name ends in .gz or .bz2.

    Raises VocabularyError where opening or, inside the block, reading fails.
    """
    try:
        with _open(location) as file, _inflated(file, _name(location).suffix) as content:
            yield content
    except (*READ_ERRORS, zlib.error) as error:
        raise VocabularyError(f"cannot read {location} ({_one_line(error)}): is it there, and whole?") from None


def text_lines(location: str) -> Iterator[str]:
    """The lines of a UTF-8 text with their line ends, without a byte order mark. Raises VocabularyError."""
    with opened(location) as file:
        for number, line in enumerate(file, 1):
            try:
                yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
            except UnicodeDecodeError:
                raise VocabularyError(f"{location}: line {number} is not UTF-8: convert the file to UTF-8") from None


def _open(location: str) -> BinaryIO:
    try:
        return open_binary(location)
    except (ValueError, ImportError) as error:  # no such protocol, or a package that it needs
        raise VocabularyError(f"cannot read {location} ({_one_line(error)}): give a path or an fsspec URL") from None


def _inflated(file: BinaryIO, packed: str) -> BinaryIO:
    if packed == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    return cast(BinaryIO, bz2.BZ2File(file)) if packed == ".bz2" else file


def _name(location: str) -> Path:
    return Path(Path(urlsplit(location).path if "://" in location else location).name.lower())


def _kind(location: str) -> str:
    name = _name(location)
    kind = Path(name.stem).suffix if name.suffix in _PACKED else name.suffix
    if kind not in _KINDS or (kind != name.suffix and kind == ".parquet"):
        raise VocabularyError(f"{location}: unknown kind of list: give {', '.join(_KINDS)}, or all but .parquet as .gz")
    return kind


def _from_csv(location: str, delimiter: str, columns: _Columns) -> list[Scored]:
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    rows = csv.reader(text_lines(location), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        entry_at, score_at = _positions(rows, columns, location)
        entries: list[Scored] = []
        for row in rows:
            if row:
                where = f"{location}: line {rows.line_num}"
                if len(row) <= max(entry_at, score_at):
                    raise VocabularyError(f"{where} has {len(row)} columns, too few: mend it, or name other columns")
                entries.append((row[entry_at], None if score_at < 0 else _score(row[score_at], where)))
    except csv.Error as error:
        raise VocabularyError(f"{location}: line {rows.line_num} is no CSV ({error}): mend it") from None
    return entries


def _positions(rows: Iterator[list[str]], columns: _Columns, location: str) -> tuple[int, int]:
    """Where entry and score stand in a row, from 0; the score -1 for nowhere. Takes the header off the rows."""
    entry, score = columns
    if isinstance(entry, int) and not isinstance(score, str):
        if min(entry, score or 1) < 1:
            raise VocabularyError(f"{location}: columns {columns} of a file without a header: count them from 1")
        return entry - 1, (score or 0) - 1
    if isinstance(entry, int) or isinstance(score, int):
        raise VocabularyError(f"{location}: columns {columns}: give names, or numbers for a file without a header")
    header = next(rows, [])
    names = _names(header, columns, location)
    return header.index(names[0]), header.index(names[1]) if len(names) > 1 else -1


def _names(header: list[str], columns: _Columns, location: str) -> list[Any]:
    """The columns to read by name: entry, and score if there is one."""
    score = columns[1] or ("score" if "score" in header else None)
    names = [columns[0] or "entry", *([] if score is None else [score])]
    for name in names:
        if name not in header:
            there = ", ".join(map(repr, header))[:200] or "none"
            raise VocabularyError(f"{location} has no column {name!r} (it has {there}): name the right one")
    return names


def _score(text: str, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise VocabularyError(f"{where}: score {text[:40]!r} is no finite number: mend it, or name another column")
    return score


def _from_json(location: str) -> list[Scored]:
    with opened(location) as file:
        content = file.read().removeprefix(codecs.BOM_UTF8)
    try:
        entries = msgspec.json.decode(content, type=list[str] | dict[str, float])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise VocabularyError(
            f"{location} is no list of strings or object of scores in JSON ({_one_line(error)}): mend it"
        ) from None
    return list(entries.items()) if isinstance(entries, dict) else [(entry, None) for entry in entries]


def _from_centibels(location: str) -> list[Scored]:
    with opened(location) as file:
        content = file.read()
    try:
        pack = msgspec.msgpack.decode(content, type=list[dict[str, str | int] | list[str]])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise VocabularyError(f"{location} is no cBpack of wordfreq ({_one_line(error)}): give another file") from None
    header, *buckets = pack or [[]]
    if header != {"format": "cB", "version": 1} or dict in map(type, buckets):
        raise VocabularyError(f"{location} is no cBpack of wordfreq, format 'cB', version 1: give another file")
    return [(word, 10 ** (-centibels / _CENTIBELS)) for centibels, words in enumerate(buckets) for word in words]


def _from_parquet(location: str, columns: _Columns) -> list[Scored]:
    with opened(location) as file:
        try:
            parquet = pq.ParquetFile(file)
            names = _names(parquet.schema_arrow.names, columns, location)
            table = parquet.read(columns=names)
            entries = _texts(table[names[0]], location)
            scores = table[names[-1]].cast(pa.float64(), safe=False).to_pylist() if len(names) > 1 else None
        except pa.ArrowException as error:
            raise VocabularyError(f"{location} is no Parquet file of entries ({_one_line(error)}): mend it") from None
    for score in scores or ():
        if score is not None and not math.isfinite(score):
            raise VocabularyError(f"{location}: score {score} is no finite number: mend it, or name another column")
    pairs = zip(entries, scores or [None] * len(entries), strict=True)
    return [(entry, score) for entry, score in pairs if entry is not None]


def _texts(column: pa.ChunkedArray, location: str) -> list[str | None]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind not in (pa.string(), pa.large_string(), pa.string_view()):
        raise VocabularyError(f"{location}: its column of entries is of type {kind}: name one of strings")
    return cast("list[str | None]", column.cast(pa.large_string()).to_pylist())


def _line_without_end(line: str) -> str:
    return line.rstrip("\r\n")


def _without_hash(entry: str) -> str:
    entry = entry.strip()
    return entry[1:] if entry.startswith(_HASHES) else entry


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
