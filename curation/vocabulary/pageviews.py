"""Views of Wikipedia's pages by title, out of Wikimedia's hourly dumps.

Format (https://dumps.wikimedia.org/other/pageviews/readme.html and https://wikitech.wikimedia.org/wiki/Analytics/
Data_Lake/Traffic/Pageviews): gzip of lines `domain_code page_title count_views total_response_size`, single spaces
between. The older `pagecounts-*` have the same four fields. The domain code of a Wikipedia is its language code alone
(en); its mobile sites are en.m and, until 2018, en.zero; all else (en.b: Wikibooks, en.m.d: mobile Wiktionary,
commons.m) is another project. Daily `pageview_complete` files are of another format, which this does not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.log import ReadLog
from curation.crawl.members import GZIP_MAGIC, GzipPieces
from curation.crawl.streams import READ_ERRORS, ReadFailedError, Window, open_binary
from curation.errors import Reason

VIEWS = pa.schema([("kind", pa.string()), ("term", pa.string()), ("count", pa.int64())])
BLOCK_BYTES = 8 << 20
"""Inflated bytes parsed at once."""
MAX_LINE_BYTES = 1 << 10
"""A longer line is refused: titles have up to 255 bytes, percent-encoded 765, and normal forms take quadratic time."""
STORED_REJECTIONS = 1_000
"""Bad lines of one file that are reported one by one; further ones are only counted."""
_FIELDS = 4
_COUNT = "^[0-9]{1,12}$"
"""Views of a page in an hour: below 10**12, so that no sum of lines leaves int64. All of Wikimedia has some 10**7."""
_SITES = ("", ".m", ".zero")  # desktop first
_NO_TITLE = pa.array(["", "-"])

Reject = Callable[..., None]
"""reject(reason, *, offset, detail)"""


def count_views(
    location: str, *, wikis: Sequence[str], min_hourly_views: int, merge_mobile: bool, drop_colon: bool, reject: Reject
) -> Generator[pa.RecordBatch, None, Counter[str]]:
    """Views of the titles of some Wikipedias in one hourly file (local path or fsspec URL), as partial counts.

    Batches have the columns kind ("title"), term and count (int64), each term once and sorted within a batch; a term
    can come again in a later batch. A term is the title percent-decoded once (no page may have %XX in its title), in
    NFC, with runs of underscores, blanks and control characters as one space.

    wikis are their codes, such as en or zh-min-nan; a title that several have is one term. merge_mobile adds their .m
    and .zero lines. min_hourly_views holds for every line by itself, before desktop and mobile are added up: so
    MetaCLIP v1 has it (50, desktop only; v2 merges with no threshold), and a title's lines lie far apart in a file.
    drop_colon leaves out titles with a colon, which are those of other namespaces (and some articles).

    Returns counts (`counts = yield from count_views(...)`), of which lines is the sum of all others but
    rejections_not_stored: other_projects, below_hourly, colon, no_title ("-" or empty), views (lines that count),
    bad_row (not four fields, or the count no number below 10**12), bad_encoding, too_large. A line that damage cuts
    in two is none.

    reject is called with a bad line's number from 0 as offset; once with broken_gzip (offset in compressed bytes) per
    damage, after which come lines behind it, if any; and with not_an_archive or unreadable_file. An empty file gives
    nothing. Raises FileNotFoundError.
    """
    counts: Counter[str] = Counter()
    lines = _Lines([wiki + site for wiki in wikis for site in (_SITES if merge_mobile else _SITES[:1])], counts, reject)
    for block in _blocks(location, lines):
        titles, views = lines.parse(block)
        keep = pc.greater_equal(views, min_hourly_views)
        lines.tally("below_hourly", len(views) - keep.true_count)
        titles, views = lines.decode(*lines.narrow(keep, titles, views))
        nameless = pc.is_in(titles, _NO_TITLE)
        colon = pc.and_(pc.match_substring(titles, ":"), drop_colon)
        lines.tally("no_title", nameless.true_count)
        lines.tally("colon", colon.true_count)
        titles, views = lines.narrow(pc.invert(pc.or_(nameless, colon)), titles, views)
        lines.tally("views", len(titles))
        if len(titles):
            yield _summed(titles, views)
    return counts


def _summed(titles: pa.Array, views: pa.Array) -> pa.RecordBatch:
    """One sorted row per title."""
    lines = pa.table({"term": titles, "count": views})
    sums = lines.group_by("term", use_threads=False).aggregate([("count", "sum")]).sort_by("term").combine_chunks()
    terms = sums["term"].combine_chunks()
    kinds = pa.repeat(pa.scalar("title"), len(terms))
    return pa.record_batch([kinds, terms, sums["count_sum"].combine_chunks()], schema=VIEWS)


class _Lines:
    """The lines of one file while it is read: which are whose, and which are bad."""

    def __init__(self, projects: list[str], counts: Counter[str], reject: Reject) -> None:
        self._prefixes = [f"{project} ".encode() for project in projects]
        self._counts = counts
        self._reject = reject
        self._room = STORED_REJECTIONS
        self._numbers = np.empty(0, np.int64)  # of the lines at hand, from 0 in the file

    def tally(self, name: str, n: int = 1) -> None:
        if n:
            self._counts[name] += n

    def parse(self, block: bytes) -> tuple[pa.Array, pa.Int64Array]:
        """Titles (binary, as they stand) and views of the wanted projects' good lines in a block of whole lines."""
        lines = _split(block)
        self._numbers = np.arange(len(lines)) + self._counts["lines"]
        self.tally("lines", len(lines))
        whole = pc.equal(pc.count_substring(lines, " "), _FIELDS - 1)
        self._refuse(pc.invert(whole), lines, Reason.BAD_ROW, f"not {_FIELDS} fields: ")
        (lines,) = self.narrow(whole, lines)
        wanted = pa.array(np.zeros(len(lines), bool))
        for prefix in self._prefixes:
            wanted = pc.or_(wanted, pc.starts_with(lines, prefix))
        self.tally("other_projects", len(lines) - wanted.true_count)
        (lines,) = self.narrow(wanted, lines)
        short = pc.less_equal(pc.binary_length(lines), MAX_LINE_BYTES)
        self._refuse(pc.invert(short), lines, Reason.TOO_LARGE, f"line above {MAX_LINE_BYTES} bytes: ")
        (lines,) = self.narrow(short, lines)
        fields = pc.split_pattern(lines, " ").flatten()
        titles, views = (fields.take(pa.array(np.arange(n, len(fields), _FIELDS))) for n in (1, 2))
        counted = pc.match_substring_regex(views, _COUNT)
        self._refuse(pc.invert(counted), lines, Reason.BAD_ROW, "its count is no number below 10**12: ")
        titles, views = self.narrow(counted, titles, views)
        return titles, views.cast(pa.string()).cast(pa.int64())

    def decode(self, titles: pa.Array, views: pa.Array) -> tuple[pa.StringArray, pa.Array]:
        """Titles as terms, and their views, without those that are no UTF-8."""
        encoded = pc.match_substring(titles, "%")
        if encoded.true_count:
            plain = [unquote_to_bytes(title) for title in titles.filter(encoded).to_pylist()]
            titles = pc.replace_with_mask(titles, encoded, pa.array(plain, pa.binary()))
        try:
            texts = titles.cast(pa.string())
        except pa.ArrowInvalid:  # some of this block: look for them one by one
            valid = pa.array(list(map(_is_utf8, titles.to_pylist())), pa.bool_())
            self._refuse(pc.invert(valid), titles, Reason.BAD_ENCODING, "title is not UTF-8: ")
            titles, views = self.narrow(valid, titles, views)
            texts = titles.cast(pa.string())
        texts = pc.utf8_normalize(pc.replace_substring_regex(texts, r"[_\s\pZ\p{Cc}]+", " "), "NFC")
        return pc.utf8_trim(texts, " "), views

    def narrow(self, keep: pa.BooleanArray, *columns: pa.Array) -> list[pa.Array]:
        """Columns of the lines at hand that stay."""
        self._numbers = self._numbers[keep.to_numpy(False)]
        return [column.filter(keep) for column in columns]

    def _refuse(self, bad: pa.BooleanArray, lines: pa.Array, reason: Reason, problem: str) -> None:
        """Rejects the bad ones of the lines at hand; the caller drops them."""
        found = np.flatnonzero(bad.to_numpy(False))
        for row in found[: self._room].tolist():
            start = lines[row].as_py()[:200].decode("utf-8", "replace")
            self._reject(reason, offset=int(self._numbers[row]), detail=f"{problem}{start}")
        self.tally(reason.value, len(found))
        self.tally("rejections_not_stored", max(len(found) - self._room, 0))
        self._room = max(self._room - len(found), 0)

    def refuse_long(self) -> None:
        """Rejects a line, anybody's, that does not end within a block."""
        self._numbers = np.array([self._counts["lines"]])
        self.tally("lines")
        self._refuse(pa.array([True]), pa.array([b""]), Reason.TOO_LARGE, f"line above {BLOCK_BYTES} bytes")

    def refuse_file(self, reason: Reason, offset: int | None, detail: str | None) -> None:
        """Rejects the file, or a damaged part of it."""
        self._reject(reason, offset=offset, detail=detail)


def _split(block: bytes) -> pa.BinaryArray:
    """Lines of a block, over its own bytes; each but the last has its newline."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)])


def _is_utf8(title: bytes) -> bool:
    try:
        title.decode()
    except UnicodeDecodeError:
        return False
    return True


def _blocks(location: str, lines: _Lines) -> Iterator[bytes]:
    """Blocks of whole lines of some BLOCK_BYTES; what cannot be read is rejected."""
    log = ReadLog(location)
    try:
        with open_binary(location) as file:
            window = Window(file)
            head = window.at(0, len(GZIP_MAGIC))
            if head and head != GZIP_MAGIC:
                lines.refuse_file(Reason.NOT_AN_ARCHIVE, 0, "not a gzip file: hourly views come as pageviews-*.gz")
            elif head:
                yield from _whole_lines(GzipPieces(window, log, salvage=True), lines)
    except FileNotFoundError:
        raise
    except ReadFailedError as error:
        lines.refuse_file(Reason.UNREADABLE_FILE, error.offset, str(error))
    except READ_ERRORS as error:
        lines.refuse_file(Reason.UNREADABLE_FILE, None, f"{type(error).__name__}: {error}")
    for rejection in log.rejections:
        lines.refuse_file(rejection.reason, rejection.offset, rejection.detail)


def _whole_lines(pieces: GzipPieces, lines: _Lines) -> Iterator[bytes]:
    """Joins pieces, cut at line ends, without the parts of lines beside lost bytes and the rest of a refused line."""
    held: list[bytes] = []
    size, inside_lost = 0, False
    for piece in pieces:
        data = piece.data
        if inside_lost:
            data = data.partition(b"\n")[2]
            inside_lost = b"\n" not in piece.data
        held.append(data)
        size += len(data)
        if not piece.gap and size < BLOCK_BYTES:
            continue
        joined = b"".join(held)
        end = joined.rfind(b"\n") + 1
        if end:
            yield joined[:end]
        held, size = [joined[end:]], len(joined) - end
        if not piece.gap and size >= BLOCK_BYTES:
            lines.refuse_long()
        if piece.gap or size >= BLOCK_BYTES:
            held, size, inside_lost = [], 0, True
    if size:
        yield b"".join(held)
