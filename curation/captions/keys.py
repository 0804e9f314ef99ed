"""Names of requests to models, by their content: equal ones have equal names, and no two others do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import numpy as np

from curation.captions.models import Picture, Request, Sound
from curation.recipe.captions import LocalModel, ServerModel


def model_keys(models: Mapping[str, ServerModel | LocalModel]) -> dict[str, str]:
    """Names the entries of captions.models by what their answers depend on: a server may move.

    Servers that call their models by one name are told apart by the entries' names, too: they may be different models.
    """
    told = {name: model.model_dump(include={"backend", "model", "task", "dtype"}) for name, model in models.items()}
    found = {}
    for name, own in told.items():
        alike = [other for other, theirs in told.items() if theirs == own and models[other] != models[name]]
        apart = [f"entry={name}"] if alike and own["backend"] == "server" else []
        found[name] = _digest("model", *(f"{what}={value}" for what, value in sorted(own.items())), *apart)
    return found


def request_key(request: Request) -> str:
    """Names what a chat model is asked, whichever it is."""
    return _digest("chat", str(request.max_tokens), repr(float(request.temperature)), *_pieces(request.parts))


def _pieces(parts: Iterable[str | Picture]) -> Iterable[str | bytes]:
    for part in parts:
        yield from ("text", part) if isinstance(part, str) else ("picture", part.mime, part.data)


def sound_key(sound: Sound, language: str | None) -> str:
    """Names a request for a transcript."""
    return _digest("sound", repr(language), np.ascontiguousarray(sound, np.float32).tobytes())


def seed_of(key: str) -> int:
    """The seed of what is drawn for a request: 28 bits, so that every back end takes it."""
    return int(key[:7], 16)


def _digest(*pieces: str | bytes) -> str:
    found = blake2b(digest_size=16)
    for piece in pieces:
        data = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
        found.update(len(data).to_bytes(8, "big"))
        found.update(data)
    return found.hexdigest()
