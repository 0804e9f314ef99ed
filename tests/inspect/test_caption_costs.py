"""What plan says that captions will cost, and what a run then asks of a server that counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from faults_caption_rows import recipe as bare_recipe
from faults_captions import CaptionWeb, Told, caption_web, served, teacher
from faults_films import executed

from curation.captions.toolbox import prompt_texts
from curation.inspect.caption_costs import CLIP_MS, Pool, cost_lines, sample_pool
from curation.inspect.estimate import Forecast, forecast
from curation.inspect.plan_text import plan_lines
from curation.pipeline import stages_of
from curation.recipe import load_recipe
from curation.runner.units import UnitReport
from curation.storage import Store
from curation.testing.caption_faults import CaptionFaults
from curation.testing.caption_server import PICTURE_TOKENS, CaptionServer

ALT = {"source": "alt"}
COUNT = 6
TIME = "the time that models take is not in the estimate"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    with caption_web(tmp_path_factory.mktemp("web")) as started:
        yield started


@pytest.fixture
def server() -> Iterator[CaptionServer]:
    with CaptionServer(slots=4, answer=Told()) as started:
        yield started


def recipe(web: CaptionWeb, server: CaptionServer, *captioners: Any, count: int = COUNT, **more: Any) -> Path:
    """Over the same files each time: to plan, a table that was written anew is another one."""
    base = web.folder / f"of{count}.yaml"
    if not base.exists():
        web.recipe([(web.picture(number), f"a dog by the way, {number}") for number in range(count)], name=base.name)
    tree = yaml.safe_load(base.read_text())
    tree["captions"] = {"captioners": captioners, "models": {"m": served(server, **more.pop("model", {}))}, **more}
    path = web.folder / "with_captions.yaml"
    path.write_text(json.dumps(tree))
    return path


def planned(path: Path, work: Path) -> Forecast:
    loaded = load_recipe(path)
    return forecast(Store.at(work), loaded, stages_of(loaded))


def costs(path: Path, work: Path) -> list[str]:
    found = [stage for stage in planned(path, work).stages if stage.costs]
    assert {stage.stage for stage in found} <= {"captions"}
    return [line for stage in found for line in stage.costs]


def asked_by(lines: list[str]) -> list[str]:
    """The captioners that lines are about."""
    return [line.partition(" for ")[2].partition(", at most")[0] for line in lines]


# --------------------------------------------------------------------------------------------- before there is anything


def test_before_samples_are_known_a_thousand_of_each_is_an_example(
    web: CaptionWeb, server: CaptionServer, tmp_path: Path
) -> None:
    """(1,000 + 1,000) * 2 words / 0.75 + (1,000 + 8,000) * 576 = 5,189,333; 2,000 * 100 tokens of answers."""
    one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"}, max_tokens=100)
    path = recipe(web, server, ALT, one)
    found = planned(path, tmp_path / "work")
    (stage,) = [stage for stage in found.stages if stage.costs]
    assert (stage.stage, stage.costs) == ("captions", [
        "m for one, at most: 2,000 requests for every 1,000 images and 1,000 videos of 8.5 s, 5,200,000 tokens, "
        "576 for each of 9,000 pictures, 200,000 tokens of answers"
    ])  # fmt: skip
    lines = plan_lines(found)
    (place,) = [number for number, line in enumerate(lines) if line.strip() == f"asks {stage.costs[0]}"]
    assert lines[place + 1].strip() == TIME
    assert sum(TIME in line for line in lines) == 1
    assert lines[place].index("asks") == lines[place - 1].index("because") == lines[place + 1].index("the time")
    assert not (tmp_path / "work").exists() and len(server.log) == 0


def test_where_no_model_is_asked_nothing_is_told(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    found = planned(recipe(web, server, ALT, {"source": "page"}), tmp_path / "work")
    assert not any(stage.costs for stage in found.stages)
    assert not any(TIME in line or line.strip().startswith("asks ") for line in plan_lines(found))


# ------------------------------------------------------------------------------------------------- of what is there


def test_a_run_asks_no_more_than_was_told_and_then_nothing(
    web: CaptionWeb, server: CaptionServer, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    one = teacher("one", tmp_path, prompts={"brief": "Of {alt}", "detailed": "All of it"}, max_tokens=50)
    executed(recipe(web, server, ALT), work)
    path = recipe(web, server, ALT, one)
    pictures = 2 * COUNT
    tokens = pictures * 576 + COUNT * (2 + 3) / 0.75
    assert costs(path, work) == [
        f"m for one, at most: {pictures} requests for {COUNT} images, {round(tokens, -2):,.0f} tokens, "
        f"576 for each of {pictures} pictures, {pictures * 50} tokens of answers"
    ]
    assert len(server.log) == 0
    executed(path, work)
    assert len(server.log) == pictures
    found = planned(path, work)
    assert found.is_current
    assert plan_lines(found)[-1] == "nothing to do: everything is up to date"
    assert not any(stage.costs for stage in found.stages)


@pytest.fixture(scope="module")
def before(web: CaptionWeb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CaptionServer, Path]]:
    """A run of two captioners: the second one reads what the first said. Its server, and its folder (work, prompts)."""
    folder = tmp_path_factory.mktemp("before")
    with CaptionServer(slots=4, answer=Told()) as server:
        executed(recipe(web, server, ALT, *_both(folder)), folder / "work")
        yield server, folder


def _both(folder: Path, **more: Any) -> list[Any]:
    one = teacher("one", folder, prompts={"brief": "Of {alt}"}, **more)
    return [one, teacher("two", folder, frames=0, prompts={"brief": "{one.brief} once more"})]


def test_an_added_captioner_tells_itself_only(
    web: CaptionWeb, before: tuple[CaptionServer, Path], tmp_path: Path
) -> None:
    server, folder = before
    one, two = _both(folder)
    three = teacher("three", tmp_path, frames=0, prompts={"brief": "Say it of {alt}"})
    for order in ([one, two, three], [three, one, two], [one, three, two]):
        lines = costs(recipe(web, server, ALT, *order), folder / "work")
        tokens = f"{round(COUNT * 4 / 0.75)} tokens, 3,100 tokens of answers"
        assert lines == [f"m for three, at most: {COUNT} requests for {COUNT} images, {tokens}"]
    assert costs(recipe(web, server, *order, {"source": "page"}), folder / "work") == lines
    assert costs(recipe(web, server, ALT, one), folder / "work") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [({}, []), ({"frames": 3}, ["one", "two"]), ({"temperature": 0.5}, ["one", "two"]), ({"window_seconds": 3}, []),
     ({"longest_side": 64}, ["one", "two"]), ({"max_tokens": 9}, ["one", "two"])],
)  # fmt: skip
def test_what_changes_captions_is_told_with_whoever_reads_them(
    web: CaptionWeb, before: tuple[CaptionServer, Path], change: Any, told: list[str]
) -> None:
    server, folder = before
    assert asked_by(costs(recipe(web, server, ALT, *_both(folder, **change)), folder / "work")) == told


def test_where_a_model_runs_and_what_a_captioner_is_called_costs_nothing(
    web: CaptionWeb, before: tuple[CaptionServer, Path]
) -> None:
    server, folder = before
    one, two = _both(folder)
    model = {"slots": 9, "url": "http://127.0.0.1:9/v1", "price_in": 3, "seconds": 1}
    assert costs(recipe(web, server, ALT, one, two, model=model), folder / "work") == []
    assert costs(recipe(web, server, ALT, {**one, "name": "first"}), folder / "work") == []
    assert asked_by(costs(recipe(web, server, ALT, one, two, model={"model": "x"}), folder / "work")) == ["one", "two"]


def test_a_changed_prompt_is_told_and_a_moved_one_is_not(
    web: CaptionWeb, before: tuple[CaptionServer, Path], tmp_path: Path
) -> None:
    server, folder = before
    one = _both(folder)[0]
    assert asked_by(costs(recipe(web, server, ALT, *_both(tmp_path)), folder / "work")) == []
    other = teacher("two", tmp_path, frames=0, prompts={"brief": "{one} and again"})
    assert asked_by(costs(recipe(web, server, ALT, one, other), folder / "work")) == ["two"]


def test_what_a_run_asks_is_what_was_told_of(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    """By change of the recipe: the captioners that plan names are those that ask."""
    work = tmp_path / "work"
    executed(recipe(web, server, ALT, *_both(tmp_path)), work)
    for change in ({"temperature": 0.5}, {"max_tokens": 99}):
        path = recipe(web, server, ALT, *_both(tmp_path, **change))
        assert asked_by(costs(path, work)) == ["one", "two"]
        since = len(server.log)
        executed(path, work)
        # the made-up answers are the same whatever the temperature, so the second one reads what it read
        assert len(server.log) - since == COUNT
        assert costs(path, work) == []


# ------------------------------------------------------------------------------------------------ tokens and money


def test_tokens_are_as_they_were_measured(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    work = tmp_path / "work"
    one = teacher("one", tmp_path, prompts={"brief": "Just this"})
    outcomes = executed(recipe(web, server, one), work)
    counts = outcomes["captions"].manifest.counts
    assert counts["prompt_tokens:one"] == COUNT * (2 + PICTURE_TOKENS)
    path = recipe(web, server, one, count=COUNT + 2, model={"price_in": 1000.0, "price_out": 2000.0})
    prompt, answers = counts["prompt_tokens:one"], counts["answer_tokens:one"]
    assert costs(path, work) == [
        f"m for one, at most: {COUNT} requests for {COUNT} images, {_two_digits(prompt)} tokens, as before in this "
        f"folder, {_two_digits(answers)} tokens of answers; "
        f"{(prompt * 1000 + answers * 2000) / 1e6:,.2f} at the recipe's prices"
    ]
    since = len(server.log)
    executed(path, work)
    assert len(server.log) - since == 2
    assert costs(path, work) == []


def _two_digits(number: int) -> str:
    return f"{round(number, 2 - len(str(number))):,}"


@pytest.mark.parametrize(
    ("prices", "words"),
    [({}, ""), ({"price_in": 0.5}, "; 0.58 at the recipe's prices"),
     ({"price_out": 2}, "; 0.40 at the recipe's prices"),
     ({"price_in": 0.5, "price_out": 2}, "; 0.98 at the recipe's prices")],
)  # fmt: skip
def test_prices_are_of_a_million_tokens(tmp_path: Path, prices: Any, words: str) -> None:
    """2,000 images: 2,000 * (2 / 0.75 + 576) = 1,157,333 tokens, and 2,000 * 100 of answers."""
    (line,) = lines_of(tmp_path, Pool(2000, 0, CLIP_MS, known=True), model=prices, max_tokens=100)
    assert line.partition(" tokens of answers")[2] == words


def lines_of(folder: Path, pool: Pool, *, model: Any = None, **captioner: Any) -> list[str]:
    """Of one captioner with a prompt of two words, before any run."""
    models = {"m": {"backend": "server", "url": "http://127.0.0.1:1/v1", "model": "x", **(model or {})},
              "e": {"backend": "transformers", "model": "clip", "task": "embed"}}  # fmt: skip
    one = teacher("one", folder, **({"prompts": {"brief": "Of {alt}"}} if "strategy" not in captioner else {}),
                  **captioner)  # fmt: skip
    section = bare_recipe({"captioners": [one], "models": models}).captions
    assert section is not None and set(prompt_texts(section)) == {"one"}
    return list(cost_lines(section, pool, None, None))


BOTH = Pool(10, 20, 4000, known=True)


@pytest.mark.parametrize(
    ("captioner", "whom", "requests"),
    [({"modalities": ["image"]}, "10 images", 10), ({"modalities": ["video"]}, "20 videos of 4.0 s", 20),
     ({}, "10 images and 20 videos of 4.0 s", 30),
     ({"strategy": "speech", "embedder": "e"}, "20 videos of 4.0 s", 20),
     ({"strategy": "speech", "embedder": "e", "modalities": ["image"]}, "no sample", 0),
     ({"strategy": "differential", "embedder": "e"}, "10 images and 20 videos of 4.0 s", 10 + 20 * 4)],
)  # fmt: skip
def test_only_the_samples_that_are_looked_at_cost(tmp_path: Path, captioner: Any, whom: str, requests: int) -> None:
    """differential, of 4 s: two more candidates, each with its difference, then a summary."""
    (line,) = lines_of(tmp_path, BOTH, **captioner)
    assert line.startswith(f"m for one, at most: {requests:,} requests for {whom}, ")
    assert ("pictures" in line) == (captioner.get("strategy") != "speech")


def test_a_transcript_costs_a_request_each(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, BOTH, strategy="transcribe")
    assert line.startswith("m for one, at most: 20 requests for 20 videos of 4.0 s, ")


@pytest.mark.parametrize(("modalities", "images", "videos"), [(["image"], 1000, 0), (["video"], 0, 1000)])
def test_an_example_is_of_what_is_fetched(tmp_path: Path, modalities: list[str], images: int, videos: int) -> None:
    fetched = bare_recipe({}, fetch={"modalities": modalities})
    pool = sample_pool(Store.at(tmp_path), fetched, None)
    assert pool == Pool(images, videos, CLIP_MS, known=False)
    other = {"image": "video", "video": "image"}[modalities[0]]
    (line,) = lines_of(tmp_path, pool, modalities=[other])
    assert " requests for no sample, 0 tokens" in line


# -------------------------------------------------------------------------------------------------- what failed


def test_what_failed_for_a_passing_reason_is_the_reason(
    web: CaptionWeb, server: CaptionServer, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
    server.faults = CaptionFaults(lasting=lambda asked: "http_500" if "way, 2" in str(asked) else None)
    path = recipe(web, server, one)
    reports: dict[str, UnitReport] = executed(path, work)["captions"].manifest.reports
    assert sum(report.counts.get("passing", 0) for report in reports.values()) == 1
    (stage,) = [stage for stage in planned(path, work).stages if stage.stage == "captions"]
    assert (stage.to_do, stage.units, stage.exact) == (1, len(reports), True)
    assert stage.reasons == ["1 unit with what failed for passing reasons: it is tried again"]
    server.faults = CaptionFaults()
    assert executed(path, work)["captions"].units_done == 1
    assert planned(path, work).is_current
