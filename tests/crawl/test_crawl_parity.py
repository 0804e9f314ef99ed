"""Candidates of real WAT files against an independent reading of the same files."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from crawl_archives import read, real_wats

from curation.crawl.page import TEXT_SOURCES

VARIANTS = ("v1-wat", "v1-warc", "v2", "default")
WITHOUT_IMAGE_TEXTS = ("CC-MAIN-2023-06_priyanlc_sample2.warc.wat.gz",)


def reference(path: Path, variant: str) -> Counter[tuple[str, str]]:
    """(URL, text) of every image link, line by line with the standard library."""
    pairs: Counter[tuple[str, str]] = Counter()
    for line in gzip.decompress(path.read_bytes()).split(b"\n"):
        if not line.startswith(b"{"):
            continue
        envelope = json.loads(line)["Envelope"]
        html = envelope["Payload-Metadata"].get("HTTP-Response-Metadata", {}).get("HTML-Metadata", {})
        base = envelope["WARC-Header-Metadata"].get("WARC-Target-URI", "")
        if variant == "default":
            base = urljoin(base, html.get("Head", {}).get("Base", ""))
        for link in html.get("Links", []):
            if link.get("path", "").startswith("IMG@/src") and "url" in link:
                url = link["url"].strip() if variant == "default" else link["url"]
                full = urljoin(base, url)
                if variant == "default" and (not url or urlsplit(full).scheme not in ("http", "https")):
                    continue
                pairs.update((full, text) for text in reference_texts(link, variant))
    return pairs


def reference_texts(link: dict[str, Any], variant: str) -> list[str]:
    blank = "" if variant == "v1-warc" else " "
    texts = [link.get(key, "") for key in ("alt", "title", "data-image-title")]
    texts = [text.replace("\n", blank).replace("\r", blank) for text in texts]
    if variant == "default":
        texts = [text.replace("\t", " ") for text in texts]
    return [text.strip() for text in texts if text.strip()]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_real_wat_gives_the_pairs_of_the_reference(variant: str, real_data: Path) -> None:
    # No exception is needed on these files. In general the reference fails where we do not: lone surrogates (U+FFFD
    # here), links without a url or of another type (skipped or tallied here), URLs that urljoin cannot parse (skipped).
    for path in real_wats(real_data):
        rows, log = read(path, variant=variant)
        assert log.rejections == []
        images = [row for row in rows if row["text_source"] in TEXT_SOURCES[:3]]  # all there are but in the default
        assert len(images) == len(rows) or variant == "default"
        assert Counter((row["media_url"], row["text"]) for row in images) == reference(path, variant), path.name
        assert rows or path.name in WITHOUT_IMAGE_TEXTS


def test_real_provenance_points_at_the_records_member(real_data: Path) -> None:
    for path in real_wats(real_data):
        data = path.read_bytes()
        for row in read(path)[0]:
            assert row["archive"] == path.name
            stream = gzip.GzipFile(fileobj=io.BytesIO(data[row["record_offset"] :]))
            member = stream.read(4000).decode("utf-8", "replace")
            assert member.startswith("WARC/1.0")
            assert f"\nWARC-Target-URI: {row['page_url']}\n" in member.replace("\r", "")


def test_snapshots_of_genuine_files_are_what_the_crawl_says(real_data: Path) -> None:
    snapshots = {path.name: {row["snapshot"] for row in read(path)[0]} for path in real_wats(real_data)}
    assert snapshots["CC-MAIN-2024-22_whirlwind.warc.wat.gz"] == {"CC-MAIN-2024-22"}
    assert snapshots["CC-MAIN-2020-34_resiliparse_16pages.warc.wat.gz"] == {"CC-MAIN-2020-34"}
    assert snapshots["repackaged-aeb.warc.wat.gz"] == {"unknown"}
