"""What tests of servers ask, and with what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from curation.captions.asking import Chat, Transcripts
from curation.captions.client import ServerClient
from curation.captions.faults import CaptionFaultError
from curation.captions.journal import AnswerJournal
from curation.captions.models import Picture, Request
from curation.captions.server import ServerChat, ServerTranscriber
from curation.errors import StageError
from curation.recipe.captions import ServerModel
from curation.testing.caption_server import CaptionServer

THREADS = 8


def settings_of(server: CaptionServer, **given: Any) -> ServerModel:
    return ServerModel(backend="server", url=server.url, model=server.model, **{"backoff_s": 0.001, **given})


class Served(Chat):
    """A chat with a client of its own."""

    def __init__(
        self, settings: ServerModel, slots: int, journal: AnswerJournal | None = None, *, tasks: int = 1,
        wait: Callable[[float], bool] | None = None,
    ) -> None:  # fmt: skip
        settings = settings.model_copy(update={"slots": slots * tasks})
        self.client = ServerClient(settings, tasks, wait)
        super().__init__(ServerChat(self.client), settings, journal)

    def close(self) -> None:
        self.client.close()


@contextmanager
def transcribing(settings: ServerModel, journal: AnswerJournal | None = None) -> Iterator[Transcripts]:
    client = ServerClient(settings)
    yield Transcripts(ServerTranscriber(client), settings, journal)
    client.close()


def question(number: int) -> Request:
    return Request((f"Describe picture {number}.", Picture(b"\xff\xd8" + bytes([number % 256]) * 500)), 64)


def outcomes(chat: Chat, numbers: range) -> dict[int, str]:
    """Each question's answer, or fault, asked by THREADS threads."""

    def outcome(number: int) -> str:
        try:
            return chat.ask(question(number)).text
        except CaptionFaultError as error:
            return f"fault {error.fault}"

    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(numbers, threads.map(outcome, numbers), strict=True))


class Waits:
    """Remembers the waits of a client instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


def stage_errors(chat: Chat, count: int) -> list[str]:
    """What so many requests end the run with; a fault of a sample would come through."""

    def error(number: int) -> str:
        with pytest.raises(StageError) as raised:
            chat.ask(question(number))
        return str(raised.value)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(error, range(count)))
