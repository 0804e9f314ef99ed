"""Stand-ins of fetch and duplicates that lose and cluster what they are told to, and a pool to try them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.digests import digest
from curation.pipeline import STAGES
from curation.recipe import Recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.runner.stage import Planning, Stage, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import DUPLICATES, KEPT_PAIRS, MEDIA
from curation.stages.rebalance import Rebalance
from curation.stages.survive import Survive
from curation.storage import Store

Rows = list[dict[str, Any]]
Fate = Callable[[str], str | None]
SELECTION = tuple(stage for stage in STAGES if stage.name in {"extract", "pairs", "match", "count", "draw", "balance"})


def unlucky(share: float, salt: str = "") -> Fate:
    """Loses that share of media, always the same ones."""
    return lambda media_id: "dns" if int(digest(salt, media_id)[:13], 16) / 16**13 < share else None


class Fetch(UnitStage):
    """Two units per bucket; `fate` names the error of a media, "" leaves it out of the ledger."""

    name = "fetch"
    about = "toy"
    after = ("balance",)
    outputs = (MEDIA,)

    def __init__(self, fate: Fate, name: str, extra: int = 0) -> None:
        self.fate, self.told, self.extra = fate, name, extra

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        return [
            Unit(
                f"{name}-{part}{self.told}",
                {"kept": report.paths(KEPT_PAIRS.name), "part": part},
                self.identity(self.told, self.extra, part, report.content(KEPT_PAIRS.name)),
            )
            for name, report in planning.inputs["balance"].reports.items()
            for part in (0, 1)
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        kept = [row for batch in task.store.batches(unit.inputs["kept"]) for row in batch.to_pylist()]
        number = int(unit.name[7:12])
        media = {row["media_id"]: row for row in kept if row["modality"] == "image"}
        for no_longer_kept in range(self.extra):
            media_id = f"{number:08x}{no_longer_kept:016x}"
            media[media_id] = {"media_id": media_id, "media_bucket": number, "modality": "image", "media_url": "x"}
        rows = []
        for media_id, row in sorted(media.items()):
            error = self.fate(media_id)
            if error == "" or int(media_id[8], 16) % 2 != unit.inputs["part"]:
                continue
            facts = {"status": "failed" if error else "ok", "error": error, "transient": False, "attempts": 1}
            rows.append({**dict.fromkeys(MEDIA.columns), **row, **facts, "findings": []})
        columns = [{name: row[name] for name in MEDIA.columns} for row in rows]
        writer.write(MEDIA, pa.RecordBatch.from_pylist(columns, schema=MEDIA.schema))


class Duplicates(UnitStage):
    """Clusters of obtained media for which `cluster` gives the same name; of the best pair, and the last media."""

    name = "duplicates"
    about = "toy"
    after = ("balance", "fetch")
    outputs = (DUPLICATES,)

    def __init__(self, cluster: Callable[[str], str | None], name: str, spoil: bool = False) -> None:
        self.cluster, self.told, self.spoil = cluster, name, spoil

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        balance, fetch = planning.inputs["balance"], planning.inputs["fetch"]
        content = balance.content(KEPT_PAIRS.name), fetch.content(MEDIA.name)
        paths = {"kept": balance.paths(KEPT_PAIRS.name), "media": fetch.paths(MEDIA.name)}
        return [Unit("all", paths, self.identity(self.told, self.spoil, *content))]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        media = [row for batch in task.store.batches(unit.inputs["media"]) for row in batch.to_pylist()]
        kept = [row for batch in task.store.batches(unit.inputs["kept"]) for row in batch.to_pylist()]
        ok = {row["media_id"] for row in media if row["status"] == "ok"}
        clusters: dict[str, Rows] = {}
        for row in kept:
            if row["media_id"] in ok and (name := self.cluster(row["media_id"])) is not None:
                clusters.setdefault(name, []).append(row)
        found = []
        for rows in clusters.values():
            members = sorted({row["media_id"] for row in rows})
            best = min(rows, key=lambda row: (row["critical_threshold"], row["pair_id"]))["pair_id"]
            for member in members if len(members) > 1 else []:
                facts = {"media_id": member, "cluster_id": members[0], "kind": "exact", "kept_media_id": members[-1]}
                found.append({**facts, "kept_pair_id": "0" * 32 if self.spoil else best})
        writer.write(DUPLICATES, pa.RecordBatch.from_pylist(found, schema=DUPLICATES.schema))


def stages(fetch: Fetch | None = None, duplicates: Duplicates | None = None) -> tuple[Stage, ...]:
    """The whole way to the final pairs; nothing is lost unless told."""
    return (
        *SELECTION,
        fetch or Fetch(lambda media_id: None, "a"),
        duplicates or Duplicates(lambda media_id: None, "a"),
        Survive(),
        Rebalance(),
    )


def run(folder: Path, recipe: Recipe, way: tuple[Stage, ...]) -> Run:
    made = Run(Store.at(folder), recipe, way, LocalEngine, Silent())
    for stage in way:
        made.execute(stage)
    return made


def rows_of(made: Run, dataset: str) -> Rows:
    manifest = made.catalog.visible(made.catalog.stage_of(dataset))
    return [row for batch in made.store.batches(manifest.paths(dataset)) for row in batch.to_pylist()]


def build_pool(folder: Path, rows: int, *, seed: int = 0, texts_per_media: float = 1.3) -> None:
    """A table of captions of one to four concepts out of 200, of which a few are frequent, and its vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    names = [f"con{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(200)]
    (folder / "concepts.txt").write_text("\n".join(names) + "\n")
    share = 1 / np.arange(1, len(names) + 1) ** 1.2
    drawn = generator.choice(len(names), (rows, 4), p=share / share.sum())
    lengths = generator.integers(1, 5, rows)
    media = generator.integers(0, int(rows / texts_per_media), rows)
    captions = [f"{n} " + " ".join(names[c] for c in drawn[n, : lengths[n]]) for n in range(rows)]
    urls = [f"https://host{m % 97}.example/{m}.jpg" for m in media]
    pq.write_table(pa.table({"url": urls, "caption": captions}), folder / "pool.parquet")


def pool_recipe(folder: Path, **sections: Any) -> Recipe:
    match = {"vocabularies": {"en": str(folder / "concepts.txt")}, "fallback": "en", "all_languages": True}
    columns = {"media_url": "url", "texts": {"caption": "caption"}}
    base = {
        "name": "pool",
        "inputs": [{"kind": "table", "paths": [str(folder / "pool.parquet")], "columns": columns}],
        "pairs": {"media_buckets": 3},
        "match": match,
        "fetch": {},
    }
    return Recipe.model_validate({**base, **sections})
