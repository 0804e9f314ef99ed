"""A web of small films on loopback for tests of the video stages, and the runs over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from faults_web import QUICK

from curation.pipeline import ALL_STAGES, stages_of
from curation.recipe import load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.schemas import DATASETS
from curation.storage import Store
from curation.testing.faulty_server import FaultyServer
from curation.testing.video_server import VideoServer
from curation.testing.videos import Film, Shot, Style, write_video

HOSTS = ("films.test", "more.test")
PAGE = b"<!doctype html><title>Gone</title><p>This film is no longer here.</p>"


@dataclass(frozen=True)
class FilmWeb:
    """films: by name, what is served at /ok/NAME of the first host. lost: names behind which there is a page by now."""

    folder: Path
    server: FaultyServer
    films: dict[str, Film]
    lost: set[str] = field(default_factory=set)

    def url(self, name: str, kind: str = "ok") -> str:
        return self.server.url(HOSTS[0], kind, name)

    def asked(self) -> Counter[str]:
        """How often each name was asked for."""
        return Counter(entry.path.rpartition("/")[2] for entry in self.server.log)

    def recipe(self, urls: list[str], name: str = "recipe.yaml", **sections: Any) -> Path:
        """A recipe over some URLs, each with a text of its own."""
        table = self.folder / f"{name}.parquet"
        captions = [f"a dog by the way, {number}" for number in range(len(urls))]
        pq.write_table(pa.table({"url": urls, "caption": captions}), table)
        (self.folder / "entries.txt").write_text("dog\ncat")
        columns = {"media_url": "url", "texts": {"caption": "caption"}}
        network = {**QUICK, "hosts": self.server.addresses, "attempts": 2, **sections.pop("network", {})}
        fetch = {"modalities": ["video"], "shard_videos": 4, "network": network, **sections.pop("fetch", {})}
        tree = {
            "name": "films",
            "inputs": [{"kind": "table", "paths": [str(table)], "columns": columns, "modality": "video"}],
            "pairs": {"media_buckets": 2},
            "match": {"definition": "v1", "vocabularies": {"en": str(self.folder / "entries.txt")}, "fallback": "en"},
            "balance": {"t": 1_000_000},
            "fetch": fetch,
            "clips": {"split": {"set": "shots", "min_length_s": 1}, "cut": {"preset": "ultrafast"}},
            **sections,
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump(tree))
        return path


def small_films(folder: Path) -> dict[str, Film]:
    """Two shots and a second of black between them, in several forms."""
    folder.mkdir(parents=True, exist_ok=True)
    small = {"size": (192, 108)}
    forms = {
        "plain.mp4": ("dog", Style(**small)),
        "turned.mp4": ("cat", Style(**small, rotation=90)),
        "mute.mp4": ("tree", Style(**small, sound="none")),
        "vp8.webm": ("car", Style(**small)),
    }
    films = {}
    for name, (concept, style) in forms.items():
        shots = [Shot(40, concept, "a", 2), Shot(20, black=True), Shot(48, concept, "b", 2)]
        films[name] = write_video(folder / name, shots, style)
    return films


@contextmanager
def film_web(folder: Path, films: dict[str, Film]) -> Iterator[FilmWeb]:
    bodies = {name: film.path.read_bytes() for name, film in films.items()}
    bodies["copy.mp4"] = bodies["plain.mp4"]
    bodies["page.mp4"] = PAGE
    bodies["cut.mp4"] = bodies["mute.mp4"][: len(bodies["mute.mp4"]) // 2]

    lost: set[str] = set()

    def body(host: str, path: str) -> bytes:
        name = path.rpartition("/")[2]
        return PAGE if name in lost else bodies.get(name, PAGE)

    folder.mkdir(parents=True, exist_ok=True)
    with FaultyServer(HOSTS, body) as server:
        yield FilmWeb(folder, server, films, lost)


@dataclass(frozen=True)
class PageWeb(FilmWeb):
    """films: what is served at /file/NAME. server.files: path -> what else is, and may change between runs."""

    server: VideoServer

    def put(self, path: str, text: str) -> str:
        """Serves a text at a path of the first host; gives its URL."""
        self.server.files[path] = text.encode()
        return self.server.url(HOSTS[0], path)


@contextmanager
def page_web(folder: Path, films: dict[str, Film]) -> Iterator[PageWeb]:
    """As film_web, but with pages, and files that come with ranges."""
    bodies = {name: film.path.read_bytes() for name, film in films.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with VideoServer(HOSTS, bodies=lambda host, path: bodies.get(path.rpartition("/")[2], PAGE)) as server:
        yield PageWeb(folder, server, films)


def executed(recipe: Path, work: Path, *overrides: str) -> dict[str, StageOutcome]:
    """The whole run, in this process."""
    loaded = load_recipe(recipe, list(overrides))
    run = Run(Store.at(work), loaded, ALL_STAGES, LocalEngine, Silent())
    with run.lease():
        return {stage.name: run.execute(stage) for stage in stages_of(loaded)}


def rows(outcomes: dict[str, StageOutcome], work: Path, dataset: str) -> list[dict[str, Any]]:
    """The rows of a dataset that a run published, in order."""
    stage = next(stage for stage in ALL_STAGES if DATASETS[dataset] in stage.outputs)
    paths = outcomes[stage.name].manifest.paths(dataset)
    return Store(str(work)).table(paths, DATASETS[dataset].schema).to_pylist()
