"""srcset: the WHATWG algorithm, written out character by character, is the definition."""

from __future__ import annotations

import math
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.crawl.srcset import candidates

BLANKS = " \t\n\f\r"


def tokens_of(text: str, position: int) -> tuple[list[str], int]:
    """The standard's three states: in descriptor, in parens, after descriptor."""
    tokens, current, state = [], "", "in"
    while position < len(text):
        character = text[position]
        if state == "after" and character not in BLANKS:
            state = "in"
        if state == "parens":
            current += character
            state = "in" if character == ")" else state
        elif state == "in":
            if character in BLANKS:
                if current:
                    tokens.append(current)
                    current = ""
                state = "after"
            elif character == ",":
                position += 1
                break
            else:
                current += character
                state = "parens" if character == "(" else state
        position += 1
    return ([*tokens, current] if current else tokens), position


def rank_of(tokens: list[str]) -> float | None:
    width = density = height = None
    for token in tokens:
        integer = re.fullmatch("[0-9]+", token[:-1])
        number = re.fullmatch(r"-?([0-9]+|[0-9]*\.[0-9]+)([eE][-+]?[0-9]+)?", token[:-1])
        if len(token) > 32:
            return None
        if token[-1] == "w" and integer and width is None and density is None and int(token[:-1]):
            width = float(token[:-1])
        elif token[-1] == "x" and number and {width, density, height} == {None} and 0 <= float(token[:-1]) < math.inf:
            density = float(token[:-1])
        elif token[-1] == "h" and integer and height is None and density is None and int(token[:-1]):
            height = float(token[:-1])
        else:
            return None
    if height is not None and width is None:
        return None
    return next((value for value in (width, density) if value is not None), 1.0)


def definition(text: str) -> list[tuple[str, float]]:
    found, position = [], 0
    while True:
        while position < len(text) and text[position] in BLANKS + ",":
            position += 1
        if position == len(text):
            return found
        start = position
        while position < len(text) and text[position] not in BLANKS:
            position += 1
        url, tokens = text[start:position], []
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            tokens, position = tokens_of(text, position)
        rank = rank_of(tokens)
        if rank is not None:
            found.append((url, rank))


PIECES = st.sampled_from(
    [
        *("a.jpg", "b,c.png", "data:image/png;base64,AA==", " ", " ", "  ", "\n", "\xa0", ",", ",", ", ", "(", ")"),
        *("1x", "2x", "1.5x", ".5x", "5.x", "-1x", "-0x", "0x", "1e3x", "1e999x", "640w", "0w", "-1w", "480h", "0h"),
        *("1", "x", "w", "٣w", "+1x", "9" * 40 + "w", "1_0w", "X", "2X", "\x00", "\ud800", "\x0b"),
    ]
)


DESCRIPTORS = st.lists(PIECES.filter(lambda piece: not piece.isspace()), max_size=3).map(" ".join)
LISTS = st.lists(DESCRIPTORS, max_size=4).map(lambda each: ", ".join(f"u{i} {text}" for i, text in enumerate(each)))


@settings(max_examples=900, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join) | LISTS)
@example("a 0w, b 0h 1w, c 1w 1h, d 1w 2x, e 2x 1w, f 0x, g 1w 1w")
@example("a 1x 2x, b (x,y) 1x, c (, d 2x")
@example("a 10h 1x, b 1x 10h, c 10w 10h, d 10h 10w, e 10h")
def test_candidates_are_the_standards(srcset: str) -> None:
    assert candidates(srcset) == definition(srcset)


@pytest.mark.parametrize(
    ("srcset", "expected"),
    [
        ("", []),
        (" , ", []),
        ("a.jpg", [("a.jpg", 1.0)]),
        ("a.jpg 480w, b.jpg 800w", [("a.jpg", 480.0), ("b.jpg", 800.0)]),
        ("a.jpg 1x,b.jpg 2x", [("a.jpg", 1.0), ("b.jpg", 2.0)]),
        ("a.jpg, b.jpg 1.5x", [("a.jpg", 1.0), ("b.jpg", 1.5)]),
        ("a.jpg,b.jpg", [("a.jpg,b.jpg", 1.0)]),
        ("/w_1,h_5/a 100w,\n/w_2,h_1/a 200w", [("/w_1,h_5/a", 100.0), ("/w_2,h_1/a", 200.0)]),
        ("data:image/gif;base64,R0lGOD 1x, b 2x", [("data:image/gif;base64,R0lGOD", 1.0), ("b", 2.0)]),
        ("a.jpg 640, b.jpg 2x", [("b.jpg", 2.0)]),
    ],
)
def test_examples(srcset: str, expected: list[tuple[str, float]]) -> None:
    assert candidates(srcset) == expected


@pytest.mark.parametrize("piece", ["a 1x,", "a,", ",", " ", "(", "a (", "1", "a 1x ", "a ( ) ", "\n,"])
def test_megabytes_take_linear_time(piece: str) -> None:
    start = time.process_time()
    candidates("u " + piece * (500_000 // len(piece)))
    assert time.process_time() - start < 3
