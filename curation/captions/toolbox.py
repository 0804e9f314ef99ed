"""The models and prompts that a recipe's captioners name, ready to use in one process."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from curation.captions.asking import Chat, Transcripts
from curation.captions.client import ServerClient, checked_server
from curation.captions.journal import AnswerJournal
from curation.captions.keys import model_keys
from curation.captions.models import Embedder, Spend
from curation.captions.prompts import Prompt
from curation.captions.server import ServerChat, ServerTranscriber
from curation.captions.strategies import Tools, default_prompts, prompts_of
from curation.errors import RecipeError
from curation.pretrained import check_there, share_cores
from curation.recipe.captions import PLACEHOLDERS, Captions, LocalModel, ModelCaptioner, ServerModel

_NEEDED: Final = frozenset({"block", "differences"})
"""Placeholders without which the prompt of a strategy tells its model nothing."""


def prompt_texts(section: Captions) -> dict[str, dict[str, str]]:
    """Of each model captioner: kind -> text of its prompt. Raises RecipeError for files that cannot be read, or name
    what nobody says.
    """
    found = {}
    before: list[str] = []
    for captioner in section.captioners:
        if isinstance(captioner, ModelCaptioner):
            own = {kind: _text(path, captioner) for kind, path in captioner.prompts.items()}
            for kind, text in own.items():
                _check_names(text, captioner, kind, before)
            found[captioner.name] = prompts_of(captioner.strategy, own)
        before += [captioner.label, *(f"{captioner.label}.{kind}" for kind in captioner.kinds or ())]
    return found


def _check_names(text: str, captioner: ModelCaptioner, kind: str, before: list[str]) -> None:
    default = default_prompts(captioner.strategy).get(kind, "") if captioner.strategy != "describe" else ""
    given, names = set(Prompt.parse(default).names), Prompt.parse(text).names
    known = PLACEHOLDERS | given | set(before)
    strange = [name for name in names if name not in known and not name.startswith("alt.")]
    if not text.strip():
        raise RecipeError(f"captions: the prompt {kind} of {captioner.name} is empty")
    if missing := sorted(given & _NEEDED - set(names)):
        raise RecipeError(
            f"captions: the prompt {kind} of {captioner.name} does not name {{{missing[0]}}}, which it is all about"
        )
    if strange:
        raise RecipeError(
            f"captions: the prompt {kind} of {captioner.name} names {{{strange[0]}}}, which nothing fills in; there "
            f"are {', '.join(sorted(known))}"
        )


def _text(path: str, captioner: ModelCaptioner) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "unreadable") if isinstance(error, OSError) else "it is not UTF-8"
        raise RecipeError(f"captions: the prompt {path} of {captioner.name} cannot be read: {reason}") from None


def check_models(section: Captions) -> None:
    """Looks at the models that something uses, loads none, and asks no server.

    Raises RecipeError: an API key or a folder is missing, a URL is none. StageError: packages are missing.
    """
    scoring = section.similarity
    used = {*(() if scoring is None else (scoring.model,))}
    for captioner in section.captioners:
        if isinstance(captioner, ModelCaptioner):
            used |= {name for name in (captioner.model, captioner.embedder) if name is not None}
    for name in sorted(used):
        settings = section.models[name]
        if isinstance(settings, ServerModel):
            checked_server(settings)
            continue
        check_there(settings.task, settings.model)
        if settings.model.startswith((".", "/")) and not Path(settings.model).is_dir():
            raise RecipeError(f"captions.models.{name}: there is no folder {settings.model}")


class Toolbox:
    """Models by their names in the recipe, each loaded once, when the first captioner wants it. A context, whose end
    raises StageError where a model answered nothing at all.

    tasks: that run at the same time, among which a server's slots and rate are divided. journal: keeps answers.
    """

    def __init__(self, section: Captions, journal: AnswerJournal, tasks: int = 1) -> None:
        self._section, self._journal, self._tasks = section, journal, tasks
        self._models: dict[tuple[str, bool], Chat | Transcripts] = {}  # a server may hear and see under one name
        self._clients: dict[str, ServerClient] = {}
        self._keys = model_keys(section.models)
        self._left: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of_captioners(self) -> dict[str, Tools]:
        """The tools of each model captioner. Raises RecipeError, StageError where a model cannot be had."""
        return {
            captioner.name: self._tools(captioner)
            for captioner in self._section.captioners
            if isinstance(captioner, ModelCaptioner)
        }

    @property
    def threads(self) -> int:
        """Samples that are worth working on at a time: as many as models take requests; 0 without models."""
        return sum({name: model.slots for (name, _), model in self._models.items()}.values())

    def spent(self) -> dict[str, Spend]:
        """What each model was asked."""
        found: dict[str, Spend] = {}
        for (name, _), model in sorted(self._models.items()):
            found[name] = Spend(*map(sum, zip(found.get(name, Spend(0, 0, 0, 0)), model.spend(), strict=True)))
        return found

    def left_out(self) -> dict[str, int]:
        """What strategies left out of answers."""
        return dict(sorted(self._left.items()))

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is None:
            for model in self._models.values():
                model.check()

    def _tools(self, captioner: ModelCaptioner) -> Tools:
        embedder = None if captioner.embedder is None else embedder_of(self._section, captioner.embedder, self._tasks)
        model = self._model(captioner.model, speech=captioner.strategy == "transcribe")
        if captioner.strategy == "transcribe":
            return Tools(None, model, embedder, self._count)
        return Tools(model, None, embedder, self._count)

    def _count(self, what: str, number: int) -> None:
        with self._lock:
            self._left[what] += number

    def _model(self, name: str, *, speech: bool) -> Any:
        key = name, speech
        if key not in self._models:
            settings = self._section.models[name]
            if isinstance(settings, ServerModel):
                self._models[key] = self._served(name, settings, speech=speech)
            else:
                self._models[key] = self._local(name, settings, speech=speech)
        return self._models[key]

    def _served(self, name: str, settings: ServerModel, *, speech: bool) -> Chat | Transcripts:
        if name not in self._clients:
            self._clients[name] = ServerClient(settings, self._tasks)
        client = self._clients[name]
        if speech:
            return Transcripts(ServerTranscriber(client), settings, self._journal, self._keys[name])
        return Chat(ServerChat(client), settings, self._journal, self._keys[name])

    def _local(self, name: str, settings: LocalModel, *, speech: bool) -> Chat | Transcripts:
        from curation.captions.loading import load_chat, load_transcriber  # torch: only where a recipe names a model

        share_cores(self._tasks)
        if speech:
            return Transcripts(load_transcriber(name, settings), settings, self._journal, self._keys[name])
        return Chat(load_chat(name, settings), settings, self._journal, self._keys[name])


def embedder_of(section: Captions, name: str, tasks: int = 1) -> Embedder:
    """The embedder of this name. tasks: as of Toolbox. Raises RecipeError, StageError."""
    from curation.captions.loading import load_embedder  # torch, as above

    settings = section.models[name]
    if not isinstance(settings, LocalModel):
        raise RecipeError(f"captions.models.{name} is no embedder: give backend transformers and task embed")
    share_cores(tasks)
    return load_embedder(name, settings)
