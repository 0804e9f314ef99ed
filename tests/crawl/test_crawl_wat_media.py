"""What a WAT record says of videos, audios and cards, one kind of link at a time, and of its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crawl_archives import link, page, read, texts_of, wat

from curation.crawl.files import timed_modality
from curation.crawl.page import MAX_SHARED_MEDIA, MAX_URL_CHARS, Page
from curation.crawl.pages import Head, HeadLink, Link, Meta
from curation.crawl.wat_page import add_links, describe_head

TUBE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
CC_BY, CC0 = "https://creativecommons.org/licenses/by/4.0/", "https://creativecommons.org/publicdomain/zero/1.0/"


def linked(*links: tuple[str, str] | Link) -> list[tuple[str, str, str | None]]:
    """(modality, URL, poster) of the media that links lead to."""
    found = Page()
    add_links([item if isinstance(item, Link) else Link(item[0], item[1]) for item in links], found)
    return [(medium.modality, medium.url, medium.poster_url) for medium in found.media]


def rows_of(folder: Path, *links: object, metas: object = (), **head: Any) -> list[dict[str, Any]]:
    records = page(list(links), head={"Metas": list(metas), **head})
    return read(wat(folder / "x.wat.gz", records))[0]


@pytest.mark.parametrize(
    ("path", "url", "modality"),
    [
        ("VIDEO@/src", "/v", "video"),
        ("AUDIO@/src", "/a", "audio"),
        ("SOURCE@/src", "/v.webm", "video"),
        ("SOURCE@/src", "/a.ogg", "audio"),
        ("SOURCE@/src", "/a.jpg", None),
        ("IFRAME@/src", TUBE, "video"),
        ("IFRAME@/src", "//youtu.be/dQw4w9WgXcQ", "video"),
        ("IFRAME@/src", "https://example.com/", None),
        ("EMBED@/src", "/v.MP4?x=1", "video"),
        ("EMBED@/src", "/v.swf", None),
        ("OBJECT@/data", "/a.mp3#t", "audio"),
        ("A@/href", "/v.mp4 ", "video"),
        ("A@/href", TUBE, "video"),
        ("A@/href", "/v.jpg", None),
        ("A@/href", "", None),
        ("VIDEO@/src", "", None),
        ("FORM@/action", "/v.mp4", None),
        ("LINK@/href", "/v.mp4", None),
    ],
)
def test_links_that_lead_to_media(path: str, url: str, modality: str | None) -> None:
    assert [kind for kind, _, _ in linked((path, url))] == ([modality] if modality else [])


@pytest.mark.parametrize("url", ["/v.mp4", "/V.Mp4?x", TUBE, "//youtu.be/dQw4w9WgXcQ", "/a.m3u8#x", "v.webm\n"])
def test_addresses_that_lead_to_media(url: str) -> None:
    assert timed_modality(url)


@pytest.mark.parametrize("url", ["", "/v.jpg", "/mp4", "/v.mp4/x", "https://youtube.com/", "https://x.org/?v.mp4"])
def test_addresses_that_do_not(url: str) -> None:
    assert not timed_modality(url)


def test_a_poster_goes_with_its_video_on_either_side() -> None:
    video, poster = ("VIDEO@/src", "/v.mp4"), ("VIDEO@/poster", "/p.jpg")
    assert linked(video, poster) == linked(poster, video) == [("video", "/v.mp4", "/p.jpg")]
    assert linked(poster, ("AUDIO@/src", "/a.mp3"), video) == [("audio", "/a.mp3", None), ("video", "/v.mp4", "/p.jpg")]
    assert linked(poster, ("SOURCE@/src", "/v.mp4")) == [("video", "/v.mp4", "/p.jpg")]


def test_sources_that_differ_in_their_ending_are_one_video() -> None:
    assert linked(("SOURCE@/src", "/v.mp4"), ("SOURCE@/src", "/v.webm"), ("SOURCE@/src", "/w.mp4")) == [
        ("video", "/v.mp4", None),
        ("video", "/w.mp4", None),
    ]


def test_texts_of_a_link(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, link("/v.mp4", "A@/href", text="Watch", title="T"), link("/f", "A@/href", text="no"))
    assert [(row["text_source"], row["text"]) for row in rows] == [("link-text", "Watch"), ("link-title", "T")]
    assert {(row["media_url"], row["modality"]) for row in rows} == {("https://example.com/v.mp4", "video")}


def test_players_have_one_canonical_address(tmp_path: Path) -> None:
    embed = "//www.youtube.com/embed/dQw4w9WgXcQ?autoplay=1"
    rows = rows_of(tmp_path, link(embed, "IFRAME@/src"), link("//youtu.be/dQw4w9WgXcQ", "A@/href", text="L"), Title="T")
    assert texts_of(rows) == ["L", "T"]
    found = {(row["media_url"], row["platform"], row["platform_id"]) for row in rows}
    assert found == {(TUBE, "youtube", "dQw4w9WgXcQ")}


def test_images_come_before_other_media(tmp_path: Path) -> None:
    metas = [{"property": "og:image", "content": "/o.jpg"}, {"property": "og:title", "content": "O"}]
    rows = rows_of(tmp_path, link("/v.mp4", "VIDEO@/src"), link("/i.jpg", alt="A"), metas=metas)
    assert [(row["modality"], row["text"], row["field_order"]) for row in rows] == [
        ("image", "A", 0),
        ("image", "O", 1),
        ("video", "O", 2),
    ]


def test_modalities(tmp_path: Path) -> None:
    links = [link(alt="A"), link("/v.mp4", "A@/href", text="V"), link("/a.mp3", "A@/href", text="S")]
    path = wat(tmp_path / "x.wat", page(links))
    for modality, text in (("image", "A"), ("video", "V"), ("audio", "S")):
        rows, log = read(path, modalities=(modality,))
        assert (texts_of(rows), log.counts["texts"]) == ([text], 1)


def test_the_head_of_a_page() -> None:
    head = Head(
        base="/b/",
        title="T",
        metas=[
            Meta(name="HTML@/lang", content="fr"), Meta(name="robots", content="noai"), Meta(name="robots"),
            Meta(property="og:description", content="D"), Meta(name="tdm-reservation", content="1"),
            Meta(name="HTML@/lang", content="x"),
        ],
        links=[HeadLink("/c", "canonical"), HeadLink("/d", "Canonical"), HeadLink(CC_BY, "license"), HeadLink()],
    )  # fmt: skip
    found = describe_head(head)
    assert (found.base, found.lang, found.canonical, found.licence) == ("/b/", "fr", "/c", "CC-BY-4.0")
    assert sorted(found.robots) == ["noai", "tdm-reservation"]
    assert [(text.source, text.text) for text in found.texts] == [("og:description", "D"), ("page-title", "T")]
    assert describe_head(Head(base="x" * (MAX_URL_CHARS + 1))).base is None


@pytest.mark.parametrize(
    ("in_head", "in_links", "licence"),
    [
        ([CC_BY], [], "CC-BY-4.0"),
        ([], [CC_BY], "CC-BY-4.0"),
        ([CC_BY], [CC_BY], "CC-BY-4.0"),
        ([CC_BY], [CC0], None),
        ([], [CC_BY, CC0], None),
        ([], ["/terms"], None),
    ],
)
def test_licences(in_head: list[str], in_links: list[str], licence: str | None, tmp_path: Path) -> None:
    links = [link(url, "A@/href", rel="license nofollow") for url in in_links]
    rows = rows_of(tmp_path, link(alt="A"), *links, Link=[{"rel": "license", "url": url} for url in in_head])
    assert [row["licence"] for row in rows] == [licence]


def test_a_card_of_many_images_shares_no_title() -> None:
    metas = [Meta(property="og:image", content=str(n)) for n in range(MAX_SHARED_MEDIA + 1)]
    found = describe_head(Head(metas=[*metas, Meta(property="og:title", content="T")]))
    assert [medium.texts for medium in found.media] == [[]] * (MAX_SHARED_MEDIA + 1)


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [None], [[]], ["\ud800"], [{"path": 5, "url": []}]])
def test_any_shape_of_head_and_links_is_read(value: object, tmp_path: Path) -> None:
    odd = page(value, head={"Metas": value, "Link": value, "Title": value, "Base": value})
    assert texts_of(read(wat(tmp_path / "x.wat", odd, page([link(alt="kept")])))[0]) == ["kept"]
