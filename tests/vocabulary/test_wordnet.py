"""Wordnets in their three formats: written from random synsets, WordNet 3.0 itself, and broken files."""

from __future__ import annotations

import bz2
import gzip
import time
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import VocabularyError
from curation.vocabulary.terms import numbers
from curation.vocabulary.wordnet import read_wordnet

LETTERS = st.text(st.sampled_from("aZé猫.'-|&<\"#"), min_size=1, max_size=5)
LEMMAS = st.lists(LETTERS, min_size=1, max_size=3).map("_".join)
SYNSETS = st.lists(st.lists(LEMMAS, min_size=1, max_size=20), min_size=1, max_size=5)

LICENCE = "  1 This software and database is being provided to you\n  2 under the following licence.\n"
ENTITY = "00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | that which is perceived\n"
ABLE = "00019731 00 s 02 ready_to_Hand(p) 0 St._Louis(a) 1 002 & 00019131 a 0000 | easy to reach\n"
LMF = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.1.dtd">
<LexicalResource xmlns:dc="https://globalwordnet.github.io/schemas/dc/">
<Lexicon id="a" label="a" language="fr" email="a@b.c" license="CC BY" version="1">
  <LexicalEntry id="e1"><Lemma writtenForm="Pomme de terre"/><Sense id="s1" synset="x1"/></LexicalEntry>
  <LexicalEntry id="e2"><Lemma writtenForm="sans sens" partOfSpeech="n"/></LexicalEntry>
  <LexicalEntry id="e3"><Lemma writtenForm="A&amp;B" partOfSpeech="n"/><Form writtenForm="A et B"/>
    <Sense id="s3" synset="x1"/><Sense id="s4" synset="x2"/></LexicalEntry>
  <Synset id="x1" ili="i1" partOfSpeech="n"><Definition>un tubercule</Definition></Synset>
</Lexicon>
<Lexicon id="b" label="b" language="zh-Hans" email="a@b.c" license="CC BY" version="1">
  <LexicalEntry id="f1"><Lemma writtenForm="\u732b" partOfSpeech="n"/><Sense id="t1" synset="y1"/></LexicalEntry>
</Lexicon>
</LexicalResource>
"""
TAB = (
    "# WOLF\tfra\turl\tCeCILL-C\n00001740-n\tfra:lemma\tentit\u00e9\n00001740-n\tfra:def\t0\tce qui est\n"
    "00001740-n\tlemma\tPomme_de terre\n00001740-n\tfra:exe\t0\tune pomme\n00001740-n\tfra:lemma:root\tpom\n\n"
    "00001740-n\tfra:lemma\tGAP!\n00001740-n\tfra:lemma\t\n# the end\n00002137-n\tfra:lemma\tentit\u00e9\n"
)


def texts(path: Path, format: str, lang: str = "fra", lemmas: str = "first") -> list[str]:
    entries = read_wordnet([str(path)], format=format, lang=lang, lemmas=lemmas)
    assert all(score is None for _, score in entries)
    return [text for text, _ in entries]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def wndb(synsets: list[list[str]], end: str = "\n") -> str:
    lines = [
        f"{number:08} 00 s {len(words):02x} "
        + "".join(f"{word} {word_number % 16:x} " for word_number, word in enumerate(words))
        + "001 & 00000000 a 0000 | a gloss, with 'marks' | and (a)  "
        for number, words in enumerate(synsets)
    ]
    return LICENCE.replace("\n", end) + "".join(line + end for line in lines)


@given(SYNSETS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "(a)", "(p)", "(ip)"]))
def test_wndb_gives_the_synsets_words(tmp_path_factory: pytest.TempPathFactory, synsets, end, position) -> None:
    marked = [[word + position for word in words] for words in synsets]
    path = written(tmp_path_factory.mktemp("wndb") / "data.adj", wndb(marked, end))
    every = [word.replace("_", " ") for words in synsets for word in words]
    assert texts(path, "wndb", lemmas="all") == every
    cut = [words[0].lower().split(".")[0].replace("_", " ").strip() for words in synsets]
    assert texts(path, "wndb") == [text for text in cut if text]


@given(SYNSETS, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_tab_gives_all_lemmas(tmp_path_factory: pytest.TempPathFactory, synsets, named, end) -> None:
    label = "fra:lemma" if named else "lemma"
    lines = [f"{number:08}-n\t{label}\t{word}" for number, words in enumerate(synsets) for word in words]
    path = written(tmp_path_factory.mktemp("tab") / "wn.tab", end.join(["# name\tfra\turl\tlicence", *lines]))
    assert texts(path, "tab") == [word.replace("_", " ") for words in synsets for word in words]


@given(SYNSETS, SYNSETS)
def test_lmf_gives_all_lemmas_of_its_language(tmp_path_factory: pytest.TempPathFactory, ours, others) -> None:
    def lexicon(lang: str, synsets: list[list[str]]) -> str:
        entries = [
            f"<LexicalEntry><Lemma writtenForm={quoteattr(word)}/><Sense synset='s{number}'/></LexicalEntry>"
            for number, words in enumerate(synsets)
            for word in words
        ]
        return f"<Lexicon language='{lang}'>{''.join(entries)}</Lexicon>"

    body = lexicon("fr", ours) + lexicon("de", others) + lexicon("FR", others)
    path = written(tmp_path_factory.mktemp("lmf") / "wn.xml", f"<LexicalResource>{body}</LexicalResource>")
    assert texts(path, "lmf", "fr") == [word.replace("_", " ") for words in ours + others for word in words]
    assert texts(path, "lmf", "de") == [word.replace("_", " ") for words in others for word in words]


def test_wordnet_3_gives_the_papers_86654(real_data: Path) -> None:
    files = [real_data / "vocab" / "wordnet" / f"data.{part}.gz" for part in ("noun", "verb", "adj", "adv")]
    if not all(file.is_file() for file in files):
        pytest.skip("no WordNet files (CURATION_REAL_DATA)")
    entries = read_wordnet([str(file) for file in files], format="wndb", lang="en")
    names = {text for text, _ in entries}
    assert len(names | set(numbers())) == 86_654
    assert {"dead-on", "physical entity", "able"} <= names
    every = {text for text, _ in read_wordnet([str(file) for file in files], format="wndb", lang="en", lemmas="all")}
    assert len(every) > 140_000
    assert {"St. Louis", "anno Domini", "galore"} <= every


def test_wndb_by_example(tmp_path: Path) -> None:
    path = written(tmp_path / "data.adj", "\ufeff" + LICENCE + ENTITY + ABLE + "\n")
    assert texts(path, "wndb") == ["entity", "ready to hand"]
    assert texts(path, "wndb", lemmas="all") == ["entity", "ready to Hand", "St. Louis"]
    dots = written(tmp_path / "data.noun", "00001740 03 n 01 .22 0 000 | a rifle\n" + ENTITY)
    assert texts(dots, "wndb") == ["entity"]


def test_tab_and_lmf_by_example(tmp_path: Path) -> None:
    assert texts(written(tmp_path / "wn-data-fra.tab", TAB), "tab") == ["entité", "Pomme de terre", "entité"]
    path = written(tmp_path / "wn.xml", LMF)
    assert texts(path, "lmf", "fr") == ["Pomme de terre", "A&B"]
    assert texts(path, "lmf", "zh_hans") == ["猫"]
    assert texts(written(tmp_path / "bom.xml", b"\xef\xbb\xbf" + LMF.encode()), "lmf", "fr") == [
        "Pomme de terre",
        "A&B",
    ]
    wide = LMF.replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16")
    assert texts(written(tmp_path / "wide.xml", wide), "lmf", "zh-Hans") == ["猫"]


@pytest.mark.parametrize(("name", "pack"), [("a.gz", gzip.compress), ("a.BZ2", bz2.compress)])
def test_packed_files_and_urls(tmp_path: Path, name: str, pack) -> None:
    for format, content, first in (("wndb", ENTITY, "entity"), ("tab", TAB, "entité"), ("lmf", LMF, "Pomme de terre")):
        path = written(tmp_path / name, pack(content.encode()))
        lang = "fr" if format == "lmf" else "fra"
        assert texts(path, format, lang)[0] == first
        assert read_wordnet([path.as_uri()] * 2, format=format, lang=lang)[0] == (first, None)


BOMB = (
    '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {two} "{f"&{one};" * 10}">' for one, two in zip("abcdefghi", "bcdefghij", strict=True))
    + "]><LexicalResource><Lexicon language='fra'>&j;</Lexicon></LexicalResource>"
)
OUTSIDE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><LexicalResource>&a;</LexicalResource>'


@pytest.mark.parametrize(
    ("format", "content", "complaint"),
    [
        ("wndb", ENTITY + "00001740 03 n 02 entity 0\n", "line 2 is no line"),
        ("wndb", "00001740 03 n 02 entity 0 003 ~ 00001930 n 0000 | too few words\n", "line 1 is no line"),
        ("wndb", "00001740 03 n 02 entity 0 001 @ 000 | a word is missing\n", "line 1 is no line"),
        ("wndb", "00001740 03 n 0g entity 0 000 | x\n", "line 1 is no line"),
        ("wndb", "00001740 03 n 0x entity 0 000 | x\n", "line 1 is no line"),
        ("wndb", "00001740 03 n 00 000 | x\n", "line 1 is no line"),
        ("wndb", "00001740 03 n ff entity 0 000 | x\n", "line 1 is no line"),
        ("wndb", "entity n 1 3 ~ + 1 0 00001740\n", "line 1 is no line"),  # index.noun
        ("wndb", b"00001740 03 n 01 \xff\xfe 0 000 | x\n", "line 1 is no line"),
        ("wndb", TAB, "line 1 is no line"),
        ("wndb", bytes(range(256)) * 9, "line 1 is no line"),
        ("wndb", LICENCE, "holds no lemma"),
        ("wndb", "", "holds no lemma"),
        ("tab", TAB.replace("# WOLF\tfra", "# WOLF\tspa"), "line 1 is of language 'spa'"),
        ("tab", TAB.replace("2137-n\tfra", "2137-n\tspa"), "line 11 is of language 'spa'"),
        ("tab", "00001740-n\tlemma\n", "line 1 has 2 of 3 columns"),
        ("tab", "# x\tfra\n00001740-n\tfra:def\t0\tx\n", "holds no lemma"),
        ("tab", ENTITY, "line 1 has 1 of 3 columns"),
        ("tab", LMF, "line 1 has 1 of 3 columns"),
        ("tab", TAB.encode("latin-1"), "line 2 is not UTF-8"),
        ("tab", TAB.encode("utf-16"), "line 1 is not UTF-8"),
        ("tab", "", "holds no lemma"),
        ("lmf", LMF, "holds no lexicon of 'fra' .it has fr, zh-Hans"),
        ("lmf", "<LexicalResource/>", "holds no lexicon of 'fra' .it has none"),
        ("lmf", "<LexicalResource><Lexicon language='fra'/></LexicalResource>", "holds no lemma"),
        ("lmf", LMF[:-40], "no well-formed XML .*line 12"),
        ("lmf", TAB, "no well-formed XML"),
        ("lmf", "", "no well-formed XML"),
        ("lmf", bytes(range(256)), "no well-formed XML"),
        ("lmf", '<?xml version="1.0" encoding="klingon"?><LexicalResource/>', "no well-formed XML"),
        ("lmf", '<?xml version="1.0" encoding="shift_jis"?><LexicalResource/>', "no well-formed XML"),
        ("lmf", "<html><body>404</body></html>", "line 1: the root is 'html'"),
        (
            "lmf",
            "<LexicalResource>\n<Lexicon><LexicalEntry><Lemma/></LexicalEntry></Lexicon></LexicalResource>",
            "line 2: a Lemma",
        ),
        ("lmf", BOMB, "declares entities"),
        ("lmf", OUTSIDE, "declares entities"),
    ],
)
def test_broken_files_are_one_line_that_names_them(
    tmp_path: Path, format: str, content: str | bytes, complaint: str
) -> None:
    path = written(tmp_path / "some-file", content)
    with pytest.raises(VocabularyError, match=complaint) as raised:
        texts(path, format)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("format", ["wndb", "tab", "lmf"])
def test_files_that_cannot_be_read(tmp_path: Path, format: str) -> None:
    content = {"wndb": ENTITY, "tab": TAB, "lmf": LMF}[format] * 50
    broken = {"cut.gz": gzip.compress(content.encode())[:-9], "cut.bz2": bz2.compress(content.encode())[:-9]}
    broken |= {"none.gz": content.encode(), "none.bz2": content.encode()}
    damaged = bytearray(gzip.compress(content.encode()))
    damaged[40] ^= 255
    for name, data in (broken | {"damaged.gz": bytes(damaged)}).items():
        with pytest.raises(VocabularyError, match=f"{name}"):
            texts(written(tmp_path / name, data), format)
    for location in (str(tmp_path / "missing"), str(tmp_path), "nosuch://x/y", f"file://{tmp_path}/missing"):
        with pytest.raises(VocabularyError, match="cannot read"):
            read_wordnet([location], format=format, lang="fra")
    with pytest.raises(VocabularyError, match="no wordnet file"):
        read_wordnet([], format=format, lang="fra")


def test_hostile_files_take_linear_time(tmp_path: Path) -> None:
    begun = time.monotonic()
    deep = "<LexicalResource>" + "<a>" * 300_000 + "</a>" * 300_000 + "</LexicalResource>"
    for format, content in (
        ("wndb", "0" * 4_000_000),
        ("wndb", "00001740 03 n ff " + "a 0 " * 1_000_000),
        ("tab", "\t" * 4_000_000),
        ("tab", "a\t" + ":" * 4_000_000 + "\tb"),
        ("lmf", deep),
        ("lmf", "<LexicalResource " + " ".join(f"a{number}=''" for number in range(200_000)) + "/>"),
    ):
        with pytest.raises(VocabularyError):
            texts(written(tmp_path / "hostile", content), format)
    assert time.monotonic() - begun < 10
