"""The notebooks, top to bottom on a small demo; and as they are committed: with pictures, without logic or clocks."""

from __future__ import annotations

import ast
import base64
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

from curation.pipeline import stages_of
from curation.recipe import load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.storage import Store
from curation.testing import build_web
from curation.testing.mirror import Mirror

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
if not FOLDER.is_dir():
    pytest.skip("the notebooks are in a checkout alone", allow_module_level=True)

NAMES = ("01_distributions", "02_choosing_t", "03_media_and_link_rot", "04_clips_and_captions",
         "05_manifest_audit_and_diff")  # fmt: skip
LARGEST = 2_000_000
"""Bytes of all of them as committed."""
_PAGES = 80
_LOGIC = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.Try, ast.comprehension, ast.Lambda, ast.With)


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    if spec is None or spec.loader is None:
        raise ImportError("notebooks/run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runner = _module()


@pytest.fixture(scope="session")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """CURATION_WORK and CURATION_WORK_B: those given, or two runs over a small web, at two tail shares."""
    with pytest.MonkeyPatch.context() as patch:
        if "CURATION_WORK" not in os.environ:
            folder = tmp_path_factory.mktemp("demo")
            build_web(folder / "web", pages=_PAGES)
            with Mirror() as mirror:
                _run(folder, "run", 0.1, mirror)
                shutil.copytree(folder / "run", folder / "run-b")
                _run(folder, "run-b", 0.3, mirror)
            patch.setenv("CURATION_WORK", str(folder / "run"))
            patch.setenv("CURATION_WORK_B", str(folder / "run-b"))
        yield


def _run(folder: Path, work: str, tail_share: float, mirror: Mirror) -> None:
    web = folder / "web"
    inputs = f"inputs=[{{kind: warc, paths: ['{web / 'warc'}']}}, {{kind: wat, paths: ['{web}']}}]"
    recipe = load_recipe(ROOT / "recipes" / "demo.yaml", [
        inputs, f"balance.tail_share={tail_share}", f"fetch.network.mirror={mirror.address}"])  # fmt: skip
    stages = stages_of(recipe)
    run = Run(Store.at(folder / work), recipe, stages, LocalEngine, Silent())
    for stage in stages:
        run.execute(stage)


def cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any, kind: str) -> list[str]:
    return [output.data[kind] for cell in cells(notebook) for output in cell.outputs if kind in output.get("data", {})]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("demos")
def test_a_notebook_runs_top_to_bottom(name: str, tmp_path: Path) -> None:
    runner.run(FOLDER / f"{name}.ipynb", tmp_path / f"{name}.ipynb")
    made = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    committed = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert len(outputs(made, "image/png")) == len(outputs(committed, "image/png")) > 0
    assert len(outputs(made, "text/html")) == len(outputs(committed, "text/html"))
    assert [cell.source for cell in made.cells] == [cell.source for cell in committed.cells]


@pytest.mark.slow
@pytest.mark.usefixtures("demos")
def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    for turn in ("one", "two"):
        assert runner.main(["--to", str(tmp_path / turn), "02_choosing_t"]) == 0
    assert (tmp_path / "one" / "02_choosing_t.ipynb").read_bytes() == (
        tmp_path / "two" / "02_choosing_t.ipynb").read_bytes()  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_committed_notebooks_have_their_pictures(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in cells(notebook)] == list(range(1, len(cells(notebook)) + 1))
    assert all(cell.outputs for cell in cells(notebook)[1:])  # but for the first, which imports
    assert outputs(notebook, "image/png")
    assert {output.output_type for cell in cells(notebook) for output in cell.outputs} == {"execute_result"}
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert not re.search(r"/(tmp|root|home|Users|work)/|\d{4}-\d\d-\d\dT\d\d:", text)


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_have_no_logic_of_their_own(name: str) -> None:
    for cell in cells(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)):
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, _LOGIC)]


def test_all_notebooks_are_small() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.ipynb")) < LARGEST


def _written(path: Path, *sources: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    path.write_text(json.dumps(notebook))
    return path


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import warnings; warnings.warn('old')", r"cell 2 warns: .*UserWarning: old"),
        ("import os; os.getcwd()", "cell 2 shows a path of this machine"),
        ("print(open('nothing.txt'))", "FileNotFoundError"),
    ],
)
@pytest.mark.slow
def test_a_notebook_that_fails_warns_or_names_the_machine_is_refused(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(runner.NotebookError, match=f"(?s)x.ipynb.*{words}"):
        runner.run(_written(tmp_path / "x.ipynb", "1 + 1", source), tmp_path / "to" / "x.ipynb")
    assert not (tmp_path / "to").exists()


def test_pictures_are_stored_small_and_without_their_maker(tmp_path: Path) -> None:
    source = "%matplotlib inline\nfrom matplotlib.figure import Figure\nfigure = Figure()\nfigure.subplots()\nfigure"
    runner.run(_written(tmp_path / "x.ipynb", source), tmp_path / "y.ipynb")
    notebook = nbformat.read(tmp_path / "y.ipynb", as_version=4)
    (picture,) = outputs(notebook, "image/png")
    assert len(picture) < 10_000
    assert b"Software" not in base64.b64decode(picture)
    assert notebook.metadata == {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }


def test_an_unknown_notebook_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["99_nothing"]) == 1
    assert "no notebook is called 99_nothing: choose of 01_distributions, 02" in capsys.readouterr().err
