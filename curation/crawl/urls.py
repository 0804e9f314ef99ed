"""Absolute media URLs, fast, and their ids."""

from __future__ import annotations

import re
from hashlib import sha224
from urllib.parse import urljoin

# Shapes for which urljoin only glues: nothing to strip (tab, CR, LF anywhere; controls and space in front), no empty
# query or fragment and no ";" (urljoin drops them when empty), no "[" and nothing beyond ASCII in the host (urljoin
# checks those). A path that is resolved must also be free of dot segments, and of "//" where it is relative.
_TAIL = r"(?:\?[^\t\r\n#]+)?(?:#[^\t\r\n]+)?"
_HOST = r"[A-Za-z0-9._~:@%-]+"
_PATH = r"[^\t\r\n?#;]*"
_NO_DOTS = r"(?![^?#]*/\.)"
is_plain_http = re.compile(rf"https?://{_HOST}(?:/{_PATH})?{_TAIL}").fullmatch
"""A match if urljoin returns this absolute URL as it is, for any base that it can parse; else None."""

_BASE = re.compile(rf"(https?:)(//{_HOST})((?:/{_PATH})?){_TAIL}").fullmatch
_NETWORK = re.compile(rf"//{_HOST}(?:/{_PATH})?{_TAIL}").fullmatch
_ROOTED = re.compile(rf"{_NO_DOTS}/(?!/){_PATH}{_TAIL}").fullmatch
_RELATIVE = re.compile(rf"{_NO_DOTS}(?![^?#]*//)[^\x00-\x20/.:?#;][^\t\r\n:?#;]*{_TAIL}").fullmatch

HTTP_URL = r"(?i)https?://[^/?#\s]"
"""What an absolute URL that can be fetched starts with (RE2 and Python syntax)."""

is_http = re.compile(HTTP_URL).match
"""A match if the URL is http or https and names a host, else None."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:").match


def has_other_scheme(url: str) -> bool:
    """Whether a URL has a scheme that is neither http nor https (data:, blob:, javascript: ...)."""
    match = _SCHEME(url)
    return match is not None and match[0].lower() not in ("http:", "https:")


def media_id(url: str) -> str:
    """First 24 hex digits of SHA-224 of the URL in UTF-8 (MetaCLIP's image id)."""
    return sha224(url.encode()).hexdigest()[:24]


class Joiner:
    """urllib.parse.urljoin(base, url) for many URLs of one page, with the same results and errors.

    `valid`: whether urljoin can parse the base at all.
    """

    __slots__ = ("_base", "_folder", "_root", "_scheme", "valid")

    def __init__(self, base: str) -> None:
        self._base = base
        self.valid = True
        simple = _BASE(base)
        if simple and "//" not in simple[3] and "/." not in simple[3]:
            self._scheme = simple[1]
            self._root = self._scheme + simple[2]
            self._folder = self._root + (simple[3][: simple[3].rfind("/") + 1] or "/")
            return
        try:
            self._folder = urljoin(base, "x")[:-1]
            self._root = urljoin(base, "/x")[:-2]
            self._scheme = urljoin(base, "//x")[:-3]
        except ValueError:
            self.valid = False

    def join(self, url: str) -> str:
        """The absolute URL that urljoin(base, url) gives. Raises ValueError where urljoin does."""
        if self.valid:
            if is_plain_http(url):
                return url
            if url[:1] != "/":
                if url[:5] == "data:" and url[5:6] != "/":  # urljoin would read through megabytes to return it
                    return url
                if _RELATIVE(url):
                    return self._folder + url
            elif url[1:2] != "/":
                if _ROOTED(url):
                    return self._root + url
            elif _NETWORK(url):
                return self._scheme + url
        return urljoin(self._base, url)
