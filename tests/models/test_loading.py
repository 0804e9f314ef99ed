"""Models that a recipe names are loaded once; what goes wrong is one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from curation.captions.loading import load_chat, load_embedder, load_transcriber
from curation.errors import RecipeError, StageError
from curation.recipe.captions import LocalModel

torch = pytest.importorskip("torch", reason="extra models")
transformers = pytest.importorskip("transformers", reason="extra models")

Tiny = Callable[[str], Path]
LOADERS: dict[str, Callable[[str, LocalModel], Any]] = {
    "caption": load_chat,
    "speech": load_transcriber,
    "embed": load_embedder,
}


def model(folder: object, task: str = "caption", **settings: Any) -> LocalModel:
    return LocalModel.model_validate({"backend": "transformers", "model": str(folder), "task": task, **settings})


def refused(settings: LocalModel) -> str:
    with pytest.raises(StageError) as caught:
        LOADERS[settings.task]("name", settings)
    words = str(caught.value)
    assert "\n" not in words
    return words


@pytest.mark.parametrize(("task", "kind"), [("caption", "blip"), ("speech", "whisper"), ("embed", "clip")])
def test_a_model_is_loaded_once_for_all_threads(tiny: Tiny, task: str, kind: str) -> None:
    settings = model(tiny(kind), task, batch=3)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: LOADERS[task](name, settings), "abcd"))
    assert len({id(each) for each in found}) == 1
    assert LOADERS[task]("a", model(tiny(kind), task, batch=4)) is not found[0]


def test_a_model_serves_its_task_alone(tiny: Tiny) -> None:
    with pytest.raises(RecipeError, match=r"captions.models.eyes: its task is embed, where caption is needed"):
        load_chat("eyes", model(tiny("clip"), "embed"))


@pytest.mark.parametrize("task", LOADERS)
@pytest.mark.parametrize("missing", ["torch", "transformers", "PIL"])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, task: str, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    words = refused(model("someone/some-model", task))
    assert f"someone/some-model you need {missing}: pip install 'curation[models]'" in words


@pytest.mark.parametrize("task", LOADERS)
def test_what_is_no_model(tmp_path: Path, task: str) -> None:
    (tmp_path / "empty").mkdir()
    for name, text in (("odd", "{}"), ("bad", "no JSON"), ("foreign", '{"model_type": "nothing-known"}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    for name in ("gone", "empty", "odd", "bad", "foreign"):
        assert f"{tmp_path / name} cannot be loaded: " in refused(model(tmp_path / name, task))
    assert "someone/some-model cannot be loaded: " in refused(model("someone/some-model", task))


@pytest.mark.parametrize(
    ("task", "kind", "wanted"),
    [("caption", "clip", "a model that makes text"), ("caption", "whisper", "a model that makes text"),
     ("speech", "clip", "Whisper family"), ("speech", "llava", "Whisper family"),
     ("embed", "llama", "cannot be loaded"), ("embed", "whisper", "")],
)  # fmt: skip
def test_a_model_of_another_kind(tiny: Tiny, task: str, kind: str, wanted: str) -> None:
    words = refused(model(tiny(kind), task))
    assert wanted in words
    assert str(tiny(kind)) in words


def test_an_image_encoder_knows_no_texts(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.ViTModel(transformers.ViTConfig(**small, image_size=32, patch_size=8)).save_pretrained(tmp_path)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    assert "is none: give a model of pictures and texts" in refused(model(tmp_path, "embed"))


@pytest.mark.parametrize(("task", "kind"), [("caption", "llava"), ("speech", "whisper"), ("embed", "clip")])
def test_a_model_that_lacks_weights(tiny: Tiny, tmp_path: Path, task: str, kind: str) -> None:
    from safetensors.torch import load_file, save_file

    for file in tiny(kind).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    dropped = next(name for name in weights if "layers.1" in name)
    save_file({name: weight for name, weight in weights.items() if name != dropped}, tmp_path / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    assert "lacks weights" in refused(model(tmp_path, task))


def test_a_model_without_its_processor(tiny: Tiny, tmp_path: Path) -> None:
    for file in tiny("llava").iterdir():
        if file.name != "processor_config.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert str(tmp_path) in refused(model(tmp_path))


def test_whisper_that_knows_no_times(tiny: Tiny, tmp_path: Path) -> None:
    for file in tiny("whisper").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    del settings["no_timestamps_token_id"]
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    assert "no_timestamps_token_id" in refused(model(tmp_path, "speech"))


def test_a_device_that_is_not_there(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = refused(model(tiny("blip"), device="cuda"))
    assert "no device cuda here, only" in words
    assert words.endswith("set device to auto")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(("task", "kind"), [("caption", "blip"), ("caption", "llava"), ("embed", "clip")])
def test_precisions(tiny: Tiny, task: str, kind: str, dtype: str) -> None:
    loaded = LOADERS[task]("name", model(tiny(kind), task, device="cpu", dtype=dtype))
    inner = loaded._images.model if task == "embed" else loaded._model
    assert inner.dtype == getattr(torch, dtype)
