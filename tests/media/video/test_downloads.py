"""A list of videos against a server that misbehaves: every one its outcome, in bounded time, politely."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from curation.media.outcomes import ErrorClass, FetchRequest, FetchStormError
from curation.media.video.downloads import fetch_videos
from curation.media.video.facts import RefusedVideo, VideoFacts, VideoRefusal
from curation.media.video.transfer import VideoOutcome, VideoRules
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings
from curation.testing.video_server import VideoServer, made_up_video

_HOSTS = [f"h{number}.test" for number in range(8)]


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with VideoServer(_HOSTS) as running:
        yield running


def _network(server: VideoServer, **changes: object) -> FetchSettings:
    quick = {
        "hosts": server.addresses,
        "allowed_networks": ["127.0.0.0/8"],
        "read_timeout_s": 0.6,
        "backoff_s": 0.05,
        "host_down_after": 10_000,
    }
    return FetchSettings(**{**quick, **changes})


def _video(**changes: object) -> VideoSettings:
    return VideoSettings(**{"total_timeout_s": 2.5, "max_bytes": 1 << 20, "concurrency": 8, **changes})


def _fetch(urls: list[str], rules: VideoRules, deadline_s: float = 30.0) -> list[VideoOutcome]:
    """Outcomes in the order of the URLs; each exactly once, as its docstring says."""
    outcomes: list[VideoOutcome] = []
    requests = [FetchRequest(str(number), url) for number, url in enumerate(urls)]
    fetch_videos(requests, rules, on_done=outcomes.append, deadline_s=deadline_s)
    _check_complete(len(urls), outcomes)
    return sorted(outcomes, key=lambda outcome: int(outcome.media_id))


def _check_complete(count: int, outcomes: list[VideoOutcome]) -> None:
    assert sorted(int(outcome.media_id) for outcome in outcomes) == list(range(count))
    for outcome in outcomes:
        assert (outcome.status == "ok") == (outcome.error is None) == (outcome.path is not None)
        if outcome.path is not None:
            data = outcome.path.read_bytes()
            assert (outcome.size_bytes, outcome.sha256) == (len(data), sha256(data).hexdigest())
            assert not outcome.transient
        else:
            assert 0 < len(outcome.detail) <= 200


_EXPECTED = {
    "file": (None, 1),
    "norange": (None, 1),
    "moved": (None, 1),
    "slow": (None, 1),
    "busy": (None, 2),
    "flaky": (None, 3),
    "half": (None, 2),
    "page404": (None, 1),
    "missing": ("http_4xx", 1),
    "gone": ("http_4xx", 1),
    "forbidden": ("http_4xx", 1),
    "error": ("http_5xx", 3),
    "empty": ("bad_response", 1),
    "robots": ("robots", 1),
    "reserved": ("robots", 1),
    "unasked_part": ("bad_response", 1),
    "private": ("refused_address", 1),
    "loop": ("redirect_loop", 1),
    "truncated": ("truncated", 3),
    "stall": ("timeout", 3),
    "silent": ("timeout", 3),
    "trickle": ("timeout", 1),
    "trickling_header": ("timeout", 1),
    "endless": ("too_large", 1),
    "huge": ("too_large", 1),
}


def test_every_fault_has_its_class_and_harms_no_other_video(server: VideoServer, tmp_path: Path) -> None:
    urls = [
        server.url(_HOSTS[place % 8], f"/{kind}/{place}.mp4") for place, kind in enumerate(_EXPECTED)
    ]
    good = [server.url(host, f"/file/good{number}.mp4") for host in _HOSTS for number in range(3)]
    begun = time.monotonic()
    outcomes = _fetch(urls + good, VideoRules(_network(server), _video(), tmp_path))
    assert time.monotonic() - begun < 15
    found = {kind: (outcome.error, outcome.attempts) for kind, outcome in zip(_EXPECTED, outcomes, strict=False)}
    assert found == _EXPECTED
    for url, outcome in zip(good, outcomes[len(urls) :], strict=True):
        assert outcome.path is not None
        assert outcome.path.read_bytes() == made_up_video(url.split("/")[2].partition(":")[0], url)
        assert (outcome.http_status, outcome.mime, outcome.final_url) == (200, "video/mp4", url)
    assert Counter(server.paths)["/file/good0.mp4"] == 8  # once by host
    left = {path.name.partition(".")[0] for path in tmp_path.iterdir() if path.suffix in (".part", ".json")}
    kept = {outcome.media_id for outcome in outcomes if outcome.transient}
    assert left <= kept


def test_limits_of_each_host_are_kept_by_all_threads(server: VideoServer, tmp_path: Path) -> None:
    urls = [server.url(host, f"/slow/{number}.mp4") for host in _HOSTS[:3] for number in range(5)]
    network = _network(server, per_host_concurrency=2, per_host_delay_s=0.1)
    outcomes = _fetch(urls, VideoRules(network, _video(), tmp_path))
    assert {outcome.status for outcome in outcomes} == {"ok"}
    for host in _HOSTS[:3]:
        entries = server.requests_of(host)
        assert len(entries) == 5
        assert max(entry.concurrent for entry in entries) <= 2
        assert all(later.time_s - earlier.time_s > 0.07 for earlier, later in pairwise(entries))
    assert max(entry.concurrent for entry in server.log) == 2


def test_limits_hold_for_the_host_that_others_lead_to(server: VideoServer, tmp_path: Path) -> None:
    goals = [server.url("h7.test", f"/slow/{number}.mp4") for number in range(7)]
    urls = [server.url(host, f"/moved/1.mp4?to={goal}") for host, goal in zip(_HOSTS[:7], goals, strict=True)]
    outcomes = _fetch(urls, VideoRules(_network(server, per_host_concurrency=2), _video(), tmp_path))
    assert [outcome.final_url for outcome in outcomes] == goals
    assert max(entry.concurrent for entry in server.requests_of("h7.test")) == 2


def test_several_videos_come_at_once(server: VideoServer, tmp_path: Path) -> None:
    urls = [server.url(host, "/slow/1.mp4") for host in _HOSTS]
    begun = time.monotonic()
    _fetch(urls, VideoRules(_network(server), _video(concurrency=8), tmp_path))
    together = time.monotonic() - begun
    del server.log[:]
    _fetch(urls, VideoRules(_network(server), _video(concurrency=1), tmp_path / "alone"))
    times = [entry.time_s for entry in server.log]
    assert max(times) - min(times) > 7 * 0.19  # each takes 0.2 s
    assert together < 1.4


def test_a_host_that_is_down_is_not_asked_on(server: VideoServer, tmp_path: Path) -> None:
    urls = [server.url("h0.test", f"/error/{number}.mp4") for number in range(40)]
    urls += [server.url("h1.test", f"/file/{number}.mp4") for number in range(5)]
    network = _network(server, host_down_after=6, per_host_concurrency=2, attempts=2)
    outcomes = _fetch(urls, VideoRules(network, _video(), tmp_path))
    assert all(outcome.status == "ok" for outcome in outcomes[40:])
    dead = Counter(outcome.error for outcome in outcomes[:40])
    assert set(dead) <= {ErrorClass.HTTP_5XX, ErrorClass.HOST_DOWN} and dead[ErrorClass.HOST_DOWN] >= 34
    assert all(outcome.transient for outcome in outcomes[:40])
    assert 6 <= len(server.requests_of("h0.test")) <= 8


def test_a_dead_resolver_stops_the_run(server: VideoServer, tmp_path: Path) -> None:
    urls = [f"http://gone{number}.test/a.mp4" for number in range(200)]
    outcomes: list[VideoOutcome] = []
    rules = VideoRules(_network(server, storm_window=20), _video(), tmp_path)
    requests = [FetchRequest(str(number), url) for number, url in enumerate(urls)]
    with pytest.raises(FetchStormError, match="of the last 20 URLs failed with dns"):
        fetch_videos(requests, rules, on_done=outcomes.append, deadline_s=30)
    _check_complete(200, outcomes)
    counts = Counter(outcome.error for outcome in outcomes)
    assert set(counts) == {ErrorClass.DNS, ErrorClass.CANCELLED} and counts[ErrorClass.DNS] < 30


def test_the_deadline_ends_everything(server: VideoServer, tmp_path: Path) -> None:
    urls = [server.url(host, "/trickle/1.mp4") for host in _HOSTS]
    urls += [server.url("h0.test", f"/slow/{number}.mp4") for number in range(200)]
    rules = VideoRules(_network(server, per_host_concurrency=1), _video(total_timeout_s=60.0), tmp_path)
    begun = time.monotonic()
    outcomes = _fetch(urls, rules, deadline_s=1.0)
    assert time.monotonic() - begun < 3
    assert {outcome.error for outcome in outcomes[:8]} == {ErrorClass.DEADLINE}
    assert Counter(outcome.error for outcome in outcomes)[ErrorClass.DEADLINE] > 150


def test_an_interrupt_leaves_an_outcome_for_each(server: VideoServer, tmp_path: Path) -> None:
    urls = [server.url("h0.test", f"/silent/{number}.mp4") for number in range(5)]
    urls.append(server.url("h1.test", "/file/1.mp4"))
    outcomes: list[VideoOutcome] = []
    rules = VideoRules(_network(server, read_timeout_s=20.0), _video(total_timeout_s=30.0), tmp_path)
    interrupt = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt.start()
    try:
        requests = [FetchRequest(str(number), url) for number, url in enumerate(urls)]
        with pytest.raises(KeyboardInterrupt):
            fetch_videos(requests, rules, on_done=outcomes.append, deadline_s=20)
    finally:
        signal.signal(signal.SIGINT, before)
    _check_complete(6, outcomes)
    assert Counter(outcome.error for outcome in outcomes) == {None: 1, ErrorClass.CANCELLED: 5}


def test_what_the_callbacks_raise_ends_the_run(server: VideoServer, tmp_path: Path) -> None:
    requests = [FetchRequest(str(number), server.url("h0.test", f"/file/{number}.mp4")) for number in range(20)]
    seen: list[VideoOutcome] = []

    def full(outcome: VideoOutcome) -> None:
        seen.append(outcome)
        raise OSError("the disk is full")

    rules = VideoRules(_network(server), _video(), tmp_path)
    with pytest.raises(OSError, match="the disk is full"):
        fetch_videos(requests, rules, on_done=full, deadline_s=20)
    assert len(seen) == 1


def test_a_folder_that_cannot_be_written_to_is_no_fault_of_the_videos(server: VideoServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    rules = VideoRules(_network(server), _video(), tmp_path / "file")
    with pytest.raises(OSError):
        fetch_videos([FetchRequest("1", server.url("h0.test", "/file/1.mp4"))], rules, on_done=print, deadline_s=20)


def test_nothing_begins_while_it_is_not_ready(server: VideoServer, tmp_path: Path) -> None:
    outcomes: list[VideoOutcome] = []
    asked: list[float] = []

    def ready() -> bool:
        asked.append(time.monotonic())
        return asked[-1] - asked[0] > 0.4

    request = FetchRequest("0", server.url("h0.test", "/file/1.mp4"))
    rules = VideoRules(_network(server), _video(), tmp_path)
    fetch_videos([request], rules, on_done=outcomes.append, deadline_s=20, ready=ready)
    _check_complete(1, outcomes)
    assert server.log[0].time_s - asked[0] > 0.4


def test_bad_urls_are_rows(server: VideoServer, tmp_path: Path) -> None:
    urls = ["", "ftp://h0.test/a.mp4", "http://\ud800/a.mp4", "http://nowhere.test/a.mp4", "http://127.0.0.1:1/a.mp4"]
    outcomes = _fetch(urls, VideoRules(_network(server, attempts=2), _video(), tmp_path))
    assert [outcome.error for outcome in outcomes] == [*[ErrorClass.BAD_URL] * 3, ErrorClass.DNS, ErrorClass.CONNECT]
    assert [outcome.attempts for outcome in outcomes][:3] == [0, 0, 0]
    fetch_videos([], VideoRules(_network(server), _video(), tmp_path), on_done=print, deadline_s=1)


def test_ids_that_are_no_names_of_files_stay_in_the_folder(server: VideoServer, tmp_path: Path) -> None:
    outcomes: list[VideoOutcome] = []
    requests = [FetchRequest(name, server.url("h0.test", "/file/1.mp4")) for name in ("../up", "a/b", "x" * 300, "*")]
    rules = VideoRules(_network(server), _video(), tmp_path / "in")
    fetch_videos(requests, rules, on_done=outcomes.append, deadline_s=20)
    assert {outcome.path.parent for outcome in outcomes if outcome.path} == {tmp_path / "in"}
    assert len(list((tmp_path / "in").iterdir())) == 4 and len(list(tmp_path.iterdir())) == 1


def _facts(duration_ms: int) -> VideoFacts:
    return VideoFacts("mp4", duration_ms, 2, 2, 2, 2, 0, 25.0, False, 1, "h264", "yuv420p", None, None, None)


def test_the_probe_has_the_last_word(server: VideoServer, tmp_path: Path) -> None:
    def probe(path: Path, deadline: float) -> VideoFacts:
        assert deadline > time.monotonic()
        if b"<!doctype" in path.read_bytes():
            raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, "a page")
        return _facts(100_000_000 if path.name.startswith("2") else 1000)

    urls = [server.url("h0.test", f"/{kind}/1.mp4") for kind in ("file", "page404", "file")]
    outcomes = _fetch(urls, VideoRules(_network(server), _video(), tmp_path, probe=probe))
    assert [outcome.error for outcome in outcomes] == [None, VideoRefusal.NOT_A_VIDEO, VideoRefusal.TOO_LONG]
    assert outcomes[0].facts == _facts(1000) and outcomes[1].facts is None
    assert [path.name for path in tmp_path.iterdir()] == ["0.mp4"]
    assert not any(outcome.transient for outcome in outcomes)


def test_importing_is_cheap_and_leaves_the_machine_alone(tmp_path: Path) -> None:
    words = (
        "import sys; import curation.media.video.downloads as d; assert 'yt_dlp' not in sys.modules; "
        "import curation.media.video.players, yt_dlp.globals as g; assert g.plugin_dirs.value == []"
    )
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", words], env=home, cwd=tmp_path, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
