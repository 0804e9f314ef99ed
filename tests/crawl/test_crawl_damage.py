"""Damaged archives: nothing raises or hangs, and every record that the damage does not touch is kept."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from crawl_archives import numbered_record, read, reasons_of, record, texts_of, write

from curation.crawl.urls import media_id

COUNT = 25
RECORDS = [numbered_record(number) for number in range(COUNT)]
MUTATIONS = 160


def damaged(parts: list[bytes], dice: random.Random) -> tuple[bytes, set[int]]:
    """The parts with one random damage, and the numbers of those that it touches."""
    data = b"".join(parts)
    start = dice.randrange(len(data))
    length = dice.choice([1, 1, 1, 2, 5, 40, 300])
    kind = dice.choice(["flip", "zero", "noise", "delete", "insert", "cut", "repeat"])
    hit = data[start : start + length]
    noise = bytes(dice.randrange(256) for _ in hit)
    replacement = {
        "flip": bytes([hit[0] ^ 1 << dice.randrange(8)]) + hit[1:],
        "zero": bytes(len(hit)),
        "noise": noise,
        "delete": b"",
        "insert": noise + hit,
        "cut": b"",
        "repeat": hit + hit,
    }[kind]
    stop = len(data) if kind == "cut" else start + len(hit)
    bounds = [sum(map(len, parts[:index])) for index in range(len(parts) + 1)]
    touched = {n for n in range(len(parts)) if bounds[n] < stop and bounds[n + 1] > start}
    return data[:start] + replacement + data[stop:], touched


@pytest.mark.parametrize("name", ["x.wat.gz", "x.wat"])
def test_untouched_records_survive_any_damage(tmp_path: Path, name: str) -> None:
    parts = [gzip.compress(item, mtime=0) for item in RECORDS] if name.endswith(".gz") else RECORDS
    dice = random.Random(20240522)
    bounds = {sum(map(len, parts[:index])) for index in range(len(parts))}
    rejected = 0
    for mutation in range(MUTATIONS // 2):
        data, touched = damaged(parts, dice)
        path = tmp_path / name
        path.write_bytes(data)
        rows, log = read(path)
        kept = set(texts_of(rows))
        expected = {f"text {n}" for n in range(COUNT) if n not in touched}
        assert expected <= kept, (mutation, sorted(touched), sorted(expected - kept), log.rejections)
        assert len(log.rejections) <= 2 * len(touched) + 1, (mutation, log.rejections)
        # Without checksums a changed letter cannot be noticed, and a file cut between members is a whole file.
        if len(kept) < COUNT and name.endswith(".gz") and len(data) not in bounds:
            assert log.rejections, (mutation, "a record was lost without a word")
        rejected += len(log.rejections)
    assert rejected > MUTATIONS // 4


def test_untouched_records_survive_damage_in_one_large_member_up_to_it(tmp_path: Path) -> None:
    dice = random.Random(7)
    packed = gzip.compress(b"".join(RECORDS), mtime=0)
    path = tmp_path / "x.wat.gz"
    for _ in range(20):
        at = dice.randrange(20, len(packed))
        path.write_bytes(packed[:at] + bytes([packed[at] ^ 1 << dice.randrange(8)]) + packed[at + 1 :])
        rows, log = read(path)
        assert [reason for _, reason in reasons_of(log)] == ["broken_gzip"]
        assert rows == []  # so small a member is only trusted once its checksum is right


def test_every_kind_of_damage_at_once(tmp_path: Path) -> None:
    broken = bytearray(gzip.compress(RECORDS[1]))
    broken[60] ^= 0xFF
    parts = [
        gzip.compress(RECORDS[0]),
        bytes(broken),
        gzip.compress(record(b'{"Envelope": nope')),
        gzip.compress(RECORDS[2]),
        gzip.compress(record(b"{}", length=-1)),
        gzip.compress(record(b"{}", length=9999)),
        gzip.compress(b"WARC/1.0\r\nX: " + b"y" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}\r\n\r\n"),
        gzip.compress(record(b'{"x": "\xff"}')),
        gzip.compress(RECORDS[3]),
        gzip.compress(record(b'{"Envelope": {}}', length=9)),
        gzip.compress(RECORDS[4])[:-30],
    ]
    rows, log = read(write(tmp_path / "x.wat", parts))
    assert texts_of(rows) == ["text 0", "text 2", "text 3"]
    starts = [sum(map(len, parts[:index])) for index in range(len(parts))]
    assert reasons_of(log) == [
        (starts[1], "broken_gzip"),
        (starts[2], "bad_json"),
        (starts[4], "bad_length"),
        (starts[5], "truncated_record"),
        (starts[6], "bad_header"),
        (starts[7], "bad_encoding"),
        (starts[9], "bad_length"),
        (starts[10], "broken_gzip"),
    ]
    assert {rejection.file for rejection in log.rejections} == {str(tmp_path / "x.wat")}
    assert all(rejection.detail for rejection in log.rejections)
    assert rows[0]["media_id"] == media_id("https://example.com/0.jpg")
