"""A work folder through DuckDB: what is published and fresh is there, nothing else is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import duckdb
import fsspec
import pyarrow as pa
import pytest
from card_pools import Pool, make_pool, make_recipe, publish

from curation.errors import StaleDatasetError, WorkFolderError
from curation.inspect.views import connect, dataset, files_of
from curation.media.refusals import Tombstones
from curation.pipeline import STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store

DATASETS = {dataset.name: dataset for stage in STAGES for dataset in stage.outputs}
"""Those of the selection: nothing is fetched here."""


def write(folder: str | Path, pool: Pool, until: str | None = None) -> Catalog:
    return publish(folder, pool, make_recipe(pool), until=until)


def views_of(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in connection.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}


def redo(catalog: Catalog, stage: str) -> None:
    """Publishes a stage anew under another version, so that what follows it is outdated."""
    manifest = catalog.current(stage)
    assert manifest is not None
    catalog.publish(replace(manifest, version="v-later"))


def test_every_dataset_is_a_view_with_its_columns_and_rows(tmp_path: Path) -> None:
    pool = make_pool(1)
    write(tmp_path, pool)
    with connect(tmp_path) as connection:
        assert views_of(connection) == set(DATASETS)
        for name, described in DATASETS.items():
            assert connection.view(name).columns == described.columns
        for name, rows in (
            ("candidates", pool.candidates),
            ("pairs", pool.pairs),
            ("matches", pool.matches),
            ("draws", pool.matches),
            ("kept_pairs", pool.kept),
        ):
            assert connection.sql(f"SELECT count(*) FROM {name}").fetchall() == [(len(rows),)]
        kept = connection.sql("SELECT pair_id, entry_ids, robots FROM kept_pairs").fetchall()
        assert sorted(kept) == sorted((row["pair_id"], row["entry_ids"], row["robots"]) for row in pool.kept)


def test_rejections_are_those_of_all_stages(tmp_path: Path) -> None:
    write(tmp_path, make_pool(1))
    with connect(tmp_path) as connection:
        found = connection.sql('SELECT stage, reason, file, "offset" FROM rejections ORDER BY stage').fetchall()
    assert found == [("extract", "broken_gzip", "a.wat.gz", 7), ("pairs", "placeholder", "a.wat.gz", 7)]


def test_empty_datasets_are_empty_views_with_typed_columns(tmp_path: Path) -> None:
    write(tmp_path, Pool({"en": ["cat"]}, {}))
    with connect(tmp_path) as connection:
        assert views_of(connection) == set(DATASETS)
        for name, described in DATASETS.items():
            if name != "rejections":
                found = connection.sql(f"SELECT * FROM {name}").to_arrow_table()
                assert found.num_rows == 0
                assert found.schema.names == described.columns
                assert [str(kind) for kind in found.schema.types] == [
                    str(kind).replace("item", "l").replace(" not null", "") for kind in described.schema.types
                ]


def test_missing_datasets_have_no_view_and_say_so(tmp_path: Path) -> None:
    write(tmp_path, make_pool(1), until="match")
    with connect(tmp_path) as connection:
        assert views_of(connection) == {
            "candidates",
            "site_rules",
            "pairs",
            "matches",
            "match_counts",
            "rejections",
        }
        assert dataset(connection, tmp_path, "pairs").columns == DATASETS["pairs"].columns
        with pytest.raises(WorkFolderError, match="has no balance yet"):
            dataset(connection, tmp_path, "kept_pairs")
        with pytest.raises(WorkFolderError, match="no dataset is called 'pears'"):
            dataset(connection, tmp_path, "pears")


def test_outdated_datasets_have_no_view_and_say_so(tmp_path: Path) -> None:
    catalog = write(tmp_path, make_pool(1))
    redo(catalog, "count")
    with connect(tmp_path) as connection:
        assert views_of(connection) == set(DATASETS) - {"draws", "draw_histograms", "kept_pairs", "kept_counts"}
        with pytest.raises(StaleDatasetError, match="finish `curation run`"):
            dataset(connection, tmp_path, "kept_pairs")


def test_datasets_of_another_version_of_curation_have_no_view_and_say_so(tmp_path: Path) -> None:
    """With other columns: whoever upgrades still sees all else, and what to do."""
    catalog = write(tmp_path, make_pool(1))
    for path in catalog.files("kept_pairs"):
        pa.parquet.write_table(pa.parquet.read_table(path).drop_columns(["archive"]), path)
    with connect(tmp_path) as connection:
        assert {"pairs", "draws"} <= views_of(connection)
        assert "kept_pairs" not in views_of(connection)
        with pytest.raises(StaleDatasetError, match="another version of curation, with other columns: run"):
            dataset(connection, tmp_path, "kept_pairs")


def test_forgotten_media_are_left_out_for_cursors_too(tmp_path: Path) -> None:
    """And the table of their ids is nothing that can be asked for."""
    pool = make_pool(1)
    catalog = write(tmp_path, pool)
    gone = pool.pairs[0]["media_id"]
    catalog.store.put_json("_forgotten/1.json", Tombstones(media_ids=frozenset([gone])).to_json())
    with connect(tmp_path) as connection, connection.cursor() as cursor:
        for each in (connection, cursor):
            left = each.sql("SELECT count(*) FILTER (media_id = ?), count(*) FROM pairs", params=[gone]).fetchall()
            assert left == [(0, sum(row["media_id"] != gone for row in pool.pairs))]
            tables = {name for (name,) in each.sql("SHOW TABLES").fetchall()}
            assert tables == {*DATASETS, "stages", "thresholds"}


def test_rejections_of_an_outdated_stage_are_left_out(tmp_path: Path) -> None:
    catalog = write(tmp_path, make_pool(1))
    redo(catalog, "extract")
    with connect(tmp_path) as connection:
        assert connection.sql("SELECT DISTINCT stage FROM rejections").fetchall() == [("extract",)]


def test_a_dataset_published_after_connecting_asks_to_connect_again(tmp_path: Path) -> None:
    pool = make_pool(1)
    write(tmp_path, pool, until="extract")
    with connect(tmp_path) as connection:
        write(tmp_path, pool)
        with pytest.raises(WorkFolderError, match="connect again"):
            dataset(connection, tmp_path, "kept_pairs")


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_without_datasets_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkFolderError, match="holds no published dataset"):
        connect(tmp_path / name)


@pytest.mark.parametrize("name", ["we[i]rd", "stars*and?", "it's", "stage=x", "with space"])
def test_no_character_of_a_folder_is_a_pattern(tmp_path: Path, name: str) -> None:
    pool = make_pool(1, media=20)
    write(tmp_path / name, pool)
    with connect(tmp_path / name) as connection:
        assert connection.sql("SELECT count(*) FROM pairs").fetchall() == [(len(pool.pairs),)]
        assert connection.sql("SELECT DISTINCT stage FROM rejections ORDER BY 1").fetchall() == [
            ("extract",),
            ("pairs",),
        ]


@pytest.mark.parametrize("location", ["memory://run/one", "memory://run/[2]"])
def test_urls_are_read_through_fsspec(location: str) -> None:
    pool = make_pool(1, media=20)
    write(location, pool)
    try:
        with connect(location) as connection:
            assert connection.sql("SELECT count(*) FROM pairs").fetchall() == [(len(pool.pairs),)]
            assert connection.cursor().sql("SELECT count(*) FROM kept_pairs").fetchall() == [(len(pool.kept),)]
    finally:
        fsspec.filesystem("memory").rm("/run", recursive=True)


@pytest.mark.slow
def test_nothing_is_downloaded_and_nothing_spilled_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "run", make_pool(1, media=20))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with connect(tmp_path / "run", memory_limit="300MB", threads=2) as connection:
        options = dict(connection.sql("SELECT name, value FROM duckdb_settings()").fetchall())
        assert options["autoinstall_known_extensions"] == options["autoload_known_extensions"] == "false"
        assert options["threads"] == "2"
        connection.execute(
            "CREATE TEMP TABLE big AS SELECT i, md5(i::VARCHAR) AS hash FROM range(4000000) t(i) ORDER BY hash"
        )
        spill = options["temp_directory"]
        assert os.path.isdir(spill)  # noqa: PTH112
    assert not os.path.exists(spill)  # noqa: PTH110
    assert list((tmp_path / "here").iterdir()) == []


def test_files_are_those_of_the_catalog(tmp_path: Path) -> None:
    write(tmp_path, make_pool(1))
    catalog = Catalog(Store.at(tmp_path), STAGES)
    assert files_of(catalog, "pairs") == catalog.files("pairs")
    assert sum(pa.parquet.read_metadata(path).num_rows for path in files_of(catalog, "rejections")) == 2
