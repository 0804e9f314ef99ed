"""What a page says of its media, one field at a time, and where it does not say it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl.html import read_html
from curation.crawl.page import MAX_SHARED_CHARS, MAX_SHARED_MEDIA, MAX_URL_CHARS, Page, Track

CC_BY, CC0 = "https://creativecommons.org/licenses/by/4.0/", "https://creativecommons.org/publicdomain/zero/1.0/"


def page_of(html: str, **options: Any) -> Page:
    return read_html(html.encode(), **options)


def urls_of(html: str, **options: Any) -> list[str]:
    return [medium.url for medium in page_of(html, **options).media]


def said(html: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Modality and texts of a page's media."""
    return [(medium.modality, [(text.source, text.text) for text in medium.texts]) for medium in page_of(html).media]


# ---------------------------------------------------------------------------------------------- images


def test_texts_of_an_image() -> None:
    html = '<img src=a.jpg data-image-title=d title=t alt="a &amp;&#39;b&#39;">'
    assert said(html) == [("image", [("alt", "a &'b'"), ("title", "t"), ("data-image-title", "d")])]
    assert said('<img src=a.jpg alt="" title>') == [("image", [])]
    assert said("<amp-img src=a.jpg alt=a></amp-img>") == [("image", [("alt", "a")])]


@pytest.mark.parametrize(
    ("attributes", "largest", "src"),
    [
        ("src=a srcset='b 300w, c 900w, d 600w'", "c", "a"),
        ("src=a srcset='b 2x, c 1.5x'", "b", "a"),
        ("src=a srcset='b 1x'", "a", "a"),  # no larger than what src shows
        ("src=a srcset='b 2x, c 900w'", "c", "a"),  # not valid together; ranks decide
        ("src=a srcset='b bad, c'", "a", "a"),
        ("srcset='b 300w, c 100w'", "b", None),
        ("src=a", "a", "a"),
        ("src='data:image/gif;base64,R0' srcset='b 1x'", "b", "data:image/gif;base64,R0"),
        ("src=a data-src=b", "b", "a"),
        ("src=a data-original=b", "b", "a"),
        ("src=a data-lazy-src=b data-srcset='c 800w'", "c", "a"),
        ("src=a data-lazy-srcset='c 800w'", "c", "a"),
        ("src='data:,x' data-any-thing=/b.jpg?x=1", "/b.jpg?x=1", "data:,x"),
        ("data-any-thing=/b.WEBP", "/b.WEBP", None),
        ("src='data:,x' data-any-thing=/b.html", "data:,x", "data:,x"),
        ("src=a.jpg data-any-thing=/b.jpg", "a.jpg", "a.jpg"),  # only where nothing better is known
        ("src='data:,x' data-player=/b.mp4", "data:,x", "data:,x"),
    ],
)
def test_the_largest_candidate_of_an_image(attributes: str, largest: str, src: str | None) -> None:
    assert urls_of(f"<img {attributes} alt=x>") == [largest]
    assert urls_of(f"<img {attributes} alt=x>", largest=False) == [src or ""]


def test_a_picture_offers_its_sources() -> None:
    html = "<picture><source srcset='b 400w, c 1200w'><source data-srcset='d 2000w'><img src=a alt=x></picture>"
    assert urls_of(html) == ["d"]
    assert urls_of(html, largest=False) == ["a"]
    assert urls_of("<div><source srcset='b 400w'><img src=a alt=x></div>") == ["a"]


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ("width=640 height=480", (640, 480)),
        ("width=640px height='480.5'", (640, 480)),
        ("width=100% height=auto", (None, None)),
        ("width=0 height=-3", (None, None)),
    ],
)
def test_declared_size(attributes: str, size: tuple[int | None, int | None]) -> None:
    for element in ("img src=a", "video src=a.mp4", "iframe src=//youtu.be/dQw4w9WgXcQ", "embed src=a.mp4"):
        (medium,) = page_of(f"<{element} {attributes}>").media
        assert (medium.width, medium.height) == size


def test_an_image_without_scripts_is_found_twice() -> None:
    html = "<img src='data:,x' data-src=/a.jpg alt=a><noscript><img src=/a.jpg alt=a></noscript>"
    assert urls_of(html) == ["/a.jpg", "/a.jpg"]


def test_what_is_not_on_the_page_says_nothing() -> None:
    assert urls_of("<template><img src=a alt=x></template><script>'<img src=b>'</script><!--<img src=c>-->") == []


# ---------------------------------------------------------------------------------------- around media


def test_a_caption_is_for_all_that_its_figure_shows() -> None:
    html = "<figure><img src=a><a href=/><video src=b.mp4></video></a><figcaption>A <b>c</b>\n d</figcaption></figure>"
    assert said(html + "<img src=c>") == [
        ("image", [("figcaption", "A c d")]),
        ("video", [("figcaption", "A c d")]),
        ("image", []),
    ]


def test_a_figure_in_another_has_its_own_caption() -> None:
    inner = "<figure><img src=b><figcaption>inner</figcaption></figure>"
    html = f"<figure><figcaption>outer</figcaption><img src=a>{inner}</figure>"
    assert said(html) == [("image", [("figcaption", "outer")]), ("image", [("figcaption", "inner")])]


@pytest.mark.parametrize(("count", "found"), [(MAX_SHARED_MEDIA, True), (MAX_SHARED_MEDIA + 1, False)])
def test_the_caption_of_a_whole_gallery_says_nothing(count: int, found: bool) -> None:
    html = f"<figure>{'<img src=a>' * count}<figcaption>c</figcaption></figure>"
    assert all(bool(texts) == found for _, texts in said(html))


@pytest.mark.parametrize(("size", "found"), [(MAX_SHARED_CHARS, True), (MAX_SHARED_CHARS + 1, False)])
def test_shared_texts_are_short(size: int, found: bool) -> None:
    long = "x" * size
    figure = f"<figure><img src=a><figcaption>{long}</figcaption></figure>"
    link = f"<a href=/><img src=a>{long}</a>"
    card = f"<meta property=og:image content=a><meta property=og:title content={long}>"
    for html in (figure, link, card):
        assert [bool(texts) for _, texts in said(html)] == [found]
    assert bool(page_of(f"<title>{long}</title>").texts) == found


def test_the_link_around_an_image() -> None:
    html = "<a href=/ title=t><p>Read <br>more<script>x</script></p><div><img src=a alt=x></div></a><img src=b>"
    texts = [("alt", "x"), ("link-text", "Read more"), ("link-title", "t")]
    assert said(html) == [("image", texts), ("image", [])]
    many = f"<a href=/>t{'<img src=a>' * (MAX_SHARED_MEDIA + 1)}</a>"
    assert [bool(texts) for _, texts in said(many)] == [True] * MAX_SHARED_MEDIA + [False]


# ---------------------------------------------------------------------------------------- cards


def metas(*pairs: tuple[str, object]) -> str:
    return "".join(f'<meta property="{name}" content="{content}">' for name, content in pairs)


def test_structured_properties_follow_their_image() -> None:
    html = metas(
        ("og:title", "T"), ("OG:Image", "a"), ("og:image:width", 640), ("og:image:alt", "A"), ("og:image:height", "x"),
        ("og:image", "b"), ("og:image:secure_url", "https://b"), ("og:image:url", "ignored"), ("og:description", " D "),
    )  # fmt: skip
    page = page_of(html)
    assert [(medium.url, medium.width, medium.height) for medium in page.media] == [
        ("a", 640, None),
        ("https://b", None, None),
    ]
    shared = [("og:title", "T"), ("og:description", "D")]
    assert said(html) == [("image", [("og:image:alt", "A"), *shared]), ("image", shared)]
    assert [(text.source, text.text) for text in page.texts] == shared


def test_an_image_url_alone_begins_an_image() -> None:
    assert urls_of(metas(("og:image:secure_url", "a"), ("og:image:width", 3))) == ["a"]
    assert urls_of(metas(("og:image:width", 3), ("og:image", ""))) == []


def test_many_images_of_one_card_share_no_title() -> None:
    html = metas(("og:title", "T"), *(("og:image", n) for n in range(MAX_SHARED_MEDIA + 1)))
    assert [texts for _, texts in said(html)] == [[]] * (MAX_SHARED_MEDIA + 1)


def test_videos_and_audios_of_a_card() -> None:
    html = metas(
        ("og:video", "a.mp4"), ("og:video:type", "video/mp4"), ("og:video:width", 1280), ("og:video", "b.swf"),
        ("og:video:type", "application/x-shockwave-flash"), ("video:duration", "61"), ("og:audio", "c.mp3"),
        ("og:video:url", "d.mp4"), ("og:title", "T"),
    )  # fmt: skip
    found = [(medium.modality, medium.url, medium.width, medium.duration_ms) for medium in page_of(html).media]
    assert found == [("video", "a.mp4", 1280, 61_000), ("audio", "c.mp3", None, None)]


def test_twitter_cards() -> None:
    html = metas(
        ("twitter:image:src", "a.jpg"), ("twitter:image:alt", "A"), ("twitter:title", "T"), ("twitter:player", "//p"),
        ("twitter:player:width", 300), ("twitter:player:stream", "s.mp4"),
    )  # fmt: skip
    assert [(medium.modality, medium.url, medium.width) for medium in page_of(html).media] == [
        ("image", "a.jpg", None),
        ("video", "//p", 300),
        ("video", "s.mp4", 300),
    ]
    assert said(html)[0] == ("image", [("twitter:image:alt", "A"), ("twitter:title", "T")])
    both = page_of(html + metas(("og:title", "O")))
    assert [text.source for text in both.texts] == ["og:title"]  # the same again, in most cases


# ---------------------------------------------------------------------------------------- videos and audios


def test_a_video() -> None:
    html = (
        "<video poster=p.jpg title=t><source src=a.webm><source src=a.mp4>"
        "<track src=s.vtt srclang=de><track src=c.vtt kind=Chapters><track kind=captions>"
        "<p>No video</p></video>"
    )
    (video,) = page_of(html).media
    assert (video.modality, video.url, video.poster_url) == ("video", "a.webm", "p.jpg")
    assert video.tracks == [Track("s.vtt", "subtitles", "de"), Track("c.vtt", "chapters", None)]
    assert said(html) == [("video", [("title", "t")])]


@pytest.mark.parametrize(
    ("element", "modality", "url"),
    [
        ("<video data-src=a.mp4>", "video", "a.mp4"),
        ("<video src='blob:x'><source data-src=a.mp4>", "video", "a.mp4"),
        ("<amp-video src=a.mp4></amp-video>", "video", "a.mp4"),
        ("<audio src=a></audio>", "audio", "a"),
        ("<embed src=a.mp4>", "video", "a.mp4"),
        ("<embed src=/x type=audio/mpeg>", "audio", "/x"),
        ("<object data=a.mp3></object>", "audio", "a.mp3"),
        ("<object><param name=Movie value=//youtu.be/dQw4w9WgXcQ></object>", "video", "//youtu.be/dQw4w9WgXcQ"),
        ("<object data=a.swf><param name=src value=a.mp4><param name=src value=b.mp4></object>", "video", "a.mp4"),
        ("<iframe src=//www.youtube.com/embed/dQw4w9WgXcQ>", "video", "//www.youtube.com/embed/dQw4w9WgXcQ"),
        ("<iframe data-src=//youtu.be/dQw4w9WgXcQ>", "video", "//youtu.be/dQw4w9WgXcQ"),
        ("<iframe src=about:blank data-lazy-src=//youtu.be/dQw4w9WgXcQ>", "video", "//youtu.be/dQw4w9WgXcQ"),
        ("<iframe src=a.mp4>", "video", "a.mp4"),
        ("<a href='A.MP4?dl=1#t'>x</a>", "video", "A.MP4?dl=1#t"),
        ("<a href=a.flac>x</a>", "audio", "a.flac"),
        ("<a href=//youtu.be/dQw4w9WgXcQ>x</a>", "video", "//youtu.be/dQw4w9WgXcQ"),
    ],
)
def test_where_videos_and_audios_are(element: str, modality: str, url: str) -> None:
    assert [(medium.modality, medium.url) for medium in page_of(element).media] == [(modality, url)]


@pytest.mark.parametrize(
    "element",
    [
        "<iframe src=https://example.com/>", "<embed src=a.swf>", "<object data=a.pdf></object>", "<a href=a.jpg>x</a>",
        "<a>x</a>", "<iframe>", "<object><param name=quality value=a.mp4></object>", "<source src=a.mp4>", "<embed>",
    ],
)  # fmt: skip
def test_where_none_are(element: str) -> None:
    page = page_of(element)
    assert (page.media, page.unplaced) == ([], [])


def test_a_video_without_an_address_is_kept_aside() -> None:
    page = page_of("<video src=blob:https://x/1 poster=p.jpg title=t></video>")
    assert page.media == []
    assert [(video.url, video.poster_url, video.texts[0].text) for video in page.unplaced] == [("", "p.jpg", "t")]


def test_nested_players_share_nothing() -> None:
    html = "".join(f"<video src={n}.mp4><track src={n}.vtt>" for n in range(50))
    assert [len(medium.tracks) for medium in page_of(html).media] == [1] * 50
    html = "".join(f"<object><param name=src value={n}.mp4>" for n in range(50))
    assert urls_of(html) == [f"{n}.mp4" for n in range(50)]


def test_texts_of_frames_and_links() -> None:
    frame = "<iframe src=//youtu.be/dQw4w9WgXcQ title=F></iframe>"
    link = "<a href=a.mp4 title=L> Watch <i>it</i></a>"
    assert said(frame + link + "<embed src=a.mp4 title=E>") == [
        ("video", [("iframe-title", "F")]),
        ("video", [("link-text", "Watch it"), ("link-title", "L")]),
        ("video", [("title", "E")]),
    ]


# ---------------------------------------------------------------------------------------- the page


def test_facts_of_the_page() -> None:
    page = page_of(
        f"<html lang=de-CH><head><title> A\n title </title><base href=/b/><base href=/c/>"
        f"<link rel=canonical href=/x><link rel='x CANONICAL' href=/y><link rel=license href={CC_BY}>"
        "<meta name=robots content='NoAI, noindex'><meta name=tdm-reservation content=1>"
        "<body><svg><title>no</title></svg><h1></h1><h1>One</h1><h1>Two</h1>"
    )
    assert (page.lang, page.base, page.canonical, page.licence) == ("de-CH", "/b/", "/x", "CC-BY-4.0")
    assert sorted(page.robots) == ["noai", "noindex", "tdm-reservation"]
    assert [(text.source, text.text) for text in page.texts] == [("page-title", "A title"), ("h1", "One")]


@pytest.mark.parametrize(("size", "kept"), [(MAX_URL_CHARS, True), (MAX_URL_CHARS + 1, False)])
def test_an_absurd_base_is_ignored(size: int, kept: bool) -> None:
    assert (page_of(f"<base href={'x' * size}>").base is not None) == kept


@pytest.mark.parametrize(
    ("html", "of_page", "of_image"),
    [
        (f"<a rel=license href={CC_BY}>x</a><img src=a>", "CC-BY-4.0", None),
        (f"<a rel='nofollow License' href={CC_BY}>x</a><link rel=license href={CC_BY}><img src=a>", "CC-BY-4.0", None),
        (f"<link rel=license href={CC0}><a rel=license href={CC_BY}>x</a><img src=a>", None, None),
        (f"<figure><img src=a><a rel=license href={CC_BY}>x</a></figure>", None, "CC-BY-4.0"),
        (f"<figure><img src=a><a rel=license href={CC_BY}></a></figure><a rel=license href={CC0}>", "CC0-1.0",
         "CC-BY-4.0"),
        (f"<figure><img src=a><a rel=license href={CC_BY}></a><a rel=license href={CC0}></figure>", None, "CC-BY-4.0"),
        ("<a rel=license href=/terms>x</a><img src=a>", None, None),
        (f"<a href={CC_BY}>x</a><img src=a>", None, None),
    ],
)  # fmt: skip
def test_licences(html: str, of_page: str | None, of_image: str | None) -> None:
    page = page_of(html)
    assert (page.licence, page.media[0].licence) == (of_page, of_image)


def test_structured_data_comes_after_what_is_shown() -> None:
    html = (
        '<script type="Application/LD+json">{"@type":"VideoObject","name":"N","contentUrl":"v.mp4","license":"'
        + CC_BY
        + '"}</script><script type="application/ld+json">{"@type":"VideoObject","description":"D"}</script>'
        "<div itemscope itemtype=http://schema.org/ImageObject><img itemprop=contentUrl src=i.jpg>"
        "<p itemprop=caption>C</p></div>"
    )
    page = page_of(html)
    assert [medium.url for medium in page.media] == ["i.jpg", "v.mp4", "i.jpg"]
    assert said(html)[1:] == [("video", [("schema:name", "N")]), ("image", [("schema:caption", "C")])]
    assert page.media[1].licence == "CC-BY-4.0"
    assert [text.text for medium in page.unplaced for text in medium.texts] == ["D"]


def test_the_first_oddity_is_told() -> None:
    assert page_of('<script type=application/ld+json>{"@type":"VideoObject",!}</script>').odd == {"odd:json_ld": 1}


# ---------------------------------------------------------------------------------------- any input

TAGS = "a b figure figcaption img picture source video track object param iframe h1 title base p table svg noscript"
ATTRIBUTES = "src href alt title srcset data-src rel content name property value itemprop lang"
tag = st.sampled_from(TAGS.split())
attribute = st.tuples(
    st.sampled_from(ATTRIBUTES.split()),
    st.one_of(st.text(max_size=9), st.sampled_from(["a.mp4", "//youtu.be/dQw4w9WgXcQ", "b 9w", "license", "\ud800"])),
)
piece = st.one_of(
    st.builds(lambda t, pairs: f"<{t} " + " ".join(f'{n}="{v}"' for n, v in pairs) + ">", tag, st.lists(attribute)),
    st.builds("</{}>".format, tag),
    st.text(max_size=9),
    st.just("<script type='application/ld+json'>{\"@type\":\"VideoObject\",\"name\":"),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(piece, max_size=25))
def test_any_soup_is_read(pieces: list[str]) -> None:
    page = read_html("".join(pieces).encode("utf-8", "surrogatepass"))
    for medium in page.media + page.unplaced:
        assert medium.modality in ("image", "video", "audio")
        assert all(text.text for text in medium.texts)
    assert all(medium.url == "" for medium in page.unplaced)


@pytest.mark.parametrize("html", [b"", b"\0" * 99, b"\xff\xfe<img src=a alt=\xff>", b"<", b"<img", b"&#xD800;"])
def test_bytes_of_any_kind_are_read(html: bytes) -> None:
    for medium in read_html(html).media:
        assert "\ud800" not in medium.url + "".join(text.text for text in medium.texts)


def test_the_check_ends_the_reading() -> None:
    def check() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        read_html(b"<img>", check=check)
