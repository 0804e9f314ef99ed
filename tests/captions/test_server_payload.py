"""Requests keep their structure whatever words are in them; answers of any bytes are read, or are garbage."""

from __future__ import annotations

import io
import json
import wave
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from curation.captions.answers import Reply
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.keys import model_keys, request_key, sound_key
from curation.captions.models import SOUND_RATE, Picture, Request, Spoken
from curation.captions.payload import (
    Body,
    chat_body,
    error_message,
    read_chat,
    read_transcript,
    transcript_form,
)
from curation.recipe.captions import LocalModel, Model, ServerModel

TEXTS = st.text(max_size=30) | st.sampled_from(['"}],"model":"x"', "\ud800", "\x00", '\\"', "\r\n--curation", "{}"])
PICTURES = st.builds(Picture, st.binary(max_size=60), st.sampled_from(["image/jpeg", "image/png"]))
REQUESTS = st.builds(
    Request,
    st.lists(TEXTS | PICTURES, max_size=5).map(tuple),
    st.integers(1, 999),
    temperature=st.sampled_from([0.0, 0.5]),
)
FIELDS = st.sampled_from(
    ["choices", "message", "content", "delta", "finish_reason", "usage", "prompt_tokens", "text", "refusal", "error",
     "segments", "start", "end"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(FIELDS, each, max_size=4), max_leaves=12,
)  # fmt: skip


def _whole(text: str) -> str:
    return "".join(char for char in text if not "\ud800" <= char <= "\udfff")


@given(REQUESTS)
@settings(max_examples=200, deadline=None)
def test_no_words_change_the_structure_of_a_request(request: Request) -> None:
    body = json.loads(chat_body("the model", request, request_key(request)))
    drawn = {"seed"} if request.temperature else set()
    assert set(body) == {"model", "messages", "max_tokens", "temperature", "stream"} | drawn
    assert (body["model"], body["max_tokens"], body["temperature"]) == (
        "the model", request.max_tokens, request.temperature
    )  # fmt: skip
    (user,) = body["messages"]
    assert (set(user), user["role"]) == ({"role", "content"}, "user")
    for part, sent in zip(request.parts, user["content"], strict=True):
        if isinstance(part, str):
            assert sent == {"type": "text", "text": _whole(part)}
        else:
            head, _, data = sent["image_url"]["url"].partition(",")
            assert (set(sent), sent["type"], set(sent["image_url"])) == ({"type", "image_url"}, "image_url", {"url"})
            assert (head, b64decode(data)) == (f"data:{part.mime};base64", part.data)


@given(REQUESTS, REQUESTS)
@settings(max_examples=200, deadline=None)
def test_keys_name_requests(one: Request, other: Request) -> None:
    assert (request_key(one) == request_key(other)) == (one == other)


def test_keys_name_models() -> None:
    """By all that answers depend on; servers that call their models alike also by their names in the recipe."""
    served = {"backend": "server", "url": "http://a/v1", "model": "m"}
    local = {"backend": "transformers", "model": "m"}
    others = [served | {"url": "http://b/v1"}, served | {"model": "n"}, local, local | {"task": "speech"},
              local | {"dtype": "float16"}]  # fmt: skip
    adapter = TypeAdapter[ServerModel | LocalModel](Model)
    keys = model_keys({str(n): adapter.validate_python(each) for n, each in enumerate((served, *others))})
    assert len({*keys.values()}) == len(keys)
    moved = (("a", {}), ("b", {"url": "http://b/v1"}), ("a", {"slots": 1, "key_variable": "A"}))
    alone = [model_keys({name: adapter.validate_python(served | more)})[name] for name, more in moved]
    assert len({*alone}) == 1, "where one server is does not matter"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab",), ("a", "b")),
        (("atextb",), ("a", "b")),
        (("text", "x"), ("textx",)),
        ((Picture(b"a"),), ("image/jpeg", "a")),
        ((Picture(b"a", "image/png"),), (Picture(b"a"),)),
        (("picture", "image/jpeg", "a"), (Picture(b"a"),)),
    ],
)
def test_parts_do_not_flow_together(one: tuple[str | Picture, ...], other: tuple[str | Picture, ...]) -> None:
    assert request_key(Request(one, 5)) != request_key(Request(other, 5))


def _answer(**choice: object) -> bytes:
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}).encode()


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (_answer(message={"content": "a dog"}, finish_reason="stop"), Reply("a dog", "stop", 7, 3)),
        (_answer(message={"content": "a d"}, finish_reason="length"), Reply("a d", "length", 7, 3)),
        (_answer(message={"content": None}, finish_reason="length"), Reply("", "length", 7, 3)),
        (_answer(message={"content": ""}, finish_reason="stop"), Reply("", "stop", 7, 3)),
        (_answer(message={"content": "a dog"}), Reply("a dog", "stop", 7, 3)),
        (_answer(message={"content": None, "refusal": "No."}), Reply("No.", "refusal", 7, 3)),
        (_answer(message={"content": "a"}, finish_reason="content_filter"), Reply("a", "refusal", 7, 3)),
        (_answer(message={"content": [{"type": "text", "text": "a "}, {"text": "b"}]}), Reply("a b", "stop", 7, 3)),
        (b'{"choices":[{"message":{"content":"\\ud800x"}}]}', Reply("x", "stop", None, None)),
        (b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-1,"completion_tokens":true}}',
         Reply("x", "stop", None, None)),
        (b'{"choices":[{"message":{"content":"x"}}],"usage":[]}', Reply("x", "stop", None, None)),
    ],
)  # fmt: skip
def test_answers(data: bytes, reply: Reply) -> None:
    assert read_chat(Body("application/json", data)) == reply


STREAM = (
    b': comment\n\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\r\n\r\n'
    b'data:{"choices":[{"delta":{"content":"a "}}]}\n\n'
    b'event: x\ndata: {"choices":[{"delta":{"content":"dog"},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\ndata: [DONE]\n\n'
)


def test_streams_of_events_are_summed() -> None:
    assert read_chat(Body("text/event-stream; charset=utf-8", STREAM)) == Reply("a dog", "stop", 7, 3)
    assert read_chat(Body("application/octet-stream", STREAM[11:])) == Reply("a dog", "stop", 7, 3)


@pytest.mark.parametrize("cut", [len(STREAM) // 3, STREAM.index(b"event: x"), 0, STREAM.index(b'"stop"') + 3])
def test_a_stream_that_breaks_off_is_garbage(cut: int) -> None:
    with pytest.raises(CaptionFaultError) as error:
        read_chat(Body("text/event-stream", STREAM[:cut]))
    assert error.value.fault is Fault.GARBAGE


def test_an_error_within_a_stream_is_told() -> None:
    with pytest.raises(CaptionFaultError, match="no memory") as error:
        read_chat(Body("text/event-stream", b'data: {"error": "no memory"}\n\n'))
    assert error.value.fault is Fault.GARBAGE


@given(JSON | st.fixed_dictionaries({"choices": JSON, "segments": JSON, "text": JSON}))
@settings(max_examples=300, deadline=None)
def test_any_json_is_read_or_garbage(value: object) -> None:
    data = json.dumps(value).encode()
    for body in (Body("application/json", data), Body("text/event-stream", b"data: " + data + b"\n\ndata: [DONE]")):
        try:
            reply = read_chat(body)
        except CaptionFaultError as error:
            assert error.fault is Fault.GARBAGE
        else:
            assert reply.text.encode() is not None and reply.finish in ("stop", "length", "refusal")
            assert all(count is None or count >= 0 for count in reply[2:])
    try:
        spoken = read_transcript(Body("application/json", data), 5000)
    except CaptionFaultError as error:
        assert error.fault is Fault.GARBAGE
    else:
        assert all(0 <= each.start_ms <= each.end_ms <= 5000 and each.text for each in spoken)
    assert error_message(data).encode()


BAD = [
    b"", b"\xff\xfe", b"<html>", b"null", b"[]", b"{", b"[" * 10**6, b'{"a":' * 10**6, b"\x00" * 10**6, b"9" * 10**6,
    b'{"choices":[]}', b'{"choices":{}}', b'{"choices":[7]}', b'{"choices":[{"message":{"content":5}}]}',
    b'{"choices":[{"message":{}}]}', b'{"choices":[{"message":null}]}', b'{"error":{"message":"overloaded"}}', b"1e999",
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_garbage_is_garbage(data: bytes) -> None:
    for kind in ("application/json", "text/event-stream", "text/html"):
        with pytest.raises(CaptionFaultError) as error:
            read_chat(Body(kind, data))
        assert error.value.fault is Fault.GARBAGE and len(error.value.detail) <= 300
    with pytest.raises(CaptionFaultError):
        read_transcript(Body("application/json", data), 1000)
    assert len(error_message(data)) <= len(data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"error": {"message": "no such model", "code": 3}}', "no such model"),
        (b'{"error": "too\\n long"}', "too\n long"),
        (b'{"detail": "Unexpected fields"}', "Unexpected fields"),
        (b'{"detail": [{"loc": 1}]}', '{"detail": [{"loc": 1}]}'),
        (b"<h1>Bad  Gateway</h1>", "<h1>Bad  Gateway</h1>"),
        (b"", ""),
    ],
)
def test_what_servers_say_of_errors(data: bytes, told: str) -> None:
    assert error_message(data) == told


@given(st.lists(st.floats(-2, 2, width=32) | st.just(float("nan")), max_size=50), st.none() | st.just("de"))
def test_the_form_holds_the_sound(values: list[float], language: str | None) -> None:
    sound = np.array(values, np.float32)
    kind, body = transcript_form("m", sound, language, "abc")
    boundary = kind.partition("boundary=")[2].encode()
    parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)[1:-1]]
    fields = {head.split(b'"')[1].decode(): value.removesuffix(b"\r\n") for head, _, value in parts}
    wanted = {"model": b"m", "response_format": b"verbose_json", "temperature": b"0"}
    assert {name: value for name, value in fields.items() if name != "file"} == wanted | (
        {"language": b"de"} if language else {}
    )
    with wave.open(io.BytesIO(fields["file"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (SOUND_RATE, 1, len(values))
        heard = np.frombuffer(file.readframes(len(values)), "<i2") / 32767
    assert np.allclose(heard, np.clip(np.nan_to_num(sound), -1, 1), atol=1e-4)


def test_keys_name_sounds() -> None:
    sound, other = np.zeros(10, np.float32), np.zeros(11, np.float32)
    assert len({sound_key(sound, None), sound_key(other, None), sound_key(sound, "None")}) == 3


@pytest.mark.parametrize(
    ("answer", "spoken"),
    [
        ({"text": " hello "}, [Spoken(0, 5000, "hello")]),
        ({"text": ""}, []),
        ({"text": "x", "segments": [{"start": 0.5, "end": 2, "text": " a"}]}, [Spoken(500, 2000, "a")]),
        ({"text": "x", "segments": []}, [Spoken(0, 5000, "x")]),
        ({"segments": [{"start": 1, "end": 1e308, "text": "a"}]}, [Spoken(1000, 5000, "a")]),
        ({"segments": [{"start": -3, "end": -1, "text": "a"}]}, [Spoken(0, 0, "a")]),
        ({"segments": [{"start": 0, "end": 1, "text": " "}]}, []),
        ({"segments": [{"start": 4, "end": 2, "text": "a"}]}, [Spoken(4000, 4000, "a")]),
    ],
)
def test_transcripts(answer: object, spoken: list[Spoken]) -> None:
    assert read_transcript(Body("application/json", json.dumps(answer).encode()), 5000) == spoken
