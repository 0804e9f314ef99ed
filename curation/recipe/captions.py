"""Sections of words for the media: captioners, the models behind them, similarities, and which caption is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.functional_validators import model_validator

from curation.recipe.balancing import Balance
from curation.recipe.fields import Int, Name, PositiveInt, Seconds, Section, VocabularyLanguage, spelled

Label = Annotated[str, spelled(r"[a-z][a-z0-9_]{0,39}", "give a name of small letters, digits and _")]
Url = Annotated[str, spelled(r"https?://[^\s?#]+", "give the server's base, such as http://127.0.0.1:8000/v1")]
NotNegative = Annotated[float, Field(ge=0)]
Cosine = Annotated[float, Field(ge=-1, le=1)]


PLACEHOLDERS = frozenset(
    {"alt", "title", "description", "subtitles", "chapters", "hashtags", "mark", "duration", "start", "end"}
)
"""What prompts may name of every sample, beside the captioners before and what their strategy gives them."""


class ServerModel(Section):
    """A model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, `transformers serve` ..."""

    backend: Literal["server"] = Field(description="server")
    url: Url = Field(description="base of the server's addresses, up to /v1")
    model: Name = Field(description="as the server calls it")
    key_variable: Annotated[str, spelled(r"[A-Za-z_]\w*", "give the name of an environment variable")] | None = Field(
        None, description="environment variable that holds the API key; null: none is sent"
    )
    slots: PositiveInt = Field(64, description="requests under way at a time, over all tasks of the run")
    requests_per_minute: PositiveInt | None = Field(None, description="over all tasks of the run; null: no limit")
    seconds: Seconds = Field(120.0, description="wall-clock limit of one attempt at a request, its whole answer")
    attempts: PositiveInt = Field(5, description="times a request is sent before its sample fails")
    backoff_s: Seconds = Field(1.0, description="wait before the second attempt; doubles, Retry-After goes before it")
    max_answer_bytes: PositiveInt = Field(1 << 20, description="of an answer's body; longer ones are endless")
    price_in: NotNegative = Field(0.0, description="per million tokens of requests, in any currency; for the estimate")
    price_out: NotNegative = Field(0.0, description="per million tokens of answers, in the same currency")


class LocalModel(Section):
    """A model of transformers in the workers' own processes."""

    backend: Literal["transformers"] = Field(description="transformers")
    model: Name = Field(description="name or folder, as from_pretrained takes it; a folder beside the recipe: ./NAME")
    task: Literal["caption", "speech", "embed"] = Field(
        "caption", description="caption: BLIP and LLaVA families; speech: Whisper; embed: CLIP-type, pictures and texts"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: cuda or mps where there is one")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="auto: float32 on cpu, else as the model was saved"
    )
    batch: PositiveInt = Field(16, description="samples at a time")


Model = Annotated[ServerModel | LocalModel, Field(discriminator="backend")]


class TextsCaptioner(Section):
    """Words that need no model."""

    source: Literal["alt", "page", "subtitles", "chapters", "hashtags"] = Field(
        description="alt: the texts of the kept pairs, each under its best text source; page: title and description of "
        "the video's page; subtitles: what is said within the sample; chapters: the titles of the chapters it lies in; "
        "hashtags: weak labels out of title, description and tags"
    )
    name: Label | None = Field(None, description="of the captioner; null: the source's")
    languages: list[VocabularyLanguage] = Field(
        [], description="subtitles: those that are wanted, the first that is there is taken; []: any"
    )

    @property
    def label(self) -> str:
        return self.name or self.source

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """Of captions that it may give; None: any."""
        told = {"page": ("title", "description"), "chapters": ("chapter",), "hashtags": ("hashtag",)}
        return None if self.source == "alt" else told.get(self.source, (self.source,))


class ModelCaptioner(Section):
    """Words from a model by a strategy."""

    source: Literal["model"] = Field(description="model")
    name: Label = Field(description="of the captioner")
    model: Label = Field(description="one of captions.models")
    strategy: Literal["describe", "differential", "speech", "transcribe"] = Field(
        "describe",
        description="describe: one request per prompt, each a kind of caption; differential: key frames, their "
        "differences, a summary (ShareGPT4Video); speech: what is said becomes captions with times, aligned anew "
        "(HowToCaption); transcribe: speech recognition, for subtitles where there are none",
    )
    prompts: dict[Label, Name] = Field(
        {}, description="kind -> text file; {alt}, {subtitles} ... in it are filled in; left out: the strategy's own"
    )
    modalities: list[Literal["image", "video"]] = Field(["image", "video"], min_length=1, description="of samples")
    frames: Annotated[Int, Field(ge=0)] = Field(
        8, description="describe: pictures of a clip, at even distances; 0: words alone; an image is one"
    )
    longest_side: PositiveInt | None = Field(
        1024, description="pixels to which larger pictures are scaled down (ShareGPT4Video: 1,024); null: as they are"
    )
    max_tokens: PositiveInt = Field(512, description="of an answer; one that is cut off there counts as endless")
    temperature: NotNegative = Field(0.0, description="0: the likeliest answer")
    embedder: Label | None = Field(
        None, description="one of captions.models, task embed: chooses key frames (differential), aligns (speech)"
    )
    key_frame_seconds: Seconds = Field(2.0, description="differential: distance of candidates (ShareGPT4Video: 2 s)")
    key_frame_similarity: Cosine = Field(
        0.93, description="differential: a candidate is taken below this similarity to the last one (ShareGPT4Video)"
    )
    block_words: PositiveInt = Field(200, description="speech: words of a request at most (HowToCaption: 200)")
    window_seconds: Seconds = Field(8.0, description="speech: length of what a caption is about (HowToCaption: 8 s)")
    search_seconds: Seconds = Field(10.0, description="speech: how far alignment moves a caption (HowToCaption: 10 s)")

    @property
    def label(self) -> str:
        return self.name

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """Of captions that it may give, as the recipe has them."""
        if self.strategy != "describe":
            return _KINDS[self.strategy]
        kinds = tuple(self.prompts) or ("brief", "detailed")
        return (*kinds, "short") if "detailed" in kinds and "short" not in kinds else kinds


_KINDS: dict[str, tuple[str, ...]] = {
    "differential": ("detailed", "short", "frame", "difference"),
    "speech": ("speech_caption",),
    "transcribe": ("transcript",),
}

Captioner = Annotated[TextsCaptioner | ModelCaptioner, Field(discriminator="source")]


_COMPARING = ("differential", "speech")
_ASKED = ("max_tokens", "temperature")
_OF_RESULT: dict[str, tuple[str, ...]] = {
    "describe": ("frames", "longest_side", *_ASKED),
    "differential": ("longest_side", "key_frame_seconds", "key_frame_similarity", *_ASKED),
    "speech": ("block_words", "window_seconds", "search_seconds", *_ASKED),
    "transcribe": (),
}
"""Settings that the captions of a strategy depend on."""


class Choice(Section):
    """Which caption stands for a sample. All others stay in captions."""

    rule: Literal["order", "score"] = Field(
        "order",
        description="order: of the first captioner and kind in `order` that has one; score: with the highest "
        "similarity to the picture, `order` decides between equals (needs captions.similarity)",
    )
    order: list[Annotated[str, spelled(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?", "give CAPTIONER or CAPTIONER.KIND")]] = (
        Field([], description="captioners, or captioner.kind, best first; []: as captions.captioners")
    )
    min_score: Cosine | None = Field(
        None,
        description="similarity below which a caption is not chosen (Panda-70M: 0.43 of its own matching model; CLIP's "
        "cosines are about 0.2 to 0.35); null: none is refused",
    )
    top: PositiveInt | None = Field(
        None, description="captions that stay, of all samples, by similarity: a global quantile (HowToCaption: 25 M)"
    )


class Similarity(Section):
    """How well each caption fits its picture: the cosine of their embeddings."""

    model: Label = Field(description="one of captions.models, task embed")
    frames: PositiveInt = Field(
        4, description="of a clip, at even distances, whose vectors are averaged (Panda-70M's matching model: 12)"
    )
    store: bool = Field(True, description="keep the vectors, in embeddings, not the similarities alone")


class Captions(Section):
    """Words for the media."""

    captioners: list[Captioner] = Field(
        [TextsCaptioner(source="alt")], min_length=1, description="in this order; each may use earlier ones' words"
    )
    models: dict[Label, Model] = Field({}, description="what captioners and similarity name")
    similarity: Similarity | None = Field(None, description="null: captions are not scored")
    choose: Choice = Field(Choice(), description="which caption stands for a sample")
    balance: Balance | None = Field(
        None, description="the samples balanced once more, by the entries in their chosen captions; null: all stay"
    )

    @model_validator(mode="after")
    def _named(self) -> Captions:
        labels = [captioner.label for captioner in self.captioners]
        if doubled := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two captioners are called {doubled[0]}: give one of them another name")
        for captioner in self.captioners:
            if isinstance(captioner, ModelCaptioner):
                self._check(captioner)
        if self.similarity is not None:
            self._model(self.similarity.model, "embed", "similarity")
        choose = self.choose
        by_score = choose.rule == "score" or choose.min_score is not None or choose.top is not None
        if by_score and self.similarity is None:
            raise ValueError("choose by score needs captions.similarity: name a model of task embed")
        by_label = {captioner.label: captioner for captioner in self.captioners}
        for label, _, kind in (each.partition(".") for each in choose.order):
            if label not in by_label:
                raise ValueError(f"choose.order names {label}, which is none of the captioners {', '.join(labels)}")
            kinds = by_label[label].kinds
            if kind and kinds is not None and kind not in kinds:
                raise ValueError(f"choose.order names {label}.{kind}, but {label} has {', '.join(sorted(kinds))}")
        return self

    @model_validator(mode="after")
    def _no_name_of_anothers(self) -> Captions:
        for captioner in self.captioners:
            if captioner.label in PLACEHOLDERS and captioner.label != captioner.source:
                reason = f"{captioner.label} in prompts stands for something else"
                raise ValueError(f"{reason}: give the captioner another name")
        return self

    def _check(self, captioner: ModelCaptioner) -> None:
        wanted = "speech" if captioner.strategy == "transcribe" else "caption"
        self._model(captioner.model, wanted, captioner.name)
        if captioner.embedder is not None:
            self._model(captioner.embedder, "embed", captioner.name)
        if captioner.strategy in _COMPARING and captioner.embedder is None:
            reason = f"{captioner.name}: strategy {captioner.strategy} compares pictures"
            raise ValueError(f"{reason}: give embedder, one of captions.models with task embed")

    def _model(self, name: str, task: str, by: str) -> None:
        if name not in self.models:
            known = ", ".join(sorted(self.models)) or "none"
            raise ValueError(f"{by} names the model {name}; captions.models has {known}")
        model = self.models[name]
        if task == "embed" and model.backend == "server":
            raise ValueError(f"{by} needs vectors of pictures, which servers do not give: take backend transformers")
        if model.backend == "transformers" and model.task != task:
            raise ValueError(f"{by} needs a model of task {task}, {name} is one of {model.task}")

    def wanted_order(self) -> list[str]:
        """choose.order, or all captioners; before each captioner its kinds as the recipe has them, captioner.kind."""
        kinds = {captioner.label: captioner.kinds for captioner in self.captioners}
        order: list[str] = []
        for each in self.choose.order or list(kinds):
            order += [f"{each}.{kind}" for kind in kinds.get(each) or ()]
            order.append(each)
        return order

    def anchored(self, anchor: Callable[[str], str]) -> Captions:
        """The same with `anchor` applied to every location: of prompts, and of models that are folders."""
        captioners = [
            each
            if isinstance(each, TextsCaptioner)
            else each.model_copy(update={"prompts": {kind: anchor(path) for kind, path in each.prompts.items()}})
            for each in self.captioners
        ]
        models = {
            name: model
            if isinstance(model, ServerModel) or not model.model.startswith((".", "/"))
            else model.model_copy(update={"model": anchor(model.model)})
            for name, model in self.models.items()
        }
        return self.model_copy(update={"captioners": captioners, "models": models})

    def of_result(self, captioner: TextsCaptioner | ModelCaptioner, modality: str) -> dict[str, Any]:
        """What the captions of one captioner depend on, beside the texts of its prompts: not where these lie, nor where
        its model runs, nor how fast it is asked.

        A setting that comes in a later release is to be told only where it is not its default: captions stay what they
        are.
        """
        if isinstance(captioner, TextsCaptioner):
            return captioner.model_dump(include={"source", "languages"})
        told = captioner.model_dump(include={"strategy", *_OF_RESULT[captioner.strategy]})
        if modality == "image" and "frames" in told:
            told["frames"] = min(told["frames"], 1)
        for role in ("model", "embedder"):
            name = getattr(captioner, role)
            if name is not None and (role == "model" or captioner.strategy in _COMPARING):
                told[role] = self.models[name].model_dump(include={"backend", "model", "task", "dtype"})
        return told
