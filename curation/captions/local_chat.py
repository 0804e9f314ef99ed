"""Pictures and texts to text by models of transformers, in this process.

    settings = LocalModel(backend="transformers", model="llava-hf/llava-1.5-7b-hf")
    Chat(LocalChat(settings), settings).ask(Request(("Describe the picture.", Picture(data)), max_tokens=256)).text

Answers do not depend on what else is in a batch, but for rounding (which float16 and bfloat16 show): where they are
drawn, each is drawn by a generator of its own, seeded with the request's key.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from curation.captions.answers import Reply
from curation.captions.batching import Batcher, is_out_of_memory
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.keys import seed_of
from curation.captions.local_prompts import WANTED, Continuation, Conversation, Prompt
from curation.captions.models import Request
from curation.errors import StageError
from curation.pretrained import Checkpoint
from curation.recipe.captions import LocalModel

_OF_BLIP: Final = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "transformers_version")
"""Settings that BLIP gives to its text decoder itself."""


class LocalChat:
    """A model of the BLIP or LLaVA family, or any that AutoModelForImageTextToText or AutoModelForCausalLM loads."""

    def __init__(self, settings: LocalModel) -> None:
        """Raises StageError."""
        self._checkpoint = checkpoint = Checkpoint(settings.model, "captioner", settings.device, settings.dtype)
        torch, config = checkpoint.torch, checkpoint.part("AutoConfig")
        self._model, self._processor = _loaded(checkpoint, config)
        self._tokenizer = getattr(self._processor, "tokenizer", self._processor)
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._is_blip = config.model_type == "blip"
        self._speaker = (
            Conversation(checkpoint, self._processor)
            if getattr(self._processor, "chat_template", None) or getattr(self._tokenizer, "chat_template", None)
            else Continuation(checkpoint, self._processor, is_blip=self._is_blip)
        )
        self._ends = torch.tensor(sorted(self._end_tokens(config)), device=checkpoint.device)
        self._context: int | None = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
        self._batched = Batcher(self._answers, settings.batch)
        self.slots = 2 * settings.batch  # a batch waits while one is under way

    def reply(self, request: Request, key: str) -> Reply:
        """Blocks until the batch is through in which it is answered. Raises CaptionFaultError, StageError."""
        prompt = self._speaker.prompt(request)
        try:
            return self._batched(prompt.kind, (prompt, key))
        except (CaptionFaultError, StageError):
            raise
        except Exception as error:  # noqa: BLE001 - foreign code, of any model
            words = f"{type(error).__name__}: {error}"
            if "CUDA error" in words:  # after which nothing runs on it in this process
                raise StageError(f"the captioner {self._checkpoint.name} broke its device: {words[:300]}") from None
            raise CaptionFaultError(Fault.OUT_OF_MEMORY if is_out_of_memory(error) else Fault.MODEL, words) from None

    def _end_tokens(self, config: Any) -> set[int]:
        if self._is_blip:
            return {config.text_config.sep_token_id}
        told = self._model.generation_config.eos_token_id
        if told is None:
            told = self._tokenizer.eos_token_id
        return set(told if isinstance(told, list) else [] if told is None else [told])

    def _answers(self, asked: list[tuple[Prompt, str]]) -> list[Reply]:
        """Of prompts of one kind, with the keys of their requests."""
        prompts = [prompt for prompt, _ in asked]
        torch, request = self._checkpoint.torch, prompts[0].request
        told = self._speaker.inputs(prompts)
        counts = told["attention_mask"].sum(dim=1).tolist()
        request = replace(request, max_tokens=self._room(max(counts), request.max_tokens))
        try:
            with torch.inference_mode():
                drawn = self._drawn(request, [key for _, key in asked])
                sequences = self._model.generate(**self._placed(told), **self._generation(request), **drawn)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise
        begin = self._begin(told["input_ids"].shape[1])
        return [self._answer(row, begin, count) for row, count in zip(sequences, counts, strict=True)]

    def _answer(self, tokens: Any, begin: int, prompt_tokens: int) -> Reply:
        """tokens: of the prompt, from `begin` on of the answer, which ends with an end token unless it was cut off.

        The end token counts, as it does at servers.
        """
        ends = self._checkpoint.torch.isin(tokens[begin:], self._ends).nonzero()
        is_whole = len(ends) > 0
        length = int(ends[0]) if is_whole else len(tokens) - begin
        said = tokens[(1 if self._is_blip else begin) : begin + length]
        text = self._tokenizer.decode(said, skip_special_tokens=True)
        return Reply(text.strip(), "stop" if is_whole else "length", prompt_tokens, length + is_whole)

    def _begin(self, width: int) -> int:
        """Where answers begin in what is generated of prompts this wide."""
        if self._is_blip:  # it leaves out the prompt's end mark
            return width - 1
        language = getattr(self._model, "language_model", self._model)
        return 1 if language.config.is_encoder_decoder else width

    def _room(self, tokens: int, max_tokens: int) -> int:
        """Tokens of an answer that the model has room for; BLIP holds 512 in all. One that is cut off there is told."""
        if self._context is None:
            return max_tokens
        if tokens >= self._context:
            raise CaptionFaultError(Fault.MODEL, f"{tokens} tokens are more than the {self._context} the model holds")
        return min(max_tokens, self._context - tokens)

    def _placed(self, told: Mapping[str, Any]) -> dict[str, Any]:
        device, dtype = self._checkpoint.device, self._model.dtype
        return {
            name: tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in told.items()
        }

    def _drawn(self, request: Request, keys: list[str]) -> dict[str, Any]:
        """What makes answers be drawn, among what the model's own settings leave; {}: the likeliest are taken."""
        if not request.temperature:
            return {}
        library, told = self._checkpoint.transformers, self._model.generation_config
        warpers = [library.TemperatureLogitsWarper(request.temperature)]
        if told.top_k:
            warpers.append(library.TopKLogitsWarper(told.top_k))
        if told.top_p is not None and told.top_p < 1:
            warpers.append(library.TopPLogitsWarper(told.top_p))
        draws = _Draws(self._checkpoint.torch, warpers, keys, self._checkpoint.device)
        return {"logits_processor": library.LogitsProcessorList([draws])}

    def _generation(self, request: Request) -> dict[str, Any]:
        """The model's own settings, but for those that a request decides."""
        settings = deepcopy(self._model.generation_config)
        settings.max_new_tokens, settings.max_length = request.max_tokens, None
        settings.do_sample = False  # _drawn draws
        settings.temperature = settings.top_p = settings.top_k = None
        settings.pad_token_id = self._tokenizer.pad_token_id
        if not self._is_blip:
            return {"generation_config": settings}
        told: dict[str, Any] = settings.to_diff_dict()
        return {name: value for name, value in told.items() if name not in _OF_BLIP}


class _Draws:
    """Draws the next token of each row by a generator of its own; a processor of logits, after which only that token
    is left.
    """

    def __init__(self, torch: Any, warpers: list[Any], keys: list[str], device: str) -> None:
        self._torch, self._warpers = torch, warpers
        self._generators = [torch.Generator(device).manual_seed(seed_of(key)) for key in keys]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """scores: (rows, tokens)."""
        scores = scores.float()
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        noise = self._torch.empty_like(scores)
        for row, generator in zip(noise, self._generators, strict=True):
            row.exponential_(generator=generator)
        # the token with the highest p / E, E exponential, is one drawn by p: the Gumbel-max trick
        drawn = (scores - noise.log()).argmax(dim=-1, keepdim=True)
        return self._torch.full_like(scores, -self._torch.inf).scatter(1, drawn, 0.0)


def _loaded(checkpoint: Checkpoint, config: Any) -> tuple[Any, Any]:
    """(model, processor or tokenizer). Raises StageError."""
    mappings = checkpoint.transformers.models.auto.modeling_auto
    if type(config) in mappings.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        processor = checkpoint.part("AutoProcessor", backend="pil")
        if not hasattr(processor, "image_processor"):
            raise checkpoint.refuse("one with its image processor")
        return checkpoint.model("AutoModelForImageTextToText"), processor
    hears = type(config) in mappings.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING
    if type(config) in mappings.MODEL_FOR_CAUSAL_LM_MAPPING and not hears:
        return checkpoint.model("AutoModelForCausalLM"), checkpoint.part("AutoTokenizer")
    raise checkpoint.refuse(WANTED)
