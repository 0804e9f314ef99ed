"""Robots directives of meta elements and headers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl.directives import MAX_DIRECTIVE_CHARS, MAX_DIRECTIVES, robots_directives, tdm_reserved

PLAIN = st.sampled_from(["noindex", "nofollow", "noai", "noimageai", "none", "x-other", "max-snippet: 20"])
AGENTS = st.sampled_from(["otherbot", "GoogleBot", "*", "img2dataset"])
CASES = st.sampled_from([str.lower, str.upper, str.title])


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(PLAIN, CASES), max_size=5), max_size=4), st.booleans())
def test_joined_by_commas_is_the_set_of_all(values: list[list[tuple[str, object]]], header: bool) -> None:
    said = [" , ".join(case(name) for name, case in value) for value in values]  # type: ignore[operator]
    assert robots_directives(said, header=header) == sorted({name for value in values for name, _ in value})


@settings(deadline=None)
@given(st.lists(st.tuples(AGENTS, st.lists(PLAIN, min_size=1, max_size=4)), min_size=1, max_size=4), st.booleans())
def test_an_agent_stays_with_what_is_meant_for_it(groups: list[tuple[str, list[str]]], joined: bool) -> None:
    values = [f"{agent}: {', '.join(names)}" for agent, names in groups]
    expected = {name if agent == "*" else f"{agent.lower()}: {name}" for agent, names in groups for name in names}
    assert robots_directives([", ".join(values)] if joined else values, header=True) == sorted(expected)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("noindexa,:;* \t\n\x00\ud800İ12-", max_size=60) | st.text(max_size=200)), st.booleans())
def test_anything_gives_few_short_sorted_directives(values: list[str], header: bool) -> None:
    found = robots_directives(values, header=header)
    assert found == sorted(set(found))
    assert len(found) <= MAX_DIRECTIVES
    assert all(0 < len(directive) <= MAX_DIRECTIVE_CHARS for directive in found)


@pytest.mark.parametrize(
    ("value", "header", "expected"),
    [
        ("NoIndex,NOFOLLOW", False, ["nofollow", "noindex"]),
        ("noindex nofollow; noai", False, ["noai", "nofollow", "noindex"]),
        ("no index", False, ["no index"]),
        ("max-snippet:20,max-image-preview :Large", True, ["max-image-preview: large", "max-snippet: 20"]),
        ("max-video-preview: -1", False, ["max-video-preview: -1"]),
        ("otherbot: noindex", False, ["otherbot: noindex"]),
        ("otherbot:noindex,nofollow", True, ["otherbot: nofollow", "otherbot: noindex"]),
        ("noai, otherbot: noindex, b: none", True, ["b: none", "noai", "otherbot: noindex"]),
        ("otherbot:, noindex", True, ["otherbot: noindex"]),
        ("otherbot: max-snippet:0", True, ["otherbot: max-snippet: 0"]),
        ("*: noai", True, ["noai"]),
        (":", True, []),
        (": noai", True, ["noai"]),
        (
            "unavailable_after: 25 Jun 2010 15:00:00 PST, noai",
            True,
            ["noai", "unavailable_after: 25 jun 2010 15:00:00 pst"],
        ),
        (
            "googlebot: unavailable_after: Friday, 25-Jun-10 15:00:00 GMT,noai",
            True,
            ["googlebot: noai", "googlebot: unavailable_after: friday, 25-jun-10 15:00:00 gmt"],
        ),
        ("unavailable_after:Jun 25, 2010, 15:00:00", False, ["unavailable_after: jun 25, 2010, 15:00:00"]),
        ("unavailable_after: Fri, Jun 25, 2010", True, ["unavailable_after: fri, jun 25, 2010"]),
    ],
)
def test_examples(value: str, header: bool, expected: list[str]) -> None:
    assert robots_directives([value], header=header) == expected


def test_an_agent_counts_for_the_length() -> None:
    names = ["y" * 94, "z" * 95]
    assert robots_directives([f"bot1: {', '.join(names)}"], header=True) == ["bot1: " + "y" * 94]


def test_the_short_ones_are_kept() -> None:
    many = ", ".join(f"nonsense-{i:04}" for i in range(500))
    found = robots_directives([many, "noai", "y" * 101], header=False)
    assert "noai" in found
    assert len(found) == MAX_DIRECTIVES


@pytest.mark.parametrize("piece", ["a", ",", ":", "a:b,", " ", "a,", "1,", "noai ", "unavailable_after:1,", ";"])
def test_long_values_take_linear_time(piece: str) -> None:
    start = time.process_time()
    for prefix in ("", "agent" * 50_000 + ":", "unavailable_after: "):
        robots_directives([prefix + piece * (200_000 // len(piece))], header=True)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(("value", "reserved"), [("1", True), (" 1\n", True), ("0", False), ("", False), ("11", False)])
def test_tdm_reserved(value: str, reserved: bool) -> None:
    assert tdm_reserved(value) is reserved
