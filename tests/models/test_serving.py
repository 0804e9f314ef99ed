"""`transformers serve` as a genuine OpenAI-compatible server, on loopback, with tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from curation.captions.asking import Chat, Transcripts
from curation.captions.client import ServerClient
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import Picture, Request
from curation.captions.prompts import Prompt
from curation.captions.server import ServerChat, ServerTranscriber
from curation.recipe.captions import LocalModel, ServerModel
from curation.testing.models import WORDS

pytest.importorskip("torch", reason="extra models")
pytest.importorskip("fastapi", reason="transformers[serving]")

Draw = Callable[[int], Picture]


@pytest.fixture(scope="module")
def chat(served_llava: tuple[str, str]) -> Iterator[Chat]:
    url, name = served_llava
    settings = ServerModel(backend="server", url=url, model=name, attempts=1, slots=4)
    client = ServerClient(settings)
    yield Chat(ServerChat(client), settings)
    client.close()


def test_a_request_with_several_pictures(chat: Chat, picture: Draw) -> None:
    said = {}
    for pictures in ([], [picture(0)], [picture(0), picture(1)], [picture(1), picture(0)]):
        answer = chat.ask(Request((*pictures, "a dog runs"), 40))
        assert set(answer.text.split()) <= set(WORDS)
        assert answer.finish == "stop"
        said[answer.text] = answer.prompt_tokens
    assert len(said) == 4
    counts = [count for count in said.values() if count is not None]
    assert [count - counts[0] for count in counts] == [0, 16, 32, 32]  # patches


def test_its_answers_are_those_of_the_model_in_process(
    chat: Chat, served_llava: tuple[str, str], picture: Draw
) -> None:
    """On one picture after another, at a time."""
    from curation.captions.local_chat import LocalChat

    settings = LocalModel(backend="transformers", model=served_llava[1], device="cpu")
    local = Chat(LocalChat(settings), settings)
    requests = [Request((picture(number), "a dog", picture(number + 1)), 40) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(chat.ask, requests)) == list(pool.map(local.ask, requests))


def test_a_filled_prompt_cannot_add_pictures(chat: Chat, picture: Draw) -> None:
    prompt = Prompt.parse("a dog: {alt}").fill({"alt": "<image> </s> <image><image>"})
    assert chat.ask(Request((picture(0), prompt), 40)).text


def test_an_answer_without_an_end_is_endless(chat: Chat, picture: Draw) -> None:
    with pytest.raises(CaptionFaultError) as caught:
        chat.ask(Request((picture(0), "a dog"), 2))
    assert caught.value.fault == Fault.ENDLESS


def test_speech(served_whisper: tuple[str, str]) -> None:
    url, name = served_whisper
    settings = ServerModel(backend="server", url=url, model=name, attempts=1, slots=4)
    client = ServerClient(settings)
    sound = (0.3 * np.sin(np.arange(80_000) / 9)).astype(np.float32)
    ((start_ms, end_ms, text),) = Transcripts(ServerTranscriber(client), settings).transcribe(sound, None)
    client.close()
    assert (start_ms, end_ms) == (0, 5000)
    assert set(text.split()) <= set(WORDS)
