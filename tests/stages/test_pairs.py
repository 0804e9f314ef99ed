"""pairs against a plain-Python account of what it means, whatever the order, the files and the batches."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.balance import pair_id
from curation.recipe import Pairs as PairsSection
from curation.runner.stage import Task
from curation.runner.units import Unit, UnitWriter
from curation.runner.work import split_by_unit
from curation.schemas import CANDIDATES, PAIRS
from curation.stages import pairs as module
from curation.stages.buckets import bucket_name
from curation.stages.pairs import Pairs
from curation.storage import Store
from curation.text import LanguageIdentifier, drop_rules, redact

IDENTIFIER = LanguageIdentifier()
LIMIT = 3
ALL = pa.array(range(3), pa.int32())
SCOPES = {
    scope: PairsSection.model_validate(
        {
            "media_buckets": 3,
            "placeholder_texts": LIMIT,
            "rules": {"min_chars": 3, "drop_generic": True, "drop_file_names": True, "redact_emails": True},
            "language": {"keep": ["en", "de", ""]},
            "filters": {"consent": {"scope": scope}, "licences": ["CC"]},
        }
    )
    for scope in ("media", "page")
}
SETTINGS = SCOPES["page"]
CONTEXT = {"filters": "", "site_rules": []}
FACTS = ("licence", "width", "tracks", "start_ms")
UNKNOWN = ("platform", "platform_id", "height", "duration_ms", "upload_date", "poster_url", "end_ms")  # null here
TEXTS = [
    "a dog runs on the beach",
    "ein Hund läuft am Strand",
    "image",
    "IMG_2034.jpg",
    "ab",
    "write to a@example.org now",
    "write to b@example.org now",
    "un chien court sur la plage",
]
MEDIA = {f"https://example.org/{n}.jpg": f"{n:08x}{'0' * 16}" for n in range(4)}

candidate = st.fixed_dictionaries(
    {
        "media_url": st.sampled_from(sorted(MEDIA)),
        "text": st.sampled_from(TEXTS),
        "text_source": st.sampled_from(["alt", "title"]),
        "robots": st.sampled_from([[], [], ["follow"], ["follow", "index"], ["noai", "noindex"], ["noindex"]]),
        "licence": st.sampled_from(["CC-BY-4.0", "CC0-1.0", "CC-BY-SA-3.0", None]),
        "width": st.sampled_from([None, 640]),
        "start_ms": st.sampled_from([None, 1500]),
        "tracks": st.sampled_from([[], [{"url": "https://example.org/a.vtt", "kind": "subtitles", "lang": None}]]),
        "page_url": st.sampled_from([None, "https://example.org/p"]),
        "snapshot": st.sampled_from(["CC-1", "CC-2"]),
        "archive": st.sampled_from(["a", "b"]),
    }
)


def _rows(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Candidates with a place of their own each, in the order an archive would give them."""
    rows = [
        {
            **row,
            "media_id": MEDIA[row["media_url"]],
            "modality": "image",
            "record_offset": at // 2,
            "field_order": at % 2,
        }
        for at, row in enumerate(drawn)
    ]
    return sorted(rows, key=lambda row: (row["snapshot"], row["archive"], row["record_offset"], row["field_order"]))


def _refusals(rows: list[dict[str, Any]]) -> list[str | None]:
    """What refuses each row for itself."""
    own: list[str | None] = []
    for row in rows:
        directive = next((name for name in ("noai", "noindex") if name in row["robots"]), None)
        own.append(f"consent:{directive}" if directive else "licence" if row["licence"] is None else None)
    return own


def _expected(rows: list[dict[str, Any]], scope: str) -> tuple[list[dict[str, Any]], dict[str, int], set[str]]:
    refusals = _refusals(rows)
    everywhere = {
        row["media_id"]: "consent:noai"
        for row, refusal in zip(rows, refusals, strict=True)
        if scope == "media" and refusal == "consent:noai"
    }
    texts = redact(pa.array([row["text"] for row in rows], pa.string()), SETTINGS.rules).to_pylist()
    langs = IDENTIFIER.identify(pa.array(texts, pa.string()))[0]
    rules = drop_rules(pa.array(texts, pa.string()), langs, SETTINGS.rules).to_pylist()
    by_media: dict[str, set[str]] = defaultdict(set)
    for row, text in zip(rows, texts, strict=True):
        by_media[row["media_id"]].add(text)
    placeholders = {media for media, said in by_media.items() if len(said) > LIMIT}
    counts: dict[str, int] = defaultdict(int)
    groups: dict[tuple[str, str], list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for row, refusal, text, lang, rule in zip(rows, refusals, texts, langs.to_pylist(), rules, strict=True):
        if row["media_id"] in placeholders:
            counts["placeholder_texts"] += 1
        elif refusal:
            counts[f"filtered:{refusal}"] += 1
        elif row["media_id"] in everywhere and not rule and lang in (SETTINGS.language.keep or []):
            counts["filtered:consent:noai"] += 1
        elif rule or lang not in (SETTINGS.language.keep or []):
            counts[f"filtered:{rule or 'language'}"] += 1
        else:
            groups[row["media_id"], text].append((row, lang))
    pairs = []
    for (media, text), members in groups.items():
        first = members[0][0]
        counts["duplicates"] += len(members) - 1
        pairs.append(
            {
                "pair_id": pair_id(media, text),
                "media_id": media,
                "media_bucket": int(media[:8], 16) % 3,
                "modality": "image",
                "media_url": first["media_url"],
                "text": text,
                "text_sources": sorted({row["text_source"] for row, _ in members}),
                "lang": members[0][1],
                "page_url": first["page_url"],
                "robots": sorted({name for row, _ in members for name in row["robots"]}),
                "snapshot": first["snapshot"],
                "archive": first["archive"],
                "record_offset": first["record_offset"],
                "field_order": first["field_order"],
                "occurrences": len(members),
                **{name: first[name] for name in FACTS},
            }
        )
    pairs.sort(key=lambda row: (row["media_bucket"], row["media_id"], row["pair_id"]))
    return pairs, {name: n for name, n in counts.items() if n}, placeholders


def _actual(
    rows: list[dict[str, Any]], folder: Path, cuts: list[int], batch: int, scope: str
) -> tuple[list[dict[str, Any]], dict[str, int], set[str]]:
    store = Store.at(folder)
    task = Task(store, "v", SCOPES[scope].model_dump(), CONTEXT)
    edges = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts)})
    stage, mapped = Pairs(), []
    for number, (start, end) in enumerate(pairwise(edges)):
        pq.write_table(pa.Table.from_pylist(rows[start:end], schema=CANDIDATES.schema), folder / f"{number}.parquet")
        mapped += list(stage.map({"files": [f"{number}.parquet"]}, task, ALL))
    table = pa.Table.from_batches(mapped, schema=stage.rows).sort_by(
        [(name, "ascending") for name in ("media_bucket", *stage.order)]
    )
    pairs, counts, placeholders = [], defaultdict(int), set()
    for number, group in split_by_unit(iter(table.to_batches(max_chunksize=batch))):
        writer = UnitWriter(store, "pairs", "v", Unit(bucket_name(number), {}, ""))
        stage.reduce(group, task, writer)
        report = writer.commit()
        for name, n in report.counts.items():
            counts[name] += n
        pairs += [row for found in store.batches(report.paths(PAIRS.name)) for row in found.to_pylist()]
        placeholders |= {row["id"] for found in store.batches(report.paths("rejections")) for row in found.to_pylist()}
    for row in pairs:
        for name in ("lang_score", *UNKNOWN):
            del row[name]
    return pairs, {name: n for name, n in counts.items() if n}, placeholders


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(candidate, min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=3),
    st.integers(1, 12),
    st.booleans(),
    st.sampled_from(sorted(SCOPES)),
)
def test_pairs_equal_the_plain_account(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[dict[str, Any]],
    cuts: list[int],
    batch: int,
    held: bool,
    scope: str,
) -> None:
    rows = _rows(drawn)
    with pytest.MonkeyPatch.context() as patch:
        if held:
            patch.setattr(module, "_COMPACT_ROWS", 2)  # so that a media outgrows what is held
        assert _actual(rows, tmp_path_factory.mktemp("pairs"), cuts, batch, scope) == _expected(rows, scope)


def test_a_placeholder_costs_no_more_than_its_batch(tmp_path: Path) -> None:
    url = next(iter(MEDIA))
    rows = _rows(
        [
            {
                "media_url": url,
                "text": f"a dog number {n}",
                "text_source": "alt",
                "robots": [],
                "licence": "CC0-1.0",
                "tracks": [],
                "page_url": None,
                "snapshot": "CC-1",
                "archive": "a",
            }
            for n in range(500)
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=CANDIDATES.schema), tmp_path / "0.parquet")
    task = Task(Store.at(tmp_path), "v", SETTINGS.model_dump(), CONTEXT)
    mapped = list(Pairs().map({"files": ["0.parquet"]}, task, ALL))
    assert sum(batch.num_rows for batch in mapped) == 1
    (tmp_path / "again").mkdir()
    assert _actual(rows, tmp_path / "again", [], 7, "page") == ([], {"placeholder_texts": 500}, {MEDIA[url]})
