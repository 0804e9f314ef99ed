"""The generated web, whose facts say what is on its pages, read from WARC and from WAT files: nothing more or less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from curation.crawl import ReadLog, read_warc, read_wat, warc_batches
from curation.crawl.page import TEXT_SOURCES
from curation.schemas import SITE_RULES
from curation.testing import Candidate, Web, build_web
from curation.testing.recordings import SCHEMA_FORMS

Key = tuple[Any, ...]
NAMES = [name for name in Candidate._fields if name != "page"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    return build_web(tmp_path_factory.mktemp("web"))


def key(row: dict[str, Any]) -> Key:
    """A row as its page and the columns that a Candidate has."""
    row = {**row, "robots": tuple(row["robots"]), "tracks": tuple(tuple(track.values()) for track in row["tracks"])}
    return row["page_url"], *(row[name] for name in NAMES)


def expected(candidates: Iterable[Candidate]) -> Counter[Key]:
    return Counter((candidate.page.url, *candidate[1:]) for candidate in candidates)


def found_in(paths: Iterable[Path], read: Any) -> Iterator[tuple[Path, ReadLog, list[dict[str, Any]]]]:
    for path in paths:
        log = ReadLog(str(path))
        yield path, log, list(read(str(path), log=log))


def test_warcs_say_what_the_facts_say(web: Web) -> None:
    found: Counter[Key] = Counter()
    for _, log, rows in found_in(web.warcs, read_warc):
        assert (log.rejections, log.unaccounted()) == ([], 0)
        found.update(map(key, rows))
    difference(found, expected(web.warc_candidates()))


def test_wats_say_what_the_facts_say(web: Web) -> None:
    found: Counter[Key] = Counter()
    for path, log, rows in found_in(web.wats, read_wat):
        assert len(log.rejections) == (web.damage is not None and path == web.damage.path)
        assert log.unaccounted() == 0
        found.update(map(key, rows))
    difference(found, expected(web.candidates()))


def difference(found: Counter[Key], wanted: Counter[Key]) -> None:
    missing, unwanted = wanted - found, found - wanted
    assert sum(wanted.values()) > 1000
    assert not missing and not unwanted, (
        f"{missing.total()} missing: {sorted(missing, key=str)[:3]}, "
        f"{unwanted.total()} unwanted: {sorted(unwanted, key=str)[:3]}"
    )


def test_site_rules_are_those_of_the_site_files(web: Web) -> None:
    """Every User-agent, Allow and Disallow line of a group, for each of its agents, read here by hand."""
    found: Counter[Key] = Counter()
    for path in web.warcs:
        for dataset, batch in warc_batches(str(path), ReadLog(str(path))):
            if dataset is SITE_RULES:
                found.update((row["host"], row["kind"], row["agent"], row["allow"], row["pattern"])
                             for row in batch.to_pylist())  # fmt: skip
    wanted: Counter[Key] = Counter()
    for url, text in web.site_files:
        pairs = [line.partition("#")[0].strip().split(": ") for line in text.splitlines()]
        agents = [value.lower() for name, value in pairs if name.lower() == "user-agent"]
        place = (urlsplit(url).netloc, urlsplit(url).path[1:])
        wanted.update((*place, agent, True, "") for agent in agents)
        for name, value in pairs:
            if name in ("Allow", "Disallow"):
                pattern = value if value.startswith("/") else f"/{value}".replace("/*", "*", 1)
                wanted.update((*place, agent, name == "Allow", pattern) for agent in agents)
    assert found == wanted
    assert len({host for host, *_ in wanted}) > 60


# One page, two ways to read it

ONLY_PAGES_SAY = {
    "data-image-title", "figcaption", "iframe-title", "h1",
    *(source for source in TEXT_SOURCES if source.startswith("schema:")),
}  # fmt: skip
"""Text sources that a WAT has not: it keeps no such attribute, no text but that of links and the title, no scripts."""
CLIPPED = {"link-text", "page-title"}
"""Texts of which a WAT keeps 128 characters."""


def test_one_page_through_warc_and_wat(web: Web) -> None:
    """What WAT lacks is what Common Crawl's extractor leaves out; all else is the same, and WAT adds nothing."""
    pages = {page.url for page in web.pages if page.in_wat}
    texts: dict[str, Counter[Key]] = {}
    media: dict[str, set[Key]] = {}
    for name, read, paths in (("warc", read_warc, web.warcs), ("wat", read_wat, web.wats)):
        rows = [row for _, _, rows in found_in(paths, read) for row in rows if row["page_url"] in pages]
        texts[name] = Counter(comparable(row) for row in rows)
        media[name] = {(row["page_url"], row["modality"], plain(row["media_url"])) for row in rows}
    differing = texts["warc"] - texts["wat"], texts["wat"] - texts["warc"]
    reasons = [Counter(why(key, web) for key in found.elements()) for found in differing]
    assert set(reasons[0]) == {
        "a source that only pages have", "an image that a script loads", "a recording that only pages name",
        "the text of a link around an image", "the title of an element",
    }  # fmt: skip
    assert set(reasons[1]) == set()
    assert media["wat"] <= media["warc"]


def comparable(row: dict[str, Any]) -> Key:
    """A row without what may differ: facts, an image's larger candidate, and what is beyond 128 characters."""
    source = row["text_source"]
    text = row["text"][:100].strip() if source in CLIPPED else row["text"]
    return row["page_url"], row["modality"], plain(row["media_url"]), source, text


def plain(url: str) -> str:
    """A URL without the width that the larger candidates of the generated web ask for."""
    return url.removesuffix("?w=1600")


def why(key: Key, web: Web) -> str:
    """Why a text is there for one reader only; the text itself where no reason is known."""
    page_url, modality, url, source, _ = key
    page = next(page for page in web.pages if page.url == page_url)
    if source in ONLY_PAGES_SAY:
        return "a source that only pages have"
    if modality == "image":
        if source in ("link-text", "link-title"):
            return "the text of a link around an image"
        lazy = [image for image in page.images if image.form == "lazy" and plain(str(image.best_url)) == url]
        return "an image that a script loads" if lazy else str(key)
    forms = {mention.form for mention in page.recordings if mention.recording.url == url and mention.found}
    if forms <= {*SCHEMA_FORMS, "lazy-iframe"}:
        return "a recording that only pages name"
    return "the title of an element" if source == "title" else str(key)


def test_facts_of_one_medium_through_warc_and_wat(web: Web) -> None:
    """Platform, robots, language and canonical URL are the same. Others a WAT may lack, but never says otherwise.

    The exception is the licence: in a WAT a link to a licence under one figure looks like the page's own.
    """
    rows: dict[str, dict[Key, dict[str, Any]]] = {}
    for name, read, paths in (("warc", read_warc, web.warcs), ("wat", read_wat, web.wats)):
        rows[name] = {
            (row["page_url"], row["media_url"]): row for _, _, found in found_in(paths, read) for row in found
        }
    both = rows["warc"].keys() & rows["wat"].keys()
    in_figures = {page.url for page, image in web.images if image.licence}
    assert len(both) > 4000
    for at in both:
        warc, wat = rows["warc"][at], rows["wat"][at]
        for name in ("media_id", "modality", "platform", "platform_id", "page_lang", "canonical_url", "robots"):
            assert warc[name] == wat[name]
        for name in ("width", "height", "duration_ms", "upload_date", "poster_url"):
            assert wat[name] in (warc[name], None)
        same = warc["licence"] == wat["licence"]
        assert same or at[0] in in_figures or wat["licence"] is None or has_own_licence(web, at)


def has_own_licence(web: Web, at: Key) -> bool:
    """Whether schema.org's words give a medium a licence of its own, which a WAT cannot know."""
    page = next(page for page in web.pages if page.url == at[0])
    return any(mention.form in SCHEMA_FORMS and mention.recording.url == at[1] for mention in page.recordings)


def test_one_video_is_one_medium_wherever_it_is_embedded(web: Web) -> None:
    pages: dict[tuple[str, str], set[str]] = {}
    for _, _, rows in found_in(web.warcs, read_warc):
        for row in rows:
            if row["platform"] is not None:
                pages.setdefault((row["media_id"], row["media_url"]), set()).add(row["page_url"])
    shown = {mention.recording.url for page in web.pages for mention in page.recordings if mention.recording.platform}
    assert {url for _, url in pages} == shown
    assert len({identity for identity, _ in pages}) == len(shown)
    assert max(map(len, pages.values())) >= 5
