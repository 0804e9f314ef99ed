"""caption_scores over films that are made up: frames looked at once and let go, vectors that are none, texts."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from faults_caption_rows import Row, done, manifest, recipe, rows_of
from faults_captions import of_text, unit
from hypothesis import given, settings
from hypothesis import strategies as st

import curation.stages.caption_scores as scores_module
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.strategies.describe import picture_times
from curation.runner.stage import Manifest
from curation.schemas import CAPTION_SCORES, CAPTIONS, EMBEDDINGS, SAMPLES
from curation.stages.caption_scores import CaptionScores
from curation.storage import Store

Vector = npt.NDArray[np.float32]
MODELS = {"e": {"backend": "transformers", "model": "clip", "task": "embed"}}
BAD = "no vector"


def of_time(time_ms: int) -> Vector:
    return unit([1.0 + time_ms % 7, time_ms % 11 - 5.0, time_ms % 13 - 6.0, 1.0])


@dataclass
class Films:
    """Media whose frames tell their time, and the embedder that reads it off them. broken, strange: times in ms from
    which frames cannot be decoded, and at which a frame's vector is none.
    """

    size: tuple[int, int] = (2, 2)
    broken: float = float("inf")
    strange: int = -1
    opened: Counter[str] = field(default_factory=Counter)
    asked: list[list[int]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)

    @contextmanager
    def media(self, store: Store, sample: Row) -> Iterator[Films]:
        self.opened[sample["sample_id"]] += 1
        yield self

    def frames(self, times_ms: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Any]]:
        self.asked.append(list(times_ms))
        for time_ms in times_ms:
            if time_ms >= self.broken:
                raise CaptionFaultError(Fault.TIMEOUT, "too late")
            pixels = np.empty((1, size[1], size[0], 3), np.uint8)
            pixels.reshape(-1)[:4] = np.frombuffer(np.int32(time_ms).tobytes(), np.uint8)
            yield time_ms, pixels

    def embed_frames(self, frames: npt.NDArray[np.uint8]) -> Vector:
        self.batches.append(len(frames))
        times = [int(np.frombuffer(frame.reshape(-1)[:4].tobytes(), np.int32)[0]) for frame in frames]
        return np.stack([of_time(time) * (np.nan if time == self.strange else 1) for time in times])

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        self.texts.append(list(texts))
        return np.stack([of_text(text) + np.float32(np.inf if text == BAD else 0) for text in texts])


def sample(number: int, duration_ms: int | None = 60_000) -> Row:
    id_ = f"{number:024x}"
    return {"sample_id": id_, "media_id": id_, "modality": "image" if duration_ms is None else "video",
            "stored_sha256": id_, "duration_ms": duration_ms}  # fmt: skip


def caption(of: Row, ordinal: int, text: str, span: tuple[int, int] | None = None, *, alt: bool = False) -> Row:
    start, end = span or (None, None)
    return {**of, "captioner": "alt" if alt else "x", "kind": "alt" if alt else "transcript", "ordinal": ordinal,
            "status": "ok", "text": text, "pair_id": f"{of['sample_id']} {ordinal} {alt}", "start_ms": start,
            "end_ms": end, "text_media_id": of["media_id"] if alt else None}  # fmt: skip


def scored(folder: Path, films: Films, samples: list[Row], captions: list[Row], frames: int = 4) -> tuple[Any, ...]:
    store = Store.at(folder)
    unit_name, texts = "bucket-00000", {"texts": len(captions)}
    inputs: dict[str, Manifest] = {
        "samples": manifest(store, "samples", {unit_name: {SAMPLES: samples}}),
        "captions": manifest(store, "captions", {unit_name: {CAPTIONS: captions}}, of_units={unit_name: texts}),
    }
    section = recipe({"models": MODELS, "similarity": {"model": "e", "frames": frames}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores_module, "opened", films.media)
        patch.setattr(scores_module, "embedder_of", lambda *told: films)
        made = done(CaptionScores(), store, section, inputs)
    return rows_of(store, made, CAPTION_SCORES), rows_of(store, made, EMBEDDINGS), made.counts


def similarity(of: Row, row: Row, frames: int) -> float:
    start, end = (0, of["duration_ms"] or 0) if row["start_ms"] is None else (row["start_ms"], row["end_ms"])
    times = [start + time for time in picture_times(of["sample_id"], end - start, frames)]
    if of["duration_ms"] is None:
        times = [0]
    return float(unit(np.sum([of_time(time) for time in times], axis=0, dtype=np.float64)) @ of_text(row["text"]))


_SPAN = st.none() | st.tuples(st.integers(0, 50_000), st.integers(0, 9000)).map(lambda at: (at[0], at[0] + at[1]))
_SAMPLES = st.lists(
    st.tuples(st.sampled_from([None, 3, 60_000]), st.lists(st.tuples(_SPAN, st.sampled_from("abc")), max_size=30)),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(_SAMPLES, st.integers(1, 9), st.integers(1, 70))
@pytest.mark.slow
def test_every_span_has_the_mean_of_its_frames(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int | None, list[Any]]], frames: int, together: int
) -> None:
    samples = [sample(number, duration) for number, (duration, _) in enumerate(told)]
    captions = [caption(of, ordinal, text, span) for of, (_, own) in zip(samples, told, strict=True)
                for ordinal, (span, text) in enumerate(own)]  # fmt: skip
    films = Films()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores_module, "_CAPTIONS", together)
        rows, vectors, _ = scored(tmp_path_factory.mktemp("work"), films, samples, captions, frames)
    by_id = {of["sample_id"]: of for of in samples}
    assert [row["pair_id"] for row in rows] == [row["pair_id"] for row in captions]
    for row, of in zip(rows, captions, strict=True):
        assert row["error"] is None and (row["start_ms"], row["end_ms"]) == (of["start_ms"], of["end_ms"])
        assert row["similarity"] == pytest.approx(similarity(by_id[row["sample_id"]], of, frames), abs=1e-5)
    assert set(films.opened.values()) <= {1}, "no film is opened again for another part"
    assert all(times == sorted(set(times)) for times in films.asked)
    assert sum(films.batches) == sum(map(len, films.asked)), "each frame once"
    assert all(np.isclose(np.linalg.norm(row["vector"]), 1, atol=1e-5) for row in vectors)


def test_memory_is_for_some_frames(tmp_path: Path) -> None:
    """Of films whose every other second is spoken about: one has 30 MB of frames or more."""
    samples = [sample(number, 200_000) for number in range(10)]
    captions = [caption(of, n, f"{n}", (2000 * n, 2000 * n + 2000)) for of in samples for n in range(100)]
    films = Films(size=(160, 160))
    tracemalloc.start()
    try:
        rows, *_ = scored(tmp_path, films, samples, captions)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rows) == 1000 and sum(films.batches) == 4000
    assert max(films.batches) <= 256
    assert peak < 60e6, f"{peak / 1e6:.0f} MB; all frames: 307 MB"


def test_few_frames_are_embedded_together(tmp_path: Path) -> None:
    """Most samples are pictures: a model takes many at a time, and no more than it is given."""
    samples = [sample(number, None if number % 2 else 60_000) for number in range(200)]
    films = Films()
    scored(tmp_path, films, samples, [caption(of, 0, "a dog") for of in samples])
    assert len(films.batches) == 4 and max(films.batches) <= 256
    assert sum(films.batches) == 100 + 4 * 100


def test_a_text_is_embedded_once(tmp_path: Path) -> None:
    samples = [sample(number, None) for number in range(5)]
    texts = ["a dog", "a cat", "a dog", "a tree"]
    films = Films()
    captions = [caption(of, n, text) for of in samples for n, text in enumerate(texts)]
    rows, *_ = scored(tmp_path, films, samples, captions)
    assert [sorted(asked) for asked in films.texts] == [["a cat", "a dog", "a tree"]]
    assert [row["similarity"] for row in rows] == [
        pytest.approx(float(of_time(0) @ of_text(text)), abs=1e-5) for _ in samples for text in texts
    ]


def test_what_has_no_finite_vector_has_no_similarity(tmp_path: Path) -> None:
    """A picture, a text, an alt text: each says so, and nothing that is no number is stored."""
    one, two, three = sample(1), sample(2, None), sample(3, None)
    captions = [
        caption(one, 0, "a dog", (0, 8000)), caption(one, 1, "a dog", (8000, 16_000)), caption(one, 2, BAD, (0, 8000)),
        caption(one, 3, BAD, (8000, 16_000)), caption(two, 0, "a dog"), caption(two, 1, BAD),
        caption(three, 0, BAD, alt=True), caption(three, 0, "a cat"),
    ]  # fmt: skip
    films = Films(strange=9000)  # the middle of the first of four parts of (8000, 16000)
    rows, vectors, counts = scored(tmp_path, films, [one, two, three], captions)
    told = [(row["error"], row["similarity"] is None) for row in rows]
    sound, none = (None, False), ("model", True)
    assert told == [sound, none, none, none, sound, none, none, sound]
    assert all(row["text_similarity"] is None for row in rows)
    assert all(np.isfinite(row["vector"]).all() for row in vectors)
    assert len([row for row in vectors if row["of"] == "picture"]) == 3
    assert (counts["scored"], counts["failed:model"], counts.get("passing", 0)) == (3, 5, 0)


@pytest.mark.parametrize("broken", [10_000, 30_000])
def test_what_was_read_before_a_film_broke_is_scored(tmp_path: Path, broken: int) -> None:
    of = sample(1)
    captions = [caption(of, n, f"{n}", (2000 * n, 2000 * n + 2000)) for n in range(30)]
    rows, _, counts = scored(tmp_path, Films(broken=broken), [of], captions)
    whole = broken // 2000
    assert [row["error"] for row in rows] == [None] * whole + ["timeout"] * (30 - whole)
    assert [row["similarity"] is None for row in rows] == [False] * whole + [True] * (30 - whole)
    assert (counts["scored"], counts["failed:timeout"], counts["passing"]) == (whole, 30 - whole, 30 - whole)
