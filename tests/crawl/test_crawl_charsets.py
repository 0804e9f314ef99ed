"""Charsets: the same text comes out of a page, whatever it is written in and wherever it says so."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl.charsets import is_utf8, utf8
from curation.testing.phrases import Writer

# Label as pages declare it, Python's codec, language of real sentences.
CHARSETS = [
    ("UTF-8", "utf-8", "ar"),
    ("windows-1251", "cp1251", "ru"),
    ("koi8-r", "koi8_r", "ru"),
    ("iso-8859-5", "iso8859_5", "ru"),
    ("ISO-8859-1", "cp1252", "fr"),
    ("iso-8859-15", "iso8859_15", "fr"),
    ("latin1", "cp1252", "de"),
    ("macintosh", "mac_roman", "es"),
    ("iso-8859-9", "cp1254", "tr"),
    ("windows-1256", "cp1256", "ar"),
    ("gb2312", "gbk", "zh"),
    ("gb18030", "gb18030", "zh"),
    ("Shift_JIS", "cp932", "ja"),
    ("euc-jp", "euc_jp", "ja"),
    ("iso-2022-jp", "iso2022_jp", "ja"),
    ("utf-16", "utf-16-le", "it"),
    ("utf-16be", "utf-16-be", "zh"),
]
ASCII_BASED = [row for row in CHARSETS if not row[0].startswith("utf-16")]
DECLARATIONS = [
    '<meta charset="{}">',
    "<META CharSet={} />",
    "<meta content='text/html; charset={}' http-equiv=Content-Type>",
    '<!-- <meta charset="koi8-u"> --><a title="<meta charset=big5>" x><meta name=a content="charset=x">'
    "<meta charset={}>",
]


def sentences(lang: str, seed: int, size: int, codec: str) -> str:
    """At least `size` bytes of sentences, without what the charset lacks."""
    writer = Writer(lang, random.Random(seed))
    text = ""
    while len(text.encode(codec, "ignore")) < size:
        concept = writer.concept()
        text += f"<p>{writer.body(concept) if concept else writer.unknown()}</p>\n<p>{writer.unknown()}</p>\n"
    return text.encode(codec, "ignore").decode(codec)


# ------------------------------------------------------------------------------------------ properties


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHARSETS), st.integers(0, 1000), st.sampled_from(["{}", ' "{}"', "'{}'; a=b", "{} ;a"]))
def test_declared_in_the_http_header(charset: tuple[str, str, str], seed: int, quoted: str) -> None:
    label, codec, lang = charset
    text = sentences(lang, seed, 60, codec)
    header = "text/html; Charset=" + quoted.format(label)
    assert utf8(text.encode(codec), header).decode() == text
    misleading = '<meta charset="koi8-u">' + text
    assert utf8(misleading.encode(codec), header).decode() == misleading


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ASCII_BASED), st.integers(0, 1000), st.sampled_from(DECLARATIONS), st.integers(0, 3500))
def test_declared_in_the_page(charset: tuple[str, str, str], seed: int, declaration: str, before: int) -> None:
    label, codec, lang = charset
    text = "<html>" + " " * before + declaration.format(label) + sentences(lang, seed, 60, codec)
    assert utf8(text.encode(codec), "text/html").decode() == text


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ASCII_BASED), st.integers(0, 1000))
def test_declared_in_xml(charset: tuple[str, str, str], seed: int) -> None:
    label, codec, lang = charset
    text = f'<?xml version="1.0" encoding="{label}"?><html>' + sentences(lang, seed, 60, codec)
    assert utf8(text.encode(codec), None).decode() == text


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([None, *(f"a; charset={label}" for label, _, _ in CHARSETS)]))
def test_any_bytes_come_out_as_utf8(noise: bytes, content_type: str | None) -> None:
    for body in (noise, b"<meta charset=euc-kr>" + noise, b"\xef\xbb\xbf" + noise, b"\xff\xfe" + noise):
        utf8(body, content_type).decode()


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=12), st.text().map(str.encode)))
def test_validity_is_pythons(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        assert not is_utf8(body)
    else:
        assert is_utf8(body)


@settings(max_examples=100, deadline=None)
@given(st.text(), st.sampled_from([None, "charset=utf-8", "a/b; charset=iso-8859-1", "charset=nonsense"]))
def test_utf8_is_handed_through(text: str, content_type: str | None) -> None:
    body = text.lstrip("\ufeff").encode()
    assert utf8(body, content_type) is body


# ------------------------------------------------------------------------------------------ detection

# (language, codec): of 20 pages of 300 bytes, how many must come out right. The others are too short for the detector.
DETECTED = {
    ("ru", "cp1251"): 20, ("ru", "koi8_r"): 20, ("ja", "cp932"): 18, ("ja", "euc_jp"): 18, ("zh", "gbk"): 20,
    ("ar", "cp1256"): 20, ("tr", "cp1254"): 20, ("fr", "cp1252"): 19, ("tr", "utf-8"): 20, ("zh", "utf-8"): 20,
}  # fmt: skip


def pages_of(lang: str, codec: str, size: int) -> Iterator[str]:
    for seed in range(20):
        yield "<html><body>\n" + sentences(lang, seed, size, codec)


@pytest.mark.parametrize(("lang", "codec"), DETECTED)
def test_declared_nowhere(lang: str, codec: str) -> None:
    right = sum(utf8(page.encode(codec), "text/html").decode() == page for page in pages_of(lang, codec, 300))
    assert right >= DETECTED[lang, codec]
    right = sum(utf8(page.encode(codec), "text/html").decode() == page for page in pages_of(lang, codec, 3000))
    assert right >= 19


# -------------------------------------------------------------------------------------------- conflicts


def test_utf8_beats_a_wrong_declaration() -> None:
    body = ("<meta charset=windows-1251>" + sentences("zh", 1, 200, "utf-8")).encode()
    for label in ("iso-8859-1", "shift_jis", "euc-kr", "utf-16", "us-ascii"):
        assert utf8(body, f"text/html; charset={label}") is body


def test_a_wrong_utf8_declaration_gives_way() -> None:
    for meta in ("<meta charset=windows-1251>", ""):
        text = meta + sentences("ru", 2, 400, "cp1251")
        assert utf8(text.encode("cp1251"), "text/html; charset=utf-8").decode() == text


def test_damage_is_replaced_and_changes_nothing_else() -> None:
    for label, codec, lang in (("utf-8", "utf-8", "ru"), ("gb2312", "gbk", "zh"), ("windows-1252", "cp1252", "fr")):
        text = sentences(lang, 3, 500, codec)
        for content_type in (f"text/html; charset={label}", *([None] if label == "utf-8" else [])):
            body = text.encode(codec) + b" \x81\xff\x81 end"
            result = utf8(body, content_type).decode()
            assert result.startswith(text)
            assert "\ufffd" in result[len(text) :]
            assert result.endswith(" end")


def test_a_character_cut_at_the_end_does_not_spoil_the_page() -> None:
    body = sentences("ja", 1, 5000, "utf-8").encode() + "写".encode()[:2]
    assert utf8(body, None).decode() == body.decode("utf-8", "replace")


def test_byte_order_marks_come_first_and_go() -> None:
    text = "<meta charset=big5>Ελληνικά"
    for codec, mark in (("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        assert utf8(mark + text.encode(codec), "text/html; charset=koi8-r").decode() == text


def test_utf16_in_a_meta_means_utf8_and_xml_in_utf16_is_seen() -> None:
    for text in ("<meta charset=utf-16>пример", "<meta charset=utf-16>x"):
        assert utf8(body := text.encode(), None) is body
    for codec in ("utf-16-le", "utf-16-be"):
        assert utf8("<?xml version='1.0'?><p>пример".encode(codec), None).decode() == "<?xml version='1.0'?><p>пример"


def test_labels_mean_what_browsers_take_them_for() -> None:
    for label, body, text in (
        ("iso-8859-1", b"\x80\x93", "€“"),
        ("us-ascii", b"\xe9", "é"),
        ("gb2312", b"\xe9F", "镕"),
        ("gbk", "㐀".encode("gb18030"), "㐀"),
        ("gbk", "联通".encode("gbk"), "联通"),  # valid UTF-8 by chance
        ("shift_jis", b"\x87\x40", "①"),
        ("euc-jp", b"\xad\xa1", "①"),
        ("euc-kr", b"\x81\x41", "갂"),
        ("ks_c_5601-1987", b"\xb0\xa1", "가"),
        ("iso-8859-9", b"\xfd", "ı"),
        ("tis-620", b"\xa1", "ก"),
        ("x-sjis", b"\xb1", "ｱ"),
    ):
        assert utf8(body, f"text/html; charset={label}").decode() == text, label


def test_nuls_and_refused_labels_mean_nothing() -> None:
    body = "a\0é".encode()
    assert utf8(body, "text/html; charset=iso-2022-kr") is body
    assert utf8(b"<meta charset=big5>\xa4\xa4", "text/html; charset=iso-2022-kr").decode()[-1] == "中"
    assert utf8("é\0".encode("latin-1"), "text/html; charset=x-user-defined").decode() == "é\0"


# ------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "body",
    [
        b"\xff" * 3_000_000,
        b"a\n" * 1_500_000 + b"\xe9",
        bytes(range(256)) * 10_000,
        b"<meta " * 500_000 + b"\xff",
        b"<meta a='b" * 409 + b"\xff",
        b"<!--" * 1000 + b"\xff",
        b"<meta" + b" " * 4090 + b"\xff" * 1000,
        b"<?xml " + b"encoding " * 450 + b"\xff",
    ],
)
def test_hostile_pages_come_out_as_text(body: bytes) -> None:
    utf8(body, "text/html; charset=" + "charset=" * 1000).decode()
