"""Markup of the report, made so that no text from the web can become markup: what is not `Html` is escaped.

element("p", "by ", element("b", name), class_="author")     # name may hold anything
"""

from __future__ import annotations

import html
import re
import unicodedata

_VOID = frozenset({"br", "img", "input", "meta", "rect", "line", "circle", "polyline", "path"})
_NAME = re.compile(r"[a-z][a-z0-9-]*|viewBox|preserveAspectRatio").fullmatch
_BIDI = frozenset((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_KEPT = frozenset("\n\t")


class Html(str):
    """Markup that was made here, of escaped parts."""

    __slots__ = ()


Content = str | Html
"""Text, which is escaped, or markup."""
Attribute = str | int | bool | None


def text(content: str) -> Html:
    """A text as markup that shows it and does nothing: what cannot be seen is shown by a sign or its code.

    Controls become the pictures of controls (␛), what turns the writing direction, lone surrogates and characters that
    no HTML may hold their code points.
    """
    if content.isascii() and content.isprintable():
        return Html(html.escape(content))
    return Html(html.escape("".join(char if char.isprintable() or char in _KEPT else _seen(char) for char in content)))


def _seen(char: str) -> str:
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return chr(0x2421 if code == 0x7F else 0x2400 + code)
    if code in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or code & 0xFFFE == 0xFFFE:
        return f"[U+{code:04X}]"
    return char  # joiners, odd spaces, unassigned ones: harmless, and scripts and emoji need them


def joined(*parts: Content) -> Html:
    """The parts one after the other."""
    return Html("".join(part if isinstance(part, Html) else text(part) for part in parts))


def element(name: str, *content: Content, **attributes: Attribute) -> Html:
    """An element. Attributes: class_ is class, aria_label aria-label; True: without a value; None and False: left out.

    Raises ValueError for what is no name of an element or an attribute, and for content of an element without an end.
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    for word in (name, *given):
        if not _NAME(word):
            raise ValueError(f"{word!r} is no name of an element or attribute")
    shown = "".join(_attribute(key, value) for key, value in given.items() if value is not None and value is not False)
    if name in _VOID:
        if content:
            raise ValueError(f"{name} has no content")
        return Html(f"<{name}{shown}/>")
    return Html(f"<{name}{shown}>{joined(*content)}</{name}>")


def _attribute(key: str, value: Attribute) -> str:
    return f" {key}" if value is True else f' {key}="{text(str(value))}"'


def told(words: str) -> Html:
    """A message of ours, in which what is between backticks is a command or a name."""
    parts = words.split("`")
    return joined(*(element("code", part) if place % 2 else part for place, part in enumerate(parts)))


def link(content: Content, url: str | None) -> Html:
    """A link to an http(s) page that is told nothing of where it was followed from; for any other URL its content."""
    if url is None or not re.match(r"https?://[^\s/]", url, re.IGNORECASE):
        return joined(content)
    return element("a", content, href=url, rel="noopener noreferrer nofollow", target="_blank")


def clipped(content: str, limit: int) -> str:
    """At most `limit` characters, and how many there are where some are left out."""
    if len(content) <= limit:
        return content
    return f"{content[:limit]}… ({len(content):,} characters)"
