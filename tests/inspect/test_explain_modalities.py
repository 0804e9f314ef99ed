"""`explain` where an entry is found in several modalities, and where only the content of a list differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inspect_runs import Folder, links

from curation.inspect.difference import explain_difference
from curation.inspect.explain import explain
from curation.inspect.explain_text import explain_lines

COLUMNS = {"media_url": "url", "texts": {"alt": "alt"}, "page_url": "page"}


def folder_of(root: Path, name: str = "work", **filters: Any) -> Folder:
    folder = Folder(root, {"one": links(1, 60)}, name)
    folder.write("two", [{**row, "url": row["url"].replace(".jpg", ".mp4")} for row in links(2, 90)])
    inputs = [{"kind": "table", "paths": [str(root / f"{table}.jsonl")], "modality": modality, "columns": COLUMNS}
              for table, modality in (("one", "image"), ("two", "video"))]
    folder.run(inputs=inputs, pairs={"filters": filters}, balance={"t": 9})
    return folder


def test_every_modality_is_told_by_its_own_counts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (entry,) = explain(folder.catalog, "cat").entries
    assert [found.modality for found in entry.modalities] == ["image", "video"]
    for found in entry.modalities:
        counts = dict(folder.query(
            f"SELECT entry, texts FROM entry_counts WHERE modality = '{found.modality}' AND vocabulary_lang = 'en'"))
        assert found.matched == found.counted == counts["cat"]
        assert found.rank == 1 + sum(texts > counts["cat"] for texts in counts.values())
        assert found.probability == pytest.approx(min(1.0, found.threshold / counts["cat"]))
    modality_of = dict(folder.query("SELECT pair_id, modality FROM pairs"))
    samples = [*entry.kept_samples, *entry.dropped_samples]
    assert all(sample.modality == modality_of[sample.pair_id] for sample in samples)
    lines = explain_lines(explain(folder.catalog, "cat", samples=500))
    assert sum(line.startswith("    video  ") for line in lines) == sum(
        found.picked for found in entry.modalities if found.modality == "video")
    assert "  page hosts of all modalities (texts, kept)" in lines


def test_one_modality_needs_no_name(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"one": links(1, 60)})
    folder.run()
    lines = explain_lines(explain(folder.catalog, "cat"))
    assert "  page hosts (texts, kept)" in lines
    assert not any(line.startswith("    image  ") for line in lines)


def test_lists_of_the_same_name_with_another_content_are_said(tmp_path: Path) -> None:
    deny = tmp_path / "deny.txt"
    deny.write_text("one.example\n")
    filters = {"domains": {"deny": [f"@{deny}"]}}
    first = folder_of(tmp_path, "a", **filters)
    deny.write_text("one.example\ntwo.example\n")
    second = folder_of(tmp_path, "b", **filters)
    parts = {part.stage: part for part in explain_difference(first.catalog, second.catalog, "cat").parts}
    assert parts["pairs"].lost > 0
    assert parts["pairs"].changes == ["the lists or models of pairs.filters hold something else"]
    same = explain_difference(first.catalog, first.catalog, "cat")
    assert all(not part.changes for part in same.parts)
