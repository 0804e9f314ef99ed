"""Small finished runs, written with the public writers from plain rows, which tests count in plain Python."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from curation.balance import CriticalHistogram
from curation.pipeline import STAGES
from curation.recipe import Recipe
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import (
    CANDIDATES,
    DRAW_HISTOGRAMS,
    DRAWS,
    ENTRY_COUNTS,
    KEPT_COUNTS,
    KEPT_PAIRS,
    MATCH_COUNTS,
    MATCHES,
    PAIRS,
    Dataset,
)
from curation.storage import Store

Row = dict[str, Any]
Key = tuple[str, str]  # (modality, vocabulary_lang)

STRANGE = [
    "a|b",
    "`code`",
    "line\nbreak",
    "<script>alert(1)</script>",
    "*bold* _x_",
    "[link](http://x)",
    "\x1b[31mred",
    "\u202ertl",
]
PAGES = [
    "https://a.example/1",
    "https://a.example:8080/2",
    "http://user:pw@B.example/x",
    "https://c.example?q=/y",
    None,
    "no url at all",
    *(f"https://host{number}.example/" for number in range(30)),
]
SOURCES = ["alt", "title", "data-image-title"]
FACTS: Row = {
    "platform": None, "platform_id": None, "licence": None, "width": None, "height": None, "duration_ms": None,
    "upload_date": None, "poster_url": None, "tracks": [], "start_ms": None, "end_ms": None,
}
REASONS = [
    "filtered:min_chars", "filtered:language", "placeholder_texts", "filtered:consent:noai",
    "filtered:consent:robots.txt", "filtered:licence", "filtered:domain", "filtered:refused:a|list",
    "filtered:classifier:nsfw",
]
SNAPSHOTS = [f"CC-MAIN-2024-{week:02d}" for week in range(1, 25)]


@dataclass
class Pool:
    """A run's rows. Pairs carry what became of them: entry_ids, vocabulary_lang, picked, critical_threshold, kept."""

    vocabularies: dict[str, list[str]]
    thresholds: dict[str, dict[str, float]]
    candidates: list[Row] = field(default_factory=list)
    pairs: list[Row] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)  # candidates that are no pair, by what the stage counts
    buckets: int = 4
    settings: dict[str, Row] = field(default_factory=dict)
    context: Row = field(default_factory=dict)

    @property
    def matches(self) -> list[Row]:
        return [pair for pair in self.pairs if pair["entry_ids"]]

    @property
    def kept(self) -> list[Row]:
        return [pair for pair in self.matches if pair["kept"]]


def make_pool(
    seed: int = 0,
    *,
    media: int = 120,
    languages: tuple[str, ...] = ("en", "de"),
    modalities: tuple[str, ...] = ("image",),
    thresholds: dict[str, dict[str, float]] | None = None,
) -> Pool:
    """Random rows: some media with several texts, some texts without a match or a vocabulary, Zipf-like entries."""
    draw = random.Random(seed)
    vocabularies = {lang: [*STRANGE, *(f"{lang} entry {number}" for number in range(40))] for lang in languages}
    found = thresholds or {
        modality: {lang: 3.1 + place for place, lang in enumerate(languages)} for modality in modalities
    }
    pool = Pool(vocabularies, found)
    for number in range(media):
        media_id = hashlib.sha224(f"{seed}/{number}".encode()).hexdigest()[:24]
        modality = draw.choice(modalities)
        for text in range(draw.choice([1, 1, 1, 2, 4])):
            pool.pairs.append(_pair(draw, pool, (media_id, modality, number), text))
    for reason in draw.sample(REASONS, draw.choice([0, 1, 3, len(REASONS)])):
        pool.dropped[reason] = draw.randint(1, 9)
        pool.candidates += [{**pool.candidates[0], "text": f"{reason} {text}"} for text in range(pool.dropped[reason])]
    pool.pairs.sort(key=lambda pair: (pair["media_bucket"], pair["media_id"], pair["pair_id"]))
    return pool


def _pair(draw: random.Random, pool: Pool, media: tuple[str, str, int], text: int) -> Row:
    media_id, modality, number = media
    lang = draw.choice([*pool.vocabularies, "xx", ""])
    ids = sorted({min(int(draw.paretovariate(0.7)) - 1, 47) for _ in range(draw.choice([0, 1, 2, 3, 5]))})
    counts_not = draw.random() < 0.1  # none of its text sources counts for matching
    vocabulary = lang if lang in pool.vocabularies and not counts_not else None
    critical = round(math.exp(draw.uniform(0, 3)), 3)
    picked = draw.random() < 0.9
    occurrence = {
        **FACTS,
        "platform": draw.choice([None, "youtube", "vimeo"]) if modality == "video" else None,
        "licence": draw.choice([None, None, "CC-BY-4.0", "CC0-1.0"]),
        "page_lang": draw.choice([None, "en", "de", "fr-FR"]),
        "canonical_url": None,
        "media_id": media_id,
        "modality": modality,
        "media_url": f"https://m.example/{number}",
        "text": f"text {number} {text}",
        "page_url": draw.choice(PAGES),
        "robots": draw.choice([[], ["noai"]]),
        "snapshot": draw.choice(SNAPSHOTS),
        "archive": "a.wat.gz",
        "record_offset": number,
        "field_order": text,
    }
    sources = sorted(draw.sample(SOURCES, draw.choice([1, 1, 2])))
    pool.candidates += [{**occurrence, "text_source": source} for source in sources]
    entry_ids = ids if vocabulary else []
    kept = bool(entry_ids) and picked and critical <= pool.thresholds[modality][vocabulary or ""]
    return {
        **occurrence,
        "pair_id": hashlib.md5(f"{media_id}{text}".encode()).hexdigest(),
        "media_bucket": int(media_id[:8], 16) % pool.buckets,
        "text_sources": sources,
        "lang": lang,
        "lang_score": 0.5,
        "occurrences": len(sources),
        "entry_ids": entry_ids,
        "vocabulary_lang": vocabulary,
        "other_source": counts_not,
        "source_rank": 0,
        "picked": picked,
        "critical_threshold": critical if picked else math.inf,
        "keep_probability": 0.5,
        "kept": kept,
    }


def make_recipe(pool: Pool, **sections: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "a | strange `name`",
            "inputs": [{"kind": "wat", "paths": ["/data/a.wat.gz"]}],
            "match": {"vocabularies": {lang: f"/data/{lang}.txt" for lang in pool.vocabularies}},
            **sections,
        }
    )


def publish(folder: Any, pool: Pool, recipe: Recipe, *, until: str | None = None) -> Catalog:
    """Writes all stages of a finished run, or those up to one."""
    catalog = Catalog(Store.at(folder), STAGES)
    versions: dict[str, str] = {}
    for stage in STAGES:
        written = _Stage(catalog.store, stage.name, f"v-{stage.name}")
        _WRITERS[stage.name](written, pool)
        settings = {**stage.settings(recipe), **pool.settings.get(stage.name, {})}
        catalog.publish(
            written.manifest({name: versions[name] for name in stage.after}, settings, _context(stage.name, pool))
        )
        versions[stage.name] = written.version
        if stage.name == until:
            break
    return catalog


class _Stage:
    """Units of one stage as they are written."""

    def __init__(self, store: Store, name: str, version: str) -> None:
        self.store, self.name, self.version = store, name, version
        self.reports: dict[str, UnitReport] = {}

    def unit(
        self,
        name: str,
        rows: list[tuple[Dataset, list[Row]]],
        counts: dict[str, int] | None = None,
        rejected: tuple[str, ...] = (),
    ) -> None:
        writer = UnitWriter(self.store, self.name, self.version, Unit(name, {}, f"{self.name}/{name}"))
        for dataset, values in rows:
            columns = [[row[column] for row in values] for column in dataset.columns]
            if values:
                writer.write(
                    dataset,
                    pa.RecordBatch.from_arrays(
                        [pa.array(column, kind) for column, kind in zip(columns, dataset.schema.types, strict=True)],
                        schema=dataset.schema,
                    ),
                )
        writer.counts.update(counts or {})
        for reason in rejected:
            writer.reject(reason, file="a.wat.gz", offset=7, detail="broken")
        self.reports[name] = writer.commit()

    def manifest(self, inputs: dict[str, str], settings: Row, context: Row) -> Manifest:
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        for report in self.reports.values():
            counts.update(report.counts)
            rejected.update(report.rejected)
        return Manifest(
            self.name,
            self.version,
            inputs,
            settings,
            context,
            "0.1.0",
            dict(counts),
            dict(rejected),
            self.reports,
            1.5,
            "2026-01-01T00:00:00+00:00",
        )


def _context(stage: str, pool: Pool) -> Row:
    facts = {
        lang: {
            "fingerprint": f"f-{lang}",
            "entries": len(entries),
            "duplicates_dropped": 1,
            "location": f"/data/{lang}.txt",
        }
        for lang, entries in pool.vocabularies.items()
    }
    if stage in ("match", "count"):
        return {"vocabularies": facts}
    if stage == "balance":
        return {
            "thresholds": pool.thresholds,
            "tail_shares": dict.fromkeys(pool.thresholds, 0.06),
            "target": {},
            "notes": ["a <note>"],
            **pool.context,
        }
    return {}


def _extract(stage: _Stage, pool: Pool) -> None:
    half = len(pool.candidates) // 2
    for name, rows in (("a", pool.candidates[:half]), ("b", pool.candidates[half:])):
        counts = {
            "texts": len(rows) + 5,
            "rows": len(rows),
            "skipped:bad_url": 2,
            "skipped:not_http": 2,
            "rejected_texts": 1,
        }
        stage.unit(name, [(CANDIDATES, rows)], counts, ("broken_gzip",) if name == "a" else ())
    stage.store.put_json(
        f"_runs/extract/{stage.version}/plan.json",
        [
            {
                "unit": name,
                "identity": "",
                "inputs": {"path": name, "size_bytes": 1000, "missing": name == "b", "source": {"kind": "wat"}},
            }
            for name in ("a", "b")
        ],
    )


def _buckets(pool: Pool, rows: list[Row]) -> list[tuple[str, list[Row]]]:
    return [
        (f"bucket-{number:05d}", [row for row in rows if row["media_bucket"] == number])
        for number in range(pool.buckets)
    ]


def _pairs(stage: _Stage, pool: Pool) -> None:
    for name, rows in _buckets(pool, pool.pairs):
        merged = sum(row["occurrences"] for row in rows) - len(rows)
        dropped = pool.dropped if name.endswith("2") else {}
        rejected = ("placeholder",) if name.endswith("1") else ()
        stage.unit(name, [(PAIRS, rows)], {"duplicates": merged, **dropped}, rejected)


def _match(stage: _Stage, pool: Pool) -> None:
    for name, rows in _buckets(pool, pool.pairs):
        matches = [row for row in rows if row["entry_ids"]]
        stage.unit(
            name,
            [(MATCHES, matches), (MATCH_COUNTS, entry_rows(matches))],
            {
                "other_source": sum(row["other_source"] for row in rows),
                "no_vocabulary": sum(row["vocabulary_lang"] is None and not row["other_source"] for row in rows),
                "unmatched": sum(row["vocabulary_lang"] is not None and not row["entry_ids"] for row in rows),
                "entry_matches": sum(len(row["entry_ids"]) for row in matches),
            },
        )


def _count(stage: _Stage, pool: Pool) -> None:
    for lang, entries in pool.vocabularies.items():
        rows = [
            {**row, "entry": entries[row["entry_id"]]}
            for row in entry_rows(pool.matches)
            if row["vocabulary_lang"] == lang
        ]
        stage.unit(f"lang-{lang}", [(ENTRY_COUNTS, rows)], {"entry_matches": sum(row["texts"] for row in rows)})


def _draw(stage: _Stage, pool: Pool) -> None:
    for name, rows in _buckets(pool, pool.matches):
        stage.unit(name, [(DRAWS, rows), (DRAW_HISTOGRAMS, _histograms(rows))])


def _balance(stage: _Stage, pool: Pool) -> None:
    for name, rows in _buckets(pool, pool.matches):
        kept = [row for row in rows if row["kept"]]
        stage.unit(
            name,
            [(KEPT_PAIRS, kept), (KEPT_COUNTS, entry_rows(kept))],
            {
                "not_picked": sum(not row["picked"] for row in rows),
                "not_drawn": sum(row["picked"] and not row["kept"] for row in rows),
            },
        )


_WRITERS = {"extract": _extract, "pairs": _pairs, "match": _match, "count": _count, "draw": _draw, "balance": _balance}


def entry_rows(matches: list[Row]) -> list[Row]:
    """Texts per (modality, vocabulary_lang, entry_id)."""
    counts = Counter((row["modality"], row["vocabulary_lang"], entry) for row in matches for entry in row["entry_ids"])
    return [
        {"modality": modality, "vocabulary_lang": lang, "entry_id": entry, "texts": texts}
        for (modality, lang, entry), texts in sorted(counts.items())
    ]


def _histograms(rows: list[Row]) -> list[Row]:
    pairs: dict[Key, list[float]] = defaultdict(list)
    media: dict[Key, dict[str, float]] = defaultdict(dict)
    for row in rows:
        key, t = (row["modality"], row["vocabulary_lang"]), row["critical_threshold"]
        pairs[key].append(t)
        media[key][row["media_id"]] = min(t, media[key].get(row["media_id"], math.inf))
    found = []
    for (modality, lang), values in sorted(pairs.items()):
        of_pairs = CriticalHistogram.from_values(values).counts
        of_media = CriticalHistogram.from_values(list(media[modality, lang].values())).counts
        found += [
            {
                "modality": modality,
                "vocabulary_lang": lang,
                "bin": place,
                "pairs": of_pairs[place],
                "media": of_media[place],
            }
            for place in range(len(of_pairs))
            if of_pairs[place] or of_media[place]
        ]
    return found
