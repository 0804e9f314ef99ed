"""What a site's robots.txt (RFC 9309) or ai.txt (Spawning) lets an agent fetch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MAX_RULES = 200_000
"""Rules kept of one file. Every agent of a group gets all its rules, so a hostile file would make billions."""

MAX_WILD_RULES = 5_000
"""Rules with wildcards that count of one group, the longest: each of them is tried on each path."""

_AGENT_FIELDS = frozenset({b"user-agent", b"useragent", b"user agent"})
_RULE_FIELDS = {b"allow": True, b"disallow": False} | dict.fromkeys(
    (b"dissallow", b"dissalow", b"disalow", b"diasllow", b"disallaw"),
    False,  # misspellings that sites are full of
)
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, 2.3
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})|[^\x21-\x7e]")


class Rule(NamedTuple):
    """One line of a group. agent: lower case, "*" for all; pattern: percent-encoding normalised, "" matches all."""

    agent: str
    allow: bool
    pattern: str


def parse_rules(data: bytes, limit_bytes: int = 512 << 10) -> list[Rule]:
    """The rules of a robots.txt or ai.txt in order, one for each agent of their group; never raises.

    Read up to limit_bytes (RFC 9309 asks for at least 500 KiB; a line cut there is left out) and MAX_RULES.
    Line ends of any kind, a byte order mark, comments, any case and misspellings are fine; other fields (Sitemap,
    Crawl-delay ...) change nothing, not even the group; rules before any user-agent belong to nobody. A version in
    an agent ("Bot/2.1") is dropped. Each user-agent line gives a rule that allows all, with an empty pattern: a group
    without rules, or with an empty Disallow, counts, and its agent does not fall back to "*".
    Bytes are octets of the path whatever their encoding. Where a pattern starts with neither "/" nor "*" a "/" is put
    in front, as most writers of such lines mean.
    """
    if len(data) > limit_bytes:
        data = data[: max(data.rfind(b"\n", 0, limit_bytes), data.rfind(b"\r", 0, limit_bytes)) + 1]
    rules: list[Rule] = []
    agents: list[str] = []
    in_rules = False
    for line in data.removeprefix(b"\xef\xbb\xbf").splitlines():
        field, _, value = line.partition(b"#")[0].partition(b":")
        field = field.strip().lower()
        if field in _AGENT_FIELDS:
            if in_rules:
                agents, in_rules = [], False
            agents.append(value.partition(b"/")[0].strip().lower().decode("latin-1"))
            rules.append(Rule(agents[-1], True, ""))
        elif field in _RULE_FIELDS:
            in_rules = True
            if pattern := _pattern(value):
                rules.extend(Rule(agent, _RULE_FIELDS[field], pattern) for agent in agents)
        if len(rules) > MAX_RULES:
            return rules[:MAX_RULES]
    return rules


class SiteRules:
    """Decides for one agent what may be fetched from one site.

    agents: names the agent answers to, the most specific first, any case ("examplebot-image", "examplebot"). All groups
    of the first name that has one count together; without any, those of "*"; without these, all is allowed.
    """

    def __init__(self, rules: Iterable[Rule], agents: Sequence[str]) -> None:
        groups: dict[str, set[Rule]] = {}
        for rule in rules:
            groups.setdefault(rule.agent, set()).add(rule)
        names = [name.lower() for name in agents] + ["*"]
        chosen = next((groups[name] for name in names if name in groups), set())
        ordered = sorted(chosen, key=lambda rule: (-len(rule.pattern), not rule.allow, rule.pattern))
        self._prefixes: dict[str, bool] = {}
        self._wild: list[tuple[int, bool, list[str]]] = []
        for rule in ordered:  # of two that are equal the allowing one comes first, and stays
            if "*" not in rule.pattern and not rule.pattern.endswith("$"):
                self._prefixes.setdefault(rule.pattern.replace("$", "%24"), rule.allow)
            elif len(self._wild) < MAX_WILD_RULES:
                self._wild.append((len(rule.pattern), rule.allow, _pieces(rule.pattern)))
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)

    def allows(self, path_and_query: str) -> bool:
        """Whether the longest pattern that matches (of two as long, the allowing one) allows this; else True.

        path_and_query: of a URL, without fragment; "" is "/". "*" matches any characters, "$" at the end of a pattern
        the end of the path, and a pattern without it anything that follows. So `Disallow: *.jpg` refuses whatever holds
        ".jpg": /a/b.jpg, /a/b.jpg?x=1, and /a.jpg/b too (RFC 9309 knows no file types; in doubt for the site).
        Plain prefixes are looked up by their lengths; time is linear in the length of the path for each other rule.
        """
        octets = (path_and_query or "/").encode("utf-8", "surrogatepass").decode("latin-1")
        path = _normalise(octets).replace("*", "%2A").replace("$", "%24")
        fitting = (length for length in self._lengths if length <= len(path))
        found = next((length for length in fitting if path[:length] in self._prefixes), -1)
        allow = self._prefixes.get(path[:found], True) if found >= 0 else True
        for length, allows, pieces in self._wild:
            if length < found or (length == found and (allow or not allows)):
                break
            if _matches(pieces, path):
                return allows
        return allow


def _pattern(value: bytes) -> str:
    text = value.strip(b" \t\x00\x0b\x0c").decode("latin-1")
    if text and text[0] not in "/*":
        text = "/" + text
    return _normalise(text)


def _normalise(octets: str) -> str:
    """Percent-encoding as in RFC 3986, 6.2.2: unreserved characters bare, hex digits in capitals, the rest encoded."""
    return _ENCODED.sub(_encoded, octets)


def _encoded(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16)) if match[1] else match[0]
    return character if character in _UNRESERVED else f"%{ord(character):02X}"


def _pieces(pattern: str) -> list[str]:
    """What has to follow each other: the first at the start, the last at the end, anything between them."""
    anchored = pattern.endswith("$")
    text = (pattern[:-1] if anchored else pattern + "*").replace("$", "%24")
    return re.sub(r"\*+", "*", text).split("*")


def _matches(pieces: list[str], path: str) -> bool:
    """Every middle piece at its leftmost place: if any placing matches, that one does, so nothing is tried twice."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return path == first
    if not path.startswith(first):
        return False
    position = len(first)
    for piece in pieces[1:-1]:
        position = path.find(piece, position)
        if position < 0:
            return False
        position += len(piece)
    return path.endswith(last) and len(path) - len(last) >= position
