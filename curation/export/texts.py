"""Which texts of a sample an export takes, and how they become one line.

- Captions: texts about the whole sample; the chosen one first, each once. Not what is said in it (SPOKEN), not its
  labels (LABELS), and none of weight 0 (manifest.text_weights). The chosen one is whatever it is.
- Parts: texts with a span within the sample, by begin; not what is said in it.
- Spoken: what is said in it.

Where a selection names captioners, their texts and no others are taken, whatever their kind and weight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from curation.export.view import Rule, Selection, literal

SPOKEN: Final = ("subtitles", "transcript", "schema_transcript")
"""Kinds of texts that say what is heard."""
LABELS: Final = ("hashtag", "schema_keywords")
"""Kinds of texts that are labels: one each, or several by commas."""

MISSING: Final = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
"""What pandas.read_csv takes for a missing value, in quotation marks or not (pandas 2.2's STR_NA_VALUES)."""

NO_CAPTION: Final = "without such a text"
"""Every sample has a chosen text, but not one by every captioner, or in every language."""
NO_VIDEO: Final[Rule] = ("images", "modality <> 'video'")

READ_AS_MISSING: Final = "whose text csv readers take for missing (NA, null ...)"

_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028\u2029]+")  # the rest of white space is str.split's


class Part(NamedTuple):
    """What a span of a sample shows: begin and end on the sample's own clock."""

    start_ms: int
    end_ms: int
    text: str

    @property
    def span_s(self) -> list[float]:
        return [self.start_ms / 1000, self.end_ms / 1000]


def one_line(text: str) -> str:
    """The text as a cell of a table: control characters and line breaks are blanks, runs of white space one blank.

    CLIP's tokenizers do the same, so a trainer sees no difference.
    """
    return " ".join(_CONTROLS.sub(" ", text).split())


def caption(selection: Selection) -> str:
    """SQL of the one text that stands for a sample; null: it has none."""
    return f"{captions(selection)}[1]" if selection.texts else "text"


def captions(selection: Selection) -> str:
    """SQL of a list of a sample's captions, the chosen one first; a text may come twice."""
    if selection.texts:
        return _texts("x.text", "x.start_ms IS NULL", selection)
    others = f"x.start_ms IS NULL AND x.weight > 0 AND x.kind NOT IN {_listed(SPOKEN + LABELS)}"
    return f"list_prepend(text, {_texts('x.text', others, selection)})"


def caption_lang(selection: Selection) -> str:
    """SQL of the language of `caption`."""
    return f"{_texts('x.lang', 'x.start_ms IS NULL', selection)}[1]" if selection.texts else "text_lang"


def balanced(selection: Selection) -> str:
    """SQL of a list of {text, lang, ids}: the texts of pairs that hold an entry, which is what was balanced."""
    told = "{'text': x.text, 'lang': x.vocabulary_lang, 'ids': x.entry_ids}"
    known = "x.start_ms IS NULL AND x.keep_probability IS NOT NULL AND x.vocabulary_lang IS NOT NULL"
    return _texts(told, f"{known} AND len(x.entry_ids) > 0", selection)


def parts(selection: Selection) -> str:
    """SQL of a list of {start_ms, end_ms, text}: see `spans`."""
    told = "{'start_ms': x.start_ms, 'end_ms': coalesce(x.end_ms, duration_ms), 'text': x.text}"
    kinds = "" if selection.texts else f" AND x.kind NOT IN {_listed(SPOKEN)}"
    return _texts(told, f"x.start_ms IS NOT NULL{kinds}", selection)


def spoken(selection: Selection) -> str:
    """SQL of a list of {start_ms, text}: what is said; start_ms null: all through it."""
    kinds = "true" if selection.texts else f"x.kind IN {_listed(SPOKEN)}"
    return _texts("{'start_ms': x.start_ms, 'text': x.text}", kinds, selection)


def spans(row: Mapping[str, Any]) -> list[Part]:
    """The parts of a row with `parts` and duration_ms: within its duration, by begin, end and text, each once.

    Without those that last no time and those in which no letter or digit is.
    """
    duration = row["duration_ms"] or 0
    found = {
        Part(max(part["start_ms"], 0), min(part["end_ms"], duration), part["text"].strip()) for part in row["parts"]
    }
    return sorted(part for part in found if part.start_ms < part.end_ms and any(map(str.isalnum, part.text)))


def distinct(texts: Sequence[str]) -> list[str]:
    """Each text once, where it came first; without those of white space alone."""
    return [text for text in dict.fromkeys(texts) if text.strip()]


def _texts(told: str, condition: str, selection: Selection) -> str:
    if selection.texts:
        names = _listed(selection.texts)
        condition += f" AND (x.captioner IN {names} OR x.captioner || '.' || x.kind IN {names})"
    if selection.lang is not None:
        condition += f" AND x.lang = {literal(selection.lang)}"
    return f"[{told} FOR x IN texts IF {condition}]"


def _listed(names: Sequence[str]) -> str:
    return f"({', '.join(map(literal, names))})"
