"""Runs notebooks top to bottom and keeps their outputs, without what differs from run to run or names this machine.

python notebooks/run.py                     all of them, in place, on ../demo-output/run (`make demo` makes it)
python notebooks/run.py --to FOLDER NAME    one, with its outputs in another folder

CURATION_WORK is the work folder that they look at, CURATION_WORK_B the one that 05 compares it with; both are relative
to notebooks/. A cell that fails, or warns, is an error: the exit code is 1.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
WORK, WORK_B = "../demo-output/run", "../demo-output/run-b"
COLOURS = 256  # of a stored picture: a fifth of the size, and no difference that is seen
CELL_S = 300


class NotebookError(Exception):
    """What a cell said that it should not have."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Run notebooks top to bottom and keep their outputs.")
    parser.add_argument("names", nargs="*", help="such as 01_distributions; all without one")
    parser.add_argument("--to", type=Path, default=HERE, help="folder of the notebooks with outputs; default: in place")
    options = parser.parse_args(arguments)
    try:
        for path in notebooks(options.names):
            seconds = run(path, options.to / path.name)
            sys.stdout.write(f"{path.stem:24} {seconds:5.1f} s\n")
    except NotebookError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def notebooks(names: list[str]) -> list[Path]:
    """Paths of some notebooks, or all. Raises NotebookError for an unknown one."""
    known = {path.stem: path for path in sorted(HERE.glob("[0-9][0-9]_*.ipynb"))}
    chosen = [name.removesuffix(".ipynb") for name in names] or list(known)
    for name in chosen:
        if name not in known:
            raise NotebookError(f"no notebook is called {name}: choose of {', '.join(known)}")
    return [known[name] for name in chosen]


def run(path: Path, to: Path) -> float:
    """Executes a notebook in the folder of all notebooks and writes it with its outputs; the seconds that took.

    Raises NotebookError where a cell fails, warns, or shows a path of this machine; nothing is written then.
    """
    notebook = nbformat.read(path, as_version=4)
    begun = time.perf_counter()
    _execute(notebook, path.name)
    seconds = time.perf_counter() - begun
    _tidy(notebook, path.name)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
    return seconds


def _execute(notebook: Any, name: str) -> None:
    """Raises NotebookError where a cell fails. The kernel listens on sockets of a folder, not on ports."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_S,
            startup_timeout=CELL_S,
            resources={"metadata": {"path": str(HERE)}},
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}}),
        )
        try:
            client.execute(env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
        except CellExecutionError as error:
            raise NotebookError(f"{name}: {error.ename}: {error.evalue}\n{error.traceback}") from None


def _tidy(notebook: Any, name: str) -> None:
    """Takes out clocks and versions, and makes pictures smaller."""
    notebook.metadata = nbformat.from_dict({"kernelspec": {"name": "python3", "display_name": "Python 3",
                                                           "language": "python"},
                                            "language_info": {"name": "python"}})  # fmt: skip
    for number, cell in enumerate(notebook.cells, start=1):
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise NotebookError(f"{name}, cell {number} warns: {output.text.strip()}")
            output.get("metadata", {}).clear()
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _smaller(output.data["image/png"])
            for text in _texts(output):
                if (told := _own_path(text)) is not None:
                    raise NotebookError(f"{name}, cell {number} shows a path of this machine: {told}")


def _smaller(picture: str) -> str:
    """A PNG as base64, in fewer colours and without its maker's name."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB").quantize(COLOURS)
    stored = io.BytesIO()
    image.save(stored, "PNG", optimize=True)
    return base64.b64encode(stored.getvalue()).decode()


def _texts(output: Any) -> Iterator[str]:
    yield output.get("text", "")
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield value


def _own_path(text: str) -> str | None:
    """The first path of this machine that a text holds."""
    work = Path(os.environ.get("CURATION_WORK", WORK))
    paths = (HERE.parent, Path.home(), tempfile.gettempdir(), (HERE / work).resolve())
    return next((str(path) for path in paths if len(str(path)) > 1 and str(path) in text), None)


if __name__ == "__main__":
    sys.exit(main())
