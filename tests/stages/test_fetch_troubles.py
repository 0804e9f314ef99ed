"""fetch where something of ours is broken: resolver, hooks, lists of refusals, reports, the number of buckets."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults_web import body, build_web, fetched, ids, ledger

from curation.crawl.urls import media_id
from curation.errors import StageError
from curation.media import keeping
from curation.media.hooks import Finding, loaded_hooks
from curation.runner.run import StageOutcome
from curation.testing.faulty_server import FaultyServer

HOSTS = [f"h{number:02d}.pics.test" for number in range(20)]
HOOK = "fetch.hooks=[{name: 'test_fetch_troubles:hook'}]"
NEVER = threading.Event()
behaviour: dict[str, Any] = {}
"""What the hook does: fail, wait_s, hang."""


def hook(options: dict[str, Any]) -> Any:
    def look(picture: Any) -> list[Finding]:
        if behaviour.get("hang"):
            behaviour["hang"].wait(60)
        NEVER.wait(behaviour.get("wait_s", 0))
        if behaviour.get("fail"):
            raise RuntimeError("CUDA error: out of memory")
        return [Finding("face", 0.5)]

    return look


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hook is found under this module's plain name, and loaded anew in each test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_fetch_troubles

    test_fetch_troubles.behaviour = behaviour
    behaviour.clear()
    loaded_hooks.cache_clear()
    yield
    if "hang" in behaviour:
        behaviour["hang"].set()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(HOSTS, body) as started:
        yield started


def rows(outcome: StageOutcome, work: Path) -> list[dict[str, Any]]:
    return list(ledger(outcome, work).values())


def errors(outcome: StageOutcome, work: Path) -> Counter[Any]:
    return Counter(row["error"] for row in rows(outcome, work))


@pytest.mark.parametrize("window", [20, 500])
def test_a_resolver_that_knows_no_name_burns_nothing(server: FaultyServer, tmp_path: Path, window: int) -> None:
    """Whether a storm is seen or the list is shorter than its window: with names back every media is asked for."""
    web = build_web(tmp_path, server, count=100, bad_share=0)
    work, dead = tmp_path / "work", ("fetch.network.hosts={}", f"fetch.network.storm_window={window}")
    if window == 20:
        with pytest.raises(StageError, match=r"fetching is stopped: .* failed with dns"):
            fetched(web, work, *dead)
    else:
        assert set(errors(fetched(web, work, *dead), work)) == {"dns"}
    assert server.log == []
    assert "dns" not in errors(fetched(web, work), work)
    assert len(server.log) == 100


def test_a_redirect_to_what_is_refused_is_not_followed(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=40, bad_share=0.5, kinds=("away",))
    work = tmp_path / "work"
    refused = [url for url in web.urls if "/away/" in url][:5]
    leads_to = [url.replace("/away/", "/ok/") for url in refused]
    (tmp_path / "list.txt").write_text("\n".join([leads_to[0], *map(media_id, leads_to[1:])]))
    found = rows(fetched(web, work, "fetch.opt_out={urls: [list.txt]}"), work)
    by_url = {row["media_url"]: row for row in found}
    assert [by_url[url]["error"] for url in refused] == ["opted_out"] * 5
    assert Counter(row["error"] for row in found)["opted_out"] == 5
    paths = {f"/{url.split('/', 3)[3]}" for url in leads_to}
    assert not [entry for entry in server.log if entry.path in paths]


@pytest.mark.slow
def test_a_hook_s_failures_pass(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=40, bad_share=0)
    work = tmp_path / "work"
    behaviour["fail"] = True
    found = rows(fetched(web, work, HOOK), work)
    failed = [row for row in found if row["error"] == "hook_failed"]
    assert len(failed) > 30
    assert all(row["transient"] and "out of memory" in row["detail"] for row in failed)
    behaviour.clear()
    assert "hook_failed" not in errors(fetched(web, work, HOOK), work)


def test_a_hook_that_fails_on_everything_stops_the_stage(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "HOOK_FAILURES", 10)
    web = build_web(tmp_path, server, count=300, bad_share=0, network={"concurrency": 4})
    behaviour["fail"] = True
    with pytest.raises(StageError, match=r"a hook failed on the last 10 pictures: .*out of memory"):
        fetched(web, tmp_path / "work", HOOK, "pairs.media_buckets=1", "fetch.shard_media=1000")
    assert len(server.log) < 200


def test_a_hook_that_hangs_ends_the_unit(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PICTURE_S", 0.3)
    monkeypatch.setattr(keeping, "FLUSH_S", 0.1)
    web = build_web(tmp_path, server, count=4, bad_share=0)
    behaviour["hang"] = threading.Event()
    with pytest.raises(StageError, match=r"a decoder or a hook has not come back from media [0-9a-f]{24}"):
        fetched(web, tmp_path / "work", HOOK, "pairs.media_buckets=1")


@pytest.mark.slow
def test_a_slow_hook_is_no_fault_of_the_hosts(server: FaultyServer, tmp_path: Path) -> None:
    """What is decoded slowly is asked for slowly: no time limit of the network may run out meanwhile."""
    network = {"connect_timeout_s": 0.6, "read_timeout_s": 0.6, "total_timeout_s": 2.0}
    web = build_web(tmp_path, server, count=160, bad_share=0, network=network)
    behaviour["wait_s"] = 0.03
    found = rows(fetched(web, tmp_path / "work", HOOK, "pairs.media_buckets=1"), tmp_path / "work")
    assert {row["attempts"] for row in found} == {1}
    assert len(server.log) == 160


@pytest.mark.slow
def test_other_buckets_leave_one_row_each(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=120, bad_share=0)
    work = tmp_path / "work"
    fetched(web, work)
    found = rows(fetched(web, work, "pairs.media_buckets=8"), work)
    assert {row["media_id"] for row in found} == ids(web.urls).keys()
    assert {row["media_bucket"] for row in found} == set(range(8))


@pytest.mark.slow
def test_damaged_reports_are_made_good(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=40, bad_share=0.5, kinds=("error",), network={"attempts": 1})
    work = tmp_path / "work"
    fetched(web, work)
    fetched(web, work)  # a second round
    for report in (work / "_runs" / "fetch" / "reports").iterdir():
        report.write_text("{")
    (work / "media" / "_current.json").unlink()
    assert {row["media_id"] for row in rows(fetched(web, work), work)} == ids(web.urls).keys()


@pytest.mark.slow
def test_what_settings_of_ours_refused_is_asked_for_when_they_change(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path, server, count=60, bad_share=0.2, kinds=("missing", "private"))
    work = tmp_path / "work"
    wrong = fetched(web, work, "fetch.network.allowed_networks=[]")
    assert set(errors(wrong, work)) == {"refused_address"} and server.log == []
    assert fetched(web, work, "fetch.network.allowed_networks=[]").manifest.reports == wrong.manifest.reports
    mended = fetched(web, work)
    assert errors(mended, work)["refused_address"] == 6  # redirects to 10.0.0.1 stay refused
    before = len(server.log)
    assert fetched(web, work).manifest.reports == mended.manifest.reports and len(server.log) == before
