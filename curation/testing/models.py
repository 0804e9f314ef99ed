"""Small models of transformers with random weights, saved as real ones are: what they say is nonsense, but words.

    folder = tiny_llava(tmp_path / "llava")                 # to AutoModelForImageTextToText, `transformers serve` ...
    with serving(folder) as url:                            # http://127.0.0.1:PORT/v1
        ...

The same seed gives the same weights. Answers end after a few words: their settings make the end ever likelier. They
depend on pictures and texts.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

_LIST: Final = (
    "a an the of in on at with and under over near behind small large red blue green yellow white black old young dog "
    "cat bird horse car boat train house tree river street table person child woman man runs sits stands flies drives "
    "swims sleeps looks plays slowly quickly bright dark sunny snowy picture photo scene grass sky water wall window"
)
WORDS: Final = tuple(_LIST.split())
"""What they know, and say."""

PATCH: Final = 8
SIDE: Final = 32
"""Pixels of a patch, and of a picture."""

_MARKS: Final = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
_SMALL: Final = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_VISION: Final = {**_SMALL, "image_size": SIDE, "patch_size": PATCH}
_SPREAD: Final = 0.6  # of weights: at the usual 0.02, nothing that is put in changes what comes out
_ENDS: Final = {"exponential_decay_length_penalty": (6, 2.0), "no_repeat_ngram_size": 2}
_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
_START_S: Final = 120.0  # for a server to come up


def tiny_blip(folder: Path, seed: int = 0) -> Path:
    """BlipForConditionalGeneration."""
    lib = _library(seed)
    text = {**_SMALL, "encoder_hidden_size": 32, "vocab_size": _vocabulary_size(), "max_position_embeddings": 64}
    marks = {"bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0}
    config = lib.BlipConfig(text_config={**text, **marks}, vision_config=_VISION, initializer_range=_SPREAD)
    config.text_config.initializer_range = config.vision_config.initializer_range = _SPREAD
    images = lib.BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    model = lib.BlipForConditionalGeneration(config)
    return _saved(folder, model, lib.BlipProcessor(images, _tokenizer(lib, frame="<s> $A </s>")))


def tiny_blip2(folder: Path, seed: int = 0) -> Path:
    """Blip2ForConditionalGeneration with an OPT."""
    lib = _library(seed)
    text = {"hidden_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "vocab_size": _vocabulary_size(), "max_position_embeddings": 128,
            **_mark_ids()}  # fmt: skip
    former = {**_SMALL, "encoder_hidden_size": 32, "vocab_size": _vocabulary_size(), "max_position_embeddings": 64}
    config = lib.Blip2Config(
        vision_config=_VISION, qformer_config=former, text_config={"model_type": "opt", **text}, num_query_tokens=4,
        image_token_index=4, initializer_range=_SPREAD,
    )  # fmt: skip
    config.text_config.init_std = config.qformer_config.initializer_range = _SPREAD
    images = lib.BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    processor = lib.Blip2Processor(images, _tokenizer(lib, image_token={}), num_query_tokens=4)
    return _saved(folder, lib.Blip2ForConditionalGeneration(config), processor)


def tiny_llava(folder: Path, seed: int = 0) -> Path:
    """LlavaForConditionalGeneration: several pictures a turn, a chat template, 2,048 tokens."""
    lib = _library(seed)
    vision = lib.CLIPVisionConfig(**_VISION, initializer_factor=20 * _SPREAD)
    config = lib.LlavaConfig(
        vision_config=vision, text_config=_llama(lib), image_token_index=4, vision_feature_layer=-1,
        projector_hidden_act="gelu",
    )  # fmt: skip
    processor = lib.LlavaProcessor(
        image_processor=_clip_images(lib), tokenizer=_tokenizer(lib), patch_size=PATCH, chat_template=_TEMPLATE,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
    )  # fmt: skip
    return _saved(folder, lib.LlavaForConditionalGeneration(config), processor)


def tiny_llama(folder: Path, seed: int = 0, *, chat: bool = True) -> Path:
    """LlamaForCausalLM: words alone. chat: whether it has a chat template."""
    lib = _library(seed)
    tokenizer = _tokenizer(lib)
    tokenizer.chat_template = _TEMPLATE if chat else None
    return _saved(folder, lib.LlamaForCausalLM(_llama(lib)), tokenizer)


def tiny_clip(folder: Path, seed: int = 0) -> Path:
    """CLIPModel of 16 numbers, which reads 16 tokens."""
    lib = _library(seed)
    text = {**_SMALL, "vocab_size": _vocabulary_size(), "max_position_embeddings": 16, **_mark_ids()}
    config = lib.CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=16)
    config.text_config.initializer_factor = config.vision_config.initializer_factor = 10 * _SPREAD
    tokenizer = _tokenizer(lib, frame="<s> $A </s>")
    return _saved(folder, lib.CLIPModel(config), lib.CLIPProcessor(_clip_images(lib), tokenizer))


def tiny_whisper(folder: Path, seed: int = 0) -> Path:
    """WhisperForConditionalGeneration: English and German, times of 20 ms, 30 seconds."""
    lib = _library(seed)
    marks = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>",
             "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]  # fmt: skip
    times = [f"<|{place * 0.02:.2f}|>" for place in range(1501)]
    listed = [*_bytes(), *(f"Ġ{word}" for word in WORDS)]
    vocabulary = {word: place for place, word in enumerate([*listed, *marks, *times])}
    tokenizer = lib.WhisperTokenizer(vocab=vocabulary, merges=[])
    tokenizer.add_tokens([lib.AddedToken(mark, special=True) for mark in marks])
    tokenizer.add_tokens([lib.AddedToken(time, special=False) for time in times])
    end, start = vocabulary["<|endoftext|>"], vocabulary["<|startoftranscript|>"]
    config = lib.WhisperConfig(
        vocab_size=len(vocabulary), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=80, max_target_positions=64,
        pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=start, init_std=_SPREAD,
        suppress_tokens=None, begin_suppress_tokens=[end],
    )  # fmt: skip
    model = lib.WhisperForConditionalGeneration(config)
    model.generation_config.update(
        allow_custom_entries=True, is_multilingual=True, no_timestamps_token_id=vocabulary["<|notimestamps|>"],
        max_initial_timestamp_index=50,
        lang_to_id={mark: vocabulary[mark] for mark in ("<|en|>", "<|de|>")}, return_timestamps=False,
        task_to_id={task: vocabulary[f"<|{task}|>"] for task in ("translate", "transcribe")},
        prev_sot_token_id=vocabulary["<|startofprev|>"], suppress_tokens=list(range(len(_bytes()))),
    )  # fmt: skip
    return _saved(folder, model, lib.WhisperProcessor(lib.WhisperFeatureExtractor(), tokenizer))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """`transformers serve` of this model, on loopback; the base of its addresses. The model's name is the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(Path(sys.executable).with_name("transformers"))
    command = [program, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not come up:\n{log.read_text()[-2000:]}")


def _library(seed: int) -> Any:
    import_module("torch").manual_seed(seed)
    return import_module("transformers")


def _characters() -> list[str]:
    return [chr(place) for place in range(33, 127)]


def _vocabulary_size() -> int:
    return len(_vocabulary())


def _vocabulary() -> dict[str, int]:
    pieces = [*_characters(), *(f"##{character}" for character in _characters())]
    return {word: place for place, word in enumerate(dict.fromkeys([*_MARKS, *WORDS, *pieces]))}


def _mark_ids() -> dict[str, int]:
    return {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}


def _tokenizer(lib: Any, frame: str | None = None, image_token: dict[str, str] | None = None) -> Any:
    """Words, and characters of all others."""
    marks = {"image_token": "<image>"} if image_token is None else image_token
    made: Any = import_module("tokenizers")
    inner = made.Tokenizer(made.models.WordPiece(_vocabulary(), unk_token="<unk>"))
    inner.pre_tokenizer = made.pre_tokenizers.BertPreTokenizer()
    inner.decoder = made.decoders.WordPiece()
    if frame is not None:
        inner.post_processor = made.processors.TemplateProcessing(frame, special_tokens=[("<s>", 2), ("</s>", 3)])
    return lib.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        extra_special_tokens=marks, model_max_length=2048,
    )  # fmt: skip


def _llama(lib: Any) -> Any:
    return lib.LlamaConfig(
        **_SMALL, num_key_value_heads=2, vocab_size=_vocabulary_size(), max_position_embeddings=2048, **_mark_ids(),
        initializer_range=_SPREAD,
    )  # fmt: skip


def _clip_images(lib: Any) -> Any:
    return lib.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


def _bytes() -> list[str]:
    return sorted(import_module("tokenizers").pre_tokenizers.ByteLevel.alphabet())


def _saved(folder: Path, model: Any, processor: Any) -> Path:
    if model.can_generate():
        model.generation_config.update(**_ENDS)
        model.generation_config._from_model_config = False  # else what is more than usual is not read again
        if not isinstance(processor, import_module("transformers").WhisperProcessor):
            said = list(range(len(_MARKS) + len(WORDS), _vocabulary_size()))  # never single characters
            model.generation_config.update(suppress_tokens=[0, 1, 2, 4, *said])
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
