"""Made-up manifests: valid rows, the same whatever their batches, readable as a run's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import curation.testing.manifests as manifests_module
from curation.crawl.urls import media_id
from curation.inspect import connect
from curation.media.shards import check_shard, read_member
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.storage import Store
from curation.testing.manifests import manifest_table, write_manifest


def test_rows_are_what_the_schema_says() -> None:
    table = manifest_table(3000, 1)
    table.validate(full=True)
    assert table.schema == MANIFEST.schema
    assert table.num_rows == 3000 == len(pc.unique(table.column("sample_id")))
    for row in table.to_pylist():
        is_video = row["modality"] == "video"
        assert row["media_id"] == media_id(row["media_url"])
        assert row["media_bucket"] == int(row["media_id"][:8], 16) % manifests_module.BUCKETS
        assert (row["clip_id"] is not None, row["start_ms"] is not None, row["scores"] is not None) == (is_video,) * 3
        assert (row["original_width"] is None) == is_video
        first = row["texts"][0]
        assert (row["text"], row["entry_ids"]) == (first["text"], first["entry_ids"])
        assert row["text_kind"] == f"{first['captioner']}.{first['kind']}"
        assert row["entry_ids"] == sorted(set(row["entry_ids"])) != []
        pairs = [text for text in row["texts"] if text["captioner"] == "alt"]
        assert row["keep_probability"] == max(text["keep_probability"] for text in pairs)
        assert row["critical_threshold"] == min(text["critical_threshold"] for text in pairs)
        assert all(text["weight"] == float(text["start_ms"] is None) for text in row["texts"])
    share = pc.mean(pc.equal(table.column("modality"), "video").cast(pa.int8())).as_py()
    assert abs(share - 0.2) < 0.05


@pytest.mark.parametrize("videos", [0.0, 1.0])
def test_all_or_none_may_be_clips(videos: float) -> None:
    table = manifest_table(200, videos=videos)
    assert pc.unique(table.column("modality")).to_pylist() == ["video" if videos else "image"]
    if videos:
        assert len(pc.unique(table.column("media_id"))) == 50
        splits = {(row["media_id"], row["split"]) for row in table.to_pylist()}
        assert len(splits) == 50


def test_seeds_and_numbers_decide_and_batches_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    table = manifest_table(500, 3)
    assert manifest_table(500, 3).equals(table)
    assert not manifest_table(500, 4).equals(table)
    monkeypatch.setattr(manifests_module, "_BUCKET_ROWS", 20)  # 25 buckets
    other = manifest_table(500, 3)
    placed = ["media_bucket", "path", "offset"]
    assert len(pc.unique(other.column("media_bucket"))) > manifests_module.BUCKETS
    both = [each.drop_columns(placed).sort_by("sample_id") for each in (table, other)]
    assert both[0].equals(both[1])


def test_a_folder_reads_like_that_of_a_run(tmp_path: Path) -> None:
    store = write_manifest(tmp_path, 400, seed=2)
    with connect(tmp_path) as database:
        read = database.sql("SELECT * FROM manifest ORDER BY media_bucket, sample_id").to_arrow_table()
        assert read.column("sample_id").to_pylist() == manifest_table(400, 2).column("sample_id").to_pylist()
        wrong = database.sql("""
            WITH held AS (SELECT modality, vocabulary_lang, unnest(entry_ids) AS entry_id FROM manifest),
                 sums AS (SELECT modality, vocabulary_lang, entry_id, count(*) AS n FROM held GROUP BY ALL)
            SELECT count(*) FROM sums FULL JOIN (SELECT * FROM entry_probabilities WHERE samples > 0) AS told
            USING (modality, vocabulary_lang, entry_id)
            WHERE n IS DISTINCT FROM samples OR probability <> least(1, threshold / "count")""").fetchall()
        above = database.sql("""
            SELECT count(*) FROM manifest
            JOIN (SELECT modality, vocabulary_lang, max(threshold) AS t FROM entry_probabilities GROUP BY ALL) USING (
                modality, vocabulary_lang)
            WHERE critical_threshold > t AND text_kind LIKE 'alt.%' AND len(texts) = 1""").fetchall()
    assert wrong == above == [(0,)]
    versions = {Catalog(each, ALL_STAGES).visible("manifest").version
                for each in (store, write_manifest(tmp_path / "b", manifest_table(400, 2)))}  # fmt: skip
    assert len(versions) == 1
    other = write_manifest(tmp_path / "c", manifest_table(400, 2).slice(1), entries=False)
    assert Catalog(other, ALL_STAGES).visible("manifest").version not in versions
    assert Catalog(other, ALL_STAGES).current("entry_probabilities") is None


def test_bytes_are_real(tmp_path: Path) -> None:
    store = write_manifest(tmp_path, 60, with_bytes=True)
    with connect(tmp_path) as database:
        rows = database.sql("SELECT * FROM manifest").to_arrow_table().to_pylist()
    assert {row["modality"] for row in rows} == {"image", "video"}
    for row in rows:
        data = read_member(store, row["path"], row["offset"], row["size_bytes"])
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        if row["modality"] == "image":
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None and pixels.shape == (row["height"], row["width"], 3)
    clip = next(row for row in rows if row["modality"] == "video")
    (tmp_path / "clip.mp4").write_bytes(read_member(store, clip["path"], clip["offset"], clip["size_bytes"]))
    with av.open(str(tmp_path / "clip.mp4")) as opened:
        stream = opened.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (clip["width"], clip["height"], 24)
    assert sum(len(check_shard(tmp_path / path)) for path in {row["path"] for row in rows}) == 60


def test_nothing_is_a_manifest_too(tmp_path: Path) -> None:
    assert manifest_table(0).schema == MANIFEST.schema
    assert manifest_table(0).num_rows == 0
    with np.errstate(all="raise"):
        store = write_manifest(tmp_path, 0)
    assert Catalog(store, ALL_STAGES).visible("manifest").rows("manifest") == 0
    assert Store.at(tmp_path).names("manifest") == {"_current.json"}
