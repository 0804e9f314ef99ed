"""`describe`, and docs/schemas.md, which is made from the same schemas."""

from __future__ import annotations

from pathlib import Path

import pytest
from inspect_runs import Folder, links, printed

from curation import commands
from curation.errors import CurationError
from curation.inspect.describe import describe, describe_lines, overview_lines, schema_reference
from curation.pipeline import STAGES
from curation.schemas import DATASETS

_REFERENCE = Path(__file__).parents[2] / "docs" / "schemas.md"


@pytest.mark.parametrize("name", DATASETS)
def test_every_column_is_described(name: str) -> None:
    description = describe(name)
    assert [column.name for column in description.columns] == DATASETS[name].columns
    assert all(column.meaning and column.type for column in description.columns)
    assert description.stages
    lines = "\n".join(describe_lines(description))
    assert all(column.meaning in lines for column in description.columns)
    assert any(name in line for line in overview_lines())


def test_types_and_nulls_are_said() -> None:
    columns = {column.name: column for column in describe("candidates").columns}
    assert columns["robots"].type == "list<string>"
    assert columns["page_url"].nullable
    assert not columns["media_id"].nullable
    assert "(may be null)" in "\n".join(describe_lines(describe("candidates")))


def test_the_reference_page_is_current() -> None:
    assert _REFERENCE.read_text(encoding="utf-8") == schema_reference(), (
        "docs/schemas.md is outdated: curation describe --markdown > docs/schemas.md")


def test_an_unknown_dataset_lists_the_known_ones() -> None:
    with pytest.raises(CurationError, match=r"'pears'.*candidates, site_rules, pairs"):
        describe("pears")


def test_a_work_folder_adds_rows_bytes_and_place(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"one": [*links(1, 40), *(
        {"url": "https://img.example/spacer.gif", "alt": f"a sentence about number {n}"} for n in range(30))]})
    assert "has no extract yet" in (describe("candidates", folder.catalog).holdings.missing or "")
    folder.run()
    selection = {stage.name for stage in STAGES}
    for name in DATASETS:
        if not selection & set(describe(name).stages):
            continue  # of what follows the selection
        held = describe(name, folder.catalog).holdings
        assert held is not None
        assert held.missing is None
        assert held.rows == (folder.query(f"SELECT count(*) FROM {name}")[0][0])
        files = list((folder.work / name).rglob("*.parquet"))
        assert (held.files, held.size_bytes) == (len(files), sum(file.stat().st_size for file in files))
        assert held.location == str(folder.work / name)
        assert f"{held.rows:,} row" in describe_lines(describe(name, folder.catalog))[-1]
    assert describe("rejections", folder.catalog).holdings.rows > 0
    assert "under " in printed(commands.describe, "pairs", str(folder.work))


def test_the_command_without_a_folder() -> None:
    assert "pair_id" in printed(commands.describe, "pairs", None)
    assert printed(commands.describe, None, None).splitlines() == overview_lines()
    assert printed(commands.describe, None, None, markdown=True) == schema_reference()
