"""Consent signals in a page's HTTP header."""

from __future__ import annotations

from collections.abc import Mapping

from curation.crawl.directives import robots_directives, tdm_reserved
from curation.crawl.metas import TDM_RESERVATION

_ROBOTS = "x-robots-tag"
_TDM = "tdm-reservation"


def consent_headers(headers: Mapping[str, object]) -> list[str]:
    """Directives of X-Robots-Tag, and TDM_RESERVATION where the header makes one.

    headers: names in any case -> a value or a list of values; others than strings say nothing.
    """
    robots: list[str] = []
    reserved = False
    for key, value in headers.items():
        if len(key) in (len(_ROBOTS), len(_TDM)) and (name := key.lower()) in (_ROBOTS, _TDM):
            values = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]
            if name == _ROBOTS:
                robots += values
            else:
                reserved = reserved or any(map(tdm_reserved, values))
    found = robots_directives(robots, header=True) if robots else []
    return [*found, TDM_RESERVATION] if reserved else found
