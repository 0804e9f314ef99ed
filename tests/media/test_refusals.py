"""Opt-out lists and tombstones: whose bytes are neither asked for nor kept, now and when the lists change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults_web import picture, write_fetch_recipe
from hypothesis import given
from hypothesis import strategies as st

from curation.crawl.urls import media_id
from curation.errors import InputError
from curation.media.refusals import Refusals, Tombstones, blanked
from curation.pipeline import ALL_STAGES, stages_of
from curation.recipe import load_recipe
from curation.recipe.media import OptOut
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.schemas import CANDIDATES, MEDIA
from curation.storage import Store
from curation.testing.faulty_server import FaultyServer

HOSTS = ("a.test", "b.test")
COUNT = 24
IDS = st.text("0123456789abcdef", min_size=24, max_size=24)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
TOMBSTONES = st.builds(
    Tombstones,
    st.frozensets(IDS, max_size=3),
    st.frozensets(HASHES, max_size=3),
    st.frozensets(st.integers(1, 2**64 - 1), max_size=3),
    st.frozensets(st.sampled_from(["a.test", "b.test"])),
    st.integers(0, 15),
)


@given(TOMBSTONES, TOMBSTONES)
def test_tombstones_add_up_whatever_their_number(one: Tombstones, other: Tombstones) -> None:
    assert Tombstones.from_json(one.to_json()) == one
    store = Store.at("memory://tombstones")
    try:
        store.put_json("_forgotten/1.json", one.to_json())
        store.put_json("_forgotten/2.json", other.to_json())
        store.put_json("_forgotten/receipt-1.json", {})
        store.put_json("_forgotten/origins/3.json", [])
        assert Tombstones.read(store) == one | other == other | one
    finally:
        store.remove_tree("")


@given(st.lists(st.booleans(), max_size=5), st.sampled_from([CANDIDATES, MEDIA]))
def test_blank_rows_keep_their_number_and_id_only(gone: list[bool], dataset: Any) -> None:
    def value(field: pa.Field) -> Any:
        kind = field.type
        if pa.types.is_list(kind):
            return []
        return "x" * 24 if pa.types.is_string(kind) else True if pa.types.is_boolean(kind) else 7

    rows = [{field.name: value(field) for field in dataset.schema} for _ in gone]
    batch = pa.RecordBatch.from_pylist(rows, schema=dataset.schema)
    found = blanked(batch, pa.array(gone, pa.bool_()).to_numpy(zero_copy_only=False))
    assert found.schema == dataset.schema
    for row, before, blank in zip(found.to_pylist(), rows, gone, strict=True):
        told = {name: cell for name, cell in row.items() if cell}
        kept = ("media_id", "modality") if blank else tuple(name for name, cell in before.items() if cell)
        assert told == {name: before[name] for name in kept}


def _refusals(folder: Path, tombstones: Tombstones = Tombstones(), **lists: str) -> Refusals:  # noqa: B008 - frozen
    for kind, text in lists.items():
        (folder / kind).write_text(text)
    return Refusals(OptOut.model_validate({kind: [str(folder / kind)] for kind in lists}), tombstones)


def test_by_domain_url_digest_and_where_it_leads(tmp_path: Path) -> None:
    digest = media_id("http://c.test/digest.jpg")
    refusals = _refusals(
        tmp_path, Tombstones(domains=frozenset(["gone.test"])), domains="example.org\n*.b.test # all\n",
        urls=f"http://A.test/x.jpg\n{digest}\n",
    )  # fmt: skip
    urls = {
        "http://www.example.org/1.jpg": "opted_out",
        "http://example.org:8080/1.jpg": "opted_out",
        "http://notexample.org/1.jpg": None,
        "http://a.test/x.jpg#part": "opted_out",
        "http://a.test/x.jpg?v": None,
        "http://c.test/digest.jpg": "opted_out",
        "http://img.gone.test/": "forgotten",
        "": None,
    }
    rows = [{"media_id": media_id(url), "media_url": url} for url in urls]
    assert refusals.of_urls(rows) == list(urls.values())
    led = [{"media_id": "0" * 24, "media_url": "http://a.test/y", "final_url": url} for url in urls]
    assert refusals.of_urls(led) == list(urls.values())
    assert [refusals.may_ask(url) for url in urls] == [error is None for error in urls.values()]


def test_hashes_forgotten_ones_first(tmp_path: Path) -> None:
    phash = 0x0F0F_1234_5678_9ABC
    tombstones = Tombstones(sha256=frozenset(["a" * 64]), phashes=frozenset([phash]), max_distance=3)
    refusals = _refusals(tmp_path, tombstones, hashes=f"{'b' * 64}\n{'a' * 64}\n{phash ^ 0xFF << 20:016x}\n")
    of = [("a" * 64, 1), ("b" * 64, 1), ("c" * 64, phash ^ 7), ("c" * 64, phash ^ 0xFF << 20)]
    of += [("c" * 64, None), (None, None)]
    rows = [{"sha256": sha256, "phash": found} for sha256, found in of]
    assert [refusals.of_bytes(row) for row in rows] == ["forgotten", "listed", "forgotten", "listed", None, None]
    assert refusals.hash_lists.has_file("b" * 64)
    assert refusals.hash_lists.has_pictures


def test_bad_lists_are_errors_that_name_the_line(tmp_path: Path) -> None:
    for kind, text in (("domains", "a.test\nhttp://a.test\n"), ("urls", "http://a.test\nfoo\n"), ("hashes", "a\n")):
        with pytest.raises(InputError, match=f"{kind}, line"):
            _refusals(tmp_path, **{kind: text})
    with pytest.raises(InputError, match="nothing at"):
        Refusals(OptOut(domains=[str(tmp_path / "missing")]), Tombstones())


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer(HOSTS, lambda host, path: picture(int(path[-8:-4]))) as running:
        yield running


@pytest.fixture(scope="module")
def finished(server: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe without lists, run once; not to be changed."""
    folder = tmp_path_factory.mktemp("web")
    urls = [_url(server, number) for number in range(COUNT)]
    pq.write_table(pa.table({"url": urls, "caption": ["a dog"] * COUNT}), folder / "urls.parquet")
    (folder / "entries.txt").write_text("dog")
    write_fetch_recipe(folder / "recipe.yaml", server)
    _run(folder)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _url(server: FaultyServer, number: int) -> str:
    return server.url(HOSTS[number % 2], "ok", f"{number:04d}.jpg")


def _run(folder: Path, *overrides: str, work: str = "work") -> dict[str, StageOutcome]:
    recipe = load_recipe(folder / "recipe.yaml", overrides)
    run = Run(Store.at(folder / work), recipe, ALL_STAGES, LocalEngine, Silent())
    with run.lease():
        return {stage.name: run.execute(stage) for stage in stages_of(recipe)}


def _rows(folder: Path, outcomes: dict[str, StageOutcome], work: str = "work") -> dict[str, dict[str, Any]]:
    manifest = outcomes["fetch"].manifest
    table = Store.at(folder / work).table(manifest.paths("media"), MEDIA.schema)
    return {row["media_url"]: row for row in table.to_pylist()}


def test_the_listed_are_not_asked_for(folder: Path, server: FaultyServer) -> None:
    (folder / "domains.txt").write_text("b.test\n")
    (folder / "urls.txt").write_text(_url(server, 0))
    before = len(server.log)
    lists = ("fetch.opt_out.domains=[domains.txt]", "fetch.opt_out.urls=[urls.txt]")  # beside the recipe
    rows = _rows(folder, _run(folder, *lists, work="fresh"), "fresh")
    listed = {_url(server, 0), *(_url(server, number) for number in range(1, COUNT, 2))}
    assert {entry.path for entry in server.log[before:]} == {f"/ok/{number:04d}.jpg" for number in range(2, COUNT, 2)}
    for url, row in rows.items():
        told = (row["status"], row["error"], row["transient"], row["attempts"], row["path"] is None)
        assert told == (("failed", "opted_out", False, 0, True) if url in listed else ("ok", None, False, 1, False))


def test_a_list_that_grows_takes_out_and_one_that_shrinks_asks_again(folder: Path, server: FaultyServer) -> None:
    before = _run(folder)["fetch"].manifest.counts
    (folder / "urls.txt").write_text(_url(server, 3))
    asked, lists = len(server.log), "fetch.opt_out.urls=[urls.txt]"
    grown = _run(folder, lists)
    assert (grown["fetch"].units_done, len(server.log)) == (1, asked)
    counts = grown["fetch"].manifest.counts
    assert (counts["ok"], counts["shard_samples"], counts["failed:opted_out"]) == (COUNT - 1, COUNT - 1, 1)
    assert _rows(folder, grown)[_url(server, 3)]["path"] is None
    assert _run(folder, lists)["fetch"].units_done == 0
    (folder / "urls.txt").write_text("# nobody\n")
    assert _run(folder, lists)["fetch"].manifest.counts == before
    assert [entry.path for entry in server.log[asked:]] == ["/ok/0003.jpg"]
    assert _run(folder)["fetch"].units_done == 0


@pytest.mark.slow
def test_bytes_on_a_list_of_hashes_are_not_stored(folder: Path, server: FaultyServer) -> None:
    rows = _rows(folder, _run(folder))
    one, other = rows[_url(server, 5)], rows[_url(server, 6)]
    (folder / "hashes.txt").write_text(f"{one['sha256']}\n{other['phash'] ^ 3:016x} # two bits off\n")
    for work in ("work", "fresh"):  # taken out of what is there, and not stored where it is fetched now
        found = _run(folder, "fetch.opt_out.hashes=[hashes.txt]", work=work)
        listed = {url for url, row in _rows(folder, found, work).items() if row["error"] == "listed"}
        assert listed == {one["media_url"], other["media_url"]}
        assert found["fetch"].manifest.counts["shard_samples"] == COUNT - 2
        assert _run(folder, "fetch.opt_out.hashes=[hashes.txt]", work=work)["fetch"].units_done == 0
    asked = len(server.log)
    assert _run(folder)["fetch"].manifest.counts["ok"] == COUNT
    assert len(server.log) == asked + 2
