"""Image encoders of transformers as features, on tiny models with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.errors import StageError
from curation.media.video.descriptors import frame_features, loaded_features
from curation.media.video.splitting import split
from curation.recipe.splitting import Split
from curation.testing.videos import Shot, Style, write_video

torch = pytest.importorskip("torch", reason="extra models")
transformers = pytest.importorskip("transformers", reason="extra models")
pytest.importorskip("PIL", reason="extra models")

TINY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
        "patch_size": 8}  # fmt: skip


def saved(folder: Path, model: Any, processor: Any) -> str:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return f"transformers:{folder}"


def clip_processor() -> Any:
    return transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def vit_processor() -> Any:
    return transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("encoders")
    text = {key: value for key, value in TINY.items() if key not in ("image_size", "patch_size")} | {"vocab_size": 50}
    clip = transformers.CLIPConfig(text_config=text, vision_config=TINY, projection_dim=12)
    vit = transformers.ViTConfig(**TINY)
    return {
        "clip": saved(root / "clip", transformers.CLIPModel(clip), clip_processor()),
        "clip_vision": saved(root / "vision", transformers.CLIPVisionModel(clip.vision_config), clip_processor()),
        "vit": saved(root / "vit", transformers.ViTModel(vit), vit_processor()),
        "unpooled": saved(root / "unpooled", transformers.ViTModel(vit, add_pooling_layer=False), vit_processor()),
        "dinov2": saved(root / "dinov2", transformers.Dinov2Model(transformers.Dinov2Config(**TINY)), vit_processor()),
    }


FRAMES = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "size"), [("clip", 12), ("clip_vision", 16), ("vit", 16), ("unpooled", 16), ("dinov2", 16)]
)
def test_features_are_unit_vectors_of_each_frame_alone(encoders: dict[str, str], name: str, size: int) -> None:
    extractor = loaded_features(encoders[name])
    assert extractor.size == (32, 32)
    vectors = extractor(FRAMES)
    assert (vectors.shape, vectors.dtype) == ((5, size), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(extractor(FRAMES[3:4])[0], vectors[3], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-4)


def test_features_are_the_models_own(encoders: dict[str, str]) -> None:
    """CLIP's, computed by hand: normalised pixels, the projected output, length one."""
    folder = encoders["clip"].removeprefix("transformers:")
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    mean, std = np.array(clip_processor().image_mean), np.array(clip_processor().image_std)
    pixels = torch.tensor(((FRAMES / 255 - mean) / std).transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.inference_mode():
        vectors = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output).numpy()
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(loaded_features(encoders["clip"])(FRAMES), expected, atol=1e-4)


def test_an_untrained_pooler_is_not_used(encoders: dict[str, str]) -> None:
    """A checkpoint without one gets a random one on loading; then the mean of all tokens is taken, every time alike."""
    loaded_features.cache_clear()
    first = loaded_features(encoders["unpooled"])(FRAMES)
    loaded_features.cache_clear()
    assert np.array_equal(loaded_features(encoders["unpooled"])(FRAMES), first)


def test_a_model_that_lacks_weights_is_refused(encoders: dict[str, str], tmp_path: Path) -> None:
    vit = transformers.ViTModel(transformers.ViTConfig(**TINY))
    state = {key: value for key, value in vit.state_dict().items() if "layernorm" not in key}
    vit.save_pretrained(tmp_path, state_dict=state)
    vit_processor().save_pretrained(tmp_path)
    with pytest.raises(StageError, match="lacks weights"):
        loaded_features(f"transformers:{tmp_path}")


@pytest.mark.parametrize("content", [{}, {"config.json": "{}"}, {"config.json": '{"model_type": "vit"}'}])
def test_what_is_no_model_is_refused(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(StageError, match="cannot be loaded"):
        loaded_features(f"transformers:{tmp_path}")


def test_a_video_is_split_with_an_encoder(encoders: dict[str, str], tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [Shot(72, "dog", motion=2), Shot(72, "car", motion=2)], Style())
    shots = type("Shots", (), {"cuts": film.cuts, "times_ms": np.array(film.times_ms), "end_ms": film.end_ms})()
    name = encoders["clip"]
    settings = Split.model_validate({"set": "panda_code", "features": name, "stitch_within": 0.0, "still_distance": 0.0,
                                     "redundant_within": None, "trim": None})  # fmt: skip
    pieces = split(shots, settings, frame_features(film.path, film.times_ms, loaded_features(name)))
    assert [(piece.start_frame, piece.end_frame, piece.dropped) for piece in pieces] == [(0, 72, None), (72, 144, None)]
