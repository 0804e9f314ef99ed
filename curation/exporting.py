"""`curation export`: opens a work folder's manifest as the common view, and lets a shape write it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, fields, replace
from typing import Any

from curation.errors import InputError, WorkFolderError
from curation.export.media_files import MediaFiles, check_media
from curation.export.shape import SPLITS, Export, Options, Shape
from curation.export.shapes import SHAPES
from curation.export.target import new_folder, write_nameplate
from curation.export.view import Selection, View
from curation.inspect.views import connect, dataset
from curation.outputs import keep_out
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.storage import Store, storage_errors

_NO_VAL = "no selected sample is of split val, which the recipe's manifest.val_share draws: its lists are empty"
_MODALITIES = ("image", "video")
_FLAGS = {"min_samples": "min-samples", "seeds": "seed"}
"""Options whose flag has another name."""


def shape_lines() -> list[str]:
    """What can be exported, a line each."""
    width = max(map(len, [*SHAPES, "webdataset"]))
    lines = [f"{'webdataset':{width}}  tars for open_clip and webdataset: made by `curation run`, section shards"]
    lines += [f"{name:{width}}  {shape.about}" for name, shape in SHAPES.items()]
    return [*lines, "", "curation export SHAPE --work DIR --to PATH; docs/export.md tells what is in each"]


def check_shards_options(to: str | None, selection: Selection, options: Mapping[str, Any]) -> None:
    """Raises InputError for what was asked of shards here: `curation run` makes them, by the recipe."""
    asked = {"to": to, **asdict(selection), **options}
    given = next((name for name, value in asked.items() if value is not None and value != ()), None)
    if given is not None:
        raise InputError(
            f"--{_FLAGS.get(given, given)} does nothing for webdataset: `curation run` makes the shards, and the "
            "section shards of the recipe says what is in them; to choose samples here, export another shape, such as "
            "parquet"
        )


def shards_lines(work: str) -> list[str]:
    """Where the current shards lie. Raises WorkFolderError where there are none, with how they are made."""
    store = Store.at(work)
    with storage_errors(store), closing(connect(store.root)) as database:
        try:
            dataset(database, store.root, "shards")
        except WorkFolderError:
            raise WorkFolderError(
                f"{store.root} has no shards that are up to date: they are a stage of their own, resumable and in "
                "parallel; add `shards: {}` to the recipe and run it again"
            ) from None
        found = database.execute(
            "SELECT split, count(*), sum(samples), sum(size_bytes), regexp_replace(min(path), '[^/]*$', '') AS folder "
            "FROM shards GROUP BY split ORDER BY split"
        ).fetchall()
    return [
        f"{split}: {tars:,} tars with {samples:,} samples, {_size(size)}, in {store.url(folder)}"
        for split, tars, samples, size, folder in found
    ] or [f"{store.root}: the recipe's section shards selects no sample"]


def chosen(name: str) -> Shape:
    """The shape of that name. Raises InputError for an unknown one."""
    if name not in SHAPES:
        raise InputError(f"no shape is called {name!r}: choose one of webdataset, {', '.join(SHAPES)}")
    return SHAPES[name]


def export(name: str, work: str, to: str, selection: Selection, options: Mapping[str, Any]) -> list[str]:
    """Writes one shape to the folder `to`; gives what to tell the user. options: fields of Options that were given.

    Raises InputError for what cannot be chosen so, WorkFolderError where there is no manifest or bytes are gone.
    """
    shape, store, started = chosen(name), Store.at(work), time.monotonic()
    selection, chosen_options = _settled(shape, selection, options)
    keep_out("--to", to, work)
    with storage_errors(store), closing(connect(store.root)) as database, new_folder(to, shape.name) as folder:
        for needed in (MANIFEST.name, *shape.needs):
            dataset(database, store.root, needed)
        files = MediaFiles(store, folder, chosen_options.media)
        lineage = _lineage(store)
        done = Export(View(database, selection), store, folder, files, chosen_options, lineage)
        _check_selected(done.view)
        shape.write(done)
        done.check()
        if not done.samples:
            raise InputError(f"nothing to export: left out {_left_out(done)}")
        media_bytes = files.finish() + done.embedded_bytes
        facts = {"selection": selection.told(), "options": _told(shape, chosen_options),
                 shape.rows: done.rows} | {"samples": done.samples,
                 "left_out": dict(sorted(done.left_out.items())), **lineage}  # fmt: skip
        write_nameplate(folder, shape.name, facts)
        if selection.split is None and not done.view.count("split = 'val'"):
            done.notes.append(_NO_VAL)
    return _summary(shape, done, to, media_bytes, time.monotonic() - started)


def _check_selected(view: View) -> None:
    """Raises InputError where nothing was selected: before anything is written."""
    if not view.samples:
        told = ", ".join(f"{name} {value}" for name, value in view.selection.told().items() if name != "texts")
        raise InputError(f"nothing to export: no sample of the manifest has {told}" if told else
                         "nothing to export: the manifest is empty")  # fmt: skip


def _settled(shape: Shape, selection: Selection, options: Mapping[str, Any]) -> tuple[Selection, Options]:
    """Raises InputError for what is no split, modality or threshold, and for an option that means nothing here."""
    for flag, value, known in (("split", selection.split, SPLITS), ("modality", selection.modality, _MODALITIES)):
        if value is not None and value not in known:
            raise InputError(f"--{flag} {value!r}: choose one of {', '.join(known)}")
    if selection.t is not None and not 1 <= selection.t < math.inf:
        raise InputError(f"--t {selection.t:g} is no threshold: give a number of texts, 1 or more")
    given = {name: value for name, value in options.items() if value is not None}
    if selection.t is not None and "online_t" in shape.options:
        given["online_t"], selection = selection.t, replace(selection, t=None)
    asked = given.keys() | ({"texts"} if selection.texts else set())
    if strange := sorted(asked - shape.options):
        users = [name for name, other in SHAPES.items() if strange[0] in other.options]
        flag = _FLAGS.get(strange[0], strange[0])
        raise InputError(f"--{flag} is of {', '.join(users)}; {shape.name} has no use for it")
    settled = Options(**given)
    if "media" in shape.options:
        check_media(settled.media)
    if selection.modality is None:
        selection = replace(selection, modality=shape.modality)
    return selection, settled


def _told(shape: Shape, options: Options) -> dict[str, Any]:
    """link:DIR makes the same files as copy."""
    told = {each.name: asdict(options)[each.name] for each in fields(options) if each.name in shape.options}
    if told.get("media", "none") != "none":
        told["media"] = "copy"
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def _lineage(store: Store) -> dict[str, Any]:
    """The manifest's version and those of all that it was made from; of the recipe what the card of that run says."""
    catalog = Catalog(store, ALL_STAGES).snapshot()
    versions: dict[str, str] = {}
    waiting = ["manifest"]
    while waiting:
        stage = waiting.pop()
        pointer = catalog.pointer(stage)
        if pointer is not None and stage not in versions:
            versions[stage] = pointer.version
            waiting += pointer.inputs
    card = store.read_json("card.json")
    known = card["versions"]["datasets"].get("manifest", {}) if isinstance(card, dict) else {}
    is_of_it = known.get("version") == versions["manifest"]
    recipe = {name: card["recipe"][name] for name in ("name", "hash")} if is_of_it else None
    return {"recipe": recipe, "stages": dict(sorted(versions.items()))}


def _summary(shape: Shape, done: Export, to: str, media_bytes: int, seconds: float) -> list[str]:
    """One line, and what the user has to know."""
    rows = "" if shape.rows == "samples" else f" ({done.rows:,} {shape.rows})"
    media = f", {_size(media_bytes)} of media" if media_bytes else ", no media"
    left = f"; left out: {_left_out(done)}" if done.left_out else ""
    notes = [f"note: {note}" for note in done.notes]
    return [f"{shape.name}: {done.samples:,} samples{rows} in {to}{media}, {seconds:.1f} s{left}", *notes]


def _left_out(done: Export) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in sorted(done.left_out.items()))


def _size(size_bytes: int) -> str:
    """Bytes as people say them, by 1000s."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
