"""Web pages as UTF-8, whatever they are written in.

Declarations are read as browsers read them (WHATWG's Encoding and HTML standards), except that valid UTF-8 beats a
declared single-byte charset: such a declaration is a server's default, and no text in one is valid UTF-8 by chance.
Detection by chardet comes last, and only for the few pages that are neither: of 475 pages of 400 characters
in 24 pairs of language and charset it knew all; charset-normalizer missed most of those in Polish, in Czech as
ISO-8859-2 and in French.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import pack

import chardet
import pyarrow as pa
import webencodings  # type: ignore[import-untyped]

PRESCAN_BYTES = 4096
"""How far declarations are looked for; the standard asks for 1024, but real pages put scripts before them."""
SAMPLE_BYTES = 32 << 10
"""Text that detection looks at."""
DAMAGE = 0.2
"""Share of the non-ASCII bytes up to which undecodable ones are damage to the charset, not evidence against it.

Of text in another charset nearly all fail (UTF-8), or a third (East Asian charsets)."""

_WHITE = rb"\t\n\f\r "
_VALUE = rb"(?:\"([^\"]*)\"|'([^']*)'|([^%s>\"'][^%s>]*+))" % (_WHITE, _WHITE)
_ATTRIBUTE = rb"[%s/]*+([^%s/>][^%s/=>]*+)(?:[%s]*+=[%s]*+%s)?" % (_WHITE, _WHITE, _WHITE, _WHITE, _WHITE, _VALUE)
_SKIPPED = re.sub(rb"\((?![?])", rb"(?:", _ATTRIBUTE)  # the same without groups
_META_OR_OTHER = re.compile(
    rb"(?is)<!--.*?(?:-->|\Z)|<meta(?=[%s/])((?:%s)*+)|</?[a-z][^%s>]*+(?:%s)*+|<[!/?][^>]*+"
    % (_WHITE, _SKIPPED, _WHITE, _SKIPPED)
).finditer
_ATTRIBUTES = re.compile(_ATTRIBUTE).finditer
_LABEL = rb"(?:\"([^\"]*)\"|'([^']*)'|([^%s;,\"'][^%s;,]*+))" % (_WHITE, _WHITE)
_CHARSET = re.compile(rb"(?i)charset[%s]*+=[%s]*+%s" % (_WHITE, _WHITE, _LABEL)).search
_XML = re.compile(rb"[%s]*+<\?xml[^>]*?[%s]encoding[%s]*+=[%s]*+[\"']([^\"'>]*)[\"']" % ((_WHITE,) * 4)).match
_HIGH = re.compile(rb"[\x80-\xff]").search
_EDGES = (b"<", b">", b"\n")  # no charset here uses these bytes inside a character
_EDGE = re.compile(rb"[<>\n]|\Z").search
_BEYOND_ASCII = bytes(range(128, 256))

_ERAS = chardet.EncodingEra.MODERN_WEB | chardet.EncodingEra.LEGACY_ISO  # without DOS, Macintosh and mainframes
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_UTF16_XML = ((b"<\0?\0x\0", "utf-16le"), (b"\0<\0?\0x", "utf-16be"))
_UTF8 = "utf-8"
_UTF16 = ("utf-16le", "utf-16be")
_NOT_ASCII_BASED = (*_UTF16, "iso-2022-jp")
_MULTIBYTE = (*_NOT_ASCII_BASED, "gbk", "gb18030", "big5", "shift_jis", "euc-jp", "euc-kr")
_CODECS = {"gbk": ("gb18030",), "euc-jp": ("euc_jp", "euc_jis_2004")}
"""Python's codecs where webencodings' choice knows fewer characters than browsers do."""


def utf8(body: bytes, content_type: str | None) -> bytes:
    """The page as valid UTF-8 without byte order mark; the same object where it is that already.

    In this order: byte order mark, charset of the HTTP Content-Type, <meta>, XML declaration, detection. What cannot be
    decoded becomes U+FFFD.
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            rest = body[len(mark) :]
            return rest if codec == _UTF8 and is_utf8(rest) else _encoded(rest.decode(codec, "replace"))
    ascii_only = body.isascii()
    valid = ascii_only or is_utf8(body)
    declared: list[str] = []
    for name in _declared(body, content_type):
        if name in declared:
            continue
        declared.append(name)
        if valid and _reads_as_utf8(name, ascii_only):
            return body
        text = _strictly(body, name)
        if text is not None:
            return _encoded(text)
    return body if valid else _encoded(_guessed(body, declared))


def is_utf8(body: bytes) -> bool:
    """Whether the bytes are valid UTF-8: Arrow checks 6 GB/s."""
    if body.isascii():
        return True
    bounds = pa.py_buffer(pack("=qq", 0, len(body)))
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, bounds, pa.py_buffer(body)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _reads_as_utf8(name: str, ascii_only: bool) -> bool:
    """Whether a page that is valid UTF-8 is read as that, though it declares this charset."""
    return name not in (_NOT_ASCII_BASED if ascii_only else _MULTIBYTE)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


# --------------------------------------------------------------------------------------- declarations


def _declared(body: bytes, content_type: str | None) -> Iterator[str]:
    """WHATWG names of the charsets that the page declares, in order of precedence."""
    if content_type and (found := _CHARSET(content_type.encode("utf-8", "replace"))):
        name = _named(found)
        if name is not None and (name not in _UTF16 or b"\0" in body):  # all markup in UTF-16 has NULs
            yield name
    head = body[:PRESCAN_BYTES]
    for start, name in _UTF16_XML:
        if head.startswith(start):
            yield name
    for meta in _META_OR_OTHER(head):
        if meta[1] and (name := _in_meta(meta[1])):
            yield name
    if (declaration := _XML(head)) and (name := _named(declaration)):
        yield _UTF8 if name in _UTF16 else name  # the declaration itself was read as ASCII


def _in_meta(attributes: bytes) -> str | None:
    """The charset in a <meta> element's attributes."""
    values: dict[bytes, re.Match[bytes]] = {}
    for attribute in _ATTRIBUTES(attributes):
        values.setdefault(attribute[1].lower(), attribute)
    if b"charset" in values:
        name = _named(values[b"charset"], 2)
    elif _value(values.get(b"http-equiv")).lower() == b"content-type":
        found = _CHARSET(_value(values.get(b"content")))
        name = _named(found) if found else None
    else:
        return None
    return _UTF8 if name in _UTF16 else name  # likewise


def _value(attribute: re.Match[bytes] | None) -> bytes:
    return (attribute[2] or attribute[3] or attribute[4] or b"") if attribute else b""


def _named(match: re.Match[bytes], first: int = 1) -> str | None:
    """WHATWG's name for the label in the first non-empty group from `first` on."""
    label = next((group for group in match.groups()[first - 1 :] if group), b"")
    encoding = webencodings.lookup(label.decode("latin-1"))
    if encoding is None or encoding.name == "replacement":  # that is: known, but refused by browsers
        return None
    return "windows-1252" if encoding.name == "x-user-defined" else str(encoding.name)


# ------------------------------------------------------------------------------------------- decoding


def _codecs(name: str) -> tuple[str, ...]:
    return _CODECS.get(name) or (webencodings.lookup(name).codec_info.name,)


def _strictly(body: bytes, name: str) -> str | None:
    """The text, or None where it is not in this charset."""
    for codec in _codecs(name):
        try:
            return body.decode(codec)
        except UnicodeDecodeError:
            continue
    return None


def _guessed(body: bytes, declared: list[str]) -> str:
    """The text of a page that is neither UTF-8 nor in a charset that it declares."""
    beyond_ascii = len(body) - len(body.translate(None, _BEYOND_ASCII))
    for name in (*declared, *(() if _UTF8 in declared else (_UTF8,))):
        text = body.decode(_codecs(name)[0], "replace")
        if text.count("\ufffd") <= DAMAGE * beyond_ascii:
            return text
    detected = _detected(body)
    if detected is not None:
        return body.decode(detected, "replace")
    return body.decode(_codecs(declared[0] if declared else "windows-1252")[0], "replace")


def _detected(body: bytes) -> str | None:
    """Python's name of the likeliest charset of the body's text beyond ASCII."""
    name = chardet.detect(_sample(body), encoding_era=_ERAS)["encoding"]
    encoding = webencodings.lookup(name) if name else None
    return encoding.codec_info.name if encoding is not None else name


def _sample(body: bytes) -> bytes:
    """The first SAMPLE_BYTES of texts between tags that are not ASCII alone."""
    texts: list[bytes] = []
    size = position = 0
    while size < SAMPLE_BYTES and (high := _HIGH(body, position)):
        start = max(position, *(body.rfind(edge, position, high.start()) + 1 for edge in _EDGES))
        edge = _EDGE(body, high.end())
        position = edge.start() if edge else len(body)
        texts.append(body[start : min(position, start + SAMPLE_BYTES - size)])
        size += len(texts[-1])
    return b"\n".join(texts)
