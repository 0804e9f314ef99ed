"""No text becomes markup, whatever it holds; attributes and links neither."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from curation.inspect.report_markup import Html, clipped, element, joined, link, text

anything = st.text(st.characters(), max_size=60) | st.sampled_from(
    ["<script>alert(1)</script>", "</p><img src=x onerror=alert(1)>", "&lt;b&gt;", "a\" onclick='x'", "\x00\x1b[31m",
     "\u202egnp.exe", "\ud800", "<!--", "]]>", "</textarea></style></script>"]
)  # fmt: skip


def parsed(markup: str) -> LexborHTMLParser:
    page = f"<!doctype html><meta charset=utf-8><body>{markup}</body>"
    return LexborHTMLParser(page.encode("utf-8", "backslashreplace"))


@given(anything, anything)
def test_a_text_is_one_text_and_no_element(content: str, attribute: str) -> None:
    tree = parsed(element("p", content, title=attribute))
    (body,) = tree.css("body")
    assert [node.tag for node in body.css("*")] == ["body", "p"]
    (found,) = body.css("p")
    assert set(found.attributes) == {"title"}
    assert found.text() == unescape(text(content))
    assert found.attributes["title"] == unescape(text(attribute))
    for before, after in ((content, found.text()), (attribute, str(found.attributes["title"]))):
        printable = [char for char in before if char.isprintable()]
        rest = iter(after)
        assert all(char in rest for char in printable)  # all of them, in their order


@given(anything)
def test_nothing_turns_the_writing_or_hides(content: str) -> None:
    shown = text(content)
    assert not any(0x202A <= ord(char) <= 0x202E or 0x2066 <= ord(char) <= 0x2069 for char in shown)
    assert all(ord(char) >= 0x20 or char in "\n\t" for char in shown)
    assert not any(0xD800 <= ord(char) <= 0xDFFF or 0x7F <= ord(char) <= 0x9F for char in shown)
    shown.encode()  # all of it can be written


def test_what_cannot_be_seen_is_named() -> None:
    assert text("a\x1b[1m\x00b") == "a␛[1m␀b"
    assert text("x\u202egnp") == "x[U+202E]gnp"
    assert text("\ud83d") == "[U+D83D]"
    assert text("\x7f\x85") == "␡[U+0085]"


def test_texts_of_all_scripts_stay_as_they_are() -> None:
    for said in ("雪の日", "שלום", "مرحبا", "👩‍👩‍👧 family", "a\u00a0b", "e\u0301", "क्‍ष", "\u200fx"):
        assert text(said) == said


def test_markup_made_here_is_not_escaped_again() -> None:
    assert element("p", "a < b ", element("b", "c & d")) == "<p>a &lt; b <b>c &amp; d</b></p>"
    assert joined(Html("<br/>"), "<br/>") == "<br/>&lt;br/&gt;"


def test_attributes_that_are_left_out_or_have_no_value() -> None:
    assert element("input", type="radio", checked=True, disabled=False, title=None) == '<input type="radio" checked/>'
    assert element("p", class_="a b", aria_label='"') == '<p class="a b" aria-label="&quot;"></p>'


def test_names_cannot_be_anything() -> None:
    with pytest.raises(ValueError, match="no name"):
        element("p><script", "x")
    with pytest.raises(ValueError, match="no name"):
        element("p", **{"onclick=alert(1) x": "y"})
    with pytest.raises(ValueError, match="no content"):
        element("img", "x")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//host/x", "http:/x", "https://", " http://a",
                                 "java\nscript:x", "file:///etc/passwd", "", None])  # fmt: skip
def test_only_web_addresses_become_links(url: str | None) -> None:
    assert link("page", url) == "page"


def test_a_link_tells_nobody_where_it_was_followed() -> None:
    (found,) = parsed(link("<b>", 'https://a.example/?q="><script>')).css("a")
    assert found.attributes["href"] == 'https://a.example/?q="><script>'
    assert set(str(found.attributes["rel"]).split()) >= {"noopener", "noreferrer"}
    assert found.text() == "<b>"


def test_long_texts_say_how_long_they_are() -> None:
    assert clipped("abc", 3) == "abc"
    assert clipped("x" * 5000, 3) == "xxx… (5,000 characters)"
