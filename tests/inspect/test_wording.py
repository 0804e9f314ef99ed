"""How settings that differ between two runs are told."""

from __future__ import annotations

from typing import Any

import pytest

from curation.inspect.wording import changed_settings

LONG = [f"host-{place:04}.example" for place in range(2000)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ([], [{"against": "a.csv", "by": ["url", "text"]}],
         ["[0].against: null -> a.csv", "[0].by: null -> [url, text]"]),
        ([{"against": "a", "remove": True}], [{"against": "b", "remove": False}],
         ["[0].against: a -> b", "[0].remove: true -> false"]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}], ["[1].a: 2 -> null"]),
        ([{"a": 1}], None, ["[0].a: 1 -> null"]),
        ([{"a": [{"b": 1}]}], [{"a": [{"b": 2.0}]}], ["[0].a[0].b: 1 -> 2"]),
        (["nfc"], ["nfc", "x"], [": [nfc] -> [nfc, x]"]),
        (None, ["nfc", None, True], [": null -> [nfc, null, true]"]),
        (LONG, [*LONG[:-1], "other.example"],
         [": 2,000 values -> 2,000 values, without host-1999.example, with other.example"]),
        (LONG, LONG[:1990], [": 2,000 values -> 1,990 values, without host-1990.example, host-1991.example, "
                             "host-1992.example and 7 more"]),
    ],
)  # fmt: skip
def test_lists_are_told_by_what_differs_in_them(old: Any, new: Any, told: list[str]) -> None:
    assert changed_settings({"x": old}, {"x": new}, "manifest") == [f"manifest.x{words}" for words in told]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x" * 500 + "a", "x" * 500 + "b"),
        ("x" * 500, "x" * 501),
        (LONG, [LONG[1], LONG[0], *LONG[2:]]),
        (LONG, [*LONG, LONG[-1]]),
        (["x" * 500 + "a"], ["x" * 500 + "b"]),
        ([{"a": "x" * 500 + "a"}], [{"a": "x" * 500 + "b"}]),
        ({"a": {"b": LONG}}, {"a": {"b": LONG[::-1]}}),
    ],
)
def test_different_values_never_look_alike(old: Any, new: Any) -> None:
    (line,) = changed_settings({"x": old}, {"x": new})
    before, after = line.partition(": ")[2].split(" -> ")
    assert before != after and len(line) < 400
