"""The layout that MetaCLIP 2's trainer draws from online: tars of images, json of texts, probabilities of entries.

    tars/0/0.tar            KEY.jpeg, whatever the format (the loader looks at bytes, but at this ending alone)
    json/0/0.json           {KEY: [[text, language, [entry ids]], ...]}: texts of pages that hold an entry
    probabilities/per_lang_t/T_LANG.npy   float32, by entry id

The first folder of shard N is N - N mod 2000, as the loader has it. It takes one of an image's texts at random, and the
image if 1 - product of (1 - p) over the text's entries exceeds a random number.

The manifest was drawn at a threshold already: t0 per language. So that nothing is drawn twice, p is what is left of the
draw, min(T, count) / min(t0, count): 1 for T = t0, which is the default; T / count where t0 let everything through (a
pool that was not balanced, as MetaCLIP's own); between the two exact for texts with one entry, and an approximation
that keeps more of those with several. `curation export csv --t T` and the like are exact at any T.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from curation.balance.shares import tail_share, threshold_for_tail_share
from curation.errors import InputError
from curation.export.media_files import COLUMNS, read_bytes
from curation.export.shape import Export, Shape
from curation.export.target import json_object
from curation.export.texts import balanced
from curation.media.shards import Sample, write_shard

SHARD_BYTES: Final = 1_000_000_000
SHARD_SAMPLES: Final = 10_000
"""Ours: as the recipe's section shards has them."""
_GROUP: Final = 2000  # shards of a folder
_PIVOT: Final = "en"  # MetaCLIP's t is that of English; of other languages it follows from the tail share



def _metaclip(export: Export) -> None:
    """Images with texts of pairs that hold an entry; texts of models are not part of what was balanced."""
    texts = balanced(export.selection)
    columns = {name: f'"{name}"' for name in ("sample_id", *COLUMNS)} | {"told": texts}
    rules = export.leave_out(("without a text of a page that holds an entry", f"len({texts}) = 0"))
    named, shards = _probabilities(export), 0
    for shards, rows in enumerate(_shards(export.view.rows(columns, rules)), 1):
        _shard(export, shards - 1, rows)
    export.notes.append(f"train with --train-data tars/{{0..{shards}}}.tar --pkg-json json --t {named}")


def _shards(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    held: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        if held and (size + row["size_bytes"] > SHARD_BYTES or len(held) == SHARD_SAMPLES):
            yield held
            held, size = [], 0
        held.append(row)
        size += row["size_bytes"]
    if held:
        yield held


def _shard(export: Export, number: int, rows: list[dict[str, Any]]) -> None:
    place = f"{number - number % _GROUP}/{number}"
    with json_object(export.folder / "json" / f"{place}.json") as put:
        for row in rows:
            texts = [[each["text"], each["lang"], each["ids"]] for each in row["told"]]
            put(row["sample_id"], texts)
            export.wrote(len(texts))
    if export.options.media == "none":
        return
    tar = export.folder / "tars" / f"{place}.tar"
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tar.open("wb") as file:
        read = zip(rows, read_bytes(export.store, rows), strict=True)
        write_shard(file, (Sample(row["sample_id"], {"jpeg": data}) for row, data in read))
    export.embedded_bytes += sum(row["size_bytes"] for row in rows)


def _probabilities(export: Export) -> str:
    """Writes the arrays; gives the T that is in their names."""
    found = export.view.database.execute(
        "SELECT vocabulary_lang, list(entry_id ORDER BY entry_id), list(count ORDER BY entry_id), max(threshold), "
        "sum(count) FROM entry_probabilities WHERE modality = 'image' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    languages = {lang: _Language(ids, counts, threshold) for lang, ids, counts, threshold, _ in found}
    pivot = _PIVOT if _PIVOT in languages else max(found, key=lambda row: (row[4], row[0]))[0]
    t = export.options.online_t
    if t is not None and t > languages[pivot].threshold:
        raise InputError(
            f"--t {t:g} is above {languages[pivot].threshold:g}, the threshold of {pivot} that the manifest was drawn "
            "at: what that left out is not there to draw from"
        )
    share = None if t is None else tail_share(languages[pivot].counts, t)
    named = str(round(languages[pivot].threshold if t is None else t))
    folder = export.folder / "probabilities" / "per_lang_t"
    folder.mkdir(parents=True)
    for lang, language in languages.items():
        own_t = t if lang == pivot or share is None else threshold_for_tail_share(language.counts, share)
        np.save(folder / f"{named}_{lang}.npy", language.probabilities(own_t))
    return named


class _Language:
    """The entries of one language that the pool holds."""

    def __init__(self, ids: list[int], counts: list[float], threshold: float) -> None:
        self._ids = np.asarray(ids, np.int64)
        self.counts = np.asarray(counts, np.float64)
        self.threshold = threshold

    def probabilities(self, t: float | None) -> npt.NDArray[np.float32]:
        """What is left of the draw at t, by entry id; 1 for entries that nothing is known of. None: nothing to draw."""
        left = np.ones(int(self._ids.max(initial=-1)) + 1, np.float32)
        if t is not None:
            drawn = np.minimum(self.threshold, self.counts)
            wanted = np.minimum(t, self.counts)
            left[self._ids] = np.divide(wanted, drawn, out=np.ones_like(drawn), where=drawn > wanted)
        return left


SHAPES: Final = (
    Shape("metaclip", "MetaCLIP 2's training layout: tars, json of texts and entries, probabilities per language",
          _metaclip, "texts", frozenset({"media", "online_t"}), "image", ("entry_probabilities",)),
)  # fmt: skip
