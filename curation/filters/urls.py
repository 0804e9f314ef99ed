"""The distinct URLs of a column, their hosts, and the one form in which URLs and hosts are compared."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.media import host_of
from curation.text.arrays import as_strings

Ints = npt.NDArray[np.int64]

_AUTHORITY = r"(?is)^(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/?#\\]*@)?(?P<host>[^/?#\\]*)"
_START = re.compile(r"(?i)[a-z][a-z0-9+.-]*://[^/?#]*").match
_IS_NORMAL = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#A-Z]*/[^#]*", re.DOTALL).fullmatch
_MAX_NAME_CHARS = 253
"""Longer host names cannot be looked up (RFC 1035); the limit also bounds the work on hostile ones."""


class Urls:
    """A column of URLs as its distinct values; what is found out about each value is spread to the rows."""

    def __init__(self, column: pa.Array) -> None:
        encoded = as_strings(column).dictionary_encode()
        self.values: pa.StringArray = encoded.dictionary
        self.index: Ints = np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int64)
        """For each row the position of its value, -1 where it is null."""

    @cached_property
    def _encoded_hosts(self) -> pa.DictionaryArray:
        return url_hosts(self.values).dictionary_encode()

    @property
    def hosts(self) -> list[str]:
        """The distinct hosts, with their port if unusual."""
        hosts: list[str] = self._encoded_hosts.dictionary.to_pylist()
        return hosts

    @cached_property
    def host_index(self) -> Ints:
        """For each value the position of its host, -1 where it has none."""
        return np.asarray(pc.fill_null(self._encoded_hosts.indices, -1)).astype(np.int64)

    def by_value(self, of_hosts: npt.NDArray[Any], missing: Any) -> npt.NDArray[Any]:
        """One entry per host to one per value."""
        return np.append(of_hosts, missing)[self.host_index]

    def by_row(self, of_values: npt.NDArray[Any], missing: Any) -> npt.NDArray[Any]:
        """One entry per value to one per row."""
        return np.append(of_values, missing)[self.index]


def url_hosts(urls: pa.StringArray) -> pa.StringArray:
    """Host of each absolute http(s) URL, written as SITE_RULES.host is; null where it has none that can be asked."""
    parts = pc.extract_regex(urls, _AUTHORITY)
    origins = pc.binary_join_element_wise(pc.struct_field(parts, "scheme"), pc.struct_field(parts, "host"), "://")
    encoded = origins.dictionary_encode()
    found = [
        host_of(origin) if len(origin) <= len("https://:65535") + _MAX_NAME_CHARS else None
        for origin in encoded.dictionary.to_pylist()
    ]
    return pa.array([host or None for host in found], pa.string()).take(encoded.indices)


def domain_name(name: str) -> str:
    """The form in which domains are compared: lower case, IDNA, without a dot at the end."""
    name = name.lower().rstrip(".")
    if name.isascii() or len(name) > _MAX_NAME_CHARS:
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:  # no name of the DNS: compared as it is written
        return name


def host_domains(host: str) -> list[str]:
    """The domains that cover a host: itself and all above it. The port, if any, plays no part."""
    labels = domain_name(host.partition(":")[0]).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def normal_url(url: str) -> str:
    """The form in which URLs are compared: scheme and host in lower case, no fragment, at least / as path."""
    if _IS_NORMAL(url):
        return url
    url = url.partition("#")[0]
    start = _START(url)
    if start is None:
        return url
    rest = url[start.end() :]
    return start[0].lower() + (rest if rest.startswith("/") else "/" + rest)


def url_path(url: str) -> str:
    """Path and query of a URL, at least /, as robots.txt speaks of them."""
    url = normal_url(url)
    start = _START(url)
    return url[start.end() :] if start else "/"
