"""fetch on real Spark: thousands of URLs told row by row, a spot storm with speculation, kill -9 at bad moments."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from faults_harness import (
    CLUSTER,
    LOCAL,
    ROOT,
    SPARK_HOME,
    Job,
    curation,
    kill,
    run,
    started,
    wait_until,
)
from faults_reading import catalog
from faults_web import FetchWeb, body, build_web, ids

from curation.media.shards import check_shard
from curation.testing.faulty_server import FaultyServer

pytestmark = pytest.mark.slow

HOSTS = [f"h{number:02d}.pics.test" for number in range(60)]
STATELESS = ("slow", "missing", "gone", "robots", "html", "huge", "private", "forbidden", "wrong_type", "empty")
"""Kinds that answer the same however often they are asked, each time at once."""
STORM_S = 120.0
"""Between two strikes: the two minutes that spot markets are known for."""
_log = logging.getLogger("faults")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(HOSTS, body, spread=True) as started_server:
        yield started_server


def rows(work: Path, *left_out: str) -> list[Any]:
    """The ledger, in order."""
    files = catalog(work).files("media")
    columns = f"* EXCLUDE ({', '.join(left_out)})" if left_out else "*"
    return duckdb.sql(f"SELECT {columns} FROM read_parquet({files!r}) ORDER BY media_id").fetchall()


def shards(work: Path) -> list[Any]:
    """Each shard's name, size and sha256 as the dataset says; every file is looked at, too."""
    files = catalog(work).files("media_shards")
    columns = "path, samples, size_bytes, sha256"
    found = duckdb.sql(f"SELECT {columns} FROM read_parquet({files!r}) ORDER BY path").fetchall()
    for path, samples, size_bytes, _ in found:
        assert (work / path).stat().st_size == size_bytes
        assert len(check_shard(work / path)) == 2 * samples
    tars = {str(path.relative_to(work)) for path in (work / "media").rglob("*.tar")}
    assert tars == {path for path, *_ in found}, "a shard that no dataset tells of"
    assert not list((work / "_runs" / "fetch").glob("journals/*")), "a journal that was not removed"
    return found


def submitted(recipe: Path, work: Path, *settings: str) -> list[str | Path]:
    """spark-submit onto four executors, with speculation that strikes early."""
    conf = {
        "spark.speculation": "true",
        "spark.speculation.interval": "500ms",
        "spark.speculation.multiplier": "1.1",
        "spark.speculation.quantile": "0.1",
        "spark.speculation.minTaskRuntime": "3s",
        "spark.task.maxFailures": "100",
        "spark.deploy.maxExecutorRetries": "-1",
    }
    flags = [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
    sets = [part for setting in settings for part in ("--set", setting)]
    submit: list[str | Path] = [SPARK_HOME / "bin" / "spark-submit", "--master", "local-cluster[4,1,1024]", *flags]
    return [*submit, ROOT / "jobs" / "00_all.py", recipe, "--work", work, *sets]


def is_fetching(work: Path) -> bool:
    return any((work / "_runs" / "fetch" / "journals").glob("*/*.parquet"))


def strike(job: Job) -> int:
    """kill -9 of half of the executors."""
    executors = sorted(job.executors(), key=lambda process: process.pid)  # the oldest first
    return sum(kill(victim) for victim in executors[: len(executors) // 2])


def repeated(web: FetchWeb, before: int) -> tuple[int, int]:
    """(requests, how many of them were asked before) since the log had so many entries."""
    asked = Counter((entry.host, entry.path) for entry in web.server.log[before:])
    return asked.total(), sum(count - 1 for count in asked.values())


def test_a_spot_storm_repeats_few_requests(server: FaultyServer, tmp_path: Path) -> None:
    network = {"per_host_delay_s": 2.0, "per_host_concurrency": 4}
    fetch = {"shard_media": 750}
    web = build_web(
        tmp_path / "web", server, count=6000, bad_share=0.2, kinds=STATELESS, network=network, fetch=fetch
    )
    work = tmp_path / "work"
    with started(submitted(web.recipe, work), tmp_path / "logs") as job:
        struck = storm(job, work)
        assert job.wait() == 0, job.lines()
    requests, again = repeated(web, 0)
    _log.info("%d executors killed, %d requests, %d repeated", struck, requests, again)
    assert struck >= 4
    assert again <= 0.05 * requests, f"{again} of {requests} requests were repeated"
    kept_to(web, 2.0, 4)
    quick = ("fetch.network.per_host_delay_s=0", "fetch.network.per_host_concurrency=64")
    run(web.recipe, tmp_path / "plain", *quick)
    assert rows(work, "attempts") == rows(tmp_path / "plain", "attempts")
    assert shards(work) == shards(tmp_path / "plain")


def storm(job: Job, work: Path) -> int:
    """Strikes every STORM_S seconds while the job fetches, until its end; executors killed."""
    struck, due = 0, time.monotonic() + STORM_S / 2

    def over() -> bool:
        nonlocal struck, due
        if time.monotonic() >= due and is_fetching(work):
            struck += strike(job)
            due = time.monotonic() + STORM_S
        return not job.family()

    wait_until(over, "the end of a job in a storm", 900, poll_s=0.5)
    return struck


def kept_to(web: FetchWeb, delay_s: float, tasks: int) -> None:
    """Each host's requests in the server's log, against what FetchSettings.shared promises of all tasks together."""
    for host in web.server.addresses:
        times = [entry.time_s for entry in web.server.requests_of(host)]
        for number, begin in enumerate(times):
            within = sum(begin <= time_s < begin + 10 * delay_s for time_s in times[number:])
            # an attempt that takes over from a killed one knows nothing of its last requests: `tasks` more at once
            assert within <= 2 * tasks + 10, f"{host}: {within} requests in {10 * delay_s:g} s"


def test_five_thousand_urls_on_a_cluster_are_told_row_by_row(server: FaultyServer, tmp_path: Path) -> None:
    web = build_web(tmp_path / "web", server, count=5400, bad_share=0.25)
    work = tmp_path / "work"
    run(web.recipe, work, master=CLUSTER)
    columns = "media_id, status, error, attempts, sha256, fetched_bytes, original_width, original_height, stored_sha256"
    files = catalog(work).files("media")
    found = duckdb.sql(f"SELECT {columns} FROM read_parquet({files!r})").to_arrow_table().to_pylist()
    by_id = ids(web.urls)
    assert {row["media_id"] for row in found} == by_id.keys() and len(found) == len(by_id) == 5400
    wrong = {}
    for row in found:
        url = by_id[row.pop("media_id")]
        if row != web.expected(url):
            wrong[url] = row, web.expected(url)
    assert wrong == {}
    shards(work)
    counted = Counter((row["status"], row["error"]) for row in found)
    _log.info("%s", dict(counted))
    assert 0.2 * len(found) <= len(found) - counted["ok", None]
    most = max(entry.concurrent for entry in server.log)
    assert most <= 4, f"{most} requests of a host at once"


LARGE = ("fetch.image.encode_format=png", "fetch.image.encode_quality=0", "fetch.image.image_size=256")
"""Shards of tens of megabytes, whose writing takes long enough to be hit."""


@pytest.mark.parametrize("moment", ["requests", "shard"])
@pytest.mark.parametrize("victim", ["driver", "worker", "executor"])
def test_kill(victim: str, moment: str, server: FaultyServer, tmp_path: Path) -> None:
    network = {"per_host_delay_s": 0.5} if moment == "requests" else {}
    web = build_web(tmp_path / "web", server, count=900, bad_share=0.2, kinds=STATELESS, network=network)
    work, master = tmp_path / "work", CLUSTER if victim == "executor" else LOCAL
    log = tmp_path / "logs"
    with started(curation(web.recipe, work, *LARGE, master=master), log) as job:

        def strike_it() -> bool:
            assert job.process.poll() is None, f"ended before its time: {job.lines()}"
            if not (is_fetching(work) if moment == "requests" else is_writing(work)):
                return False
            if victim == "driver":
                return kill(psutil.Process(job.process.pid))
            if victim == "executor":
                return sum(kill(process) for process in job.executors()[:1]) > 0
            return sum(kill(process) for process in job.workers()) > 0

        wait_until(strike_it, f"a moment in {moment}", poll_s=0.002)
        if victim == "driver":
            job.wait()
        else:
            job.succeed()
    if victim == "driver":
        with started(curation(web.recipe, work, *LARGE), log) as again:
            wait_until(lambda: not job.survivors(), "the killed run's processes end", 60)
            again.succeed()
    requests, more = repeated(web, 0)
    _log.info("%s in %s: %d requests, %d repeated", victim, moment, requests, more)
    assert more <= 0.2 * requests  # the second or so before the kill, of a run of a few seconds
    run(web.recipe, tmp_path / "plain", *LARGE, "fetch.network.per_host_delay_s=0")
    assert rows(work, "attempts") == rows(tmp_path / "plain", "attempts")
    assert shards(work) == shards(tmp_path / "plain")


def is_writing(work: Path) -> bool:
    """Whether a shard is being written: it has no name of its own yet."""
    folder = work / "media" / "tars"
    return folder.is_dir() and any(file.name.startswith(".") for file in folder.iterdir())
