"""Every damaged archive is damaged as it says, and nowhere else."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pytest
from archive_reading import Read, read_archive, read_member

from curation.errors import Reason
from curation.testing import EdgeArchive, EdgeArchives, EdgePage, build_edge_archives

NAMES = (
    "broken-member", "bad-checksum", "truncated", "bad-json", "length-short", "length-long", "length-word",
    "long-header", "not-utf8", "lone-surrogate", "garbage-between", "one-member", "not-an-archive", "gzip-of-text",
    "empty",
)  # fmt: skip
WHOLE = {"not-an-archive", "gzip-of-text", "empty"}


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> EdgeArchives:
    return build_edge_archives(tmp_path_factory.mktemp("edges"))


def test_all_kinds_are_there(edges: EdgeArchives) -> None:
    assert tuple(archive.name for archive in edges.archives) == NAMES
    assert {archive.path for archive in edges.archives} == set(edges.folder.iterdir())


def test_same_bytes_twice(edges: EdgeArchives, tmp_path: Path) -> None:
    again = build_edge_archives(tmp_path)
    for one, two in zip(edges.archives, again.archives, strict=True):
        assert one.path.read_bytes() == two.path.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_expectations_are_complete(edges: EdgeArchives, name: str) -> None:
    archive = edges[name]
    readable = {page.url for page in archive.readable}
    assert not readable & set(archive.damage.lost)
    assert len(readable) + len(archive.damage.lost) == 7
    assert bool(archive.damage.reasons) == (name != "one-member")
    assert archive.damage.reasons <= set(Reason)
    assert len(archive.damage.lost) == (7 if name in WHOLE else 0 if name in ("garbage-between", "one-member") else 1)


def members(archive: EdgeArchive) -> dict[int, bytes]:
    """Inflated bytes of every gzip member found by its magic number, by offset; damaged ones are left out."""
    data, found, offset = archive.path.read_bytes(), {}, -1
    while (offset := data.find(b"\x1f\x8b\x08", offset + 1)) >= 0:
        try:
            inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            content = inflate.decompress(data[offset:])
        except zlib.error:
            continue
        if inflate.eof:
            found[offset] = content
    return found


def page_of(record: Read) -> EdgePage | None:
    """The page a record describes, by json alone."""
    envelope = record.json["Envelope"]["Payload-Metadata"]
    html = envelope.get("HTTP-Response-Metadata", {}).get("HTML-Metadata")
    if html is None:
        return None
    (link,) = html["Links"]
    return EdgePage(record.fields["WARC-Target-URI"], link["url"], link["alt"])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WHOLE | {"one-member"}])
def test_all_other_members_are_whole(edges: EdgeArchives, name: str) -> None:
    archive = edges[name]
    data = archive.path.read_bytes()
    pages = []
    for offset in members(archive):
        if offset == archive.damage.offset and name != "garbage-between":
            continue
        record = read_member(data, offset)
        if record.fields["WARC-Type"] == "metadata":
            pages.append(page_of(record))
    assert tuple(page for page in pages if page is not None) == archive.readable


@pytest.mark.parametrize("name", [name for name in NAMES if name != "one-member"])
def test_a_naive_reader_fails(edges: EdgeArchives, name: str) -> None:
    """gzip + json + decoding to real text over the whole file does not get through it."""

    def read_all() -> None:
        records = read_archive(edges[name].path)
        if not records:
            raise ValueError("no records")
        for record in records:
            if max(map(len, record.fields.values())) > 1 << 16:
                raise ValueError("absurd header")
            if record.fields["WARC-Type"] == "metadata":
                json.dumps(json.loads(record.block), ensure_ascii=False).encode("utf-8")

    with pytest.raises((zlib.error, ValueError)):
        read_all()


def damaged(archive: EdgeArchive) -> bytes:
    return members(archive)[archive.damage.offset]


def test_broken_member_and_truncated_end_do_not_inflate(edges: EdgeArchives) -> None:
    for name in ("broken-member", "bad-checksum", "truncated"):
        archive = edges[name]
        assert archive.path.read_bytes()[archive.damage.offset :].startswith(b"\x1f\x8b\x08")
        assert archive.damage.offset not in members(archive)
        with pytest.raises((zlib.error, EOFError, OSError)):
            gzip.decompress(archive.path.read_bytes())
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    checksum = edges["bad-checksum"]
    content = inflate.decompress(checksum.path.read_bytes()[checksum.damage.offset + 10 :])
    assert checksum.damage.lost[0].encode() in content


def test_bad_json_has_right_lengths(edges: EdgeArchives) -> None:
    archive = edges["bad-json"]
    record = read_member(archive.path.read_bytes(), archive.damage.offset)
    with pytest.raises(json.JSONDecodeError):
        json.loads(record.block)


@pytest.mark.parametrize(("name", "excess"), [("length-short", -100), ("length-long", 5000)])
def test_wrong_lengths_are_wrong_by_what_they_say(edges: EdgeArchives, name: str, excess: int) -> None:
    head, _, block = damaged(edges[name]).partition(b"\r\n\r\n")
    declared = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert declared - len(block.removesuffix(b"\r\n\r\n")) == excess
    json.loads(block)


def test_length_word_and_long_header(edges: EdgeArchives) -> None:
    assert b"Content-Length: many\r\n" in damaged(edges["length-word"])
    head, _, block = damaged(edges["long-header"]).partition(b"\r\n\r\n")
    assert len(head) > 3 << 20
    json.loads(block)


def test_encodings(edges: EdgeArchives) -> None:
    block = damaged(edges["not-utf8"]).partition(b"\r\n\r\n")[2]
    with pytest.raises(UnicodeDecodeError):
        block.decode("utf-8")
    json.loads(block.decode("utf-8", "replace"))
    block = damaged(edges["lone-surrogate"]).partition(b"\r\n\r\n")[2]
    response = json.loads(block)["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
    with pytest.raises(UnicodeEncodeError):
        response["HTML-Metadata"]["Links"][0]["alt"].encode("utf-8")


def test_garbage_is_no_member(edges: EdgeArchives) -> None:
    archive = edges["garbage-between"]
    assert archive.path.read_bytes()[archive.damage.offset :].startswith(b"\x00garbage")


def test_one_member_loses_nothing(edges: EdgeArchives) -> None:
    (content,) = members(edges["one-member"]).values()
    assert content.count(b"WARC/1.0\r\n") == 9
    assert all(page.alt.encode() in content for page in edges["one-member"].readable)


def test_not_archives(edges: EdgeArchives) -> None:
    assert edges["empty"].path.read_bytes() == b""
    assert members(edges["not-an-archive"]) == {}
    (content,) = members(edges["gzip-of-text"]).values()
    assert b"WARC/" not in content
