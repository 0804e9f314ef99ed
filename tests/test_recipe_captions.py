"""The recipe's section captions: what it is where nothing is said, what it refuses and in which words, and what
captions depend on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.recipe import Captions, load_recipe
from curation.recipe.captions import (
    _OF_RESULT,
    PLACEHOLDERS,
    LocalModel,
    ModelCaptioner,
    ServerModel,
    TextsCaptioner,
)

SERVER = {"backend": "server", "url": "http://127.0.0.1:8000/v1", "model": "x"}
MODELS = {"m": SERVER, "e": {"backend": "transformers", "model": "clip", "task": "embed"},
          "w": {"backend": "transformers", "model": "whisper", "task": "speech"},
          "l": {"backend": "transformers", "model": "./blip"}}  # fmt: skip
STRATEGIES = ("describe", "differential", "speech", "transcribe")


def asks(name: str = "a", **more: Any) -> Any:
    return {"source": "model", "name": name, "model": "m", **more}


def section(*captioners: Any, **more: Any) -> Captions:
    told = {"captioners": list(captioners)} if captioners else {}
    return Captions.model_validate({"models": MODELS, **told, **more})


# ----------------------------------------------------------------------------------------------------- defaults


def test_nothing_said_is_alt_texts_alone() -> None:
    found = Captions.model_validate({})
    assert found.captioners == [TextsCaptioner(source="alt")]
    assert (found.models, found.similarity, found.balance) == ({}, None, None)
    assert found.choose.model_dump() == {"rule": "order", "order": [], "min_score": None, "top": None}
    assert found.wanted_order() == ["alt"]


def test_published_numbers_are_the_defaults() -> None:
    """ShareGPT4Video: candidates 2 s apart, below 0.93; HowToCaption: 200 words, 8 s windows, 10 s around."""
    found = section(asks()).captioners[0]
    assert found.model_dump(exclude={"source", "name", "model"}) == {
        "strategy": "describe", "prompts": {}, "modalities": ["image", "video"], "frames": 8, "longest_side": 1024,
        "max_tokens": 512, "temperature": 0.0, "embedder": None, "key_frame_seconds": 2.0,
        "key_frame_similarity": 0.93, "block_words": 200, "window_seconds": 8.0, "search_seconds": 10.0,
    }  # fmt: skip
    similar = section(similarity={"model": "e"}).similarity
    assert similar is not None and (similar.frames, similar.store) == (4, True)


def test_a_model_is_asked_moderately() -> None:
    models = section().models
    assert models["m"] == ServerModel(backend="server", url=SERVER["url"], model="x")
    assert models["m"].model_dump(exclude={"backend", "url", "model"}) == {
        "key_variable": None, "slots": 64, "requests_per_minute": None, "seconds": 120.0, "attempts": 5,
        "backoff_s": 1.0, "max_answer_bytes": 1 << 20, "price_in": 0.0, "price_out": 0.0,
    }  # fmt: skip
    assert models["l"] == LocalModel(
        backend="transformers", model="./blip", task="caption", device="auto", dtype="auto", batch=16
    )


# ----------------------------------------------------------------------------------------------------- refusals

REFUSALS: list[tuple[str, Any, str]] = [
    ("captioners", {"captioners": []}, "at least 1"),
    ("captioners", {"captioners": [{"source": "alt"}, {"source": "alt"}]},
     "two captioners are called alt: give one of them another name"),
    ("captioners", {"captioners": [asks(), asks()]}, "two captioners are called a: give one of them another name"),
    ("captioners", {"captioners": [{"source": "page", "name": "a"}, asks()]}, "two captioners are called a"),
    ("name", {"captioners": [asks("A")]}, "give a name of small letters, digits and _"),
    ("name", {"captioners": [asks("a.b")]}, "give a name of small letters, digits and _"),
    ("name", {"captioners": [asks("1a")]}, "give a name of small letters, digits and _"),
    ("name", {"captioners": [asks("a" * 41)]}, "give a name of small letters, digits and _"),
    ("name", {"captioners": [asks("a'; DROP TABLE x--")]}, "give a name of small letters, digits and _"),
    ("name", {"captioners": [{"source": "model", "model": "m"}]}, "captions.captioners.0.name: is required"),
    ("placeholder", {"captioners": [asks("subtitles")]},
     "subtitles in prompts stands for something else: give the captioner another name"),
    ("placeholder", {"captioners": [{"source": "page", "name": "alt"}]},
     "alt in prompts stands for something else: give the captioner another name"),
    ("model", {"captioners": [asks(model="other")]}, "a names the model other; captions.models has e, l, m, w"),
    ("model", {"captioners": [asks()], "models": {}}, "a names the model m; captions.models has none"),
    ("task", {"captioners": [asks(model="w")]}, "a needs a model of task caption, w is one of speech"),
    ("task", {"captioners": [asks(model="l", strategy="transcribe")]},
     "a needs a model of task speech, l is one of caption"),
    ("embedder", {"captioners": [asks(embedder="m")]},
     "a needs vectors of pictures, which servers do not give: take backend transformers"),
    ("embedder", {"captioners": [asks(embedder="l")]}, "a needs a model of task embed, l is one of caption"),
    ("embedder", {"captioners": [asks(embedder="none")]}, "a names the model none; captions.models has"),
    *(("strategy", {"captioners": [asks(strategy=strategy)]},
       f"a: strategy {strategy} compares pictures: give embedder, one of captions.models with task embed")
      for strategy in ("differential", "speech")),
    ("similarity", {"similarity": {"model": "m"}}, "similarity needs vectors of pictures, which servers do not give"),
    ("similarity", {"similarity": {"model": "w"}}, "similarity needs a model of task embed, w is one of speech"),
    ("similarity", {"similarity": {"model": "none"}}, "similarity names the model none; captions.models has"),
    *(("choose", {"choose": choose}, "choose by score needs captions.similarity: name a model of task embed")
      for choose in ({"rule": "score"}, {"min_score": 0.43}, {"top": 25_000_000})),
    ("order", {"choose": {"order": ["a"]}}, "choose.order names a, which is none of the captioners alt"),
    ("order", {"choose": {"order": ["a.b.c"]}}, "give CAPTIONER or CAPTIONER.KIND"),
    ("order", {"choose": {"order": ["Alt"]}}, "give CAPTIONER or CAPTIONER.KIND"),
    ("order", {"captioners": [asks()], "choose": {"order": ["a.long"]}},
     "choose.order names a.long, but a has brief, detailed, short"),
    ("order", {"captioners": [{"source": "page"}], "choose": {"order": ["page.alt"]}},
     "choose.order names page.alt, but page has description, title"),
    ("score", {"choose": {"min_score": 1.1}, "similarity": {"model": "e"}}, "less than or equal to 1"),
    ("top", {"choose": {"top": 0}, "similarity": {"model": "e"}}, "greater than or equal to 1"),
    ("url", {"models": {"m": {**SERVER, "url": "127.0.0.1:8000"}}}, "give the server's base, such as http://"),
    ("url", {"models": {"m": {**SERVER, "url": "http://h/v1?key=1"}}}, "give the server's base, such as http://"),
    ("key", {"models": {"m": {**SERVER, "key_variable": "sk-1"}}}, "give the name of an environment variable"),
    ("backend", {"models": {"m": {**SERVER, "backend": "vllm"}}},
     "captions.models.m: give backend: server or transformers"),
    ("of a server", {"models": {"m": {**SERVER, "task": "embed"}}}, "captions.models.m.task: unknown key"),
    ("price", {"models": {"m": {**SERVER, "price_in": -1}}}, "greater than or equal to 0"),
    ("source", {"captioners": [{"source": "html"}]},
     "captioners.0: give source: one of alt, page, subtitles, chapters, hashtags or model"),
    ("prompts", {"captioners": [asks(prompts={"brief": ""})]}, "at least 1 character"),
    ("prompts", {"captioners": [asks(prompts={"Brief": "x.txt"})]}, "give a name of small letters, digits and _"),
    ("modalities", {"captioners": [asks(modalities=[])]}, "at least 1"),
    ("modalities", {"captioners": [asks(modalities=["audio"])]}, "'image' or 'video'"),
    ("frames", {"captioners": [asks(frames=-1)]}, "greater than or equal to 0"),
    ("languages", {"captioners": [{"source": "subtitles", "languages": ["English"]}]},
     "is no language code such as en or gsw ('' in keep: unknown; other: a vocabulary)"),
    ("unknown", {"captioner": []}, "captions.captioner: unknown key"),
]  # fmt: skip


@pytest.fixture(scope="module")
def minimal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text('name: x\ninputs: [{kind: wat, paths: [w]}]\nmatch: {vocabularies: {en: "demo:en"}}\nfetch: {}\n')
    return path


@pytest.mark.parametrize(("told", "words"), [each[1:] for each in REFUSALS])
def test_refusals_are_one_line_that_names_the_place_and_says_why(minimal: Path, told: Any, words: str) -> None:
    tree = yaml.safe_load(minimal.read_text()) | {"captions": {"models": MODELS, **told}}
    path = minimal.with_name("other.yaml")
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(RecipeError) as refused:
        load_recipe(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: captions") and "\n" not in message
    assert words in message and message.count("; ") == words.count("; ")
    assert not any(word in message for word in ("Value error", "pydantic", "literal[", "tagged-union", "function-"))


def test_captions_are_of_fetched_media(minimal: Path) -> None:
    assert load_recipe(minimal, ["captions={}"]).captions is not None
    with pytest.raises(RecipeError, match="captions are made of fetched media: add the section fetch, or leave"):
        load_recipe(minimal, ["captions={}", "fetch=null"])


def test_a_captioner_may_have_its_sources_name_and_no_other_ones() -> None:
    for source in ("alt", "page", "subtitles", "chapters", "hashtags"):
        assert section({"source": source, "name": source}).captioners[0].label == source
        taken = source in PLACEHOLDERS
        if taken:
            with pytest.raises(ValidationError, match="stands for something else"):
                section({"source": "page" if source != "page" else "alt", "name": source})
    assert "page" not in PLACEHOLDERS


# --------------------------------------------------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    ("captioner", "kinds"),
    [({"source": "alt"}, None), ({"source": "page"}, ("title", "description")),
     ({"source": "subtitles"}, ("subtitles",)), ({"source": "chapters", "name": "x"}, ("chapter",)),
     ({"source": "hashtags"}, ("hashtag",)), (asks(), ("brief", "detailed", "short")),
     (asks(prompts={"brief": "p"}), ("brief",)),
     (asks(prompts={"x": "p", "detailed": "q"}), ("x", "detailed", "short")),
     (asks(prompts={"short": "p", "detailed": "q"}), ("short", "detailed")),
     (asks(strategy="differential", embedder="e"), ("detailed", "short", "frame", "difference")),
     (asks(strategy="speech", embedder="e"), ("speech_caption",)),
     (asks(strategy="transcribe"), ("transcript",))],
)  # fmt: skip
def test_kinds(captioner: Any, kinds: tuple[str, ...] | None) -> None:
    assert section(captioner).captioners[0].kinds == kinds


def test_the_order_names_kinds_as_the_recipe_has_them() -> None:
    captioners = [{"source": "alt"}, asks(prompts={"x": "p", "detailed": "q"}), {"source": "page"}]
    assert section(*captioners).wanted_order() == [
        "alt", "a.x", "a.detailed", "a.short", "a", "page.title", "page.description", "page"
    ]  # fmt: skip
    named = section(*captioners, choose={"order": ["page.description", "a", "alt.og_title", "alt"]})
    assert named.wanted_order() == ["page.description", "a.x", "a.detailed", "a.short", "a", "alt.og_title", "alt"]


# ------------------------------------------------------------------------------------- what captions depend on


def result(captioner: Any, modality: str = "video", **models: Any) -> Any:
    told = Captions.model_validate({"captioners": [captioner], "models": {**MODELS, **models}})
    return told.of_result(told.captioners[0], modality)


def of(strategy: str, **more: Any) -> Any:
    return asks(**{"strategy": strategy, "embedder": "e", **more})


_SETTINGS = {"frames": 3, "longest_side": 64, "max_tokens": 7, "temperature": 0.5, "key_frame_seconds": 3.0,
             "key_frame_similarity": 0.5, "block_words": 9, "window_seconds": 4.0, "search_seconds": 5.0}  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", _SETTINGS)
def test_a_setting_matters_to_the_strategies_that_use_it(strategy: str, name: str) -> None:
    changed = result(of(strategy, **{name: _SETTINGS[name]})) != result(of(strategy))
    assert changed == (name in _OF_RESULT[strategy])


def test_every_setting_of_a_captioner_is_decided_upon() -> None:
    elsewhere = {"source", "name", "model", "strategy", "prompts", "modalities", "embedder"}
    assert ModelCaptioner.model_fields.keys() == elsewhere | _SETTINGS.keys()
    assert {name for names in _OF_RESULT.values() for name in names} == _SETTINGS.keys()
    assert _OF_RESULT.keys() == set(STRATEGIES)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_names_places_and_modalities_change_no_caption(strategy: str) -> None:
    other = of(strategy, name="other", modalities=["video"], prompts={"brief": "elsewhere.txt"})
    assert result(other) == result(of(strategy))


@given(
    slots=st.integers(1, 500), seconds=st.floats(0.1, 1e4), attempts=st.integers(1, 9), price=st.floats(0, 1e6),
    port=st.integers(1, 65535), rate=st.none() | st.integers(1, 1000),
)  # fmt: skip
def test_where_and_how_fast_a_server_is_asked_changes_no_caption(
    slots: int, seconds: float, attempts: int, price: float, port: int, rate: int | None
) -> None:
    model = {**SERVER, "url": f"https://h:{port}/v1", "slots": slots, "seconds": seconds, "attempts": attempts,
             "price_in": price, "price_out": price, "requests_per_minute": rate, "key_variable": "KEY"}  # fmt: skip
    assert result(asks(), m=model) == result(asks())
    assert result(asks(), m={**model, "model": "y"}) != result(asks())


@pytest.mark.parametrize(("change", "matters"), [({"device": "cpu"}, False), ({"batch": 1}, False),
                                                 ({"dtype": "float16"}, True), ({"model": "z"}, True)])  # fmt: skip
def test_a_local_model_is_its_name_and_its_numbers(change: Any, matters: bool) -> None:
    local = {"backend": "transformers", "model": "blip"}
    assert (result(asks(), m={**local, **change}) != result(asks(), m=local)) == matters
    embedder = {**MODELS["e"], **change}
    for strategy in STRATEGIES:
        compares = strategy in ("differential", "speech")
        assert (result(of(strategy), e=embedder) != result(of(strategy))) == (matters and compares)


def test_of_an_image_there_is_one_frame_or_none() -> None:
    told = {frames: result(asks(frames=frames), "image") for frames in (0, 1, 2, 8)}
    assert told[1] == told[2] == told[8] != told[0]
    assert len({str(result(asks(frames=frames), "video")) for frames in (0, 1, 2, 8)}) == 4


def test_words_that_need_no_model_depend_on_their_source_and_languages() -> None:
    assert result({"source": "subtitles", "languages": ["en"]}) == {"source": "subtitles", "languages": ["en"]}
    assert result({"source": "subtitles", "name": "x"}) == result({"source": "subtitles"})
    assert result({"source": "subtitles", "languages": ["en"]}) != result({"source": "subtitles"})


# ------------------------------------------------------------------------------------------------------- places


def test_prompts_and_folders_lie_beside_the_recipe(minimal: Path) -> None:
    local = {"l": MODELS["l"], "hub": {"backend": "transformers", "model": "org/name"}, "m": SERVER}
    tree = yaml.safe_load(minimal.read_text())
    tree["captions"] = {"captioners": [{"source": "alt"}, asks(prompts={"brief": "p.txt"})], "models": local}
    path = minimal.with_name("placed.yaml")
    path.write_text(yaml.safe_dump(tree))
    found = load_recipe(path).captions
    assert found is not None and isinstance(found.captioners[1], ModelCaptioner)
    assert found.captioners[1].prompts == {"brief": str(path.parent / "p.txt")}
    assert {name: model.model for name, model in found.models.items()} == {
        "l": str(path.parent / "blip"), "hub": "org/name", "m": "x"
    }  # fmt: skip
