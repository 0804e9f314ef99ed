"""Prompts: text files with {placeholders} that are filled in with words nobody has checked.

What is filled in is material, never template, and never a part of the conversation's structure: it is not parsed again,
is bounded in length, has no control characters, and nothing in it is a special token to any tokenizer. A placeholder
alone on its line becomes a quotation on lines of its own, each of which begins with "> ", so that no words can end it;
within a line it becomes one line in double quotes. Numbers are no words and stand as they are.

A placeholder without a value: alone on its line, that line vanishes, and so does one before it that ends with a colon
and announces nothing else; within a line it becomes (none). So no sentence that the request needs goes for want of a
word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Self

from curation.errors import RecipeError

HEAD_CHARS: Final = 24_000
TAIL_CHARS: Final = 8_000
"""Of words that are filled in at one place: of longer ones so much of their begin and end stays, some 8,000 tokens."""
QUOTE: Final = "> "
NOTHING: Final = "(none)"
CUT: Final = " ... "

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?").fullmatch
_NUMBER = re.compile(r"[0-9][0-9.,:]{0,15}").fullmatch
INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Controls of the terminal, of the direction of writing, lone halves of surrogates, and the tag characters in which
instructions can be hidden from the eye. What joins the letters of Persian, of Indian scripts and of emoji stays.
"""
_OPENER = re.compile(r"([<\[|\ufe47\ufe64\uff1c\uff3b\uff5c])(?=\S)")
"""What special tokens begin with (<|im_end|>, </s>, [INST], |NEWLINE|), and what a tokenizer makes it of (NFKC)."""

_Part = tuple[str, str | None]
"""A literal, and the name of the placeholder after it."""


@dataclass(frozen=True)
class Prompt:
    """A template. `{name}` is a placeholder, `{{` and `}}` are braces."""

    lines: tuple[tuple[_Part, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises RecipeError where a brace stands alone, or what is between two is no name."""
        text = INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        return cls(tuple(tuple(_parts(line, number)) for number, line in enumerate(text.split("\n"), 1)))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the placeholders, each once, in their order."""
        return tuple(dict.fromkeys(name for line in self.lines for _, name in line if name is not None))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with values by name; a name without a value, or with white space, has none."""
        told: list[str] = []
        for alone, lines in groupby(self.lines, _is_alone):
            if not alone:
                told += ["".join(literal + _inline(name, values) for literal, name in line) for line in lines]
                continue
            quoted = [_quotation(values.get(line[0][1] or "", "")) for line in lines]
            told += filter(None, quoted)
            if not any(quoted) and told and told[-1].rstrip().endswith(":"):
                told.pop()
        return "\n".join(told).strip("\n")


def _parts(line: str, number: int) -> Iterator[_Part]:
    literal, at = "", 0
    for found in _TOKEN.finditer(line):
        literal += line[at : found.start()]
        at = found.end()
        if found[0] in ("{{", "}}"):
            literal += found[0][0]
        elif found[1] is not None and _NAME(found[1]):
            yield literal, found[1]
            literal = ""
        else:
            raise RecipeError(
                f"line {number} of the prompt has {found[0]!r:.60}, which is no placeholder: write one as {{name}} of "
                "small letters, digits and _, and a brace that is meant twice: {{ or }}"
            )
    yield literal + line[at:], None


def _is_alone(line: tuple[_Part, ...]) -> bool:
    """Whether a placeholder is all there is on a line."""
    return len(line) == 2 and not any(literal.strip() for literal, _ in line)


def _inline(name: str | None, values: Mapping[str, str]) -> str:
    if name is None:
        return ""
    words = " ".join(_harmless(values.get(name, "")).split())
    if _NUMBER(words):
        return words
    return '"' + words.replace('"', "'") + '"' if words else NOTHING


def _quotation(words: str) -> str:
    lines = (" ".join(line.split()) for line in _harmless(words).splitlines())
    return "\n".join(QUOTE + line for line in lines if line)


def _harmless(words: str) -> str:
    """Bounded, without what cannot be seen, and with a space after each sign that special tokens begin with."""
    if len(words) > HEAD_CHARS + TAIL_CHARS:
        words = words[:HEAD_CHARS] + CUT + words[-TAIL_CHARS:]
    words = INVISIBLE.sub("", words.replace("\r\n", "\n").replace("\r", "\n"))
    return _OPENER.sub(r"\1 ", words)
