"""The data card of a run: what went in, what came out, and why, as one JSON document.

Everything outside its section `run` is the same, byte for byte, whenever the same run is described.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import curation
from curation.digests import digest
from curation.errors import WorkFolderError
from curation.inspect.caption_tables import CaptionTables
from curation.inspect.card_captions import captions_section
from curation.inspect.card_clips import clips_section
from curation.inspect.card_manifest import manifest_section
from curation.inspect.card_media import media_section
from curation.inspect.card_shards import shards_section
from curation.inspect.card_sizes import sizes_at_other_thresholds
from curation.inspect.card_tables import FACETS, CardTables, Row
from curation.inspect.card_text import card_markdown
from curation.inspect.card_words import filter_kind
from curation.inspect.wording import changed_settings
from curation.pipeline import stages_of
from curation.query import open_duckdb
from curation.recipe import Pairs as PairsSection
from curation.recipe import Recipe, recipe_hash
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import REJECTIONS, SITE_RULES

CARD_VERSION = 2  # raised when a number changes its meaning
CARD_JSON = "card.json"
CARD_MARKDOWN = "card.md"

_MEMORY_LIMIT = "1GB"
_MOST_THREADS = 4  # each brings its own buffers
_LIBRARIES = ("pyspark", "pyarrow", "duckdb", "numpy")
_PAPER = "MetaCLIP, arXiv:2309.16671: 1.6 billion pairs, English, t = 20,000"

Manifests = dict[str, Manifest]

# step, stage whose law ties it to the step before, and what that stage counts as left out
_FUNNEL = (
    ("candidates", "extract", ("skipped:*", "rejected_texts")),
    ("pairs", "pairs", ("duplicates", "filtered:*", "placeholder_texts")),
    ("matches", "match", ("other_source", "no_vocabulary", "unmatched")),
    ("kept_pairs", "balance", ("not_picked", "not_drawn")),
)


def build_card(catalog: Catalog, recipe: Recipe) -> Row:
    """The card of a finished run. Raises WorkFolderError or StaleDatasetError where a stage is missing or outdated."""
    manifests = {stage.name: catalog.visible(stage.name) for stage in stages_of(recipe)}
    card = {
        "card_version": CARD_VERSION,
        "recipe": _recipe(recipe, manifests),
        "versions": _versions(recipe, manifests),
        **card_sections(catalog, manifests, recipe.card.top_entries),
    }
    card["published"] = _published(card)
    card["notes"] = _notes(card, recipe, manifests)
    card["run"] = _run(catalog, recipe, manifests)
    return card


def card_sections(catalog: Catalog, manifests: Manifests, top_entries: int) -> Row:
    """What datasets alone say, whatever stages there are behind balance: manifests holds all up to it at least."""
    database = open_duckdb(catalog.store, memory_limit=_MEMORY_LIMIT, threads=min(_MOST_THREADS, os.cpu_count() or 1))
    try:
        tables = CardTables(catalog, manifests, database)
        balance = manifests["balance"]
        matching, balanced = _matching(tables, manifests), _balanced(tables, manifests)
        return {
            "inputs": _inputs(catalog, manifests["extract"]),
            "funnel": _funnel(tables, manifests),
            "rejections": [
                {"stage": name, "reason": reason, "rejected": number}
                for name, manifest in manifests.items()
                for reason, number in sorted(manifest.rejected.items())
            ],
            "filters": _filters(manifests),
            "matching": matching,
            "thresholds": _thresholds(tables, balance),
            "balance": balanced,
            "sizes": sizes_at_other_thresholds(
                tables,
                _of_thresholds(balance),
                balance.settings.get("pivot", "en"),
                balance.settings.get("other_languages", "step"),
            ),
            "media": media_section(manifests),
            "clips": clips_section(manifests),
            "captions": captions_section(CaptionTables(catalog, manifests, database), manifests),
            "manifest": manifest_section(manifests),
            "shards": shards_section(manifests),
            "top_entries": tables.top_entries(top_entries),
            "breakdowns": {facet: tables.breakdown(facet) for facet in FACETS},
        }
    finally:
        database.close()


def write_card(catalog: Catalog, recipe: Recipe) -> Row:
    """Puts card.json and card.md into the work folder, unless those there describe this very run; gives the card."""
    manifests = {stage.name: catalog.visible(stage.name) for stage in stages_of(recipe)}
    known = _known_card(catalog)
    if known.get("run", {}).get("describes") == _describes(recipe, manifests):
        return known
    card = build_card(catalog, recipe)
    # lone surrogates, as in undecodable file names, become \\udc80: valid in JSON and readable in Markdown
    catalog.store.put(CARD_MARKDOWN, card_markdown(card).encode("utf-8", "backslashreplace"))
    text = json.dumps(card, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    catalog.store.put(CARD_JSON, text.encode("utf-8", "backslashreplace"))
    return card


def _known_card(catalog: Catalog) -> Row:
    """The card in the work folder; empty where there is none, or what is there is no card."""
    try:
        known = catalog.store.read_json(CARD_JSON)
    except WorkFolderError:
        return {}
    return known if isinstance(known, dict) and isinstance(known.get("run"), dict) else {}


def _recipe(recipe: Recipe, manifests: Manifests) -> Row:
    draw = manifests["draw"].settings
    return {
        "name": recipe.name,
        "hash": recipe_hash(recipe),
        "seed": draw.get("seed"),
        "texts_per_media": draw.get("texts_per_media"),
        "definition": manifests["match"].settings.get("definition"),
        "options": manifests["match"].settings.get("options", {}),
        "variant": manifests["extract"].settings.get("variant"),
        "limit_archives": recipe.extract.limit_archives,
    }


def _versions(recipe: Recipe, manifests: Manifests) -> Row:
    libraries: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:  # a cluster's Spark need not be a package
            libraries[name] = None
    datasets = {
        dataset.name: {"version": manifests[stage.name].version, "schema": dataset.version}
        for stage in stages_of(recipe)
        for dataset in stage.outputs
        if dataset is not REJECTIONS
    }
    return {"curation": curation.__version__, "python": platform.python_version(), **libraries, "datasets": datasets}


def _inputs(catalog: Catalog, extract: Manifest) -> Row:
    """From the stored plan: which files there were, read or not."""
    plan = catalog.store.read_json(f"_runs/extract/{extract.version}/plan.json") or []
    inputs = [unit["inputs"] for unit in plan]
    kinds = sorted({item.get("source", {}).get("kind", "wat") for item in inputs})
    by_kind = {kind: [item for item in inputs if item.get("source", {}).get("kind", "wat") == kind] for kind in kinds}
    return {
        "files": len(extract.reports),
        "missing": sum(bool(item.get("missing")) for item in inputs),
        "size_bytes": _bytes(inputs),
        "by_kind": [
            {"kind": kind, "files": len(items), "size_bytes": _bytes(items)} for kind, items in by_kind.items()
        ],
    }


def _bytes(inputs: list[Row]) -> int:
    return sum(item.get("size_bytes") or 0 for item in inputs)


def _funnel(tables: CardTables, manifests: Manifests) -> list[Row]:
    """Every step with what was left out since the step before, so that each step and its losses add up."""
    texts = manifests["extract"].counts.get("texts", 0)
    steps: list[Row] = [{"step": "texts", "rows": texts, "media": None, "left_out": {}}]
    for step, stage, names in _FUNNEL:
        manifest = manifests[stage]
        media = None if step == "candidates" else tables.size(step)[1]
        steps.append(
            {"step": step, "rows": manifest.rows(step), "media": media, "left_out": _counted(manifest.counts, names)}
        )
    return steps


def _counted(counts: Mapping[str, int], names: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        keys = sorted(key for key in counts if key.startswith(name[:-1])) if name.endswith("*") else [name]
        found |= {key: counts.get(key, 0) for key in keys if counts.get(key, 0)}
    return found


def _filters(manifests: Manifests) -> Row:
    """What the filters of `pairs` were told, and how many candidates each kept out, by what it is counted as."""
    settings = PairsSection.model_validate(manifests["pairs"].settings).filters
    refused = {
        name.removeprefix("filtered:"): lost
        for name, lost in _counted(manifests["pairs"].counts, ("filtered:*",)).items()
        if filter_kind(name) != "text rules"
    }
    return {
        "consent": settings.consent.model_dump(),
        "site_rules": manifests["extract"].rows(SITE_RULES.name),
        "licences": settings.licences,
        "domains": settings.domains.model_dump(),
        "refusals": settings.refusals,
        "classifiers": [classifier.name for classifier in settings.classifiers],
        "refused": refused,
    }


def _matching(tables: CardTables, manifests: Manifests) -> Row:
    match = manifests["match"]
    matched_entries = tables.matched_entries()
    pairs, matched = manifests["pairs"].rows("pairs"), match.rows("matches")
    entry_matches = match.counts.get("entry_matches", 0)
    vocabularies = []
    for lang, facts in sorted(match.context.get("vocabularies", {}).items()):
        never = facts["entries"] - matched_entries.get(lang, 0)
        vocabularies.append(
            {
                "lang": lang,
                "entries": facts["entries"],
                "never_matched": never,
                "never_matched_share": _share(never, facts["entries"]),
                "duplicates_dropped": facts.get("duplicates_dropped", 0),
                "fingerprint": facts.get("fingerprint"),
                "location": facts.get("location"),
            }
        )
    return {
        "pairs": pairs,
        "matched_pairs": matched,
        "matched_share": _share(matched, pairs),
        "entry_matches": entry_matches,
        "matches_per_text": _share(entry_matches, matched),
        "vocabularies": vocabularies,
    }


def _of_thresholds(balance: Manifest) -> dict[str, dict[str, float]]:
    thresholds: dict[str, dict[str, float]] = balance.context.get("thresholds", {})
    return thresholds


def _thresholds(tables: CardTables, balance: Manifest) -> Row:
    """How each modality's thresholds came about."""
    settings, context = balance.settings, balance.context
    targets = context.get("target", {})
    modalities = []
    for modality in sorted(_of_thresholds(balance)):
        t = settings.get("t")
        t = t.get(modality) if isinstance(t, dict) else t
        target = targets.get(modality) or targets.get("all")
        how = "target" if target else "tail share" if t is None else "given"
        modalities.append(
            {
                "modality": modality,
                "how": how,
                "given_t": t if how == "given" else None,
                "tail_share": context.get("tail_shares", {}).get(modality),
            }
        )
    reached = []
    for key, report in sorted(targets.items()):
        pairs, media = tables.size("kept_pairs", None if key == "all" else key)
        reached.append({"modality": key, **report, "kept": pairs if report.get("unit") == "pairs" else media})
    return {
        "pivot": settings.get("pivot", "en"),
        "other_languages": settings.get("other_languages", "step"),
        "pool_modalities": tables.pools_modalities,
        "modalities": modalities,
        "targets": reached,
    }


def _balanced(tables: CardTables, manifests: Manifests) -> list[Row]:
    """One row per (modality, language): head and tail at t, before and after."""
    vocabularies = manifests["match"].context.get("vocabularies", {})
    rows = []
    for row in tables.head_and_tail():
        modality, lang = row["modality"], row["lang"]
        before, after = row["matches_before"], row["matches_after"]
        matched, matched_media = tables.size("matches", modality, lang)
        kept, kept_media = tables.size("kept_pairs", modality, lang)
        rows.append(
            {
                **row,
                "entries_above_t_share": _share(row["entries_above_t"], vocabularies.get(lang, {}).get("entries", 0)),
                "above_t_share_before": _share(row["above_t_before"], before),
                "above_t_share_after": _share(row["above_t_after"], after),
                "tail_share_before": _share(row["tail_before"], before),
                "tail_share_after": _share(row["tail_after"], after),
                "matched_pairs": matched,
                "matched_media": matched_media,
                "matches_per_text": _share(before, matched),
                "kept_pairs": kept,
                "kept_media": kept_media,
                "kept_share": _share(kept, matched),
            }
        )
    return rows


def _published(card: Row) -> list[Row]:
    """The paper's figures beside ours for English images; ours is null where there are none."""
    nothing: Row = {}
    english = next((row for row in card["balance"] if (row["modality"], row["lang"]) == ("image", "en")), nothing)
    vocabulary = next((row for row in card["matching"]["vocabularies"] if row["lang"] == "en"), nothing)
    texts = next((row for row in card["breakdowns"]["lang"]["values"] if row["value"] == "en"), None)
    figures = (
        ("English texts that match", "share", texts and _share(texts["matched"], texts["pairs"]), 0.5),
        ("matches per matched text", "number", english.get("matches_per_text"), 3.5),
        ("entries never matched", "share", vocabulary.get("never_matched_share"), 114_000 / 500_000),
        ("entries above t", "share", english.get("entries_above_t_share"), 16_000 / 500_000),
        ("share of matches on entries above t", "share", english.get("above_t_share_before"), 0.945),
        ("matched pairs kept", "share", english.get("kept_share"), 400e6 / 1.6e9),
    )
    return [
        {"figure": figure, "kind": kind, "ours": ours, "published": published, "source": _PAPER}
        for figure, kind, ours, published in figures
    ]


def _notes(card: Row, recipe: Recipe, manifests: Manifests) -> list[str]:
    notes = [note for manifest in manifests.values() for note in manifest.context.get("notes", [])]
    if card["inputs"]["missing"]:
        notes.append(
            f"{card['inputs']['missing']:,} of {card['inputs']['files']:,} input files were missing: see rejections"
        )
    if recipe.extract.limit_archives is not None:
        notes.append(f"only the first {recipe.extract.limit_archives:,} input files were read (extract.limit_archives)")
    for stage in stages_of(recipe):
        wanted = json.loads(json.dumps(stage.settings(recipe)))
        found = json.loads(json.dumps(manifests[stage.name].settings))
        notes += [
            f"{stage.name} was made with another setting than this recipe's: {line}"
            for line in changed_settings(found, wanted)
        ]
    return notes


def _describes(recipe: Recipe, manifests: Manifests) -> str:
    """Digest of all a card depends on."""
    stages = [(name, manifest.version, manifest.finished_at) for name, manifest in manifests.items()]
    return digest(
        CARD_VERSION, curation.__version__, recipe.name, recipe_hash(recipe), recipe.card.model_dump(), stages
    )


def _run(catalog: Catalog, recipe: Recipe, manifests: Manifests) -> Row:
    """What may differ between two runs with the same result."""
    stages = [
        {
            "stage": name,
            "units": len(manifest.reports),
            "wall_s": manifest.wall_s,
            "cpu_s": round(sum(report.cpu_s for report in manifest.reports.values()), 1),
            "finished_at": manifest.finished_at,
        }
        for name, manifest in manifests.items()
    ]
    datasets = [
        {
            "dataset": dataset.name,
            "rows": manifests[stage.name].rows(dataset.name),
            "size_bytes": manifests[stage.name].size_bytes(dataset.name),
        }
        for stage in stages_of(recipe)
        for dataset in stage.outputs
        if dataset is not REJECTIONS
    ]
    return {
        "work": catalog.store.root,
        "describes": _describes(recipe, manifests),
        "stages": stages,
        "datasets": datasets,
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
