"""caption_scores: cosines by hand over stored bytes, and vectors that are made once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from faults_captions import (
    SHOTS,
    CaptionWeb,
    Outcomes,
    Sums,
    Told,
    caption_web,
    of_frame,
    of_text,
    served,
    teacher,
    two_shots,
    unit,
)
from faults_films import executed, rows

import curation.stages.caption_scores as scores_module
from curation.captions.media import ImageMedia, VideoMedia
from curation.errors import RecipeError
from curation.media.shards import read_member
from curation.recipe import load_recipe
from curation.testing.caption_server import CaptionServer

Row = dict[str, Any]
Vector = npt.NDArray[np.float32]
EMBED = {"backend": "transformers", "model": "clip", "task": "embed"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    with caption_web(tmp_path_factory.mktemp("web"), two_shots(tmp_path_factory.mktemp("films"))) as started:
        yield started


@pytest.fixture
def server() -> Iterator[CaptionServer]:
    with CaptionServer(answer=Told()) as started:
        yield started


def recipe(web: CaptionWeb, server: CaptionServer, *, count: int = 5, frames: int = 4, store: bool = True,
           alone: bool = False, **sections: Any) -> Path:  # fmt: skip
    """Pictures; two films, one of them with a text about a part. alone: no alt texts."""
    told = [(web.picture(number), f"a {'dog' * (number + 1)} and a cat, {number}") for number in range(count)]
    parts = [{"start": 0.5, "end": 3.5, "title": "a tree in the middle"}]
    films = [{"url": web.film("dog.mp4"), "caption": "a dog", "parts": parts},
             {"url": web.film("cat.mp4"), "caption": "cat"}]  # fmt: skip
    captioners = [teacher("t"), *([] if alone else [{"source": "alt"}])]
    captions = {"captioners": captioners, "models": {"m": served(server), "e": EMBED},
                "similarity": {"model": "e", "frames": frames, "store": store}}  # fmt: skip
    return web.recipe(told, films, captions, **sections)


def picture_of(work: Path, sample: Row, span: tuple[int | None, int | None], frames: int, folder: Path) -> Vector:
    """The mean of the frames in the middles of equal parts, by hand."""
    data = read_member(str(work), sample["path"], sample["offset"], sample["size_bytes"])
    if sample["modality"] == "image":
        ((_, frame),) = ImageMedia(data).frames([0], Sums.size)
        return of_frame(frame[0])
    start, end = (0, sample["duration_ms"]) if span[0] is None or span[1] is None else (span[0], span[1])
    times = [start + (end - start) * (2 * part + 1) // (2 * frames) for part in range(frames)]
    path = folder / "sample.mp4"
    path.write_bytes(data)
    vectors = [of_frame(frame[0]) for _, frame in VideoMedia(path).frames(times, Sums.size)]
    return unit(np.mean(vectors, axis=0))


def are_cosines(outcomes: Outcomes, work: Path, frames: int, folder: Path, broken: Sequence[str] = ()) -> None:
    """Holds every score against its caption and its picture."""
    samples = {row["sample_id"]: row for row in rows(outcomes, work, "samples")}
    captions = [row for row in rows(outcomes, work, "captions") if row["status"] == "ok"]
    scores = rows(outcomes, work, "caption_scores")
    same = ("sample_id", "media_id", "captioner", "kind", "ordinal", "pair_id", "text_media_id")
    assert [[row[name] for name in same] for row in scores] == [[row[name] for name in same] for row in captions]
    for caption, score in zip(captions, scores, strict=True):
        alts = [row["text"] for row in captions
                if row["sample_id"] == caption["sample_id"] and row["text_media_id"] is not None]  # fmt: skip
        text = of_text(caption["text"])
        by_text = None if not alts else pytest.approx(float(of_text(alts[0]) @ text), abs=1e-5)
        assert score["text_similarity"] == by_text
        if caption["sample_id"] in broken:
            assert (score["error"], score["similarity"]) == ("unreadable", None)
            continue
        sample = samples[caption["sample_id"]]
        picture = picture_of(work, sample, (caption["start_ms"], caption["end_ms"]), frames, folder)
        assert score["error"] is None
        assert score["similarity"] == pytest.approx(float(picture @ text), abs=1e-5)


@pytest.mark.parametrize("setting", [(4, {"clips": None}, False), (3, SHOTS, True)], ids=["whole", "clips"])
@pytest.mark.slow
def test_similarities_are_cosines(
    web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path, setting: tuple[int, Any, bool]
) -> None:
    work, (frames, sections, alone) = tmp_path / "work", setting
    outcomes = executed(recipe(web, server, frames=frames, alone=alone, **sections), work)
    are_cosines(outcomes, work, frames, tmp_path)
    scores = rows(outcomes, work, "caption_scores")
    assert len({round(row["similarity"], 5) for row in scores}) > 10, "or this says nothing"
    spans = [row for row in rows(outcomes, work, "captions") if row["start_ms"] is not None]
    assert bool(spans) != alone
    assert {row["text_similarity"] is None for row in scores} == {alone}
    counts = outcomes["caption_scores"].manifest.counts
    assert counts["scored"] == len(scores)
    vectors = rows(outcomes, work, "embeddings")
    keys = [(row["sample_id"], row["of"], row["pair_id"], row["start_ms"], row["end_ms"]) for row in vectors]
    assert len(set(keys)) == len(keys)
    assert {key[:1] + key[2:3] for key in keys if key[1] == "text"} == {
        (row["sample_id"], row["pair_id"]) for row in rows(outcomes, work, "captions")
    }
    for row in vectors:
        assert np.linalg.norm(row["vector"]) == pytest.approx(1, abs=1e-5)
        assert row["model"] == "e"
        assert (row["pair_id"] is None) == (row["of"] == "picture")


def test_alip_s_three_similarities(web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path) -> None:
    """Of a sample: S_ti in the row of its first alt text, S_ci and S_tc in that of a caption."""
    outcomes = executed(recipe(web, server, clips=None), tmp_path / "work")
    samples = {row["sample_id"]: row for row in rows(outcomes, tmp_path / "work", "samples")}
    scores = {(row["sample_id"], row["captioner"], row["kind"], row["ordinal"]): row
              for row in rows(outcomes, tmp_path / "work", "caption_scores")}  # fmt: skip
    texts = {(row["sample_id"], row["captioner"], row["kind"], row["ordinal"]): row["text"]
             for row in rows(outcomes, tmp_path / "work", "captions")}  # fmt: skip
    for sample_id, sample in samples.items():
        alt, brief = next(key for key in texts if key[:2] == (sample_id, "alt")), (sample_id, "t", "brief", 0)
        if alt[2] == "chapter":  # of a part: its similarity is that of the part
            continue
        image = picture_of(tmp_path / "work", sample, (None, None), 4, tmp_path)
        raw, made = of_text(texts[alt]), of_text(texts[brief])
        wanted = (image @ raw, image @ made, raw @ made)
        found = (scores[alt]["similarity"], scores[brief]["similarity"], scores[brief]["text_similarity"])
        assert found == pytest.approx([float(each) for each in wanted], abs=1e-5)
        assert scores[alt]["text_similarity"] == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_vectors_are_made_once(web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path) -> None:
    work = tmp_path / "work"
    before = {row["sample_id"] for row in rows(executed(recipe(web, server, clips=None), work), work, "samples")}
    frames, texts = len(embedder.frames), len(embedder.texts)
    made = recipe(web, server, clips=None)
    executed(made, work)
    executed(made, work, "captions.choose.rule=score", "captions.choose.min_score=0.1")
    assert (len(embedder.frames), len(embedder.texts)) == (frames, texts)
    outcomes = executed(recipe(web, server, clips=None, count=7), work)
    assert len(embedder.frames) == frames + 2
    new = [row for row in rows(outcomes, work, "captions") if row["sample_id"] not in before]
    assert len(new) == 2 * 4, "brief, detailed, short, alt"
    assert len(embedder.texts) == texts + len({(row["media_bucket"], row["text"]) for row in new}), "once in a unit"
    are_cosines(outcomes, work, 4, tmp_path)
    frames, texts = len(embedder.frames), len(embedder.texts)
    more = recipe(web, server, clips=None, count=7)
    other = "captions.captioners=[{source: alt}, {source: model, name: t, model: m, max_tokens: 99}]"
    outcomes = executed(more, work, other)
    assert len(embedder.frames) == frames, "other captions, the same pictures"
    are_cosines(outcomes, work, 4, tmp_path)
    outcomes = executed(recipe(web, server, clips=None, count=7, frames=2), work)
    are_cosines(outcomes, work, 2, tmp_path)
    assert len(embedder.frames) == frames + 7 + (2 + 1) * 2


def test_vectors_are_those_of_the_bytes(web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path) -> None:
    """The same media stored in another size are other pictures."""
    told = [(web.picture(number), f"a dog, {number}") for number in range(4)]
    made = web.recipe(told, (), {"models": {"e": EMBED}, "similarity": {"model": "e"}})
    executed(made, tmp_path / "work")
    outcomes = executed(made, tmp_path / "work", "fetch.image.image_size=16")
    are_cosines(outcomes, tmp_path / "work", 4, tmp_path)
    assert len(embedder.frames) == 8


def test_nothing_is_stored_where_nothing_is_to_be(
    web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path
) -> None:
    stored = executed(recipe(web, server, clips=None), tmp_path / "one")
    made = recipe(web, server, clips=None, store=False)
    outcomes = executed(made, tmp_path / "two")
    assert rows(outcomes, tmp_path / "two", "embeddings") == []
    assert rows(outcomes, tmp_path / "two", "caption_scores") == rows(stored, tmp_path / "one", "caption_scores")
    calls = len(embedder.frames)
    assert executed(made, tmp_path / "two")["caption_scores"].units_done == 0
    assert len(embedder.frames) == calls


def test_a_picture_that_cannot_be_read_is_a_row(
    web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    made = recipe(web, server, clips=None, pairs={"media_buckets": 1})
    plain = executed(made, work, "captions.similarity=null")
    sample = next(row for row in rows(plain, work, "samples") if row["modality"] == "image")
    place = slice(sample["offset"], sample["offset"] + sample["size_bytes"])
    damaged = bytearray((work / sample["path"]).read_bytes())
    damaged[place] = bytes(sample["size_bytes"])
    (work / sample["path"]).write_bytes(damaged)
    broken = executed(made, work)
    are_cosines(broken, work, 4, tmp_path, [sample["sample_id"]])
    told = rows(broken, work, "embeddings")
    assert not any(row["sample_id"] == sample["sample_id"] and row["of"] == "picture" for row in told)
    assert executed(made, work)["caption_scores"].units_done == 0, "it stays as it is"


def test_opposite_frames_have_no_mean() -> None:
    opposite, both = np.zeros(2, np.float32), np.array([2, 2], np.float32)
    assert scores_module.unit_vector(opposite).tolist() == [0, 0]
    assert scores_module.unit_vector(both) == pytest.approx([2**-0.5, 2**-0.5])


def test_the_model_of_a_similarity_is_an_embedder(web: CaptionWeb, server: CaptionServer) -> None:
    with pytest.raises(RecipeError, match="servers do not give: take backend transformers"):
        load_recipe(recipe(web, server), ["captions.similarity.model=m"])
