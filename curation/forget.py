"""`curation forget`: media that must go, and never come back.

A tombstone is put first, and from then on every reader and every stage leaves them out. Then the bytes go: shards and
rows are written anew without them, whatever refers to the old files is told, and the old files are removed last. The
same command, or one without names, finishes what a kill interrupted. No URL and no text outlives it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.urls import is_http, media_id
from curation.crawl.variants import VARIANTS
from curation.digests import digest
from curation.errors import InputError, WorkFolderError
from curation.filters.files import new_digest, read_lines
from curation.filters.urls import domain_name, normal_url
from curation.forgotten_rows import parquet_files
from curation.inspect.report_page import REPORT_HTML
from curation.layouts import fitted
from curation.media.fingerprints import FLAT
from curation.media.hash_lists import HashLists
from curation.media.journal import read_segment
from curation.media.refusals import FOLDER, RECEIPT, Mask, Tombstones
from curation.pipeline import ALL_STAGES
from curation.recipe import Duplicates
from curation.runner.catalog import Catalog
from curation.runner.lease import Lease
from curation.runner.stage import Stage
from curation.schemas import CANDIDATES, MEDIA
from curation.stages.fetch_plan import JOURNALS, LISTS
from curation.storage import Store, storage_errors
from curation.taking_out import TakingOut

Copies = Literal["near", "exact", "none"]

_MEDIA_ID = re.compile(r"[0-9a-f]{24}").fullmatch
_SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
_DOMAIN = re.compile(r"[\w-]+(\.[\w-]+)+").fullmatch
_LEDGER: Final = pa.schema([
    MEDIA.schema.field(name).with_nullable(True)  # files of another version of curation may lack it
    for name in ("media_id", "media_url", "final_url", "sha256", "phash", "stored_sha256")
])  # fmt: skip
_LINKS: Final = pa.schema([_LEDGER.field(name) for name in ("media_id", "media_url")])


@dataclass(frozen=True)
class Request:
    """What is to be forgotten.

    domains: with all below them, now and whenever they come. sha256: of files, as fetched or as stored. copies: what
    else goes with it, now and in the future: near takes all media of the same picture (duplicates.max_distance), exact
    those with the same bytes, none nothing else.
    """

    urls: tuple[str, ...] = ()
    media_ids: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    copies: Copies = "near"

    def __post_init__(self) -> None:
        """Raises InputError for what is none of the kind that it is given as."""
        for kind, values, fits in (
            ("an absolute http(s) URL", self.urls, is_http),
            ("a media_id, 24 hex digits", self.media_ids, _MEDIA_ID),
            ("a domain", self.domains, _DOMAIN),
            ("a SHA-256, 64 hex digits", self.sha256, _SHA256),
        ):
            for value in values:
                if not fits(value):
                    raise InputError(f"{value!a:.80} is not {kind}")

    @classmethod
    def of(
        cls, urls: list[str], media_ids: list[str], domains: list[str], sha256: list[str], copies: Copies
    ) -> Request:
        """As the command line gives it, in the forms in which things are compared."""
        hexes = ([value.strip().lower() for value in values] for values in (media_ids, sha256))
        ids, hashes = map(tuple, hexes)
        return cls(tuple(urls), ids, tuple(map(domain_name, domains)), hashes, copies)

    def with_list(self, location: str) -> Request:
        """With what a file names too: a URL, a domain, a media_id or a SHA-256 a line, # starts a comment.

        Raises InputError with the line of anything else, and for a file that cannot be read.
        """
        found: dict[str, list[str]] = {"urls": [], "media_ids": [], "domains": [], "sha256": []}
        for first, lines in read_lines(location, new_digest()):
            for number, line in enumerate(lines.to_pylist(), first):
                item = re.sub(r"(^|\s)#.*", "", line).strip()
                if item:
                    kind, value = _kind(item, f"{location}, line {number}")
                    found[kind].append(value)
        both: dict[str, Any] = {name: (*getattr(self, name), *values) for name, values in found.items()}
        return replace(self, **both)


def _kind(item: str, where: str) -> tuple[str, str]:
    if is_http(item):
        return "urls", item
    if _MEDIA_ID(item.lower()):
        return "media_ids", item.lower()
    if _SHA256(item.lower()):
        return "sha256", item.lower()
    if _DOMAIN(domain_name(item)):
        return "domains", domain_name(item)
    raise InputError(f"{where}, is {item!a:.80}: give a URL, a domain, a media_id or a SHA-256 a line")


def forget(
    store: Store,
    request: Request,
    *,
    say: Callable[[str], None] = lambda line: None,
    stages: tuple[Stage, ...] = ALL_STAGES,
) -> dict[str, Any]:
    """Forgets media of a work folder; gives the receipt, which is kept in `_forgotten/` too.

    Reads the media_ids of all datasets, and the ledger. Raises WorkFolderError for a folder that is none of ours or in
    use by a run.
    """
    with storage_errors(store):
        if "_runs" not in store.names(""):
            raise WorkFolderError(f"{store.root} is no work folder of a run: give one with --work")
        with Lease(store, say=say) as lease:
            catalog = Catalog(store, stages)
            earlier = Tombstones.read(store)
            found = _Search(store, catalog, request, earlier).found()
            tombstone = _put_tombstone(store, found.tombstones, earlier)
            say(f"{len(found.here):,} media left out from now on" + (f" ({tombstone})" if tombstone else ""))
            store.remove(REPORT_HTML)  # which may show them; `curation report` makes it anew
            gone = found.here | earlier.media_ids
            if missing := sum(not ids & gone for ids in found.asked):
                say(_missing_words(missing))
            out = TakingOut(store, catalog, Tombstones.read(store), lease)
            out.run()
            receipt = _receipt(request, found, out, tombstone)
            store.put_json(f"{FOLDER}/{RECEIPT}{digest(receipt)[:16]}.json", receipt)
    say(
        f"{out.media:,} media taken out: {out.shards:,} shards and {out.files:,} files rewritten or removed, "
        f"{out.bytes_removed:,} bytes removed"
    )
    return receipt


def _missing_words(count: int) -> str:
    was, it, turns = ("was", "it", "turns") if count == 1 else ("were", "they", "turn")
    return f"{count:,} of the named media {was} not found here; {it} will be refused if {it} {turns} up"


def _put_tombstone(store: Store, new: Tombstones, earlier: Tombstones) -> str | None:
    """The tombstone's path; None where all of it is there already."""
    if new | earlier == earlier:
        return None
    tree = new.to_json()
    path = f"{FOLDER}/{digest(tree)[:16]}.json"
    store.put_json(path, tree)
    return path


def _receipt(request: Request, found: _Found, out: TakingOut, tombstone: str | None) -> dict[str, Any]:
    return {
        "asked": {
            "urls": len(request.urls),
            "media_ids": len(request.media_ids),
            "domains": sorted(request.domains),
            "sha256": len(request.sha256),
            "copies": request.copies,
        },
        "media_here": len(found.here),
        "copies": len(found.copies),
        "media_taken_out": out.media,
        "shards": out.shards,
        "files": out.files,
        "bytes_removed": out.bytes_removed,
        "bytes_written": out.bytes_written,
        "tombstone": tombstone,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@dataclass
class _Found:
    """asked: of every media that was named, the ids that it may have. here: ids in candidates, plans or the ledger.

    copies: taken up because of others.
    """

    tombstones: Tombstones
    asked: list[set[str]]
    here: set[str]
    copies: set[str]


@dataclass
class _Search:
    """What a request is about, by the candidates, the plans, the ledger of every version and the journals."""

    store: Store
    catalog: Catalog
    request: Request
    earlier: Tombstones
    ids: set[str] = field(default_factory=set)
    here: set[str] = field(default_factory=set)
    sha256: set[str] = field(default_factory=set)
    phashes: set[int] = field(default_factory=set)

    def found(self) -> _Found:
        current = {name: self.catalog.current(name) for name in self.catalog.stages}
        extract, near = current.get("extract"), current.get("near")
        self._hashed = VARIANTS[extract.settings.get("variant", "default") if extract else "default"].hashed
        asked = [{value} for value in self.request.media_ids]
        asked += [{media_id(self._hashed(form)) for form in (url, normal_url(url))} for url in self.request.urls]
        self.ids |= {value for ids in asked for value in ids}
        self._search_links()
        self._search_ledger()
        named, copies = set(self.ids), self.request.copies
        distance = Duplicates().max_distance if near is None else near.settings.get("max_distance")
        phashes = frozenset(self.phashes) if copies == "near" and distance is not None else frozenset()
        if copies != "none":
            self._search_copies(HashLists(map(bytes.fromhex, self.sha256), phashes, distance or 0))
        tombstones = Tombstones(
            frozenset(self.ids),
            frozenset(self.request.sha256) | (self.sha256 if copies != "none" else set()),
            phashes,
            frozenset(self.request.domains),
            distance or 0 if phashes else 0,
        )
        return _Found(tombstones, asked, self.here, self.ids - named)

    @property
    def _sought(self) -> Tombstones:
        return Tombstones(media_ids=frozenset(self.ids), domains=self.earlier.domains | set(self.request.domains))

    def _search_links(self) -> None:
        sought = self._sought
        for folder in (CANDIDATES.name, LISTS):
            for batch in self._batches(folder, _LINKS):
                self._add(batch, sought.of(batch.column("media_id"), batch.column("media_url")))

    def _search_ledger(self) -> None:
        sought, hashes = self._sought, pa.array(sorted(self.request.sha256), pa.string())
        for batch in self._ledger():
            ids, final = batch.column("media_id"), batch.column("final_url")
            led_to = pa.array([None if url is None else media_id(self._hashed(url)) for url in final.to_pylist()])
            mask = sought.of(ids, batch.column("media_url")) | sought.of(led_to.cast(pa.string()), final)
            for name in ("sha256", "stored_sha256"):
                mask |= np.asarray(pc.is_in(batch.column(name), value_set=hashes))
            rows = self._add(batch, mask)
            self.sha256 |= set(rows.column("sha256").drop_null().to_pylist())
            self.phashes |= set(rows.column("phash").drop_null().to_pylist()) - {FLAT}

    def _search_copies(self, hashes: HashLists) -> None:
        for batch in self._ledger():
            columns = (batch.column(name).to_pylist() for name in ("sha256", "phash"))
            mask = np.zeros(batch.num_rows, np.bool_)
            for row, (sha256, phash) in enumerate(zip(*columns, strict=True)):
                known = sha256 is not None
                mask[row] = known and (hashes.has_file(sha256) or (phash and hashes.nearest(phash) is not None))
            self.sha256 |= set(self._add(batch, mask).column("sha256").drop_null().to_pylist())

    def _ledger(self) -> Iterator[pa.RecordBatch]:
        yield from self._batches(MEDIA.name, _LEDGER)
        for path in parquet_files(self.store, JOURNALS):
            table = read_segment(self.store.read(path))
            if table is not None:  # a damaged one is removed
                yield from table.select(_LEDGER.names).to_batches()

    def _batches(self, folder: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in self.store.batches(parquet_files(self.store, folder), schema.names):
            yield fitted(batch, schema)

    def _add(self, batch: pa.RecordBatch, mask: Mask) -> pa.RecordBatch:
        """Takes up the rows of the mask; those that are blank already are not here any more."""
        rows = batch.filter(pa.array(mask))
        self.ids |= set(rows.column("media_id").to_pylist())
        there = rows.filter(pc.fill_null(pc.not_equal(rows.column("media_url"), ""), True))
        self.here |= set(there.column("media_id").to_pylist())
        return rows
