"""captions where servers fail, go, or runs are killed: what becomes a row, what stops the run, what is asked again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults_captions import CaptionWeb, Told, are_lawful, caption_web, captions_of, served, teacher, texts_of
from faults_films import executed, rows

from curation.errors import StageError
from curation.stages.captions import ANSWERS, Captions
from curation.testing.caption_faults import CaptionFaults
from curation.testing.caption_server import CaptionServer

ALT = {"source": "alt"}
PASSING = {"http_500": "http_5xx", "html": "garbage", "reset_early": "connect", "cut": "connect",
           "rate_limited": "rate_limited", "stall": "timeout"}  # fmt: skip
LASTING = {"refusal": "refusal", "http_400": "http_4xx", "flood": "endless", "repeating": "endless", "empty": "empty"}
FAULTS = {**PASSING, **LASTING}
"""Of curation.testing.caption_faults, and what they are called in rows."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    with caption_web(tmp_path_factory.mktemp("web")) as started:
        yield started


def recipe(
    web: CaptionWeb, server: CaptionServer, *captioners: Any, count: int = 8, buckets: int = 3, **model: Any
) -> Path:
    """Pictures whose texts end in their numbers."""
    told = [(web.picture(number), f"a dog by the way, number {number}") for number in range(count)]
    captions = {"captioners": list(captioners), "models": {"m": served(server, **model)}}
    return web.recipe(told, (), captions, pairs={"media_buckets": buckets})


def number(asked: Any) -> int:
    """Of the picture that a request, which quotes its text, is about."""
    words: list[str] = [part["text"] for part in asked["messages"][-1]["content"] if "text" in part]
    return int(re.findall(r"number (\d+)", words[0])[0])


def numbers(server: CaptionServer, since: int = 0) -> Counter[int]:
    """How often was asked about each picture, answered or not."""
    assert isinstance(server.answer, Told)
    return Counter(number(question.asked) for question in server.answer.asked[since:])


def test_what_passes_is_asked_again_and_what_lasts_is_not(web: CaptionWeb, tmp_path: Path) -> None:
    work, names = tmp_path / "work", dict(enumerate([*FAULTS, "", ""]))
    one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
    two = teacher("two", tmp_path, frames=0, prompts={"brief": "{alt} is {one}"})

    def fault(asked: Any) -> str | None:
        return names[number(asked)] or None if "Of " in asked["messages"][-1]["content"][-1]["text"] else None

    with CaptionServer(answer=Told(), faults=CaptionFaults(lasting=fault)) as server:
        made = recipe(web, server, ALT, one, two, count=len(names), seconds=0.4)
        outcomes = executed(made, work)
        are_lawful(outcomes, work, ["alt", "one", "two"])
        found = captions_of(outcomes, work)
        errors = {int(own[0]["text"].split()[-1]): own[1]["error"] for own in found.values()}
        assert errors == {place: FAULTS.get(name) for place, name in names.items()}
        assert all(row["detail"] for own in found.values() for row in own if row["error"])
        assert {own[2]["text"][-6:] for own in found.values() if own[1]["error"]} == {"(none)"}
        since, server.faults = len(server.log), CaptionFaults()
        again = executed(made, work)
        are_lawful(again, work, ["alt", "one", "two"])
        passed = {place for place, name in names.items() if name in PASSING}
        assert isinstance(server.answer, Told)
        said = Counter((number(each.asked), bool(each.pictures)) for each in server.answer.asked[-2 * len(passed) :])
        assert len(server.log) - since == 2 * len(passed)
        assert said == {(place, pictures): 1 for place in passed for pictures in (True, False)}
        errors = {int(own[0]["text"].split()[-1]): own[1]["error"] for own in captions_of(again, work).values()}
        assert errors == {place: LASTING.get(name) for place, name in names.items()}
        since = len(server.log)
        assert executed(made, work)["captions"].units_done == 0
        assert len(server.log) == since


def test_bad_days_lose_no_sample_and_repeat_no_answer(web: CaptionWeb, tmp_path: Path) -> None:
    """A third of all attempts goes wrong, in any way, until all that may pass has passed."""
    shares = {"http_500": 0.07, "garbage": 0.07, "reset": 0.07, "rate_limited": 0.07, "refusal": 0.05}
    with CaptionServer(answer=Told(), faults=CaptionFaults(shares, seed=3)) as server:
        one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
        made = recipe(web, server, one, count=40, slots=5, attempts=1)
        for _ in range(12):
            outcomes = executed(made, tmp_path / "work")
            are_lawful(outcomes, tmp_path / "work", ["one"])
            if not outcomes["captions"].manifest.counts.get("passing"):
                break
        statuses = Counter(row["error"] for row in rows(outcomes, tmp_path / "work", "captions"))
        assert statuses.keys() == {None, "refusal"}
        assert max(server.answered().values()) == 1
        assert len({entry.attempt for entry in server.log}) > 2, "some were asked for in several runs"


@pytest.mark.parametrize("fault", ["http_401", "http_403", "http_404"])
def test_what_concerns_all_stops_the_run_and_goes_on_later(web: CaptionWeb, tmp_path: Path, fault: str) -> None:
    with CaptionServer(answer=Told()) as server:
        one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
        made = recipe(web, server, ALT, one, buckets=1)
        first = {"http_401": 5, "http_403": 0, "http_404": 5}[fault]
        server.faults = CaptionFaults(lasting=lambda asked: fault if len(server.log) >= first else None)
        with pytest.raises(StageError) as stopped:
            executed(made, tmp_path / "work")
        assert server.url in str(stopped.value) and "made-up" in str(stopped.value)
        assert "\n" not in str(stopped.value)
        assert len(server.log) == first + 1
        server.faults = CaptionFaults()
        outcomes = executed(made, tmp_path / "work")
        are_lawful(outcomes, tmp_path / "work", ["alt", "one"])
        assert max(server.answered().values()) == 1
        assert len(server.log) == 8 + 1
        counts = outcomes["captions"].manifest.counts
        assert (counts["requests:one"], counts["replayed:m"]) == (8, first)
        assert not list((tmp_path / "work" / ANSWERS).rglob("*.jsonl"))


def test_a_server_that_goes_away_is_one_sentence_and_another_one_goes_on(web: CaptionWeb, tmp_path: Path) -> None:
    one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
    gone = CaptionServer()

    def leave(number: int) -> None:
        if number == 5:
            threading.Thread(target=gone.__exit__, args=(None, None, None)).start()

    gone.answer = Told(leave)
    made = recipe(web, gone.__enter__(), ALT, one, buckets=1)
    for _ in range(2):
        with pytest.raises(StageError, match="start the server, or correct url"):
            executed(made, tmp_path / "work")
    assert 4 <= sum(gone.answered().values()) <= 6
    with CaptionServer(answer=Told()) as server:
        outcomes = executed(recipe(web, server, ALT, one, buckets=1), tmp_path / "work")
    are_lawful(outcomes, tmp_path / "work", ["alt", "one"])
    both = gone.answered() + server.answered()
    assert len(both) == 8
    assert len([key for key, times in both.items() if times > 1]) <= 1, "the one on its way when the server went"
    counts = outcomes["captions"].manifest.counts
    assert counts["replayed:m"] + len(server.log) == counts["requests:one"] == 8


# --------------------------------------------------------------------------------------------------------- kills

_RUN = "from pathlib import Path; from faults_films import executed; import sys; executed(*map(Path, sys.argv[1:]))"


@pytest.mark.slow
def test_a_killed_run_repeats_no_answered_request(web: CaptionWeb, tmp_path: Path) -> None:
    """kill -9 while the server works at a request, twice: that one alone is sent again."""
    work, kills = tmp_path / "work", [5, 12]
    running: list[subprocess.Popen[bytes]] = []

    def kill(number: int) -> None:
        if number in kills:
            os.kill(running[-1].pid, signal.SIGKILL)
            running[-1].wait(20)

    one = teacher("one", tmp_path, prompts={"brief": "Of {alt}", "detailed": "More of {alt}"})
    with CaptionServer(answer=Told(kill)) as server:
        made = recipe(web, server, ALT, one)
        for _ in kills:
            path = os.pathsep.join([str(Path(__file__).parents[1] / "faults"), str(Path(__file__).parents[2])])
            running.append(subprocess.Popen([sys.executable, "-c", _RUN, made, work],
                                            env={**os.environ, "PYTHONPATH": path}))  # fmt: skip
            assert running[-1].wait(60) == -signal.SIGKILL
            for lease in [work / "_lease.json", *(work / "_runs" / "captions" / "claims").iterdir()]:
                lease.unlink()  # of the dead; their silence is waited for elsewhere
        outcomes = executed(made, work)
        are_lawful(outcomes, work, ["alt", "one"])
        assert len(server.log) == 2 * 8 + len(kills)
        assert sorted(server.answered().values()) == [1] * (2 * 8 - len(kills)) + [2] * len(kills)
    assert not list((work / ANSWERS).rglob("*.jsonl"))
    texts = texts_of(outcomes, work, "one")
    assert all([kind for kind, _ in own] == ["brief", "detailed", "short"] for own in texts.values())


def test_what_a_kill_left_behind_its_report_goes(web: CaptionWeb, tmp_path: Path) -> None:
    with CaptionServer(answer=Told()) as server:
        one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
        with pytest.MonkeyPatch.context() as patch:
            for name in ("committed", "settle"):
                patch.setattr(Captions, name, lambda *given: None)
            executed(recipe(web, server, one), tmp_path / "work")
        assert list((tmp_path / "work" / ANSWERS).rglob("*.jsonl"))
        executed(recipe(web, server, one, count=24), tmp_path / "work")
        assert len(server.log) == 24
    assert not list((tmp_path / "work" / ANSWERS).rglob("*.jsonl"))


def test_a_success_is_never_hidden_by_a_failure(web: CaptionWeb, tmp_path: Path) -> None:
    """Two recipes on one folder: what the second one was told is known to the first one, whichever report is newer."""
    with CaptionServer(answer=Told(), faults=CaptionFaults(lasting=lambda asked: "http_500")) as server:
        one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
        first = executed(recipe(web, server, one), tmp_path / "work")
        assert first["captions"].manifest.counts["failed:one.http_5xx"] == 8
        server.faults, since = CaptionFaults(), len(server.log)
        executed(recipe(web, server, ALT, one), tmp_path / "work")
        assert len(server.log) - since == 8
        reports = tmp_path / "work" / "_runs" / "captions" / "reports"
        for path in reports.iterdir():  # as if all had ended at once, by clocks of several machines
            path.write_text(json.dumps({**json.loads(path.read_text()), "finished_at": "2030-01-01T00:00:00+00:00"}))
        outcomes = executed(recipe(web, server, one), tmp_path / "work")
        assert len(server.log) - since == 8
        are_lawful(outcomes, tmp_path / "work", ["one"])
        assert outcomes["captions"].manifest.counts["captioned"] == 8
