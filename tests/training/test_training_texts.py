"""One of several texts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from curation.training.texts import TextChoice

TEXTS = [
    {"text": "alt text", "captioner": "alt", "kind": "alt", "weight": 1.0},
    {"text": "said", "captioner": "words", "kind": "brief", "weight": 3.0},
    {"text": "never", "captioner": "words", "kind": "detailed", "weight": 0.0},
]
ROW: dict[str, Any] = {"text": "the chosen", "brief": "short", "detailed": None, "texts": TEXTS}


def _text(names: tuple[str, ...], row: dict[str, Any] = ROW, key: str = "k", epoch: int = 0, **more: Any) -> str | None:
    found = TextChoice(names, 0, epoch, **more).of(row, key)
    return None if found is None else found["text"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("chosen",), "the chosen"),
        (("words",), "said"),
        (("words.detailed",), "never"),
        (("brief",), "short"),
        (("detailed",), None),
        (("detailed", "alt"), "alt text"),
        (("vlm", "chosen"), "the chosen"),
        (("vlm",), None),
    ],
)
def test_kinds_of_text_in_the_order_asked_for(names: tuple[str, ...], expected: str | None) -> None:
    assert _text(names) == expected


def test_texts_are_drawn_by_weight_per_sample_and_epoch() -> None:
    keys = [f"{number:024x}" for number in range(4000)]
    epochs = [[_text(("weighted",), key=key, epoch=epoch) for key in keys] for epoch in (0, 1, 0)]
    assert epochs[0] == epochs[2] != epochs[1]
    for drawn in epochs:
        counts = Counter(drawn)
        assert set(counts) == {"alt text", "said"}
        assert abs(counts["said"] / len(keys) - 0.75) < 0.03
    both = sum(a == b for a, b in zip(epochs[0], epochs[1], strict=True)) / len(keys)
    assert abs(both - (0.75**2 + 0.25**2)) < 0.03


def test_weights_that_leave_nothing_give_the_chosen_text() -> None:
    for texts in ([], None, [{**TEXTS[0], "weight": 0.0}]):
        assert _text(("weighted",), {"text": "x", "texts": texts}) == "x"


def test_texts_of_forgotten_media_are_not_read() -> None:
    texts = [{**TEXTS[0], "text_media_id": "gone"}, TEXTS[1]]
    names = ("weighted", "alt")
    drawn = {_text(names, {"text": "x", "texts": texts}, str(n), gone=frozenset({"gone"})) for n in range(50)}
    assert drawn == {"said"}
    assert _text(("alt",), {"text": "x", "texts": texts}, gone=frozenset({"gone"})) is None
