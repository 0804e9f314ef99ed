"""Refusal by lists: of media and pages, by URL, domain or digest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.filters.files import Digest, list_files
from curation.filters.lists import DIGESTS, MEDIA_ID, read_names
from curation.filters.names import NameTable
from curation.filters.urls import Ints, Urls, host_domains, normal_url

_ALL_KINDS = frozenset({"url", "domain", MEDIA_ID, *DIGESTS})


class Refusals:
    """All lists of some folders; the first in the order of folders, then of names, is the one that is counted."""

    def __init__(self, folders: list[str], digest: Digest) -> None:
        """Raises InputError for a folder without lists, an unreadable list, and a line that is no item."""
        lists = [found for folder in folders for found in list_files(folder)]
        self._kinds: set[str] = set()
        parts = []
        for number, (name, location) in enumerate(lists):
            digest.update(f"{name}\n".encode())
            for kind, keys in read_names(location, _ALL_KINDS, digest):
                if len(keys):
                    self._kinds.add(kind)
                    parts.append((number, keys))
        self._table = NameTable(parts, len(lists))
        self._verdicts = pa.array([*(f"refused:{name}" for name, _ in lists), None], pa.string())

    def verdicts(self, media_ids: pa.Array, media: Urls, pages: Urls) -> pa.StringArray:
        """refused:LIST of each row, or null."""
        lists = np.minimum(self._of_rows(media), self._of_rows(pages))
        if MEDIA_ID in self._kinds:
            encoded = media_ids.dictionary_encode()
            names = encoded.dictionary.to_pylist()
            found = self._table.first_lists(names, range(len(names)), len(names))
            lists = np.minimum(lists, found[np.asarray(encoded.indices)])
        return self._verdicts.take(pa.array(lists))

    def _of_rows(self, urls: Urls) -> Ints:
        none = self._table.lists
        lists = np.full(len(urls.values), none, np.int64)
        if "domain" in self._kinds:
            lists = np.minimum(lists, urls.by_value(covering_lists(self._table, urls.hosts), none))
        if self._kinds - {"domain", MEDIA_ID}:
            lists = np.minimum(lists, self._of_values(urls.values.to_pylist()))
        return urls.by_row(lists, none)

    def _of_values(self, values: list[str]) -> Ints:
        normal = [normal_url(value) for value in values]
        names, rows = list(normal), list(range(len(values)))
        makers = [make for kind, (_, make) in DIGESTS.items() if kind in self._kinds]
        for row, (value, other) in enumerate(zip(values, normal, strict=True) if makers else ()):
            for form in {value, other}:
                names += [make(form.encode()) for make in makers]
                rows += [row] * len(makers)
        return self._table.first_lists(names, rows, len(values))


def covering_lists(table: NameTable, hosts: list[str]) -> Ints:
    """For each host the smallest number of a list that holds it or a domain above it."""
    domains = [host_domains(host) for host in hosts]
    rows = np.repeat(np.arange(len(hosts)), [len(names) for names in domains])
    return table.first_lists([name for names in domains for name in names], rows, len(hosts))
