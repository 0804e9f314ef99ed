"""The models that a recipe names, each loaded once per process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from curation.captions.asking import Hearing, Replying
from curation.captions.local_chat import LocalChat
from curation.captions.local_embed import LocalEmbedder
from curation.captions.local_speech import LocalTranscriber
from curation.captions.models import Embedder
from curation.errors import RecipeError
from curation.recipe.captions import LocalModel

T = TypeVar("T")

_loaded: dict[str, Any] = {}
_loading = Lock()


def load_chat(name: str, settings: LocalModel) -> Replying:
    """Pictures and texts to text. name: the model's in the recipe. Raises RecipeError, StageError."""
    return _once(name, settings, "caption", LocalChat)


def load_transcriber(name: str, settings: LocalModel) -> Hearing:
    """Speech to text with times. Raises RecipeError, StageError."""
    return _once(name, settings, "speech", LocalTranscriber)


def load_embedder(name: str, settings: LocalModel) -> Embedder:
    """Pictures and texts to vectors. Raises RecipeError, StageError."""
    return _once(name, settings, "embed", LocalEmbedder)


def _once(name: str, settings: LocalModel, task: str, load: Callable[[LocalModel], T]) -> T:
    if settings.task != task:
        raise RecipeError(f"captions.models.{name}: its task is {settings.task}, where {task} is needed")
    key = settings.model_dump_json()
    with _loading:  # two at a time would take the memory of both
        if key not in _loaded:
            _loaded[key] = load(settings)
        found: T = _loaded[key]
        return found
