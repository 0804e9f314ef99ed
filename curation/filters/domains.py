"""Domains to take and to leave."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.filters.files import Digest
from curation.filters.lists import domain_keys, read_names
from curation.filters.names import NameTable
from curation.filters.refusals import covering_lists
from curation.filters.urls import Urls
from curation.recipe.filters import LIST_MARK, Domains


class DomainFilter:
    """Refuses rows by where their media and their page lie."""

    def __init__(self, settings: Domains, digest: Digest) -> None:
        """Raises InputError for a list that cannot be read, and for what is no domain."""
        self._deny = _table(settings.deny, "domains.deny", digest)
        self._allow = None if settings.allow is None else _table(settings.allow, "domains.allow", digest)

    def refused(self, media: Urls, pages: Urls) -> npt.NDArray[np.bool_]:
        """Whether either host is denied, or, where some are allowed, neither is."""
        denied = _covered(self._deny, media) | _covered(self._deny, pages)
        if self._allow is None:
            return denied
        return denied | ~(_covered(self._allow, media) | _covered(self._allow, pages))


def _table(items: list[str], where: str, digest: Digest) -> NameTable:
    named = [item for item in items if not item.startswith(LIST_MARK)]
    parts = [domain_keys(named, where)]
    for item in items:
        if item.startswith(LIST_MARK):
            digest.update(b"\n")
            parts += [keys for _, keys in read_names(item.removeprefix(LIST_MARK), ("domain",), digest)]
    return NameTable(((0, keys) for keys in parts), 1)


def _covered(table: NameTable, urls: Urls) -> npt.NDArray[np.bool_]:
    if not len(table):
        return np.zeros(len(urls.index), np.bool_)
    of_hosts = covering_lists(table, urls.hosts) == 0
    return urls.by_row(urls.by_value(of_hosts, False), False)
