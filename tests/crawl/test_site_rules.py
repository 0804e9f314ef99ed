"""robots.txt and ai.txt: a brute-force definition of matching, RFC 9309's examples, and Python's own parser."""

from __future__ import annotations

import time
from functools import cache
from urllib.robotparser import RobotFileParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.crawl.site_rules import MAX_RULES, MAX_WILD_RULES, Rule, SiteRules, parse_rules


def allows(text: str | bytes, path: str, *agents: str) -> bool:
    data = text.encode() if isinstance(text, str) else text
    return SiteRules(parse_rules(data), agents or ("curation",)).allows(path)


def matches(pattern: str, path: str) -> bool:
    @cache
    def rest(i: int, j: int) -> bool:
        if i == len(pattern):
            return True
        if pattern[i] == "*":
            return rest(i + 1, j) or (j < len(path) and rest(i, j + 1))
        if pattern[i] == "$" and i + 1 == len(pattern):
            return j == len(path)
        return j < len(path) and pattern[i] == path[j] and rest(i + 1, j + 1)

    return rest(0, 0)


PATHS = st.text("ab/.*$?", max_size=9).map(lambda text: "/" + text)
PATTERNS = st.text("ab/.**$?", max_size=7).map(lambda text: text if text.startswith("*") else "/" + text)


@settings(max_examples=800, deadline=None)
@given(st.lists(st.tuples(PATTERNS, st.booleans()), max_size=4), PATHS)
@example([("/a*b", False)], "/aab")
@example([("/ab*b$", False)], "/ab")
@example([("/*a*", False), ("/a", True)], "/a")
def test_the_longest_pattern_that_matches_decides(lines: list[tuple[str, bool]], path: str) -> None:
    text = "user-agent: *\n" + "".join(f"{'allow' if allow else 'disallow'}: {pattern}\n" for pattern, allow in lines)
    found = [(len(pattern), allow) for pattern, allow in lines if matches(pattern, path)]
    assert allows(text, path) is (max(found)[1] if found else True)


FOLDERS = st.lists(st.text("ab~2", min_size=1, max_size=2), max_size=3).map("/".join)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["curation", "other", "*"]), FOLDERS, FOLDERS)
def test_single_prefix_rules_agree_with_urllib(agent: str, prefix: str, path: str) -> None:
    text = f"User-agent: {agent}\nDisallow: /{prefix}\n"
    parser = RobotFileParser()
    parser.parse(text.splitlines())
    assert allows(text, "/" + path) is parser.can_fetch("curation", "http://h/" + path)


@pytest.mark.parametrize(
    ("pattern", "path", "matched"),
    [
        ("/example/page/disallowed.gif", "/example/page/disallowed.gif", True),
        ("*.gif$", "/example/a.gif", True),
        ("*.gif$", "/example/a.gif?x", False),
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%E3%83%84", "/foo/bar/ツ", True),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
        ("/a%2fb", "/a%2Fb", True),
        ("/a%2fb", "/a/b", False),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-x.html", False),
        ("/path/foo-%24", "/path/foo-$", True),
        ("/path/foo-%24", "/path/foo-", False),
        ("/fish*.php", "/fishheads/catfish.php?parameters", True),
        ("/*.php$", "/filename.php5", False),
        ("/Fish", "/fish", False),
        ("*.jpg", "/a/b.jpg", True),
        ("*.jpg", "/a/b.jpg?x=1", True),
        ("*.jpg", "/a/b.jpeg", False),
        ("private/", "/private/x", True),
    ],
)
def test_patterns(pattern: str, path: str, matched: bool) -> None:
    assert allows(f"User-Agent: *\nDisallow: {pattern}", path) is not matched


RFC = """\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot

EOF"""


@pytest.mark.parametrize(
    ("agent", "path", "allowed"),
    [
        ("anybot", "/a.gif", False),
        ("anybot", "/example/x", False),
        ("anybot", "/publications/", True),
        ("FooBot", "/example/page.html", True),
        ("foobot", "/a", False),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/a.gif", True),
        ("quxbot", "/example/x.gif", True),
    ],
)
def test_the_rfcs_simple_example(agent: str, path: str, allowed: bool) -> None:
    assert allows(RFC, path, agent) is allowed


def test_groups_of_one_agent_count_together_and_the_first_agent_known_is_chosen() -> None:
    text = "User-agent: a\nDisallow: /1\n\nUser-agent: b\nDisallow: /2\n\nUser-agent: A\nDisallow: /3\n"
    text += "User-agent:*\nDisallow: /"
    assert [allows(text, path, "a") for path in ("/1", "/2", "/3")] == [False, True, False]
    assert [allows(text, path, "z", "b", "a") for path in ("/1", "/2", "/3")] == [True, False, True]
    assert not allows(text, "/x", "z")
    assert allows("", "/x")
    assert not allows("User-agent: *\nDisallow: /", "")


def test_other_fields_change_nothing_and_damage_costs_a_line() -> None:
    text = (
        b"\xef\xbb\xbfDisallow: /nobody\r\nUSER-AGENT : Bot/2.1 # me\rCrawl-delay: 5\n\nUser-agent: b\x00t\n"
        b"DISALLOW:/caf\xe9\nSitemap: http://h/s\nDissallow: /mis # x\n: /\nno colon\nallow:\n"
    )
    assert parse_rules(text) == [
        Rule("bot", True, ""),
        Rule("b\x00t", True, ""),
        Rule("bot", False, "/caf%E9"),
        Rule("b\x00t", False, "/caf%E9"),
        Rule("bot", False, "/mis"),
        Rule("b\x00t", False, "/mis"),
    ]


def test_an_empty_disallow_allows_all() -> None:
    assert allows("User-agent: *\nDisallow: /\n\nUser-agent: curation\nDisallow:\n", "/x")


def test_a_line_cut_by_the_limit_is_left_out() -> None:
    data = b"User-agent: *\nDisallow: /private\n"
    assert parse_rules(data, len(data))[-1] == Rule("*", False, "/private")
    assert parse_rules(data, len(data) - 4) == [Rule("*", True, "")]
    assert parse_rules(b"User-agent: *", 5) == []


def test_ai_txt_with_types_of_files() -> None:
    text = "User-Agent: *\nDisallow: *.txt\nDisallow: *.pdf\nAllow: *.jpg\nDisallow: /\nAllow: /public/*.txt\n"
    assert [allows(text, path) for path in ("/a.jpg", "/b.txt?x", "/public/b.txt", "/", "/a.mp4")] == [
        *(True, False, True, False, False)
    ]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text("user-agent:*disallow/\n\r#%$ \x00", max_size=200).map(str.encode), st.text())
def test_any_bytes_give_rules(data: bytes, path: str) -> None:
    SiteRules(parse_rules(b"user-agent: *\ndisallow: " + data), ["a"]).allows(path + "\ud800")


@pytest.mark.parametrize("end", ["b", "b$", "*b*$"])
def test_hostile_patterns_take_linear_time(end: str) -> None:
    rules = SiteRules(parse_rules(b"user-agent: *\ndisallow: /" + b"*a" * 100_000 + end.encode()), ["x"])
    start = time.process_time()
    assert rules.allows("/" + "a" * 200_000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "piece", [b"user-agent: a\n", b"user-agent:a\ndisallow:b\n", b"%", b":", b"\r", b"#", b" ", b"*"]
)
def test_megabytes_take_bounded_time(piece: bytes) -> None:
    start = time.process_time()
    data = b"user-agent: a\ndisallow: /" + piece * ((256 << 10) // len(piece)) + b"\n" + b"disallow:/a\n" * 20_000
    rules = parse_rules(data)
    assert len(rules) <= MAX_RULES
    SiteRules(rules, ["a"]).allows("/" + "a" * 1000)
    assert time.process_time() - start < 4


def test_a_longer_wildcard_beats_a_prefix_that_is_the_whole_path() -> None:
    rules = parse_rules(b"user-agent: *\nallow: /a\ndisallow: /*a\nallow: /abcdef")
    assert not SiteRules(rules, ["curation"]).allows("/a")


def test_a_file_full_of_rules_is_no_denial_of_service() -> None:
    """Plain prefixes are looked up; of the others a bounded number is tried on a path, the longest first."""
    literal = b"".join(b"disallow: /private/%d/\n" % n for n in range(20_000))
    wild = b"".join(b"disallow: /*x%d*y\n" % n for n in range(20_000))
    rules = SiteRules(parse_rules(b"user-agent: *\n" + literal + wild, 1 << 20), ["curation"])
    assert len(rules._wild) == MAX_WILD_RULES
    assert not rules.allows("/private/19999/a")
    assert not rules.allows("/ax14999by")
    assert rules.allows("/ax19999by")  # beyond what is tried
