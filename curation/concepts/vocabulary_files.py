"""Reading the entries of a vocabulary from a file.

    .txt       one entry per line
    .tsv       entry, TAB, anything; one entry per line
    .json      a list of strings, as MetaCLIP's metadata.json
    .parquet   column `entry`; an optional column `entry_id` (0, 1, 2 ... in any order) puts them in order

.txt, .tsv and .json may end in .gz. Text is UTF-8; a byte order mark and the CR of a CR LF are dropped, nothing else
is trimmed. Lines without anything but white space before the first TAB are ignored; `#` starts no comment.
A local vocabulary is a regular file with such a name: a pipe or /dev/stdin, which can be read but once, is refused.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.concepts.packaged import resolved
from curation.errors import VocabularyError
from curation.storage import client_errors

FORMATS = (".txt", ".tsv", ".json", ".parquet")
_ADVICE = "give a .txt, .tsv, .json (each also .gz) or .parquet file, or starter:LANG, demo:LANG"


def read_entries(location: str) -> tuple[list[str] | pa.ChunkedArray, bool]:
    """The entries in order, and whether the file itself fixes their ids (Parquet with entry_id).

    Raises VocabularyError, one line that names the location and what to do.
    """
    location = resolved(location)
    suffix, zipped = _kind(location)
    content = _content(location, zipped)
    if suffix == ".parquet":
        return _from_parquet(content, location)
    content = _checked_text(content, location)
    return (_from_json(content, location) if suffix == ".json" else _from_lines(content)), False


def check_location(location: str) -> None:
    """Raises VocabularyError where `read_entries` could not even read the file; cheap, for before a long run."""
    location = resolved(location)
    _kind(location)
    _content(location, zipped=False)


def _kind(location: str) -> tuple[str, bool]:
    # Where a URL has no path, as memory://x.txt, its host is the name.
    name = Path(re.split("[?#]", location.split("://", 1)[1])[0] if "://" in location else location).name.lower()
    zipped = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in FORMATS or (zipped and suffix == ".parquet"):
        raise VocabularyError(f"vocabulary {location}: unknown kind of file: {_ADVICE}")
    return suffix, zipped


def _content(location: str, zipped: bool) -> bytes:
    with client_errors(VocabularyError, f"cannot read the vocabulary {location}: "):
        return _fetched(location, zipped)


def _fetched(location: str, zipped: bool) -> bytes:
    try:
        local = Path(location.removeprefix("file://"))
        if "://" not in location.removeprefix("file://") and local.exists() and not local.is_file():
            raise OSError("no regular file")  # the open of a pipe would wait for whoever writes into it
        with fsspec.open(location, "rb") as file:
            content: bytes = file.read()
        return gzip.decompress(content) if zipped else content
    except FileNotFoundError:
        raise VocabularyError(f"no vocabulary at {location}: {_ADVICE}") from None
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise VocabularyError(f"vocabulary {location} is no whole gzip file ({error}): fetch it again") from None
    except _read_errors() as error:
        reason = " ".join(str(error).split())
        raise VocabularyError(f"cannot read the vocabulary {location} ({reason}): {_ADVICE}") from None


def _read_errors() -> tuple[type[Exception], ...]:
    # Asked for only when something has gone wrong: aiohttp (fsspec's http) takes long to import.
    from aiohttp import ClientError

    return OSError, ValueError, ImportError, ClientError


def _checked_text(content: bytes, location: str) -> bytes:
    """The file's text without its byte order mark."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise VocabularyError(f"vocabulary {location}: line {line} is not UTF-8: convert the file to UTF-8") from None
    return content.removeprefix(codecs.BOM_UTF8)


def _from_lines(content: bytes) -> pa.ChunkedArray:
    # Not splitlines(): entries may hold U+2028 and the other separators that it splits at.
    ended = content.replace(b"\r\n", b"\n").removesuffix(b"\r")
    lines = pc.split_pattern(pa.array([ended], pa.large_binary()).cast(pa.large_string()), "\n").values
    entries = pc.list_element(pc.split_pattern(lines, "\t", max_splits=1), 0)
    blank = pc.or_(pc.equal(pc.binary_length(entries), 0), pc.utf8_is_space(entries))
    return pa.chunked_array([entries.filter(pc.invert(blank))])


def _from_json(content: bytes, location: str) -> list[str]:
    try:
        entries = json.loads(content)  # not msgspec: it says of half a character that the input ends
    except (ValueError, RecursionError) as error:
        raise VocabularyError(f"vocabulary {location} is no JSON ({error}): it is to be a list of strings") from None
    if not isinstance(entries, list):
        raise VocabularyError(f"vocabulary {location} holds {type(entries).__name__}: it is to be a list of strings")
    return entries


def _from_parquet(content: bytes, location: str) -> tuple[pa.ChunkedArray, bool]:
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        names = file.schema_arrow.names
        if "entry" not in names:
            raise VocabularyError(f"vocabulary {location} has columns {', '.join(names)}: it needs a column 'entry'")
        table = file.read(columns=[name for name in ("entry", "entry_id") if name in names])
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise VocabularyError(
            f"vocabulary {location} is no readable Parquet file ({reason}): write it anew, with a column 'entry'"
        ) from None
    if "entry_id" not in names:
        return table["entry"], False
    ids = table["entry_id"]
    if pa.types.is_integer(ids.type):
        order = pc.sort_indices(ids)
        if ids.null_count == 0 and ids.take(order).to_pylist() == list(range(len(ids))):
            return table["entry"].take(order), True
    raise VocabularyError(f"vocabulary {location}: entry_id is not 0 to {len(ids) - 1}, each once: number it anew")
