"""What the card says of media that failed for passing reasons, as far as it follows from the recipe."""

from __future__ import annotations

from typing import Any

import pytest

from curation.inspect.card_media import media_lines, media_markdown, media_section, told_losses
from curation.runner.stage import Manifest

_STAGES = ("balance", "duplicates", "survive", "rebalance")


def _manifest(stage: str, counts: dict[str, int], **settings: Any) -> Manifest:
    return Manifest(stage, "v", {}, settings, {"thresholds": {}}, "1", counts, {}, {}, 0.0, "")


def _told(transient: int, retry_days: float) -> list[str]:
    manifests = {name: _manifest(name, {}) for name in _STAGES}
    manifests["fetch"] = _manifest("fetch", {"transient": transient}, retry_days=retry_days)
    section = media_section(manifests)
    assert section is not None
    assert (section["passing"], section["retry_days"]) == (transient, retry_days)
    return [line for line in media_lines(section) if "asks again" in line]


@pytest.mark.parametrize(("days", "words"), [(7.0, "7 days"), (1.0, "1 day"), (0.5, "0.5 days"), (2.25, "2.25 days")])
def test_passing_failures_are_asked_for_again_for_so_long(days: float, words: str) -> None:
    assert _told(1234, days) == [
        "the same command asks again for 1,234 media that failed for passing reasons, "
        f"up to {words} after they were first asked for"
    ]


@pytest.mark.parametrize(("transient", "days"), [(5, 0.0), (0, 7.0)])
def test_where_nothing_is_asked_for_again_nothing_is_said(transient: int, days: float) -> None:
    assert _told(transient, days) == []


def _step(name: str, pairs: int, media: int | None, **left_out: int) -> dict[str, Any]:
    return {"step": name, "pairs": pairs, "media": media, "left_out": left_out}


def test_pairs_of_modalities_that_are_not_fetched_are_a_step() -> None:
    section = media_section({name: _manifest(name, {}, retry_days=0.0) for name in (*_STAGES, "fetch")})
    assert section is not None
    section["funnel"] = [_step("kept_pairs", 2193, 1551), _step("obtained", 1814, 1341, truncated=379)]
    assert "| kept_pairs | 2,193 | 1,551 | – | |" in media_markdown({"media": section})[1]
    section["not_fetched"] = 44
    assert media_markdown({"media": section})[1].splitlines()[2:] == [
        "| kept_pairs | 2,237 |  | – | |",
        "| asked for | 2,193 | 1,551 | 98.0% | |",
        "| | | | 2.0% | −44 of modalities that fetch.modalities does not name |",
        "| obtained | 1,814 | 1,341 | 82.7% | |",
        "| | | | 17.3% | −379 cut short |",
    ]
    assert told_losses(section)[-1] == (44, "of modalities that fetch.modalities does not name")
