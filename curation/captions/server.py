"""Models behind OpenAI-compatible servers: vLLM, SGLang, llama.cpp, Ollama, `transformers serve` and their like.

A model that sees and hears has one client for both, and so one limit.
"""

from __future__ import annotations

from curation.captions.answers import Reply
from curation.captions.client import Call, ServerClient
from curation.captions.models import SOUND_RATE, Request, Sound, Spoken
from curation.captions.payload import Body, chat_body, read_chat, read_transcript, transcript_form


class ServerChat:
    """POST {url}/chat/completions."""

    def __init__(self, client: ServerClient) -> None:
        self._client, self.slots = client, client.slots

    def reply(self, request: Request, key: str) -> Reply:
        """Raises CaptionFaultError; StageError where the server gives no answers at all."""
        body = chat_body(self._client.model, request, key)
        return self._client.send(Call("/chat/completions", key, "application/json", body, read_chat))


class ServerTranscriber:
    """POST {url}/audio/transcriptions. Servers that tell no times give one text over the whole."""

    def __init__(self, client: ServerClient) -> None:
        self._client, self.slots = client, client.slots

    def hear(self, sound: Sound, language: str | None, key: str) -> list[Spoken]:
        """Raises CaptionFaultError; StageError where the server gives no answers at all."""
        duration_ms = round(len(sound) * 1000 / SOUND_RATE)

        def read(body: Body) -> list[Spoken]:
            return read_transcript(body, duration_ms)

        kind, form = transcript_form(self._client.model, sound, language, key)
        return self._client.send(Call("/audio/transcriptions", key, kind, form, read))
