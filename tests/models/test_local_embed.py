"""Pictures and texts as vectors of one space, by a tiny CLIP in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.captions.local_embed import LocalEmbedder
from curation.media.video.descriptors import loaded_features
from curation.recipe.captions import LocalModel
from curation.testing.models import WORDS

torch = pytest.importorskip("torch", reason="extra models")
transformers = pytest.importorskip("transformers", reason="extra models")

FRAMES = np.random.default_rng(0).integers(0, 255, (7, 32, 32, 3), dtype=np.uint8)
TEXTS = ["a dog", "a cat sleeps on the grass", "", "?!", "a </s> dog", "a\0b", "\ud800", "日本語", *WORDS[:20]]


def loaded(folder: Path, batch: int = 4) -> LocalEmbedder:
    return LocalEmbedder(LocalModel(backend="transformers", model=str(folder), task="embed", batch=batch))


@pytest.fixture(scope="module")
def clip(tiny: Callable[[str], Path]) -> Path:
    return tiny("clip")


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(clip: Path) -> None:
    embedder = loaded(clip)
    assert embedder.size == (32, 32)
    for embed, items in ((embedder.embed_frames, FRAMES), (embedder.embed_texts, TEXTS)):
        vectors = embed(items)  # type: ignore[operator]
        assert (vectors.shape, vectors.dtype) == ((len(items), 16), np.float32)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        for place in range(len(items)):
            assert np.allclose(embed(items[place : place + 1])[0], vectors[place], atol=1e-5)  # type: ignore[operator]
        assert len(np.unique(vectors.round(4), axis=0)) > len(items) // 2


def test_pictures_have_the_vectors_of_the_encoder_of_frames(clip: Path) -> None:
    assert np.allclose(loaded(clip).embed_frames(FRAMES), loaded_features(f"transformers:{clip}")(FRAMES), atol=1e-6)


def test_products_are_the_models_own_similarities(clip: Path) -> None:
    """Of CLIP's forward pass over both, its scale taken off."""
    model = transformers.CLIPModel.from_pretrained(clip).eval()
    processor: Any = transformers.AutoProcessor.from_pretrained(clip, backend="pil")
    texts = ["a dog", "a cat sleeps on the grass"]
    inputs = processor(text=texts, images=list(FRAMES), return_tensors="pt", padding=True)
    with torch.inference_mode():
        expected = (model(**inputs).logits_per_image / model.logit_scale.exp()).numpy()
    embedder = loaded(clip)
    assert np.allclose(embedder.embed_frames(FRAMES) @ embedder.embed_texts(texts).T, expected, atol=1e-4)


def test_of_long_texts_the_begin_counts_by_tokens(clip: Path) -> None:
    """16 of them, two of which frame the text."""
    embedder = loaded(clip)
    words = list(WORDS[:14])
    texts = [" ".join(words), " ".join([*words, "dog"]), " ".join(words * 10_000), " ".join([*words[:13], "wall"])]
    full, longer, endless, other = embedder.embed_texts(texts)
    assert np.allclose(full, longer, atol=1e-5)
    assert np.allclose(full, endless, atol=1e-5)
    assert not np.allclose(full, other, atol=1e-3)


def test_marks_of_the_model_in_texts_are_text(clip: Path) -> None:
    """CLIP takes the vector of the end mark: what follows it would not be read."""
    first, second = loaded(clip).embed_texts(["a </s> dog", "a </s> wall under the sky"])
    assert not np.allclose(first, second, atol=1e-2)


def test_nothing_gives_no_vectors(clip: Path) -> None:
    embedder = loaded(clip)
    assert embedder.embed_texts([]).shape == (0, 16)
    assert embedder.embed_frames(FRAMES[:0]).shape == (0, 16)


def test_threads_share_it(clip: Path) -> None:
    embedder = loaded(clip)
    expected = embedder.embed_texts(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: embedder.embed_texts(TEXTS), range(24)):
            assert np.allclose(found, expected, atol=1e-5)


def test_siglip_is_read_as_it_was_trained(clip: Path, tmp_path: Path) -> None:
    """With its full length of padding, and without a mask."""
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": 300, "max_position_embeddings": 16, "projection_size": 32}
    config = transformers.SiglipConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 8})
    torch.manual_seed(0)
    transformers.SiglipModel(config).save_pretrained(tmp_path)
    transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(clip)
    tokenizer.save_pretrained(tmp_path)
    (vector,) = loaded(tmp_path).embed_texts(["a dog"])
    tokens = tokenizer(["a dog"], padding="max_length", max_length=16, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = transformers.SiglipModel.from_pretrained(tmp_path).eval().get_text_features(input_ids=tokens)
    expected = getattr(expected, "pooler_output", expected)[0].numpy()
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)
