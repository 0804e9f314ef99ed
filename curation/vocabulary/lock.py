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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.errors import InputError, VocabularyError
from curation.recipe.vocabulary import VocabularyRecipe

FORMAT = 1
_PLACES = {"paths", "path", "expected"}


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
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise VocabularyError(f"{path} is no lock file ({error}): remove it, or name another") from None
    if not isinstance(lock, dict) or lock.get("format") != FORMAT:
        raise VocabularyError(f"{path} is no lock file of format {FORMAT}: remove it, or name another")
    return lock


def check_inputs(lock: Mapping[str, Any], recipe: VocabularyRecipe, inputs: list[dict[str, Any]], where: str) -> None:
    """Raises InputError where recipe or files are not those of the lock."""
    advice = "fetch the locked files, or accept these with --update-lock"
    wanted = {row["file"]: row for row in lock["inputs"]}
    found = {row["file"]: row for row in inputs}
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found or name not in wanted:
            missing = "is in the lock but not among the inputs" if name in wanted else "is not in the lock"
            raise InputError(f"{name} {missing} {where}: {advice}")
        if wanted[name]["sha256"] != found[name]["sha256"]:
            raise InputError(
                f"{name} is another file than the lock {where} has: {found[name]['size_bytes']:,} bytes with SHA-256 "
                f"{found[name]['sha256'][:12]}..., not {wanted[name]['size_bytes']:,} bytes with "
                f"{wanted[name]['sha256'][:12]}...: {advice}"
            )
    ours = json.loads(json.dumps(parameters(recipe)))
    changed = sorted(name for name in ours if ours[name] != lock["parameters"].get(name))
    if changed:
        raise InputError(f"the recipe's {changed[0]} is not that of the lock {where}: take it back, or --update-lock")


def check_output(lock: Mapping[str, Any], output: Mapping[str, Any], where: str) -> None:
    """Raises VocabularyError where equal inputs gave other entries."""
    wanted = lock["output"]
    if wanted["content_sha256"] != output["content_sha256"]:
        raise VocabularyError(
            f"the same inputs and parameters gave {output['entries']:,} entries that are not the {wanted['entries']:,} "
            f"of the lock {where}: the code changed what it makes of them; see what with `curation vocab diff`, "
            "and accept it with --update-lock"
        )
