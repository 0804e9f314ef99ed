"""Captions on real Spark by a server that fails now and then, is gone, or whose clients are killed: nothing is lost,
and what was answered is not asked for again. What was asked is counted by the server's log.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from faults_films import HOSTS, executed, small_films
from faults_harness import Job, curation, kill, run, started, wait_until
from faults_reading import catalog
from faults_web import ENTRIES, QUICK, picture

from curation.schemas import CHOSEN_CAPTIONS
from curation.testing.caption_faults import GROUPS, USUAL, CaptionFaults
from curation.testing.caption_server import CaptionServer
from curation.testing.faulty_server import FaultyServer

pytestmark = pytest.mark.slow

IMAGES = 320
BUCKETS = 6
SLOTS = 16
ANSWER_S = 0.05
PROMPTS = {
    "teacher": "Describe it in one sentence. Its page says: {alt}",
    "merger": "Make one sentence of these two.\nThe page: {alt}\nA model: {teacher}",
}
_log = logging.getLogger("faults")


@dataclass(frozen=True)
class Scene:
    """A work folder in which all is done but what two models say, and what they say where nothing goes wrong.

    keys: of the requests that they make then.
    """

    folder: Path
    tree: dict[str, Any]
    captions: list[Any]
    chosen: list[Any]
    keys: frozenset[str]

    def recipe(self, url: str, **model: Any) -> Path:
        """Of two captioners: one sees pictures, the other one reads what the first said."""
        shared = {"source": "model", "model": "served"}
        captioners = [
            {**shared, "name": "teacher", "frames": 3, "prompts": {"brief": str(self.folder / "teacher.txt")}},
            {**shared, "name": "merger", "frames": 0, "prompts": {"merged": str(self.folder / "merger.txt")}},
        ]
        served = {"backend": "server", "url": url, "model": "made-up", "slots": SLOTS, "seconds": 5, "backoff_s": 0.05}
        section = {
            "captioners": [{"source": "alt"}, *captioners],
            "models": {"served": {**served, **model}},
            "choose": {"order": ["merger", "teacher", "alt"]},
        }
        path = self.folder / f"recipe{len(list(self.folder.glob('recipe*')))}.yaml"
        path.write_text(yaml.safe_dump({**self.tree, "captions": section}))
        return path

    def work(self, folder: Path) -> Path:
        shutil.copytree(self.folder / "work", folder / "work")
        return folder / "work"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("captions")
    bodies = {name: film.path.read_bytes() for name, film in small_films(folder / "films").items()}
    bodies |= {f"{number}.jpg": picture(number) for number in range(IMAGES)}
    with FaultyServer(HOSTS, lambda host, path: bodies[path.rpartition("/")[2]]) as server:
        tree = _tree(folder, server, list(bodies))
        (folder / "before.yaml").write_text(yaml.safe_dump({**tree, "captions": {}}))
        executed(folder / "before.yaml", folder / "work")
        for name, text in PROMPTS.items():
            (folder / f"{name}.txt").write_text(text)
        bare = Scene(folder, tree, [], [], frozenset())
        with CaptionServer(seconds=ANSWER_S) as captions:
            work = bare.work(folder / "plain")
            run(bare.recipe(captions.url), work)
        assert set(captions.answered().values()) == {1}
        yield Scene(folder, tree, rows(work), rows(work, "chosen_captions"), frozenset(captions.answered()))


def _tree(folder: Path, server: FaultyServer, names: list[str]) -> dict[str, Any]:
    """A recipe over pictures and films of a host."""
    inputs = []
    for modality in ("image", "video"):
        own = [name for name in names if name.endswith(".jpg") == (modality == "image")]
        texts = [f"a {ENTRIES[number % len(ENTRIES)]} by the way, {number}" for number in range(len(own))]
        urls = [server.url(HOSTS[0], "ok", name) for name in own]
        pq.write_table(pa.table({"url": urls, "caption": texts}), folder / f"{modality}.parquet")
        columns = {"media_url": "url", "texts": {"caption": "caption"}}
        paths = [str(folder / f"{modality}.parquet")]
        inputs.append({"kind": "table", "paths": paths, "columns": columns, "modality": modality})
    (folder / "entries.txt").write_text("\n".join(ENTRIES))
    network = {**QUICK, "hosts": server.addresses, "per_host_delay_s": 0, "per_host_concurrency": 64}
    return {
        "name": "words",
        "inputs": inputs,
        "pairs": {"media_buckets": BUCKETS},
        "match": {"definition": "v1", "vocabularies": {"en": str(folder / "entries.txt")}, "fallback": "en"},
        "balance": {"t": 1_000_000},
        "fetch": {
            "modalities": ["image", "video"],
            "image": {"image_size": 32, "min_image_size": 24},
            "network": network,
        },
        "clips": {"split": {"set": "shots", "min_length_s": 1}, "cut": {"preset": "ultrafast"}},
    }


def rows(work: Path, dataset: str = "captions") -> list[Any]:
    files = catalog(work).files(dataset)
    return duckdb.sql(f"SELECT * FROM read_parquet({files!r}) ORDER BY ALL").fetchall()


def outcomes(work: Path) -> Counter[tuple[str, str, str | None]]:
    """(captioner, status, error) of all rows; every sample has one row of each captioner."""
    files = catalog(work).files("captions")
    samples = {row[0] for row in duckdb.sql(
        f"SELECT sample_id FROM read_parquet({catalog(work).files('samples')!r})").fetchall()}  # fmt: skip
    found = duckdb.sql(f"SELECT captioner, sample_id, status, error FROM read_parquet({files!r})").fetchall()
    assert len(samples) > IMAGES
    for captioner in ("alt", *PROMPTS):
        assert sorted(row[1] for row in found if row[0] == captioner) == sorted(samples)
    return Counter((captioner, status, error) for captioner, _, status, error in found)


def nothing_is_left(work: Path) -> None:
    assert not list((work / "_runs" / "captions" / "answers").glob("*")), "answers that were not removed"


def test_an_undisturbed_run_asks_once_per_sample_and_captioner(scene: Scene) -> None:
    """What the others are compared with: as many requests as samples, twice."""
    work = scene.folder / "plain" / "work"
    found = outcomes(work)
    assert set(found) == {(captioner, "ok", None) for captioner in ("alt", *PROMPTS)}
    assert len(scene.keys) == found["teacher", "ok", None] + found["merger", "ok", None]
    assert len(scene.chosen) == found["alt", "ok", None]
    assert {row[CHOSEN_CAPTIONS.columns.index("kind")] for row in scene.chosen} == {"merged"}
    nothing_is_left(work)


def test_a_bad_day_loses_no_sample(scene: Scene, tmp_path: Path) -> None:
    """One attempt in twenty fails in every way there is, and on the first day two requests in a hundred always do."""
    first_day = threading.Event()
    first_day.set()

    def lasting(asked: Any) -> str | None:
        digest = blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=2).digest()
        return "http_503" if first_day.is_set() and int.from_bytes(digest, "big") % 50 == 0 else None

    work = scene.work(tmp_path)
    with CaptionServer() as model, CaptionServer(
        upstream=model.url, faults=CaptionFaults(shares=USUAL, lasting=lasting), seconds=0.01
    ) as proxy:  # fmt: skip
        recipe = scene.recipe(proxy.url, attempts=4)
        run(recipe, work)
        day_one = list(proxy.log)
        found = outcomes(work)
        hopeless = {entry.key for entry in day_one} - {entry.key for entry in day_one if entry.answered}
        assert {(status, error) for _, status, error in found} == {("ok", None), ("failed", "http_5xx")}
        assert 0 < sum(number for (_, status, _), number in found.items() if status == "failed") == len(hopeless)
        first_day.clear()
        run(recipe, work)
    assert rows(work) == scene.captions
    assert rows(work, "chosen_captions") == scene.chosen
    assert set(proxy.answered().values()) == {1}, "asked for again, although it was answered"
    assert scene.keys <= proxy.answered().keys()
    faults = Counter(entry.fault for entry in proxy.log)
    _log.info("%d requests on the first day, then %d: %s", len(day_one), len(proxy.log) - len(day_one), dict(faults))
    for group in USUAL:
        assert sum(faults[member] for member in GROUPS.get(group, (group,))) > 0, group
    assert {entry.key for entry in proxy.log[len(day_one) :]} >= hopeless & scene.keys
    nothing_is_left(work)


def test_a_driver_is_killed_while_answers_come(scene: Scene, tmp_path: Path) -> None:
    """What was on its way at that moment may be asked for twice, which is no more than there are slots."""
    work, log = scene.work(tmp_path), tmp_path / "logs"
    with CaptionServer(seconds=ANSWER_S) as server:
        recipe = scene.recipe(server.url)
        with started(curation(recipe, work), log) as job:
            wait_until(lambda: _met(job, answered(server) > 0.6 * len(scene.keys)), "most answers", poll_s=0.002)
            assert kill(psutil.Process(job.process.pid))
            job.wait()
            wait_until(lambda: not job.survivors(), "the killed run's processes end", 60)
        before = server.answered()
        assert len(before) < len(scene.keys)
        with started(curation(recipe, work), log) as again:
            again.succeed()
    repeated = sum(server.answered().values()) - len(server.answered())
    _log.info("%d of %d answered before the kill, %d repeated", len(before), len(scene.keys), repeated)
    assert server.answered().keys() == scene.keys
    assert repeated <= SLOTS
    same_as_ever(scene, work)


@pytest.mark.parametrize("victim", ["driver", "worker"])
def test_no_answered_request_is_asked_for_twice(victim: str, scene: Scene, tmp_path: Path) -> None:
    """Killed at a moment when some requests wait in vain and no answer is on its way: not one is repeated."""
    work, log, shut = scene.work(tmp_path), tmp_path / "logs", threading.Event()
    faults = CaptionFaults(lasting=lambda asked: "stall" if shut.is_set() else None)
    with CaptionServer(seconds=ANSWER_S, faults=faults) as server:
        recipe = scene.recipe(server.url, seconds=60)
        with started(curation(recipe, work), log) as job:
            wait_until(lambda: _met(job, answered(server) > 0.6 * len(scene.keys)), "most answers", poll_s=0.002)
            shut.set()
            wait_until(lambda: _met(job, _holds(server, work)), "all that was answered is safe", 60)
            before = server.answered()
            if victim == "driver":
                assert kill(psutil.Process(job.process.pid))
                job.wait()
                wait_until(lambda: not job.survivors(), "the killed run's processes end", 60)
                shut.clear()
            else:
                assert sum(map(kill, job.workers())) > 0
                shut.clear()
                job.succeed()
        if victim == "driver":
            with started(curation(recipe, work), log) as again:
                again.succeed()
    stalled = sum(entry.fault == "stall" for entry in server.log)
    _log.info("%s: %d of %d answered before, %d waited in vain", victim, len(before), len(scene.keys), stalled)
    assert 0 < len(before) < len(scene.keys)
    assert server.answered() == dict.fromkeys(scene.keys, 1)
    assert len(server.log) == len(scene.keys) + stalled
    assert 0 < stalled <= SLOTS
    same_as_ever(scene, work)


def test_a_server_that_goes_ends_the_run_with_one_line(scene: Scene, tmp_path: Path) -> None:
    """And when there is one again, at another address, it goes on."""
    work, log = scene.work(tmp_path), tmp_path / "logs"
    with ExitStack() as stack:
        with CaptionServer(seconds=ANSWER_S) as server:
            job = stack.enter_context(started(curation(scene.recipe(server.url, attempts=3), work), log))
            wait_until(lambda: _met(job, answered(server) > 0.4 * len(scene.keys)), "some answers", poll_s=0.002)
        line = job.error()
    assert server.url in line
    assert "start the server" in line
    with CaptionServer(seconds=ANSWER_S) as other:
        run(scene.recipe(other.url, attempts=3), work)
    answers = server.answered() + other.answered()
    repeated = sum(answers.values()) - len(answers)
    _log.info("%s; %d and %d answered, %d repeated", line, len(server.log), len(other.log), repeated)
    assert answers.keys() == scene.keys
    assert repeated <= SLOTS  # what was on its way when the server went
    same_as_ever(scene, work)


def same_as_ever(scene: Scene, work: Path) -> None:
    assert rows(work) == scene.captions
    assert rows(work, "chosen_captions") == scene.chosen
    nothing_is_left(work)


def answered(server: CaptionServer) -> int:
    return sum(entry.answered for entry in list(server.log))


def _met(job: Job, condition: bool) -> bool:
    assert job.process.poll() is None, f"ended before its time: {job.lines()}"
    return condition


def _holds(server: CaptionServer, work: Path) -> bool:
    """Whether nothing is on its way but what waits in vain, and the client has written down what it was told."""
    log = list(server.log)
    done = all(entry.answered or entry.fault == "stall" for entry in log)
    return done and any(entry.fault == "stall" for entry in log) and _safe(work) == answered(server)


def _safe(work: Path) -> int:
    """Answers that no kill takes away: of units that are done, and lines of those that are not."""
    runs = work / "_runs" / "captions"
    reports = [json.loads(path.read_text()) for path in runs.glob("reports/bucket-*.json")]
    asked = ("requests:teacher", "requests:merger")  # which reports of another recipe do not have
    units = {report["unit"]: sum(report["counts"].get(name, 0) for name in asked)
             for report in reports if asked[0] in report["counts"]}  # fmt: skip
    files = [file for file in runs.glob("answers/*/*.jsonl") if file.parent.name not in units]
    return sum(units.values()) + sum(file.read_bytes().count(b"\n") for file in files)
