"""The faulty server itself, seen through plain sockets: what it sends, what it logs."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from curation.recipe.network import FetchSettings
from curation.testing.faults import FAULTS, Expected
from curation.testing.faulty_server import FaultyServer, made_up_body


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(["a.test", "b.test"]) as running:
        yield running


def _ask(server: FaultyServer, host: str, path: str) -> bytes:
    with socket.create_connection((server.addresses[host][0], server.port), timeout=5) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{server.port}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def test_good_answers_differ_by_host_and_path_and_are_logged(server: FaultyServer) -> None:
    answers = [_ask(server, host, path) for host in server.addresses for path in ("/ok/1.jpg", "/ok/2.jpg")]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [
        made_up_body(host, path) for host in server.addresses for path in ("/ok/1.jpg", "/ok/2.jpg")
    ]
    assert len(set(answers)) == 4
    assert [(entry.host, entry.path, entry.concurrent) for entry in server.log] == [
        (host, path, 1) for host in server.addresses for path in ("/ok/1.jpg", "/ok/2.jpg")
    ]
    assert [entry.path for entry in server.requests_of("b.test")] == ["/ok/1.jpg", "/ok/2.jpg"]


def test_what_recovers_counts_by_url(server: FaultyServer) -> None:
    lines = [_ask(server, "a.test", "/flaky/1.jpg").split(b"\r\n")[0] for _ in range(4)]
    assert lines == [b"HTTP/1.1 503 Service Unavailable"] * 2 + [b"HTTP/1.1 200 OK"] * 2
    assert _ask(server, "b.test", "/flaky/1.jpg").startswith(b"HTTP/1.1 503")
    busy = _ask(server, "a.test", "/busy/1.jpg")
    assert busy.startswith(b"HTTP/1.1 429") and b"\r\nRetry-After: 1\r\n" in busy


def test_requests_in_progress_are_counted(server: FaultyServer) -> None:
    place = (server.addresses["a.test"][0], server.port)
    connections = [socket.create_connection(place, timeout=5) for _ in range(3)]
    for connection in connections:
        connection.sendall(f"GET /stall/1.jpg HTTP/1.1\r\nHost: a.test:{server.port}\r\n\r\n".encode())
        connection.recv(1)
    for connection in connections:
        connection.close()
    _ask(server, "a.test", "/ok/1.jpg")
    assert [entry.concurrent for entry in server.log] == [1, 2, 3, 1]


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
def test_expectations_follow_the_settings(server: FaultyServer, attempts: int) -> None:
    settings = FetchSettings(attempts=attempts, read_timeout_s=2.0, total_timeout_s=5.0, max_redirects=2)
    kinds = ("ok", "missing", "error", "flaky", "busy", "stall", "chain", "away", "drip")
    assert [server.expected(server.url("a.test", kind, "1.jpg"), settings) for kind in kinds] == [
        Expected("ok", None, 1),
        Expected("failed", "http_4xx", 1),
        Expected("failed", "http_5xx", attempts),
        Expected("ok", None, 3) if attempts >= 3 else Expected("failed", "http_5xx", attempts),
        Expected("ok", None, 2) if attempts >= 2 else Expected("failed", "too_many_requests", 1),
        Expected("failed", "timeout", min(attempts, 3)),
        Expected("failed", "redirect_loop", 1),
        Expected("ok", None, 1),
        Expected("failed", "timeout", 1),
    ]


def test_every_kind_is_known_by_its_name() -> None:
    assert len(FAULTS) > 50
    assert all(name == fault.name for name, fault in FAULTS.items())


def test_names_may_have_addresses_of_their_own() -> None:
    hosts = [f"h{number}.test" for number in range(300)]
    with FaultyServer(hosts, spread=True) as server:
        assert len({address for found in server.addresses.values() for address in found}) == 300
        assert _ask(server, "h299.test", "/ok/1.jpg").endswith(made_up_body("h299.test", "/ok/1.jpg"))
