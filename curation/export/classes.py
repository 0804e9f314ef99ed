"""One class per sample, from words that are there: hashtags, entries of the chosen text, or a list of one's own.

A sample may hold several classes. It gets the one that fewest selected samples hold, the first by name of equally rare
ones: the rarest says most. Nobody looked at the media: these are weak labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from curation.captions.hashtags import fold
from curation.errors import InputError
from curation.export.shape import Export
from curation.export.texts import MISSING, one_line
from curation.export.view import Rule

NO_CLASS: Final = "without a class"

_HASHTAGS = (
    "SELECT DISTINCT sample_id, unnest([x.text FOR x IN texts IF x.kind = 'hashtag']) AS word FROM ({samples})"
)
_ENTRIES = (
    "SELECT DISTINCT sample_id, entry AS word FROM (SELECT sample_id, vocabulary_lang, unnest(entry_ids) AS entry_id "
    "FROM ({samples})) JOIN (SELECT DISTINCT vocabulary_lang, entry_id, entry FROM entry_probabilities) "
    "USING (vocabulary_lang, entry_id)"
)


@dataclass(frozen=True)
class Classes:
    """names: by label, from 0. The relation `labelled` of the view's connection has sample_id and label."""

    names: list[str]

    @property
    def base(self) -> int:
        """Classes of the base half: the first ceil(n / 2), as CoOp and ViFi-CLIP have it; the others are novel."""
        return -(-len(self.names) // 2)


def label(export: Export, rules: tuple[Rule, ...]) -> Classes:
    """Labels the samples that `rules` leave; those without a class are counted.

    Raises InputError where --labels is missing or cannot be read, or no sample has a class.
    """
    source = export.options.labels
    if source is None:
        raise InputError(
            "--labels says where classes come from: hashtags, entries (of the chosen text), or a file with a class per "
            "line"
        )
    own = None if source in ("hashtags", "entries") else read_classes(source)
    database = export.view.database
    samples = export.view.sql(["sample_id", "texts", "vocabulary_lang", "entry_ids"], rules)
    parts = {"hashtags": [_HASHTAGS], "entries": [_ENTRIES]}.get(source, [_HASHTAGS, _ENTRIES])
    held = " UNION ".join(part.format(samples=samples) for part in parts)
    database.execute(f"CREATE OR REPLACE TEMP TABLE held AS {held}").fetchall()
    counts = dict(database.execute("SELECT word, count(*) FROM held GROUP BY word").fetchall())
    of = _of_words(counts, export.options.min_samples) if own is None else _of_own(counts, own)
    words = pa.table({"word": list(of), "class": list(of.values())},
                     schema=pa.schema([("word", pa.string()), ("class", pa.string())]))  # fmt: skip
    database.register("class_of", words)
    classes = _assign(export, own)
    database.unregister("class_of")
    ((labelled,),) = database.execute("SELECT count(*) FROM labelled").fetchall()
    export.left_out[NO_CLASS] += export.view.samples - export.left_out.total() - labelled
    export.left_out = +export.left_out
    return classes


def _assign(export: Export, own: Mapping[str, str] | None) -> Classes:
    """Makes `labelled`: of each sample's classes the rarest."""
    database = export.view.database
    database.execute(
        "CREATE OR REPLACE TEMP TABLE chosen AS WITH "
        "classes AS (SELECT DISTINCT sample_id, class FROM held JOIN class_of USING (word)), "
        "sizes AS (SELECT class, count(*) AS samples FROM classes GROUP BY class) "
        "SELECT sample_id, class FROM classes JOIN sizes USING (class) "
        "QUALIFY row_number() OVER (PARTITION BY sample_id ORDER BY samples, class) = 1"
    ).fetchall()
    taken = [name for (name,) in database.execute("SELECT DISTINCT class FROM chosen").fetchall()]
    names = sorted(taken) if own is None else list(dict.fromkeys(own.values()))
    if not taken:
        raise InputError(
            f"--labels {export.options.labels}: no selected sample has a class"
            + (f" that {export.options.min_samples} samples hold: lower --min-samples" if own is None else "")
        )
    database.register("numbered", pa.table({"class": names, "label": range(len(names))}))
    database.execute(
        "CREATE OR REPLACE TEMP TABLE labelled AS SELECT sample_id, label FROM chosen JOIN numbered USING (class)"
    ).fetchall()
    database.unregister("numbered")
    return Classes(names)


def _of_words(counts: Mapping[str, int], min_samples: int) -> dict[str, str]:
    """Word -> class: itself on one line, where enough samples hold it."""
    lines = {word: one_line(word) for word, samples in counts.items() if samples >= min_samples}
    return {word: line for word, line in lines.items() if line not in MISSING}


def _of_own(counts: Mapping[str, int], own: Mapping[str, str]) -> dict[str, str]:
    return {word: own[folded] for word in counts if (folded := fold(word)) in own}


def read_classes(path: str) -> dict[str, str]:
    """Folded word -> class, of a file with a class per line; other words for it may follow, by tabs.

    A class of several words is also found as one (`playing guitar`: #playingguitar). Raises InputError for a file that
    cannot be read, one without classes, a word that would mean two, and names that csv readers take for missing.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"--labels {path} is neither hashtags nor entries, nor a file of text: {error}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, *others = (one_line(word) for word in line.split("\t"))
        if not name and not any(others):
            continue
        if name in MISSING:
            raise InputError(f"{path}:{number}: csv readers take a class called {name!r} for missing: rename it")
        for word in (name, *filter(None, others)):
            for key in dict.fromkeys((fold(word), fold("".join(word.split())))):
                if found.setdefault(key, name) != name:
                    raise InputError(f"{path}:{number}: {word!r} means {found[key]!r} and {name!r}: one of them only")
    if not found:
        raise InputError(f"{path} names no class: give one per line")
    return found
