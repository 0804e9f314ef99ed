"""A manifest with all that exports stumble over, with real bytes: hostile texts, parts, speech, labels, a val split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation import exporting
from curation.export.view import Selection
from curation.inspect.views import connect
from curation.schemas import MANIFEST
from curation.testing.manifests import write_manifest

HOSTILE = (
    "a cat, a dog; and 'a \"bird\"",
    "two lines\nof text\r\nand a third",
    "tabs\tbetween\twords",
    "  blanks   around  ",
    "nul\x00bell\x07escape\x1b[31m delete\x7f",
    "next line\x85 line separator\u2028 paragraph\u2029 end",
    "日本語のキャプション、猫",
    "нет, это «кот»",
    "emoji 🐈‍⬛ and combining é",
    "=1+1",
    '"',
    "\\N \\t",
    "{'a': [1, 'b\"']}",
    "a" * 3000,
    "<b>bold</b> & [markup]",
)
"""Texts that break writers which join strings."""
AS_MISSING = ("NA", "null", "nan", "N/A", "None", "  NA ")
_BLANK = dict.fromkeys(("keep_probability", "critical_threshold", "vocabulary_lang", "text_media_id", "page_url"))


@dataclass(frozen=True)
class Folder:
    """A work folder, and exports of it."""

    work: Path

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The manifest's rows by sample_id."""
        found = connect(self.work).sql("SELECT * FROM manifest ORDER BY sample_id").to_arrow_table().to_pylist()
        return list(found)

    @property
    def videos(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["modality"] == "video"]

    def export(self, shape: str, to: Path, selection: Selection | None = None, **options: Any) -> list[str]:
        return exporting.export(shape, str(self.work), str(to), selection or Selection(), options)


def hostile(work: Path, samples: int = 240, **changes: Callable[[dict[str, Any], int], Any]) -> Folder:
    """Half of the samples are clips of up to 40 s; val is a quarter of the media. changes: columns by (row, number)."""
    write_manifest(work, samples, with_bytes=True, videos=0.5, seed=3)
    rows = connect(work).sql("SELECT * FROM manifest ORDER BY sample_id").to_arrow_table().to_pylist()
    for number, row in enumerate(rows):
        _change(row, number)
        for name, change in changes.items():
            row[name] = change(row, number)
    write_manifest(work, pa.Table.from_pylist(rows, schema=MANIFEST.schema))
    return Folder(work)


def _change(row: dict[str, Any], number: int) -> None:
    row["split"] = "val" if int(row["media_id"][:4], 16) % 4 == 0 else "train"
    chosen = row["texts"][0]
    if number % 3 == 0:
        row["text"] = chosen["text"] = HOSTILE[number // 3 % len(HOSTILE)]
    if row["modality"] == "image" and number % 2:
        row["texts"].append(chosen | {"text": f"a second one of {number}", "vocabulary_lang": "en", "lang": "en"})
    if row["modality"] == "video":
        row["duration_ms"] = 1000 + int(row["sha256"][:4], 16) % 39_001
        row["end_ms"] = row["start_ms"] + row["duration_ms"]
        row["texts"] = [chosen, *row["texts"][1:], *_more(chosen, row, number)]


def _more(like: dict[str, Any], row: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """Chapters (of two thirds of the clips), speech, hashtags."""
    last = row["duration_ms"]
    chapters = [] if number % 3 == 1 else [
        (0, last // 3, f"chapter one of {number}"),
        (last // 3, last // 2, HOSTILE[number % len(HOSTILE)]),
        (last // 2, last + 700, "the end"),  # a cut may take off the last frames
        (last // 4, last // 4, "no time at all"),
        (last // 4, last // 2, "-- ... --"),
        *([(0, last - 1, "all of it but a moment")] if number % 3 == 2 else []),
    ]  # fmt: skip
    said = [(0, 900, "so here we are"), (900, last, "and off we go"), (5, 20, "so here we are")][: number % 4]
    tags = ["cat", "dog", "NaN", f"rare{number}"][: number % 5]
    for captioner, kind, start, end, text in (
        *(("chapters", "chapter", *chapter) for chapter in chapters),
        *(("asr", "transcript", *words) for words in said),
        *(("tags", "hashtag", None, None, tag) for tag in tags),
        ("alt", "schema_keywords", None, None, "one, two, three"),
        ("alt", "schema_transcript", None, None, "as it was said"),
        ("never", "brief", None, None, "a text that nobody is to be trained on"),
    ):
        key = hashlib.md5(f"{row['sample_id']} {captioner} {text}".encode()).hexdigest()
        yield like | _BLANK | {
            "captioner": captioner, "kind": kind, "start_ms": start, "end_ms": end, "text": text, "pair_id": key,
            "weight": float(start is None and captioner != "never"), "entry_ids": [],
        }  # fmt: skip
