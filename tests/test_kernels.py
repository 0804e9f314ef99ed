"""The folder of compiled kernels: a new one with any change of what they are made of, and few of them."""

from __future__ import annotations

import ast
import importlib.util
import os
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

from curation import kernels, machine_cache
from curation.concepts import vocabulary_cache
from curation.machine_cache import make_private, source_digest, user_folders

PACKAGE = Path(kernels.__file__).parent

# Imported, but no byte of a kernel or of a compiled vocabulary comes from them.
NO_PART = {"concepts/options", "concepts/vocabulary", "errors", "machine_cache", "recipe"}


def imported(module: str) -> set[str]:
    """Names, as `source_digest` has them, of the package's modules that this one imports, wherever it does."""
    nodes = ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text()))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.removeprefix("curation.").replace(".", "/") for name in names if name.startswith("curation.")}


def with_all_imported(modules: set[str]) -> set[str]:
    found = set(modules)
    while more := {name for module in found for name in imported(module)} - found - NO_PART:
        found |= more
    return found


def test_every_module_that_kernels_are_made_of_is_in_their_digest() -> None:
    files = {str(path.relative_to(PACKAGE).with_suffix("")): path.read_text() for path in PACKAGE.rglob("*.py")}
    compiled = {name for name, text in files.items() if "\n@kernel\n" in text or "\n@intrinsic\n" in text}
    assert {"balance/_kernels", "concepts/_token_kernels", "concepts/_intrinsics"} <= compiled
    assert set(kernels.SOURCES) == with_all_imported(compiled)


def test_every_module_that_vocabularies_are_made_of_is_in_their_digest() -> None:
    needed = with_all_imported({"concepts/compiled", "concepts/vocabulary_cache"})
    assert needed <= {*kernels.SOURCES, *vocabulary_cache._SOURCES}


@pytest.mark.parametrize("module", [*kernels.SOURCES, *vocabulary_cache._SOURCES])
def test_a_change_of_any_source_changes_the_digest(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = (*kernels.SOURCES, *vocabulary_cache._SOURCES)
    before = source_digest(*modules)
    for name in modules:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_bytes((PACKAGE / f"{name}.py").read_bytes())
    monkeypatch.setattr(machine_cache, "PACKAGE", tmp_path)
    assert source_digest(*modules) == before
    with (tmp_path / f"{module}.py").open("a") as file:
        file.write("#")
    assert source_digest(*modules) != before


CALLEE = "from curation.kernels import kernel\n\n@kernel\ndef callee(x):\n    return x + {}\n"
CALLER = (
    "from curation.kernels import kernel\nfrom callee import callee\n\n@kernel\ndef caller(x):\n    return callee(x)\n"
)


def load(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(importlib.sys.modules, name, module)  # type: ignore[attr-defined]
    spec.loader.exec_module(module)
    return module


def test_a_cached_kernel_follows_its_callee_in_another_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "SOURCES", (str(tmp_path / "callee"), str(tmp_path / "caller")))
    monkeypatch.setattr(importlib.sys, "dont_write_bytecode", True)  # type: ignore[attr-defined]
    (tmp_path / "caller.py").write_text(CALLER)
    for added in (1, 1, 2):
        (tmp_path / "callee.py").write_text(CALLEE.format(added))
        kernels._cache_folder.cache_clear()  # as in a new process
        load(tmp_path, "callee", monkeypatch)
        caller = load(tmp_path, "caller", monkeypatch).caller
        assert caller(10) == 10 + added
    assert len(list((tmp_path / "__pycache__").glob("kernels-*"))) == 2


def test_folders_of_old_sources_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module.py").write_text("")
    monkeypatch.setattr(kernels, "SOURCES", (str(tmp_path / "module"),))
    made = []
    for version in range(kernels._KEPT + 4):
        (tmp_path / "module.py").write_text(f"version = {version}")
        kernels._cache_folder.cache_clear()
        folder = kernels._cache_folder(tmp_path / "module.py")
        assert folder is not None
        (folder / "cached").write_text("")
        os.utime(folder, (version, version))
        made.append(folder)
    assert set((tmp_path / "__pycache__").iterdir()) == set(made[-kernels._KEPT - 1 :])


def test_no_source_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels._cache_folder(tmp_path / "archive.zip" / "curation" / "balance" / "_kernels.py") is None
    (tmp_path / "module.py").write_text("")
    monkeypatch.setattr(machine_cache, "PACKAGE", tmp_path / "archive.zip")
    assert kernels._cache_folder(tmp_path / "module.py") is None
    assert [path.name for path in tmp_path.iterdir()] == ["module.py"]


def no_temporary_directory() -> str:
    raise FileNotFoundError(2, "No usable temporary directory found")


def test_no_temporary_directory_and_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", no_temporary_directory)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_folders("kernels") == [tmp_path / "curation" / "kernels"]
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    (tmp_path / "module.py").write_text("")
    (tmp_path / "__pycache__").write_text("in the way")
    assert kernels._cache_folder(tmp_path / "module.py") is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o775])
def test_a_folder_that_others_may_write_is_no_private_one(tmp_path: Path, mode: int) -> None:
    assert make_private(tmp_path / "new" / "folder")
    (tmp_path / "new" / "folder").chmod(mode)
    assert not make_private(tmp_path / "new" / "folder")
    (tmp_path / "link").symlink_to(tmp_path / "new")
    assert not make_private(tmp_path / "link")
