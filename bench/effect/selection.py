"""Which rows of a pool each arm holds: the product selects, and its folder is read as any user reads it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.effect.pool import Ints, Pool, row_of, write_table
from bench.effect.settings import FOLDER, SHARES, percent

RECIPE = FOLDER / "recipe.yaml"


@dataclass(frozen=True, eq=False)
class Selection:
    """Rows of every arm, ascending, and the thresholds behind the balanced ones."""

    rows: dict[str, Ints]
    """Arm -> rows of the pool."""
    thresholds: dict[str, float]
    """Balanced arm -> t, in texts."""


def select(pool: Pool, folder: Path) -> Selection:
    """Writes the pool's table, runs `curation run` once per tail share, and reads what it kept.

    A stored selection is read again. Raises ValueError where matches are not the texts that name a concept.
    """
    stored = folder / "selection.npz"
    if not stored.exists():
        _store(_selected(pool, folder), stored)
    with np.load(stored) as arrays:
        rows = {name.removeprefix("rows-"): arrays[name] for name in arrays.files if name.startswith("rows-")}
        thresholds = {name.removeprefix("t-"): float(arrays[name]) for name in arrays.files if name.startswith("t-")}
    return Selection({"raw": np.arange(pool.size), **rows, **random_rows(rows, pool)}, thresholds)


def random_rows(rows: dict[str, Ints], pool: Pool) -> dict[str, Ints]:
    """For each balanced arm as many matched rows as it holds, whichever."""
    drawn = {}
    for name, kept in rows.items():
        if name.startswith("balanced-"):
            share = name.removeprefix("balanced-")
            draws = np.random.default_rng([pool.seed, pool.size, 1, round(10 * float(share))])
            drawn[f"random-{share}"] = np.sort(draws.choice(rows["matched"], len(kept), replace=False))
    return drawn


def _selected(pool: Pool, folder: Path) -> Selection:
    shutil.rmtree(folder / "work", ignore_errors=True)
    write_table(pool, folder / "table")
    rows, thresholds = {}, {}
    for share in sorted(SHARES, reverse=True):
        _curation(folder, share)
        name = f"balanced-{percent(share)}"
        rows[name] = _rows(folder, "select media_url from kept_pairs")
        thresholds[name] = _threshold(folder)
    rows["matched"] = _rows(folder, "select media_url from matches join pairs using (pair_id)")
    if not np.array_equal(rows["matched"], np.flatnonzero(pool.said >= 0)):
        raise ValueError(f"{folder}: matched rows are not those whose text names a concept: look at its vocabulary")
    for used in ("work", "table"):
        shutil.rmtree(folder / used)
    return Selection(rows, thresholds)


def _curation(folder: Path, share: float) -> None:
    """One `curation run` over the table; what it prints is kept in selection.log. Raises CalledProcessError."""
    inputs = [
        {
            "kind": "table",
            "paths": [str((folder / "table").resolve())],
            "columns": {"media_url": "url", "texts": {"alt": "alt"}},
        }
    ]
    command = [sys.executable, "-m", "curation", "run", str(RECIPE), "--work", str(folder / "work")]
    command += ["--set", f"balance.tail_share={share}", "--set", f"inputs={json.dumps(inputs)}"]
    with (folder / "selection.log").open("ab") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)


def _rows(folder: Path, query: str) -> Ints:
    from curation.inspect import connect

    urls = connect(folder / "work").sql(query).fetchall()
    return np.sort(np.array([row_of(url) for (url,) in urls], np.int64))


def _threshold(folder: Path) -> float:
    card: Any = json.loads((folder / "work" / "card.json").read_text(encoding="utf-8"))
    return float(card["balance"][0]["t"])  # one modality, one language


def _store(selection: Selection, path: Path) -> None:
    arrays = {f"rows-{name}": rows for name, rows in selection.rows.items()}
    arrays |= {f"t-{name}": np.array(t) for name, t in selection.thresholds.items()}
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)
