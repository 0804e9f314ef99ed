"""What servers and models of this process have in common, seen from a strategy.

Every reply is kept in a journal as it came, then checked; what was asked before comes out of the journal. A model that
answers nothing at all ends the run, instead of a million rows that failed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from curation.captions.answers import Reply, checked, cleaned
from curation.captions.faults import FAILED_IN_A_ROW, MEDIA, PASSING, CaptionFaultError, Fault
from curation.captions.journal import AnswerJournal
from curation.captions.keys import model_keys, request_key, sound_key
from curation.captions.models import Answer, Request, Sound, Spend, Spoken
from curation.errors import StageError
from curation.recipe.captions import LocalModel, ServerModel

FAILED_OF_ALL: Final = 8
"""Requests that failed for good, while none was answered, at which it is the model that fails: of a unit with fewer
than FAILED_IN_A_ROW.
"""


MOST_CHARS: Final = 100
"""Of an answer, for each token that was asked for: our own bound, far above what a token of a language is long."""


class Replying(Protocol):
    """A model that is asked. key: request_key's, of which a draw is made."""

    @property
    def slots(self) -> int: ...

    def reply(self, request: Request, key: str) -> Reply: ...


class Hearing(Protocol):
    """A model that is listened to. key: sound_key's."""

    @property
    def slots(self) -> int: ...

    def hear(self, sound: Sound, language: str | None, key: str) -> list[Spoken]: ...


class _Asked:
    """A journal before a model, and the count of what it answers."""

    def __init__(self, settings: ServerModel | LocalModel, journal: AnswerJournal | None, key: str | None) -> None:
        self._name, self._journal = settings.model, journal
        self._key = model_keys({"": settings})[""] if key is None else key
        self._lock = threading.Lock()
        self._spend = Spend(0, 0, 0, 0)
        self._in_a_row = self._for_good = 0

    def spend(self) -> Spend:
        """All answers so far, those that were no good and those out of the journal included."""
        return self._spend

    def check(self) -> None:
        """After all requests. Raises StageError where none was answered, and that will not pass by itself."""
        if not self._spend.requests and self._for_good >= FAILED_OF_ALL:
            raise self._failure(f"none of {self._for_good} requests was answered")

    def _answered(self, key: str, ask: Callable[[], Any]) -> tuple[Any, bool]:
        """What the journal has, or `ask` gives; whether it was replayed."""
        name = f"{self._key}-{key}"
        known = None if self._journal is None else self._journal.get(name)
        if known is not None:
            return known, True
        try:
            found = ask()
        except CaptionFaultError as fault:
            self._count_failed(fault)
            raise
        if self._journal is not None:
            self._journal.put(name, found)
        return found, False

    def _count(self, prompt: int | None, answer: int | None, replayed: bool) -> None:
        with self._lock:
            requests, prompts, answers, again = self._spend
            self._spend = Spend(requests + 1, prompts + (prompt or 0), answers + (answer or 0), again + replayed)
            self._in_a_row = 0

    def _count_failed(self, fault: CaptionFaultError) -> None:
        """Raises StageError after too many in a row. What fails for its picture says nothing of the model."""
        if fault.fault in MEDIA:
            return
        with self._lock:
            self._last = fault
            self._in_a_row += 1
            self._for_good += fault.fault not in PASSING
            storm = self._in_a_row >= FAILED_IN_A_ROW
        if storm:
            raise self._failure(f"the last {FAILED_IN_A_ROW} requests failed")

    def _failure(self, what: str) -> StageError:
        return StageError(
            f"the model {self._name}: {what}, the last one with {self._last.fault} ({self._last.detail}): correct "
            "captions.models, or ask less of it (frames, longest_side, max_tokens)"
        )


class Chat(_Asked):
    """A ChatModel. journal: None remembers nothing; key: the model's, of `model_keys`.

    `ask` raises StageError where the model gives no answers at all.
    """

    def __init__(
        self, model: Replying, settings: ServerModel | LocalModel, journal: AnswerJournal | None = None,
        key: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(settings, journal, key)
        self._model = model

    @property
    def slots(self) -> int:
        return self._model.slots

    def ask(self, request: Request) -> Answer:
        key = request_key(request)
        found, replayed = self._answered(key, lambda: self._model.reply(request, key))
        reply = Reply(*found)
        self._count(reply.prompt_tokens, reply.answer_tokens, replayed)
        if len(reply.text) > MOST_CHARS * request.max_tokens:
            words = f"{len(reply.text):,} characters, where {request.max_tokens} tokens were asked for"
            raise CaptionFaultError(Fault.ENDLESS, words)
        return checked(reply)


class Transcripts(_Asked):
    """A Transcriber, as Chat is a ChatModel."""

    def __init__(
        self, model: Hearing, settings: ServerModel | LocalModel, journal: AnswerJournal | None = None,
        key: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(settings, journal, key)
        self._model = model

    @property
    def slots(self) -> int:
        return self._model.slots

    def transcribe(self, sound: Sound, language: str | None) -> list[Spoken]:
        key = sound_key(sound, language)
        found, replayed = self._answered(key, lambda: self._model.hear(sound, language, key))
        self._count(None, None, replayed)
        said = (Spoken(*each) for each in found)
        return [spoken for each in said if (spoken := each._replace(text=cleaned(each.text))).text]
