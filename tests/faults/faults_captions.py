"""A small web of pictures and films on loopback for tests of captions: recipes over it, runs, and what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from faults_films import HOSTS, PAGE, rows
from faults_web import QUICK, picture

from curation.runner.run import StageOutcome
from curation.testing.caption_server import CaptionServer, Question
from curation.testing.video_server import VideoServer
from curation.testing.videos import Film, Shot, Style, write_video

Row = dict[str, Any]
Outcomes = dict[str, StageOutcome]
ENTRIES = ("dog", "cat", "house", "tree", "car")
NO_NEAR = {"duplicates": {"max_distance": None}}
"""The pictures are made up alike: only equal bytes are copies."""


@dataclass(frozen=True)
class CaptionWeb:
    """films: what is served at /file/NAME. server.files: path -> what else is, and may change between runs."""

    folder: Path
    server: VideoServer
    films: dict[str, Film]

    def film(self, name: str) -> str:
        return self.server.url(HOSTS[0], f"/file/{name}")

    def picture(self, number: int, name: str = "") -> str:
        """The URL of a picture; of the same bytes under another name."""
        path = f"/pics/{name or number}.jpg"
        self.server.files[path] = picture(number)
        return self.server.url(HOSTS[1], path)

    def put(self, path: str, text: str) -> str:
        self.server.files[path] = text.encode()
        return self.server.url(HOSTS[0], path)

    def recipe(
        self, pictures: Sequence[tuple[str, str]] = (), films: Sequence[Row] = (), captions: Any = None,
        name: str = "recipe.yaml", **sections: Any,
    ) -> Path:  # fmt: skip
        """A recipe over (URL, text) of pictures, and rows of films: url, caption (or none), parts ({start, end, title}
        in seconds).
        """
        inputs = []
        if pictures:
            told = pa.table(dict(zip(("url", "caption"), map(list, zip(*pictures, strict=True)), strict=True)))
            inputs.append(self._table(f"{name}.pictures", told, "image"))
        if films:
            told = pa.Table.from_pylist([{"caption": None, "parts": [], **film} for film in films], _OF_FILMS)
            inputs.append(self._table(f"{name}.films", told, "video", chapters="parts"))
        (self.folder / "entries.txt").write_text("\n".join(ENTRIES))
        network = {**QUICK, "hosts": self.server.addresses, "attempts": 2, **sections.pop("network", {})}
        fetch = {"modalities": ["image", "video"], "network": network, "shard_media": 40, **sections.pop("fetch", {})}
        tree = {
            "name": "captions",
            "inputs": inputs,
            "pairs": {"media_buckets": 2},
            "match": {"definition": "v1", "vocabularies": {"en": str(self.folder / "entries.txt")}, "fallback": "en"},
            "balance": {"t": 1_000_000},
            "fetch": fetch,
            "captions": captions or {},
            **NO_NEAR,
            **sections,
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump(tree))
        return path

    def _table(self, name: str, told: pa.Table, modality: str, **columns: Any) -> Row:
        path = self.folder / f"{name}.parquet"
        pq.write_table(told, path)
        mapped = {"media_url": "url", "texts": {"caption": "caption"}, **columns}
        return {"kind": "table", "paths": [str(path)], "columns": mapped, "modality": modality}


_PART = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("title", pa.string())])
_OF_FILMS = pa.schema([("url", pa.string()), ("caption", pa.string()), ("parts", pa.list_(_PART))])


@contextmanager
def caption_web(folder: Path, films: dict[str, Film] | None = None) -> Iterator[CaptionWeb]:
    bodies = {name: film.path.read_bytes() for name, film in (films or {}).items()}
    folder.mkdir(parents=True, exist_ok=True)
    with VideoServer(HOSTS, bodies=lambda host, path: bodies.get(path.rpartition("/")[2], PAGE)) as server:
        yield CaptionWeb(folder, server, films or {})


def two_shots(folder: Path) -> dict[str, Film]:
    """Films of 108 frames, 24 a second: two shots, and a second of black between them."""
    folder.mkdir(parents=True, exist_ok=True)
    style = Style(size=(192, 108))
    shots = {"dog.mp4": "dog", "cat.mp4": "cat"}
    return {
        name: write_video(folder / name, [Shot(40, concept), Shot(20, black=True), Shot(48, concept, "b")], style)
        for name, concept in shots.items()
    }


SHOTS = {"clips": {"split": {"set": "shots", "min_length_s": 1}, "cut": {"preset": "ultrafast"}}}
"""Two clips of each film: (0, 40) and (60, 108)."""


def served(server: CaptionServer, **more: Any) -> Row:
    """captions.models.M of a server; one request at a time, quickly given up."""
    return {"backend": "server", "url": server.url, "model": server.model, "slots": 1, "attempts": 2,
            "backoff_s": 0.001, **more}  # fmt: skip


def teacher(name: str, folder: Path | None = None, **more: Any) -> Row:
    """A captioner of model m. prompt, or prompts: kind -> text, that are written to files."""
    prompts = {kind: _prompt(folder, name, kind, text) for kind, text in more.pop("prompts", {}).items()}
    return {"source": "model", "name": name, "model": "m", **({"prompts": prompts} if prompts else {}), **more}


def _prompt(folder: Path | None, name: str, kind: str, text: str) -> str:
    if folder is None:
        raise ValueError("prompts need a folder")
    path = folder / f"{name}-{kind}.txt"
    path.write_text(text)
    return str(path)


def captions_of(outcomes: Outcomes, work: Path, captioner: str | None = None) -> dict[str, list[Row]]:
    """Rows of captions by sample_id."""
    found: dict[str, list[Row]] = {row["sample_id"]: [] for row in rows(outcomes, work, "samples")}
    for row in rows(outcomes, work, "captions"):
        if captioner is None or row["captioner"] == captioner:
            found[row["sample_id"]].append(row)
    return found


def texts_of(outcomes: Outcomes, work: Path, captioner: str) -> dict[str, list[tuple[str, str]]]:
    """(kind, text) by sample_id."""
    return {
        sample: [(row["kind"], row["text"]) for row in own]
        for sample, own in captions_of(outcomes, work, captioner).items()
    }


def are_lawful(outcomes: Outcomes, work: Path, labels: Sequence[str], words_alone: Sequence[str] = ()) -> None:
    """Every (sample, captioner) has exactly one outcome, and counts are those of the rows."""
    every, counts = rows(outcomes, work, "captions"), outcomes["captions"].manifest.counts
    samples = [row["sample_id"] for row in rows(outcomes, work, "samples")]
    places = [(row["media_bucket"], row["sample_id"]) for row in every]
    assert places == sorted(places)
    statuses: dict[tuple[str, str], set[str]] = {}
    for row in every:
        statuses.setdefault((row["sample_id"], row["captioner"]), set()).add(row["status"])
        assert (row["text"] is None, row["kind"] == "") == (row["status"] != "ok", row["status"] != "ok")
        assert (row["error"] is None) == (row["status"] != "failed")
        assert (row["pair_id"] is None) == (row["text"] is None)
    assert all(len(found) == 1 for found in statuses.values())
    asked = {(sample, label) for sample in samples for label in labels}
    assert asked | {(sample, label) for sample in samples for label in words_alone} >= statuses.keys()
    unasked = Counter(label for _, label in asked - statuses.keys())  # there was nothing to ask
    keys = [(row["sample_id"], row["captioner"], row["kind"], row["ordinal"]) for row in every]
    assert len(set(keys)) == len(keys)
    assert counts["samples"] == len(samples)
    assert counts["asked"] == len(samples) * (len(labels) + len(words_alone))
    assert counts.get("texts", 0) == sum(row["status"] == "ok" for row in every)
    assert counts.get("captioned", 0) == sum(found == {"ok"} for found in statuses.values())
    for label in labels:
        silent = sum(found == {"silent"} for (_, of), found in statuses.items() if of == label)
        assert counts.get(f"silent:{label}", 0) == silent + unasked[label]
        errors = Counter(row["error"] for row in every if row["captioner"] == label and row["error"] is not None)
        told = {name: n for name, n in counts.items() if name.startswith(f"failed:{label}.")}
        assert told == {f"failed:{label}.{error}": n for error, n in errors.items()}


def was_asked(server: CaptionServer, since: int = 0) -> int:
    return len(server.log) - since


def never_twice(*servers: CaptionServer) -> None:
    """No request that was answered well was sent again, to whichever server."""
    answered = sum((server.answered() for server in servers), Counter[str]())
    assert max(answered.values(), default=0) <= 1


class Told:
    """An answer hook: keeps what is asked, and answers so that all can be told apart. stop: raised behind so many."""

    def __init__(self, act: Callable[[int], None] = lambda number: None) -> None:
        self.asked: list[Question] = []
        self._act = act

    def __call__(self, question: Question) -> str:
        self.asked.append(question)
        self._act(len(self.asked))
        return f"A dog says {len(question.pictures)} and: {' / '.join(question.texts)}"


class Sums:
    """An embedder: vectors by hand. Frames: by their mean colour; texts: by their length and first letter."""

    size = (4, 3)

    def __init__(self) -> None:
        self.frames: list[npt.NDArray[np.uint8]] = []
        self.texts: list[str] = []

    def embed_frames(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.frames += list(frames)
        return np.stack([of_frame(frame) for frame in frames])

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.texts += texts
        return np.stack([of_text(text) for text in texts])


def of_frame(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return unit([*frame.reshape(-1, 3).mean(axis=0), float(frame[0, 0, 0])])


def of_text(text: str) -> npt.NDArray[np.float32]:
    return unit([len(text) % 7 + 1.0, text.count("a") - 2.0, float(ord(text[0]) % 5), len(text.split())])


def unit(vector: Sequence[float]) -> npt.NDArray[np.float32]:
    array = np.asarray(vector, np.float64)
    return (array / (np.linalg.norm(array) or 1.0)).astype(np.float32)
