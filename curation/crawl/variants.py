"""How texts are cleaned and URLs made absolute: as a browser does it, or as MetaCLIP's released code does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin

from curation.crawl.urls import Joiner, has_other_scheme, is_http, is_plain_http

_URL_SPACE = " \t\r\n\f"
_BREAKS = str.maketrans("", "", "\t\r\n")


@dataclass(frozen=True)
class Variant:
    """How texts and URLs are treated. `strict`: as a browser would, instead of as MetaCLIP's released code does."""

    strict: bool
    clean: Callable[[str], str]
    hashed: Callable[[str], str] = str
    """What of a URL goes into its media_id."""


def _spaced(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ").strip()


def _tabs_spaced(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ").strip()


def _joined(text: str) -> str:
    return text.replace("\n", "").replace("\r", "").strip()


def _without_blanks(url: str) -> str:
    return url.replace("\t", "").replace(" ", "")


VARIANTS = {
    "default": Variant(True, _tabs_spaced),
    "v1-wat": Variant(False, _spaced),
    "v1-warc": Variant(False, _joined),
    "v2": Variant(False, _spaced, _without_blanks),
}

Resolve = Callable[[str | None], tuple[str | None, str]]
"""A link's URL to the media URL, or None and the name under which its texts are tallied as skipped."""


def resolver(variant: Variant, page_url: str, base: str | None) -> Resolve:
    """How a page's URLs become absolute: relative to its <base> and own URL, as a variant does it."""
    if not variant.strict:
        released = Joiner(page_url)

        def as_released(url: str | None) -> tuple[str | None, str]:
            if url is None:
                return None, "skipped:bad_url"
            try:
                return released.join(url), ""
            except ValueError:
                return None, "skipped:bad_url"

        return as_released
    joiner = _browser_base(page_url, base)

    def as_browser(url: str | None) -> tuple[str | None, str]:
        url = url.strip(_URL_SPACE) if url else ""
        if is_plain_http(url):
            return url, ""
        if not url:
            return None, "skipped:bad_url"
        if url[:5] == "data:":  # common, and can be megabytes long
            return None, "skipped:not_http"
        if "\n" in url or "\t" in url or "\r" in url:
            url = url.translate(_BREAKS)
        try:
            absolute = joiner.join(url)
        except ValueError:
            return None, "skipped:bad_url"
        if is_http(absolute):
            return absolute, ""
        return None, "skipped:not_http" if has_other_scheme(absolute) else "skipped:bad_url"

    return as_browser


def _browser_base(page_url: str, base: str | None) -> Joiner:
    """What a page's URLs are relative to: its <base>, resolved against its own URL, where that makes an http URL."""
    joiner = Joiner(page_url)
    if not joiner.valid:
        joiner, page_url = Joiner(""), ""
    if base is None:
        return joiner
    try:
        absolute = urljoin(page_url, base.strip(_URL_SPACE))
    except ValueError:
        return joiner
    return Joiner(absolute) if is_http(absolute) else joiner
