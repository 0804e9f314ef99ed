"""Queues by host against a plain account of what was started when."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.media.politeness import Host, HostQueues
from curation.recipe.network import FetchSettings

_HOSTS = st.lists(st.sampled_from("abcde"), max_size=60)


def _play(hosts: list[str], concurrency: int, delay_s: float, took: list[float], most: int = 8) -> list[tuple]:
    """Runs all to the end on a made-up clock: (start, end, host name, number), in order of start."""
    queues: HostQueues[str] = HostQueues(concurrency, delay_s)
    for number, host in enumerate(hosts):
        queues.add(host, number)
    now, running, played = 0.0, [], []
    while True:
        while len(running) < most and (taken := queues.take(now)):
            host, number = taken
            end = now + took[len(played) % len(took)]
            running.append((end, len(played), host))
            played.append((now, end, host.name, number))
        due = queues.next_time() if len(running) < most else None
        times = [time for time in (due, min(running)[0] if running else None) if time is not None]
        if not times:
            return played
        assert due is None or due >= now
        now = max(now, min(times))
        for entry in [entry for entry in running if entry[0] <= now]:
            running.remove(entry)
            queues.finished(entry[2])


@given(
    hosts=_HOSTS,
    concurrency=st.integers(1, 3),
    delay_s=st.sampled_from([0.0, 0.5, 2.0]),
    took=st.lists(st.sampled_from([0.25, 1.0, 7.0]), min_size=1, max_size=5),
)
def test_limits_hold_and_nothing_is_lost(hosts: list[str], concurrency: int, delay_s: float, took: list[float]) -> None:
    played = _play(hosts, concurrency, delay_s, took)
    assert sorted(number for *_, number in played) == list(range(len(hosts)))
    by_host = defaultdict(list)
    for start, end, host, number in played:
        assert hosts[number] == host
        by_host[host].append((start, end, number))
    for entries in by_host.values():
        starts = [start for start, *_ in entries]
        assert all(later - earlier >= delay_s for earlier, later in pairwise(starts))
        assert [number for *_, number in entries] == sorted(number for *_, number in entries)
        for start in starts:
            assert sum(begun <= start < end for begun, end, _ in entries) <= concurrency


@given(hosts=st.lists(st.sampled_from("abcde"), min_size=1, max_size=60))
def test_hosts_come_in_turn(hosts: list[str]) -> None:
    order = [hosts[number] for *_, number in _play(hosts, 100, 0.0, [1.0], most=1)]
    left = Counter(hosts)
    while left:  # each round names every host that has something left once
        names = order[: len(left)]
        assert sorted(names) == sorted(left)
        order = order[len(names) :]
        left = Counter({name: count - 1 for name, count in left.items() if count > 1})


def test_a_host_that_never_finishes_blocks_no_other() -> None:
    queues: HostQueues[str] = HostQueues(2, 0.0)
    for number in range(1000):
        queues.add("slow" if number < 900 else f"quick{number}", number)
    taken = []
    while entry := queues.take(1.0):
        taken.append(entry[0].name)
    assert taken.count("slow") == 2
    assert len(taken) == 102


def test_resumed_ones_wait_for_their_time_and_go_first_then() -> None:
    queues: HostQueues[str] = HostQueues(9, 0.0)
    queues.add("a", 0)
    queues.resume("a", "again", 5.0)
    first = queues.take(1.0)
    assert first is not None and first[1] == 0
    assert queues.take(4.9) is None
    assert queues.next_time() == 5.0
    queues.add("a", 1)
    queues.resume("a", "earlier", 2.0)
    assert [entry[1] for entry in iter(lambda: queues.take(6.0), None)] == ["earlier", "again", 1]


def test_a_pause_holds_for_the_whole_host_and_only_for_it() -> None:
    queues: HostQueues[str] = HostQueues(9, 0.0)
    for number, name in enumerate("aab"):
        queues.add(name, number)
    host, _ = queues.take(1.0) or (Host("none"), 0)
    host.pause(30.0)
    queues.resume("a", "again", 2.0)
    other = queues.take(1.0)
    assert other is not None and other[0].name == "b"
    assert queues.take(29.9) is None
    assert queues.next_time() == 30.0
    assert [entry[1] for entry in iter(lambda: queues.take(30.0), None)] == ["again", 1]


def test_what_waits_can_be_taken_out() -> None:
    queues: HostQueues[str] = HostQueues(1, 0.0)
    for number in range(4):
        queues.add("a", number)
    host, _ = queues.take(0.0) or (Host("none"), 0)
    queues.resume("a", "again", 9.0)
    assert list(queues.drain(host)) == ["again", 1, 2, 3]
    queues.finished(host)
    assert queues.take(99.0) is None and queues.next_time() is None


def test_a_million_queued_requests_are_small() -> None:
    queues: HostQueues[str] = HostQueues(4, 0.0)
    before = sys.getallocatedblocks()
    names = [f"host{number}" for number in range(1000)]
    for number in range(1_000_000):
        queues.add(names[number % 1000], number)
    assert sys.getallocatedblocks() - before < 20_000  # objects of the hosts, none of the requests
    assert queues._following.itemsize * len(queues._following) == 8_000_000


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 7, 100])
def test_shares_add_up_to_the_limit(tasks: int) -> None:
    settings = FetchSettings(per_host_concurrency=6, per_host_delay_s=0.5)
    each = settings.shared(tasks)
    assert tasks * each.per_host_concurrency <= max(6, tasks)
    assert tasks / each.per_host_delay_s == pytest.approx(1 / settings.per_host_delay_s)
    assert each.concurrency == settings.concurrency


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FetchSettings().shared(0)
    for wrong in ({"user_agent": "a\r\nX: y"}, {"user_agent": " "}, {"concurrency": 0}, {"read_timeout_s": 0.0}):
        with pytest.raises(ValidationError):
            FetchSettings(**wrong)
