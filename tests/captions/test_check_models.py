"""What is wrong with models is told before a run, without loading one or asking a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from curation.captions.toolbox import check_models
from curation.errors import RecipeError, StageError
from curation.recipe.captions import Captions

SERVER = {"backend": "server", "url": "http://127.0.0.1:9/v1", "model": "m"}
PACKAGES = ("torch", "transformers", "PIL")


class Found:
    """Stands for packages that are there."""

    __spec__ = object()


def section(model: dict[str, Any], **more: Any) -> Captions:
    told = [{"source": "model", "name": "one", "model": "m"}]
    return Captions.model_validate({"captioners": told, "models": {"m": model}, **more})


@pytest.fixture(autouse=True)
def _extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAPTIONS_KEY", raising=False)
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, Found())


def test_what_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPTIONS_KEY", "sk-1")
    check_models(Captions())
    check_models(section(SERVER | {"key_variable": "CAPTIONS_KEY"}))
    for model in (str(tmp_path), "someone/some-model"):
        check_models(section({"backend": "transformers", "model": model}))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (SERVER | {"key_variable": "CAPTIONS_KEY"}, "set the environment variable CAPTIONS_KEY"),
        (SERVER | {"url": "http://user:word@host/v1"}, "holds a password"),
        (SERVER | {"url": "http://[::1"}, "is no URL"),
        ({"backend": "transformers", "model": "/no/such/folder"}, "captions.models.m: there is no folder"),
        ({"backend": "transformers", "model": "./gone"}, "there is no folder ./gone"),
    ],
)
def test_what_is_wrong_with_a_model(model: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        check_models(section(model))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_that_are_missing(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    check_models(section(SERVER))
    with pytest.raises(StageError, match=rf"some-model you need {package}: pip install"):
        check_models(section({"backend": "transformers", "model": "someone/some-model"}))


def test_only_models_that_something_uses() -> None:
    bad = {"backend": "transformers", "model": "/no/such/folder", "task": "embed"}
    one = {"source": "model", "name": "one", "model": "m"}
    told = {"models": {"m": SERVER, "e": bad}, "captioners": [one]}
    check_models(Captions.model_validate(told))
    with pytest.raises(RecipeError, match="no folder"):
        check_models(Captions.model_validate(told | {"similarity": {"model": "e"}}))
    speaking = {**one, "strategy": "speech", "embedder": "e"}
    with pytest.raises(RecipeError, match="no folder"):
        check_models(Captions.model_validate(told | {"captioners": [speaking]}))
