"""Damaged WAT files, each broken in one known way, with what a careful reader makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curation.errors import Reason
from curation.testing.archives import Capture, Record, gzip_member, info_record, pack, record_id
from curation.testing.facts import Damage, Picture
from curation.testing.wat import wat_records
from curation.testing.web import EXTRACTED, WAT_INFO

_PAGES = 7
_MIDDLE = 3  # the page that is damaged, unless the damage is elsewhere
_LONG_HEADER = 3 << 20  # bytes; real headers stay below 8 KiB
_DATE = "2026-09-18T12:13:14Z"


@dataclass(frozen=True)
class EdgePage:
    """A page of an edge archive: one image with one alt."""

    url: str
    image_url: str
    alt: str


@dataclass(frozen=True)
class EdgeArchive:
    """One damaged archive. readable are the pages that must come through; the damage names the others."""

    name: str
    damage: Damage
    readable: tuple[EdgePage, ...]

    @property
    def path(self) -> Path:
        return self.damage.path


@dataclass(frozen=True)
class EdgeArchives:
    """All of them, in a folder of their own."""

    folder: Path
    archives: tuple[EdgeArchive, ...]

    def __getitem__(self, name: str) -> EdgeArchive:
        return next(archive for archive in self.archives if archive.name == name)


@dataclass(frozen=True)
class _Broken:
    """Bytes of a damaged archive, where the damage starts, and the pages it hits."""

    data: bytes
    offset: int
    pages: tuple[int, ...] = (_MIDDLE,)


_ALL = tuple(range(_PAGES))


def build_edge_archives(folder: Path) -> EdgeArchives:
    """Writes one WAT file per kind of damage into folder; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = [_page(number) for number in range(_PAGES)]
    records = _records(pages)
    archives = []
    for name, (what, reasons, break_it) in _KINDS.items():
        broken = break_it(records)
        path = folder / f"{name}.warc.wat.gz"
        path.write_bytes(broken.data)
        lost = tuple(pages[number].url for number in broken.pages)
        damage = Damage(path, what, broken.offset, frozenset(reasons), lost)
        archives.append(EdgeArchive(name, damage, tuple(page for page in pages if page.url not in lost)))
    return EdgeArchives(folder, tuple(archives))


def _page(number: int) -> EdgePage:
    image = f"https://img.edge.example{Picture('en', 'dog', number + 1).path}"
    return EdgePage(f"https://edge.example/page-{number}.html", image, f"photo of a dog, number {number} of the edge")


def _records(pages: Sequence[EdgePage]) -> list[Record]:
    """An intact WAT: its warcinfo, that of the WARC, then one record per page."""
    info = info_record("edge.warc.gz", _DATE, WAT_INFO)
    answers = []
    for page in pages:
        body = f'<html lang="en"><title>{page.url}</title><img src="{page.image_url}" alt="{page.alt}"></html>'
        headers = (("Content-Type", "text/html; charset=utf-8"),)
        capture = Capture(page.url, _DATE, record_id("warcinfo", "edge.warc.gz"), headers, body.encode(), ())
        answers.append(capture.records()[1])
    _, stored = pack([info, *answers])
    charsets = {page.url: "utf-8" for page in pages}
    return wat_records(stored, "edge.warc.gz", EXTRACTED, WAT_INFO, charsets)


def _at(page: int) -> int:
    """Position of a page's record among the records."""
    return page + 2


def _joined(records: Sequence[Record], change: Callable[[bytes], bytes], page: int = _MIDDLE) -> _Broken:
    """The archive with one page's record (inflated) changed, in well-formed gzip members."""
    members = [gzip_member(record.data) for record in records]
    offset = sum(map(len, members[: _at(page)]))
    members[_at(page)] = gzip_member(change(records[_at(page)].data))
    return _Broken(b"".join(members), offset)


def _overwritten(records: Sequence[Record], start: int, patch: bytes) -> _Broken:
    """The archive with bytes of one page's gzip member overwritten; start counts from the member's end if negative."""
    archive, stored = pack(records)
    item = stored[_at(_MIDDLE)]
    position = item.offset + (start if start >= 0 else item.size + start)
    return _Broken(archive[:position] + patch + archive[position + len(patch) :], item.offset)


def _truncated(records: Sequence[Record]) -> _Broken:
    archive, stored = pack(records)
    last = stored[-1]
    return _Broken(archive[: last.offset + last.size // 2], last.offset, (_PAGES - 1,))


def _with_length(records: Sequence[Record], length: Callable[[int], str]) -> _Broken:
    block = len(records[_at(_MIDDLE)].block)
    old, new = f"Content-Length: {block}\r\n".encode(), f"Content-Length: {length(block)}\r\n".encode()
    return _joined(records, lambda data: data.replace(old, new, 1))


def _half_json(records: Sequence[Record]) -> _Broken:
    record = records[_at(_MIDDLE)]
    cut = replace(record, block=record.block[: len(record.block) * 2 // 3])
    return _joined(records, lambda _: cut.data)


def _in_alt(records: Sequence[Record], replacement: bytes) -> _Broken:
    """The archive with `of a dog` in one page's alt replaced, lengths kept right."""
    record = records[_at(_MIDDLE)]
    changed = replace(record, block=record.block.replace(b"of a dog", replacement))
    return _joined(records, lambda _: changed.data)


def _with_garbage(records: Sequence[Record]) -> _Broken:
    archive, stored = pack(records)
    offset = stored[_at(_MIDDLE)].offset
    return _Broken(archive[:offset] + b"\x00garbage between two members\xff" * 4 + archive[offset:], offset, ())


def _one_member(records: Sequence[Record]) -> _Broken:
    return _Broken(gzip_member(b"".join(record.data for record in records)), 0, ())


# name: (what is wrong, codes a reader may give, how it is made)
_KINDS: dict[str, tuple[str, set[Reason], Callable[[Sequence[Record]], _Broken]]] = {
    "broken-member": (
        "a gzip member in the middle is overwritten: it does not inflate",
        {Reason.BROKEN_GZIP},
        lambda records: _overwritten(records, 30, b"\xff" * 40),
    ),
    "bad-checksum": (
        "a gzip member in the middle inflates, but its checksum is wrong",
        {Reason.BROKEN_GZIP},
        lambda records: _overwritten(records, -8, b"\x00\x01\x02\x03"),
    ),
    "truncated": (
        "the file ends in the middle of its last member",
        {Reason.TRUNCATED_RECORD, Reason.BROKEN_GZIP},
        _truncated,
    ),
    "bad-json": ("a record's JSON ends two thirds in; all lengths are right", {Reason.BAD_JSON}, _half_json),
    "length-short": (
        "Content-Length of a record is 100 bytes too small",
        {Reason.BAD_LENGTH, Reason.BAD_JSON},
        lambda records: _with_length(records, lambda length: str(length - 100)),
    ),
    "length-long": (
        "Content-Length of a record is 5000 bytes too large: it reaches past its gzip member",
        {Reason.BAD_LENGTH, Reason.TRUNCATED_RECORD, Reason.BAD_JSON},
        lambda records: _with_length(records, lambda length: str(length + 5000)),
    ),
    "length-word": (
        "Content-Length of a record is a word",
        {Reason.BAD_LENGTH, Reason.BAD_HEADER},
        lambda records: _with_length(records, lambda _: "many"),
    ),
    "long-header": (
        "a record has a header field of 3 MiB",
        {Reason.BAD_HEADER, Reason.TOO_LARGE},
        lambda records: _joined(
            records, lambda data: data.replace(b"\r\n\r\n", b"\r\nX-Padding: " + b"a" * _LONG_HEADER + b"\r\n\r\n", 1)
        ),
    ),
    "not-utf8": (
        "an alt in a record's JSON holds bytes that are no UTF-8",
        {Reason.BAD_ENCODING, Reason.BAD_JSON},
        lambda records: _in_alt(records, b"of \xff\xfe\x80 dog"),
    ),
    "lone-surrogate": (
        "an alt in a record's JSON holds half of a surrogate pair as an escape: valid JSON, no valid text",
        {Reason.BAD_ENCODING, Reason.BAD_JSON},
        lambda records: _in_alt(records, b"of \\ud83d dog"),
    ),
    "garbage-between": (
        "garbage lies between two whole gzip members: no page is lost",
        {Reason.BROKEN_GZIP, Reason.NOT_AN_ARCHIVE},
        _with_garbage,
    ),
    "one-member": ("the archive was compressed anew as a single gzip member: nothing is lost", set(), _one_member),
    "not-an-archive": (
        "an HTML page under an archive's name",
        {Reason.NOT_AN_ARCHIVE, Reason.BROKEN_GZIP},
        lambda _: _Broken(b"<!DOCTYPE html><title>404</title><p>This snapshot has moved.</p>\n" * 40, 0, _ALL),
    ),
    "gzip-of-text": (
        "a gzip file that holds no WARC record",
        {Reason.NOT_AN_ARCHIVE, Reason.BAD_HEADER},
        lambda _: _Broken(gzip_member(b"crawl-data/segment.warc.gz\n" * 400), 0, _ALL),
    ),
    "empty": (
        "a file of 0 bytes",
        {Reason.NOT_AN_ARCHIVE, Reason.TRUNCATED_RECORD},
        lambda _: _Broken(b"", 0, _ALL),
    ),
}
