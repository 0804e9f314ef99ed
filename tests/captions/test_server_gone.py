"""What concerns all requests ends the run in one sentence, and that sentence never holds the key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from server_asking import THREADS, Served, outcomes, question, settings_of, stage_errors

from curation.captions.client import Call
from curation.captions.faults import FAILED_IN_A_ROW, CaptionFaultError
from curation.captions.journal import AnswerJournal
from curation.captions.payload import Body
from curation.errors import RecipeError, StageError
from curation.recipe.captions import ServerModel
from curation.storage import Store
from curation.testing.caption_faults import CaptionFaults
from curation.testing.caption_server import CaptionServer

KEY = "sk-a-very-secret-key"


@pytest.fixture(scope="module")
def good() -> Iterator[CaptionServer]:
    with CaptionServer() as server:
        yield server


def test_a_server_that_is_gone_ends_the_run_in_one_sentence() -> None:
    """Whether it never was there, or went."""
    with CaptionServer() as server:
        absent, gone = (Served(settings_of(server), THREADS, None) for _ in range(2))
        gone.ask(question(0))
    for chat in (absent, gone):
        told = stage_errors(chat, 100)
        assert len(set(told)) == 1 and server.url in told[0] and "start the server" in told[0] and "\n" not in told[0]
        chat.close()


def test_who_gets_no_connection_while_others_are_answered_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(seconds: float) -> bool:
        assert chat.ask(question(1)).text.startswith("A ")
        return False

    with CaptionServer() as server:
        chat = Served(settings_of(server, attempts=2), 1, wait=wait)
        exchange = chat.client._exchange

        async def refused(call: Call[Any]) -> Body:
            if b"picture 3." in call.body:
                raise aiohttp.ConnectionTimeoutError
            return await exchange(call)

        monkeypatch.setattr(chat.client, "_exchange", refused)
        assert outcomes(chat, range(3, 4)) == {3: "fault connect"}
        assert len(server.log) == 1
        chat.close()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "other"}, "does not know the model"),
        ({"url": "{}/nothing"}, "correct model or url"),
        ({"url": "https://127.0.0.1:{port}/v1"}, "no secure connection"),
        ({"url": "http://no-such-host.invalid/v1"}, "no connection"),
    ],
)
def test_what_every_request_would_get_ends_the_run(good: CaptionServer, given: dict[str, str], words: str) -> None:
    values = {"url": good.url, "model": good.model} | given
    values["url"] = values["url"].replace("{port}", str(good.port)).replace("{}", good.url.removesuffix("/v1"))
    settings = ServerModel(backend="server", attempts=2, backoff_s=0.001, **values)  # type: ignore[arg-type]
    chat, before = Served(settings, 2, None), len(good.log)
    told = stage_errors(chat, 10)
    assert len(set(told)) == 1 and words in told[0] and values["url"] in told[0] and values["model"] in told[0]
    assert len(good.log) - before <= 2
    chat.close()


@pytest.mark.parametrize("status", ["http_307", "http_401", "http_403", "http_404"])
def test_refused_from_the_begin(status: str) -> None:
    with CaptionServer(faults=CaptionFaults({status: 1.0})) as server:
        chat = Served(settings_of(server), 1, None)
        assert "HTTP status" in stage_errors(chat, 3)[0]
        assert len(server.log) == 1
        chat.close()


def test_a_picture_that_a_filter_refuses_fails_alone() -> None:
    def lasting(asked: Any) -> str | None:
        return "http_403" if asked["messages"][0]["content"][0]["text"].endswith("picture 3.") else None

    with CaptionServer(faults=CaptionFaults(lasting=lasting)) as server:
        chat = Served(settings_of(server), 1, None)
        chat.ask(question(0))
        assert outcomes(chat, range(2, 5))[3] == "fault http_4xx"
        chat.close()


@pytest.mark.parametrize("kind", ["http_400", "http_500", "garbage"])
def test_a_server_that_answers_none_ends_the_run(kind: str) -> None:
    """Instead of a million failed rows."""
    faulty = [True]
    with CaptionServer(faults=CaptionFaults(lasting=lambda _: kind if faulty[0] else None)) as server:
        chat = Served(settings_of(server, attempts=1), 1, None)

        def faults(count: int) -> None:
            for number in range(count):
                with pytest.raises(CaptionFaultError):
                    chat.ask(question(number))

        faults(FAILED_IN_A_ROW - 1)
        faulty[0] = False
        chat.ask(question(999))  # one answer, and it counts from the begin
        faulty[0] = True
        faults(FAILED_IN_A_ROW - 1)
        assert f"the last {FAILED_IN_A_ROW} requests failed" in stage_errors(chat, 1)[0]
        chat.close()


def test_the_api_key_is_sent_and_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPTIONS_KEY", f" {KEY}\n")
    with CaptionServer(key=KEY) as server, AnswerJournal(Store(str(tmp_path)), "j") as journal:
        settings = settings_of(server, key_variable="CAPTIONS_KEY")
        chat = Served(settings, 1, journal)
        assert chat.ask(question(0)).text.startswith("A ")
        server.key = "another"  # the server repeats the wrong one in its message
        with pytest.raises(StageError) as error:
            chat.ask(question(1))
        told = str(error.value)
        assert "wrong key" in told and "key_variable" in told
        chat.close()
        files = "".join(path.read_text() for path in (tmp_path / "j").iterdir())
        assert files and KEY not in told + files + repr(chat) + repr(chat.client) + repr(settings)


@pytest.mark.parametrize("before", [0, 60, 75, 185, 195, 230, 236, 290])
@pytest.mark.parametrize("status", [200, 400, 401])
@pytest.mark.parametrize("form", ["{}", '{{"error": {{"message": "{}"}}}}', '{{"choices": [], "detail": "{}"}}'])
def test_no_part_of_a_key_is_told_wherever_words_are_cut(
    before: int, status: int, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPTIONS_KEY", KEY)
    settings = ServerModel(backend="server", url="http://127.0.0.1:9/v1", model="m", attempts=1,
                           key_variable="CAPTIONS_KEY")  # fmt: skip
    chat, data = Served(settings, 1), form.format("x" * before + KEY + " may not").encode()

    async def exchange(call: Call[Any]) -> Body:
        if status != 200:
            raise chat.client._refused(status, None, data)
        return Body("application/json", data)

    monkeypatch.setattr(chat.client, "_exchange", exchange)
    with pytest.raises((CaptionFaultError, StageError)) as error:
        chat.ask(question(0))
    words = str(error.value) + getattr(error.value, "detail", "")
    assert not any(KEY[:size] in words for size in range(4, len(KEY))) and len(words) < 1000
    assert "(the API key) may not" in words or before > 150
    chat.close()


def test_a_server_that_only_limits_says_what_to_set() -> None:
    with CaptionServer(faults=CaptionFaults({"rate_limited": 1.0}, retry_after="0")) as server:
        chat = Served(settings_of(server, attempts=1), 1)
        for number in range(FAILED_IN_A_ROW - 1):
            with pytest.raises(CaptionFaultError):
                chat.ask(question(number))
        assert "set requests_per_minute" in stage_errors(chat, 1)[0]
        chat.close()


@pytest.mark.parametrize("value", [None, "", "  ", "schlüssel", "a\nb", "a\x00b"])
def test_no_key_is_told_before_anything_is_asked(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAPTIONS_KEY", raising=False)
    if value and "\x00" not in value:
        monkeypatch.setenv("CAPTIONS_KEY", value)
    elif value:
        monkeypatch.setattr(os, "environ", {"CAPTIONS_KEY": value})
    settings = ServerModel(backend="server", url="http://127.0.0.1:9/v1", model="m", key_variable="CAPTIONS_KEY")
    with pytest.raises(RecipeError, match="CAPTIONS_KEY") as error:
        Served(settings, 1, None)
    assert not value or not value.strip() or value not in str(error.value)


@pytest.mark.parametrize("url", ["http:///v1", "http://[::1", "http://user:word@host/v1", "http://host:99999999/v1"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(RecipeError) as error:
        Served(ServerModel(backend="server", url=url, model="m"), 1, None)
    assert "word" not in str(error.value).replace("password", "")
