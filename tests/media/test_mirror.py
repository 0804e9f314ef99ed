"""A mirror is asked instead of every host, and the ledger still speaks of the web as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from curation.errors import CurationError
from curation.media.fetching import fetch_all
from curation.media.outcomes import ErrorClass, FetchRequest, Outcome
from curation.recipe.network import FetchSettings
from curation.testing.faulty_server import FaultyServer, made_up_body

_HOSTS = ["a.test", "b.test"]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(_HOSTS) as running:
        yield running


def _fetch(server: FaultyServer, *urls: str, **changes: object) -> list[Outcome]:
    quick: dict[str, object] = {
        "mirror": f"127.0.0.1:{server.port}",
        "allowed_networks": ["127.0.0.0/8"],
        "hosts": {},  # so that no name of a URL can be looked up
        "read_timeout_s": 0.8,
        "total_timeout_s": 1.9,
        "backoff_s": 0.05,
    }
    outcomes: list[Outcome] = []
    requests = [FetchRequest(url, url) for url in urls]
    fetch_all(requests, FetchSettings(**{**quick, **changes}), on_done=outcomes.append, deadline_s=20)
    by_id = {outcome.media_id: outcome for outcome in outcomes}
    return [by_id[url] for url in urls]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_mirror_is_asked_and_the_host_named(server: FaultyServer, scheme: str) -> None:
    url = f"{scheme}://A.test:81/ok/x%20y.jpg?w=1&q=%2F"
    (outcome,) = _fetch(server, url)
    assert outcome.body == made_up_body("a.test", "/ok/x%20y.jpg?w=1&q=%2F")
    assert outcome.final_url == f"{scheme}://a.test:81/ok/x%20y.jpg?w=1&q=%2F"
    (request,) = server.log
    assert request.headers.startswith("GET /ok/x%20y.jpg?w=1&q=%2F HTTP/1.1\r\n")
    assert request.headers.count("\r\nHost: a.test:81\r\n") == 1
    assert request.headers.lower().count("\r\nhost:") == 1


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.test/ok/1", "a.test"),
        ("https://a.test:443?q", "a.test"),
        ("https://a.test:80", "a.test:80"),
        ("http://[2001:DB8::1]:81", "[2001:db8::1]:81"),
    ],
)
def test_the_host_is_sent_as_a_browser_sends_it(server: FaultyServer, url: str, host: str) -> None:
    _fetch(server, url)
    assert f"\r\nHost: {host}\r\n" in server.log[0].headers


def test_redirects_lead_through_the_web_and_are_asked_of_the_mirror(server: FaultyServer) -> None:
    away = "https://a.test:81/away/1.jpg?to=b.test"
    chain = "https://a.test:81/chain/1.jpg"
    private = "https://a.test:81/private/1.jpg"
    one, other, third = _fetch(server, away, chain, private)
    assert (one.status, one.final_url) == ("ok", f"http://b.test:{server.port}/ok/1.jpg")
    assert one.body == made_up_body("b.test", "/ok/1.jpg")
    assert (other.status, other.final_url) == ("ok", f"{chain}?left=0")
    assert third.final_url == "http://10.0.0.1/secret.jpg"  # the mirror's answer for it: nothing went to 10.0.0.1
    assert (third.error, third.http_status) == (ErrorClass.HTTP_4XX, 404)


def test_politeness_is_by_the_urls_own_host(server: FaultyServer) -> None:
    urls = [f"https://{host}:81/slow/{number}.jpg" for host in _HOSTS for number in range(5)]
    assert {outcome.status for outcome in _fetch(server, *urls, per_host_concurrency=2)} == {"ok"}
    for host in _HOSTS:
        assert max(entry.concurrent for entry in server.requests_of(host)) == 2
    down = [f"https://a.test:81/error/{number}.jpg" for number in range(8)]
    outcomes = _fetch(server, *down, "https://b.test:81/ok/1.jpg", host_down_after=3, attempts=1)
    assert ErrorClass.HOST_DOWN in [outcome.error for outcome in outcomes]
    assert outcomes[-1].status == "ok"


@pytest.mark.parametrize("url", ["https://a.test/ok/1.jpg", "https://127.0.0.1/ok/1.jpg", "http://93.184.215.14/1.jpg"])
def test_the_mirrors_address_is_the_one_that_is_checked(server: FaultyServer, url: str) -> None:
    (refused,) = _fetch(server, url, allowed_networks=[])
    assert (refused.error, refused.final_url) == (ErrorClass.REFUSED_ADDRESS, url)
    (named,) = _fetch(server, url, allowed_networks=[], mirror=f"m.test:{server.port}", hosts={"m.test": ["127.0.0.1"]})
    assert named.error == ErrorClass.REFUSED_ADDRESS
    assert server.log == []
    (asked,) = _fetch(server, url, allowed_networks=[], allow_private_addresses=True)
    assert asked.http_status is not None


def test_a_mirror_by_name(server: FaultyServer) -> None:
    url = "https://a.test:81/ok/1.jpg"
    (found,) = _fetch(server, url, mirror=f"M.test:{server.port}", hosts={"m.test": ["127.0.0.1"]})
    assert found.body == made_up_body("a.test", "/ok/1.jpg")
    (unknown,) = _fetch(server, url, mirror="nowhere.test:80")
    assert unknown.error == ErrorClass.DNS


@pytest.mark.parametrize(
    "mirror",
    ["", "http://a.test", "a.test/x", "u@a.test", "a.test:0", "a.test:99999", "a b", "[::1", "a.test:x", "1.2.3.4.5"],
)
def test_what_is_no_host_and_port_is_refused_with_the_recipe(mirror: str) -> None:
    with pytest.raises((ValueError, CurationError), match="mirror"):
        FetchSettings(mirror=mirror)
