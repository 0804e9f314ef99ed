"""E-mail addresses and phone numbers out of texts, by regular expression (RE2), whole arrays at a time.

Phone numbers are told from other numbers by how they are written, and where that is ambiguous the text is left
alone: a wrongly erased date or ISBN costs a caption, and bare digit runs are mostly catalogue numbers. Recognised:

    +49 30 123456-78   0049 30 123456   a plus, or 00 and a parted country code; 9 to 15 digits (E.164 allows 15)
    212-555-1234   (212) 555 1234   1-800-555-1234   212.555.1234    North America: 3-3-4, area and exchange from 2
    (11) 91234-5678   (030) 1234567    an area code in brackets, then 7 to 9 digits
    030 1234567   0171/1234567   020 7946 0958   090-1234-5678   03-1234-5678    a trunk 0 and an area code
    01 23 45 67 89   01.23.45.67.89    a trunk 0 and five pairs
    8 (495) 123-45-67    Russia
    Tel: 5551234   тел. 123-45-67   电话：13812345678    7 to 15 digits behind a word for telephone

Not recognised, because nothing distinguishes them: digits in one run or in groups parted by spaces alone, without
any of these marks (212 555 1234, 98765 43210, 13812345678). Never touched: years and their ranges, dates, times,
prices, dimensions (1920x1080), ISBNs, version numbers and IP addresses.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# A domain's first label is anything but a digit and an x: photo@2x.png is a file for a dense display.
_EMAIL = (
    r"[\p{L}\p{N}._%+\-]+@"
    r"(?:\p{L}[\p{L}\p{N}\-]*|\p{N}[\p{L}\p{N}\-]{2,}|\p{N}[\p{N}a-wyzA-WYZ])"
    r"(?:\.[\p{L}\p{N}\-]+)*\.\p{L}{2,}"
)

_PLUS_SHAPE = r"\+[1-9](?:[ .\-/()]{0,2}[0-9]){8,14}"
_SHAPES = (
    r"00[1-9][0-9]{0,2}[ .\-/(](?:[ .\-/()]{0,2}[0-9]){8,14}",
    r"(?:1[ .\-])?(?:\([2-9][0-9]{2}\)[ \-]?[2-9][0-9]{2}[ .\-]|[2-9][0-9]{2}[ .\-][2-9][0-9]{2}[.\-])[0-9]{4}",
    r"\((?:[0-9]{2,3}\) ?[0-9]{3,5}[ \-]?[0-9]{4}|0[0-9]{1,4}\) ?[0-9]{3,4}[ \-]?[0-9]{3,5})",
    r"0[1-9](?:[ .\-][0-9]{2}){4}",
    r"0[1-9][0-9]{1,4}[ /\-][0-9]{3,4}[ \-]?[0-9]{3,5}",
    r"0[1-9][ \-][0-9]{4}[ \-][0-9]{4}",
    r"[78][ \-]?\(?[0-9]{3}\)?[ \-]?[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{2}",
)
# RE2 looks neither ahead nor behind, so the neighbours are matched too and put back. Behind a digit and a space only
# a plus begins a number: what follows may be the next group of a price (1 010 000 000).
_NO_NEIGHBOUR = r"A-Za-z0-9_.,+\-/$€£¥#=&"
_BEFORE_PLUS = f"(^|[^{_NO_NEIGHBOUR}])"
_BEFORE = rf"(^\s*|[^0-9\s]\s+|[^\s{_NO_NEIGHBOUR}])"
_AFTER = r"([.,]?(?:$|[^A-Za-z0-9_.,\-/%€£¥$])|[.,]\D)"
_PHONES = [f"{_BEFORE_PLUS}{_PLUS_SHAPE}{_AFTER}", *(f"{_BEFORE}(?:{shape}){_AFTER}" for shape in _SHAPES)]

_PHONE_WORDS = (
    r"(?:(?:tel|tél|tlf|fax|тел|факс|τηλ|电话|電話|手机|手機|전화|هاتف|โทร)[.:：]{0,2}|"
    r"(?:phone|mobile|cell|call|whatsapp|telefon|telefono|teléfono|telefone|téléphone|телефон)[:：])"
)
_LABELLED_PHONE = (
    rf"(?i)((?:^|\PL){_PHONE_WORDS} ?)[+(]?[0-9](?:[ \-()]{{0,2}}[0-9]){{6,14}}($|[^A-Za-z0-9/%])"
)
_SEVEN_DIGITS = r"(?:[0-9][^0-9]{0,3}){7}"


def redact_emails(texts: pa.StringArray) -> pa.StringArray:
    """Every e-mail address becomes <email>."""
    return _where(pc.match_substring(texts, "@"), texts, [(_EMAIL, "<email>")])


def redact_phones(texts: pa.StringArray) -> pa.StringArray:
    """Every phone number becomes <phone>; what counts as one stands at the head of this module."""
    # One shape after the other, or a part of a longer number would be taken for a shorter one; and each twice: two
    # numbers in a row share the character between them, and the first pass takes only the first.
    patterns = [_LABELLED_PHONE, *(shape for shape in _PHONES for _ in range(2))]
    steps = [(pattern, r"\1<phone>\2") for pattern in patterns]
    return _where(pc.match_substring_regex(texts, _SEVEN_DIGITS), texts, steps)


def _where(chosen: pa.BooleanArray, texts: pa.StringArray, steps: list[tuple[str, str]]) -> pa.StringArray:
    """Applies the replacements to the few chosen texts only."""
    chosen = chosen.fill_null(False)
    changed = texts.filter(chosen)
    if len(changed) == 0:
        return texts
    for pattern, replacement in steps:
        changed = pc.replace_substring_regex(changed, pattern, replacement)
    return pc.replace_with_mask(texts, chosen, changed)
