"""The lock file of a vocabulary: what it was made from and what came out, so that a build can be repeated and checked.

    {"format": 1, "name", "lang", "curation": version,
     "parameters": the recipe but its paths, "inputs": [{"file", "size_bytes", "sha256"}], "counts": {...},
     "output": {"file", "entries", "content_sha256", "file_sha256"}}

content_sha256 is of the rows, one line of canonical JSON each; file_sha256 is of the Parquet file, whose bytes also
depend on the release of pyarrow.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ValidationError

from curation.errors import InputError, VocabularyError
from curation.recipe.vocabulary import VocabularyRecipe

FORMAT = 1
_PLACES = {"paths", "path", "expected"}


class _Parameters(BaseModel):
    sources: list[dict[str, Any]]


class _Input(BaseModel):
    file: str
    sha256: str


class _Output(BaseModel):
    entries: int
    content_sha256: str


class _Lock(BaseModel):
    """What is read of a lock."""

    format: Literal[1]
    name: str
    parameters: _Parameters
    inputs: list[_Input]
    output: _Output


def parameters(recipe: VocabularyRecipe) -> dict[str, Any]:
    """What of a recipe the entries depend on, beside the content of the files."""
    wikipedia = recipe.wikipedia and {"lower_case": recipe.wikipedia.lower_case}
    sources = [source.model_dump(exclude=_PLACES) for source in recipe.sources]
    return {"wikis": recipe.wikis, "wikipedia": wikipedia, "sources": sources, "extend": recipe.extend is not None}


def input_rows(files: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the dataset `source_files` as the lock has them: by name, wherever they lie."""
    rows = [
        {"file": row["location"].rsplit("/", 1)[-1], "size_bytes": row["size_bytes"], "sha256": row["sha256"]}
        for row in files
    ]
    return sorted(rows, key=lambda row: (row["file"], row["sha256"]))


def content_sha256(table: pa.Table) -> str:
    """Of the rows of a vocabulary, in their order."""
    digest = hashlib.sha256()
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            digest.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def read_lock(path: str | Path) -> dict[str, Any] | None:
    """A lock file; None where there is none. Raises VocabularyError for something else under its name."""
    try:
        lock = json.loads(Path(path).read_text(encoding="utf-8"))
        _Lock.model_validate(lock)
    except FileNotFoundError:
        return None
    except (OSError, RecursionError, ValidationError, ValueError) as error:
        told = f"{_place(error)} is missing or wrong" if isinstance(error, ValidationError) else error
        raise VocabularyError(
            f"{path} is no whole lock file of format {FORMAT} ({told}): restore it, or write it anew with --update-lock"
        ) from None
    found: dict[str, Any] = lock
    return found


def _place(error: ValidationError) -> str:
    return ".".join(map(str, error.errors()[0]["loc"])) or "all of it"


def check_recipe(lock: Mapping[str, Any], recipe: VocabularyRecipe, where: str) -> None:
    """Raises InputError where the lock is of another vocabulary, or of other parameters."""
    if lock["name"] != recipe.name:
        raise InputError(
            f"the lock {where} is of the vocabulary {lock['name']}, not {recipe.name}: build that one, or replace the "
            "lock with --update-lock"
        )
    ours = json.loads(json.dumps(parameters(recipe)))
    for difference in _differences(_by_name(ours), _by_name(lock["parameters"])):
        raise InputError(f"the recipe is not that of the lock {where}: {difference}; take it back, or --update-lock")


def check_inputs(lock: Mapping[str, Any], inputs: list[dict[str, Any]], where: str) -> None:
    """Raises InputError where the files are not those of the lock; they are known by name and content."""
    wanted, found = (Counter((row["file"], row["sha256"]) for row in rows) for rows in (lock["inputs"], inputs))
    lacking, unknown = dict(wanted - found), dict(found - wanted)
    if not lacking and not unknown:
        return
    name = min(name for name, _ in (*lacking, *unknown))
    old, new = (next((print_ for file, print_ in rows if file == name), "") for rows in (lacking, unknown))
    if old and new:
        told = f"is another file than in the lock {where}: SHA-256 {new[:12]}..., not {old[:12]}..."
    else:
        told = f"is in the lock {where} but not among the inputs" if old else f"is not in the lock {where}"
    raise InputError(f"{name} {told}: fetch the locked files, or accept these with --update-lock")


def _by_name(parameters: dict[str, Any]) -> dict[str, Any]:
    """Sources by their names, which say more in a message than their numbers."""
    named = {str(source.get("name") or source.get("kind")): source for source in parameters["sources"]}
    return {**parameters, "sources": named, "order of sources": list(named)}


def _differences(ours: Any, locked: Any, place: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(locked, dict):
        for key in sorted(ours.keys() | locked.keys()):
            yield from _differences(ours.get(key), locked.get(key), f"{place}.{key}" if place else key)
    elif ours != locked:
        yield f"{place} is {json.dumps(ours):.80}, not {json.dumps(locked):.80}"


def check_output(lock: Mapping[str, Any], output: Mapping[str, Any], where: str) -> None:
    """Raises VocabularyError where equal inputs gave other entries."""
    wanted = lock["output"]
    if wanted["content_sha256"] != output["content_sha256"]:
        raise VocabularyError(
            f"the same inputs and parameters gave other entries ({output['entries']:,}) than the lock {where} has "
            f"({wanted['entries']:,}, made by curation {lock.get('curation')}): the code makes something else of them; "
            "accept it with --update-lock, and see what changed with `curation vocab diff OLD NEW`"
        )
