"""The folder that an export is written to: it takes its name whole, at the end, or never.

    with new_folder("out/msvd", "msvd") as folder:
        with csv_rows(folder / "train.csv", ["filepath", "title"]) as row:
            row(["media/1.jpg", "a cat"])

All texts are UTF-8 with \\n at the end of lines, on every machine. JSON has one value per line, keys in the order in
which they are given, and the three line separators that some readers split at (U+0085, U+2028, U+2029) as escapes.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO
from uuid import uuid4

from curation.errors import InputError
from curation.storage import explain_os_error

NAMEPLATE: Final = "export.json"
"""In every exported folder: what it is, what it was made of, and what was left out."""
_MADE_BY: Final = "curation export"
_SEPARATORS: Final = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


# ------------------------------------------------------------------------------------------------------ the folder


@contextmanager
def new_folder(location: str, shape: str) -> Iterator[Path]:
    """A scratch folder that becomes `location` at the end of the block; an earlier export of this shape goes then.

    Raises InputError for a URL, and for what is there already and was not written by an export of this shape.
    """
    target = _checked(location, shape)
    with _os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        scratch = target.with_name(f".{target.name}.export-{uuid4().hex[:8]}")
        scratch.mkdir()
        claim = os.open(scratch, os.O_RDONLY)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX)  # others take a scratch folder that nobody holds for a leftover
            yield scratch
            os.sync()
            _put(scratch, _checked(location, shape))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(claim)


def write_nameplate(folder: Path, shape: str, facts: Mapping[str, Any]) -> None:
    """export.json: the facts, and every file and folder at the top of it, so that nothing else is ever removed."""
    contains = sorted({*(path.name for path in folder.iterdir()), NAMEPLATE})
    told = {"made_by": _MADE_BY, "shape": shape, **facts, "contains": contains}
    (folder / NAMEPLATE).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _checked(location: str, shape: str) -> Path:
    if "://" in location or not location:
        raise InputError(f"--to {location!r} is no local folder: export to one, and copy it to where it is read")
    target = Path(location).expanduser().resolve()
    if file := next((above for above in target.parents if above.is_file()), None):
        raise InputError(f"--to {target} lies below {file}, which is a file: name another folder")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return target
    if not target.is_dir():
        raise InputError(f"--to {target} is a file: name a folder that is not there yet")
    plate = _nameplate(target)
    if plate is None:
        raise InputError(f"--to {target} holds files that no export wrote: name a folder that is not there yet")
    if plate["shape"] != shape:
        raise InputError(f"--to {target} holds an export of shape {plate['shape']}: remove it, or name another folder")
    if strange := sorted({path.name for path in target.iterdir()} - set(plate["contains"])):
        raise InputError(
            f"--to {target} holds {strange[0]}, which the export did not write, and would be replaced as a whole: "
            "move that away, or name another folder"
        )
    return target


def _nameplate(folder: Path) -> dict[str, Any] | None:
    try:
        plate = json.loads((folder / NAMEPLATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(plate, dict) and plate.get("made_by") == _MADE_BY and {"shape", "contains"} <= plate.keys()
    return plate if known else None


def _put(scratch: Path, target: Path) -> None:
    """An earlier export stands aside for the moment between two renames, and is removed after them."""
    aside = scratch.with_name(f"{scratch.name}-old")
    if target.exists():
        target.rename(aside)
    try:
        scratch.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(target: Path) -> None:
    """Scratch folders of exports that were killed; an earlier export that stood aside comes back if it is needed."""
    for left in target.parent.glob(f".{target.name}.export-????????*"):
        if left.name.endswith("-old") and not target.exists():
            left.rename(target)
        elif _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    try:
        claim = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(claim)
    return True


@contextmanager
def _os_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(explain_os_error(error, str(target))) from error


# ------------------------------------------------------------------------------------------------------- the files


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """A new UTF-8 file, in folders that are made for it; line breaks as written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def list_lines(path: Path) -> Iterator[Callable[[str], None]]:
    """Lines as they are given."""
    with text_file(path) as file:
        yield lambda line: _none(file.write(line + "\n"))


@contextmanager
def csv_rows(path: Path, header: Sequence[str], delimiter: str = ",") -> Iterator[Callable[[Sequence[Any]], None]]:
    """A table with a header; cells are quoted where they must be (RFC 4180, but for \\n at the end of rows)."""
    with text_file(path) as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        yield writer.writerow


@contextmanager
def json_lines(path: Path) -> Iterator[Callable[[Any], None]]:
    """One JSON value per line."""
    with text_file(path) as file:
        yield lambda value: _none(file.write(dumped(value) + "\n"))


@contextmanager
def json_list(path: Path) -> Iterator[Callable[[Any], None]]:
    """A JSON array, one value per line."""
    with text_file(path) as file, _enclosed(file, "[]") as item:
        yield lambda value: item(dumped(value))


@contextmanager
def json_object(path: Path) -> Iterator[Callable[[str, Any], None]]:
    """A JSON object, one key per line; no key may come twice."""
    with text_file(path) as file, _enclosed(file, "{}") as item:
        yield lambda key, value: item(f"{dumped(key)}: {dumped(value)}")


@contextmanager
def _enclosed(file: TextIO, brackets: str) -> Iterator[Callable[[str], None]]:
    started = False

    def item(text: str) -> None:
        nonlocal started
        file.write((",\n" if started else "\n") + text)
        started = True

    file.write(brackets[0])
    yield item
    file.write(("\n" if started else "") + brackets[1] + "\n")


def dumped(value: Any) -> str:
    """JSON on one line for every reader's idea of a line. Raises ValueError for NaN and infinity."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).translate(_SEPARATORS)


def _none(_: object) -> None:
    return
