"""Every request has one outcome, whatever a server does; what was answered is asked once; nothing waits forever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server_asking import THREADS, Served, Waits, outcomes, question, settings_of, transcribing

from curation.captions.client import MAX_BACKOFF_S, MAX_RETRY_AFTER_S, Pace
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.journal import AnswerJournal
from curation.captions.models import Spend, Spoken
from curation.errors import StageError
from curation.storage import Store
from curation.testing.caption_faults import CaptionFaults
from curation.testing.caption_server import CaptionServer, Question, made_up


@pytest.fixture(scope="module")
def good() -> Iterator[CaptionServer]:
    with CaptionServer() as server:
        yield server


def test_answers_come_from_the_server_once_each_and_then_from_the_journal(tmp_path: Path) -> None:
    with CaptionServer(slots=4) as server:
        settings = settings_of(server)
        for replayed in (0, 100):
            with AnswerJournal(Store(str(tmp_path)), "j") as journal:
                chat = Served(settings, 4, journal)
                found = outcomes(chat, range(100))
                assert all(text.startswith("A ") for text in found.values()) and len(set(found.values())) == 100
                spend = chat.spend()
                assert spend == Spend(100, 100 * (3 + 256), sum(len(text.split()) for text in found.values()), replayed)
                assert chat.slots == 4
                chat.close()
        assert len(server.log) == 100 and set(server.answered().values()) == {1}
        assert server.most_in_flight <= 4 and server.connections <= 4  # of 8 threads; and they stay open


def test_every_request_has_one_outcome_under_faults(tmp_path: Path) -> None:
    """A twentieth of attempts goes wrong in each way: no sample is lost, and no answer is another one."""
    faults = CaptionFaults({"http_500": 0.05, "garbage": 0.05, "flood": 0.05, "reset": 0.05, "rate_limited": 0.05})
    with CaptionServer(faults=faults) as server, CaptionServer() as calm:
        for expected in (None, 300):
            with AnswerJournal(Store(str(tmp_path)), "j") as journal:
                chat = Served(settings_of(server, attempts=12), THREADS, journal)
                found, asked = outcomes(chat, range(300)), len(server.log)
                assert chat.spend().requests == 300
                assert expected is None or chat.spend().replayed == expected
                chat.close()
        assert len(server.log) == asked > 330 and set(server.answered().values()) == {1}
        assert sum(entry.fault is not None for entry in server.log) == asked - 300
        chat = Served(settings_of(calm), THREADS, None)
        assert outcomes(chat, range(300)) == found
        chat.close()


def test_answers_that_never_end_are_asked_for_again() -> None:
    """Here a good answer that came too late may be asked for twice, so that only the outcomes are the same."""
    with CaptionServer(faults=CaptionFaults({"trickle": 0.1})) as server, CaptionServer() as calm:
        settings = settings_of(server, seconds=0.4, attempts=20), settings_of(calm)
        slow, straight = (Served(each, THREADS) for each in settings)
        assert outcomes(slow, range(60)) == outcomes(straight, range(60))
        assert sum(entry.fault == "trickle" for entry in server.log) >= 1
        for chat in (slow, straight):
            chat.close()


def test_a_proxy_before_another_server_changes_nothing_but_its_faults(good: CaptionServer) -> None:
    with CaptionServer(upstream=good.url, faults=CaptionFaults({"garbage": 0.2, "reset": 0.2})) as proxy:
        through, straight = (Served(settings_of(each, attempts=20), 4, None) for each in (proxy, good))
        assert outcomes(through, range(40)) == outcomes(straight, range(40))
        assert sum(entry.fault is not None for entry in proxy.log) > 5
        for chat in (through, straight):
            chat.close()


LASTING = {
    "http_400": (Fault.HTTP_4XX, 1),
    "http_500": (Fault.HTTP_5XX, 3),
    "http_503": (Fault.HTTP_5XX, 3),
    "rate_limited": (Fault.RATE_LIMITED, 3),
    "garbage": (Fault.GARBAGE, 3),
    "null_content": (Fault.GARBAGE, 3),
    "flood": (Fault.ENDLESS, 3),
    "trickle": (Fault.TIMEOUT, 3),
    "stall": (Fault.TIMEOUT, 3),
    "reset_early": (Fault.CONNECT, 3),
    "reset_inside": (Fault.CONNECT, 3),
    "cut": (Fault.CONNECT, 3),
    "refusal": (Fault.REFUSAL, 1),
    "empty": (Fault.EMPTY, 1),
    "repeating": (Fault.ENDLESS, 1),
}


@pytest.mark.parametrize("kind", LASTING)
def test_lasting_faults_fail_their_sample_alone(kind: str) -> None:
    def lasting(asked: Any) -> str | None:
        return kind if asked["messages"][0]["content"][0]["text"].endswith("picture 3.") else None

    fault, attempts = LASTING[kind]
    with CaptionServer(faults=CaptionFaults(lasting=lasting)) as server:
        chat = Served(settings_of(server, seconds=0.15, attempts=3), THREADS, None)
        found = outcomes(chat, range(6))
        assert found.pop(3) == f"fault {fault}"
        assert all(text.startswith("A ") for text in found.values())
        assert sum(entry.fault is not None for entry in server.log) == attempts
        chat.close()


def test_answers_that_are_cut_off_or_refused_are_not_asked_for_again(tmp_path: Path) -> None:
    def answer(asked: Question) -> str:
        return "I'm sorry, but I can't help." if "picture 1." in asked.texts[0] else "a b c d e f g h " * 20

    with CaptionServer(answer=answer) as server:
        for _ in range(2):
            with AnswerJournal(Store(str(tmp_path)), "j") as journal:
                chat = Served(settings_of(server), 2, journal)
                assert outcomes(chat, range(3)) == {0: "fault endless", 1: "fault refusal", 2: "fault endless"}
                chat.close()
        assert len(server.log) == 3


def test_event_streams_are_answers_too() -> None:
    with CaptionServer(stream=True) as streaming, CaptionServer() as server:
        chats = [Served(settings_of(each), 2, None) for each in (streaming, server)]
        answers = [chat.ask(question(1)) for chat in chats]
        assert answers[0] == answers[1] and answers[0].prompt_tokens
        for chat in chats:
            chat.close()


KILLED = """
import sys
from concurrent.futures import ThreadPoolExecutor
from curation.captions.journal import AnswerJournal
from curation.captions.models import Picture, Request
from curation.captions.asking import Chat
from curation.captions.client import ServerClient
from curation.captions.server import ServerChat
from curation.recipe.captions import ServerModel
from curation.storage import Store
settings = ServerModel(backend="server", url=sys.argv[1], model="made-up", slots=8)
with AnswerJournal(Store(sys.argv[2]), "j") as journal, ThreadPoolExecutor(8) as threads:
    chat = Chat(ServerChat(ServerClient(settings)), settings, journal)
    def ask(number):
        picture = Picture(b"\\xff\\xd8" + bytes([number % 256]) * 500)
        return chat.ask(Request((f"Describe picture {number}.", picture), 64))
    list(threads.map(ask, range(200)))
"""


def test_what_a_killed_process_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    """But for the few answers that were on their way when it was killed."""
    enough = threading.Event()

    def answer(asked: Question) -> str:
        if len(server.log) >= 80:
            enough.set()
        return made_up(asked)

    with (
        CaptionServer(slots=8, seconds=0.005, answer=answer) as server,
        subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(tmp_path)]) as child,
    ):
        assert enough.wait(30)
        os.kill(child.pid, signal.SIGKILL)
    with CaptionServer() as later, AnswerJournal(Store(str(tmp_path)), "j") as journal:
        known = len(journal)
        assert 80 - 8 <= known < 200
        chat = Served(settings_of(later), 8, journal)
        found = outcomes(chat, range(200))
        assert chat.spend()[0::3] == (200, known)
        chat.close()
    assert all(text.startswith("A ") for text in found.values())
    again = {entry.key for entry in later.log}
    assert len(later.log) == len(again) == 200 - known
    before = {entry.key for entry in server.log}
    assert len(again & before) <= 8 and len(again | before) == 200


def test_waits_double_and_are_spread() -> None:
    waits = Waits()
    with CaptionServer(faults=CaptionFaults({"http_503": 1.0})) as server:
        chat = Served(settings_of(server, backoff_s=1.0, attempts=9), 1, wait=waits)
        for number in range(20):
            assert outcomes(chat, range(number, number + 1)) == {number: "fault http_5xx"}
        chat.close()
    rounds = [waits.seconds[start : start + 8] for start in range(0, 160, 8)]
    assert len(waits.seconds) == 160
    for number, found in enumerate(zip(*rounds, strict=True)):
        middle = min(2.0**number, MAX_BACKOFF_S)
        assert all(0.5 * middle <= each <= 1.5 * middle for each in found)
        assert max(found) - min(found) > 0.5 * middle


@pytest.mark.parametrize(
    ("header", "waited"), [("7", 7.0), ("0", None), ("1000000", MAX_RETRY_AFTER_S), ("soon", 0.0), (None, 0.0)]
)
def test_retry_after_goes_before(header: str | None, waited: float | None) -> None:
    waits = Waits()
    with CaptionServer(faults=CaptionFaults({"rate_limited": 1.0}, retry_after=header)) as server:
        chat = Served(settings_of(server, attempts=2), 1, wait=waits)
        assert outcomes(chat, range(1)) == {0: "fault rate_limited"}
        chat.close()
    if waited is None:
        assert waits.seconds == []
    elif waited:
        assert waits.seconds == [waited]
    else:
        assert len(waits.seconds) == 1 and waits.seconds[0] < 0.01


def test_pace_keeps_even_distances() -> None:
    now = [50.0]
    pace = Pace(120, lambda: now[0])
    assert [pace.wait_s() for _ in range(4)] == [0.5, 1.0, 1.5, 2.0]
    now[0] += 1.75
    assert pace.wait_s() == 0.75
    now[0] += 100.0
    assert [pace.wait_s(), pace.wait_s()] == [0.0, 0.5]
    assert [Pace(None).wait_s() for _ in range(3)] == [0.0] * 3


def test_the_share_of_the_rate_is_kept(good: CaptionServer) -> None:
    """Every attempt takes its turn, the first one too: what came before this client may just have been sent."""
    for tasks, distance in ((1, 0.5), (8, 4.0)):
        waits = Waits()
        chat = Served(settings_of(good, requests_per_minute=120), 1, tasks=tasks, wait=waits)
        for number in range(3):
            chat.ask(question(number))
        assert len(waits.seconds) == 3 and abs(sum(waits.seconds) - 6 * distance) < 0.5
        chat.close()


def test_closing_lets_go_whoever_waits() -> None:
    stalled = threading.Event()

    def stall(asked: Any) -> str:
        stalled.set()
        return "stall"

    with CaptionServer(faults=CaptionFaults(lasting=stall)) as server:
        chat = Served(settings_of(server), 2, None)
        with ThreadPoolExecutor(6) as threads:
            waiting = [threads.submit(chat.ask, question(number)) for number in range(6)]
            assert stalled.wait(10)
            chat.close()
            errors = [each.exception(10) for each in waiting]
        assert all(isinstance(error, StageError) and "closed" in str(error) for error in errors)
        chat.close()
        with pytest.raises(StageError):
            chat.ask(question(9))


def test_transcripts(tmp_path: Path) -> None:
    sound = np.sin(np.arange(3 * 16_000, dtype=np.float32) / 9)
    answer = "one two three four"
    with (
        CaptionServer(answer=lambda _: answer) as server,
        AnswerJournal(Store(str(tmp_path)), "j") as journal,
        transcribing(settings_of(server), journal) as speech,
    ):
        segments = [Spoken(0, 1250, "one two"), Spoken(1500, 2750, "three four")]
        assert speech.transcribe(sound, "en") == segments
        server.transcripts = "json"
        assert speech.transcribe(sound, "en") == segments  # out of the journal
        assert speech.transcribe(sound, None) == [Spoken(0, 3000, answer)]
        answer = ""
        assert speech.transcribe(sound[:100], None) == []
        assert len(server.log) == 3
        assert speech.spend() == Spend(4, 0, 0, 1)


def test_transcribers_have_faults_too() -> None:
    with CaptionServer(faults=CaptionFaults({"null_content": 1.0})) as server:
        with transcribing(settings_of(server, attempts=2)) as speech, pytest.raises(CaptionFaultError) as error:
            speech.transcribe(np.zeros(100, np.float32), None)
        assert error.value.fault is Fault.GARBAGE and len(server.log) == 2
