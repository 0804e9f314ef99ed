"""What the rows about fetching ask for and how they judge it; nothing is fetched."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("bench", reason="the benchmarks are in a checkout alone")

from bench import fetching_faulty as faulty
from bench.fetching import PEER
from bench.harness import OURS, Result, Row
from bench.rows import ROWS
from curation.testing.faulty_server import FaultyServer


def _server() -> FaultyServer:
    return FaultyServer([f"host{number}.test" for number in range(50)], spread=True)


def _kind(url: str) -> str:
    return url.split("/")[3]


def _host(url: str) -> str:
    return url.split("/")[2]


def test_every_fourth_url_is_faulty_on_every_host_and_in_every_way() -> None:
    urls = faulty.faulty_urls(_server())
    bad = [url for url in urls if _kind(url) != "ok"]
    assert (len(set(urls)), len(bad)) == (1000, 250)
    assert set(Counter(map(_host, urls)).values()) == {20}
    assert set(Counter(map(_host, bad)).values()) == {5}  # too few for a host to be given up
    kinds = Counter(map(_kind, bad))
    assert kinds.keys() == set(faulty.RECOVERABLE + faulty.LOST)
    assert max(kinds.values()) - min(kinds.values()) <= 1


def test_recoverable_are_the_images_that_the_server_says_come() -> None:
    server = _server()
    urls = faulty.faulty_urls(server)
    found = faulty.recoverable_urls(server, urls)
    assert found == {url for url in urls if _kind(url) in ("ok", *faulty.RECOVERABLE)}
    assert len(found) > 750


def _obtaining(monkeypatch: pytest.MonkeyPatch, missed: int, seconds: float | None) -> None:
    def obtained(side: str, server: FaultyServer, urls: list[str]) -> tuple[set[str], float | None]:
        found = sorted(faulty.recoverable_urls(server, urls))
        lost = {url for url in urls if _kind(url) == "cut"}  # a torn picture that is taken for one counts for nothing
        return {*found[: len(found) - missed], *lost}, seconds

    monkeypatch.setattr(faulty, "_obtained", obtained)
    faulty.ROW.notes.clear()


def test_a_peers_share_is_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    _obtaining(monkeypatch, 420, None)
    assert faulty.cost_of(PEER, [b""]) == 2
    assert faulty.ROW.notes == {PEER: "50.0% (not at its end after 120 s)"}


def test_ours_has_to_obtain_all_and_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _obtaining(monkeypatch, 0, 61.7)
    assert faulty.cost_of(OURS, [b""]) == 1
    assert faulty.ROW.notes == {OURS: "100.0% (62 s)"}
    for missed, seconds in ((1, 61.7), (0, None)):
        _obtaining(monkeypatch, missed, seconds)
        with pytest.raises(RuntimeError, match="curation"):
            faulty.cost_of(OURS, [b""])


def test_notes_are_told_behind_what_is_measured() -> None:
    row = Row("x", "something", "s", {"peer": 1}, ROWS["fetch-faulty"].sides, notes={"peer": "40 MB", OURS: "20 MB"})
    told = Result(row, {OURS: [1.0], "peer": [2.0]}).to_json()["about"]
    assert told == "something: peer 40 MB, curation 20 MB"
    plain = Row("x", "something", "s", {"peer": 1}, ROWS["fetch-faulty"].sides)
    assert Result(plain, {OURS: [1.0], "peer": [2.0]}).to_json()["about"] == "something"
