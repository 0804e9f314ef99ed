"""why: what was said of a media, which caption was chosen, and what failed, line by line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from faults_caption_rows import Row, manifest
from faults_captions import Told, caption_web, served, teacher
from faults_films import executed, rows
from rich.console import Console

from curation import commands
from curation.inspect.why_captions import MOST_CAPTIONS, MOST_SAMPLES, why_caption_lines
from curation.pipeline import ALL_STAGES
from curation.query import open_query
from curation.runner.catalog import Catalog
from curation.schemas import (
    BALANCED_CAPTIONS,
    CAPTION_SCORES,
    CAPTIONS,
    CHOSEN_CAPTIONS,
    SAMPLES,
    Dataset,
)
from curation.storage import Store
from curation.testing.caption_faults import CaptionFaults
from curation.testing.caption_server import CaptionServer

MEDIA, BUCKET = "a" * 24, "bucket-00001"


def said(captioner: str = "alt", text: str = "a dog", **more: Any) -> Row:
    return {"captioner": captioner, "kind": "k", "status": "ok", "text": text, **more}


def published(folder: Path, **datasets: list[Row]) -> Catalog:
    """Rows of one media and sample, where they do not say another; samples: [{}]. Every dataset is its stage's."""
    store = Store.at(folder)
    catalog = Catalog(store, ALL_STAGES)
    known: dict[str, Dataset] = {each.name: each for each in (
        SAMPLES, CAPTIONS, CAPTION_SCORES, CHOSEN_CAPTIONS, BALANCED_CAPTIONS)}  # fmt: skip
    for name, own in datasets.items():
        filled = [{"sample_id": "s1", "media_id": MEDIA, **row} for row in own]
        catalog.publish(manifest(store, catalog.stage_of(name), {BUCKET: {known[name]: filled}}))
    return catalog


def lines(catalog: Catalog, media_id: str = MEDIA, bucket: str = BUCKET) -> list[str]:
    with open_query(catalog.store) as query:
        return why_caption_lines(catalog, query, media_id, bucket)


ONE: dict[str, list[Row]] = {"samples": [{}]}


def test_before_the_stages_have_run(tmp_path: Path) -> None:
    assert lines(published(tmp_path)) == []
    assert lines(published(tmp_path, **ONE)) == ["sample     s1"]
    assert lines(published(tmp_path, captions=[])) == ["sample     s1: 0 captions, none is chosen"]
    assert lines(published(tmp_path, captions=[said()])) == [
        "sample     s1: 1 caption, none is chosen", 'caption    alt.k: "a dog"'
    ]  # fmt: skip


def test_the_chosen_caption_comes_first(tmp_path: Path) -> None:
    captions = [said(), said("one", "a cat"), said("one", "a tree", ordinal=1), said("one", "x", kind="other")]
    chosen = [said("one", "a tree", ordinal=1, candidates=3, entry_ids=[2])]
    assert lines(published(tmp_path, **ONE, captions=captions, chosen_captions=chosen)) == [
        "sample     s1: 4 captions, one of 3 is chosen",
        'chosen     one.k: "a tree"', 'caption    alt.k: "a dog"', 'caption    one.k: "a cat"',
        'caption    one.other: "x"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "stays", "fate"),
    [([1], True, ", kept when balanced by it"), ([1], False, ", balanced out"),
     ([], False, ", left out when balanced: it holds no entry")],
)  # fmt: skip
def test_what_balancing_made_of_it(tmp_path: Path, entries: list[int], stays: bool, fate: str) -> None:
    chosen = [said(candidates=1, entry_ids=entries)]
    other = {"sample_id": "s0"}  # another sample stays whatever becomes of this one
    catalog = published(tmp_path, **ONE, captions=[said()], chosen_captions=chosen,
                        balanced_captions=[other, *([{}] if stays else [])])  # fmt: skip
    assert lines(catalog)[0] == f"sample     s1: 1 caption, one of 1 is chosen{fate}"


def test_of_samples_without_a_chosen_caption_balancing_says_nothing(tmp_path: Path) -> None:
    catalog = published(tmp_path, **ONE, captions=[said()], chosen_captions=[], balanced_captions=[])
    assert lines(catalog)[0] == "sample     s1: 1 caption, none is chosen"


def test_silent_failed_times_and_similarities(tmp_path: Path) -> None:
    captions = [
        {"captioner": "mute", "kind": "", "status": "silent"},
        {"captioner": "far", "kind": "", "status": "failed", "error": "timeout", "detail": "no\x1b[31m answer"},
        {"captioner": "new", "kind": "", "status": "failed", "error": "of_later"},
        said("part", "here", start_ms=1500, end_ms=62_250), said("all", "there", ordinal=2),
    ]  # fmt: skip
    scores = [{**captions[3], "similarity": 0.25}, {**captions[4], "similarity": None}]
    assert lines(published(tmp_path, **ONE, captions=captions, caption_scores=scores)) == [
        "sample     s1: 5 captions, none is chosen",
        "caption    mute: has nothing to say",
        'caption    far: failed, no whole answer in time ("no\\x1b[31m answer")',
        'caption    new: failed, of_later ("")',
        'caption    part.k 1.500 to 62.250 s (similarity 0.250): "here"',
        'caption    all.k: "there"',
    ]


def test_a_similarity_is_that_of_the_very_caption(tmp_path: Path) -> None:
    captions = [said(ordinal=n, sample_id=sample, text=f"{sample} {n}") for sample in ("s1", "s2") for n in (0, 1)]
    scores = [{**row, "similarity": 0.1 + number / 5} for number, row in enumerate(captions)]
    found = lines(published(tmp_path, samples=[{}, {"sample_id": "s2"}], captions=captions, caption_scores=scores))
    told = [line for line in found if line.startswith("caption")]
    assert sorted(told) == [f'caption    alt.k (similarity {0.1 + number / 5:.3f}): "{row["text"]}"'
                            for number, row in enumerate(captions)]  # fmt: skip


@pytest.mark.parametrize("beyond", [0, 1, 5])
def test_of_many_clips_and_captions_the_number_is_told(tmp_path: Path, beyond: int) -> None:
    samples = [{"sample_id": f"s{number:03}"} for number in range(MOST_SAMPLES + beyond)]
    captions = [said(text=f"text {n}", ordinal=n, sample_id="s000") for n in range(MOST_CAPTIONS + beyond)]
    chosen = [{**captions[-1], "candidates": 4, "entry_ids": [1]}]
    found = lines(published(tmp_path, samples=samples, captions=captions, chosen_captions=chosen))
    assert sum(line.startswith("sample") for line in found) == MOST_SAMPLES
    assert found[1] == f'chosen     alt.k: "text {MOST_CAPTIONS + beyond - 1}"'
    assert sum(line.startswith(("caption ", "chosen")) for line in found) == MOST_CAPTIONS
    more = {0: [], 1: ["1 further caption", "1 further sample"], 5: ["5 further captions", "5 further samples"]}
    assert [line.removeprefix("           and ") for line in found if "further" in line] == more[beyond]
    assert found[-1].endswith(f"{more[beyond][1]}" if beyond else "none is chosen")


@pytest.mark.parametrize("number", [50, 100, 3000])
def test_captions_come_in_the_order_in_which_they_were_said(tmp_path: Path, number: int) -> None:
    captions = [said(text=f"text {n}", ordinal=n) for n in range(number)]
    found = lines(published(tmp_path, **ONE, captions=captions))
    assert found[1:-1] == [f'caption    alt.k: "text {n}"' for n in range(MOST_CAPTIONS)]


def test_other_media_and_buckets_are_others(tmp_path: Path) -> None:
    catalog = published(tmp_path, samples=[{}, {"sample_id": "s9", "media_id": "b" * 24}],
                        captions=[said(), said(sample_id="s9", media_id="b" * 24, text="another")])  # fmt: skip
    assert lines(catalog, "b" * 24) == ["sample     s9: 1 caption, none is chosen", 'caption    alt.k: "another"']
    assert lines(catalog, "c" * 24) == []
    assert lines(catalog, bucket="bucket-00000") == []


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\x1b]0;title\x07", "a\nb", "\u202eabc", "[red]x[/red]", "\x00"])
def test_odd_texts_are_one_line_and_do_nothing(tmp_path: Path, text: str) -> None:
    (_, line) = lines(published(tmp_path, **ONE, captions=[said(text=text)]))
    assert line.isprintable() and len(line) < 250
    if len(text) > 1000:
        assert line.endswith('"… (1,000,000 characters)')


def test_the_command_tells_them_of_a_run(tmp_path: Path) -> None:
    """Of a picture that all is well with, one whose captioner failed, and of a run before captions."""
    with caption_web(tmp_path / "web") as web, CaptionServer(answer=Told()) as server:
        one = teacher("one", tmp_path, prompts={"brief": "Of {alt}"})
        server.faults = CaptionFaults(lasting=lambda asked: "refusal" if "way, 1" in str(asked) else None)
        told = [(web.picture(number), f"a dog by the way, {number}") for number in range(2)]
        bare = web.recipe(told, name="bare.yaml")
        executed(bare, tmp_path / "work")
        captions = {"captioners": [{"source": "alt"}, one], "models": {"m": served(server)},
                    "choose": {"order": ["one", "alt"]}, "balance": {"t": 100}}  # fmt: skip
        before = {row["sample_id"] for row in rows(executed(bare, tmp_path / "work"), tmp_path / "work", "samples")}
        outcomes = executed(web.recipe(told, (), captions), tmp_path / "work")
    for row in rows(outcomes, tmp_path / "work", "chosen_captions"):
        assert row["sample_id"] in before
        written = io.StringIO()
        commands.why(row["media_id"], str(tmp_path / "work"), Console(file=written, width=20))
        own = written.getvalue().splitlines()
        place = own.index(f"sample     {row['sample_id']}: 2 captions, "
                          f"one of {row['candidates']} is chosen, kept when balanced by it")  # fmt: skip
        assert own[place + 1].startswith(f"chosen     {row['captioner']}.{row['kind']}: \"")
        if row["captioner"] == "alt":
            assert own[place + 2].startswith('caption    one: failed, the model refused ("')
        else:
            assert own[place + 2].startswith('caption    alt.caption: "a dog by the way, 0"')
    assert {row["captioner"] for row in rows(outcomes, tmp_path / "work", "chosen_captions")} == {"one", "alt"}
