"""Whom fetch asks again: those that a changed consent is about, and an earlier run's passing failures, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults_web import FetchWeb, body, build_web

from curation.media.journal import Journal
from curation.media.keeping import failed_row
from curation.media.outcomes import ErrorClass, Outcome
from curation.pipeline import ALL_STAGES
from curation.recipe import load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.runner.stage import Task
from curation.runner.units import UnitReport
from curation.runner.work import run_unit
from curation.schemas import MEDIA
from curation.stages.fetch import Fetch
from curation.stages.fetch_plan import JOURNALS, LIST
from curation.storage import Store
from curation.testing.faulty_server import FaultyServer

HOSTS = [f"h{number}.pics.test" for number in range(10)]
BEFORE_FETCH = ALL_STAGES[: [stage.name for stage in ALL_STAGES].index("fetch")]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(HOSTS, body) as started:
        yield started


def _run(web: FetchWeb, work: Path, *overrides: str) -> Run:
    """A run up to fetch, which is left to the test."""
    run = Run(Store.at(work), load_recipe(web.recipe, list(overrides)), ALL_STAGES, LocalEngine, Silent())
    for stage in BEFORE_FETCH:
        run.execute(stage)
    return run


def _errors(outcome: StageOutcome | UnitReport, work: Path) -> Counter[str | None]:
    paths = (outcome if isinstance(outcome, UnitReport) else outcome.manifest).paths(MEDIA.name)
    return Counter(Store(str(work)).table(paths, MEDIA.schema).column("error").to_pylist())


@pytest.mark.parametrize(
    ("override", "refused"),
    [
        ("fetch.network.refuse=[]", 0),
        ("fetch.network.refuse=[noimageai]", 10),  # that of `robots`; `robots_agent` says noindex
        ("fetch.network.agents=[mybot]", 20),  # the user agent's first word binds, too
    ],
)
@pytest.mark.slow
def test_a_changed_consent_asks_anew(server: FaultyServer, tmp_path: Path, override: str, refused: int) -> None:
    kinds = ("robots", "robots_agent", "ok")
    web, work = build_web(tmp_path, server, count=30, bad_share=1.0, kinds=kinds), tmp_path / "work"
    assert _errors(_run(web, work).execute(Fetch()), work) == {"robots": 20, None: 10}
    assert len(server.log) == 30
    assert _errors(_run(web, work, override).execute(Fetch()), work)["robots"] == refused
    assert len(server.log) == 60
    again = _run(web, work).execute(Fetch())  # what the first settings gave is still there
    assert (_errors(again, work)["robots"], again.units_done, len(server.log)) == (20, 0, 60)


def _failed(media: dict[str, Any], error: ErrorClass, transient: bool) -> dict[str, Any]:
    url = media["media_url"]
    return failed_row(
        media,
        Outcome(media["media_id"], "failed", error, transient, None, 1, url, b"", None, {}, 0, "written by hand"),
    )


@pytest.mark.parametrize(("attempt", "asked"), [("stopped", 10), ("another", 20)])
def test_a_stopped_runs_passing_failures_are_for_the_next_run(
    server: FaultyServer, tmp_path: Path, attempt: str, asked: int
) -> None:
    """Of 30 media the journal of a run holds ten with passing failures and ten with final ones."""
    web, work = build_web(tmp_path, server, count=30, bad_share=0), tmp_path / "work"
    plan = _run(web, work, "pairs.media_buckets=1").plan(Fetch())
    store, (unit,) = Store.at(work), plan.units
    media = store.table([unit.inputs["list"]], LIST).to_pylist()
    with Journal(store, f"{JOURNALS}/{unit.name}.{unit.inputs['round']}", "stopped") as journal:
        for row in media[:10]:
            journal.add(_failed(row, ErrorClass.TIMEOUT, True), None)
        for row in media[10:20]:
            journal.add(_failed(row, ErrorClass.HTTP_4XX, False), None)
        journal.flush()
    report = run_unit(Fetch(), Task(store, plan.version, plan.settings, plan.context, attempt), unit)
    assert isinstance(report, UnitReport)
    left = media[20:] if attempt == "stopped" else [*media[:10], *media[20:]]
    urls = Counter(f"http://{entry.host}:{server.port}{entry.path}" for entry in server.log)
    assert urls == Counter(row["media_url"] for row in left)
    assert len(left) == asked
    told = {"http_4xx": 10, None: asked} | ({"timeout": 10} if attempt == "stopped" else {})
    assert _errors(report, work) == told
