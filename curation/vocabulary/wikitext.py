"""Plain text of wikitext, in linear time whatever the input.

The structures that span lines (comments, elements, templates, links, tables) are taken away here, each in one pass with
a stack. What is left of markup stands within a line; tags and external links go to mwparserfromhell, in short pieces:
with whole pages it takes 15 times as long, and with brackets left open time that grows as the square of the length.
Rules: https://www.mediawiki.org/wiki/Markup_spec, https://www.mediawiki.org/wiki/Help:Links.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from contextlib import suppress

import mwparserfromhell
from mwparserfromhell.parser import ParserError

GAP = "\ufffc"
"""Stands where something visible was taken out (a template, a formula): the words beside it are no neighbours."""
_LINK_DEPTH = 8
_PARSED_CHARS, _PARSED_OPENERS = 4000, 200  # of a line: more goes to the rougher rules; bounds the parser's square

_HIDDEN = {"file", "image", "category"}  # understood in every language, beside the local names
_DROPPED = "categorytree|chem|ce|gallery|graph|hiero|imagemap|inputbox|maplink|mapframe|math|ref|references|score"
_DROPPED += "|section|source|syntaxhighlight|templatedata|templatestyles|timeline|nowiki|pre|includeonly"
_ELEMENT = re.compile(rf"<(/?)({_DROPPED})\b[^<>]*>", re.IGNORECASE)
_BRACES = re.compile(r"\{\{+|\}\}+")
_BRACKETS = re.compile(r"\[\[|\]\]")
_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_MEDIA = re.compile(r"\.(?:jpe?g|png|gif|svg|tiff?|webp|og[agv]|webm|pdf|djvu|mid|wav|flac|mp3|stl|xcf)\s*$", re.I)
_INTERLANGUAGE = re.compile(r"(?:[a-z]{2,3}|simple)(?:-[a-z]{2,10}){0,2}$")
_SWITCH = re.compile(r"__[^\W\d_]{3,40}__")
_LEAD = re.compile(r"[*#:;]+\s*|-{4,}")
_CELL = re.compile(r"\|\||!!")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_EXTERNAL = re.compile(r"\[(?:(?:https?:|ftp:|irc:|git:)?//|mailto:)[^\s\[\]<>]*([^\[\]]*)\]", re.I)
_URL = re.compile(r"\b(?:https?|ftp)://[^\s\[\]<>\"]+", re.I)
_QUOTES = re.compile(r"''+")
_HARD = re.compile(r"[<\[]|//")
_BREAK = re.compile(r"</?(?:br|p|li|td|th|tr|div|blockquote|h[1-6]|hr|dd|dt|poem)\b[^<>]*>", re.I)


def hidden_prefixes(namespaces: Mapping[int, str]) -> frozenset[str]:
    """Prefixes of links that show no text: files and categories, under their names in every and in this language."""
    local = (namespaces[number] for number in (6, 14) if number in namespaces)
    return frozenset(_HIDDEN | {_folded(name) for name in local})


def plain_text(wikitext: str, hidden: frozenset[str] = frozenset(_HIDDEN)) -> str:
    """The text a reader sees, roughly, one paragraph, heading, list item or table cell a line.

    Without templates, references, formulas, comments, files and categories (links whose prefix is in `hidden`, see
    `hidden_prefixes`); GAP marks where words were taken out. Never raises.
    """
    text = _without_comments(wikitext)
    text = _without_elements(text)
    text = _without_templates(text)
    text = _VARIANT.sub(_variant, text)
    text = _with_link_texts(text, hidden)
    lines = _without_tables(_SWITCH.sub("", text).split("\n"))
    return "\n".join(line for line in map(_inline, map(_without_lead, lines)) if line.strip(f" \t{GAP}"))


def _without_comments(text: str) -> str:
    """An open comment goes to the end, as in MediaWiki."""
    if "<!--" not in text:
        return text
    parts: list[str] = []
    at: int = 0
    while (start := text.find("<!--", at)) >= 0:
        parts.append(text[at:start])
        end = text.find("-->", start)
        if end < 0:
            return "".join(parts)
        at = end + 3
    return "".join([*parts, text[at:]])


def _without_elements(text: str) -> str:
    """Drops the elements that show no running text; an open one loses only its tag. Keeps what nowiki holds."""
    parts: list[str] = []
    at = 0  # up to where the text is dealt with
    opened: re.Match[str] | None = None
    for tag in _ELEMENT.finditer(text):
        name = tag[2].lower()
        if opened is None:
            parts.append(text[at : tag.start()])
            at = tag.end()
            if not tag[1] and not tag[0].endswith("/>"):
                opened = tag
        elif tag[1] and name == opened[2].lower():
            if name in {"nowiki", "pre"}:
                parts.append(_literal(text[at : tag.start()]))
            elif name not in {"ref", "references"}:
                parts.append(GAP)
            at, opened = tag.end(), None
    if opened is None:
        return "".join([*parts, text[at:]])
    return "".join(parts) + _ELEMENT.sub("", text[at:])


def _literal(text: str) -> str:
    return re.sub(r"[\[\]{}|'=*#:;!<]", lambda mark: f"&#{ord(mark[0])};", text)


def _without_templates(text: str) -> str:
    """Drops what stands in matching double or triple braces, and braces without a match."""
    opened: list[list[int]] = []  # position after the braces in `text`, braces left
    dropped: list[tuple[int, int]] = []  # disjoint, in order
    for braces in _BRACES.finditer(text):
        count = len(braces[0])
        if braces[0][0] == "{":
            opened.append([braces.end(), count])
            continue
        while count >= 2 and opened:
            start, left = opened[-1]
            used = 3 if min(count, left) >= 3 else 2
            count -= used
            begin, end = start - used, braces.end() - count
            while dropped and dropped[-1][0] >= begin:
                dropped.pop()
            dropped.append((begin, end))
            opened[-1] = [begin, left - used]
            if left - used < 2:
                opened.pop()
    parts: list[str] = []
    at = 0
    for begin, end in dropped:
        parts += (text[at:begin], GAP)
        at = end
    rest = _BRACES.sub("", "".join([*parts, text[at:]]))
    return _BRACES.sub(GAP, rest)  # single ones that have come together


def _variant(marked: re.Match[str]) -> str:
    """The first of a Chinese (Serbian ...) text's variants: -{zh-hans:A; zh-hant:B}-."""
    flag, bar, rest = marked[1].partition("|")
    if bar and flag.strip() in {"T", "H", "A", "D", "-"}:
        return rest if flag.strip() == "A" and ":" not in rest else ""
    first = (rest if bar else marked[1]).split(";")[0]
    return first.partition(":")[2].strip() if re.match(r"\s*[a-z-]{2,12}\s*:", first) else first


def _with_link_texts(text: str, hidden: frozenset[str]) -> str:
    """Replaces links by what they show. Brackets without a match are dropped."""
    if _BRACKETS.search(text) is None:
        return text
    stack: list[list[str]] = [[]]
    at = 0
    for bracket in _BRACKETS.finditer(text):
        stack[-1].append(text[at : bracket.start()])
        at = bracket.end()
        if bracket[0] == "[[":
            if len(stack) <= _LINK_DEPTH:
                stack.append([])
        elif len(stack) > 1:
            content = "".join(stack.pop())
            stack[-1].append(_link_text(content, hidden))
    stack[-1].append(text[at:])
    return "".join(part for parts in stack for part in parts)


def _link_text(content: str, hidden: frozenset[str]) -> str:
    target, bar, shown = content.partition("|")
    prefix, colon, name = target.partition(":")
    if colon and prefix.strip():
        if _folded(prefix) in hidden or _MEDIA.search(name[-40:]):
            return GAP
        if not bar and _INTERLANGUAGE.match(prefix):
            return ""
    return shown if shown.strip() else target.lstrip(" :").partition("#")[0] or target.lstrip(" :#")


def _folded(prefix: str) -> str:
    return prefix.strip().replace("_", " ").casefold()


def _without_tables(lines: list[str]) -> list[str]:
    """Replaces tables by their cells' texts, one a line."""
    kept: list[str] = []
    depth = 0
    for line in lines:
        row = line.lstrip(" \t:")
        if row.startswith("{|"):
            depth += 1
        elif not depth or not row.startswith(("|", "!")):
            kept.append(line)
        elif row.startswith("|}"):
            depth -= 1
            kept.append(row[2:])
        elif not row.startswith("|-"):
            kept += (_cell_text(cell) for cell in _CELL.split(row[2:] if row.startswith("|+") else row[1:]))
    return kept


def _cell_text(cell: str) -> str:
    attributes, bar, text = cell.partition("|")
    return text if bar else attributes


def _without_lead(line: str) -> str:
    """Without the marks of headings, lists and rules."""
    lead = _LEAD.match(line)
    if lead is not None:
        return line[lead.end() :]
    if line.startswith("="):
        stripped = line.rstrip()
        level = min(len(stripped) - len(stripped.lstrip("=")), len(stripped) - len(stripped.rstrip("=")), 6)
        return stripped[level : len(stripped) - level].strip() if 0 < 2 * level < len(stripped) else ""
    return line


def _without_quotes(line: str) -> str:
    """Without the marks of bold and italic, by MediaWiki's rule for what belongs to the word (l'''amour'')."""
    runs = list(_QUOTES.finditer(line))
    sizes = [len(run[0]) for run in runs]
    literal = [size - 5 if size > 5 else int(size == 4) for size in sizes]
    marks = [size - extra for size, extra in zip(sizes, literal, strict=True)]
    if sum(mark in {3, 5} for mark in marks) % 2 and sum(mark in {2, 5} for mark in marks) % 2:
        bold = [number for number, mark in enumerate(marks) if mark == 3]
        if bold:
            literal[min(bold, key=lambda number: _quote_rank(line, runs[number].start()))] += 1
    kept = iter(literal)
    return _QUOTES.sub(lambda _: "'" * next(kept), line)


def _quote_rank(line: str, at: int) -> int:
    """0 after a word of one letter, 1 after a longer one, 2 after a space; the first of the least is not bold."""
    before = line[max(at - 2, 0) : at]
    if before[-1:] in {"", " "}:
        return 2
    return 0 if before[0] == " " else 1


def _inline(line: str) -> str:
    """Without the markup inside a line."""
    if "''" in line:
        line = _without_quotes(line)
    if _HARD.search(line) is None:
        return html.unescape(line)
    line = _BREAK.sub("\n", line)
    if len(line) <= _PARSED_CHARS and len(_HARD.findall(line)) <= _PARSED_OPENERS:
        with suppress(ParserError, ValueError, RecursionError):  # the rougher rules below then do without it
            line = mwparserfromhell.parse(line, skip_style_tags=True).strip_code(normalize=False)
    return html.unescape(_URL.sub("", _TAG.sub("", _EXTERNAL.sub(r"\1", line))))
