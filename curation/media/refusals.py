"""Media that must not be kept: those that were forgotten, and those on the recipe's lists.

A tombstone is a small file in `_forgotten/` that says what `curation forget` took out: ids, hashes and domains, never
a URL or a text. It holds for every reader and every stage from the moment it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.urls import media_id
from curation.filters.files import Digest, new_digest
from curation.filters.lists import DIGESTS, MEDIA_ID, read_names
from curation.filters.names import NameTable, name_keys
from curation.filters.refusals import covering_lists
from curation.filters.urls import Urls, normal_url
from curation.media.hash_lists import HashLists
from curation.recipe.media import OptOut
from curation.storage import Store

FOLDER: Final = "_forgotten"
RECEIPT: Final = "receipt-"
"""How names of files in FOLDER begin that are no tombstones."""
FORGOTTEN, OPTED_OUT, LISTED = "forgotten", "opted_out", "listed"
"""Errors of the ledger."""
ABOUT: Final = ("media_id", "kept_media_id", "text_media_id", "id")
"""Columns of any dataset that say which media's bytes or words a row is about, and fields of structs in its lists."""

Mask = npt.NDArray[np.bool_]
Row = dict[str, Any]


@dataclass(frozen=True)
class Tombstones:
    """All that was forgotten in a work folder. phashes stand for all pictures within max_distance bits."""

    media_ids: frozenset[str] = frozenset()
    sha256: frozenset[str] = frozenset()
    phashes: frozenset[int] = frozenset()
    domains: frozenset[str] = frozenset()
    max_distance: int = 0

    @classmethod
    def read(cls, store: Store) -> Tombstones:
        """Those of now. Raises WorkFolderError for one that is damaged: it must not be passed over."""
        found = cls()
        for name in sorted(store.names(FOLDER)):
            if name.endswith(".json") and not name.startswith(RECEIPT):
                tree = store.read_json(f"{FOLDER}/{name}")
                found = found | cls.from_json(tree)
        return found

    def __or__(self, other: Tombstones) -> Tombstones:
        return Tombstones(
            self.media_ids | other.media_ids,
            self.sha256 | other.sha256,
            self.phashes | other.phashes,
            self.domains | other.domains,
            max(self.max_distance, other.max_distance),
        )

    def __bool__(self) -> bool:
        return bool(self.media_ids or self.sha256 or self.phashes or self.domains)

    def to_json(self) -> dict[str, Any]:
        names = {name: sorted(getattr(self, name)) for name in ("media_ids", "sha256", "domains")}
        phashes = [f"{phash:016x}" for phash in sorted(self.phashes)]
        return {**names, "phashes": phashes, "max_distance": self.max_distance}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Tombstones:
        names = {name: frozenset(tree[name]) for name in ("media_ids", "sha256", "domains")}
        return cls(**names, phashes=frozenset(int(p, 16) for p in tree["phashes"]), max_distance=tree["max_distance"])

    @cached_property
    def _ids(self) -> pa.Array:
        return pa.array(sorted(self.media_ids), pa.string())

    @cached_property
    def _domain_table(self) -> NameTable:
        return NameTable([(0, name_keys(sorted(self.domains)))], 1)

    @cached_property
    def hashes(self) -> HashLists:
        return HashLists(map(bytes.fromhex, sorted(self.sha256)), sorted(self.phashes), self.max_distance)

    def of(self, media_ids: pa.Array, urls: pa.Array) -> Mask:
        """Which rows are about forgotten media, by id or by the URL's domain."""
        if len(media_ids) < len(self.media_ids):  # Arrow hashes the whole set with every call
            mask = np.array([media_id in self.media_ids for media_id in media_ids.to_pylist()], np.bool_)
        else:
            mask = np.asarray(pc.is_in(media_ids, value_set=self._ids))
        return mask | covered(self._domain_table, urls)


def about_in_lists(schema: pa.Schema) -> list[tuple[str, str]]:
    """(column, field) of lists of structs that say which media's words are in them: `texts` of the manifest."""
    return [
        (column.name, name)
        for column in schema
        if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type)
        for name in ABOUT
        if column.type.value_type.get_field_index(name) >= 0
    ]


def covered(domains: NameTable, urls: pa.Array) -> Mask:
    """Which URLs (null: none) lie on one of some domains, or below."""
    if not len(domains):
        return np.zeros(len(urls), np.bool_)
    of = Urls(urls)
    return of.by_row(of.by_value(covering_lists(domains, of.hosts) == 0, False), False)


def blanked(batch: pa.RecordBatch, mask: Mask) -> pa.RecordBatch:
    """The rows, of which those of the mask say no more than their media_id and modality.

    They stay so that no count changes: nulls, empty strings and lists, zeros.
    """
    if not mask.any():
        return batch
    places = pa.array(np.where(mask, batch.num_rows, np.arange(batch.num_rows)))
    columns = [
        column if field.name in ("media_id", "modality") else pa.concat_arrays([column, nothing(field)]).take(places)
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def nothing(field: pa.Field) -> pa.Array:
    """One row of a column that says nothing: null, or empty where that is not allowed."""
    if field.nullable:
        return pa.nulls(1, field.type)
    empty: Any = [] if pa.types.is_list(field.type) else "" if pa.types.is_string(field.type) else 0
    return pa.array([empty]).cast(field.type) if empty == 0 else pa.array([empty], field.type)


class Refusals:
    """The recipe's opt-out lists and the folder's tombstones together."""

    def __init__(self, settings: OptOut, tombstones: Tombstones) -> None:
        """Raises InputError for lists that cannot be read or hold something else."""
        digest = new_digest()
        self.tombstones = tombstones
        self._domains = _table(settings.domains, ("domain",), digest)
        self._urls = _table(settings.urls, ("url", MEDIA_ID, *DIGESTS), digest)
        hashes = HashLists.read(settings.hashes, settings.max_distance)
        self._hashes = hashes if settings.hashes else None
        for location in settings.hashes:
            with fsspec.open(location, "rb") as file:
                digest.update(file.read())
        digest.update(str((settings.max_distance, tombstones.to_json())).encode())
        self.fingerprint: str = digest.hexdigest()
        self._is_empty = not (tombstones or settings.domains or settings.urls or settings.hashes)

    def __bool__(self) -> bool:
        return not self._is_empty

    def of_urls(self, rows: Sequence[Row]) -> list[str | None]:
        """The error of each row for which no host is to be asked, by its media_id, media_url and final_url (if any).

        FORGOTTEN goes before OPTED_OUT.
        """
        if self._is_empty or not rows:
            return [None] * len(rows)
        forgotten, opted_out = (np.zeros(len(rows), np.bool_) for _ in range(2))
        for name in ("media_url", "final_url"):
            urls = pa.array([row.get(name) for row in rows], pa.string())
            own = name == "media_url"  # what it led to is a media of its own
            ids = pa.array([row["media_id"] if own else media_id(row.get(name) or "") for row in rows], pa.string())
            forgotten |= self.tombstones.of(ids, urls)
            opted_out |= covered(self._domains, urls) | self._listed(ids, urls)
        both = zip(forgotten, opted_out, strict=True)
        return [FORGOTTEN if gone else OPTED_OUT if out else None for gone, out in both]

    def may_ask(self, url: str) -> bool:
        """Whether a URL that a redirect leads to may be asked for."""
        return self.of_urls([{"media_id": media_id(url), "media_url": url}]) == [None]

    def of_bytes(self, row: Row) -> str | None:
        """The error of a row whose bytes, by sha256 or phash (null: not known), are not to be kept."""
        if row.get("sha256") is not None:
            for error, hashes in ((FORGOTTEN, self.tombstones.hashes), (LISTED, self._hashes)):
                if hashes is not None and (
                    hashes.has_file(row["sha256"])
                    or (row["phash"] is not None and hashes.nearest(row["phash"]) is not None)
                ):
                    return error
        return None

    @property
    def hash_lists(self) -> HashLists:
        """All lists of hashes together, which decoding holds pictures against; `of_bytes` says which it was."""
        return _Either([lists for lists in (self.tombstones.hashes, self._hashes) if lists is not None])

    def of(self, rows: Sequence[Row]) -> list[str | None]:
        """The error of each row of the ledger that is not to be kept."""
        return [error or self.of_bytes(row) for row, error in zip(rows, self.of_urls(rows), strict=True)]

    def disagrees(self, rows: Sequence[Row]) -> bool:
        """Whether a part of the ledger is to be done again: it keeps what is refused, or refused what is not."""
        for row, error in zip(rows, self.of(rows), strict=True):
            if error != row["error"] and (error is not None or row["error"] in (OPTED_OUT, LISTED)):
                return True
        return False

    def _listed(self, media_ids: pa.Array, urls: pa.Array) -> Mask:
        """By URL or digest of a URL."""
        if not len(self._urls):
            return np.zeros(len(urls), np.bool_)
        names, rows = list(media_ids.to_pylist()), list(range(len(urls)))
        for row, url in enumerate(urls.to_pylist()):
            forms = {url, normal_url(url)} if url else set()
            found = [normal_url(url)] if url else []
            found += [make(form.encode()) for form in forms for _, make in DIGESTS.values()]
            names += found
            rows += [row] * len(found)
        return np.asarray(self._urls.first_lists(names, rows, len(urls)) == 0)


@lru_cache(maxsize=2)
def loaded_refusals(store: Store, settings: str, fingerprint: str) -> Refusals:
    """Kept per worker process. settings: OptOut as JSON; fingerprint: what the lists and tombstones were."""
    return Refusals(OptOut.model_validate_json(settings), Tombstones.read(store))


class _Either(HashLists):
    """Several lists as one."""

    def __init__(self, lists: list[HashLists]) -> None:
        super().__init__([], [], 0)
        self._lists = lists

    @property
    def has_pictures(self) -> bool:
        return any(lists.has_pictures for lists in self._lists)

    def has_file(self, sha256: str) -> bool:
        return any(lists.has_file(sha256) for lists in self._lists)

    def nearest(self, phash: int) -> int | None:
        return next((near for lists in self._lists if (near := lists.nearest(phash)) is not None), None)


def _table(locations: Iterable[str], kinds: Sequence[str], digest: Digest) -> NameTable:
    parts = []
    for location in locations:
        digest.update(b"\n")
        parts += [(0, keys) for _, keys in read_names(location, kinds, digest)]
    return NameTable(parts, 1)
