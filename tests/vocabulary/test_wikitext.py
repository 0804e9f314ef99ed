"""Plain text of wikitext: what a reader sees stays, markup goes, and no input takes more than linear time."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from pathlib import Path

import mwparserfromhell
import pytest
from dump_builder import read
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.vocabulary.wikitext import GAP, hidden_prefixes, plain_text

SLICE = "vocab/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
MARKS = [
    *(
        "{{",
        "}}",
        "{{{",
        "}}}",
        "[[",
        "]]",
        "[",
        "]",
        "{|",
        "|}",
        "|-",
        "|",
        "||",
        "!",
        "!!",
        "''",
        "'''",
        "'''''",
        "'",
    ),
    *("=", "==", "*", "#", ":", ";", "\n", " ", "<!--", "-->", "<ref>", "</ref>", "<ref name=a/>", "<ref", "<nowiki>"),
    *(
        "</nowiki>",
        "<math>",
        "</math>",
        "<b>",
        "</b>",
        "<br>",
        "<",
        ">",
        "&amp;",
        "&lt;",
        "&",
        "&#",
        "&#x110000;",
        "//",
    ),
    *(
        "http://a.b",
        "[http://a.b c]",
        "File:",
        "Datei:",
        "a.jpg",
        "Category:",
        "de:",
        "-{",
        "}-",
        "zh-hans:",
        "__TOC__",
    ),
    *("\x00", "\ud800", GAP, "word", "ß", "語"),
]
SOUP = st.lists(st.sampled_from(MARKS), max_size=60).map("".join)


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("'''Anarchism''' is a [[political philosophy]].", "Anarchism is a political philosophy."),
        ("a [[b c|d ''e'']] f", "a d e f"),
        ("[[a#b|]] and [[c#d]], [[:Category:x]], [[wikt:foo|bar]]", "a and c, Category:x, bar"),
        ("x<ref>see {{cite|a}} [[b]]</ref> y<ref name=z /> z", "x y z"),
        ("a {{t|{{u}}|v={{{w|}}}}} b", f"a {GAP} b"),
        ("a {{{{{x}}}|b}} c", f"a {GAP} c"),
        ("a {{open b", "a open b"),
        ("a }} b ]] c", "a  b  c"),
        ("a<!-- b\n{{ --> c", "a c"),
        ("a <!-- never closed", "a "),
        ("== Head ==\n=== ''Sub'' ===\ntext", "Head\nSub\ntext"),
        ("* one\n** two\n# three\n: four\n;five\n----\nsix", "one\ntwo\nthree\nfour\nfive\nsix"),
        ("a<br>b<br />c", "a\nb\nc"),
        ("H<sub>2</sub>O m<sup>2</sup>", "H2O m2"),
        ("a &amp; b&nbsp;c &#955;&ndash;&lt;b&gt;", "a & b\xa0c λ–<b>"),
        ("a <math>x^2</math> b", f"a {GAP} b"),
        ("a <nowiki>[[b]] ''c''</nowiki> d", "a [[b]] ''c'' d"),
        ("see [http://a.b/c the site] or [//x.y z] or [http://q] or http://u/v now", "see  the site or  z or  or  now"),
        ("[[File:a.jpg|thumb|A [[b]] c]]text", f"{GAP}text"),
        ("[[Bild:a b.JPG|200px]]text", f"{GAP}text"),
        ("[[Image:a.svg]][[category: x|y]]\ntext[[de:Seite]][[zh-min-nan:Ia]]", "text"),
        ("__NOTOC__a __c", "a __c"),
        ("l'''amour'' est", "l'amour est"),
        ("x dell'''arte'' y", "x dell'arte y"),
        ("'''''a'' b''' ''''c''''", "a b 'c'"),
        ("-{zh-hans:计算机; zh-hant:電腦}- 和 -{字}- -{T|zh:標題}-", "计算机 和 字 "),
        ("a < b and c > d", "a < b and c > d"),
        ('{| class="x"\n|+ Caption\n! h1 !! scope=col | h2\n|-\n| a || b\n| style="c" | [[d|e]]\n|}\nafter',
         "Caption\nh1\nh2\na\nb\ne\nafter"),
        (":{|\n|a\n{|\n|b\n|}\n|c\n|}\n|d", "a\nb\nc\n|d"),
        ("<gallery>\nFile:a.jpg|cap\n</gallery>t", f"{GAP}t"),
        ("<div class='a'>b</div> <span style=\"x\">c</span>", "b\nc"),
        ("", ""),
    ],
)  # fmt: skip
def test_examples(wikitext: str, expected: str) -> None:
    shown = [line.strip() for line in plain_text(wikitext).split("\n")]
    assert [re.sub(" +", " ", line) for line in shown] == [re.sub(" +", " ", x.strip()) for x in expected.split("\n")]


def test_local_names_of_files_and_categories() -> None:
    local = hidden_prefixes({6: "Datei", 14: "Kategorie", 10: "Vorlage"})
    text = "[[Datei:x|y]][[kategorie:z]][[File:q|r]][[Vorlage:s|t]]"
    assert plain_text(text, local).strip(GAP) == "t"
    assert "y" in plain_text(text)


@settings(max_examples=400, deadline=None)
@example("-{}}{|")
@example("}{}}{}")
@given(SOUP)
def test_never_raises_and_leaves_no_structure(wikitext: str) -> None:
    text = plain_text(wikitext)
    if not any(mark in wikitext for mark in ("<", "&", "''", "__")):  # [''[ is no link, and shows as [[
        assert "[[" not in text and "]]" not in text and "{{" not in text and "}}" not in text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("abc é語'", min_size=1, max_size=20), max_size=8))
def test_text_without_markup_stays(lines: list[str]) -> None:
    lines = [line for line in lines if "''" not in line and line.strip(" \t")]
    assert plain_text("\n".join(lines)) == "\n".join(lines)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("abc ", max_size=8), max_size=4),
    st.lists(st.text("xyz |=", min_size=1, max_size=8), min_size=1, max_size=4),
)
def test_nested_templates_go_whole(outside: list[str], inside: list[str]) -> None:
    nested = "{{" + "{{".join(inside) + "}}" * max(len(inside), 1)
    assert plain_text("w" + nested.join(outside) + "w").replace(GAP, "") == "w" + "".join(outside) + "w"


def test_hostile_input_takes_linear_time() -> None:
    generator = random.Random(7)
    soups = [mark * (200_000 // len(mark)) for mark in MARKS]
    soups += [("".join(generator.choices(MARKS, k=4)) * 40_000)[:200_000] for _ in range(12)]
    soups += ["".join(generator.choices(MARKS, k=80_000)) for _ in range(4)]
    soups += ["{{" * 100_000 + "}}" * 100_000, "[[" * 100_000 + "]]" * 100_000, "[[a|" * 50_000 + "]]" * 50_000]
    for soup in soups:
        began = time.process_time()
        plain_text(soup)
        assert time.process_time() - began < 4, soup[:40]


def test_the_real_slice_has_the_words_that_mwparserfromhell_finds(real_data: Path) -> None:
    """Of pages that are short enough for it, without what it keeps by design: references, captions, categories."""
    path = real_data / SLICE
    if not path.is_file():
        pytest.skip(f"no dump at {path}")
    articles = [page.text for page in read(str(path))[0] if not page.redirect and len(page.text) < 20_000]
    ours, theirs = Counter[str](), Counter[str]()
    for text in articles:
        ours.update(re.findall(r"\w+", plain_text(text)))
        stripped = re.sub(r"(?s)<ref[^<>]*/>|<ref.*?</ref>", "", re.sub(r"<br ?/?>", " ", text))
        stripped = re.sub(r"\[\[(?:File|Image|Category):(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", "", stripped)
        theirs.update(re.findall(r"\w+", mwparserfromhell.parse(stripped).strip_code()))
    assert ours.total() > 30_000
    assert (ours - theirs).total() < 0.01 * theirs.total(), (ours - theirs).most_common(20)
    assert (theirs - ours).total() < 0.01 * theirs.total(), (theirs - ours).most_common(20)
