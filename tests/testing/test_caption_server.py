"""The made-up server of models answers as it says, misbehaves as often as it says, and counts what it saw."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from curation.testing.caption_faults import GROUPS, KINDS, USUAL, CaptionFaults
from curation.testing.caption_server import PICTURE_TOKENS, CaptionServer, Question


def post(server: CaptionServer, asked: Any, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("POST", path, json.dumps(asked), {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, json.loads(data) if data else None


def ask(text: str, **more: Any) -> dict[str, Any]:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": text}, picture]
    return {"model": "made-up", "messages": [{"role": "user", "content": content}], **more}


def test_answers_are_a_function_of_the_request() -> None:
    with CaptionServer() as server:
        first, again, other = (post(server, ask(text)) for text in ("What is it?", "What is it?", "And this?"))
        assert first == again != other and first[0] == 200
        (choice,) = first[1]["choices"]
        assert choice["message"]["content"].startswith("A ") and choice["finish_reason"] == "stop"
        tokens = len(choice["message"]["content"].split())
        assert first[1]["usage"] == {"prompt_tokens": 3 + PICTURE_TOKENS, "completion_tokens": tokens}
        cut = post(server, ask("What is it?", max_tokens=2))[1]["choices"][0]
        assert (len(cut["message"]["content"].split()), cut["finish_reason"]) == (2, "length")
        assert sorted(server.answered().values()) == [1, 1, 2]
        assert [entry.attempt for entry in server.log] == [1, 2, 1, 1]


def test_the_model_can_be_given() -> None:
    seen: list[Question] = []

    def answer(question: Question) -> str:
        seen.append(question)
        return "words"

    with CaptionServer(answer=answer, model="mine") as server:
        assert post(server, ask("x") | {"model": "mine"})[1]["choices"][0]["message"]["content"] == "words"
        assert (seen[0].texts, len(seen[0].pictures), seen[0].asked["model"]) == (("x",), 1, "mine")
        assert post(server, ask("x"))[0] == 404 == post(server, ask("x"), "/chat/completions")[0]


def test_it_wants_its_key() -> None:
    with CaptionServer(key="secret") as server:
        assert post(server, ask("x"))[0] == 401
        assert post(server, ask("x"), Authorization="Bearer secret")[0] == 200


def test_slots_limit_what_is_worked_on() -> None:
    with CaptionServer(slots=2, seconds=0.02) as server, ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda n: post(server, ask(f"{n}")), range(12)))
        assert 0.5 < server.busy_share() <= 1.001 and server.most_in_flight > 2
        begun = sorted(entry.begun_s for entry in server.log)
        assert all(later - first >= 0.02 for first, later in zip(begun, begun[2:], strict=False))


def test_faults_are_drawn_by_a_hash_in_their_shares() -> None:
    faults = CaptionFaults(USUAL)
    drawn = [faults.of(f"key {number}", attempt, None) for number in range(10_000) for attempt in (1, 2)]
    assert drawn == [faults.of(f"key {number}", attempt, None) for number in range(10_000) for attempt in (1, 2)]
    counts = Counter(drawn)
    for fault, share in USUAL.items():
        assert 0.6 < sum(counts[each] for each in GROUPS.get(fault, (fault,))) / (20_000 * share) < 1.4
    assert all(counts[each] for group in GROUPS.values() for each in group)
    assert [CaptionFaults(USUAL, seed=1).of(f"key {number}", 1, None) for number in range(10_000)] != drawn[::2]


def test_lasting_faults_are_at_every_attempt() -> None:
    faults = CaptionFaults(lasting=lambda asked: "reset" if asked == "bad" else None)
    assert len({faults.of("a", attempt, "bad") for attempt in range(9)}) == 1
    assert faults.of("a", 1, "good") is None


@pytest.mark.parametrize("name", ["no_such_fault", "http_418"])
def test_unknown_faults_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        CaptionFaults({name: 0.5})
    assert name not in KINDS


def test_a_proxy_passes_on_what_its_upstream_says() -> None:
    with CaptionServer() as server, CaptionServer(upstream=server.url) as proxy:
        assert post(proxy, ask("x")) == post(server, ask("x"))
        assert post(proxy, ask("x") | {"model": "none"})[0] == 404
    with CaptionServer(upstream="http://127.0.0.1:9/v1") as proxy:
        assert post(proxy, ask("x"))[0] == 502
