"""caption_scores: how near every caption is to its picture, by the embeddings of both. One unit per media bucket.

Vectors that an earlier unit stored (captions.similarity.store) are taken over, of pictures and of texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.captions.faults import PASSING as PASSING_FAULTS
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import Embedder, Frames, Vectors
from curation.captions.strategies.describe import picture_times
from curation.captions.toolbox import embedder_of
from curation.digests import digest
from curation.recipe import Captions as CaptionsSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import CAPTION_SCORES, CAPTIONS, EMBEDDINGS, SAMPLES
from curation.stages.along import Along
from curation.stages.captions import section_of
from curation.stages.following import PASSING, FollowingStage, of_unit
from curation.stages.ordered_work import in_order
from curation.stages.sample_media import opened
from curation.storage import Store

_OF_CAPTIONS = ["sample_id", "captioner", "kind", "ordinal", "status", "text", "start_ms", "end_ms", "pair_id",
                "text_media_id"]  # fmt: skip
_OF_SAMPLES = ["sample_id", "media_id", "modality", "path", "offset", "size_bytes", "stored_sha256",
               "duration_ms"]  # fmt: skip
_TOLD = ("sample_id", "captioner", "kind", "ordinal", "start_ms", "end_ms", "pair_id", "text_media_id")
_FEW = 4
"""Frames of a sample that are embedded together with those of others. Of one with more, _AT_A_TIME by themselves."""
_AT_A_TIME = 32
_TOGETHER = 64
"""Samples that are embedded together: 256 frames at most, 40 MB of 224 x 224."""
_AHEAD = 32
"""Samples that are read before: 128 frames at most, and _AT_A_TIME of each thread."""
_CAPTIONS = 1024
"""Captions behind which no further sample is taken: films have hundreds, and each has two vectors."""
_THREADS = 4

Row = dict[str, Any]
Vector = npt.NDArray[np.float32]
Span = tuple[int | None, int | None]
Key = tuple[Any, ...]


class CaptionScores(FollowingStage):
    """Cosines of caption and picture (the mean of frames over what the caption is about), and of caption and alt text.

    With ALIP's names: of a caption similarity is S_ci and text_similarity S_tc; in the row of the first alt text
    similarity is S_ti. Its weights are a function of these three (curation.captions.weights).
    """

    name = "caption_scores"
    about = "compare the captions with their pictures"
    after = ("samples", "captions")
    outputs = (CAPTION_SCORES, EMBEDDINGS)
    laws = (Law(("captions.texts",), ("rows:caption_scores",)), Law(("rows:caption_scores",), ("scored", "failed:*")))
    source = ("captions", CAPTIONS.name)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        section = section_of(recipe)
        if section.similarity is None:
            return {}
        return {**section.similarity.model_dump(), "models": {
            section.similarity.model: section.models[section.similarity.model].model_dump()
        }}  # fmt: skip

    def kind(self, planning: Planning) -> str:
        settings = planning.settings
        model = settings["models"][settings["model"]]
        told = {name: model[name] for name in ("model", "dtype")}
        return digest(self.name, self.code_version, told, settings["frames"], settings["store"])[:16]

    def inputs(self, planning: Planning, name: str) -> tuple[dict[str, Any], list[str]]:
        captions, content = of_unit(planning.inputs["captions"], name, CAPTIONS.name)
        samples, _ = of_unit(planning.inputs["samples"], name, SAMPLES.name)
        return {"captions": captions, "samples": samples}, content

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        name, frames = task.settings["model"], task.settings["frames"]
        embedder = embedder_of(CaptionsSection.model_validate({"models": task.settings["models"]}), name, task.tasks)
        known = _Stored(task.store, self.earlier(unit, task, writer))
        jobs = (_Job(row, captions, known.of(row)) for row, captions in _joined(task.store, unit))

        def looked_at(job: _Job) -> _Job:
            job.look(task.store, embedder, frames)
            return job

        with closing(in_order(looked_at, jobs, _THREADS, ahead=_AHEAD)) as ready:
            for part in _parts(ready):
                task.check_claim()
                _embed(part, embedder)
                _write(part, writer, name if task.settings["store"] else None)


def _parts(jobs: Iterable[_Job]) -> Iterator[list[_Job]]:
    """Samples that are held together."""
    part: list[_Job] = []
    for job in jobs:
        part.append(job)
        if len(part) == _TOGETHER or sum(len(each.captions) for each in part) >= _CAPTIONS:
            yield part
            part = []
    if part:
        yield part


def _write(jobs: list[_Job], writer: UnitWriter, model: str | None) -> None:
    """model: the name with which vectors are stored; None: they are not."""
    scores = [row for job in jobs for row in job.scores()]
    for row in scores:
        writer.counts["scored" if row["error"] is None else f"failed:{row['error']}"] += 1
        writer.counts[PASSING] += row["error"] in PASSING_FAULTS
    writer.write(CAPTION_SCORES, pa.RecordBatch.from_pylist(scores, schema=CAPTION_SCORES.schema))
    if model is not None:
        rows = [row for job in jobs for row in job.embeddings(model)]
        writer.write(EMBEDDINGS, pa.RecordBatch.from_pylist(rows, schema=EMBEDDINGS.schema))


def _joined(store: Store, unit: Unit) -> Iterator[tuple[Row, list[Row]]]:
    """Samples that have captions, with these."""
    captions = Along(store, unit.inputs["captions"], "sample_id", _OF_CAPTIONS)
    for batch in store.batches(unit.inputs["samples"], _OF_SAMPLES, 256):
        for sample in batch.to_pylist():
            said = [row for row in captions.of(sample["sample_id"]) if row["status"] == "ok"]
            if said:
                yield sample, said


class _Sums:
    """Sums of the vectors of frames by span: no frame is held, and each is looked at once, in however many it lies."""

    def __init__(self, spans: Mapping[Key, list[int]]) -> None:
        """spans: times in ms of each."""
        self.at: dict[int, list[Key]] = {}
        for key, times in spans.items():
            for time in times:
                self.at.setdefault(time, []).append(key)
        self._open = {key: len(times) for key, times in spans.items()}
        self._sums: dict[Key, Vector] = {}

    def add(self, times: Iterable[int], vectors: Vectors) -> None:
        for time, vector in zip(times, vectors, strict=True):
            for key in self.at[time]:
                self._sums[key] = self._sums[key] + vector if key in self._sums else vector.copy()
                self._open[key] -= 1

    def whole(self) -> Iterator[tuple[Key, Vector]]:
        """Of the spans all of whose frames were added."""
        return ((key, total) for key, total in self._sums.items() if not self._open[key])


@dataclass
class _Job:
    """One sample on its way: what is asked for, and the vectors that are there."""

    sample: Row
    captions: list[Row]
    vectors: dict[Key, Vector]
    frames: list[tuple[int, Frames]] = field(default_factory=list)
    """Those that are to be embedded, by their times."""
    faults: dict[Key, Fault] = field(default_factory=dict)
    _sums: _Sums = field(default_factory=lambda: _Sums({}))
    _failure: Fault = Fault.NO_MEDIA

    def look(self, store: Store, embedder: Embedder, frames: int) -> None:
        """Reads the frames of all parts that captions are about, in one pass."""
        spans = {_picture_key(span): span for span in map(_span, self.captions)}
        self._sums = _Sums({key: _times(self.sample, span, frames) for key, span in spans.items()
                            if key not in self.vectors})  # fmt: skip
        times = sorted(self._sums.at)
        if not times:
            return
        try:
            with opened(store, self.sample) as media:
                for frame in media.frames(times, embedder.size):
                    self.frames.append(frame)
                    if len(self.frames) == _AT_A_TIME:
                        self.add(embedder.embed_frames(_stacked(self.frames)))
        except CaptionFaultError as failure:
            self._failure = failure.fault
        if len(times) > _FEW and self.frames:
            self.add(embedder.embed_frames(_stacked(self.frames)))

    def add(self, vectors: Vectors) -> None:
        """Of its frames, which go."""
        self._sums.add((time for time, _ in self.frames), vectors)
        self.frames = []

    def put(self, vectors: Iterable[tuple[Key, Vector]]) -> None:
        """Those that are finite."""
        for key, vector in vectors:
            if np.isfinite(vector).all():
                self.vectors[key] = vector
            else:
                self.faults[key] = Fault.MODEL

    def pictures(self) -> Iterator[tuple[Key, Vector]]:
        """Means over frames."""
        return ((key, unit_vector(total)) for key, total in self._sums.whole())

    def texts(self) -> dict[Key, str]:
        """Those without a vector, the sample's first alt text among them."""
        wanted = {_text_key(caption["pair_id"]): caption["text"] for caption in self.captions}
        return {key: text for key, text in wanted.items() if key not in self.vectors}

    def scores(self) -> Iterator[Row]:
        alts = [caption["pair_id"] for caption in self.captions if caption["text_media_id"] is not None]
        alt = self.vectors.get(_text_key(alts[0])) if alts else None
        for caption in self.captions:
            keys = _picture_key(_span(caption)), _text_key(caption["pair_id"])
            missing = [self.faults.get(key, self._failure) for key in keys if key not in self.vectors]
            picture, text = (self.vectors.get(key) for key in keys)
            yield {
                **{name: caption[name] for name in _TOLD},
                "media_id": self.sample["media_id"],
                "error": str(missing[0]) if missing else None,
                "similarity": _product(picture, text),
                "text_similarity": _product(alt, text),
            }

    def embeddings(self, model: str) -> Iterator[Row]:
        said = {caption["pair_id"]: caption["text_media_id"] for caption in self.captions}
        wanted = {_text_key(pair_id) for pair_id in said} | {_picture_key(_span(caption)) for caption in self.captions}
        for key in sorted(wanted & self.vectors.keys(), key=str):
            of, pair_id, start_ms, end_ms = key
            yield {
                **{name: self.sample[name] for name in ("sample_id", "media_id", "stored_sha256")},
                "of": of,
                "pair_id": pair_id,
                "text_media_id": said.get(pair_id),
                "start_ms": start_ms,
                "end_ms": end_ms,
                "model": model,
                "vector": self.vectors[key],
            }


def _span(caption: Row) -> Span:
    return caption["start_ms"], caption["end_ms"]


def _picture_key(span: Span) -> Key:
    return "picture", None, *span


def _text_key(pair_id: str) -> Key:
    return "text", pair_id, None, None


def _product(left: Vector | None, right: Vector | None) -> float | None:
    return None if left is None or right is None else float(left @ right)


def _times(sample: Row, span: Span, frames: int) -> list[int]:
    """Of an image, whose duration is null, one, whatever is said about which part."""
    duration = sample["duration_ms"]
    start, end = (0, duration or 0) if duration is None or span[0] is None or span[1] is None else (span[0], span[1])
    return [start + time for time in picture_times(sample["sample_id"], max(0, end - start), frames)]


def _stacked(frames: Sequence[tuple[int, Frames]]) -> Frames:
    return np.concatenate([pixels for _, pixels in frames])


def _embed(jobs: list[_Job], embedder: Embedder) -> None:
    """Vectors of all that is missing: pictures in one batch, and every text once."""
    waiting = [job for job in jobs if job.frames]
    if waiting:
        counts = [len(job.frames) for job in waiting]
        vectors = embedder.embed_frames(_stacked([frame for job in waiting for frame in job.frames]))
        for job, own in zip(waiting, np.split(vectors, np.cumsum(counts)[:-1]), strict=True):
            job.add(own)
    texts = list(dict.fromkeys(text for job in jobs for text in job.texts().values()))
    of_text = dict(zip(texts, embedder.embed_texts(texts), strict=True)) if texts else {}
    for job in jobs:
        job.put(job.pictures())
        job.put([(key, of_text[text]) for key, text in job.texts().items()])


def unit_vector(vector: Vector) -> Vector:
    """Of the same direction, of length one; a vector of zeros, or one that is not finite, as it is."""
    length = float(np.linalg.norm(np.asarray(vector, np.float64)))
    return np.asarray(vector / length if 0 < length < np.inf else vector, np.float32)


class _Stored:
    """Vectors of an earlier unit."""

    def __init__(self, store: Store, report: UnitReport | None) -> None:
        paths = [] if report is None else report.paths(EMBEDDINGS.name)
        self._rows = Along(store, paths, "sample_id", rows=256, may_be_gone=True)

    def of(self, sample: Row) -> dict[Key, Vector]:
        """Those of the same bytes."""
        return {
            (row["of"], row["pair_id"], row["start_ms"], row["end_ms"]): np.array(row["vector"], np.float32)
            for row in self._rows.of(sample["sample_id"])
            if row["stored_sha256"] == sample["stored_sha256"]
        }
