"""Every strategy from a recipe to its rows, by genuine servers and in this process; then similarities, and the choice.

Models are tiny and know nothing: what is asserted is who was asked, when, and what became of the answers.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults_captions import CaptionWeb, Outcomes, Row, are_lawful, caption_web, captions_of
from faults_films import HOSTS, executed, rows

from curation.captions.loading import load_embedder
from curation.captions.media import ImageMedia
from curation.recipe.captions import LocalModel
from curation.runner.stage import Manifest
from curation.storage import Store
from curation.testing.caption_server import CaptionServer, Question
from curation.testing.models import WORDS, serving
from curation.testing.videos import Film, Shot, Style, write_video

pytest.importorskip("torch", reason="extra models")
pytest.importorskip("transformers", reason="extra models")

Tiny = Callable[[str], Path]
SECOND = "1s:"
"""What every answer of the biased model begins with: so it is a caption of speech."""
CUES = ((200, 1400, "A dog runs on the grass."), (2700, 4200, "It sleeps under a tree."))
CLIPS = {"clips": {"split": {"set": "shots", "min_length_s": 1}, "cut": {"preset": "ultrafast"}}}
PICTURES = 5
STRATEGIES = ("hears", "sees", "compares", "says")
KINDS = {"hears": {"transcript"}, "sees": {"brief", "detailed", "short"},
         "compares": {"frame", "difference", "detailed", "short"}, "says": {"speech_caption"}}  # fmt: skip


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    """Two shots of sound, and a second of black between them; the last one has no sound."""
    folder = tmp_path_factory.mktemp("films")
    shots = {"dog.mp4": "dog", "cat.mp4": "cat", "mute.mp4": "tree"}
    return {
        name: write_video(
            folder / name,
            [Shot(40, concept, motion=2), Shot(20, black=True), Shot(48, concept, "b", motion=3)],
            Style(size=(192, 108), sound="none" if name == "mute.mp4" else "tone"),
        )
        for name, concept in shots.items()
    }


@pytest.fixture(scope="module")
def web(films: dict[str, Film], tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    with caption_web(tmp_path_factory.mktemp("web"), films) as started:
        yield started


@pytest.fixture(scope="module")
def biased(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny LLaVA with a word for a second, which begins all that it says."""
    folder = tmp_path_factory.mktemp("biased") / "llava"
    shutil.copytree(tiny("llava"), folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    place = words.pop("window")
    words[SECOND] = place
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((folder / "generation_config.json").read_text())
    settings["begin_suppress_tokens"] = sorted(set(words.values()) - {place})
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return folder


def local(folder: Path, task: str = "caption") -> Row:
    return {"backend": "transformers", "model": str(folder), "task": task, "device": "cpu", "batch": 4}


def served(address: tuple[str, str]) -> Row:
    url, name = address
    return {"backend": "server", "url": url, "model": name, "slots": 4, "seconds": 60, "attempts": 2}


def captioners(frames: int = 2) -> list[Row]:
    """One of each strategy, each with a model of its own, so that requests are counted apart."""
    seeing = {"source": "model", "max_tokens": 60}
    fine = {"key_frame_seconds": 0.5, "key_frame_similarity": 0.99999}
    return [
        {"source": "alt"},
        {"source": "model", "name": "hears", "model": "ear", "strategy": "transcribe", "modalities": ["video"]},
        {**seeing, "name": "sees", "model": "eye", "frames": frames},
        {**seeing, "name": "compares", "model": "eyes", "strategy": "differential", "embedder": "space", **fine},
        {**seeing, "name": "says", "model": "mouth", "strategy": "speech", "embedder": "space", "window_seconds": 1},
    ]


def recipe(web: CaptionWeb, models: dict[str, Row], **more: Any) -> Path:
    """Pictures, and films with sound and subtitles on pages."""
    lines = [f"00:{begin / 1000:06.3f} --> 00:{end / 1000:06.3f}\n{text}\n" for begin, end, text in CUES]
    web.put("/dog.vtt", "\n".join(["WEBVTT\n", *lines]))
    player = '<video src="/file/dog.mp4"><track kind="subtitles" srclang="en" src="/dog.vtt"></video>'
    page = web.put("/watch/dog", f"<!doctype html><title>A dog</title>{player}")
    urls = [page, web.film("cat.mp4"), web.film("mute.mp4")]
    films = [{"url": url, "caption": f"a dog in film {number}"} for number, url in enumerate(urls)]
    pictures = [(web.picture(number), f"a cat near a house, {number}") for number in range(PICTURES)]
    section = {"captioners": captioners(), "models": models, **more}
    return web.recipe(pictures, films, section, fetch={"video": {"subtitles": ["en"]}}, **CLIPS)


def counts(outcomes: Outcomes) -> Counter[str]:
    manifest: Manifest = outcomes["captions"].manifest
    return Counter(manifest.counts)


def are_sound(outcomes: Outcomes, work: Path) -> dict[str, Row]:
    """Rows of all strategies have the kinds of their strategy, and lie within their sample; the samples by id."""
    samples = {row["sample_id"]: row for row in rows(outcomes, work, "samples")}
    are_lawful(outcomes, work, STRATEGIES, ("alt",))
    for row in rows(outcomes, work, "captions"):
        length = samples[row["sample_id"]]["duration_ms"]
        if row["start_ms"] is not None:
            assert 0 <= row["start_ms"] < row["end_ms"] <= length, row
        if row["status"] == "ok" and row["captioner"] in KINDS:
            assert row["kind"] in KINDS[row["captioner"]]
            assert set(row["text"].replace(SECOND, "").split()) <= set(WORDS), row["text"]
            assert (row["start_ms"] is not None) == (row["kind"] in _PARTS), row
            assert (row["score"] is not None) == (row["kind"] == "speech_caption")
    return samples


_PARTS = ("transcript", "frame", "difference", "speech_caption")


def statuses(outcomes: Outcomes, work: Path, captioner: str) -> dict[str, str]:
    """Of each sample ok, silent, or the fault."""
    found = captions_of(outcomes, work, captioner)
    told = {sample: own[0]["error"] or own[0]["status"] for sample, own in found.items() if own}
    return dict.fromkeys((row["sample_id"] for row in rows(outcomes, work, "samples")), "silent") | told


def has_answered(outcomes: Outcomes, work: Path, *, says: str) -> None:
    """Every strategy's outcomes, sample by sample. says: what those get in which something is said."""
    samples = are_sound(outcomes, work)
    assert Counter(row["modality"] for row in samples.values()) == {"image": PICTURES, "video": 6}
    for captioner in ("sees", "compares"):
        assert set(statuses(outcomes, work, captioner).values()) == {"ok"}
    heard, said = statuses(outcomes, work, "hears"), statuses(outcomes, work, "says")
    assert {heard[name] for name, sample in samples.items() if not sample["has_audio"]} == {"silent"}
    assert set(heard.values()) == {"ok", "silent"}  # of some sounds it says nothing
    videos = {row["media_id"]: row["subtitles"] for row in rows(outcomes, work, "videos")}
    for name, sample in samples.items():
        has_words = bool(videos.get(sample["media_id"])) or heard[name] == "ok"
        assert said[name] == (says if has_words else "silent"), "subtitles, or what was heard"
    assert Counter(said.values())[says] > 2
    for name, own in captions_of(outcomes, work, "sees").items():
        assert [row["kind"] for row in own] == ["brief", "detailed", "short"], name
    for name, own in captions_of(outcomes, work, "compares").items():
        parts = [row for row in own if row["start_ms"] is not None]
        if samples[name]["modality"] == "image":
            assert [row["kind"] for row in own] == ["detailed", "short"]
        else:
            frame, *differences = parts
            assert [row["kind"] for row in own] == ["frame", *["difference"] * len(differences), "detailed", "short"]
            spans = [(row["start_ms"], row["end_ms"]) for row in differences]
            assert (frame["start_ms"], frame["end_ms"]) == spans[0]
            assert [begin for begin, _ in spans] == [0, *(end for _, end in spans[:-1])]
            assert len(spans) > 1


def are_counted(outcomes: Outcomes, work: Path) -> None:
    """Requests follow from the rows; so do tokens: every word of an answer is one, and its end."""
    told, every = counts(outcomes), rows(outcomes, work, "captions")
    ok = [row for row in every if row["status"] == "ok" and row["kind"] != "short"]
    assert told["requests:hears"] == sum(bool(row["has_audio"]) for row in rows(outcomes, work, "samples"))
    for captioner, model in (("sees", "eye"), ("compares", "eyes")):
        answers = [row["text"] for row in ok if row["captioner"] == captioner]
        assert told[f"requests:{captioner}"] == len(answers)
        assert told[f"replayed:{model}"] == 0
        assert told[f"answer_tokens:{captioner}"] == sum(len(text.split()) + 1 for text in answers)
        assert told[f"prompt_tokens:{captioner}"] > 100 * len(answers)
    spoken = {row["sample_id"] for row in every if row["captioner"] == "says" and row["status"] != "silent"}
    assert told["requests:says"] == len(spoken)


@pytest.fixture(scope="module")
def by_servers(
    web: CaptionWeb, biased: Path, tiny: Tiny, served_whisper: tuple[str, str], tmp_path_factory: Any
) -> tuple[Outcomes, Path]:
    """All strategies through `transformers serve`; vectors are made in this process, as servers give none."""
    work = tmp_path_factory.mktemp("served") / "work"
    with serving(biased) as url:
        chat = served((url, str(biased)))
        models = {"eye": chat, "eyes": chat, "mouth": chat, "ear": served(served_whisper)}
        models["space"] = local(tiny("clip"), "embed")
        scoring = {"similarity": {"model": "space"}, "choose": {"rule": "score"}, "balance": {"t": 2}}
        outcomes = executed(recipe(web, models, **scoring), work)
    return outcomes, work


def test_every_strategy_by_transformers_serve(by_servers: tuple[Outcomes, Path]) -> None:
    outcomes, work = by_servers
    has_answered(outcomes, work, says="ok")
    are_counted(outcomes, work)
    assert not list((work / "_runs" / "captions" / "answers").glob("*"))


def test_similarities_are_the_cosines_of_what_is_stored(by_servers: tuple[Outcomes, Path], tiny: Tiny) -> None:
    """And the vectors are the model's own: of all texts, and of the pictures as they lie in the shards."""
    outcomes, work = by_servers
    vectors = {
        (row["sample_id"], row["of"], row["pair_id"], row["start_ms"], row["end_ms"]): np.array(row["vector"])
        for row in rows(outcomes, work, "embeddings")
    }
    texts = [row for row in rows(outcomes, work, "captions") if row["status"] == "ok"]
    scores = rows(outcomes, work, "caption_scores")
    assert len(texts) == len(scores)
    embedder = load_embedder("space", LocalModel.model_validate(local(tiny("clip"), "embed")))
    expected = embedder.embed_texts([row["text"] for row in texts])
    alts: dict[str, Any] = {}
    for row, score, own in zip(texts, scores, expected, strict=True):
        assert [row[name] for name in _NAMES] == [score[name] for name in _NAMES]
        text = vectors[row["sample_id"], "text", row["pair_id"], None, None]
        picture = vectors[row["sample_id"], "picture", None, row["start_ms"], row["end_ms"]]
        alt = alts.setdefault(row["sample_id"], text)
        assert np.allclose(text, own, atol=1e-5)
        assert score["error"] is None
        assert score["similarity"] == pytest.approx(float(picture @ text), abs=1e-6)
        assert score["text_similarity"] == pytest.approx(float(alt @ text), abs=1e-6)
    store = Store.at(work)
    for sample in rows(outcomes, work, "samples"):
        if sample["modality"] == "image":
            media = ImageMedia(store.part(sample["path"], sample["offset"], sample["size_bytes"]))
            ((_, frame),) = media.frames([0], embedder.size)
            found = vectors[sample["sample_id"], "picture", None, None, None]
            assert np.allclose(embedder.embed_frames(frame)[0], found, atol=1e-5)
    assert len({tuple(vector.round(4)) for key, vector in vectors.items() if key[1] == "picture"}) > PICTURES


_NAMES = ("sample_id", "captioner", "kind", "ordinal", "pair_id")


def test_the_nearest_caption_stands_for_its_sample_and_is_balanced(by_servers: tuple[Outcomes, Path]) -> None:
    outcomes, work = by_servers
    scores: dict[str, list[Row]] = {}
    whole = {(row["sample_id"], row["pair_id"]) for row in rows(outcomes, work, "captions")
             if row["status"] == "ok" and row["start_ms"] is None}  # fmt: skip
    for row in rows(outcomes, work, "caption_scores"):
        if (row["sample_id"], row["pair_id"]) in whole:
            scores.setdefault(row["sample_id"], []).append(row)
    chosen = rows(outcomes, work, "chosen_captions")
    assert sorted(row["sample_id"] for row in chosen) == sorted(scores)
    for row in chosen:
        assert row["similarity"] == max(score["similarity"] for score in scores[row["sample_id"]])
        assert row["candidates"] >= 4
    assert len({row["captioner"] for row in chosen}) > 1
    entries = Counter((row["modality"], entry) for row in chosen for entry in row["entry_ids"])
    balanced = {row["sample_id"]: row for row in rows(outcomes, work, "balanced_captions")}
    assert 0 < len(balanced) <= sum(bool(row["entry_ids"]) for row in chosen)
    for row in chosen:
        kept = balanced.get(row["sample_id"])
        if kept is None:
            continue
        assert kept["entry_ids"] == row["entry_ids"]
        lost = np.prod([1 - min(1, 2 / entries[row["modality"], entry]) for entry in row["entry_ids"]])
        assert kept["keep_probability"] == pytest.approx(1 - lost)
        assert kept["critical_threshold"] <= 2


@pytest.mark.parametrize("usable", [True, False])
def test_every_strategy_in_this_process(
    web: CaptionWeb, biased: Path, tiny: Tiny, by_servers: tuple[Outcomes, Path], tmp_path: Path, *, usable: bool
) -> None:
    """Where the model says no seconds, what it says of speech has not the form that was asked for. Where it is the one
    that was served, it says the same of pictures.
    """
    chat = local(biased if usable else tiny("llava"))
    ear, space = local(tiny("whisper"), "speech"), local(tiny("clip"), "embed")
    models = {"eye": chat, "eyes": chat, "mouth": chat, "ear": ear, "space": space}
    outcomes, work = executed(recipe(web, models), tmp_path / "work"), tmp_path / "work"
    has_answered(outcomes, work, says="ok" if usable else "bad_form")
    are_counted(outcomes, work)
    assert (counts(outcomes)["left:unformed"] > 0) != usable
    assert (of_pictures(outcomes, work) == of_pictures(*by_servers)) == usable


def of_pictures(outcomes: Outcomes, work: Path) -> list[tuple[Any, ...]]:
    """What was said of them, in order."""
    found = [row for row in rows(outcomes, work, "captions") if row["captioner"] in ("sees", "compares")]
    return sorted((row["sample_id"], row["captioner"], row["kind"], row["ordinal"], row["text"]) for row in found)


def test_blip_captions_pictures_and_frames(web: CaptionWeb, tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text("a photo of")
    captioner = {"source": "model", "name": "sees", "model": "eye", "frames": 1, "max_tokens": 40}
    captioner["prompts"] = {"brief": str(tmp_path / "photo.txt")}
    made = recipe(web, {"eye": local(tiny("blip"))}, captioners=[captioner])
    outcomes = executed(made, tmp_path / "work")
    found = rows(outcomes, tmp_path / "work", "captions")
    assert len(found) == PICTURES + 6
    assert {(row["status"], row["kind"], row["model"]) for row in found} == {("ok", "brief", str(tiny("blip")))}
    assert all(row["text"].startswith("a photo of ") for row in found)
    assert len({row["text"] for row in found}) > 6
    assert counts(outcomes)["requests:sees"] == len(found)


def spoken(question: Question) -> str:
    """Of speech two captions, one of a second that is not in it; of all else a sentence."""
    if "turn what is spoken" in "".join(question.texts):
        return "0s: A dog runs. It barks.\n- 1s: It is seen from behind.\n99s: A whale.\nAnd that was all"
    return f"A {len(question.pictures)} by the house."


def test_usable_answers_beside_unusable_lines(web: CaptionWeb, tiny: Tiny, tmp_path: Path) -> None:
    """The strategies' models are one server that answers in due form; vectors come from the tiny CLIP."""
    with CaptionServer(answer=spoken) as server:
        chat = {"backend": "server", "url": server.url, "model": server.model, "slots": 4}
        models = {"eye": chat, "eyes": chat, "mouth": chat, "ear": local(tiny("whisper"), "speech")}
        outcomes = executed(recipe(web, {**models, "space": local(tiny("clip"), "embed")}), tmp_path / "work")
    every = captions_of(outcomes, tmp_path / "work", "says")
    said = {name: own for name, own in every.items() if own and own[0]["text"]}
    assert len(said) > 2
    for own in said.values():
        assert sorted(row["text"] for row in own) == ["A dog runs.", "It barks.", "It is seen from behind."]
        assert all(-1 <= row["score"] <= 1 and row["end_ms"] - row["start_ms"] <= 1000 for row in own)
    assert counts(outcomes)["left:unformed"] == counts(outcomes)["left:outside"] == len(said)
    told, chats = counts(outcomes), {"sees": "eye", "compares": "eyes", "says": "mouth"}
    assert len(server.log) == sum(told[f"requests:{label}"] - told[f"replayed:{name}"] for label, name in chats.items())


def test_real_videos(real_data: Path, biased: Path, tiny: Tiny, tmp_path: Path) -> None:
    """All strategies on the videos that are there, whole ones, from a server on loopback."""
    files = sorted(path for path in (real_data / "media" / "videos").glob("*") if path.suffix in (".mp4", ".webm"))
    if not files:
        pytest.skip(f"no videos at {real_data}/media/videos")
    chat, ear = local(biased), local(tiny("whisper"), "speech")
    models = {"eye": chat, "eyes": chat, "mouth": chat, "ear": ear, "space": local(tiny("clip"), "embed")}
    work = tmp_path / "work"
    with caption_web(tmp_path / "web") as web:
        for file in files:
            web.server.files[f"/real/{file.name}"] = file.read_bytes()
        films = [{"url": web.server.url(HOSTS[0], f"/real/{file.name}"), "caption": f"a dog {file.stem}"}
                 for file in files]  # fmt: skip
        told = captioners(frames=8)
        told[3] |= {"key_frame_seconds": 2.0, "key_frame_similarity": 0.93}
        section = {"captioners": told, "models": models, "similarity": {"model": "space"}}
        outcomes = executed(web.recipe(films=films, captions=section), work)
    samples = are_sound(outcomes, work)
    assert len(samples) == len(files)
    for captioner in ("sees", "compares"):
        assert set(statuses(outcomes, work, captioner).values()) == {"ok"}
    heard, said = statuses(outcomes, work, "hears"), statuses(outcomes, work, "says")
    assert all(status == "silent" for name, status in heard.items() if not samples[name]["has_audio"])
    assert {*heard.values(), *said.values()} <= {"ok", "silent"}
    assert all(heard[name] == "ok" for name, status in said.items() if status == "ok"), "all that is spoken is heard"
    assert all(row["error"] is None for row in rows(outcomes, work, "caption_scores"))
    assert outcomes["chosen_captions"].manifest.rows("chosen_captions") == len(files)
