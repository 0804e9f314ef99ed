"""Requests to and answers of OpenAI-compatible servers, as bytes: https://platform.openai.com/docs/api-reference.

Words only ever become JSON strings and parts of a form, so that no text changes a request's structure.
"""

from __future__ import annotations

import io
import json
import math
import wave
from binascii import b2a_base64
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from curation.captions.answers import Reply
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.keys import seed_of
from curation.captions.models import SOUND_RATE, Picture, Request, Sound, Spoken

_CUT = frozenset({"length", "max_tokens"})
_MOST_TOKENS: Final = 1 << 40
"""What a server counts beyond this, nobody believes."""


class Body(NamedTuple):
    """An answer of HTTP status 200."""

    kind: str
    """Its Content-Type."""
    data: bytes


def chat_body(model: str, request: Request, key: str) -> bytes:
    """The JSON of a chat completion. Where an answer is drawn, the draw is made from the request's key."""
    content = [_part(part) for part in request.parts]
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stream": False,
    }
    if request.temperature > 0:
        body["seed"] = seed_of(key)
    return msgspec.json.encode(body)


def _part(part: str | Picture) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": _whole(part)}
    url = f"data:{part.mime};base64,{b2a_base64(part.data, newline=False).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _whole(text: str) -> str:
    """Without lone halves of surrogates, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "ignore").decode("utf-8")


def read_chat(body: Body) -> Reply:
    """The reply in an answer, be it one JSON or a stream of events. Raises CaptionFaultError(GARBAGE)."""
    if body.kind.startswith("text/event-stream") or body.data[:5] == b"data:":
        return _streamed(body.data)
    answer = _object(_json(body.data), "the answer")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _garbage(f"no choices: {error_message(body.data)}")
    choice = _object(choices[0], "the choice")
    message = _object(choice.get("message"), "the message")
    return _reply(_text(message), message.get("refusal"), choice.get("finish_reason"), answer.get("usage"))


def _streamed(data: bytes) -> Reply:
    """The sum of a stream's deltas; one that breaks off before its end is garbage."""
    texts: list[str] = []
    refusal = finish = usage = None
    ended = False
    for line in data.splitlines():
        said = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or not said:
            continue
        if said == b"[DONE]":
            ended = True
            break
        event = _object(_json(said), "an event")
        usage = event.get("usage") or usage
        if "error" in event:
            raise _garbage(error_message(said))
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            given = _object(choice, "a choice")
            delta = _object(given.get("delta"), "a delta")
            texts.append(_text(delta) or "")
            refusal, finish = delta.get("refusal") or refusal, given.get("finish_reason") or finish
    if not (ended or finish):
        raise _garbage("a stream of events that breaks off")
    return _reply("".join(texts) or None, refusal, finish, usage)


def _reply(text: str | None, refusal: object, finish: object, usage: object) -> Reply:
    counted = usage if isinstance(usage, dict) else {}
    tokens = _count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens"))
    if isinstance(refusal, str) and refusal.strip():
        return Reply(_whole(refusal), "refusal", *tokens)
    if finish == "content_filter":
        return Reply(text or "", "refusal", *tokens)
    if finish in _CUT:
        return Reply(text or "", "length", *tokens)  # reasoning may have used up max_tokens before the first word
    if text is None:
        raise _garbage("a message without content")
    return Reply(text, "stop", *tokens)


def _text(message: dict[str, Any]) -> str | None:
    content = message.get("content")
    if isinstance(content, list):  # parts, as some servers give them
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str)) if parts else None
    if content is not None and not isinstance(content, str):
        raise _garbage("content that is no text")
    return None if content is None else _whole(content)


def _count(value: object) -> int | None:
    real = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS
    return value if real and isinstance(value, int) else None


def transcript_form(model: str, sound: Sound, language: str | None, key: str) -> tuple[str, bytes]:
    """Content type and body of a request for a transcript with times."""
    fields = {"model": _whole(model), "response_format": "verbose_json", "temperature": "0"}
    if language is not None:
        fields["language"] = language
    boundary, wav = f"curation-{key}", _wav(sound)
    lines = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
             for name, value in fields.items()]  # fmt: skip
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="sound.wav"\r\n'
    begin = "".join([*lines, file, "Content-Type: audio/wav\r\n\r\n"]).encode()
    return f"multipart/form-data; boundary={boundary}", b"".join([begin, wav, f"\r\n--{boundary}--\r\n".encode()])


def _wav(sound: Sound) -> bytes:
    found = io.BytesIO()
    with wave.open(found, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes((np.clip(np.nan_to_num(sound), -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
    return found.getvalue()


def read_transcript(body: Body, duration_ms: int) -> list[Spoken]:
    """What was said: segments where the server gives them, else one over the whole.

    Raises CaptionFaultError(GARBAGE).
    """
    answer = _object(_json(body.data), "the transcript")
    segments, text = answer.get("segments"), answer.get("text")
    if isinstance(segments, list) and segments:
        return [spoken for each in segments if (spoken := _spoken(each, duration_ms)) is not None]
    if not isinstance(text, str):
        raise _garbage(f"a transcript without text: {error_message(body.data)}")
    return [Spoken(0, duration_ms, _whole(text).strip())] if text.strip() else []


def _spoken(segment: object, duration_ms: int) -> Spoken | None:
    """A segment within the sound; None for one without words."""
    found = _object(segment, "a segment")
    times = [found.get("start"), found.get("end")]
    text = found.get("text")
    if not isinstance(text, str):
        raise _garbage("a segment without text")
    start, end = (_milliseconds(time, duration_ms) for time in times)
    return Spoken(start, max(start, end), _whole(text).strip()) if text.strip() else None


def _milliseconds(seconds: object, most: int) -> int:
    if not isinstance(seconds, int | float) or (isinstance(seconds, float) and math.isnan(seconds)):
        raise _garbage("a segment without times")
    return round(min(max(seconds, 0.0), most / 1000) * 1000)  # cut first: JSON's numbers have no bounds


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # no UTF-8, no JSON, a number of thousands of digits; nested deeply
        raise _garbage(f"no JSON: {data.decode('utf-8', 'replace')}") from None


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _garbage(f"{what} is no object")
    return value


def error_message(data: bytes) -> str:
    """What a server says of a request that it refused: of JSON in one of the usual forms its message, else the text.

    All of it: it may hold a key, of which a part would not be known any more.
    """
    try:
        answer = _json(data)
    except CaptionFaultError:
        answer = None
    found = answer if isinstance(answer, dict) else {}
    error = found.get("error")
    told = [error.get("message") if isinstance(error, dict) else error, found.get("detail"), found.get("message")]
    return next((each for each in told if isinstance(each, str) and each.strip()), data.decode("utf-8", "replace"))


def _garbage(what: str) -> CaptionFaultError:
    return CaptionFaultError(Fault.GARBAGE, what)
