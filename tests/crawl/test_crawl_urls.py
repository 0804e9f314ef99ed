"""Absolute URLs: urljoin is the definition."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.crawl import urls
from curation.crawl.urls import Joiner, has_other_scheme, is_http, media_id

# Pieces that meet in every rule of urljoin: schemes, authorities, dots, empty parts, what is stripped, what is checked.
_PIECES = [
    *("http:", "https:", "ftp:", "data:", "mailto:", "urn:", "HTTP:", ":", "/", "//", "///", ".", "..", "/.", "/.."),
    *("?", "#", ";", "&", "=", "@", "[", "]", "%", "%20", "a", "b.jpg", "host", "h.com", ":80", "-x_y~", "+", ","),
    *("'", '"', "<", "|", "*", "!", "$", "(", "\\", "//h", "::1", "www.example.com", "é", "中", "\u2028", "\u2100"),
    *(" ", "\t", "\n", "\r", "\x00", "\x1f", "\x7f"),
]
_ANY = st.lists(st.sampled_from(_PIECES), max_size=9).map("".join)
_ABSOLUTE = st.tuples(
    st.sampled_from(["http://", "https://", "//", "/", ""]), st.sampled_from(["h.com", "a.b:80", "u@h", "é.com"]), _ANY
).map("".join)
_URLS = _ANY | _ABSOLUTE | _ABSOLUTE


def _result(join: object, *arguments: str) -> object:
    try:
        return join(*arguments)  # type: ignore[operator]
    except ValueError:
        return ValueError


@settings(max_examples=1500, deadline=None)
@given(_URLS, _URLS)
@example("http://h.com[", "")
@example("http://h/a//b/../c", "x/y.jpg")
@example("http://h/a/../b/c", "x.jpg")
@example("http://h/a//b/c", "x.jpg")
@example("http://h", "a.jpg")
@example("http://h/a?b/c", "x.jpg")
@example("http://h/a", "http://h/a?")
@example("http://h/a", "http://h/a;?q")
@example("http://h/a", " http://h/a")
@example("data:x", "data://[")
def test_join_is_urljoin(base: str, url: str) -> None:
    assert _result(lambda: Joiner(base).join(url)) == _result(urljoin, base, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a/b.jpg?w=1&h=2#top",
        "https://cdn.example.com:8080/a b.jpg",
        "//cdn.example.com/a.jpg",
        "/images/a.jpg?x=//y/../z",
        "images/ä.jpg",
        "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==",
    ],
)
def test_common_urls_never_reach_urljoin(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = urljoin("https://example.com/dir/page.html?q#f", url)
    monkeypatch.delattr(urls, "urljoin")
    assert Joiner("https://example.com/dir/page.html?q#f").join(url) == expected


def test_media_id_is_the_first_half_of_sha_224_of_the_utf_8() -> None:
    # sha224sum of the bytes, first 24 of 56 digits
    assert media_id("https://example.com/a.jpg") == "830ea075166a60fac7650ab1"
    assert media_id("https://example.com/ä 中.jpg") == "79e7faf6ac94a0dcb6cbd875"


@pytest.mark.parametrize(
    ("url", "http", "other"),
    [
        ("http://h/x", True, False),
        ("HTTPS://h", True, False),
        ("http:///x", False, False),
        ("http:/x", False, False),
        ("https://", False, False),
        ("/x", False, False),
        ("ftp://h/x", False, True),
        ("data:image/png,", False, True),
        ("1x:y", False, False),
        ("", False, False),
    ],
)
def test_schemes(url: str, http: bool, other: bool) -> None:
    assert (is_http(url) is not None, has_other_scheme(url)) == (http, other)
