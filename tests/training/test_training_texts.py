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


def _text(
    names: tuple[str, ...], row: dict[str, Any] = ROW, key: str = "k", epoch: int = 0, left: Any = None
) -> str | None:
    found = TextChoice(names, 0, epoch).of(row, key, left)
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


def test_texts_that_all_weigh_nothing_are_not_drawn() -> None:
    row = {"text": "x", "texts": [{**TEXTS[0], "weight": 0.0}]}
    assert _text(("weighted",), row) is None
    assert _text(("weighted", "chosen"), row) == "x"
    for texts in ([], None):  # a row of other tools is its one text
        assert _text(("weighted",), {"text": "x", "texts": texts}) == "x"


def test_texts_are_chosen_among_those_that_are_left() -> None:
    row = {**ROW, "text": "alt text"}
    for names, expected in (
        (("chosen",), "said"),
        (("weighted",), "said"),
        (("alt",), None),
        (("words.detailed",), "never"),
        (("brief",), "short"),
    ):
        assert _text(names, row, left=TEXTS[1:]) == expected
    assert _text(("chosen",), row, left=TEXTS[::2]) == "alt text"
    assert _text(("chosen",), row, left=TEXTS[2:]) == "never"
    assert _text(("weighted",), row, left=TEXTS[2:]) is None
