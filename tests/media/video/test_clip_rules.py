"""Rules over stored scores, against their definition row by row."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.media.video.rules import clip_verdicts
from curation.media.video.scores import ClipScores
from curation.recipe.clip_rules import ClipRules

CLIP = ClipScores(
    width=1280, height=720, aspect=1280 / 720, fps=24.0, duration_ms=5000, frames=120, decode_errors=0, brightness=0.5,
    black_share=0.0, letterbox=0.0, sharpness=200.0, text_area=None, motion_difference=0.02, still_share=0.1,
    motion_vectors=2.0, motion_vectors_diagonal=0.0014, has_audio=True, loudness=-23.0, silence_share=0.0,
)  # fmt: skip
OTHERS = {"seconds": "duration_ms", "motion_vectors": "motion_vectors_diagonal"}
LIMITS = [name for name in ClipRules.model_fields if name.startswith(("min_", "max_"))]
WHOLE = {"min_width", "min_height", "max_decode_errors"}


def table(*rows: dict[str, Any]) -> pa.Table:
    """Clips that differ from CLIP in some columns."""
    types = {name: pa.int64() for name in ("width", "height", "duration_ms", "frames", "decode_errors")}
    types["has_audio"] = pa.bool_()
    schema = pa.schema([(field.name, types.get(field.name, pa.float64())) for field in dataclasses.fields(CLIP)])
    return pa.Table.from_pylist([{**dataclasses.asdict(CLIP), **row} for row in rows], schema)


def beyond(score: float, name: str, limit: Any, rules: ClipRules) -> bool:
    if name == "aspect":
        wide, high = map(int, limit.split(":"))
        return abs(score / (wide / high) - 1) > rules.aspect_tolerance
    limit = limit * 1000 if name.endswith("_seconds") else limit
    return score < limit if name.startswith("min_") else score > limit


def verdict_of(row: dict[str, Any], rules: ClipRules) -> str | None:
    """The definition."""
    for name in ClipRules.model_fields:
        limit = getattr(rules, name)
        if limit is None or name in ("preset", "unknown", "aspect_tolerance"):
            continue
        if name == "with_sound":
            refused: bool | None = limit and not row["has_audio"]
        else:
            score = row[OTHERS.get(name[4:], name[4:]) if name != "aspect" else name]
            known = score is not None and not math.isnan(score)
            refused = beyond(score, name, limit, rules) if known else None
        if refused or (refused is None and rules.unknown == "refuse"):
            return name
    return None


VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.5, 1.0, math.nan]))
NUMBERS = ("aspect", "fps", "brightness", "black_share", "letterbox", "sharpness", "text_area", "still_share",
           "motion_difference", "motion_vectors_diagonal", "loudness", "silence_share")  # fmt: skip
ROWS = st.fixed_dictionaries(
    dict.fromkeys(NUMBERS, VALUES)
    | dict.fromkeys(("width", "height", "duration_ms", "decode_errors"), st.integers(0, 1500))
    | {"has_audio": st.booleans()}
)
RULES = st.fixed_dictionaries(
    {"unknown": st.sampled_from(["pass", "refuse"])},
    optional={name: st.sampled_from([1, 720, 1000] if name in WHOLE else [0.1, 0.5, 1.0]) for name in LIMITS}
    | {"aspect": st.sampled_from(["1:2", "1:1", "1:10"]), "with_sound": st.booleans()},
)


@settings(deadline=None)
@given(st.lists(ROWS, max_size=12), RULES, st.booleans())
def test_the_verdict_is_the_first_rule_that_refuses(
    rows: list[dict[str, Any]], chosen: dict[str, Any], cut: bool
) -> None:
    try:
        rules = ClipRules(**chosen)
    except ValidationError:  # min above max
        return
    scores = table(*rows)
    read = pa.concat_tables([scores.slice(0, 3), scores.slice(3)]) if cut else scores.combine_chunks()
    found = clip_verdicts(read, rules)
    expected = [verdict_of({**dataclasses.asdict(CLIP), **row}, rules) for row in rows]
    assert found.type == pa.string()
    assert found.to_pylist() == expected
    for batch in scores.to_batches():
        assert clip_verdicts(batch, rules).to_pylist() == expected[: batch.num_rows]


@pytest.mark.parametrize("unknown", ["pass", "refuse"])
def test_without_rules_all_is_kept(unknown: str) -> None:
    rules = ClipRules.model_validate({"unknown": unknown})
    nothing = {field.name: None for field in dataclasses.fields(CLIP)}
    assert clip_verdicts(table({}, nothing), rules).to_pylist() == [None, None]
    assert clip_verdicts(pa.table({"clip_id": ["a"]}), rules).to_pylist() == [None]


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_names_a_score_and_keeps_itself(name: str) -> None:
    """Scores are named by the class that is stored, so a misspelt one fails here."""
    assert OTHERS.get(name[4:], name[4:]) in {field.name for field in dataclasses.fields(ClipScores)}
    score = OTHERS.get(name[4:], name[4:])
    limit, unit = (1, 1) if name in WHOLE else (0.5, 1000 if name.endswith("_seconds") else 1)
    step = 1 if name in WHOLE or unit == 1000 else 0.001
    beyond = limit * unit + (-step if name.startswith("min_") else step)
    rows = table({score: limit * unit}, {score: beyond}, {score: 2 * limit * unit - beyond}, {score: None})
    assert clip_verdicts(rows, ClipRules(**{name: limit})).to_pylist() == [None, name, None, None]
    assert clip_verdicts(rows, ClipRules(**{name: limit, "unknown": "refuse"})).to_pylist() == [None, name, None, name]


def test_a_preset_is_what_is_not_given() -> None:
    sizes = [(1280, 720), (1920, 1080), (854, 480), (1280, 800), (1366, 768), (720, 1280)]
    rows = table(*({"width": w, "height": h, "aspect": w / h} for w, h in sizes))
    preset = ClipRules.model_validate({"preset": "hd_vg"})
    assert (preset.min_height, preset.aspect) == (720, "16:9")
    assert clip_verdicts(rows, preset).to_pylist() == [None, None, "min_height", "aspect", None, "aspect"]
    lower = ClipRules.model_validate({"preset": "hd_vg", "min_height": 480})
    assert clip_verdicts(rows, lower).to_pylist() == [None, None, None, "aspect", None, "aspect"]
    assert ClipRules.model_validate(lower.model_dump()) == lower
    off = ClipRules.model_validate({"preset": "hd_vg", "aspect": None})
    assert off.aspect is None


@pytest.mark.parametrize(
    "section",
    [
        {"min_seconds": 5, "max_seconds": 4}, {"aspect": "16/9"}, {"aspect": "0:9"}, {"aspect": "16:9\n"},
        {"preset": "other"}, {"preset": ["hd_vg"]}, {"max_black_share": 1.5}, {"min_fps": 0}, {"unknown": "drop"},
        {"min_height": 1.5}, {"max_decode_errors": -1}, {"min_motion": 0.1}, {"min_loudness": math.inf}, [], None,
    ],
)  # fmt: skip
def test_rules_that_mean_nothing_are_errors(section: Any) -> None:
    with pytest.raises(ValidationError):
        ClipRules.model_validate(section)
