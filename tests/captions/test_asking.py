"""A journal, a count and a limit before every model: the same for servers and for models of this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.captions import loading
from curation.captions.answers import Reply
from curation.captions.asking import FAILED_OF_ALL, Chat, Transcripts
from curation.captions.faults import FAILED_IN_A_ROW, PASSING, CaptionFaultError, Fault
from curation.captions.journal import AnswerJournal
from curation.captions.models import Request, Sound, Spend, Spoken
from curation.captions.toolbox import Toolbox
from curation.errors import StageError
from curation.recipe.captions import Captions, LocalModel
from curation.storage import Store
from curation.testing.caption_server import CaptionServer

SOUND = np.zeros(100, np.float32)
LOCAL = LocalModel(backend="transformers", model="some/model")


class Scripted:
    """A model of this process that gives, or raises, one after the other."""

    slots = 2

    def __init__(self, *said: Reply | list[Spoken] | Fault) -> None:
        self.said, self.keys = list(said), list[str]()

    def _next(self, key: str) -> Any:
        self.keys.append(key)
        said = self.said.pop(0)
        if isinstance(said, Fault):
            raise CaptionFaultError(said, "CUDA out of memory")
        return said

    def reply(self, request: Request, key: str) -> Reply:
        reply: Reply = self._next(key)
        return reply

    def hear(self, sound: Sound, language: str | None, key: str) -> list[Spoken]:
        spoken: list[Spoken] = self._next(key)
        return spoken


def good(text: str = "a dog") -> Reply:
    return Reply(text, "stop", 3, 2)


def question(number: int) -> Request:
    return Request((f"What is {number}?",), 9)


def fault_of(chat: Chat, number: int = 0) -> Fault:
    with pytest.raises(CaptionFaultError) as error:
        chat.ask(question(number))
    return error.value.fault


def chat_of(tools: Toolbox, name: str) -> Chat:
    chat = tools.of_captioners()[name].chat
    assert isinstance(chat, Chat)
    return chat


def section(models: dict[str, Any], *captioners: dict[str, Any]) -> Captions:
    told = [{"source": "model", **captioner} for captioner in captioners]
    return Captions.model_validate({"captioners": told, "models": models})


def test_answers_that_are_no_good_are_kept_and_counted_like_good_ones(tmp_path: Path) -> None:
    """Raw: how they are judged may change between attempts."""
    said = [good("I'm sorry, but I can't help with that."), Reply("a dog and", "length", 3, 9), good(" a dog\n")]
    model = Scripted(*said)
    for replayed in (0, 3):
        with AnswerJournal(Store(str(tmp_path)), "j") as journal:
            chat = Chat(model, LOCAL, journal)
            assert [fault_of(chat, number) for number in (0, 1)] == [Fault.REFUSAL, Fault.ENDLESS]
            assert chat.ask(question(2)).text == "a dog"
            assert chat.spend() == Spend(3, 9, 13, replayed)
            chat.check()
    assert len(model.keys) == len({*model.keys}) == 3


def test_transcripts_are_kept_too(tmp_path: Path) -> None:
    model = Scripted([Spoken(0, 10, " hello<|im_end|>"), Spoken(10, 20, "\x00")], Fault.MODEL)
    for replayed in (0, 1):
        with AnswerJournal(Store(str(tmp_path)), "j") as journal:
            speech = Transcripts(model, LOCAL, journal)
            assert speech.transcribe(SOUND, "en") == [Spoken(0, 10, "hello")]
            assert speech.spend() == Spend(1, 0, 0, replayed)
    with pytest.raises(CaptionFaultError):
        speech.transcribe(SOUND, "en" * 2)


@pytest.mark.parametrize("fault", [Fault.MODEL, Fault.OUT_OF_MEMORY])
def test_a_model_that_fails_on_everything_ends_the_run(fault: Fault) -> None:
    """One answer between, and it counts from the begin, be it no good; pictures that nobody can read do not count."""
    few = [fault] * (FAILED_IN_A_ROW - 1)
    chat = Chat(Scripted(*few, good(""), *few, Fault.UNREADABLE, fault), LOCAL)
    expected = [*few, Fault.EMPTY, *few, Fault.UNREADABLE]
    assert [fault_of(chat, number) for number in range(len(expected))] == expected
    with pytest.raises(StageError, match=rf"some/model: the last 32 requests failed, .* {fault} \(CUDA out of memory"):
        chat.ask(question(99))


def test_memory_may_be_there_by_the_next_run() -> None:
    assert Fault.OUT_OF_MEMORY in PASSING and Fault.MODEL not in PASSING


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ([Fault.MODEL] * FAILED_OF_ALL, True),
        ([Fault.HTTP_4XX] * FAILED_OF_ALL, True),
        ([Fault.MODEL] * (FAILED_OF_ALL - 1), False),
        ([Fault.OUT_OF_MEMORY] * FAILED_OF_ALL, False),  # is asked again anyway
        ([Fault.UNREADABLE] * FAILED_OF_ALL, False),
        ([*[Fault.MODEL] * FAILED_OF_ALL, good("")], False),
    ],
)
def test_a_unit_of_few_samples_is_not_written_off(
    said: list[Reply | Fault], ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_chat", lambda name, settings: Scripted(*said))

    def run(problem: Exception | None = None) -> None:
        with AnswerJournal(Store(str(tmp_path)), "j") as journal, Toolbox(made, journal) as tools:
            chat = chat_of(tools, "one")
            for number in range(len(said)):
                fault_of(chat, number)
            if problem is not None:
                raise problem

    made = section({"m": LOCAL.model_dump()}, {"name": "one", "model": "m"})
    if ends:
        with pytest.raises(StageError, match=rf"none of {FAILED_OF_ALL} requests was answered"):
            run()
    else:
        run()
    with pytest.raises(ValueError, match="another"):
        run(ValueError("another"))


def test_models_of_one_name_on_two_servers_are_two_models(tmp_path: Path) -> None:
    with (
        CaptionServer(answer=lambda _: "a dog", model="default") as a,
        CaptionServer(answer=lambda _: "a cat", model="default") as b,
    ):
        urls = {"a": a.url, "b": b.url}
        models = {name: {"backend": "server", "url": url, "model": "default"} for name, url in urls.items()}
        made = section(models, {"name": "one", "model": "a"}, {"name": "two", "model": "b"})
        for replayed in (0, 1):
            with AnswerJournal(Store(str(tmp_path)), "j") as journal, Toolbox(made, journal) as tools:
                said = {name: chat_of(tools, name).ask(question(0)).text for name in ("one", "two")}
                assert said == {"one": "a dog", "two": "a cat"}
                assert {spend.replayed for spend in tools.spent().values()} == {replayed}
        assert len(a.log) == len(b.log) == 1


@pytest.mark.parametrize(("tasks", "slots"), [(1, 6), (2, 3), (4, 1), (100, 1)])
def test_a_model_that_sees_and_hears_has_one_limit(tasks: int, slots: int, tmp_path: Path) -> None:
    """Every task has a slot, and the pace holds however many there are."""
    with CaptionServer() as server, AnswerJournal(Store(str(tmp_path)), "j") as journal:
        settings = {"backend": "server", "url": server.url, "model": server.model, "slots": 6}
        made = section({"m": {**settings, "requests_per_minute": 60_000}}, {"name": "sees", "model": "m"},
                       {"name": "hears", "model": "m", "strategy": "transcribe"})  # fmt: skip
        with Toolbox(made, journal, tasks) as tools:
            sees, hears = chat_of(tools, "sees"), tools.of_captioners()["hears"].transcriber
            assert hears is not None
            assert (sees.slots, hears.slots, tools.threads) == (slots, slots, slots)
            (client,) = tools._clients.values()
            assert client._pace._distance_s * 60_000 / 60 == pytest.approx(tasks)
            sees.ask(question(0))
            hears.transcribe(SOUND, None)
            assert tools.spent()["m"].requests == 2
