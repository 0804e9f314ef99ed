"""`curation report`: one HTML file that shows what a work folder holds, and how it came to be.

    written = write_report("work")              # work/report.html
    html = report("work")                       # the same as text

The page brings all it needs: it is read from file:// without a server or a network, and runs no script. The same
folder gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import curation
from curation.errors import InputError
from curation.inspect.report_breakdowns import domains, languages, licences, link_rot, shards, text_sources
from curation.inspect.report_entries import head_and_tail
from curation.inspect.report_funnel import funnel, headline
from curation.inspect.report_gallery import gallery
from curation.inspect.report_markup import Html, element, joined, told
from curation.inspect.report_material import Material, material
from curation.inspect.report_media import clip_lengths, image_sizes
from curation.inspect.report_page import REPORT_HTML, page
from curation.inspect.report_parts import notice, section, table, unfolding
from curation.inspect.report_thresholds import other_thresholds
from curation.outputs import keep_out
from curation.storage import Store, storage_errors

_SECTIONS: tuple[tuple[str, str, Callable[[Material], Html | None]], ...] = (
    ("funnel", "Funnel", funnel),
    ("entries", "Head and tail", head_and_tail),
    ("t", "Other t", other_thresholds),
    ("languages", "Languages", languages),
    ("texts", "Texts", text_sources),
    ("domains", "Domains", domains),
    ("licences", "Licences", licences),
    ("images", "Images", image_sizes),
    ("clips", "Clips", clip_lengths),
    ("links", "Link rot", link_rot),
    ("shards", "Shards", shards),
    ("gallery", "Gallery", gallery),
)
_WORDS = (
    ("pool", "all pairs of a media and a text that the archives gave, before balancing"),
    ("entry", "a concept of the vocabulary: a word or phrase"),
    ("match", "one entry in one text"),
    ("t, the threshold", "texts that an entry may have before it is thinned; by modality and language"),
    ("head and tail", "entries with more than t texts in the pool, and those with fewer"),
    ("keep probability", "1 - product over a text's entries of (1 - min(1, t / texts of the entry))"),
    ("critical threshold", "the smallest t that keeps a text; kept at t is: critical threshold <= t"),
    ("kept pairs", "the balanced selection, before media are fetched"),
    ("sample", "one row of the manifest: an image, a clip or a whole video, with its texts"),
)


@dataclass(frozen=True)
class Written:
    """Where a report lies, how large it is, and what its reader must know."""

    location: str
    size_bytes: int
    notices: list[str]


def write_report(location: str | Path, to: str | Path | None = None) -> Written:
    """Writes the report of a work folder, whole or not at all; to: a file, DIR/report.html if None.

    Folders above the file are made; nothing else in the work folder may be named. Raises WorkFolderError where the
    folder has neither a manifest nor kept_pairs, InputError for a `to` that is none.
    """
    store = Store.at(location)
    if to is not None:
        keep_out("--to", str(to), store.root, allowed=REPORT_HTML)
    target, name = (store, REPORT_HTML) if to is None else _target(str(to))
    with storage_errors(store):
        text, notices = _made(location)
    data = text.encode("utf-8", "backslashreplace")
    with storage_errors(target):
        target.put(name, data)
    return Written(target.url(name), len(data), notices)


def report(location: str | Path) -> str:
    """The report of a work folder as an HTML document. Raises as write_report."""
    return _made(location)[0]


def _target(to: str) -> tuple[Store, str]:
    """The folder and the name of a file, local or a URL."""
    folder, _, name = to.removeprefix("file://").rpartition("/")
    if not name or (not folder.strip("/:") and "://" in to):
        raise InputError(f"--to {to!r} names no file: give one, such as report.html")
    if "://" not in folder and Path(to).is_dir():
        raise InputError(f"--to {to!r} is a folder: give a file in it, such as {to.rstrip('/')}/report.html")
    return Store.at(folder or ("/" if to.startswith("/") else ".")), name


def _made(location: str | Path) -> tuple[str, list[str]]:
    with material(location) as found:
        head = joined(*(notice(told(words)) for words in found.notices), headline(found), _words())
        parts = [("top", "Overview", section("top", "Overview", _lead(found), head))]
        for anchor, name, make in _SECTIONS:
            made = make(found)
            if made is not None:
                parts.append((anchor, name, made))
        parts.append(("made", "Versions", _provenance(found)))
        title = str(found.recipe.get("name") or "Training set")
        return page(title, _summary(found), parts, _footer()), found.notices


def _summary(found: Material) -> str:
    if found.has_manifest:
        return "Curation report: what this training set holds, how it came to be, and what was lost on the way."
    return "Curation report: what this selection of pairs holds, and how it came to be."


def _lead(found: Material) -> str:
    if not found.has_manifest:
        return "The selection in numbers."
    return "The set in numbers. One row of the manifest is one sample."


def _words() -> Html:
    rows = [[name, words] for name, words in _WORDS]
    return unfolding("Words used here", table(["<word", "<meaning"], rows))


def _provenance(found: Material) -> Html:
    """Which recipe and versions the numbers are of."""
    recipe = found.recipe
    facts = [
        [name.replace("_", " "), str(recipe[name])]
        for name in ("name", "hash", "seed", "texts_per_media", "definition", "variant", "limit_archives")
        if recipe.get(name) is not None
    ]
    versions = [[name, element("code", version)] for name, version in found.versions.items()]
    parts = [table(["<recipe", "<"], facts)] if facts else []
    parts.append(unfolding(f"Versions of {len(versions)} datasets", table(["<dataset", "<version"], versions)))
    lead = "The same recipe, inputs and versions give the same numbers."
    return section("made", "Versions", lead, *parts)


def _footer() -> str:
    return f"Made by curation {curation.__version__} (curation report). This file needs no network and runs no script."
