"""Results in order by several threads, which do nothing more once nobody takes the results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Lock
from threading import enumerate as living
from typing import Any

import numpy as np
import pytest
from faults_caption_rows import Row, done, manifest, recipe
from faults_captions import Sums
from hypothesis import given, settings
from hypothesis import strategies as st

import curation.stages.caption_scores as scores_module
import curation.stages.captions as captions_module
from curation.errors import WorkFolderError
from curation.runner.stage import Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CAPTIONS, SAMPLES
from curation.stages.caption_scores import CaptionScores
from curation.stages.captions import Captions
from curation.stages.ordered_work import in_order
from curation.storage import Store

LATE_S = 0.3
"""Seconds for which an item waits to be outlived: more would be no other result."""


def threads() -> list[str]:
    return [thread.name for thread in living() if thread.name.startswith("caption")]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers()), st.integers(0, 4), st.integers(1, 9))
def test_results_are_those_of_map(items: list[int], many: int, ahead: int) -> None:
    assert list(in_order(lambda item: item * 2, iter(items), many, ahead)) == [item * 2 for item in items]
    assert not threads()


@pytest.mark.parametrize("many", [1, 4])
def test_no_more_is_taken_than_is_to_be_ahead(many: int) -> None:
    taken, gate = list[int](), Event()

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            if number == 5 + many:
                gate.set()
            yield number

    with closing(in_order(lambda item: gate.wait() and item, items(), many, ahead=5 + many)) as found:
        assert next(found) == 0
        assert len(taken) == 7 + many - 1


class Work:
    """Counts items; those behind `first` wait for the failure of whoever takes them, and then to be outlived."""

    def __init__(self, first: int) -> None:
        self.first, self.begun, self.ended = first, 0, 0
        self.goes_on, self.failed, self.closed = Event(), Event(), Event()
        self.at_close: tuple[int, int] | None = None
        self._lock = Lock()

    def __call__(self, *told: Any) -> Any:
        with self._lock:
            self.begun += 1
            number = self.begun
        if number == self.first:  # so that there are some behind it when its result is taken
            self.goes_on.wait()
        if number > self.first:
            self.goes_on.set()
            self.failed.wait()
            self.closed.wait(LATE_S)
        with self._lock:
            self.ended += 1

    @property
    def lost(self) -> str:
        """As of a claim."""
        self.failed.set()
        return "lost"

    def close(self) -> None:
        """Of what the threads use."""
        self.at_close = self.begun, self.ended
        self.closed.set()


def test_work_ends_before_what_it_uses() -> None:
    work = Work(3)
    with pytest.raises(ZeroDivisionError), closing(work), closing(in_order(work, range(100), 4)) as found:
        for _ in range(3):
            next(found)
        work.failed.set()
        1 / 0  # noqa: B018
    assert work.at_close == (work.begun, work.ended)
    assert 3 < work.begun == work.ended <= 7
    assert not threads()


def samples(count: int) -> list[Row]:
    ids = [f"{number:024x}" for number in range(count)]
    return [{"sample_id": id_, "media_id": id_, "modality": "image", "stored_sha256": id_} for id_ in ids]


def test_captioners_end_before_their_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, count = Work(captions_module._WRITTEN), captions_module._WRITTEN + 40

    class Tools:
        threads = 4

        def __init__(self, *told: Any) -> None: ...

        def of_captioners(self) -> Row:
            return {}

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *told: Any) -> None:
            work.close()

    class Captioning:
        def __init__(self, *told: Any) -> None: ...

        def outcomes(self, *told: Any) -> list[Any]:
            work()
            return []

    monkeypatch.setattr(captions_module, "Toolbox", Tools)
    monkeypatch.setattr(captions_module, "Captioning", Captioning)
    store = Store.at(tmp_path)
    made = manifest(store, "samples", {"bucket-00000": {SAMPLES: samples(count)}})
    inputs = {"samples": made.paths("samples"), "texts": [], "videos": [], "earlier": [], "limits": ""}
    told = {"order": ["alt"], "captioners": {"alt": {"source": "alt"}}, "models": {}, "prompts": {}}
    unit = Unit("bucket-00000", inputs, "1")
    with pytest.raises(WorkFolderError, match="lost"):
        Captions().process(unit, Task(store, "v", told, claim=work), UnitWriter(store, "captions", "v", unit))
    assert work.at_close == (work.begun, work.ended)
    assert work.first < work.begun == work.ended <= work.first + 4
    assert not threads()


def test_readers_of_pictures_end_with_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(scores_module._TOGETHER)

    class Media:
        def frames(self, times: list[int], size: tuple[int, int]) -> Iterator[tuple[int, Any]]:
            work()
            yield times[0], np.ones((1, size[1], size[0], 3), np.uint8)

    @contextmanager
    def opened(*told: Any) -> Iterator[Media]:
        yield Media()

    monkeypatch.setattr(scores_module, "opened", opened)
    monkeypatch.setattr(scores_module, "embedder_of", lambda *told: Sums())
    store, rows = Store.at(tmp_path), samples(200)
    captions = [{**row, "captioner": "alt", "kind": "alt", "status": "ok", "text": "a dog", "pair_id": row["sample_id"]}
                for row in rows]  # fmt: skip
    inputs = {"samples": manifest(store, "samples", {"bucket-00000": {SAMPLES: rows}}),
              "captions": manifest(store, "captions", {"bucket-00000": {CAPTIONS: captions}},
                                   of_units={"bucket-00000": {"texts": 200}})}  # fmt: skip
    section = recipe({"models": {"e": {"backend": "transformers", "model": "clip", "task": "embed"}},
                      "similarity": {"model": "e"}})  # fmt: skip
    stage, settled = CaptionScores(), CaptionScores().settings(section)
    paths = {name: made.paths(name) for name, made in inputs.items()}
    unit = Unit("bucket-00000", {**paths, "earlier": [], "limits": ""}, "1")
    task = Task(store, "v", settled, {"kind": "1"}, claim=work)
    with pytest.raises(WorkFolderError, match="lost") as raised:
        stage.process(unit, task, UnitWriter(store, stage.name, "v", unit))
    assert raised.traceback, "which would keep what is not closed"
    assert work.first < work.begun == work.ended <= work.first + 4
    assert not threads()
    monkeypatch.setattr(work, "first", 1000)
    assert done(stage, store, section, inputs).counts["scored"] == 200
