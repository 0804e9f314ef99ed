"""Framing: whatever the file looks like, its records come out, and damage costs no more than it touches."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from crawl_archives import reasons_of, record
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from curation.crawl import ReadLog, streams
from curation.crawl.records import WarcRecord, read_records
from curation.crawl.streams import Window

BLOCKS = [b'{"n":%d,"filler":"%s"}' % (n, bytes(97 + (n + k * k) % 26 for k in range(50))) for n in range(6)]
RECORDS = [record(block) for block in BLOCKS]


def frame(data: bytes, name: str = "x.wat.gz", limit: int = 1 << 20) -> tuple[list[WarcRecord], ReadLog]:
    log = ReadLog(name)
    return list(read_records(Window(io.BytesIO(data)), name, log, limit)), log


def blocks_of(records: Sequence[WarcRecord]) -> list[bytes]:
    return [item.block for item in records]


def members(items: Sequence[bytes]) -> bytes:
    return b"".join(gzip.compress(item, mtime=0) for item in items)


def offsets(items: Sequence[bytes]) -> list[int]:
    return [sum(map(len, items[:index])) for index in range(len(items))]


# ------------------------------------------------------------------------------------------ properties

_BLOCK = st.lists(st.sampled_from([b"{}", b"\r\n", b"\n\n", b"a", b"\x1f\x8b\x08", b"\x00\xff", b"WARC"]), max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(_BLOCK.map(b"".join), min_size=1, max_size=8), st.integers(9, 400), st.integers(9, 400), st.data())
def test_records_come_out_as_they_went_in(blocks: list[bytes], read: int, piece: int, data: st.DataObject) -> None:
    records = [record(block) for block in blocks]
    joined = b"".join(records)
    cuts = sorted(set(data.draw(st.lists(st.integers(1, len(joined)), max_size=6))) | {len(joined)})
    parts = [joined[start:stop] for start, stop in zip([0, *cuts], cuts, strict=False)]
    packed = [gzip.compress(item) for item in records]
    member_starts = offsets([gzip.compress(part) for part in parts])
    record_starts = offsets(records)
    member_of = [sum(cut <= at for cut in cuts) for at in record_starts]
    within = [member_starts[index] for index in member_of]
    with (
        patch.object(streams, "READ_BYTES", read),
        patch("curation.crawl.members.FEED_BYTES", piece),
        patch("curation.crawl.members.HELD_BYTES", piece),
    ):
        for data_, expected in (
            (joined, record_starts),
            (b"".join(packed), offsets(packed)),
            (b"".join(gzip.compress(part) for part in parts), within),
        ):
            found, log = frame(data_)
            assert log.rejections == []
            assert blocks_of(found) == blocks
            assert [item.offset for item in found] == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 5), st.data(), st.booleans())
def test_damage_in_one_gzip_member_costs_that_record(victim: int, data: st.DataObject, cut: bool) -> None:
    packed = [gzip.compress(item, mtime=0) for item in RECORDS]
    size = len(packed[victim])
    at = data.draw(st.integers(10, size - 1))  # behind the header, of which several bytes mean nothing
    if cut:
        packed[victim] = packed[victim][:at]
    else:
        flipped = bytes([packed[victim][at] ^ data.draw(st.integers(1, 255))])
        packed[victim] = packed[victim][:at] + flipped + packed[victim][at + 1 :]
    assume(not _is_whole(packed[victim]))  # the bits that fill up deflate's last byte mean nothing
    found, log = frame(b"".join(packed))
    assert blocks_of(found) == BLOCKS[:victim] + BLOCKS[victim + 1 :]
    assert reasons_of(log) == [(offsets(packed)[victim], "broken_gzip")]


def _is_whole(member: bytes) -> bool:
    try:
        return bool(gzip.decompress(member))
    except (OSError, EOFError, zlib.error):
        return False


# ------------------------------------------------------------------------------------------- framings


def test_line_feeds_alone_end_header_lines_and_blocks() -> None:
    data = b"".join(item.replace(b"\r\n", b"\n") for item in RECORDS)
    found, log = frame(data)
    assert (blocks_of(found), log.rejections) == (BLOCKS, [])


def test_header_names_are_case_insensitive_and_old_versions_are_read() -> None:
    data = RECORDS[0].replace(b"Content-Length", b"CONTENT-LENGTH").replace(b"WARC/1.0", b"WARC/0.18") + RECORDS[1]
    found, log = frame(data)
    assert (blocks_of(found), log.rejections) == (BLOCKS[:2], [])


def test_the_name_does_not_decide_what_is_compressed() -> None:
    assert blocks_of(frame(b"".join(RECORDS), "x.wat.gz")[0]) == BLOCKS
    assert blocks_of(frame(members(RECORDS), "x.wat")[0]) == BLOCKS


def test_zero_padding_and_empty_members_mean_nothing() -> None:
    found, log = frame(gzip.compress(b"") + members(RECORDS) + gzip.compress(b"") + b"\0" * 5000)
    assert (blocks_of(found), log.rejections) == (BLOCKS, [])


# --------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("read", range(1, 60))
def test_the_next_header_is_found_across_reads(read: int) -> None:
    with patch.object(streams, "READ_BYTES", read):
        found, _ = frame(b"".join([*RECORDS[:2], record(BLOCKS[2], length="x"), *RECORDS[3:]]))
    assert blocks_of(found) == BLOCKS[:2] + BLOCKS[3:]


def test_a_truncated_file_loses_its_last_record_only() -> None:
    packed = [gzip.compress(item, mtime=0) for item in RECORDS]
    found, log = frame(b"".join(packed)[:-20])
    assert blocks_of(found) == BLOCKS[:-1]
    assert reasons_of(log) == [(offsets(packed)[-1], "broken_gzip")]
    found, log = frame(b"".join(RECORDS)[:-30])
    assert blocks_of(found) == BLOCKS[:-1]
    assert reasons_of(log) == [(offsets(RECORDS)[-1], "truncated_record")]
    found, log = frame(b"".join(RECORDS[:2]) + RECORDS[2][:40])
    assert reasons_of(log) == [(offsets(RECORDS)[2], "truncated_record")]


def test_damage_in_one_large_member_keeps_what_came_before_it() -> None:
    joined = b"".join(record(b'{"n":%d}' % n + zlib.compress(b"%d" % n)) for n in range(20_000))
    packed = bytearray(gzip.compress(joined, 1, mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    with patch("curation.crawl.members.HELD_BYTES", 1 << 16):
        found, log = frame(bytes(packed) + members(RECORDS))
    assert 5_000 < len(found) < 15_000
    assert blocks_of(found)[-len(BLOCKS) :] == BLOCKS
    assert (0, "broken_gzip") in reasons_of(log)


def test_bytes_between_and_after_members() -> None:
    packed = [gzip.compress(item, mtime=0) for item in RECORDS]
    between = b"\x1f\x8b\x08 no member \x1f\x8b\x08"
    found, log = frame(packed[0] + between[5:] + b"".join(packed[1:]) + b"end")
    assert blocks_of(found) == BLOCKS
    end = len(b"".join(packed)) + len(between) - 5
    assert reasons_of(log) == [(len(packed[0]), "broken_gzip"), (end, "broken_gzip")]
    assert "reading goes on at byte" in str(log.rejections[0].detail)
    assert "nothing readable follows" in str(log.rejections[1].detail)


def test_a_damaged_beginning_does_not_hide_the_archive() -> None:
    for data, name in ((members(RECORDS), "x.wat.gz"), (b"".join(RECORDS), "x.wat")):
        found, log = frame(b"XXXXXXXXXX" + data[10:], name)
        assert blocks_of(found) == BLOCKS[1:]
        assert [offset for offset, _ in reasons_of(log)] == [0]


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        ("", "bad_length"),
        (-5, "bad_length"),
        ("12x", "bad_length"),
        (10**30, "bad_length"),
        (10**12, "too_large"),
        (len(BLOCKS[2]) - 7, "bad_length"),
        (len(BLOCKS[2]) + 100, "bad_length"),
        (len(BLOCKS[2]) + 100_000, "truncated_record"),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_wrong_lengths_cost_their_record_only(length: object, reason: str, compressed: bool) -> None:
    wrong = [*RECORDS[:2], record(BLOCKS[2], length=length), *RECORDS[3:]]
    items = [gzip.compress(item, mtime=0) for item in wrong] if compressed else wrong
    found, log = frame(b"".join(items))
    assert blocks_of([item for item in found if not item.suspect]) == BLOCKS[:2] + BLOCKS[3:]
    if compressed and isinstance(length, int) and length == len(BLOCKS[2]) + 100:
        reason = "truncated_record"  # its member ends before that
    assert reasons_of(log) == [(offsets(items)[2], reason)]


@pytest.mark.parametrize("compressed", [True, False])
def test_absurd_headers_cost_their_record_only(compressed: bool) -> None:
    long = RECORDS[1].replace(b"WARC-Type", b"X-Long: " + b"y" * 100_000 + b"\r\nWARC-Type")
    latin = RECORDS[3].replace(b"metadata", b"metad\xe4ta")
    wrong = [RECORDS[0], long, RECORDS[2], latin, RECORDS[4], b"junk\r\n" * 3, RECORDS[5]]
    items = [gzip.compress(item, mtime=0) for item in wrong] if compressed else wrong
    found, log = frame(b"".join(items))
    kept = [block for item, block in zip(found, blocks_of(found), strict=True) if not item.suspect]
    assert set(kept) >= {BLOCKS[0], BLOCKS[2], BLOCKS[5]}
    assert BLOCKS[4] in blocks_of(found)
    at = offsets(items)
    junk = (at[5], "bad_header") if compressed else (at[4], "bad_length")
    assert reasons_of(log) == [(at[1], "bad_header"), (at[3], "bad_encoding"), junk]


def test_a_bomb_is_refused_without_inflating_it() -> None:
    megabyte = b" " * (1 << 20)
    packer = zlib.compressobj(wbits=31)
    head = b"WARC/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (200 << 20)
    bomb = packer.compress(head) + b"".join(packer.compress(megabyte) for _ in range(200)) + packer.flush()
    inflated = 0

    def count(step: bytes | None) -> None:
        nonlocal inflated
        inflated += len(step or b"")

    original = _member_step()
    with patch("curation.crawl.members._Member.step", lambda self: _counted(original, self, count)):
        found, log = frame(members(RECORDS[:1]) + bomb + members(RECORDS[1:]), limit=1 << 20)
    assert blocks_of(found) == BLOCKS
    assert reasons_of(log) == [(len(members(RECORDS[:1])), "too_large")]
    assert inflated < 80 << 20


def _member_step() -> object:
    from curation.crawl.members import _Member

    return _Member.step


def _counted(step: object, member: object, count: object) -> object:
    data = step(member)  # type: ignore[operator]
    count(data)  # type: ignore[operator]
    return data


def test_a_too_large_record_in_the_middle_of_a_member() -> None:
    joined = b"".join([*RECORDS[:2], record(b"x" * 5000), *RECORDS[2:]])
    for data in (joined, gzip.compress(joined)):
        found, log = frame(data, limit=2000)
        assert blocks_of(found) == BLOCKS
        assert [reason for _, reason in reasons_of(log)] == ["too_large"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"<!DOCTYPE html><title>404</title>",
        gzip.compress(b"<!DOCTYPE html><title>404</title>"),
        gzip.compress(b""),
        bytes(range(256)) * 50,
        zlib.compress(b"x" * 1000),
        b"PK\x03\x04" + bytes(1000),
        b"WAR",
    ],
)
@pytest.mark.parametrize("name", ["x.wat.gz", "x.wat"])
def test_what_is_no_archive_is_said_to_be_none(data: bytes, name: str) -> None:
    found, log = frame(data, name)
    assert (found, reasons_of(log)) == ([], [(0, "not_an_archive")])


def test_a_broken_first_member_is_no_other_kind_of_file() -> None:
    packed = bytearray(gzip.compress(RECORDS[0]))
    packed[-1] ^= 1
    assert reasons_of(frame(bytes(packed))[1]) == [(0, "broken_gzip")]
