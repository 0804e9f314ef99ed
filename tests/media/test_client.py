"""The fetcher against a server that misbehaves: its ledger is the server's, in bounded time, within every limit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.client import retry_after
from curation.media.fetching import fetch_all
from curation.media.outcomes import ErrorClass, FetchRequest, FetchStormError, Outcome
from curation.media.robots_header import product_token, refused_directive
from curation.recipe.network import FetchSettings
from curation.testing.faults import FAULTS, RETRY_AFTER_S
from curation.testing.faulty_server import FaultyServer, made_up_body

_HOSTS = [f"h{number}.test" for number in range(10)]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(_HOSTS) as running:
        yield running


def _settings(server: FaultyServer, **changes: object) -> FetchSettings:
    quick = {
        "hosts": server.addresses,
        "allowed_networks": ["127.0.0.0/8"],
        "read_timeout_s": 0.8,
        "total_timeout_s": 1.9,
        "backoff_s": 0.05,
        "max_bytes": 1 << 20,
        "host_down_after": 10_000,
    }
    return FetchSettings(**{**quick, **changes})


def _fetch(urls: list[str], settings: FetchSettings, deadline_s: float = 30.0) -> list[Outcome]:
    """Outcomes in the order of the URLs, which are the ids; each exactly once."""
    outcomes: list[Outcome] = []
    fetch_all([FetchRequest(url, url) for url in urls], settings, on_done=outcomes.append, deadline_s=deadline_s)
    _check_complete(urls, outcomes)
    by_id = {outcome.media_id: outcome for outcome in outcomes}
    return [by_id[url] for url in urls]


def _check_complete(urls: list[str], outcomes: list[Outcome]) -> None:
    assert Counter(outcome.media_id for outcome in outcomes) == Counter(urls)
    for outcome in outcomes:
        assert (outcome.status == "ok") == (outcome.error is None) == bool(outcome.body)
        assert not (outcome.status == "ok" and outcome.transient)
        assert outcome.status == "ok" or 0 < len(outcome.detail) <= 200


@pytest.mark.parametrize("attempts", [3, 1])
def test_the_ledger_is_the_servers(server: FaultyServer, attempts: int) -> None:
    # the third attempt at what holds on has half a second of its own, however long the waits before it
    settings = _settings(server, attempts=attempts, per_host_concurrency=8, total_timeout_s=2.3)
    urls = [
        server.url(host, kind, f"kind-{place}.jpg")
        for place, kind in enumerate(FAULTS)
        for host in (_HOSTS[place % 10],)
    ]
    urls += [server.url(host, "ok", f"good-{number}.jpg") for host in _HOSTS for number in range(30)]
    begun = time.monotonic()
    outcomes = _fetch(urls, settings)
    assert time.monotonic() - begun < 12
    differences = {
        outcome.media_id: (outcome.status, outcome.error, outcome.attempts, outcome.detail)
        for outcome in outcomes
        if (outcome.status, outcome.error, outcome.attempts)
        != ((told := server.expected(outcome.media_id, settings)).status, told.error, told.attempts)
    }
    assert differences == {}
    asked = Counter((entry.host, entry.path) for entry in server.log)
    for outcome in outcomes:
        path = outcome.media_id.partition(f":{server.port}")[2]
        if path.split("/")[1] not in ("away", "loop"):  # these lead to URLs of other rows, or to their own twice
            host = outcome.media_id.split("/")[2].partition(":")[0]
            assert asked[host, path] == outcome.attempts, outcome


def test_good_answers_come_whole(server: FaultyServer) -> None:
    kinds = ("ok", "slow", "gzip", "http_1_0", "chain", "busy", "flaky", "away", "robots_other")
    urls = [server.url("h1.test", kind, "1.jpg") for kind in kinds]
    outcomes = dict(zip(kinds, _fetch(urls, _settings(server)), strict=True))
    final = {"chain": "/chain/1.jpg?left=0", "away": "/ok/1.jpg"}
    for kind, outcome in outcomes.items():
        path = final.get(kind, f"/{kind}/1.jpg")
        assert outcome.body == made_up_body("h1.test", path)
        assert outcome.final_url == f"http://h1.test:{server.port}{path}"
        assert (outcome.http_status, outcome.mime, outcome.transient) == (200, "image/jpeg", False)
    assert outcomes["slow"].elapsed_ms >= 200


def test_who_asks_is_said_and_nothing_else_is(server: FaultyServer) -> None:
    url = server.url("h1.test", "ok", "1.jpg").replace("http://", "http://user:secret@") + "#part"
    _fetch([url], _settings(server, user_agent="TestBot/2.0 (+https://bot.example)"))
    (request,) = server.log
    lines = request.headers.split("\r\n")
    assert "User-Agent: TestBot/2.0 (+https://bot.example)" in lines
    assert "Accept-Encoding: identity" in lines
    for word in ("Authorization", "Cookie", "Referer", "secret", "part"):
        assert word not in request.headers


def test_limits_of_each_host_are_kept(server: FaultyServer) -> None:
    hosts = _HOSTS[:4]
    urls = [server.url(host, "slow", f"{number}.jpg") for host in hosts for number in range(8)]
    _fetch(urls, _settings(server, per_host_concurrency=2, per_host_delay_s=0.1))
    for host in hosts:
        entries = server.requests_of(host)
        assert len(entries) == 8
        assert max(entry.concurrent for entry in entries) <= 2
        gaps = [later.time_s - earlier.time_s for earlier, later in pairwise(entries)]
        assert entries[-1].time_s - entries[0].time_s >= 0.1 * 7 - 0.05
        assert sum(gap < 0.05 for gap in gaps) <= 1  # a busy machine may deliver two close together
    starts = [server.requests_of(host)[0].time_s for host in hosts]
    assert max(starts) - min(starts) < 0.5  # side by side, not one after the other


def test_redirects_wait_for_their_turn_at_the_host_they_lead_to(server: FaultyServer) -> None:
    urls = [server.url(f"h{number}.test", "away", f"{number}.jpg?to=h9.test") for number in range(8)]
    outcomes = _fetch(urls, _settings(server, per_host_concurrency=1, per_host_delay_s=0.1))
    assert all(outcome.status == "ok" for outcome in outcomes)
    entries = server.requests_of("h9.test")
    assert len(entries) == 8
    assert max(entry.concurrent for entry in entries) == 1
    assert entries[-1].time_s - entries[0].time_s >= 0.65


@pytest.mark.slow
def test_slow_hosts_hold_no_other_up(server: FaultyServer) -> None:
    urls = [server.url("h0.test", "silent", f"{number}.jpg") for number in range(40)]
    urls += [server.url("h1.test", "ok", f"{number}.jpg") for number in range(200)]
    done: list[tuple[float, Outcome]] = []
    settings = _settings(server, concurrency=6, per_host_concurrency=4, read_timeout_s=5.0, total_timeout_s=9.0)
    begun = time.monotonic()
    fetch_all(
        [FetchRequest(url, url) for url in urls],
        settings,
        on_done=lambda outcome: done.append((time.monotonic() - begun, outcome)),
        deadline_s=3.0,
    )
    assert time.monotonic() - begun < 4.0
    _check_complete(urls, [outcome for _, outcome in done])
    good = [at for at, outcome in done if outcome.status == "ok"]
    assert len(good) == 200 and max(good) < 2.9
    late = [outcome for _, outcome in done if outcome.status != "ok"]
    assert {(outcome.error, outcome.transient) for outcome in late} == {(ErrorClass.DEADLINE, True)}
    assert Counter(outcome.attempts for outcome in late) == {1: 4, 0: 36}


def test_retry_after_pauses_the_whole_host(server: FaultyServer) -> None:
    urls = [server.url("h0.test", "busy", "1.jpg")]
    urls += [server.url("h0.test", "ok", f"{number}.jpg") for number in range(5)]
    outcomes = _fetch(urls, _settings(server, per_host_concurrency=1))
    assert [outcome.attempts for outcome in outcomes] == [2, 1, 1, 1, 1, 1]
    times = [entry.time_s for entry in server.requests_of("h0.test")]
    assert times[1] - times[0] >= RETRY_AFTER_S - 0.01


def test_a_host_that_asks_for_too_long_a_pause_is_left_alone(server: FaultyServer) -> None:
    urls = [server.url("h0.test", "busy", "1.jpg")]
    urls += [server.url("h0.test", "ok", f"{number}.jpg") for number in range(5)]
    urls += [server.url("h1.test", "ok", "1.jpg")]
    settings = _settings(server, per_host_concurrency=1, max_retry_after_s=0.5)
    outcomes = _fetch(urls, settings)
    classes = [outcome.error for outcome in outcomes]
    assert classes == [ErrorClass.TOO_MANY_REQUESTS, *[ErrorClass.HOST_DOWN] * 5, None]
    assert all(outcome.transient for outcome in outcomes[:6])
    assert len(server.requests_of("h0.test")) == 1


def test_a_host_that_is_down_is_not_asked_on(server: FaultyServer) -> None:
    urls = [server.url("h0.test", "close", f"{number}.jpg") for number in range(300)]
    urls += [server.url("h1.test", "ok", f"{number}.jpg") for number in range(50)]
    outcomes = _fetch(urls, _settings(server, host_down_after=6, per_host_concurrency=2))
    assert all(outcome.status == "ok" for outcome in outcomes[300:])
    dead = Counter(outcome.error for outcome in outcomes[:300])
    assert set(dead) == {ErrorClass.CONNECT, ErrorClass.HOST_DOWN}
    assert dead[ErrorClass.HOST_DOWN] >= 290
    assert all(outcome.transient for outcome in outcomes[:300])
    assert 6 <= len(server.requests_of("h0.test")) <= 9


def test_a_dead_resolver_stops_the_run(server: FaultyServer) -> None:
    urls = [server.url("h0.test", "ok", f"{number}.jpg") for number in range(5)]
    urls += [f"http://gone{number}.test/a.jpg" for number in range(2000)]
    outcomes: list[Outcome] = []
    settings = _settings(server, storm_window=100, concurrency=10, hosts=dict(server.addresses))
    with pytest.raises(FetchStormError, match=r"\d+ of the last 100 URLs failed with dns \(the last: gone"):
        fetch_all([FetchRequest(url, url) for url in urls], settings, on_done=outcomes.append, deadline_s=30)
    _check_complete(urls, outcomes)
    counts = Counter(outcome.error for outcome in outcomes)
    assert set(counts) - {None} == {ErrorClass.DNS, ErrorClass.CANCELLED}
    assert counts[ErrorClass.DNS] < 120
    assert all(outcome.transient for outcome in outcomes if outcome.error is ErrorClass.CANCELLED)


def test_a_list_of_dead_links_is_no_storm(server: FaultyServer) -> None:
    urls = [server.url(host, "missing", f"{number}.jpg") for host in _HOSTS for number in range(30)]
    outcomes = _fetch(urls, _settings(server, storm_window=50))
    assert {outcome.error for outcome in outcomes} == {ErrorClass.HTTP_4XX}


def test_only_the_last_outcomes_make_a_storm(server: FaultyServer) -> None:
    good = {f"good{number}.test": ["127.0.0.1"] for number in range(80)}
    urls = []
    for number, host in enumerate(good):  # never more than half of the last 20 fail, although 80 do
        urls += [f"http://gone{number}.test/a.jpg", server.url(host, "ok", "1.jpg")]
    outcomes = _fetch(urls, _settings(server, storm_window=20, concurrency=1, hosts=good))
    assert Counter(outcome.error for outcome in outcomes) == {None: 80, ErrorClass.DNS: 80}


def test_a_loop_is_seen_when_it_closes(server: FaultyServer) -> None:
    (outcome,) = _fetch([server.url("h0.test", "loop", "1.jpg")], _settings(server, max_redirects=20))
    assert outcome.error is ErrorClass.REDIRECT_LOOP
    assert [entry.path for entry in server.log] == ["/loop/1.jpg", "/loop/1.jpg?again"]


def test_another_attempt_begins_at_the_url_itself(server: FaultyServer) -> None:
    (outcome,) = _fetch([server.url("h0.test", "detour", "1.jpg")], _settings(server))
    assert (outcome.status, outcome.attempts) == ("ok", 3)
    assert [entry.path for entry in server.log] == ["/detour/1.jpg", "/flaky/detour-1.jpg"] * 3


def test_private_addresses_are_never_asked(server: FaultyServer) -> None:
    port = server.port
    spellings = ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::ffff:127.0.0.1]", "[::1]", "0")
    urls = [f"http://{host}:{port}/ok/1.jpg" for host in spellings]
    urls += [server.url("h0.test", "ok", "1.jpg"), server.url("h1.test", "ok", "1.jpg")]
    hosts = {"h0.test": ["127.0.0.1"], "h1.test": ["8.8.8.8", "127.0.0.1"]}
    outcomes = _fetch(urls, _settings(server, allowed_networks=[], hosts=hosts))
    assert {(outcome.error, outcome.transient) for outcome in outcomes} == {(ErrorClass.REFUSED_ADDRESS, False)}
    assert server.log == []
    allowed = _fetch(urls[:4], _settings(server, allowed_networks=[], allow_private_addresses=True))
    assert [outcome.status for outcome in allowed] == ["ok"] * 4


def test_bad_urls_and_missing_names_are_rows(server: FaultyServer) -> None:
    urls = ["", "ftp://h0.test/", "http://h0.test:0/", "http://a b/", "http://nowhere.test/", "http://\ud800/"]
    outcomes = _fetch(urls, _settings(server))
    assert [outcome.error for outcome in outcomes] == [*[ErrorClass.BAD_URL] * 4, ErrorClass.DNS, ErrorClass.BAD_URL]
    assert not any(outcome.transient for outcome in outcomes)
    assert _fetch([], _settings(server)) == []


def test_refused_connections_and_tls_have_classes_of_their_own(server: FaultyServer) -> None:
    urls = ["http://h0.test:1/a.jpg", f"https://h0.test:{server.port}/ok/1.jpg"]
    outcomes = _fetch(urls, _settings(server, attempts=2))
    assert [outcome.error for outcome in outcomes] == [ErrorClass.CONNECT, ErrorClass.TLS]
    assert [outcome.attempts for outcome in outcomes] == [2, 1]


def test_what_the_callback_raises_ends_the_run(server: FaultyServer) -> None:
    urls = [server.url("h0.test", "ok", f"{number}.jpg") for number in range(100)]
    seen: list[Outcome] = []

    def on_done(outcome: Outcome) -> None:
        seen.append(outcome)
        if len(seen) == 3:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fetch_all([FetchRequest(url, url) for url in urls], _settings(server), on_done=on_done, deadline_s=20)
    assert len(seen) == 3


def test_an_interrupt_leaves_an_outcome_for_each(server: FaultyServer) -> None:
    urls = [server.url("h0.test", "silent", f"{number}.jpg") for number in range(20)]
    urls += [server.url("h1.test", "ok", "1.jpg")]
    outcomes: list[Outcome] = []
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    settings = _settings(server, read_timeout_s=20.0, total_timeout_s=30.0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job does not have
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch_all([FetchRequest(url, url) for url in urls], settings, on_done=outcomes.append, deadline_s=20)
    finally:
        signal.signal(signal.SIGINT, before)
    _check_complete(urls, outcomes)
    assert Counter(outcome.error for outcome in outcomes) == {None: 1, ErrorClass.CANCELLED: 20}


def test_waits_between_attempts_grow_and_are_the_same_in_every_run(server: FaultyServer) -> None:
    gaps = []
    for _ in range(2):
        del server.log[:]
        _fetch([server.url("h0.test", "error", "1.jpg")], _settings(server, backoff_s=0.2, attempts=3))
        first, second, third = (entry.time_s for entry in server.log)
        gaps.append((second - first, third - second))
    for gap in gaps:
        assert 0.1 <= gap[0] < 0.6 and 0.2 <= gap[1] < 0.9
    assert gaps[0] == pytest.approx(gaps[1], abs=0.15)


@given(st.text(max_size=30) | st.integers(0, 10**30).map(str))
def test_retry_after_is_seconds_a_date_or_nothing(text: str) -> None:
    seconds = retry_after(text, 0.0)
    assert seconds is None or seconds >= 0


def test_retry_after_reads_both_forms() -> None:
    noon = 1_700_000_000.0  # 14 November 2023, 22:13:20 UTC
    assert retry_after("120", noon) == 120
    assert retry_after("Tue, 14 Nov 2023 22:14:20 GMT", noon) == 60
    assert retry_after("Tue, 14 Nov 2023 21:14:20 GMT", noon) == 0
    assert [retry_after(text, noon) for text in ("", "soon", "-5", "1.5", "٣", None)] == [None] * 6


def test_directives_bind_all_or_the_agents_that_they_name() -> None:
    refuse, agents = {"noai", "noindex"}, {"curation", "mybot"}
    for value, refused in {
        "noai": "noai",
        "NoAI, noindex": "noai",
        "mybot: noindex": "mybot: noindex",
        "otherbot: noai": None,
        "otherbot: noai, mybot: noai": "mybot: noai",
        "nofollow, max-snippet: 20": None,
    }.items():
        assert refused_directive({"X-Robots-Tag": [value]}, refuse, agents) == refused
    assert refused_directive({"TDM-Reservation": ["1"]}, {"tdm-reservation"}, agents) == "tdm-reservation"
    assert product_token("MyBot/1.0 (+https://bot.example)") == "mybot"
