"""What is forgotten is in no caption, score, vector or journal: neither at once nor after the next run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from faults_captions import CaptionWeb, Sums, Told, are_lawful, caption_web, served, teacher, two_shots
from faults_films import executed, rows

from curation.crawl.urls import media_id
from curation.errors import StageError
from curation.forget import Copies, Request, forget
from curation.pipeline import CAPTION_STAGES
from curation.stages.captions import ANSWERS
from curation.storage import Store
from curation.testing.caption_faults import CaptionFaults
from curation.testing.caption_server import CaptionServer

FOLDERS = [dataset.name for stage in CAPTION_STAGES for dataset in stage.outputs]
ALL_TEXTS = {"duplicates": {"max_distance": None, "texts": "all"}}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    with caption_web(tmp_path_factory.mktemp("web"), two_shots(tmp_path_factory.mktemp("films"))) as started:
        yield started


@pytest.fixture
def server() -> Iterator[CaptionServer]:
    with CaptionServer(answer=Told()) as started:
        yield started


def text(name: str) -> str:
    """Of a media; its words are found again wherever they are."""
    return f"a dog, secret{name}x"


def recipe(web: CaptionWeb, server: CaptionServer, prompt: str = "See it, {alt}", **more: Any) -> Path:
    """Six pictures; 1 with a copy, which says something of its own; a film."""
    told = [(web.picture(number), text(str(number))) for number in range(6)]
    told.append((web.picture(1, "copy"), text("copy")))
    captioners = [{"source": "alt"}, teacher("t", web.folder, prompts={"detailed": prompt})]
    captions = {"captioners": captioners, "models": {"m": served(server), "e": {
        "backend": "transformers", "model": "clip", "task": "embed"}}, "similarity": {"model": "e"},
        "balance": {"t": 100}}  # fmt: skip
    films = [{"url": web.film("dog.mp4"), "caption": text("film")}]
    return web.recipe(told, films, captions, **{"pairs": {"media_buckets": 2}, "clips": None, **ALL_TEXTS, **more})


def traces(work: Path, gone: str, words: str) -> list[str]:
    """Files below a work folder that hold a row about some media in a dataset of captions, or words anywhere."""
    found = []
    for path in (path for path in work.rglob("*") if path.is_file() and "_forgotten" not in path.parts):
        cells = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else []
        is_about = any(row.get(name) == gone for row in cells for name in ("media_id", "text_media_id", "sample_id"))
        says = any(words in str(row) for row in cells) or words.encode() in path.read_bytes()
        if says or (is_about and path.relative_to(work).parts[0] in FOLDERS):
            found.append(str(path.relative_to(work)))
    return found


def media_of(web: CaptionWeb, name: str) -> str:
    if name == "film":
        return web.film("dog.mp4")
    return web.picture(1, "copy") if name == "copy" else web.picture(int(name))


@pytest.mark.parametrize(("name", "copies"), [("3", "near"), ("film", "near"), ("1", "exact")])
@pytest.mark.slow
def test_a_forgotten_media_is_in_no_caption(
    web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path, name: str, copies: Copies
) -> None:
    work, made = tmp_path / "work", recipe(web, server)
    executed(made, work)
    executed(made, work, "captions.choose.rule=score", "captions.balance={t: 50}")
    url = media_of(web, name)
    folders = {trace.split("/")[0] for trace in traces(work, media_id(url), f"secret{name}x")}
    assert folders >= {"sample_texts", "captions", "caption_scores", "embeddings"}
    since, seen = len(server.log), len(embedder.frames)
    forget(Store.at(work), Request(urls=(url,), copies=copies))
    assert traces(work, media_id(url), f"secret{name}x") == []
    outcomes = executed(made, work)
    assert traces(work, media_id(url), f"secret{name}x") == []
    are_lawful(outcomes, work, ["alt", "t"])
    assert len(rows(outcomes, work, "samples")) == 6
    assert (len(server.log), len(embedder.frames)) == (since, seen), "nothing is done again for those that stay"


@pytest.mark.slow
def test_the_text_of_a_forgotten_copy_goes_and_the_picture_stays(
    web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path
) -> None:
    work, made = tmp_path / "work", recipe(web, server, "See it.")
    before = executed(made, work)
    (moved,) = [row for row in rows(before, work, "sample_texts") if row["media_id"] != row["text_media_id"]]
    name = "copy" if "secretcopyx" in moved["text"] else "1"
    url = media_of(web, name)
    since = len(server.log)
    forget(Store.at(work), Request(urls=(url,), copies="none"))
    assert traces(work, media_id(url), f"secret{name}x") == []
    outcomes = executed(made, work)
    assert traces(work, media_id(url), f"secret{name}x") == []
    are_lawful(outcomes, work, ["alt", "t"])
    assert len(rows(outcomes, work, "samples")) == 7
    assert len(server.log) == since + 1, "what a model said of the picture went with the words that it may repeat"


@pytest.mark.slow
def test_what_a_model_made_of_a_forgotten_copy_s_text_goes_too(
    web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path
) -> None:
    """A caption of the picture that stays was made with these words, and may repeat them."""
    work, made = tmp_path / "work", recipe(web, server)
    before = executed(made, work)
    (moved,) = [row for row in rows(before, work, "sample_texts") if row["media_id"] != row["text_media_id"]]
    name = "copy" if "secretcopyx" in moved["text"] else "1"
    url = media_of(web, name)
    forget(Store.at(work), Request(urls=(url,), copies="none"))
    assert traces(work, media_id(url), f"secret{name}x") == []
    executed(made, work)
    assert traces(work, media_id(url), f"secret{name}x") == []


def test_answers_of_a_stopped_run_go(web: CaptionWeb, server: CaptionServer, embedder: Sums, tmp_path: Path) -> None:
    work, made = tmp_path / "work", recipe(web, server)
    server.faults = CaptionFaults(lasting=lambda asked: "http_401" if len(server.log) > 5 else None)
    with pytest.raises(StageError, match="another API key"):
        executed(made, work)
    assert "secret" in "".join(path.read_text() for path in (work / ANSWERS).rglob("*.jsonl"))
    forget(Store.at(work), Request(urls=(web.picture(3),)))
    assert not list((work / ANSWERS).rglob("*.jsonl"))
    assert traces(work, media_id(web.picture(3)), "secret3x") == []
