"""The stage fetch against a loopback web that goes wrong in every way: its ledger, its requests, its shards."""

from __future__ import annotations

import hashlib
import json
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faults_web import FetchWeb, body, build_web, fetched, ids, ledger

from curation.errors import StageError
from curation.media.shards import check_shard
from curation.pipeline import ALL_STAGES
from curation.recipe import load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.runner.stage import Task
from curation.runner.units import UnitReport
from curation.runner.work import run_unit
from curation.schemas import MEDIA_SHARDS
from curation.stages.fetch import Fetch
from curation.storage import Store
from curation.testing.faulty_server import FaultyServer

HOSTS = [f"h{number:02d}.pics.test" for number in range(50)]
STEADY = ("missing", "robots", "html", "huge", "tiny", "cut_short")
"""Kinds that answer at once and always the same."""


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(HOSTS, body) as started:
        yield started


def shards(outcome: StageOutcome, work: Path) -> dict[str, str]:
    rows = Store(str(work)).table(outcome.manifest.paths(MEDIA_SHARDS.name), MEDIA_SHARDS.schema).to_pylist()
    for row in rows:
        data = (work / row["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (row["size_bytes"], row["sha256"])
        assert len(check_shard(work / row["path"])) == 2 * row["samples"]
    return {row["path"]: row["sha256"] for row in rows}


def asked(web: FetchWeb, since: int = 0) -> Counter[tuple[str, str]]:
    return Counter((entry.host, entry.path.partition("?")[0]) for entry in web.server.log[since:])


@pytest.mark.slow
def test_every_row_is_what_the_server_foretells(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=400, bad_share=0.25)
    work = tmp_path / "work"
    rows, by_id = ledger(fetched(web, work), work), ids(web.urls)
    assert rows.keys() == by_id.keys()
    wrong = {
        url: {name: (rows[media_id][name], value) for name, value in web.expected(url).items()
              if rows[media_id][name] != value}
        for media_id, url in by_id.items()
    }  # fmt: skip
    assert {url: found for url, found in wrong.items() if found} == {}
    assert len({row["error"] for row in rows.values()}) >= 14
    for media_id, row in rows.items():
        assert row["media_url"] == by_id[media_id]
        if row["status"] == "ok":
            with (work / row["path"]).open("rb") as file:
                file.seek(row["offset"])
                assert hashlib.sha256(file.read(row["size_bytes"])).hexdigest() == row["stored_sha256"]


def test_a_shard_is_what_img2dataset_s_users_know(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=60, bad_share=0)
    work = tmp_path / "work"
    outcome = fetched(web, work)
    rows = ledger(outcome, work)
    seen = []
    for path in shards(outcome, work):
        with tarfile.open(work / path) as tar:
            names = tar.getnames()
            assert names == sorted(names)
            for name in names:
                key, _, extension = name.partition(".")
                seen.append(key)
                if extension == "json":
                    facts = json.loads(tar.extractfile(name).read())  # type: ignore[union-attr]
                    assert facts["status"] == "success" and facts["key"] == key
                    assert facts["url"] == rows[key]["media_url"] and facts["sha256"] == rows[key]["sha256"]
    assert Counter(seen) == Counter({media_id: 2 for media_id, row in rows.items() if row["status"] == "ok"})


def test_the_same_again_asks_nothing_and_elsewhere_gives_the_same_bytes(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=300, bad_share=0.2, kinds=STEADY)
    first = fetched(web, tmp_path / "one")
    before = len(server.log)
    again = fetched(web, tmp_path / "one")
    assert (again.units_done, len(server.log)) == (0, before)
    other = fetched(web, tmp_path / "two")
    assert other.units_done == first.units_done > 3
    assert shards(other, tmp_path / "two") == shards(first, tmp_path / "one")
    assert first.manifest.version == other.manifest.version
    data = [[entry.xxh128 for r in o.manifest.reports.values() for entry in r.files["media"]] for o in (first, other)]
    assert data[0] == data[1]


def test_a_larger_selection_repeats_no_request(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=800, bad_share=0.2, kinds=STEADY, fetch={"shard_media": 50})
    work = tmp_path / "work"
    small = ledger(fetched(web, work, "balance.t=30"), work)
    half = len(server.log)
    large = ledger(fetched(web, work, "balance.t=60"), work)
    assert 100 < len(small) < 0.7 * len(large)
    assert asked(web, half).total() == len(large) - len(small)
    assert max(asked(web).values()) == 1
    assert {media_id: large[media_id] for media_id in small} == small
    back = ledger(fetched(web, work, "balance.t=30"), work)
    assert back.keys() >= small.keys() and max(asked(web).values()) == 1


def test_only_settings_of_pictures_fetch_anew(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=80, bad_share=0)
    work = tmp_path / "work"
    first = fetched(web, work)
    slower = fetched(web, work, "fetch.network.read_timeout_s=9", "fetch.shard_seconds=77")
    assert (slower.units_done, asked(web).total()) == (0, 80)
    larger = fetched(web, work, "fetch.image.image_size=48")
    assert asked(web).total() == 160
    assert not set(shards(first, work)) & set(shards(larger, work))
    back = fetched(web, work)
    assert (back.units_done, asked(web).total()) == (0, 160)


def test_only_passing_failures_are_asked_for_again(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(
        tmp_path, server, count=240, bad_share=0.5, kinds=("flaky", "missing", "html", "busy"), network={"attempts": 1}
    )
    work = tmp_path / "work"
    first = fetched(web, work)
    rows = ledger(first, work)
    passing = {media_id for media_id, row in rows.items() if row["transient"]}
    assert {rows[media_id]["error"] for media_id in passing} == {"http_5xx", "too_many_requests"}
    before = len(server.log)
    second = fetched(web, work)
    assert asked(web, before).total() == len(passing)
    later = ledger(second, work)
    busy = {m for m in passing if rows[m]["error"] == "too_many_requests"}  # answered the second time
    assert {m for m in passing if later[m]["status"] == "ok"} == busy
    assert {later[m]["attempts"] for m in passing} == {2}
    unchanged = rows.keys() - passing
    assert {m: later[m] for m in unchanged} == {m: rows[m] for m in unchanged}
    assert shards(second, work).items() > shards(first, work).items()
    third = fetched(web, work)
    assert ledger(third, work).keys() == rows.keys()
    assert not any(row["transient"] for row in ledger(third, work).values())
    before = len(server.log)
    assert fetched(web, work).units_done == 0 and len(server.log) == before


def test_after_retry_days_a_failure_is_final(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=40, bad_share=0.5, kinds=("error",), network={"attempts": 1})
    work = tmp_path / "work"
    fetched(web, work)
    for path in (work / "_runs" / "fetch" / "reports").iterdir():
        tree = json.loads(path.read_text())
        tree["finished_at"] = (datetime.now(UTC) - timedelta(days=7, minutes=1)).isoformat()
        path.write_text(json.dumps(tree))
    before = len(server.log)
    assert fetched(web, work).units_done == 0
    assert fetched(web, work, "fetch.retry_days=8").units_done > 0 and len(server.log) > before


def test_a_dead_network_stops_the_stage_and_burns_nothing(server: FaultyServer, tmp_path: Path) -> None:
    network = {"attempts": 1, "storm_window": 40, "concurrency": 8}
    web = build_web(tmp_path, server, count=800, bad_share=1.0, kinds=("close",), network=network,
                    fetch={"shard_media": 100})  # fmt: skip
    work = tmp_path / "work"
    with pytest.raises(StageError, match=r"fetching is stopped: \d+ of the last 40"):
        fetched(web, work)
    burnt = len(server.log)
    assert burnt < 60  # one window, not one for each of eight units
    with pytest.raises(StageError, match="fetching is stopped"):
        fetched(web, work)
    assert len(server.log) > burnt  # a new run tries again


def test_what_is_not_done_in_time_is_left_for_a_later_run(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=60, bad_share=0, network={"per_host_delay_s": 60.0})
    work = tmp_path / "work"
    rows = ledger(fetched(web, work, "fetch.shard_seconds=3", "pairs.media_buckets=1"), work)
    late = [row for row in rows.values() if row["error"] == "deadline"]
    assert 10 <= len(late) < 60 and all(row["transient"] for row in late)  # 50 hosts, and a minute between requests
    rows = ledger(fetched(web, work, "fetch.network.per_host_delay_s=0", "pairs.media_buckets=1"), work)
    assert not any(row["transient"] for row in rows.values()) and max(asked(web).values()) == 1


def test_three_attempts_at_a_unit_ask_once(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=120, bad_share=0)
    work = tmp_path / "work"
    recipe = load_recipe(web.recipe, ["pairs.media_buckets=1"])
    run = Run(Store.at(work), recipe, ALL_STAGES, LocalEngine, Silent())
    for stage in ALL_STAGES[:6]:
        run.execute(stage)
    plan = run.plan(Fetch())
    task = Task(Store.at(work), plan.version, plan.settings, plan.context, "a run")
    results: list[Any] = []

    def attempt_it() -> None:
        results.append(run_unit(Fetch(), task, plan.units[0]))

    attempts = [threading.Thread(target=attempt_it) for _ in range(3)]
    for attempt in attempts:
        attempt.start()
    for attempt in attempts:
        attempt.join(60)
    assert len(results) == 3 and all(isinstance(result, UnitReport) for result in results)
    assert results[0].files == results[1].files == results[2].files
    assert asked(web).total() == 120


def test_videos_are_not_asked_for(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=40, bad_share=0)
    tree = web.recipe.read_text().replace("- columns:", "- modality: video\n  columns:")
    web.recipe.write_text(tree)
    outcome = fetched(web, tmp_path / "work")
    assert outcome.manifest.rows("media") == 0 and server.log == []
