"""Reads thousands of damaged and hostile archives, and reports everything that is not as promised.

    python -m bench.fuzz FOLDER_OR_FILE ... [--count 2500] [--seed 0] [--first 0]

The archives (WARC and WAT, gzip or not) are cut into small ones of a few records; each case damages one of them in one
to three ways and reads it with both readers. Promised is: no exception, no more than LIMIT_SECONDS, log.unaccounted()
is 0, valid batches of the right schema, offsets within the file. The same seed and files give the same cases; with
--first N --count 1 case N is made alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from curation.crawl import Reading, ReadLog, warc_batches, wat_batches
from curation.schemas import CANDIDATES, SITE_RULES, Dataset

LIMIT_SECONDS = 20.0
READINGS = {"warc": Reading(page_seconds=5.0, batch_rows=1000), "wat": Reading(batch_rows=1000)}
VARIANTS = ("default", "default", "default", "v1-wat", "v1-warc", "v2")

_START = re.compile(rb"WARC/1\.\d\r?\n[A-Za-z]").search
_RECORDS_EACH = 6
_BYTES_EACH = 200_000
_LENGTH = re.compile(rb"(?i)(content-length:[ ]*)(\d+)")
_EXTREMES = (b"\0", b"\xff", b"<", b">", b'"', b"'", b"&", b"\r\n", b"\r\n\r\n", b"WARC/1.0\r\n", b"\x1f\x8b\x08", b"{")
_SOUP = (
    b"<a href=/x.mp4>", b"<figure><figcaption>c</figcaption>", b"<div>", b"<font id=1><p>", b"<table><tr>", b"<b><i>",
    b"<template>", b"<svg><title>", b"<noscript>", b"<picture><source srcset=\"a 2x, b 9w\">", b"<video><track src=t>",
    b"<object data=/v.mp4 title=t><param name=src value=/w.mp4>", b"<h1>h", b"<select><option>", b"<math><mi>", b"<!--",
    b"<iframe src=//youtu.be/dQw4w9WgXcQ>", b"<base href=//x.y/>", b"<img src=a alt=b>", b"<body lang=x>",
    b"<plaintext>",
    b"<script type=application/ld+json>{\"@type\":\"VideoObject\",\"name\":\"n\",\"contentUrl\":",
    b"<div itemscope itemtype=//schema.org/VideoObject><meta itemprop=contentUrl content=/q.mp4><p itemprop=name>",
    b"<meta property=og:image content=a><meta property=og:title content=t>", b"&#xD800;&#0;&amp;&bogus;&#x10FFFF;",
)  # fmt: skip


class Sample(NamedTuple):
    """A few records of an archive, whole."""

    name: str
    records: tuple[bytes, ...]


def samples(paths: Sequence[Path]) -> list[Sample]:
    """The archives of files and folders, cut small."""
    files = [file for path in paths for file in (sorted(path.rglob("*.warc*")) if path.is_dir() else [path])]
    return [sample for file in files for sample in _cut(file)]


def _cut(path: Path) -> Iterator[Sample]:
    data = path.read_bytes()
    text = b"".join(_inflated(data)) if data[:2] == b"\x1f\x8b" else data
    starts = []
    found = _START(text)
    while found:
        starts.append(found.start())
        found = _START(text, found.end())
    held: list[bytes] = []
    for start, stop in zip(starts, [*starts, len(text)][1:], strict=True):
        if held and (len(held) >= _RECORDS_EACH or sum(map(len, held)) + stop - start > _BYTES_EACH):
            yield Sample(path.name, tuple(held))
            held = []
        if stop - start <= _BYTES_EACH:
            held.append(text[start:stop])
    if held:
        yield Sample(path.name, tuple(held))


def _inflated(data: bytes) -> Iterator[bytes]:
    """What can be inflated of members in a row."""
    while data[:2] == b"\x1f\x8b":
        member = zlib.decompressobj(31)
        try:
            yield member.decompress(data)
        except zlib.error:
            return
        data = member.unused_data


# ---------------------------------------------------------------------------------------------- damage

Mutation = Callable[[bytes, random.Random], bytes]


def _flip(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 8, 50])):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut_off(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] if dice.random() < 0.7 else data[at:]


def _move(data: bytes, dice: random.Random) -> bytes:
    """A block deleted, doubled, moved, zeroed or made noise."""
    start = dice.randrange(len(data))
    size = dice.choice([1, 3, 20, 300, 5000, 60_000])
    block, rest = data[start : start + size], data[:start] + data[start + size :]
    kind = dice.choice(["delete", "double", "move", "zero", "noise", "insert"])
    if kind == "delete":
        return rest
    if kind == "move":
        at = dice.randrange(len(rest) + 1)
        return rest[:at] + block + rest[at:]
    new = {"double": block * dice.choice([2, 3, 9]), "zero": bytes(len(block)), "noise": dice.randbytes(len(block))}
    return data[:start] + new.get(kind, dice.randbytes(size) + block) + data[start + size :]


def _lengths(data: bytes, dice: random.Random) -> bytes:
    """One Content-Length wrong, or two of them swapped."""
    found = list(_LENGTH.finditer(data))
    if not found:
        return data
    match = dice.choice(found)
    right = int(match[2])
    wrong: list[object] = [0, 1, -1, right + 1, right - 1, right * 2, right // 2, 10**9, 10**30]
    wrong += ["x", "", " 5 6", "\u0665"]
    wrong += [dice.choice(found)[2].decode(), dice.randrange(right + 100)]
    new = str(dice.choice(wrong)).encode()
    return data[: match.start(2)] + new + data[match.end(2) :]


def _extreme(data: bytes, dice: random.Random) -> bytes:
    """Bytes with a meaning where they do not belong."""
    for _ in range(dice.choice([1, 3, 30])):
        at = dice.randrange(len(data) + 1)
        data = data[:at] + dice.choice(_EXTREMES) + data[at + dice.randrange(3) :]
    return data


def _drop_quotes(data: bytes, dice: random.Random) -> bytes:
    rate = dice.choice([0.01, 0.2, 1.0])
    return re.sub(rb"[\"'>]", lambda match: b"" if dice.random() < rate else match[0], data)


def _soup(data: bytes, dice: random.Random) -> bytes:
    """Tags that nest, that restructure the page or that are read, once or thousands of times."""
    for _ in range(dice.choice([1, 5])):
        at = dice.randrange(len(data) + 1)
        data = data[:at] + dice.choice(_SOUP) * dice.choice([1, 1, 30, 300, 3000]) + data[at:]
    return data


def _attributes(data: bytes, dice: random.Random) -> bytes:
    """A huge attribute, many of them, or a value replaced."""
    spaces = [match.start() for match in re.finditer(rb" [a-z]+=", data)][:5000]
    at = dice.choice(spaces) if spaces else dice.randrange(len(data) + 1)
    huge = dice.choice([b"x", b"a b,", b"%00", b"\xf0\x9f\x98\x80", b"&lt;", b"../"]) * dice.choice([10, 1000, 40_000])
    many = b"".join(b" a%d=%d" % (n, n) for n in range(dice.choice([3, 500])))
    name = dice.choice([b"alt", b"src", b"srcset", b"href", b"title", b"content", b"width", b"data-src", b"itemprop"])
    return data[:at] + dice.choice([b' %s="%s"' % (name, huge), many]) + data[at:]


def _charset(data: bytes, dice: random.Random) -> bytes:
    """The page in another charset than it says, or one that does not exist."""
    kind = dice.choice(["claim", "recode", "noise", "escape"])
    if kind == "claim":
        name = dice.choice([b"utf-16", b"shift_jis", b"x-user-defined", b"nonsense\0", b"iso-2022-kr", b"hz"])
        return re.sub(rb"(?i)charset=[\"']?[\w-]+", b"charset=" + name, data)
    if kind == "recode":
        return data.decode("utf-8", "replace").encode(dice.choice(["utf-16", "utf-7", "gb18030", "utf-32"]))
    if kind == "noise":
        return re.sub(rb"[aeiou]", lambda match: dice.randbytes(1) if dice.random() < 0.05 else match[0], data)
    return re.sub(rb"[aeiou]", lambda _: dice.choice([rb"\ud800", rb"\u0000", b"e", b"&#0;"]), data, count=40)


def _json(data: bytes, dice: random.Random) -> bytes:
    """JSON, or what is left of it: brackets, types and nesting changed."""
    marks = [match.start() for match in re.finditer(rb'[{}\[\]:,"]', data)]
    for _ in range(dice.choice([1, 4])):
        if marks:
            at = dice.choice(marks)
            new = dice.choice([b"", b"null", b"[" * 2000, b"{}", b"[[[]]]", b'"', b"1e999", b'{"@id":"a"},', b"true,"])
            data = data[:at] + new + data[at + dice.randrange(2) :]
    return data


_ON_BYTES: tuple[Mutation, ...] = (_flip, _cut_off, _move, _extreme, _lengths)
_ON_BLOCKS: tuple[Mutation, ...] = (
    _flip, _move, _cut_off, _extreme, _drop_quotes, _soup, _soup, _attributes, _charset, _json,
)  # fmt: skip


def _blocks(records: list[bytes], dice: random.Random) -> list[bytes]:
    """One record's block changed, its Content-Length right again; or records dropped, doubled, mixed up."""
    if dice.random() < 0.15:
        return dice.choices(records, k=dice.randrange(1, 2 + len(records)))
    at = dice.randrange(len(records))
    header, blank, block = records[at].partition(b"\r\n\r\n")
    block = block.removesuffix(b"\r\n\r\n")
    http, between, body = block.partition(b"\r\n\r\n")
    if between and dice.random() < 0.8:  # the page itself
        block = http + between + (dice.choice(_ON_BLOCKS)(body, dice) if body else body)
    elif block:
        block = dice.choice(_ON_BLOCKS)(block, dice)
    header = _LENGTH.sub(rb"\g<1>%d" % len(block), header, count=1)
    return [*records[:at], header + blank + block + b"\r\n\r\n", *records[at + 1 :]]


def damaged(sample: Sample, dice: random.Random) -> tuple[str, bytes]:
    """Name and bytes of an archive made from a sample: damaged inside, outside or both, in any framing."""
    records = list(sample.records)
    for _ in range(dice.choice([0, 1, 1, 2])):
        records = _blocks(records, dice)
    if dice.random() < 0.3:
        records = [dice.choice(_ON_BYTES)(b"".join(records) or b"x", dice)]
    framing = dice.choice(["plain", "each", "each", "whole"])
    if framing == "plain":
        data = b"".join(records)
    else:
        parts = records if framing == "each" else [b"".join(records)]
        data = b"".join(gzip.compress(part, 1, mtime=0) for part in parts)
    if dice.random() < 0.4:
        data = dice.choice(_ON_BYTES)(data or b"x", dice)
    stem = sample.name.removesuffix(".gz")
    return (stem if framing == "plain" and dice.random() < 0.9 else stem + ".gz"), data


# ------------------------------------------------------------------------------------------ what is promised


def broken_promises(path: Path, kind: str, variant: str) -> tuple[list[str], ReadLog]:
    """Reads an archive; what was not as promised, and the log. Exceptions are the caller's to see."""
    log = ReadLog(str(path))
    base = READINGS[kind]
    reading = Reading(variant, page_seconds=base.page_seconds, batch_rows=base.batch_rows)
    size = path.stat().st_size
    found: list[str] = []
    rows = 0
    batches: Iterator[tuple[Dataset, Any]]
    if kind == "warc":
        batches = warc_batches(str(path), log, reading)
    else:
        batches = ((CANDIDATES, batch) for batch in wat_batches(str(path), log, reading))
    for dataset, batch in batches:
        batch.validate(full=True)
        rows += batch.num_rows if dataset is CANDIDATES else 0
        if dataset not in (CANDIDATES, SITE_RULES) or not batch.schema.equals(dataset.schema, check_metadata=True):
            found.append(f"schema {batch.schema.names}")
        found += [
            f"nulls in {field.name}"
            for field in dataset.schema
            if not field.nullable and batch.column(field.name).null_count
        ]
        offsets = batch.column("record_offset").to_pylist()
        if offsets and not 0 <= min(offsets) <= max(offsets) < size:
            found.append(f"offsets {min(offsets)} to {max(offsets)} of {size}")
    offsets = [rejection.offset for rejection in log.rejections if rejection.offset is not None]
    if offsets and not 0 <= min(offsets) <= max(offsets) <= size:
        found.append(f"rejections at {min(offsets)} to {max(offsets)} of {size}")
    if log.unaccounted() or rows != log.counts["rows"]:
        found.append(f"{log.unaccounted()} texts unaccounted for, {rows} rows: {dict(log.counts)}")
    return found, log


def _worker(pipe: Connection, paths: Sequence[Path], seed: int, folder: str) -> None:
    """Makes and reads the cases whose numbers come through the pipe; an exception ends it."""
    archives = samples(paths)
    pipe.send(len(archives))
    while True:
        number = pipe.recv()
        dice = random.Random(f"{seed}/{number}")
        name, data = damaged(dice.choice(archives), dice)
        path = Path(folder, name)
        path.write_bytes(data)
        variant = dice.choice(VARIANTS)
        for kind in ("warc", "wat"):
            start = time.monotonic()
            found, log = broken_promises(path, kind, variant)
            pipe.send((kind, found, dict(log.counts), time.monotonic() - start))
        path.unlink()


class Fuzzer:
    """Runs cases in a worker process that is watched and, where it must be, replaced."""

    def __init__(self, paths: Sequence[Path], seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        self._arguments = (paths, seed, self._folder.name)
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest = (0.0, -1)
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_worker, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        self.samples = self._pipe.recv()

    def run(self, number: int) -> None:
        """Makes and reads one case; its traceback, if there is one, goes to stderr."""
        self.counts["archives"] += 1
        self._pipe.send(number)
        for kind in ("warc", "wat"):
            try:
                if not self._pipe.poll(LIMIT_SECONDS):
                    self._fail(number, f"{kind}: more than {LIMIT_SECONDS:g} s")
                    return
                _, found, counts, seconds = self._pipe.recv()
            except (EOFError, ConnectionError):
                self._fail(number, f"{kind}: ended with {self._process.exitcode}")
                return
            self.failures += [f"case {number}: {kind}: {what}" for what in found]
            self.counts.update({f"{kind}: {name}": n for name, n in counts.items()})
            self.slowest = max(self.slowest, (seconds, number))

    def _fail(self, number: int, what: str) -> None:
        self.failures.append(f"case {number}: {what}")
        self._process.kill()
        self._process.join()
        self._start()

    def close(self) -> None:
        """Ends the worker and removes its files."""
        self._process.kill()
        self._process.join()
        self._folder.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, help="archives, or folders of them")
    parser.add_argument("--count", type=int, default=2500)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    start = time.monotonic()
    fuzzer = Fuzzer(arguments.paths, arguments.seed)
    for number in range(arguments.first, arguments.first + arguments.count):
        fuzzer.run(number)
    fuzzer.close()
    slowest, case = fuzzer.slowest
    print(f"{fuzzer.samples} samples, {time.monotonic() - start:.0f} s; slowest: {slowest:.2f} s, case {case}")
    print(json.dumps(dict(sorted(fuzzer.counts.items())), indent=1))
    print("\n".join(fuzzer.failures) or "all as promised")
    return 1 if fuzzer.failures else 0


if __name__ == "__main__":
    sys.exit(main())
