"""Exports of made-up manifests, and what the tars of a set hold."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from curation.pipeline import ALL_STAGES
from curation.recipe import Recipe, Runtime
from curation.runner.engine import LocalEngine, WorkEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.stages.shards import Shards
from curation.storage import Store
from curation.workflow import start_spark

Row = dict[str, Any]
Parts = dict[str, bytes]


def shards_recipe(**shards: Any) -> Recipe:
    """A recipe of which the section shards alone matters."""
    return Recipe.model_validate(
        {
            "name": "made up",
            "inputs": [{"kind": "wat", "paths": ["none"]}],
            "match": {"vocabularies": {"en": "none"}},
            "fetch": {"modalities": ["image", "video"]},
            "shards": shards,
        }
    )


def no_engine() -> WorkEngine:
    raise AssertionError("there was nothing to do, and an engine was asked for")


def exported(work: Path | str, engine: Callable[[], WorkEngine] = LocalEngine, **shards: Any) -> StageOutcome:
    """Brings the shards of a work folder up to date."""
    run = Run(Store.at(work), shards_recipe(**shards), ALL_STAGES, engine, Silent())
    with run.lease():
        return run.execute(Shards())


def export_on(master: str, work: str, **shards: Any) -> None:
    """The same on a Spark of its own, for a process of its own."""
    with ExitStack() as ending:
        scratch = Path(work) / "_spark"
        scratch.mkdir(exist_ok=True)
        engine = partial(start_spark, Runtime(master=master), "shards", str(scratch), ending)
        exported(Path(work), engine, **shards)


@dataclass(frozen=True)
class ExportedSet:
    """A set of shards as a user finds it."""

    folder: Path

    @classmethod
    def of(cls, work: Path, outcome: StageOutcome) -> ExportedSet:
        return cls(work / "shards" / outcome.manifest.context["set"])

    @property
    def index(self) -> Row:
        found: Row = json.loads((self.folder / "index.json").read_text())
        return found

    def tars(self) -> list[Path]:
        return sorted(self.folder.glob("*/*.tar"))

    def digests(self) -> dict[str, str]:
        """SHA-256 of all files of the set, by name."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): sha256(path.read_bytes()) for path in files}

    def samples(self, tar: Path) -> dict[str, Parts]:
        """Key -> extension -> bytes, in the order of the tar, as any reader of tars finds them."""
        found: dict[str, Parts] = {}
        with tarfile.open(tar) as file:
            for member in file:
                key, _, extension = member.name.partition(".")
                data = file.extractfile(member)
                assert data is not None
                assert extension not in found.setdefault(key, {})
                found[key][extension] = data.read()
        return found

    def all_samples(self) -> dict[str, Parts]:
        """Of all tars; fails where a key is in two."""
        found: dict[str, Parts] = {}
        for tar in self.tars():
            own = self.samples(tar)
            assert not own.keys() & found.keys()
            found |= own
        return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
