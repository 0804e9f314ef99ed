"""Text rules: what is erased from texts, and which texts are no description, counted by the rule that refuses them.

Redaction comes first, then the drop rules in the order of DROP_RULES, which is fixed: a text that several rules would
refuse is counted for the first, so counts are reproducible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.recipe import TextRules
from curation.text.arrays import as_strings
from curation.text.generic_words import GENERIC_WORDS
from curation.text.redaction import redact_emails, redact_phones

DROP_RULES: Final = ("min_chars", "max_chars", "min_words", "drop_file_names", "drop_generic", "drop_urls")
"""Names of the rules that drop texts, in the order they are asked; each is the TextRules field that switches it on."""

LANGUAGES_WITHOUT_SPACES: Final = frozenset(
    ("bo", "dz", "gan", "hak", "ja", "km", "lo", "my", "ryu", "th", "wuu", "yue", "zh")
)
"""Languages that part no words by spaces, so min_words says nothing about them."""

_NO_SPACE_SCRIPTS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}\p{Tibetan}]"
_WORD = r"[^\s\p{Z}]+"
_EDGE = r"[\s\p{Z}\"'“”‘’«»()\[\]]*"

_FILE_ENDINGS = (
    r"jpe?g|jpe|jfif|png|gif|webp|avif|heic|heif|bmp|tiff?|svgz?|ico|psd|cr2|nef|arw|dng|eps|"
    r"mp4|m4v|mov|avi|mkv|webm|wmv|flv|mpe?g|mp3|wav|ogg|pdf"
)
_FILE_NAMES = (
    rf"(?:[^\s:/]+/)*[^\s/]+\.(?:{_FILE_ENDINGS})",  # with folders, but not a URL
    # with spaces only where the rest of the name says nothing either: "image (3).png"
    r"(?:image|img|photo|picture|pic|untitled|scan|unnamed)[\d\s().,_:\-]*"
    rf"\.(?:{_FILE_ENDINGS})",
    # cameras and phones: IMG_2034, DSC00012, DSC_0012, PXL_20210101_123456789, IMG-20190101-WA0001
    r"(?:(?:img|imgp|dsc|dscn|dscf|dcim|pict|cimg|hpim)[_\- ]?|(?:dji|pxl|mvimg|mvi|vid|mov|kif|sam|wp)[_\-]|gopr)"
    r"\d{3,}(?:[_\-]?(?:wa)?\d+)*(?:[_\-][a-z]{1,8})?(?: ?\(\d+\))?",
    r"_(?:dsc|mg|igp|img)_?\d{3,}",
    r"p\d{7}",  # P1010001: Panasonic, Olympus
    r"g[hpx]\d{6}",  # GH010023: GoPro
    r"\d{3}_\d{4}",  # 100_1234: Kodak
    r"(?:image|img|photo|picture|pic|scan|untitled|screenshot|slide|file)[_\-]*\d+(?:[_\-]\d+)*(?: ?\(\d+\))?",
    rf"screen ?shot[_\- ]\d{{4}}[\d_\-. :apmt]*(?:\.(?:{_FILE_ENDINGS}))?",
    # made by machines: hexadecimal of 16 and more, UUIDs, 12345678_1234567890_n, mixed runs of letters and digits
    r"[0-9a-f]{16,}",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"\d{6,}(?:_\d{6,})+(?:_[a-z])?",
)
_FILE_NAME = rf"(?i)^{_EDGE}(?:{'|'.join(_FILE_NAMES)}){_EDGE}$"
_HASH = r"^[A-Za-z]*(?:[0-9]+[A-Za-z]+){4,}[0-9]*$"
_HASH_CHARS = 20

_ONE_URL = (
    r"(?:(?:https?|ftps?|file)://\S+|//[^\s/]+\.[^\s/]+\S*|www\.\S+\.\S+|data:[a-z]+/[a-z0-9.+\-]+[;,]\S*|"
    r"blob:\S+|[a-z][a-z0-9\-]*\.(?:[a-z0-9\-]+\.)*[a-z]{2,}/\S*)"
)
_URLS = rf"(?i)^{_EDGE}<?{_ONE_URL}(?:[\s\p{{Z}},]+{_ONE_URL})*>?{_EDGE}$"

_WORDS = {word for words in GENERIC_WORDS.values() for word in words}
# Lower case made from capitals has no ß, no final sigma and no Turkish dotless i.
_FROM_CAPITALS = str.maketrans({"ß": "ss", "ς": "σ", "ı": "i"})
_GENERIC = pa.array(sorted(_WORDS | {word.translate(_FROM_CAPITALS) for word in _WORDS}))
_NOT_IN_WORDS = r"^[^\p{L}\p{M}]+|[^\p{L}\p{M}]+$"


def apply_rules(texts: pa.Array, langs: pa.Array, rules: TextRules) -> tuple[pa.StringArray, pa.StringArray]:
    """(texts after redaction, name of the first rule that drops the text; null where it is kept).

    texts: string. langs: string of the same length, language codes as `LanguageIdentifier` gives them ("" unknown).
    Null texts stay null and are kept. Raises ValueError where the lengths differ.
    """
    texts, langs = as_strings(texts), as_strings(langs)
    if len(texts) != len(langs):
        raise ValueError(f"{len(texts)} texts, but {len(langs)} languages: give one for each")
    texts = redact(texts, rules)
    return texts, drop_rules(texts, langs, rules)


def redact(texts: pa.Array, rules: TextRules) -> pa.StringArray:
    """The texts with what the rules erase replaced by <email> and <phone>; nulls stay null."""
    texts = as_strings(texts)
    if rules.redact_emails:
        texts = redact_emails(texts)
    if rules.redact_phones:
        texts = redact_phones(texts)
    return texts


def drop_rules(texts: pa.Array, langs: pa.Array, rules: TextRules) -> pa.StringArray:
    """Name of the first rule that drops each text, null where it is kept. `texts` are redacted already."""
    texts, langs = as_strings(texts), as_strings(langs)
    verdicts = np.full(len(texts), len(DROP_RULES))
    for position, name in reversed(list(enumerate(DROP_RULES))):
        if getattr(rules, name):
            refused = _TESTS[name](texts, langs, rules).fill_null(False)
            verdicts[refused.to_numpy(zero_copy_only=False)] = position
    return pa.array([*DROP_RULES, None], pa.string()).take(pa.array(verdicts))


def _too_short(texts: pa.StringArray, _langs: pa.StringArray, rules: TextRules) -> pa.BooleanArray:
    return pc.less(pc.utf8_length(texts), rules.min_chars)


def _too_long(texts: pa.StringArray, _langs: pa.StringArray, rules: TextRules) -> pa.BooleanArray:
    return pc.greater(pc.utf8_length(texts), rules.max_chars)


def _few_words(texts: pa.StringArray, langs: pa.StringArray, rules: TextRules) -> pa.BooleanArray:
    """Only where words are counted by spaces; a text of unknown language is judged by its script."""
    spaceless = pc.is_in(langs, pa.array(sorted(LANGUAGES_WITHOUT_SPACES)))
    unknown = pc.equal(langs, "").fill_null(True)
    spaceless = pc.or_(spaceless, pc.and_(unknown, pc.match_substring_regex(texts, _NO_SPACE_SCRIPTS)))
    few = pc.less(pc.count_substring_regex(texts, _WORD), rules.min_words)
    return pc.and_not(few, spaceless)


def _file_name(texts: pa.StringArray, _langs: pa.StringArray, _rules: TextRules) -> pa.BooleanArray:
    long = pc.greater_equal(pc.binary_length(texts), _HASH_CHARS)
    hashes = pc.and_(long, pc.match_substring_regex(texts, _HASH))
    return pc.or_(pc.match_substring_regex(texts, _FILE_NAME), hashes)


def _generic(texts: pa.StringArray, _langs: pa.StringArray, _rules: TextRules) -> pa.BooleanArray:
    words = pc.utf8_lower(pc.utf8_normalize(pc.replace_substring_regex(texts, _NOT_IN_WORDS, ""), "NFC"))
    return pc.is_in(words, _GENERIC)


def _only_urls(texts: pa.StringArray, _langs: pa.StringArray, _rules: TextRules) -> pa.BooleanArray:
    return pc.match_substring_regex(texts, _URLS)


_Test = Callable[[pa.StringArray, pa.StringArray, TextRules], pa.BooleanArray]
_TESTS: Final[dict[str, _Test]] = {
    "min_chars": _too_short,
    "max_chars": _too_long,
    "min_words": _few_words,
    "drop_file_names": _file_name,
    "drop_generic": _generic,
    "drop_urls": _only_urls,
}
