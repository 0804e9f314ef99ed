"""Text rules: what each drops and what it must leave, their order, and their independence of the batch."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.recipe import TextRules
from curation.text import DROP_RULES, apply_rules
from curation.text.generic_words import GENERIC_WORDS

FILE_NAMES = [
    "IMG_2034.jpg", "IMG_2034", "IMG-20190101-WA0001", "img_20190101_123456", "IMG 2034", "DSC00012", "DSC_0012.JPG",
    "_DSC1234", "_MG_1234", "DSCN1234", "P1010001", "PXL_20210101_123456789", "GOPR1234", "GH010023", "100_1234",
    "photo-1.png", "image0023", "photo(1).jpg", "image (3).png", "Screenshot 2021-03-04 at 10.20.30.png",
    "Screenshot_20210304-102030", "a-beautiful-sunset.jpeg", "images/2020/01/header.webp", "clip.mp4", "scan.pdf",
    "logo.svg", "'photo.jpg'", " photo.jpg ", "照片.jpg", "d41d8cd98f00b204e9800998ecf8427e",
    "550e8400-e29b-41d4-a716-446655440000", "12345678_1234567890_1234567_n", "aB3dE5fG7hI9jK1lM2nO4p", "untitled-1",
    "IMG_1234_edited", "DSC_0012 (2)",
]  # fmt: skip
NO_FILE_NAMES = [
    "Nikon D90", "Canon EOS 5D Mark IV", "iPhone12", "A320", "Boeing 747-8", "DC-10", "SAM-7", "Sam 182", "Sam41999",
    "IMG Academy", "Sunset over Paris.jpg", "a photo", "image", "Photo 51", "2019", "1984", "9783161484100",
    "DSC-RX100", "node.js", "St. Louis", "e.g. this", "https://example.com/a.jpg", "SamsungGalaxyS21Ultra5G2021",
    "Mr.Smith", "...", "", "supercalifragilisticexpialidocious", "Canon-EOS-5D-Mark-IV-2016-Body", "WP 2019",
    "MOV 2020", "cat", "U2",
]  # fmt: skip

GENERIC = [
    "image", "Image", "IMAGE", "photo", "Photo 1", "[Photo]", "logo", "Logo.", "#1 Logo", "Picture (2)", "icon",
    "untitled", "Thumbnail", "banner-2", "Bild", "Bild 3", "Imagen", "image:", "图片", "图片1", "【图片】", "Фото",
    "画像", "이미지", "صورة", "תמונה", "छवि", "รูปภาพ", "ΕΙΚΌΝΑ", "obrázek", "obra\u0301zek", "Zdjęcie", "foto's",
    "Görsel", "kuva 12", "hình ảnh", "No image available",
]  # fmt: skip
NOT_GENERIC = [
    "cat", "photo of a cat", "image of Paris", "Bild einer Katze", "logos and pathos", "2", "...", "", "图片展览",
    "Apple logo", "iconic", "Photographer", "รูปภาพแมว", "flag", "map",
]  # fmt: skip

URLS = [
    "https://example.com", "http://example.com/a?b=c#d", "HTTPS://EXAMPLE.COM/", "www.example.com",
    "//cdn.example.com/x", "example.com/path/page.html", "ftp://host/file", "data:image/png;base64,iVBORw0KGgo=",
    " https://example.com ", "<https://example.com>", "(https://example.com)", "https://a.com https://b.com",
    "https://a.com, https://b.com", "https://пример.рф/страница", "blob:https://example.com/550e",
]  # fmt: skip
NO_URLS = [
    "see https://example.com", "https://example.com is down", "and/or", "Mr./Mrs. Smith", "1.5km/h", "a/b", "example",
    "Booking.com", "St. Louis", "w/o", "http", "https://", "", "data: none", "www", "cat",
]  # fmt: skip


def verdict(text, lang="en", **rules):
    _, dropped = apply_rules(pa.array([text], pa.string()), pa.array([lang], pa.string()), TextRules(**rules))
    return dropped[0].as_py()


@pytest.mark.parametrize("text", FILE_NAMES)
def test_file_names_are_dropped(text):
    assert verdict(text, drop_file_names=True) == "drop_file_names"
    assert verdict(text) is None


@pytest.mark.parametrize("text", NO_FILE_NAMES)
def test_no_file_names_are_kept(text):
    assert verdict(text, drop_file_names=True) is None


@pytest.mark.parametrize("text", GENERIC)
def test_generic_texts_are_dropped(text):
    assert verdict(text, drop_generic=True) == "drop_generic"
    assert verdict(text) is None


@pytest.mark.parametrize("text", NOT_GENERIC)
def test_texts_that_say_something_are_kept(text):
    assert verdict(text, drop_generic=True) is None


def test_generic_words_are_as_they_are_compared():
    assert len(GENERIC_WORDS) >= 10
    words = [word for words in GENERIC_WORDS.values() for word in words]
    texts = pa.array([*words, *(f"  {word.upper()} 12" for word in words)])
    _, verdicts = apply_rules(texts, pa.array([""] * len(texts)), TextRules(drop_generic=True))
    assert texts.filter(verdicts.is_null()).to_pylist() == []


@pytest.mark.parametrize("text", URLS)
def test_urls_are_dropped(text):
    assert verdict(text, drop_urls=True) == "drop_urls"
    assert verdict(text) is None


@pytest.mark.parametrize("text", NO_URLS)
def test_texts_that_are_more_than_a_url_are_kept(text):
    assert verdict(text, drop_urls=True) is None


def test_lengths_are_in_characters():
    assert verdict("猫犬", min_chars=2) is None
    assert verdict("猫", min_chars=2) == "min_chars"
    assert verdict("😀" * 5, max_chars=5) is None
    assert verdict("😀" * 6, max_chars=5) == "max_chars"
    assert verdict("", min_chars=1) == "min_chars"


@pytest.mark.parametrize(
    ("text", "lang", "dropped"),
    [
        ("one two", "en", False),
        ("one", "en", True),
        ("  one  ", "en", True),
        ("one\ttwo", "en", False),
        ("один\u00a0два", "ru", False),
        ("한국어", "ko", True),  # Korean writes spaces
        ("白い猫", "ja", False),
        ("白い猫", "zh", False),
        ("แมว", "th", False),
        ("ແມວ", "lo", False),
        ("ကြောင်", "my", False),
        ("ឆ្មា", "km", False),
        ("ཞི་མི", "bo", False),
        ("cat", "ja", False),  # the language decides, where it is known
        ("白い猫", "", False),  # the script, where it is not
        ("白い猫", None, False),
        ("cat", "", True),
        ("", "en", True),
    ],
)
def test_min_words(text, lang, dropped):
    assert verdict(text, lang, min_words=2) == ("min_words" if dropped else None)


ALL = TextRules(
    min_chars=3, max_chars=40, min_words=2, drop_file_names=True, drop_generic=True, drop_urls=True,
    redact_emails=True, redact_phones=True,
)  # fmt: skip


def test_the_first_rule_of_the_documented_order_is_named():
    assert DROP_RULES == ("min_chars", "max_chars", "min_words", "drop_file_names", "drop_generic", "drop_urls")
    assert list(DROP_RULES) == [name for name in TextRules.model_fields if not name.startswith("redact")]
    assert verdict("https://" + "a" * 40 + ".jpg", max_chars=9, min_words=2, drop_urls=True) == "max_chars"
    assert verdict("logo.png", min_words=2, drop_file_names=True) == "min_words"
    assert verdict("www.example.com/a.jpg", drop_file_names=True, drop_urls=True) == "drop_file_names"
    assert verdict("photo_1", drop_file_names=True, drop_generic=True) == "drop_file_names"
    assert verdict("ab", min_chars=3, min_words=2) == "min_chars"


def test_redaction_comes_before_the_drop_rules():
    long = "a.very.long.name.of.somebody@an.even.longer.host.example.com"
    texts, dropped = apply_rules(pa.array([f"mail {long}"]), pa.array(["en"]), ALL)
    assert (texts.to_pylist(), dropped.to_pylist()) == (["mail <email>"], [None])
    assert apply_rules(pa.array([f"mail {long}"]), pa.array(["en"]), TextRules(max_chars=40))[1].to_pylist() == [
        "max_chars"
    ]


pieces = st.sampled_from(
    [*FILE_NAMES, *GENERIC, *URLS, *NO_URLS, "a black cat", "a@b.com", "+49 30 1234567", "猫", None]
)  # fmt: skip
batches = st.lists(st.tuples(st.one_of(pieces, st.text(max_size=45)), st.sampled_from(["en", "zh", "", None])))
one_at_a_time = st.fixed_dictionaries(
    {name: st.sampled_from([None, 2, 5]) for name in ("min_chars", "max_chars", "min_words")}
    | {name: st.booleans() for name in TextRules.model_fields if name.startswith(("drop", "redact"))}
).filter(lambda fields: (fields["min_chars"] or 0) <= (fields["max_chars"] or 99))


@settings(max_examples=80, deadline=None)
@given(batches, one_at_a_time, st.integers(0, 10))
def test_verdicts_are_those_of_each_rule_alone_in_any_batch(batch, fields, cut):
    rules = TextRules(**fields)
    texts = pa.array([text for text, _ in batch], pa.string())
    langs = pa.array([lang for _, lang in batch], pa.string())
    redacted, verdicts = apply_rules(texts, langs, rules)
    redacted.validate(full=True)
    assert (redacted.type, verdicts.type) == (pa.string(), pa.string())

    alone = {
        name: apply_rules(redacted, langs, TextRules(**{name: fields[name]}))[1].to_pylist() for name in DROP_RULES
    }
    for row, found in enumerate(verdicts.to_pylist()):
        assert found == next((name for name in DROP_RULES if alone[name][row]), None)
        assert redacted.is_null()[row].as_py() == texts.is_null()[row].as_py()

    parts = [apply_rules(texts[:cut], langs[:cut], rules), apply_rules(texts[cut:], langs[cut:], rules)]
    assert pa.concat_arrays([part[0] for part in parts]) == redacted
    assert pa.concat_arrays([part[1] for part in parts]) == verdicts


def test_without_rules_nothing_happens():
    texts = pa.array(["", "image", None, "a@b.com", "IMG_1.jpg"])
    same, verdicts = apply_rules(texts, pa.array([""] * 5), TextRules())
    assert same == texts
    assert verdicts.to_pylist() == [None] * 5


def test_nulls_are_left_alone():
    texts, verdicts = apply_rules(pa.nulls(2, pa.string()), pa.array(["en", None], pa.string()), ALL)
    assert texts.to_pylist() == verdicts.to_pylist() == [None, None]


def test_no_texts_and_other_string_types():
    none = pa.array([], pa.string())
    assert [len(part) for part in apply_rules(none, none, ALL)] == [0, 0]
    texts = pa.array(["logo", "a black cat"]).cast(pa.large_string())
    langs = pa.array(["en", "en"]).dictionary_encode()
    redacted, verdicts = apply_rules(texts, langs, TextRules(drop_generic=True))
    assert (redacted.type, verdicts.to_pylist()) == (pa.string(), ["drop_generic", None])


def test_bad_calls():
    with pytest.raises(ValueError, match="1 texts, but 2 languages"):
        apply_rules(pa.array(["a"]), pa.array(["en", "de"]), TextRules())
    with pytest.raises(TypeError, match="texts are int64, not strings"):
        apply_rules(pa.array([1]), pa.array(["en"]), TextRules())
