"""Pages of dumps: every page once, whatever the ranges; broken dumps give what is left of them, and say so."""

from __future__ import annotations

import bz2
import random
import re
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from dump_builder import FOOTER, HEADER, Log, an_article, multistream, page_xml, read
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import Reason
from curation.vocabulary import dump, dump_bytes
from curation.vocabulary.dump import Page, namespace_names, pages, split

SLICE = "vocab/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes bytes to a file and gives its name."""

    def to_file(data: bytes, name: str = "dump.xml.bz2") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return to_file


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dumps")


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
PAGES = st.builds(Page, st.integers(1, 10**9), TEXTS, st.integers(-2, 2600), st.booleans(), TEXTS)
STREAMS = st.lists(st.lists(PAGES, max_size=4), max_size=6)


def in_ranges(path: str, cuts: list[int], size: int) -> tuple[list[Page], Log]:
    log = Log()
    edges = [0, *sorted(cut % (size + 1) for cut in cuts), size]
    return [page for start, end in pairwise(edges) for page in pages(path, start, end, log)], log


@settings(max_examples=150, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 10**6), max_size=8), st.sampled_from(["multi", "single", "plain"]))
def test_any_division_gives_every_page_once(
    scratch: Path, streams: list[list[Page]], cuts: list[int], form: str
) -> None:
    data = multistream(*streams)
    data = {"multi": data, "single": bz2.compress(bz2.decompress(data)), "plain": bz2.decompress(data)}[form]
    path = scratch / "division"
    path.write_bytes(data)
    expected = [page for stream in streams for page in stream]
    found, log = in_ranges(str(path), cuts, len(data))
    assert (found, log) == (expected, [])


@settings(max_examples=100, deadline=None)
@given(st.lists(PAGES, min_size=1, max_size=5), st.lists(st.integers(0, 10**6), max_size=12), st.data())
def test_pages_that_straddle_streams_are_read_once(
    scratch: Path, articles: list[Page], cuts: list[int], data: st.DataObject
) -> None:
    body = HEADER + b"".join(map(page_xml, articles)) + FOOTER
    at = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=9)))
    packed = b"".join(bz2.compress(body[start:end]) for start, end in pairwise([0, *at, len(body)]))
    path = scratch / "straddling"
    path.write_bytes(packed)
    assert in_ranges(str(path), cuts, len(packed))[0] == articles


def test_every_split_at_every_byte(write: Write) -> None:
    articles = [an_article(number) for number in range(6)]
    data = multistream(articles[:2], articles[2:3], articles[3:])
    path = write(data)
    for cut in range(len(data) + 1):
        assert in_ranges(path, [cut], len(data)) == (articles, [])


def test_what_looks_like_a_stream_neither_loses_nor_doubles_pages(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real magic never occurs by chance; with one of a single byte every third byte looks like a stream."""
    generator = random.Random(5)
    texts = ["".join(generator.choices("abcdefgh ", k=3000)) for _ in range(12)]
    articles = [an_article(number, text) for number, text in enumerate(texts)]
    data = multistream(articles[:5], articles[5:6], articles[6:])
    monkeypatch.setattr(dump_bytes, "_MAGIC", re.compile(rb"BZh[1-9]1AY&SY|[\x00-\x50]"))
    path = write(data)
    for parts in (2, 3, 7, 40):
        edges = [len(data) * part // parts for part in range(1, parts)]
        assert in_ranges(path, edges, len(data))[0] == articles


def test_split_covers_the_file() -> None:
    assert split(0) == [(0, 0)]
    assert split(10, 100) == [(0, 10)]
    for size, target in [(1000, 7), (999, 1000), (1, 1), (64 << 30, 64 << 20)]:
        ranges = split(size, target)
        assert ranges[0][0] == 0 and ranges[-1][1] == size
        assert all(first[1] == second[0] for first, second in pairwise(ranges))
        assert all(target / 2 <= end - start <= 2 * target for start, end in ranges) or len(ranges) == 1


def test_the_last_revision_counts_and_only_its_own_fields(write: Write) -> None:
    body = b"""<page><title>A &amp; B</title><ns>0</ns><id>3</id><revision><id>9</id><text>old</text></revision>
    <revision><id>10</id><contributor><id>11</id></contributor><text>new &lt;b&gt; &#955;
 line</text></revision></page>"""
    found, log = read(write(HEADER + body + FOOTER, "plain.xml"))
    assert (found, log) == ([Page(3, "A & B", 0, False, "new <b> λ\n line")], [])


def test_namespaces_are_those_of_the_header(write: Write) -> None:
    assert namespace_names(write(multistream([]))) == {-1: "Spezial", 6: "Datei", 14: "Kategorie"}
    assert namespace_names(write(b"")) == {}
    with pytest.raises(FileNotFoundError):
        namespace_names("/nowhere/dump.xml")
    with pytest.raises(FileNotFoundError):
        list(pages("/nowhere/dump.xml", 0, 1, Log()))


def test_a_remote_dump(write: Write) -> None:
    import fsspec

    data = multistream([an_article(1)], [an_article(2)])
    fsspec.filesystem("memory").pipe_file("/dumps/a.bz2", data)
    assert in_ranges("memory://dumps/a.bz2", [60, 200, 300], len(data)) == ([an_article(1), an_article(2)], [])


@pytest.mark.parametrize("form", ["multi", "single", "plain"])
def test_truncated_anywhere(write: Write, form: str) -> None:
    articles = [an_article(number, "word " * 40) for number in range(8)]
    data = multistream(articles[:3], articles[3:4], articles[4:])
    if form != "multi":
        data = bz2.decompress(data)
    if form == "single":
        data = bz2.compress(data)
    whole = data.rstrip()
    for size in range(4, len(whole) - 1, 11):
        found, log = read(write(whole[:size]))
        assert found == articles[: len(found)]
        if form == "plain" and size < len("<mediawiki"):
            assert log.reasons == [Reason.NOT_AN_ARCHIVE]
        else:
            assert log.reasons == [Reason.TRUNCATED_RECORD], size
            assert log[0][1] is not None
    lost = read(write(whole[:-5]))[0]
    assert lost == articles


def test_all_pages_before_a_cut_in_a_long_stream(write: Write) -> None:
    generator = random.Random(1)
    articles = [an_article(n, "".join(generator.choices("abcdefghijklmnop ", k=20_000))) for n in range(150)]
    data = bz2.compress(HEADER + b"".join(map(page_xml, articles)) + FOOTER, 1)
    found, log = read(write(data[: len(data) * 9 // 10]))
    assert 125 <= len(found) < 150 and found == articles[: len(found)]
    assert log.reasons == [Reason.TRUNCATED_RECORD]


def test_flipped_bytes_cost_a_stream_and_are_told(write: Write) -> None:
    articles = [an_article(number, "word " * 40) for number in range(9)]
    parts = [HEADER, *(b"".join(map(page_xml, articles[n : n + 3])) for n in (0, 3, 6)), FOOTER]
    packed = list(map(bz2.compress, parts))
    data = b"".join(packed)
    edges = [0]
    for part in packed:
        edges.append(edges[-1] + len(part))
    for at in [*range(20), *range(20, len(data), 3)]:
        broken = bytearray(data)
        broken[at] ^= 0x10
        stream = next(n for n in range(5) if edges[n] <= at < edges[n + 1])
        expected = [page for n in (1, 2, 3) if n != stream for page in articles[3 * n - 3 : 3 * n]]
        path = write(bytes(broken))
        found, log = read(path)
        if at in {0, 1, 2}:
            assert log.reasons == [Reason.NOT_AN_ARCHIVE]  # no bzip2 file at all any more
        elif at != 3:  # another level: still readable
            assert (found, bool(log)) in [(expected, True), (articles, False)], at  # some bits of a block mean nothing
        ranges_found, ranges_log = in_ranges(path, edges, len(data))
        assert ranges_found == found and bool(ranges_log) == bool(log), at


def test_a_broken_block_costs_no_page_before_it(write: Write) -> None:
    generator = random.Random(2)
    articles = [an_article(n, "".join(generator.choices("abcdefghijklmnop ", k=20_000))) for n in range(60)]
    data = bytearray(bz2.compress(HEADER + b"".join(map(page_xml, articles)) + FOOTER, 1))
    data[len(data) * 3 // 4] ^= 0x40
    found, log = read(write(bytes(data)))
    assert 38 <= len(found) < 50 and found == articles[: len(found)]
    assert log.reasons == [Reason.BROKEN_BZIP2]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (b"<page><title>Bad</title><ns>0</ns><id>2</id><revision><text>a & b</text></revision></page>", "Bad"),
        (b"<page><title>Bad</title><ns>0</ns><id>2</id><revision></page>", "Bad"),
        (b"<page><title>Bad</title><ns>0</ns><id>two</id></page>", "Bad"),
        (b"<page><title>Bad</title><id>2</id></page>", "no ns"),
        (b"<page><ns>0</ns><id>2</id></page>", "no title"),
        (b"<page><title>Bad</title><ns>0</ns><id>2</id>", "has no end"),
        (b"<page><title>Bad \xff</title><ns>0</ns><id>2</id></page>", "Bad"),
        (b"<page><title>Bad</title><ns>0</ns><id>2</id><revision><text>\x00</text></revision></page>", "Bad"),
        (b"<page><title>Bad</title><ns>0</ns><id>2</id><revision><text>&#xD800;</text></revision></page>", "Bad"),
        (b"<page><title>Bad</title><ns>0</ns><id>" + b"9" * 5000 + b"</id></page>", "Bad"),
        (b"<page><title>Bad</title>&lol9;</page>", "undefined entity"),
        (b'<page><!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><title>&b;</title></page>', "not well-formed"),
        (b"<page>" + b"<a>" * 100_000 + b"</page>", "mismatched"),
    ],
)
def test_a_malformed_page_costs_itself(write: Write, bad: bytes, told: str) -> None:
    body = page_xml(an_article(1)) + bad + page_xml(an_article(3))
    found, log = read(write(HEADER + body + FOOTER, "plain.xml"))
    assert found == [an_article(1), an_article(3)]
    assert log.reasons == [Reason.BAD_PAGE] and told in log[0][2]
    assert log[0][1] == (HEADER + body).index(bad)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n \n",
        b"<!DOCTYPE html><html><body>404 <page></page></body></html>",
        b"<?xml version='1.0'?><feed><page></page></feed>",
        bz2.compress(b""),
        bz2.compress(b"INSERT INTO `page` VALUES (1)"),
        b"\x1f\x8b\x08\x00" + bytes(100),
        "<mediawiki><page></page></mediawiki>".encode("utf-16"),
    ],
)
def test_what_is_no_dump_is_told_once(write: Write, data: bytes) -> None:
    found, log = in_ranges(write(data), [0, 5, 9], len(data))
    assert found == [] and set(log.reasons) == {Reason.NOT_AN_ARCHIVE}
    assert read(write(data))[1].reasons == [Reason.NOT_AN_ARCHIVE]


def test_older_and_other_headers(write: Write) -> None:
    for root in (
        b"<mediawiki>",
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<mediawiki xml:lang='de'>",
        b"<mediawiki\nversion='0.6'>",
    ):
        assert read(write(root + page_xml(an_article(1)) + FOOTER)) == ([an_article(1)], [])


def test_a_page_too_large(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "MAX_PAGE_BYTES", 2 << 20)
    for size in ((2 << 20) - 100, 5 << 20):
        body = page_xml(an_article(1)) + page_xml(an_article(2, "x" * size)) + page_xml(an_article(3))
        for data in (HEADER + body + FOOTER, bz2.compress(HEADER + body + FOOTER)):
            found, log = read(write(data))
            assert found == [an_article(1), an_article(3)]
            assert log.reasons == [Reason.TOO_LARGE] and "Title 2" in log[0][2]


@pytest.mark.parametrize("head", [b"", HEADER, HEADER + b"<page><title>Bomb</title>"])
@pytest.mark.slow
def test_bombs_are_given_up(write: Write, monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(dump_bytes, "_BOMB_BYTES", 64 << 20)
    compressor = bz2.BZ2Compressor()
    packed = compressor.compress(head) + b"".join(compressor.compress(bytes(1 << 20)) for _ in range(120))
    path = write(packed + compressor.flush() + bz2.compress(page_xml(an_article(1))))
    tracemalloc.start()
    began = time.process_time()
    found, log = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [] and time.process_time() - began < 10
    assert log.reasons[-1] is (Reason.TOO_LARGE if head else Reason.NOT_AN_ARCHIVE)
    assert peak < 300 << 20


def test_memory_does_not_grow_with_the_file(write: Write) -> None:
    body = page_xml(an_article(1, "".join(random.Random(3).choices("abcdefghijklmnop ", k=100_000))))
    peaks = []
    for count in (10, 60):
        path = write(bz2.compress(HEADER + body * count + FOOTER, 1))
        tracemalloc.start()
        assert sum(1 for _ in pages(path, 0, 1 << 40, Log())) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2 + (1 << 20)


def test_the_real_slice(real_data: Path) -> None:
    path = real_data / SLICE
    if not path.is_file():
        pytest.skip(f"no dump at {path}")
    found, log = read(str(path))
    assert (len(found), log) == (206, [])
    assert sum(page.redirect for page in found) == 100
    assert [page.title for page in found[:2]] == ["AccessibleComputing", "Anarchism"]
    assert namespace_names(str(path))[6] == "File"
    assert in_ranges(str(path), [10, 500_000, 10**6], path.stat().st_size)[0] == found
