"""The generated web, as written: the same bytes every time, and what the facts promise."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from archive_reading import PageReader, Read, read_archive, read_member
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.testing import PageFact, Web, build_web
from curation.testing.hosts import HOSTS
from curation.testing.markup import card_metas
from curation.testing.pages import plan_page


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Web:
    return build_web(tmp_path_factory.mktemp("small"), pages=70, archives=2)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Same arguments, same bytes


@pytest.mark.slow
def test_same_bytes_in_other_processes(small: Web, tmp_path: Path) -> None:
    program = "import sys, pathlib; from curation.testing import build_web; " \
        "build_web(pathlib.Path(sys.argv[1]), pages=70, archives=2)"  # fmt: skip
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", program, str(folder)], check=True, env=environment)
        assert digests(folder) == digests(small.folder)


def test_another_seed_is_another_web(small: Web, tmp_path: Path) -> None:
    other = build_web(tmp_path, pages=70, archives=2, seed=1)
    assert not set(digests(other.folder).values()) & set(digests(small.folder).values())


@given(st.integers(0, 50), st.integers(0, 2**32), st.sampled_from(HOSTS))
def test_a_page_depends_on_seed_host_and_number_alone(number: int, seed: int, host: Any) -> None:
    first = plan_page(host, number, seed)
    assert plan_page(host, number + 1, seed).url != first.url
    assert plan_page(host, number, seed + 1).images != first.images
    assert plan_page(host, number, seed) == first


def test_a_larger_web_holds_the_smaller_one(small: Web, web: Web) -> None:
    def facts(pages: tuple[PageFact, ...]) -> dict[str, tuple[Any, ...]]:
        return {page.url: (page.title, page.images, page.recordings) for page in pages}

    assert facts(small.pages).items() <= facts(web.pages).items()


# What is written equals the facts


def records_of(paths: tuple[Path, ...]) -> Iterator[tuple[Path, Read]]:
    for path in paths:
        for record in read_archive(path):
            yield path, record


def response_body(record: Read) -> bytes:
    return record.block.partition(b"\r\n\r\n")[2]


@pytest.fixture(scope="module")
def pages_read(web: Web) -> dict[str, PageReader]:
    """Every page of the WARC files, by URL, decoded by its true charset."""
    charsets = {page.url: page.charset for page in web.pages}
    return {
        record.fields["WARC-Target-URI"]: PageReader(response_body(record).decode(charsets[url]))
        for _, record in records_of(web.warcs)
        if record.fields["WARC-Type"] == "response" and (url := record.fields["WARC-Target-URI"]) in charsets
    }


def test_warcs_hold_every_page_where_the_facts_say(web: Web) -> None:
    archives = {path.name: path.read_bytes() for path in web.warcs}
    for page in web.pages:
        record = read_member(archives[page.warc], page.warc_offset)
        assert record.fields["WARC-Type"] == "response"
        assert record.fields["WARC-Target-URI"] == page.url
        head = record.block.partition(b"\r\n\r\n")[0].decode("latin-1")
        assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/html")
        assert (f"charset={page.charset}" in head) == (page.charset_in == "header")
        sent = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("X-Robots-Tag: ")]
        assert sent == [page.robots_sent] * (page.robots_sent is not None)
        assert bool(page.robots_sent) == bool(page.robots_header)
        assert ("tdm-reservation: 1" in head) == page.tdm_header


def test_html_says_what_the_facts_say(web: Web, pages_read: dict[str, PageReader]) -> None:
    for page in web.pages:
        read = pages_read[page.url]
        found = [(image.get("src"), image.get("alt"), image.get("title")) for image in read.images]
        assert found == [(image.src, image.alt, image.title) for image in page.images]
        assert read.title == page.title
        captions = [image.figcaption for image in page.images] + [mention.figcaption for mention in page.recordings]
        assert Counter(read.captions) == Counter(filter(None, captions))
        assert [image["data-src"] for image in read.images if "data-src" in image] == [
            image.real_src for image in page.images if image.real_src
        ]
        metas = [tag for name, tag in read.tags if name == "meta"]
        robots = [tag["content"] or "" for tag in metas if (tag.get("name") or "").lower() == "robots"]
        assert sorted(part.strip().lower() for text in robots for part in text.split(",")) == list(page.robots)
        assert cards(metas) == card_metas(page)
        assert [tag["href"] for name, tag in read.tags if name == "base"] == [page.base] * (page.base is not None)
        licences = {tag["href"] for name, tag in read.tags if tag.get("rel") == "license"}
        in_figures = {image.licence for image in page.images if image.licence}
        assert licences == in_figures | ({page.licence} if page.licence else set())
        for image in page.images:
            url = urljoin(page.base or page.url, image.src)
            assert image.url == (None if url.startswith("data:") else url)


def cards(metas: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """(name, content) of Open Graph and Twitter tags."""
    named = ((str(tag.get("property", tag.get("name"))), str(tag["content"])) for tag in metas)
    return [(name, content) for name, content in named if name.startswith(("og:", "twitter:"))]


def test_recordings_are_where_the_facts_say(web: Web, pages_read: dict[str, PageReader]) -> None:
    for page in web.pages:
        read, srcs = pages_read[page.url], defaultdict(list)
        for mention in page.recordings:
            srcs[mention.form].append(mention.src)
        first_of = {name: [tag for other, tag in read.tags if other == name] for name in ("video", "iframe", "link")}
        sources = [tag["src"] for name, tag in read.tags if name == "source" and "src" in tag]
        assert [tag["src"] for tag in first_of["video"] if "src" in tag] == srcs["video"]
        assert sources[::2] == srcs["source"]
        frames = [tag.get("data-src", tag["src"]) for tag in first_of["iframe"]]
        assert Counter(frames) == Counter(srcs["iframe"] + srcs["lazy-iframe"])
        assert [tag["src"] for name, tag in read.tags if name in ("audio", "embed")] == [
            mention.src for mention in page.recordings if mention.form in ("audio", "embed")
        ]
        assert [tag["data"] for name, tag in read.tags if name == "object"] == srcs["object"]
        hrefs = [tag["href"] for name, tag in read.tags if name == "a"]
        assert all(hrefs.count(src) >= 1 for src in srcs["link"] + srcs["share"])
        nodes = [node for script in read.scripts for node in flat(json.loads(script))]
        described = [node for node in nodes if node.get("@type") in ("VideoObject", "AudioObject")]
        assert Counter(node.get("contentUrl", node.get("embedUrl", "")) for node in described) == Counter(
            srcs["json-ld"] + srcs["graph"] + srcs["bare"]
        )
        items = [tag for tag in first_of["link"] if tag.get("itemprop") in ("contentUrl", "embedUrl")]
        assert [tag["href"] for tag in items] == srcs["microdata"]


def flat(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A JSON-LD document's nodes, or itself."""
    yield from node.get("@graph", [node])


# WAT


def test_wats_agree_with_the_html(web: Web, pages_read: dict[str, PageReader]) -> None:
    archives = {path.name: path.read_bytes() for path in web.wats}
    for page in web.pages:
        if not page.in_wat:
            continue
        record = read_member(archives[page.wat], page.wat_offset)
        assert record.fields["WARC-Target-URI"] == page.url
        response = record.json["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
        html, read = response["HTML-Metadata"], pages_read[page.url]
        links = [link for link in html["Links"] if link["path"] == "IMG@/src"]
        expected = [
            {"path": "IMG@/src", "url": short(image["src"])} | {
                name: image[name] for name in ("alt", "title") if name in image
            }
            for image in read.images
        ]  # fmt: skip
        assert links == expected
        assert html["Head"]["Title"] == read.title[:128]
        assert html["Head"].get("Base") == page.base
        metas = html["Head"]["Metas"]
        assert metas[0] == {"name": "HTML@/lang", "content": page.lang}
        assert cards(metas) == card_metas(page)
        assert "schema.org" not in json.dumps(html)
        assert response["Headers"].get("X-Robots-Tag") == page.robots_sent


def short(src: str | None) -> str | None:
    """Common Crawl's WAT files drop the data of data: URLs."""
    return src[: src.find(",") + 1] if src and src.startswith("data:") else src


def test_wat_containers_describe_the_warc(web: Web) -> None:
    for warc, wat in zip(web.warcs[:-1], web.wats[:-1], strict=True):
        stored = {record.offset: record for record in read_archive(warc)}
        info, *described = read_archive(wat)
        assert info.fields["WARC-Type"] == "warcinfo"
        assert f"isPartOf: {web.snapshot}\r\n".encode() in info.block
        assert [int(record.json["Container"]["Offset"]) for record in described] == list(stored)
        for record in described:
            container, envelope = record.json["Container"], record.json["Envelope"]
            source = stored[int(container["Offset"])]
            sizes = container["Gzip-Metadata"]
            assert container["Filename"] == warc.name
            assert (int(sizes["Deflate-Length"]), int(sizes["Inflated-Length"])) == (source.size, len(source.data))
            assert envelope["WARC-Header-Metadata"] == source.fields
            assert int(envelope["WARC-Header-Length"]) == len(source.data) - len(source.block) - 4
            assert int(envelope["Payload-Metadata"]["Actual-Content-Length"]) == len(source.block)
        first = described[0].json["Envelope"]["Payload-Metadata"]["WARC-Info-Metadata"]
        assert first["isPartOf"] == web.snapshot


def test_image_texts_equal_an_independent_reading(web: Web) -> None:
    """json and urljoin over every member that inflates: the texts of http(s) images, but for cards."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for path in web.wats:
        archive = path.read_bytes()
        offsets = [page.wat_offset for page in web.pages if page.wat == path.name and page.in_wat]
        for record in (read_member(archive, offset) for offset in offsets):
            page_url = record.fields["WARC-Target-URI"]
            html = record.json["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]
            base = urljoin(page_url, html["Head"].get("Base", ""))
            for link in html["Links"]:
                url = urljoin(base, link.get("url", ""))
                if link["path"] != "IMG@/src" or not url.startswith("http"):
                    continue
                for field in ("alt", "title"):
                    text = link.get(field, "").replace("\n", " ").strip()
                    if text:
                        found[page_url, url, field, text] += 1
    expected = Counter(
        (page.url, url, source, text)
        for page, url, _, source, text, *_ in web.candidates()
        if source in ("alt", "title")
    )
    assert found == expected
    assert sum(expected.values()) > 5000


def test_the_damaged_archive_is_damaged_in_one_place(web: Web) -> None:
    damage = web.damage
    assert damage is not None
    assert damage.path == web.wats[-1]
    lost = [page for page in web.pages if not page.in_wat]
    assert [page.url for page in lost] == list(damage.lost)
    assert [page.wat_offset for page in lost] == [damage.offset]
    archive = damage.path.read_bytes()
    with pytest.raises(zlib.error):
        read_archive(damage.path)
    for page in web.pages:
        if page.wat == damage.path.name and page.in_wat:
            assert read_member(archive, page.wat_offset).fields["WARC-Target-URI"] == page.url
    assert len(read_archive(web.warcs[-1])) > 3 * len(web.pages) // len(web.warcs)


def test_an_undamaged_web(tmp_path: Path) -> None:
    web = build_web(tmp_path, pages=20, archives=1, damaged=False)
    assert web.damage is None
    assert len(web.wats) == 1
    assert all(page.in_wat for page in web.pages)
    assert sum(record.fields["WARC-Type"] == "metadata" for record in read_archive(web.wats[0])) > 60


@pytest.mark.parametrize("arguments", [{"pages": 0}, {"archives": 0}, {"pages": -3}])
def test_nothing_to_write_is_an_error(tmp_path: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least one"):
        build_web(tmp_path, **arguments)  # type: ignore[arg-type]
