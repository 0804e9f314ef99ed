"""Why two runs keep different numbers of texts with an entry: the difference, stage by stage.

A text that A keeps and B does not is put to the first stage of the pipeline at which B is without it:

    extract     B's candidates do not say this text about this media (another input, limit or extraction)
    pairs       they do, but no pair of B came of it (a rule, redaction, language or placeholder)
    match       the pair is there, but B does not find the entry in it (vocabulary, definition, options, or which
                language's vocabulary)
    pick        B finds it, but picked another text of the media
    count       A's draw would not keep it with the counts (and entries) that B has, at A's threshold
    thresholds  it would at A's threshold, but not at B's
    seed        it would at B's threshold too: B's own draw decides against it

and likewise with A and B exchanged. Every such text has exactly one first stage, so over the stages
sum(gained) - sum(lost) = kept in B - kept in A. Texts are the same where their pair_id is: the same media, and the
same text after redaction.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import SALTS, entry_probabilities, keep_probabilities, pair_ids, uniforms
from curation.inspect.explain import entry_ids, holding, threshold_table
from curation.inspect.wording import changed_settings, changed_thresholds, changed_vocabularies, how_many
from curation.query import Query, open_query
from curation.recipe import Pairs as PairsSection
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import CANDIDATES, DRAWS, ENTRY_COUNTS, KEPT_PAIRS, MATCHES, PAIRS
from curation.text import redact

PARTS = ("extract", "pairs", "match", "pick", "count", "thresholds", "seed")
_DATASETS = {"extract": (CANDIDATES,), "pairs": (PAIRS,), "match": (MATCHES,), "count": (ENTRY_COUNTS,),
             "draw": (DRAWS,), "balance": (KEPT_PAIRS,)}


@dataclass(frozen=True)
class Totals:
    """Texts of a run that hold the entry: matched, left after one text per media was picked, kept."""

    matched: int
    picked: int
    kept: int


@dataclass(frozen=True)
class Part:
    """What one stage contributes: texts that A keeps and B lost there, and those that B keeps and A lost there."""

    stage: str
    lost: int
    gained: int
    changes: list[str]

    @property
    def net(self) -> int:
        return self.gained - self.lost


@dataclass(frozen=True)
class Difference:
    """From run A to run B: `parts` in the order of PARTS, whose `net` add up to b.kept - a.kept."""

    concept: str
    a: Totals
    b: Totals
    parts: list[Part]


def explain_difference(a: Catalog, b: Catalog, concept: str) -> Difference:
    """Attributes the difference in kept texts with an entry to stages. Raises WorkFolderError unless both are complete.

    Reads matches, draws and kept_pairs of both in full; pairs and candidates only by their id columns, where needed.
    """
    with open_query(a.store) as query_a, open_query(b.store) as query_b:
        first, second = _Side(a, query_a, concept), _Side(b, query_b, concept)
        lost = _first_stages(first, second)
        gained = _first_stages(second, first)
        changes = _changes(first, second)
        return Difference(concept, first.totals(), second.totals(), [
            Part(stage, lost[stage], gained[stage], changes[stage]) for stage in PARTS])


class _Side:
    """One run: its manifests, and its texts that hold the entry as the table `holders`."""

    def __init__(self, catalog: Catalog, query: Query, concept: str) -> None:
        self.query = query
        self.stages = {stage: catalog.visible(stage) for stage in _DATASETS}
        for stage, datasets in _DATASETS.items():
            for dataset in datasets:
                query.view(dataset.name, dataset, self.stages[stage].paths(dataset.name))
        self.rules = PairsSection.model_validate(self.stages["pairs"].settings).rules
        places = entry_ids(self.stages["match"], catalog.store, concept)
        query.keep("kept", f"SELECT pair_id FROM kept_pairs WHERE {holding(places)}")
        query.keep("found", f"SELECT * FROM matches WHERE {holding(places)}")
        query.arrow("thresholds", threshold_table(self.stages["balance"]))
        query.keep("holders", """
            SELECT found.*, picked, t, found.pair_id IN (SELECT pair_id FROM kept) AS kept
            FROM found JOIN draws USING (pair_id)
            JOIN thresholds ON thresholds.modality = found.modality
                           AND thresholds.vocabulary_lang = found.vocabulary_lang""")

    def totals(self) -> Totals:
        row = self.query.rows("SELECT count(*) AS matched, count(*) FILTER (picked) AS picked, "
                              "count(*) FILTER (kept) AS kept FROM holders")[0]
        return Totals(**row)

    def kept(self) -> pa.Table:
        """pair_id, media_id and threshold t of the kept texts with the entry."""
        return self.query.table("SELECT pair_id, media_id, t FROM holders WHERE kept")

    def present(self, relation: str, wanted: pa.Table) -> set[str]:
        """Those of the wanted pair_ids that a relation of this run has."""
        self.query.arrow("wanted", wanted.select(["pair_id"]))
        found = self.query.table(f"SELECT pair_id FROM {relation} SEMI JOIN wanted USING (pair_id)")
        return set(found.column("pair_id").to_pylist())

    def extracted(self, wanted: pa.Table, rules: Any) -> set[str]:
        """Those of the wanted pair_ids that this run's candidates give under some redaction rules."""
        self.query.arrow("wanted", wanted.select(["media_id"]))
        said = "SELECT DISTINCT media_id, text FROM candidates SEMI JOIN wanted USING (media_id)"
        ids: set[str] = set()
        if not wanted.num_rows:
            return ids
        values = pa.array(wanted.column("pair_id").to_pylist(), pa.string())
        for batch in self.query.batches(said):
            made = pair_ids(batch.column("media_id"), redact(batch.column("text"), rules))
            ids.update(made.filter(pc.is_in(made, value_set=values)).to_pylist())
        return ids

    def counts(self) -> dict[tuple[str, str], np.ndarray[Any, Any]]:
        """Texts per entry by (modality, vocabulary_lang), pooled where the run pools modalities."""
        sizes = {lang: facts["entries"] for lang, facts in self.stages["match"].context["vocabularies"].items()}
        rows = self.query.table("SELECT modality, vocabulary_lang, entry_id, texts FROM entry_counts")
        totals: dict[tuple[str, str], np.ndarray[Any, Any]] = {}
        for batch in rows.to_batches():
            for modality, lang in sorted(set(zip(*(batch.column(n).to_pylist() for n in range(2)), strict=True))):
                own = batch.filter(_same(batch, modality, lang))
                total = totals.setdefault((modality, lang), np.zeros(sizes[lang], np.int64))
                np.add.at(total, np.asarray(own.column("entry_id")), np.asarray(own.column("texts")))
        if not self.stages["balance"].settings["pool_modalities"]:
            return totals
        return {(modality, lang): np.sum([total for (_, other), total in totals.items() if other == lang], axis=0)
                for modality, lang in totals}

def _same(rows: Any, modality: str, lang: str) -> Any:
    return pc.and_(pc.equal(rows.column("modality"), modality), pc.equal(rows.column("vocabulary_lang"), lang))


def _first_stages(here: _Side, there: _Side) -> Counter[str]:
    """Texts kept here but not there, by the first stage there that is without them."""
    stages: Counter[str] = Counter()
    kept = here.kept()
    _, missing = _split(kept, there.present("kept", kept))
    undecided, missing = _split(missing, there.present("holders", missing))
    stages.update(_decisions(here, there, undecided))
    unmatched, missing = _split(missing, there.present("pairs", missing))
    stages["match"] += unmatched.num_rows
    said, unsaid = _split(missing, there.extracted(missing, here.rules))
    stages["pairs"] += said.num_rows
    stages["extract"] += unsaid.num_rows
    return stages


def _split(texts: pa.Table, pair_ids_: set[str]) -> tuple[pa.Table, pa.Table]:
    """The texts that are among some ids, and those that are not."""
    among = pc.is_in(texts.column("pair_id"), value_set=pa.array(sorted(pair_ids_), pa.string()))
    return texts.filter(among), texts.filter(pc.invert(among))


def _decisions(here: _Side, there: _Side, texts: pa.Table) -> Counter[str]:
    """For texts matched in both runs but kept here only: pick, count, thresholds or seed."""
    if not texts.num_rows:
        return Counter()
    there.query.arrow("undecided", texts)
    rows = there.query.table("SELECT holders.*, undecided.t AS t_here FROM holders JOIN undecided USING (pair_id)")
    drawn = rows.filter(rows.column("picked"))
    stages = Counter({"pick": rows.num_rows - drawn.num_rows})
    counts = there.counts()
    for modality, lang, t_here, t in sorted(_distinct(drawn, "modality", "vocabulary_lang", "t_here", "t")):
        own = drawn.filter(pc.and_(_same(drawn, modality, lang), pc.equal(drawn.column("t_here"), t_here)))
        u = uniforms(own.column("pair_id"), here.stages["draw"].settings["seed"], SALTS["draw"])
        at_here, at_there = (u < _keep(own, counts[modality, lang], threshold) for threshold in (t_here, t))
        stages["count"] += int((~at_here).sum())
        stages["thresholds"] += int((at_here & ~at_there).sum())
        stages["seed"] += int((at_here & at_there).sum())
    return stages


def _keep(texts: pa.Table, counts: np.ndarray[Any, Any], t: float) -> np.ndarray[Any, Any]:
    """Keep probability of each text."""
    entries = texts.column("entry_ids").combine_chunks()
    return keep_probabilities(entries.offsets, entries.values, entry_probabilities(counts, t))


def _distinct(table: pa.Table, *columns: str) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in table.select(columns).group_by(list(columns)).aggregate([]).to_pylist()}


def _changes(a: _Side, b: _Side) -> dict[str, list[str]]:
    """What differs between the runs' inputs and settings, by part."""
    lines = {line for stage in a.stages
             for line in changed_settings(a.stages[stage].settings, b.stages[stage].settings, stage)}
    match, balance = ((a.stages[stage].context, b.stages[stage].context) for stage in ("match", "balance"))
    found = {
        "extract": _archives(a.stages["extract"], b.stages["extract"]),
        "pairs": _lists(a.stages["pairs"], b.stages["pairs"]),
        "match": changed_vocabularies(*match),
        "thresholds": changed_thresholds(*balance)}
    sections = {"extract": "extract.", "pairs": "pairs.", "match": "match.", "pick": "draw.texts_per_media:",
                "count": "count.", "thresholds": "balance.", "seed": "draw.seed:"}
    return {part: [*found.get(part, []), *sorted(line for line in lines if line.startswith(section))]
            for part, section in sections.items()}


def _lists(a: Manifest, b: Manifest) -> list[str]:
    """Lists and models of filters that hold something else, although they may be named alike."""
    same = a.context.get("filters") == b.context.get("filters")
    return [] if same else ["the lists or models of pairs.filters hold something else"]


def _archives(a: Manifest, b: Manifest) -> list[str]:
    """Archives whose candidates only one of the runs has; by content, so that it does not matter where they lie."""
    contents = [{tuple(report.content(CANDIDATES.name)) for report in side.reports.values()} for side in (a, b)]
    lines = []
    for letter, side, others in (("A", a, contents[1]), ("B", b, contents[0])):
        own = [name for name, report in sorted(side.reports.items())
               if tuple(report.content(CANDIDATES.name)) not in others]
        if own:
            lines.append(f"{how_many(len(own), 'archive')} only in {letter}, or read otherwise there: "
                         f"{', '.join(own[:3])}{' ...' if len(own) > 3 else ''}")
    return lines
