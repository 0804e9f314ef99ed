"""Parquet with bytes: every column of the manifest, bounded groups and files, lineage, the stored bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from export_manifests import Folder, hostile

from curation.export import parquet
from curation.export.view import Selection
from curation.schemas import MANIFEST


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"))


def test_rows_are_the_manifests_with_their_bytes(folder: Folder, tmp_path: Path) -> None:
    folder.export("parquet", tmp_path)
    assert {path.name for path in tmp_path.glob("*.parquet")} == {
        "train-00000-of-00001.parquet", "val-00000-of-00001.parquet"
    }  # fmt: skip
    found = {}
    for split in ("train", "val"):
        table = pq.read_table(tmp_path / f"{split}-00000-of-00001.parquet")
        names = [*(name for name in MANIFEST.columns if name not in ("path", "offset")), "bytes"]
        assert table.schema.names == names
        assert [table.schema.field(name).metadata for name in names[:-1]] == [
            MANIFEST.schema.field(name).metadata for name in names[:-1]
        ]
        rows = table.to_pylist()
        assert [row["sample_id"] for row in rows] == sorted(row["sample_id"] for row in rows)
        assert {row["split"] for row in rows} == {split}
        found |= {row["sample_id"]: row for row in rows}
    assert all(hashlib.sha256(row.pop("bytes")).hexdigest() == row["sha256"] for row in found.values())
    places = ("path", "offset")
    expected = {row["sample_id"]: {name: row[name] for name in row if name not in places} for row in folder.rows}
    assert found == expected


def test_groups_and_files_are_bounded(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 40_000)
    monkeypatch.setattr(parquet, "FILE_BYTES", 200_000)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 9)
    folder.export("parquet", tmp_path, Selection(split="train"))
    paths = sorted(tmp_path.glob("*.parquet"))
    assert [path.name for path in paths] == [f"train-{n:05d}-of-{len(paths):05d}.parquet" for n in range(len(paths))]
    ids: list[str] = []
    for path in paths:
        file = pq.ParquetFile(path)
        groups = (file.read_row_group(group, ["size_bytes"]) for group in range(file.num_row_groups))
        sizes = [group.column(0).to_pylist() for group in groups]
        assert all(len(each) <= 9 and (sum(each) <= 40_000 or len(each) == 1) for each in sizes)
        assert sum(map(sum, sizes)) <= 200_000
        ids += file.read(["sample_id"]).column(0).to_pylist()
    assert ids == [row["sample_id"] for row in folder.rows if row["split"] == "train"]
    assert len(paths) > 2 and len(sizes) > 1


def test_only_texts_are_compressed_and_lineage_is_told(folder: Folder, tmp_path: Path) -> None:
    folder.export("parquet", tmp_path, Selection(split="train", modality="image"))
    file = pq.ParquetFile(tmp_path / "train-00000-of-00001.parquet")
    columns = [file.metadata.row_group(0).column(number) for number in range(len(file.schema))]
    codecs = {column.path_in_schema: column.compression for column in columns}
    assert codecs.pop("bytes") == "UNCOMPRESSED" and set(codecs.values()) == {"ZSTD"}
    told = json.loads(file.schema_arrow.metadata[b"curation"])
    assert told["selection"] == {"split": "train", "modality": "image"} and set(told["stages"]) == {"manifest"}
    assert told["stages"] == json.loads((tmp_path / "export.json").read_text())["stages"]


def test_without_media_there_is_no_column_of_bytes(folder: Folder, tmp_path: Path) -> None:
    folder.export("parquet", tmp_path, media="none")
    found = duckdb.sql(f"SELECT count(*), count(DISTINCT sample_id) FROM '{tmp_path}/*.parquet'").fetchall()
    assert found == [(len(folder.rows), len(folder.rows))]
    assert "bytes" not in pq.read_schema(tmp_path / "val-00000-of-00001.parquet").names
