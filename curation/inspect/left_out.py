"""What keeps a media's candidates out of `pairs`, decided anew as that stage does: no stage stores it.

In the stage's order: the filters of a candidate's page and media, text rules and classifiers, and then, where one page
refuses the media for all (pairs.filters.consent.scope), that refusal for whatever was left.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import pair_ids
from curation.errors import InputError
from curation.filters import CandidateFilters
from curation.filters.consent import concerns_media, site_verdicts
from curation.filters.urls import Urls
from curation.filters.verdicts import text_verdicts
from curation.inspect.story import FilteredText
from curation.recipe import Filters
from curation.recipe import Pairs as PairsSection
from curation.recipe.filters import LIST_MARK, Domains
from curation.runner.stage import Manifest
from curation.schemas import SITE_RULES
from curation.stages.pair_columns import site_rules
from curation.storage import Store
from curation.text import redact

COLUMNS = ("media_id", "modality", "media_url", "text", "licence", "page_url", "robots",
           "snapshot", "archive", "record_offset", "field_order")
"""What is read of CANDIDATES."""

_CHANGED = "lists or models of pairs.filters, which have changed since"
_SITE_FILE = ("kind", "host", "archive", "record_offset")


@dataclass(frozen=True)
class LeftOut:
    """Texts of which no pair came; what was refused of each pair's candidates, by pair_id; what could not be told."""

    texts: list[FilteredText]
    of_pairs: dict[str, Counter[str]]
    notes: list[str]


class Judge:
    """The settings, lists and rules that one version of `pairs` went by."""

    def __init__(self, store: Store, extract: Manifest, pairs: Manifest) -> None:
        self._store = store
        self._rule_files = extract.paths(SITE_RULES.name)
        self._settings = PairsSection.model_validate(pairs.settings)
        self._filters, self.notes = _filters_of(self._settings.filters, pairs.context.get("filters"))

    def left_out(self, candidates: pa.Table, known: set[str]) -> LeftOut:
        """COLUMNS of one media's candidates in order of provenance; `known`: the pair_ids that the media has."""
        batch, text, rules, refused = self._refused(candidates)
        ids = pair_ids(batch.column("media_id"), text).to_pylist()
        langs, names = self._judged(text, refused)
        found = _Rows(batch, ids, names.to_pylist(), langs.to_pylist(), rules, self._settings.filters)
        return LeftOut(found.texts(known, _CHANGED if self.notes else ""), found.of_pairs(known), self.notes)

    def first_rules(self, candidates: pa.Table) -> pa.StringArray:
        """What drops each of some candidates (COLUMNS, of whatever media); null: nothing that its own row shows."""
        _, text, _, refused = self._refused(candidates)
        return self._judged(text, refused)[1]

    def _refused(
        self, candidates: pa.Table
    ) -> tuple[pa.RecordBatch, pa.StringArray, pa.Table | None, pa.StringArray]:
        """The candidates, their texts after redaction, the rules of their sites, and what filters of pages say."""
        rows = candidates.combine_chunks()
        batch = pa.RecordBatch.from_arrays(
            [rows.column(name).combine_chunks() for name in COLUMNS], names=list(COLUMNS))
        text = redact(batch.column("text"), self._settings.rules)
        rules = site_rules(self._store, self._rule_files, self._settings.filters.consent, batch)
        return batch, text, rules, self._filters.page_verdicts(batch, rules)

    def _judged(self, text: pa.StringArray, refused: pa.StringArray) -> tuple[pa.Array, pa.Array]:
        """Language of each row and the name of what drops it; both null for what neither rule nor filter has asked."""
        open_ = pc.is_null(refused)
        unique = text.filter(open_).dictionary_encode()
        langs, _, rules = text_verdicts(unique.dictionary, self._settings, self._filters)
        return (pc.replace_with_mask(pa.nulls(len(text), pa.string()), open_, langs.take(unique.indices)),
                pc.replace_with_mask(refused, open_, rules.take(unique.indices)))


class _Rows:
    """Candidates, each with the pair_id it would have and the rule that drops it (None: none does)."""

    def __init__(self, batch: pa.RecordBatch, ids: list[str], rules: list[str | None], langs: list[str | None],
                 site_files: pa.Table | None, filters: Filters) -> None:
        self._rows = batch
        self._ids, self._rules, self._langs = ids, rules, langs
        self._site_files, self._agents = site_files, filters.consent.agents
        self._refusing = self._first_refusal() if filters.consent.scope == "media" else None

    def _first_refusal(self) -> int | None:
        """The row whose page refuses the whole media; of several the one that names the refusal in the stage."""
        wide = np.flatnonzero(concerns_media(pa.array(self._rules, pa.string()))).tolist()
        return min(wide, key=lambda row: self._ids[row], default=None)  # rows are in order of provenance already

    def _rule(self, row: int) -> tuple[str | None, bool]:
        """What drops a row, and whether it is the refusal of another page."""
        rule = self._rules[row]
        if rule is None and self._refusing is not None:
            return self._rules[self._refusing], True
        return rule, False

    def texts(self, known: set[str], unexplained: str) -> list[FilteredText]:
        """The texts that made no pair, one for each rule that drops some of its candidates; sorted."""
        groups: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
        texts = self._rows.column("text").to_pylist()
        for row, text in enumerate(texts):
            if self._ids[row] not in known:
                rule, media_wide = self._rule(row)
                groups[text, rule or "", media_wide].append(row)
        return [FilteredText(text, rule, len(rows), self._langs[rows[0]], media_wide,
                             self._evidence(rule, media_wide, rows[0]) or ("" if rule else unexplained))
                for (text, rule, media_wide), rows in sorted(groups.items())]

    def of_pairs(self, known: set[str]) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for row, pair_id in enumerate(self._ids):
            rule, _ = self._rule(row)
            if rule is not None and pair_id in known:
                found[pair_id][rule] += 1
        return found

    def _evidence(self, rule: str, media_wide: bool, row: int) -> str:
        if media_wide and self._refusing is not None:
            site_file = self._site_file(rule, self._refusing)
            page = self._value("page_url", self._refusing)
            return site_file or (f"the page {page}" if page else "a row without a page")
        if rule == "licence":
            return self._value("licence", row) or ""
        return self._site_file(rule, row)

    def _site_file(self, rule: str, row: int) -> str:
        """The first file of a site that refuses a row so, and where it lies; "" for other rules."""
        if self._site_files is None or rule not in ("consent:robots.txt", "consent:ai.txt"):
            return ""
        media, page = (Urls(pa.array([self._value(name, row)], pa.string())) for name in ("media_url", "page_url"))
        for place in sorted(set(zip(*(self._site_files.column(name).to_pylist() for name in _SITE_FILE), strict=True))):
            same = [pc.equal(self._site_files.column(name), value)
                    for name, value in zip(_SITE_FILE, place, strict=True)]
            own = self._site_files.filter(pc.and_(pc.and_(same[0], same[1]), pc.and_(same[2], same[3])))
            if site_verdicts(media, page, own, self._agents)[0].as_py() == rule:
                kind, host, archive, offset = place
                return f"{kind} of {host} ({archive} at {offset:,})"
        return ""

    def _value(self, column: str, row: int) -> Any:
        return self._rows.column(column)[row].as_py()


def _filters_of(settings: Filters, then: str | None) -> tuple[CandidateFilters, list[str]]:
    """The filters as they were for a run, or what of them does not lie in files, and a note that says so."""
    try:
        found = CandidateFilters(settings)
        if found.fingerprint == then:
            return found, []
        changed = "they hold something else now"
    except InputError as error:
        changed = str(error)
    return CandidateFilters(_without_files(settings)), [
        f"what the lists and models of pairs.filters refused in this run cannot be told anymore: {changed}"]


def _without_files(settings: Filters) -> Filters:
    allow, deny = settings.domains.allow, settings.domains.deny
    if allow is not None and any(name.startswith(LIST_MARK) for name in allow):
        allow = None
    deny = [name for name in deny if not name.startswith(LIST_MARK)]
    return settings.model_copy(
        update={"refusals": [], "classifiers": [], "domains": Domains(allow=allow, deny=deny)})
