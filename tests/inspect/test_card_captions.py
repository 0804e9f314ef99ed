"""The card's section on captions: its numbers are those of the datasets, and its words survive whatever they hold."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from card_pools import Row
from faults_caption_rows import done, manifest, recipe, vocabulary
from faults_captions import Outcomes, caption_web, served, teacher
from faults_films import executed, rows
from rich.cells import cell_len
from rich.console import Console

from curation.captions.faults import Fault
from curation.inspect.caption_tables import CaptionTables
from curation.inspect.card import build_card
from curation.inspect.card_captions import FAULTS, captions_lines, captions_markdown, captions_section, failed_words
from curation.inspect.card_words import escaped
from curation.inspect.terminal import print_heart
from curation.pipeline import ALL_STAGES
from curation.query import open_duckdb
from curation.recipe import load_recipe
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import CAPTION_SCORES, CAPTIONS, SAMPLES
from curation.stages.chosen_captions import ChosenCaptions
from curation.storage import Store
from curation.testing.caption_faults import CaptionFaults
from curation.testing.caption_server import CaptionServer, Question

COUNT = 10
REFUSED, FAILED, SILENT_OF_CAT = 3, (4, 7), "no entry at all"


# ------------------------------------------------------------------------------------------------ of a whole run


@dataclass(frozen=True)
class Made:
    """A run and its card."""

    outcomes: Outcomes
    work: Path
    card: Row

    @property
    def section(self) -> Row:
        return dict(self.card["captions"])

    def rows(self, dataset: str) -> list[Row]:
        return rows(self.outcomes, self.work, dataset)


def _answer(question: Question) -> str:
    """Of pictures a house, of words alone a tree and a dog; of every fifth nothing that is an entry."""
    words = question.texts[-1]
    if words.rstrip(' "').endswith(("0", "5")):
        return SILENT_OF_CAT
    return "There is a house here" if question.pictures else "There is a tree and a dog here"


def _fault(asked: Any) -> str | None:
    parts = asked["messages"][-1]["content"]
    if isinstance(parts, str) or not any("image_url" in part for part in parts):
        return None
    number = int("".join(filter(str.isdigit, next(part["text"] for part in parts if "text" in part))))
    return "refusal" if number == REFUSED else "http_500" if number in FAILED else None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("run")
    one = teacher("one", folder, prompts={"brief": "Of {alt}"})
    two = teacher("two", folder, frames=0, prompts={"detailed": "About {alt}"})
    films = teacher("films", modalities=["video"])
    with caption_web(folder / "web") as web, CaptionServer(
        slots=4, answer=_answer, faults=CaptionFaults(lasting=_fault)
    ) as server:  # fmt: skip
        words = [f"a {('dog', 'cat')[number % 2]} by the way, {number}" for number in range(COUNT)]
        told = [(web.picture(number), text) for number, text in enumerate(words)]
        captions = {
            "captioners": [{"source": "alt"}, one, two, films, {"source": "page"}],
            "models": {"m": served(server, price_in=3, price_out=500), "unused": served(server)},
            "choose": {"order": ["one", "alt"]}, "balance": {"t": 2},
        }  # fmt: skip
        path = web.recipe(told, (), captions)
        outcomes = executed(path, folder / "work")
        catalog = Catalog(Store.at(folder / "work"), ALL_STAGES)
        yield Made(outcomes, folder / "work", build_card(catalog, load_recipe(path)))


def _by_kind(found: list[Row]) -> Counter[tuple[str, str]]:
    return Counter((row["captioner"], row["kind"]) for row in found)


def test_kinds_add_up_with_the_datasets(made: Made) -> None:
    section, captions, chosen = made.section, made.rows("captions"), made.rows("chosen_captions")
    texts = _by_kind([row for row in captions if row["status"] == "ok"])
    assert {("one", "brief"), ("two", "detailed")} < set(texts)
    told = {(row["captioner"], row["kind"]): row for row in section["kinds"]}
    assert {key: row["texts"] for key, row in told.items()} == texts
    assert {key: row["chosen"] for key, row in told.items() if row["chosen"]} == _by_kind(chosen)
    entries: dict[tuple[str, str], set[int]] = {}
    matches: Counter[tuple[str, str]] = Counter()
    for row in made.rows("caption_counts"):
        entries.setdefault((row["captioner"], row["kind"]), set()).add(row["entry_id"])
        matches[row["captioner"], row["kind"]] += row["texts"]
    words = ("dog", "cat", "house", "tree", "car")
    for key, row in told.items():
        own = [row["text"] for row in captions if (row["captioner"], row["kind"]) == key and row["status"] == "ok"]
        hits = [sum(word in text.split() for word in words) for text in own]
        assert row["matched"] == sum(number > 0 for number in hits)
        assert row["matched_share"] == pytest.approx(row["matched"] / row["texts"])
        assert row["matches_per_text"] == pytest.approx(sum(hits) / row["matched"])
        assert sum(hits) == matches[key]
        assert row["entries"] == len(entries[key])
        assert row["similarity"] is None
    numbers = [row["texts"] for row in section["kinds"]]
    assert numbers == sorted(numbers, reverse=True)


def test_what_said_nothing_or_failed_is_told_by_captioner(made: Made) -> None:
    section, captions = made.section, made.rows("captions")
    assert section["samples"] == {"image": COUNT}
    assert section["silent"] == {"films": COUNT, "page": COUNT}
    failed = Counter(f"{row['captioner']}.{row['error']}" for row in captions if row["status"] == "failed")
    assert section["failed"] == failed == {"one.refusal": 1, "one.http_5xx": 2}
    assert section["left_out"] == {}
    lines = captions_lines(section)
    assert "one failed: 2 the server failed, 1 the model refused" in lines
    assert sum(" failed: " in line for line in lines) == 1


def test_models_are_told_what_all_their_captioners_took(made: Made) -> None:
    (model,) = made.section["models"]
    captions = made.rows("captions")
    told = {what: sum(row[what] or 0 for row in captions) for what in ("requests", "prompt_tokens", "answer_tokens")}
    assert {what: model[what] for what in told} == told
    assert told["requests"] == 2 * COUNT - 1 - len(FAILED)
    assert (model["name"], model["model"]) == ("m", "made-up")
    assert model["cost"] == pytest.approx((3 * told["prompt_tokens"] + 500 * told["answer_tokens"]) / 1e6, abs=1e-6)
    (line,) = [line for line in captions_lines(made.section) if line.startswith("m: ")]
    assert line == (f"m: {told['requests']:,} answers, {told['prompt_tokens']:,} tokens asked, "
                    f"{told['answer_tokens']:,} answered, cost {model['cost']:,.2f}")  # fmt: skip


def test_coverage_of_alt_texts_and_of_others(made: Made) -> None:
    """dog and cat are in alt texts; house, tree and dog in answers."""
    assert made.section["coverage"] == {"alt": 2, "captions": 3, "both": 1}
    assert captions_lines(made.section)[0] == "entries: 2 in alt texts, 3 in other captions, 1 in both"


def test_the_teacher_that_adds_most_comes_first(made: Made) -> None:
    """alt and two have all; of equals the first of the recipe."""
    assert made.section["teachers"] == [
        {"captioner": name, "covered": 1.0} for name in ("alt", "one", "two", "films", "page")
    ]
    assert captions_lines(made.section)[-1].endswith(
        "samples with a caption, as captioners are added, first the one that adds most: alt 100.0%, one 100.0%, "
        "two 100.0%, films 100.0%, page 100.0%"
    )


def test_choice_and_balance(made: Made) -> None:
    section, chosen = made.section, made.rows("chosen_captions")
    matched = sum(bool(row["entry_ids"]) for row in chosen)
    assert section["chosen"] == {"rule": "order", "samples": COUNT, "without": 0, "matched": matched,
                                 "min_score": None, "cutoff": None}  # fmt: skip
    assert 0 < matched < COUNT
    balanced = section["balanced"]
    assert balanced["samples"] == len(made.rows("balanced_captions"))
    assert balanced["samples"] + balanced["not_drawn"] + balanced["unmatched"] == COUNT
    assert balanced["unmatched"] == COUNT - matched
    lines = captions_lines(section)
    assert lines[1] == (f"chosen: {COUNT} captions by order, of which {100 * matched / COUNT:.1f}% hold an entry; "
                        "0 samples without one")  # fmt: skip
    assert lines[2] == (f"balanced by these: {balanced['samples']} samples; {balanced['not_drawn']} thinned, "
                        f"{balanced['unmatched']} without an entry")  # fmt: skip


def test_a_card_of_captions_is_json_and_says_so_in_markdown_and_the_terminal(made: Made) -> None:
    json.dumps(made.card, allow_nan=False)
    head, samples, table, told = captions_markdown(made.card)
    assert (head, samples) == ("## Words for the media", f"Samples: {COUNT} of image.")
    assert len(table.splitlines()) == 2 + len(made.section["kinds"])
    assert f"| one | brief | {COUNT - 3} |" in table
    assert told.splitlines() == [f"- {escaped(line)}" for line in captions_lines(made.section)]
    text = heart(made.card, 100).partition("Captions")[2].partition("Most frequent")[0]
    for row in made.section["kinds"]:
        (line,) = [line for line in text.splitlines() if line.startswith(f"  {row['captioner']}.{row['kind']} ")]
        assert line.split()[1] == str(row["texts"]) and line.endswith(f"{row['chosen']} chosen")
        assert ("░" in line) == (row["matched"] < row["texts"])
    assert all(line.split(":")[0] in text for line in captions_lines(made.section))


def heart(card: Row, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    print_heart(card, Console(file=file, width=width))
    file.flush()
    return raw.getvalue().decode(encoding)


# ------------------------------------------------------------------------------------------------- of a few rows

LABELS = ("alt", "pages", "one", "two")
CAPTIONERS: list[Row] = [
    {"source": "alt"}, {"source": "alt", "name": "pages"}, {"source": "model", "name": "one", "model": "m"},
    {"source": "model", "name": "two", "model": "m"},
]  # fmt: skip
MODELS = {"m": {"backend": "server", "url": "http://127.0.0.1:1/v1", "model": "m"},
          "e": {"backend": "transformers", "model": "clip", "task": "embed"}}  # fmt: skip
ENTRIES = ("dog", "cat", "tree", "house")

Told = dict[str, list[tuple[str, str, float | None]]]
"""By sample: captioner, text (empty: it is silent) and similarity."""


def section_of(folder: Path, told: Told, *, captioners: int = 4, scored: bool = False, **choose: Any) -> Row:
    """The section over captions of one unit; samples v... are videos."""
    store = Store.at(folder)
    own = CAPTIONERS[:captioners]
    scoring = {"similarity": {"model": "e"}} if scored else {}
    section = recipe({"captioners": own, "models": MODELS, "choose": choose, **scoring})
    samples = [{"sample_id": name, "modality": "video" if name[0] == "v" else "image"} for name in sorted(told)]
    found: list[Row] = []
    for sample in samples:
        for ordinal, (captioner, text, similarity) in enumerate(told[sample["sample_id"]]):
            row = {**sample, "captioner": captioner, "kind": "k" if text else "", "ordinal": ordinal,
                   "lang": "en", "text": text or None, "pair_id": f"{sample['sample_id']} {ordinal}"}  # fmt: skip
            found.append({**row, "status": "ok" if text else "silent", "similarity": similarity})
    texts = [row for row in found if row["status"] == "ok"]
    kinds = Counter(f"samples:{row['modality']}" for row in samples)
    named = {each.get("name", each["source"]): each for each in own}
    facts = {"order": list(named), "captioners": named, "models": MODELS}
    made: dict[str, Manifest] = {
        "samples": manifest(store, "samples", {"u": {SAMPLES: samples}}, of_units={"u": kinds}),
        "captions": manifest(store, "captions", {"u": {CAPTIONS: found}}, settings=facts,
                             of_units={"u": {"samples": len(samples), "texts": len(texts)}}),
        "match": vocabulary(store, ENTRIES)[0],
    }  # fmt: skip
    if scored:
        made["caption_scores"] = manifest(store, "caption_scores", {"u": {CAPTION_SCORES: texts}})
    made["chosen_captions"] = done(ChosenCaptions(), store, section, made)
    with open_duckdb(store) as database:
        result = captions_section(CaptionTables(Catalog(store, ALL_STAGES), made, database), made)
    assert result is not None
    return result


def test_all_captioners_of_alt_texts_are_alt(tmp_path: Path) -> None:
    """An entry of an image is another one than that of a video: dog of images, dog of videos, cat, tree."""
    section = section_of(tmp_path, {
        "i1": [("alt", "a dog", None), ("one", "a dog and a cat", None)],
        "i2": [("pages", "a tree", None), ("two", "a tree", None)],
        "v1": [("alt", "nothing", None), ("two", "a dog", None)],
    })  # fmt: skip
    assert section["coverage"] == {"alt": 2, "captions": 4, "both": 2}
    assert section["samples"] == {"image": 2, "video": 1}
    told = {row["captioner"]: (row["texts"], row["matched"], row["entries"]) for row in section["kinds"]}
    assert told == {"alt": (2, 1, 1), "one": (1, 1, 2), "pages": (1, 1, 1), "two": (2, 2, 2)}


def test_teachers_by_hand(tmp_path: Path) -> None:
    """two: 3 of 5; then alt adds i4, which one has, too, and is later; pages never adds anything. i5 has none."""
    told: Told = {
        "i1": [("pages", "x", None), ("two", "x", None)], "i2": [("alt", "x", None), ("two", "x", None)],
        "i3": [("one", "", None), ("two", "x", None)], "i4": [("alt", "x", None), ("one", "x", None)], "i5": [],
    }  # fmt: skip
    order = [("two", 0.6), ("alt", 0.8), ("pages", 0.8), ("one", 0.8)]
    section = section_of(tmp_path, told)
    assert [(each["captioner"], each["covered"]) for each in section["teachers"]] == order


def test_teachers_by_a_score(tmp_path: Path) -> None:
    section = section_of(tmp_path, {
        "i1": [("alt", "x", 0.2), ("one", "x", 0.3)], "i2": [("alt", "x", 0.3), ("one", "x", None)],
        "i3": [("one", "x", 0.3), ("two", "x", 0.29)],
    }, scored=True, min_score=0.3)  # fmt: skip
    assert section["teachers"][:2] == [{"captioner": "one", "covered": 0.667}, {"captioner": "alt", "covered": 1.0}]
    assert "samples with a caption of similarity 0.3 or more, " in captions_lines(section)[-1]
    means = {row["captioner"]: row["similarity"] for row in section["kinds"]}
    assert means == {"alt": pytest.approx(0.25), "one": pytest.approx(0.3), "two": pytest.approx(0.29)}
    assert section["chosen"]["samples"] == 3 and section["chosen"]["min_score"] == 0.3


def test_one_captioner_is_no_order(tmp_path: Path) -> None:
    assert section_of(tmp_path, {"i1": [("alt", "a dog", None)]}, captioners=1)["teachers"] == []


@pytest.mark.parametrize("told", [{}, {"i1": [], "v1": [("one", "", None)]}])
def test_nothing_said_and_nothing_to_say_it_of(tmp_path: Path, told: Told) -> None:
    section = section_of(tmp_path, told)
    json.dumps(section, allow_nan=False)
    assert (section["kinds"], section["chosen"]["samples"]) == ([], 0)
    assert section["coverage"] == {"alt": 0, "captions": 0, "both": 0}
    text = "\n".join([*captions_lines(section), *captions_markdown({"captions": section})])
    assert "nan" not in text and "Samples: ." not in text


# --------------------------------------------------------------------------------------------------------- words


def _section(**changes: Any) -> Row:
    kind = {"captioner": "one", "kind": "brief", "texts": 4, "matched": 2, "matched_share": 0.5,
            "matches_per_text": 1.25, "entries": 3, "similarity": None, "chosen": 1}  # fmt: skip
    chosen = {"rule": "order", "samples": 4, "without": 1, "matched": 2, "min_score": None, "cutoff": None}
    return {"samples": {"image": 1234}, "kinds": [kind], "silent": {}, "failed": {}, "left_out": {}, "models": [],
            "coverage": {"alt": 0, "captions": 0, "both": 0}, "teachers": [], "chosen": chosen, "balanced": None,
            **changes}  # fmt: skip


def test_every_fault_has_words_and_every_word_a_fault() -> None:
    assert FAULTS.keys() == set(Fault)


def test_faults_of_a_captioner_the_most_frequent_first() -> None:
    failed = {"b.timeout": 1, "a.empty": 3, "a.odd_one": 1200, "b.connect": 2}
    assert failed_words(failed) == [
        ("a", "1,200 odd_one, 3 empty answers"),
        ("b", "2 no connection to the server, 1 no whole answer in time"),
    ]
    assert failed_words({}) == []


ODD = "a|b`<script>[x](y)\n# *c*\x1b[31m\u202e"


def test_markdown_holds_whatever_is_in_the_section() -> None:
    kind = {**_section()["kinds"][0], "captioner": ODD, "kind": ODD}
    section = _section(kinds=[kind], failed={f"{ODD}.empty": 1}, models=[
        {"name": ODD, "model": ODD, "requests": 1, "prompt_tokens": 2, "answer_tokens": 3, "cost": 0.0}
    ])  # fmt: skip
    parts = captions_markdown({"captions": section})
    assert parts[1] == "Samples: 1,234 of image."
    text = "\n".join(parts)
    assert not {"\x1b", "\u202e"} & set(text)
    assert "<script>" not in text and "&lt;script&gt;" in text
    *_, row = parts[2].splitlines()
    assert len(parts[2].splitlines()) == 3
    assert row.replace("\\|", "").count("|") == 10
    assert len(parts[3].splitlines()) == len(captions_lines(section)) == 4
    assert all(line.startswith("- ") for line in parts[3].splitlines())


def test_money_is_told_where_it_costs_any() -> None:
    model = {"name": "m", "model": "x", "requests": 1000, "prompt_tokens": 2, "answer_tokens": 3, "cost": 0.0}
    free, paid = captions_lines(_section(models=[model, {**model, "cost": 1234.5}]))[-2:]
    assert free == "m: 1,000 answers, 2 tokens asked, 3 answered"
    assert paid == f"{free}, cost 1,234.50"


def test_without_the_section_nothing_is_said() -> None:
    assert captions_markdown({}) == captions_markdown({"captions": None}) == []
    assert captions_section(None, {}) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "encoding"), [(40, "utf-8"), (80, "ascii"), (120, "utf-8")])
def test_many_odd_kinds_in_a_terminal(made: Made, width: int, encoding: str) -> None:
    kinds = [{**_section()["kinds"][0], "kind": f"{number}{ODD}"} for number in range(13)]
    text = heart({**made.card, "captions": _section(kinds=kinds)}, width, encoding)
    text = text.partition("Captions")[2].partition("Matches of head")[0]
    assert "and 3 kinds with fewer: see card.md" in " ".join(text.split())
    assert not {"\x1b", "\u202e"} & set(text)
    assert max(map(cell_len, text.splitlines())) <= width
    without = heart({**made.card, "captions": None}, width, encoding)
    assert "Captions" not in without and "chosen_captions" not in without
