"""Video stages on real Spark: kill -9 of the driver or of a worker while fetching, looking for shots or cutting."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from faults_films import FilmWeb, film_web
from faults_harness import curation, kill, run, started, wait_until
from faults_reading import catalog

from curation.testing.videos import Shot, Style, write_video

pytestmark = pytest.mark.slow

COUNT = 16
DATASETS = ("media", "videos", "scenes", "pieces", "clips", "clip_shards", "scores", "kept_clips", "final_pairs")
_log = logging.getLogger("faults")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Films of 12 seconds, so that every stage takes its time over them."""
    folder = tmp_path_factory.mktemp("films")
    shots = [Shot(96, "dog", motion=2), Shot(96, "cat", motion=1), Shot(96, "tree", motion=3)]
    return {
        f"film{number:02d}.mp4": write_video(
            folder / f"film{number:02d}.mp4",
            [Shot(shot.frames, shot.concept, f"{number}", shot.motion) for shot in shots],
            Style(size=(640, 360)),
        )
        for number in range(COUNT)
    }


@pytest.fixture
def web(films: dict[str, Any], tmp_path: Path) -> Iterator[FilmWeb]:
    with film_web(tmp_path / "web", {**films, "plain.mp4": films["film00.mp4"], "mute.mp4": films["film01.mp4"]}) as it:
        yield it


def rows(work: Path, dataset: str) -> list[Any]:
    files = catalog(work).files(dataset)
    left_out = "EXCLUDE (attempts)" if dataset == "media" else ""
    return duckdb.sql(f"SELECT * {left_out} FROM read_parquet({files!r}) ORDER BY ALL").fetchall()


def stored(work: Path) -> dict[str, str]:
    """Every tar and video of a folder by name: its SHA-256."""
    paths = [*work.rglob("*.tar"), *(path for path in (work / "media" / "videos").rglob("*") if path.is_file())]
    return {str(path.relative_to(work)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def is_at_it(work: Path, stage: str) -> bool:
    """Whether some of a stage is done, and not all."""
    runs = work / "_runs" / stage
    if stage == "fetch":
        return any(runs.glob("journals/*/*.parquet"))
    if stage == "clips":
        return any(runs.glob("parts/*/*.json"))
    return any(runs.glob("*/plan.json")) and len(list(runs.glob("reports/*.json"))) < 4


@pytest.mark.parametrize(
    ("stage", "victim"), [("fetch", "driver"), ("scenes", "driver"), ("clips", "driver"), ("clips", "worker")]
)
def test_killed_runs_end_as_others_do(web: FilmWeb, tmp_path: Path, stage: str, victim: str) -> None:
    names = [name for name in web.films if name.startswith("film")]
    urls = [web.url(name) for name in names] + [web.url("page.mp4"), web.url("gone.mp4", "gone")]
    recipe = web.recipe(urls, network={"per_host_delay_s": 0.1})
    work, log = tmp_path / "work", tmp_path / "logs"
    with started(curation(recipe, work), log) as job:

        def strike_it() -> bool:
            assert job.process.poll() is None, f"ended before its time: {job.lines()}"
            if not is_at_it(work, stage):
                return False
            if victim == "driver":
                return kill(psutil.Process(job.process.pid))
            return sum(kill(process) for process in job.workers()) > 0

        wait_until(strike_it, f"a moment in {stage}", poll_s=0.002)
        if victim == "driver":
            job.wait()
        else:
            job.succeed()
    if victim == "driver":
        with started(curation(recipe, work), log) as again:
            wait_until(lambda: not job.survivors(), "the killed run's processes end", 60)
            again.succeed()
    asked = web.asked()
    repeated = sum(number - 1 for number in asked.values())
    _log.info("%s in %s: %d requests, %d repeated", victim, stage, asked.total(), repeated)
    assert repeated <= (8 if stage == "fetch" else 0)  # the videos in transfer: four in each of two tasks
    run(recipe, tmp_path / "plain", "fetch.network.per_host_delay_s=0")
    for dataset in DATASETS:
        assert rows(work, dataset) == rows(tmp_path / "plain", dataset), dataset
    assert stored(work) == stored(tmp_path / "plain")
    assert not any((work / "_runs" / "clips").glob("parts/*")), "parts that were not removed"
