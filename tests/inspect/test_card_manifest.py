"""The card's section on the manifest: its numbers are those of the datasets; its words survive whatever they hold."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from faults_captions import Row, caption_web
from faults_films import executed, rows
from rich.cells import cell_len
from rich.console import Console

from curation.inspect.card import build_card
from curation.inspect.card_manifest import RULES, manifest_lines, manifest_markdown
from curation.inspect.terminal import print_heart
from curation.pipeline import ALL_STAGES
from curation.recipe import load_recipe
from curation.runner.catalog import Catalog
from curation.storage import Store


@dataclass(frozen=True)
class Made:
    card: Row
    rows: list[Row]
    known: Row

    @property
    def section(self) -> Row:
        return dict(self.card["manifest"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("run")
    with caption_web(folder / "web") as web:
        told = [(web.picture(number), f"a {('dog', 'cat')[number % 2]} by the way, {number}") for number in range(20)]
        sets = []
        for name, lines in (("a|b.txt", [told[3][0], told[4][1]]), ("none.txt", ["https://nowhere.test/a.jpg"])):
            (folder / name).write_text("\n".join(lines) + "\n")
            sets.append({"against": str(folder / name), "min_text_chars": 5})
        sections = {"manifest": {"val_share": 0.3, "decontaminate": sets}, "captions": {"balance": {"t": 8}}}
        path = web.recipe(told, (), sections.pop("captions"), **sections)
        outcomes = executed(path, folder / "work")
        known = {name: outcomes[name].manifest for name in ("manifest", "samples", "entry_probabilities")}
        card = build_card(Catalog(Store.at(folder / "work"), ALL_STAGES), load_recipe(path))
        yield Made(card, rows(outcomes, folder / "work", "manifest"), known)


def test_numbers_are_those_of_the_rows(made: Made) -> None:
    section = made.section
    assert section["samples"] == len(made.rows) == sum(section["splits"].values())
    assert section["splits"] == Counter(row["split"] for row in made.rows)
    assert section["modalities"] == [{"modality": "image", "samples": len(made.rows), "val": section["splits"]["val"]}]
    assert section["texts"] == sum(len(row["texts"]) for row in made.rows)
    assert {row["kind"]: row["chosen"] for row in section["kinds"]} == Counter(row["text_kind"] for row in made.rows)
    assert section["left_out"]["not_drawn"] > 0
    lost = sum(section["left_out"].values()) + sum(found["removed"] for found in section["overlap"])
    assert len(made.rows) + lost == made.known["samples"].rows("samples") == 20
    assert section["entries_held"] == len({entry for row in made.rows for entry in row["entry_ids"]})
    assert section["entries"] == made.known["entry_probabilities"].rows("entry_probabilities")


def test_overlap_is_told_set_by_set(made: Made) -> None:
    ours, none = made.section["overlap"]
    assert (ours["set"], none["set"]) == ("a|b.txt", "none.txt")
    assert none["samples"] == none["removed"] == 0
    assert 0 < ours["samples"] == ours["removed"] == sum(ours["by"].values()) <= 2
    lines = "\n".join(manifest_lines(made.section))
    assert f"overlap with a|b.txt: {ours['samples']} sample" in lines
    assert f"{ours['removed']} removed" in lines
    assert "overlap with none.txt: none" in lines


def test_words_survive_markdown_and_narrow_terminals(made: Made) -> None:
    text = "\n\n".join(manifest_markdown(made.card))
    assert "a\\|b.txt" in text
    assert "| image |" in text
    assert RULES["captions.order"] in text
    assert json.loads(json.dumps(made.section)) == made.section
    for width in (40, 80, 200):
        console = Console(file=(shown := io.StringIO()), width=width, no_color=True)
        print_heart(made.card, console)
        section = shown.getvalue().partition("Manifest:")[2].partition("\n\n")[0]
        assert "by source" in " ".join(section.split())
        assert max(cell_len(line) for line in section.splitlines()) <= width
    assert manifest_markdown({"manifest": None}) == manifest_markdown({}) == []


def test_empty_manifests_have_words_too(made: Made) -> None:
    nothing = {**made.section, "samples": 0, "texts": 0, "texts_per_sample": None, "splits": {}, "kinds": []}
    lines = manifest_lines({**nothing, "licence_known": 0, "entries_held": None, "modalities": []})
    assert lines[0].startswith("splits: none")
    assert "0.00 per sample" in lines[1]
    assert manifest_markdown({"manifest": {**nothing, "entries_held": None}})
