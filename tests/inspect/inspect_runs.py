"""Small complete runs for the tests of `curation.inspect`: tables of links and texts through all stages, in-process."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from curation.inspect.views import connect
from curation.pipeline import STAGES
from curation.recipe import Recipe
from curation.runner.catalog import Catalog
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.storage import Store

ENGLISH = ["cat", "red cat", "house", "garden", "old bridge", "river", "St. Louis", "mountain", "雪", "train", "Cat"]
FRENCH = ["chat", "maison", "jardin", "pont", "rivière"]
_EN = ["a photograph of the {0} beside the {1}", "the {0} that my sister found near the {1} last summer",
       "this is a very old picture of the {0}", "how we built the {0}, the {1} and everything else"]
_FR = ["une belle photographie du {0} à côté de la {1}", "voici notre {0} pendant les vacances d'été"]

Link = dict[str, Any]


def links(seed: int, media: int) -> list[Link]:
    """Rows url, alt, title, page: media with one to four texts, a long tail of entries, duplicates and poor texts."""
    draw = random.Random(seed)
    rows: list[Link] = []
    for number in range(media):
        for _ in range(draw.choice([1, 1, 1, 2, 4])):
            french = draw.random() < 0.2
            words = FRENCH if french else ENGLISH
            ranks = [min(int(draw.paretovariate(0.7)) - 1, len(words) - 1) for _ in range(2)]
            text = draw.choice(_FR if french else _EN).format(words[ranks[0]], words[ranks[1]])
            rows.append({
                "url": f"https://img.example/{seed}/{number}.jpg", "alt": text,
                "title": draw.choice([None, text, f"IMG_{number:04}.jpg", "write to me@example.org about the house"]),
                "page": f"https://{draw.choice(['one', 'two', 'three'])}.example/{number % 40}"})
    return rows


class Folder:
    """A recipe, its input tables and a work folder, all under one temporary folder."""

    def __init__(self, root: Path, tables: dict[str, list[Link]], name: str = "work") -> None:
        self.root, self.work = root, root / name
        (root / "en.txt").write_text("\n".join([*ENGLISH, "unicorn"]))
        (root / "fr.txt").write_text("\n".join(FRENCH))
        for table, rows in tables.items():
            self.write(table, rows)

    def write(self, table: str, rows: Iterable[Link]) -> None:
        (self.root / f"{table}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def recipe(self, **sections: Any) -> Recipe:
        tree = {
            "name": "small",
            "inputs": [{"kind": "table", "paths": [str(self.root / "*.jsonl")], "columns": {
                "media_url": "url", "texts": {"alt": "alt", "title": "title"}, "page_url": "page"}}],
            "pairs": {"media_buckets": 3, "rules": {"drop_file_names": True, "redact_emails": True},
                      "placeholder_texts": 20},
            "match": {"vocabularies": {"en": str(self.root / "en.txt"), "fr": str(self.root / "fr.txt")}},
            "balance": {"t": 20}}
        return Recipe.model_validate(_merged(tree, sections))

    def run(self, *, until: str | None = None, **sections: Any) -> dict[str, StageOutcome]:
        """All stages, or those up to one; outcomes by stage."""
        run = Run(self.store, self.recipe(**sections), STAGES, LocalEngine, Silent())
        outcomes = {}
        for stage in STAGES:
            outcomes[stage.name] = run.execute(stage)
            if stage.name == until:
                break
        return outcomes

    @property
    def store(self) -> Store:
        return Store.at(self.work)

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.store, STAGES)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows over the folder's datasets."""
        connection: duckdb.DuckDBPyConnection
        with connect(self.work) as connection:
            return connection.execute(sql).fetchall()


def _merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(tree)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict) and key not in ("vocabularies", "balance")
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def printed(command: Callable[..., None], *arguments: Any, **options: Any) -> str:
    """What a command of `curation.commands` writes, on a terminal too narrow for it."""
    written = io.StringIO()
    command(*arguments, Console(file=written, width=20), **options)
    return written.getvalue()
