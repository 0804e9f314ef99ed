"""What is forgotten is nowhere: not in views, stages or the reader at once, and then not in any byte of the folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults_web import picture, write_fetch_recipe
from older_layouts import in_another_layout, rows_of

from curation.crawl.urls import media_id
from curation.errors import InputError, WorkFolderError
from curation.forget import Request, forget
from curation.inspect.views import connect
from curation.media.journal import Journal
from curation.media.keeping import refused_row
from curation.media.reading import MediaReader, MediaUnavailableError
from curation.media.shards import read_member
from curation.pipeline import ALL_STAGES, stages_of
from curation.recipe import load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.lease import Lease
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.storage import Store
from curation.testing.faulty_server import FaultyServer

HOSTS = ("a.test", "b.test", "c.test")
COUNT = 60
ENTRIES = ("dog", "cat", "house", "tree")


def _served(host: str, path: str) -> bytes:
    """A picture each; 1 to 4 show the same one: 2 with the same bytes, 3 encoded anew, 4 once more under c.test."""
    number = int(path[-8:-4])
    if number == 3:
        pixels = cv2.imdecode(np.frombuffer(picture(1), np.uint8), cv2.IMREAD_COLOR)
        return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    return picture(1 if number in (2, 4) else number)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer(HOSTS, _served) as running:
        yield running


def _url(server: FaultyServer, number: int) -> str:
    """0004 and everything from 0050 on lie on c.test."""
    host = "c.test" if number == 4 or number >= 50 else HOSTS[number % 2]
    return server.url(host, "ok", f"picture-{number:04d}.jpg")


def _text(number: int) -> str:
    return f"a {ENTRIES[number % len(ENTRIES)]} by the way, number{number:04d}x"


def _write(folder: Path, server: FaultyServer, numbers: list[int]) -> Path:
    rows = {"url": [_url(server, number) for number in numbers], "caption": [_text(number) for number in numbers]}
    pq.write_table(pa.table(rows), folder / "urls.parquet")
    (folder / "entries.txt").write_text("\n".join(ENTRIES))
    write_fetch_recipe(folder / "recipe.yaml", server, fetch={"shard_media": 10})
    return folder / "recipe.yaml"


def _run(recipe: Path, store: Store) -> dict[str, StageOutcome]:
    run = Run(store, load_recipe(recipe), ALL_STAGES, LocalEngine, Silent())
    with run.lease():
        return {stage.name: run.execute(stage) for stage in stages_of(run.recipe)}


@pytest.fixture(scope="module")
def finished(server: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, and in `work` what an uninterrupted run of it made. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = _write(folder, server, list(range(1, COUNT)))
    outcomes = _run(recipe, Store.at(folder / "work"))
    assert outcomes["fetch"].manifest.counts["ok"] == COUNT - 1
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _strings(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    else:
        yield value


def _traces(work: Path, facts: dict[str, Any]) -> list[str]:
    """Files below `work`, but for tombstones, that hold anything of a media: bytes, URL, text or hashes."""
    pixels = facts["data"][facts["data"].index(b"\xff\xda") :]  # what comes before is alike in all JPEG files
    windows = [pixels[at : at + 32] for at in range(0, len(pixels) - 32, 32)]  # any 64 bytes hold one of them
    words = [facts[name].encode() for name in ("url", "text", "sha256", "stored_sha256")]
    found = []
    for path in (path for path in work.rglob("*") if path.is_file() and "_forgotten" not in path.parts):
        raw = path.read_bytes()
        traces = any(part in raw for part in windows + words)
        if path.suffix == ".parquet":
            cells = set(_strings(pq.read_table(path).drop_columns(_binary(path)).to_pylist()))
            traces |= bool(cells & {facts[name] for name in ("url", "text", "sha256", "phash", "stored_sha256")})
            data = pq.read_table(path, columns=_binary(path)).to_pydict().get("data", [])
            traces |= any(part in cell for part in windows for cell in data if cell)
        if traces:
            found.append(str(path.relative_to(work)))
    return found


def _binary(path: Path) -> list[str]:
    return [name for name in pq.read_schema(path).names if name == "data"]


def _facts(finished: Path, server: FaultyServer, number: int) -> dict[str, Any]:
    store = Store.at(finished / "work")
    row = _ledger(store)[media_id(_url(server, number))]
    data = read_member(store, row["path"], row["offset"], row["size_bytes"])
    return {**row, "url": _url(server, number), "text": _text(number), "data": data}


def _ledger(store: Store) -> dict[str, dict[str, Any]]:
    with connect(store.root) as connection:
        return {row["media_id"]: row for row in connection.sql("SELECT * FROM media").to_arrow_table().to_pylist()}


@pytest.mark.slow
def test_nothing_is_left_and_a_run_does_only_what_it_touches(
    finished: Path, folder: Path, server: FaultyServer
) -> None:
    work, store = folder / "work", Store.at(folder / "work")
    copies = [_facts(finished, server, number) for number in (1, 2, 3, 4)]
    assert all(len(_traces(work, facts)) >= 6 for facts in copies), "the search finds what is there"
    told: list[str] = []
    receipt = forget(store, Request(urls=(copies[0]["url"],)), say=told.append)
    assert (receipt["media_taken_out"], receipt["media_here"], receipt["copies"]) == (4, 4, 3)
    assert receipt["shards"] >= 1
    assert receipt["bytes_removed"] > receipt["bytes_written"] > 0
    assert [_traces(work, facts) for facts in copies] == [[], [], [], []]
    assert not any("http" in path.read_text() or "number00" in path.read_text() for path in _forgotten(work))
    asked = len(server.log)
    outcomes = _run(folder / "recipe.yaml", store)
    assert len(server.log) == asked
    touched = {row["media_id"][:8] for row in copies}
    buckets = len({int(digits, 16) % 4 for digits in touched})
    done = {name: outcome.units_done for name, outcome in outcomes.items()}
    assert (done["extract"], done["pairs"], done["match"], done["fetch"]) == (0, buckets, buckets, 0)
    assert outcomes["pairs"].manifest.counts["filtered:forgotten"] == 4
    assert outcomes["fetch"].manifest.counts["failed:forgotten"] <= 4
    assert outcomes["survive"].manifest.rows("survivors") == COUNT - 1 - 4
    assert [_traces(work, facts) for facts in copies] == [[], [], [], []]
    again = {name: outcome.units_done for name, outcome in _run(folder / "recipe.yaml", store).items()}
    assert set(again.values()) == {0}


def _forgotten(work: Path) -> list[Path]:
    return [path for path in (work / "_forgotten").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_from_the_tombstone_on_nobody_reads_it(
    finished: Path, folder: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right after the tombstone: views, the reader and a run leave it out, though every byte is still there."""
    work, store, facts = folder / "work", Store.at(folder / "work"), _facts(finished, server, 7)
    reader = MediaReader(store)
    assert reader.bytes(facts["media_id"]) == facts["data"]
    with monkeypatch.context() as patch:
        patch.setattr("curation.taking_out.TakingOut.run", _killed)
        with pytest.raises(_Killed):
            forget(store, Request(media_ids=(facts["media_id"],)))
    assert len(_traces(work, facts)) >= 6
    with connect(work) as connection:
        for name in ("candidates", "pairs", "matches", "draws", "kept_pairs", "media"):
            ids = connection.sql(f"SELECT media_id FROM {name}").to_arrow_table().column(0).to_pylist()
            assert (len(ids), facts["media_id"] in ids) == (COUNT - 2, False)
    with pytest.raises(MediaUnavailableError, match="was forgotten"):
        reader.bytes(facts["media_id"])
    asked = len(server.log)
    outcomes = _run(folder / "recipe.yaml", store)
    assert (outcomes["extract"].units_done, outcomes["pairs"].units_done, outcomes["fetch"].units_done) == (0, 1, 1)
    assert outcomes["fetch"].manifest.counts["failed:forgotten"] == 1
    assert outcomes["survive"].manifest.rows("survivors") < COUNT - 1
    assert len(server.log) == asked
    assert len(_traces(work, facts)) >= 6, "older versions still hold it"
    forget(store, Request())  # without names: finishes what was begun
    assert _traces(work, facts) == []
    assert len(_run(folder / "recipe.yaml", store)) == len(stages_of(load_recipe(folder / "recipe.yaml")))
    assert len(server.log) == asked


class _Killed(BaseException):
    pass


def _killed(*_: object) -> None:
    raise _Killed


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_folder_that_reads_and_the_same_command_finishes(
    finished: Path, tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [_facts(finished, server, number) for number in (1, 2, 3, 4)]
    request = Request(urls=(facts[0]["url"],))
    moments = _moments(finished, tmp_path, request, monkeypatch)
    assert moments > 30
    for moment in range(2, moments, max(1, moments // 4)):
        folder = tmp_path / str(moment)
        shutil.copytree(finished, folder)
        store = Store.at(folder / "work")
        with monkeypatch.context() as patch, pytest.raises(_Killed):
            _stop_at(moment, patch)
            forget(store, request)
        (folder / "work" / "_lease.json").unlink(missing_ok=True)  # a kill leaves it; waiting for that is not at stake
        assert {row["media_id"] for row in _ledger(store).values()} >= {
            media_id(_url(server, number)) for number in range(5, COUNT)
        }
        with connect(folder / "work") as connection:
            for name in ("candidates", "pairs", "kept_pairs"):
                connection.sql(f"SELECT * FROM {name}").to_arrow_table()
        reader = MediaReader(store)
        assert reader.bytes(media_id(_url(server, 9))) == _facts(finished, server, 9)["data"]
        asked = len(server.log)
        if moment % 2:  # a run comes before the same command
            _run(folder / "recipe.yaml", store)
        forget(store, request)
        assert [_traces(folder / "work", each) for each in facts] == [[], [], [], []]
        outcomes = _run(folder / "recipe.yaml", store)
        assert outcomes["fetch"].manifest.rows("media") in range(COUNT - 5, COUNT)
        assert (outcomes["extract"].units_done, len(server.log)) == (0, asked)
        shutil.rmtree(folder)


def _moments(finished: Path, tmp_path: Path, request: Request, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many changes of the folder an undisturbed forgetting makes."""
    shutil.copytree(finished, tmp_path / "counted")
    with monkeypatch.context() as patch:
        calls = _stop_at(10**9, patch)
        forget(Store.at(tmp_path / "counted" / "work"), request)
    return len(calls)


def _stop_at(moment: int, patch: pytest.MonkeyPatch) -> list[str]:
    """From the given change of the folder on, none is made any more."""
    calls: list[str] = []
    for name in ("put", "remove", "remove_tree", "whole", "open_write"):
        real = getattr(Store, name)

        def changed(store: Store, path: str, *rest: Any, real: Any = real, name: str = name) -> Any:
            if "_lease" not in path:
                calls.append(name)
                if len(calls) >= moment:
                    raise _Killed
            return real(store, path, *rest)

        patch.setattr(Store, name, changed)
    return calls


def test_on_an_object_store(finished: Path, folder: Path, server: FaultyServer) -> None:
    facts = _facts(finished, server, 11)
    memory = fsspec.filesystem("memory")
    memory.put(str(finished / "work"), "/forgetting/work", recursive=True)
    store = Store.at("memory://forgetting/work")
    try:
        assert MediaReader(store).bytes(facts["media_id"]) == facts["data"]
        receipt = forget(store, Request(urls=(facts["url"],)))
        assert (receipt["media_taken_out"], receipt["shards"]) == (1, 1)
        memory.get("/forgetting/work", str(folder / "got"), recursive=True)
    finally:
        memory.rm("/forgetting", recursive=True)
    assert _traces(folder / "got", facts) == []
    assert _ledger(Store.at(folder / "got"))[facts["media_id"]] == refused_row(facts, "forgotten")


@pytest.mark.parametrize(("copies", "gone"), [("near", {1, 2, 3, 4}), ("exact", {1, 2, 4}), ("none", {1})])
def test_copies_go_with_it_as_asked(copies: Any, gone: set[int], folder: Path, server: FaultyServer) -> None:
    store = Store.at(folder / "work")
    forget(store, Request(urls=(_url(server, 1),), copies=copies))
    rows = _ledger(store)
    assert {number for number in range(1, COUNT) if rows[media_id(_url(server, number))]["error"]} == gone


@pytest.mark.parametrize("name", ["sha256", "stored_sha256"])
def test_by_the_hash_of_a_file(name: str, finished: Path, folder: Path, server: FaultyServer) -> None:
    facts = _facts(finished, server, 1)
    receipt = forget(Store.at(folder / "work"), Request(sha256=(facts[name],)))
    assert receipt["media_taken_out"] == 4
    assert _traces(folder / "work", facts) == []


@pytest.mark.slow
def test_what_comes_later_is_not_asked_for_or_not_kept(folder: Path, server: FaultyServer) -> None:
    """A domain, an unknown URL, and a copy under a new URL, in a later crawl."""
    store, recipe = Store.at(folder / "work"), folder / "recipe.yaml"
    recipe = _write(folder, server, list(range(5, 12)))
    _run(recipe, store := Store.at(folder / "later"))
    told: list[str] = []
    forget(store, Request(urls=(_url(server, 20),), domains=("c.test",)), say=told.append)
    assert "1 of the named media was not found here; it will be refused if it turns up" in told
    told.clear()
    forget(store, Request(urls=(_url(server, 30), _url(server, 31))), say=told.append)
    assert "2 of the named media were not found here; they will be refused if they turn up" in told
    pq.write_table(pa.table({"url": [_url(server, 1)], "caption": [_text(1)]}), folder / "urls.parquet")
    _run(recipe, other := Store.at(folder / "other"))
    first = _ledger(other)[media_id(_url(server, 1))]
    forget(store, Request(sha256=(first["sha256"],)))
    _write(folder, server, [*range(1, 12), 20, 55])
    before = len(server.log)
    outcomes = _run(recipe, store)
    asked = {int(entry.path[-8:-4]) for entry in server.log[before:]}
    assert asked == {1, 2, 3}  # 4 and 55 lie on c.test; 1 and 2 have the bytes, which only asking tells
    assert outcomes["pairs"].manifest.counts["filtered:forgotten"] == 3
    rows = _ledger(store)
    assert [rows[media_id(_url(server, number))]["error"] for number in (1, 2, 3)] == ["forgotten", "forgotten", None]
    assert rows[media_id(_url(server, 1))] == refused_row({**first, "transient": False}, "forgotten")
    assert {outcome.units_done for outcome in _run(recipe, store).values()} == {0}


@pytest.mark.slow
def test_older_versions_plans_and_stopped_units_hold_nothing(
    finished: Path, folder: Path, server: FaultyServer
) -> None:
    work, store, facts = folder / "work", Store.at(folder / "work"), _facts(finished, server, 13)
    other = load_recipe(folder / "recipe.yaml", ["balance.t=1", "fetch.image.encode_quality=90"])
    run = Run(store, other, ALL_STAGES, LocalEngine, Silent())
    with run.lease():
        for stage in stages_of(run.recipe):
            run.execute(stage)
    (folder / "out.txt").write_text(_url(server, 15))
    listed = load_recipe(folder / "recipe.yaml", ["fetch.opt_out.urls=[out.txt]"])
    run = Run(store, listed, ALL_STAGES, LocalEngine, Silent())
    with run.lease():  # a further round: shards of two rounds share their samples
        for stage in stages_of(run.recipe):
            run.execute(stage)
    row = {name: value for name, value in facts.items() if name not in ("url", "text", "data")}
    with Journal(store, "_runs/fetch/journals/bucket-00000-stopped.0", "killed") as journal:
        journal.add(row, facts["data"])
        journal.add({**row, "media_id": "0" * 24, "media_url": "http://a.test/kept", "sha256": "0" * 64,
                     "stored_sha256": "0" * 64, "phash": None}, b"kept")  # fmt: skip
        journal.flush()
    with Journal(store, "_runs/fetch/journals/bucket-00000-alone.0", "killed") as journal:
        journal.add(row, facts["data"])
        journal.flush()
    (work / "media" / "tars" / ".half.tar.0123abcd").write_bytes(facts["data"])
    (work / "_runs" / "fetch" / "journals" / "bucket-00000-alone.0" / "000007.parquet").write_bytes(facts["data"])
    (work / "_runs" / "fetch" / "halts").mkdir()
    (work / "_runs" / "fetch" / "halts" / "a-run.json").write_text(json.dumps(f"the last: {facts['url']}"))
    (work / "_logs").mkdir()
    (work / "_logs" / "fetch-x.txt").write_text(f"Traceback ... {facts['url']}")
    forget(store, Request(urls=(facts["url"],)))
    assert _traces(work, facts) == []
    assert not (work / "_runs" / "fetch" / "halts").exists()
    with Journal(store, "_runs/fetch/journals/bucket-00000-stopped.0", "later") as journal:
        assert list(journal.rows) == ["0" * 24]
        assert journal.data("0" * 24) == b"kept"


_SELECTION = ("page_url", "snapshot", "archive", "record_offset")
_WITHOUT = {
    "provenance": {
        "candidates": (*_SELECTION, "licence"), "pairs": (*_SELECTION, "tracks"), "matches": ("source_rank",),
        "kept_pairs": (*_SELECTION, "keep_probability"), "final_pairs": ("snapshot", "text_media_id"),
        "sample_texts": ("text_media_id",), "samples": ("fps",), "manifest": ("texts", "path"),
    },
    "facts": {
        "media": ("exif", "phash", "final_url", "attempts", "stored_mime", "findings", "original_width"),
        "media_shards": ("sha256",), "_runs/fetch/lists": ("tracks",),
    },
    "addresses": {
        "candidates": ("media_url",), "pairs": ("media_url",), "kept_pairs": ("media_url",),
        "media": ("media_url", "sha256", "transient"), "media_shards": ("path", "samples"), "manifest": ("media_url",),
        "rejections": ("detail",), "_runs/fetch/lists": ("media_url", "modality"),
    },
}  # fmt: skip


@pytest.mark.parametrize("without", _WITHOUT.values(), ids=_WITHOUT)
def test_from_files_of_another_version_of_curation_it_goes_as_well(
    without: dict[str, tuple[str, ...]], finished: Path, folder: Path, server: FaultyServer
) -> None:
    """Superseded files and current ones lack columns that are here today, and have one that is not."""
    work, store, facts = folder / "work", Store.at(folder / "work"), _facts(finished, server, 13)
    run = Run(store, load_recipe(folder / "recipe.yaml", ["balance.t=1"]), ALL_STAGES, LocalEngine, Silent())
    with run.lease():
        for stage in stages_of(run.recipe):
            run.execute(stage)
    assert len([path for path in (work / "kept_pairs").iterdir() if path.is_dir()]) == 2
    left = in_another_layout(work, {name: columns for name, columns in without.items() if (work / name).exists()})
    before = {name: rows_of(work, name, columns) for name, columns in left.items()}
    assert len(_traces(work, facts)) >= 6
    receipt = forget(store, Request(media_ids=(facts["media_id"],)))
    assert receipt["media_taken_out"] == 1
    assert receipt["shards"] >= 1
    assert _traces(work, facts) == []
    for name, columns in left.items():
        others = [row for row in before[name] if row.get("media_id") != facts["media_id"]]
        after = [row for row in rows_of(work, name, columns) if row.get("media_id") != facts["media_id"]]
        if name == "media":  # shards and places in them are new
            others, after = ([{**row, "path": None, "offset": None} for row in rows] for rows in (others, after))
        if name != "media_shards":
            assert sorted(map(repr, after)) == sorted(map(repr, others)), name
    again = forget(store, Request())
    assert (again["media_taken_out"], again["files"], again["shards"]) == (0, 0, 0)


def test_what_goes_wrong_with_rows_leaves_no_bytes(
    finished: Path, folder: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, store, facts = folder / "work", Store.at(folder / "work"), _facts(finished, server, 13)
    with monkeypatch.context() as patch, pytest.raises(_Killed):
        patch.setattr("curation.taking_out.blanked", _killed)
        forget(store, Request(media_ids=(facts["media_id"],)))
    left = _traces(work, facts)
    assert left
    assert not [name for name in left if name.endswith(".tar") or name.startswith(("media", "_logs", "_runs/fetch/j"))]
    forget(store, Request())
    assert _traces(work, facts) == []


def test_lists_and_bad_names(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"# takedowns\nhttp://a.test/x.jpg#top # why\n{'A' * 24}\n{'b' * 64}\nExample.ORG.\n")
    found = Request(media_ids=("c" * 24,)).with_list(str(listed))
    assert found == Request(("http://a.test/x.jpg#top",), ("c" * 24, "a" * 24), ("example.org",), ("b" * 64,))
    listed.write_text("example.org\nnot a name\n")
    with pytest.raises(InputError, match="line 2, is 'not a name': give a URL"):
        Request().with_list(str(listed))
    for bad in ({"urls": ("ftp://a.test/x",)}, {"media_ids": ("x" * 24,)}, {"sha256": ("0",)}, {"domains": ("a b",)}):
        with pytest.raises(InputError, match="is not a"):
            Request(**bad)
    with pytest.raises(WorkFolderError, match="no work folder"):
        forget(Store.at(tmp_path), Request())


def test_a_running_run_is_not_disturbed_and_a_second_time_changes_nothing(folder: Path, server: FaultyServer) -> None:
    store = Store.at(folder / "work")
    with Lease(store), pytest.raises(WorkFolderError, match="another run"):
        forget(store, Request(urls=(_url(server, 5),)))
    assert not (folder / "work" / "_forgotten").exists()
    forget(store, Request(urls=(_url(server, 5),)))
    before = {path: path.read_bytes() for path in (folder / "work").rglob("*") if path.is_file()}
    receipt = forget(store, Request(urls=(_url(server, 5),)))
    told = [receipt[name] for name in ("media_taken_out", "files", "bytes_removed", "tombstone")]
    assert told == [0, 0, 0, None]
    after = {path: path.read_bytes() for path in (folder / "work").rglob("*") if path.is_file()}
    new = after.keys() - before.keys()
    assert [json.loads(after[path])["media_here"] for path in new] == [0]
    assert all(after[path] == data for path, data in before.items())
