"""The server of the demo's images: what it says of a URL is what a fetcher finds, and the command beside it is run."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.fetching import fetch_all
from curation.media.image_headers import sniff
from curation.media.outcomes import FetchRequest, Outcome
from curation.media.targets import parse_target
from curation.recipe.network import FetchSettings
from curation.testing import Web
from curation.testing.__main__ import main
from curation.testing.hosts import CDN
from curation.testing.mirror import BUSY_HOST, SLOW_HOST, Mirror, expected, loss_of
from curation.testing.pictures import MIMES, draw, extension


def _settings(mirror: Mirror, **changes: object) -> FetchSettings:
    given_ = {"mirror": mirror.address, "allowed_networks": ["127.0.0.0/8"], "backoff_s": 0.1, **changes}
    return FetchSettings.model_validate(given_)


def _fetch(urls: list[str], settings: FetchSettings) -> dict[str, Outcome]:
    outcomes: list[Outcome] = []
    fetch_all([FetchRequest(url, url) for url in urls], settings, on_done=outcomes.append, deadline_s=40)
    assert Counter(outcome.media_id for outcome in outcomes) == Counter(urls)
    return {outcome.media_id: outcome for outcome in outcomes}


@pytest.fixture(scope="module")
def urls(web: Web) -> list[str]:
    """Some hundred URLs of a web; some of each loss and of the two odd hosts among them."""
    every = sorted({image.url for _, image in web.images if image.url})
    chosen = every[::24]
    for loss in ("missing", "gone", "moved", "page", "robots", "cut", "busy"):
        chosen += [url for url in every if loss_of(url) == loss][:3]
    chosen += [url for url in every if urlsplit(url).hostname == SLOW_HOST][:4]
    return sorted(set(chosen))


@pytest.mark.slow
def test_a_fetchers_ledger_is_the_one_foretold(urls: list[str]) -> None:
    with Mirror() as mirror:
        settings = _settings(mirror)
        found = _fetch(urls, settings)
        asked = Counter(mirror.asked)
    assert len(urls) > 200
    differences = {
        url: (outcome.status, outcome.error, outcome.attempts, outcome.detail)
        for url, outcome in found.items()
        for told in [expected(url, settings)]
        if (outcome.status, outcome.error, outcome.attempts) != (told.status, told.error, told.attempts)
    }
    assert differences == {}
    for place, (url, outcome) in enumerate(found.items()):
        loss = loss_of(url)
        assert asked[parse_target(url).url.replace("http://", "https://")] == outcome.attempts
        if loss == "page":
            assert outcome.mime == "text/html; charset=utf-8"
            assert sniff(outcome.body) not in MIMES.values()
        elif outcome.status == "ok":
            assert place % 4 or outcome.body == draw(url)
            assert outcome.mime == MIMES[extension(url) or ""]
        assert (outcome.final_url != url) == (loss == "moved")


def test_a_run_that_does_not_try_again_is_foretold_too(web: Web) -> None:
    every = sorted({image.url for _, image in web.images if image.url})
    some = [url for loss in ("cut", "busy") for url in [url for url in every if loss_of(url) == loss][:2]]
    with Mirror() as mirror:
        settings = _settings(mirror, attempts=1)
        found = _fetch(some, settings)
        again = _fetch(some, settings)
    for url in some:
        told = expected(url, settings)
        assert (found[url].status, found[url].error) == (told.status, told.error)
        assert again[url].status == ("ok" if loss_of(url) == "busy" else "failed")


def test_a_cut_body_ends_for_those_too_who_keep_connections(urls: list[str]) -> None:
    parts = urlsplit(next(url for url in urls if loss_of(url) == "cut"))
    with Mirror() as mirror:
        connection = http.client.HTTPConnection(mirror.address, timeout=3)
        connection.request("GET", parts.path, headers={"Host": parts.netloc})
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
        connection.close()


def test_losses_are_as_many_as_on_the_web(web: Web) -> None:
    every = {image.url for _, image in web.images if image.url}
    losses = Counter(loss_of(url) for url in every)
    share = {loss: count / len(every) for loss, count in losses.items()}
    assert set(losses) == {None, "missing", "gone", "moved", "page", "robots", "cut", "busy"}
    assert 0.10 < 1 - share[None] - share["busy"] < 0.15
    assert all(share[loss] > 0.004 for loss in losses if loss != "busy")
    assert 3 < losses["busy"] < 40  # each holds its host up for a second


@given(st.text(max_size=30))
def test_losses_are_of_the_picture_not_of_its_variants(name: str) -> None:
    path = name.translate(str.maketrans("", "", "?#"))
    url = f"https://{CDN}/{path}.jpg"
    assert loss_of(url) == loss_of(f"{url}?w=320") == loss_of(url.replace("https", "http"))
    assert loss_of(f"https://{CDN}/{path}.html") == "missing"
    assert loss_of(f"https://{CDN}/moved/{path}.jpg") is None


def test_the_slow_host_is_slow_and_no_other() -> None:
    slow, quick = f"https://{SLOW_HOST}/moved/{CDN}/1.jpg", f"https://{BUSY_HOST}/moved/{CDN}/1.jpg"
    with Mirror() as mirror:
        found = _fetch([slow, quick], _settings(mirror))
    assert 250 <= found[slow].elapsed_ms < 2000
    assert found[quick].elapsed_ms < 250


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /1.jpg HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://[/ HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /\xff HTTP/1.1\r\nHost: [::\r\n\r\n", b"400"),
        (b"\x16\x03\x01 \x02 HTTP/1.1\r\n\r\n", b"501"),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"501"),
    ],
)
def test_a_senseless_request_gets_an_error_and_the_server_goes_on(
    request_: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with Mirror() as mirror:
        host, _, port = mirror.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(request_)
            assert status in connection.recv(4096)[:80]
        url = f"https://{CDN}/moved/a.test/pictures/en/dog/0001.jpg"
        assert _fetch([url], _settings(mirror))[url].status == "ok"
    assert capfd.readouterr().err == ""


# python -m curation.testing


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "curation.testing", *arguments]


_ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
_ASK = """
import sys, http.client
connection = http.client.HTTPConnection(sys.argv[1].partition("=")[2])
connection.request("GET", "/moved/a.test/1.png", headers={"Host": "a.test"})
answer = connection.getresponse()
sys.exit(7 if answer.status == 200 and answer.read().startswith(b"\\x89PNG") else 1)
"""


def test_a_command_is_run_beside_the_server() -> None:
    done = subprocess.run(
        _command("serve", "--", sys.executable, "-c", _ASK, "mirror={mirror}"),
        env=_ENVIRONMENT, check=False, capture_output=True, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")


def test_a_command_that_does_not_exist_is_said() -> None:
    done = subprocess.run(
        _command("serve", "--", "no-such-command"), env=_ENVIRONMENT, check=False, capture_output=True, timeout=30
    )
    assert done.returncode == 127
    assert b"no-such-command cannot be run" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("serve",), ("serve", "--"), ("serve", "folder"), ("one", "two")])
def test_wrong_usage_is_told(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["testing", *arguments])
    assert main() == 2
    assert capsys.readouterr().err.startswith("usage: ")
    assert list(tmp_path.iterdir()) == []


_WAITS = """
import signal, sys, time
def end(number, frame):
    sys.exit(40 + number)
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
time.sleep(20)
"""


@pytest.mark.parametrize(
    ("number", "to_group", "code"), [(signal.SIGINT, True, 42), (signal.SIGTERM, False, 128 + signal.SIGTERM)]
)
def test_an_interrupt_ends_both_with_the_commands_code(number: signal.Signals, to_group: bool, code: int) -> None:
    process = subprocess.Popen(
        _command("serve", "--", sys.executable, "-c", _WAITS),
        env=_ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    begun = time.monotonic()
    (os.killpg if to_group else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (code, b"")
    assert time.monotonic() - begun < 5
