"""Hashtags and a page's tags as weak labels: the words under which people filed their own video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple
from unicodedata import normalize

import regex

MAX_TAG = 100
"""Characters; what is longer is no label but a sentence run together. The number is ours."""
TagSource = Literal["title", "description", "tags"]


class Label(NamedTuple):
    """A folded tag, and where it was found first."""

    tag: str
    source: TagSource


_SIGNS = "#\ufe5f\uff03"
_WORD = r"\p{XID_Continue}"
_URL = r"(?:[Hh][Tt]{2}[Pp][Ss]?://|[Ww]{3}\.)\S++"
_RUN = regex.compile(rf"{_URL}|(?<![{_WORD}{_SIGNS}/&])(?P<run>(?:[{_SIGNS}]++{_WORD}++)++)")
_ONE = regex.compile(rf"[{_SIGNS}]++({_WORD}++)")
_AFTER_WORD = regex.compile(rf"(?<={_WORD})").match
_BETWEEN = regex.compile(r"[\s,\p{So}\p{Sk}\p{Emoji_Modifier}\u200d\ufe0f]*+")
_JOINTS = regex.compile(r"_++|(?<=\p{Ll})(?=\p{Lu})|(?<=[\p{Lu}\p{N}])(?=\p{Lu}\p{Ll})")


def hashtags(text: str) -> list[str]:
    """The hashtags of a text, folded, each once, in the order in which they first appear.

    By Unicode's syntax of hashtags (UAX #31, UAX31-D2 without emoji): one of # ﹟ ＃, then characters of XID_Continue
    (letters, marks, digits, _), with none of these before the sign. More narrowly: none in URLs, none behind / or &
    (#fragments without a scheme, &#39;), with a letter in it (#1 is a number), of MAX_TAG characters at most. More
    widely: one that follows another without a space counts too (#cats#dogs), because people write them so.
    """
    return list(dict.fromkeys(fold(tag) for _, _, tag in _found(text)))


def fold(tag: str) -> str:
    """The form in which two writings of a tag are the same: NFKC of its case folded (#Ｃａｔ, #CAT)."""
    return normalize("NFKC", normalize("NFKC", tag).casefold())


def tag_words(tag: str) -> str:
    """A tag's words apart where its writing shows them: CatsOfInstagram and cats_of_instagram, not catsofinstagram."""
    return " ".join(_JOINTS.sub(" ", tag.lstrip(_SIGNS)).split())


def weak_labels(title: str | None, description: str | None, tags: Iterable[str]) -> list[Label]:
    """Every label once, with the first place that has it: hashtags of title and description, then the page's tags.

    A page's tag may have spaces; it is folded like a hashtag, its sign taken off and white space put in single spaces.
    """
    said: list[tuple[str, TagSource]] = [
        *((tag, "title") for tag in hashtags(title or "")),
        *((tag, "description") for tag in hashtags(description or "")),
        *((" ".join(fold(tag).lstrip(_SIGNS).split()), "tags") for tag in tags),
    ]
    first: dict[str, TagSource] = {}
    for tag, source in said:
        if tag and len(tag) <= MAX_TAG:
            first.setdefault(tag, source)
    return [Label(tag, source) for tag, source in first.items()]


def without_hashtags(text: str) -> str:
    """The text as a caption: without the hashtags at its end, and the others as words without their sign.

    At the end are those with nothing behind and between them but white space, commas and symbols (emoji). Words stay as
    they were written.
    """
    found = list(_found(text))
    end = len(text)
    while found and _BETWEEN.fullmatch(text, found[-1][1], end):
        end = found.pop()[0]
    parts, at = [], 0
    for begin, until, tag in found:
        glued = " " if _AFTER_WORD(text, begin) else ""
        parts += [text[at:begin], glued, tag]
        at = until
    kept = text[at:end]
    return "".join([*parts, kept.rstrip() if end < len(text) else kept])


def _found(text: str) -> Iterator[tuple[int, int, str]]:
    """(begin, end, tag as written), the begin at its sign."""
    for run in _RUN.finditer(text):
        if run["run"]:
            for one in _ONE.finditer(text, *run.span("run")):
                tag = one[1]
                if len(tag) <= MAX_TAG and any(map(str.isalpha, tag)):
                    yield one.start(), one.end(), tag
