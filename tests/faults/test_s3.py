"""Inputs and work folder in an S3 bucket: the same rows as on a local disk, also after a kill in the middle."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import yaml
from faults_harness import LOCAL, Job, kill, started, wait_until
from faults_pool import Pool, Reference
from faults_reading import catalog, fingerprints

from curation.inspect import connect
from curation.runner.units import Unit, report_name, reports_folder
from curation.storage import Store

pytestmark = pytest.mark.slow

KEY = "testing"
_REFUSED = 'SELECT stage, id, "offset", reason, detail FROM rejections ORDER BY ALL'


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The endpoint of an S3 server on loopback that keeps everything in this process's memory."""
    moto = pytest.importorskip("moto.server", reason="moto (an S3 server for tests) is not installed")
    pytest.importorskip("s3fs", reason="s3fs (extra s3) is not installed")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each of thousands of requests
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket's URL; this process and its children find it as they would find one of their cloud."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # no search for credentials outside this machine
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # it may know another server
    name = f"bucket-{uuid4().hex}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def recipe(bucket: str, pool: Pool, small: Reference, tmp_path: Path) -> Path:
    """The small recipe, its inputs uploaded."""
    import s3fs

    fs = s3fs.S3FileSystem(use_listings_cache=False)
    tree = yaml.safe_load(pool.small.read_text())
    for entry in tree["inputs"]:
        for number, path in enumerate(entry["paths"]):
            entry["paths"][number] = f"{bucket}/in/{Path(path).relative_to(pool.root)}"
            fs.put_file(path, entry["paths"][number])
    moved = tmp_path / "small.yaml"
    moved.write_text(yaml.safe_dump(tree))
    return moved


def _copy(work: str, folder: Path) -> Path:
    """The work folder on a local disk, where readers find everything under the same relative paths."""
    import s3fs

    s3fs.S3FileSystem(use_listings_cache=False).get(work, str(folder), recursive=True)
    return folder


def _same(work: str, small: Reference, tmp_path: Path) -> None:
    copied = _copy(work, tmp_path / "copy")
    names = tuple(small.prints.keys() - {"rejections"})  # which tell the file by its full name
    assert fingerprints(copied, names) == {name: small.prints[name] for name in names}
    assert connect(work).sql(_REFUSED).fetchall() == connect(small.work).sql(_REFUSED).fetchall() != []
    assert (copied / "card.json").is_file()
    assert not (copied / "_lease.json").exists()


def test_what_another_process_wrote_is_seen_at_once(bucket: str) -> None:
    import s3fs

    other = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    store = Store.at(f"{bucket}/run")
    store.put("a/first", b"1")
    assert store.names("a") == {"first"}
    assert store.sizes("a") == {"a/first": 1}
    other.pipe_file(f"{bucket}/run/a/second", b"22")
    assert not store.create("a/second", b"")
    other.rm_file(f"{bucket}/run/a/first")
    other.pipe_file(f"{bucket}/run/a/second", b"333")
    assert store.sizes("a") == {"a/second": 3}
    assert store.create("a/first", b"4")


def test_a_forked_process_has_a_connection_of_its_own(bucket: str) -> None:
    store = Store.at(f"{bucket}/run")
    store.put("a/first", b"1")
    child = multiprocessing.get_context("fork").Process(target=lambda: store.put("a/second", store.read("a/first")))
    child.start()
    child.join(30)
    child.kill()
    assert store.names("a") == {"first", "second"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "error: s3://nowhere/run: The specified bucket does not exist"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "error: an object store gave no answer: Could not connect"),
        ({"AWS_ACCESS_KEY_ID": ""}, "error: an object store gave no answer: Unable to locate credentials"),
    ],
)
def test_a_bucket_that_cannot_be_reached(
    change: dict[str, str], said: str, bucket: str, pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with started(_command(pool.small, "s3://nowhere/run"), tmp_path / "logs") as job:
        assert job.error().startswith(said)


def test_everything_in_a_bucket(bucket: str, recipe: Path, small: Reference, tmp_path: Path) -> None:
    work = f"{bucket}/run"
    with started(_command(recipe, work), tmp_path / "logs") as job:
        job.succeed()
    _same(work, small, tmp_path)
    with started(_command(recipe, work), tmp_path / "logs") as again:
        again.succeed()
    assert again.lines()[-1].startswith("nothing to do: all is up to date")


@pytest.mark.parametrize("stage", ["extract", "pairs", "match"])
def test_driver_is_killed(stage: str, bucket: str, recipe: Path, small: Reference, tmp_path: Path) -> None:
    work = f"{bucket}/run"
    with started(_command(recipe, work), tmp_path / "logs") as job:
        done = wait_until(lambda: _strike(job, Store.at(work), stage), f"a moment in {stage}")
        assert job.wait() == -9
        with started(_command(recipe, work), tmp_path / "logs") as again:
            wait_until(lambda: not job.survivors(), "the killed run's processes end", 60)
            again.succeed()
    assert any("left its lease" in line for line in again.lines())
    _same(work, small, tmp_path)
    published = catalog(tmp_path / "copy").visible(stage).to_json()["reports"]
    assert {unit: published[unit] for unit in done} == done  # nothing was done twice


def _command(recipe: Path, work: str) -> list[str | Path]:
    settings = ["--set", f"runtime.master={LOCAL}"]
    return [sys.executable, "-m", "curation.cli", "run", recipe, "--work", work, *settings]


def _strike(job: Job, store: Store, stage: str) -> dict[str, Any] | None:
    """Kills the driver once a stage has reports of some units, and not of all; these, by unit."""
    assert job.process.poll() is None, f"ended before its time: {job.lines()}"
    for version in store.names(f"_runs/{stage}") - {"reports"}:
        plan = store.read_json(f"_runs/{stage}/{version}/plan.json")
        names = {unit["unit"]: report_name(Unit(unit["unit"], {}, unit["identity"])) for unit in plan}
        there = store.names(reports_folder(stage))
        if 0 < len(there) < len(names):
            kill(psutil.Process(job.process.pid))
            done = {unit: f"{reports_folder(stage)}/{name}" for unit, name in names.items() if name in there}
            return {unit: store.read_json(path) for unit, path in done.items()}
    return None
