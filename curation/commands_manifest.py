"""What the commands about manifests that only look do: `diff`, `overlap`, `sql`.

None of them changes a work folder.
"""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from curation.commands import check_json, tell
from curation.errors import InputError
from curation.inspect.manifest_diff import diff_manifests
from curation.inspect.manifest_diff_text import diff_lines
from curation.inspect.overlap import overlap as compared
from curation.inspect.overlap import overlap_lines
from curation.inspect.sql import answer, answer_lines, form_of, stream_answer, view_lines, views, write_answer
from curation.inspect.wording import how_many
from curation.media.hash_index import MAX_DISTANCE
from curation.overlap import KEYS
from curation.storage import Store, storage_errors

_WIDE = 200
"""Characters of a table's lines where the output is no terminal."""


def diff(a: str, b: str, concept: str | None, top: int, json: str | None, out: Console) -> None:
    """What changed from one manifest to another."""
    check_json(json, a, b)
    found = diff_manifests(a, b, concept, top)
    tell(lambda: diff_lines(found), _json(found.to_json()), out, json)


def overlap(
    manifest: str, against: str, settings: tuple[Sequence[str], int, int], json: str | None, out: Console
) -> None:
    """How much of a manifest another set has. settings: by, max_distance, min_text_chars."""
    check_json(json, manifest, against)
    by, max_distance, min_text_chars = settings
    found = compared(manifest, against, checked_keys(by), max_distance, min_text_chars)
    tell(lambda: overlap_lines(found), _json(found.to_json()), out, json)


def checked_keys(by: Sequence[str]) -> list[str]:
    """Keys to compare by, each named or several with commas; all where none is named. Raises InputError."""
    named = [key.strip() for each in by for key in each.split(",") if key.strip()]
    unknown = next((key for key in named if key not in KEYS), None)
    if unknown is not None:
        raise InputError(f"--by {unknown!r}: choose of {', '.join(KEYS)}")
    return [key for key in KEYS if not named or key in named]


def sql(question: str | None, work: str, form: str | None, to: str | None, limit: int, out: Console) -> None:
    """The answer to a question, or what can be asked for."""
    form = form_of(form, to)
    with storage_errors(Store.at(work)):
        if question is None:
            if to is not None or form != "table":
                raise InputError("there is no question to answer: give one in SQL, or leave out --format and --to")
            tell(lambda: view_lines(*views(work)), "", out, None)
        elif to is not None:
            rows = write_answer(question, work, form, to)
            tell(lambda: [f"{how_many(rows, 'row')} in {to}"], "", out, None)
        elif form == "table":
            found = answer(question, work, limit)
            tell(lambda: answer_lines(found, out.width if out.is_terminal else _WIDE), "", out, None)
        else:
            stream_answer(question, work, form, sys.stdout.buffer, screen=sys.stdout.isatty())


def _json(tree: dict[str, Any]) -> str:
    return json_.dumps(tree, ensure_ascii=False, indent=2) + "\n"


__all__ = ["MAX_DISTANCE", "diff", "overlap", "sql"]
