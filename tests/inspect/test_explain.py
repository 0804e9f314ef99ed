"""`explain`: counts against a brute-force recount; the difference of two runs must add up and blame the right stage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_runs import ENGLISH, FRENCH, Folder, links, printed

from curation import commands
from curation.concepts import pad, prepare
from curation.concepts.lint import never_matches
from curation.errors import CurationError, StaleDatasetError, WorkFolderError
from curation.inspect.difference import PARTS, Difference, explain_difference
from curation.inspect.explain import explain
from curation.inspect.explain_text import difference_lines, explain_lines
from curation.inspect.why import why
from curation.pipeline import STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store

DEFINITIONS = st.sampled_from(["v1", "v2"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("explain"), {"one": links(1, 80), "two": links(2, 80)})
    folder.run(draw={"texts_per_media": "one"})
    return folder


@pytest.mark.parametrize(("lang", "entry"), [("en", entry) for entry in ENGLISH] + [("fr", entry) for entry in FRENCH])
def test_counts_equal_a_recount_of_the_pairs(folder: Folder, lang: str, entry: str) -> None:
    rows = folder.query("SELECT pair_id, text, lang, page_url, picked FROM pairs LEFT JOIN draws USING (pair_id)")
    holders = {row[0]: row for row in rows if row[2] == lang and pad(entry, "v1") in prepare(row[1], "v1")}
    kept = {row[0] for row in folder.query("SELECT pair_id FROM kept_pairs")} & holders.keys()
    (story,) = explain(folder.catalog, entry, hosts=100, samples=10_000).entries
    assert story.vocabulary_lang == lang
    if not holders:
        assert story.modalities == []
        return
    (image,) = story.modalities
    picked = sum(row[4] for row in holders.values())
    assert (image.matched, image.picked, image.kept) == (len(holders), picked, len(kept))
    assert [sample.pair_id for sample in story.kept_samples] == sorted(kept)
    assert [sample.pair_id for sample in story.dropped_samples] == sorted(holders.keys() - kept)
    assert sum(host.matched for host in story.hosts) == len(holders)
    assert sum(host.kept for host in story.hosts) == len(kept)
    assert {host.host for host in story.hosts} == {row[3].split("/")[2] for row in holders.values()}
    t = folder.catalog.visible("balance").context["thresholds"]["image"][lang]
    assert (image.threshold, image.probability) == (t, 1 if len(holders) < t else t / len(holders))


def _two_modalities(folder: Folder) -> list[dict[str, Any]]:
    columns = {"media_url": "url", "texts": {"alt": "alt"}, "page_url": "page"}
    return [{"kind": "table", "paths": [str(folder.root / f"{name}.jsonl")], "columns": columns, "modality": modality}
            for name, modality in (("one", "image"), ("two", "video"))]


@pytest.mark.parametrize("pooled", [False, True])
def test_modalities_are_told_apart_and_counted_together_on_request(tmp_path: Path, pooled: bool) -> None:
    folder = Folder(tmp_path, {"one": links(1, 60), "two": links(2, 40)})
    sections = {"count": {"pool_modalities": pooled}, "balance": {"t": {"image": 20, "video": 9}}}
    folder.run(inputs=_two_modalities(folder), **sections)
    counts = dict(folder.query("SELECT modality, texts FROM entry_counts WHERE entry = 'cat'"))
    image, video = explain(folder.catalog, "cat").entries[0].modalities
    assert (image.matched, video.matched) == (counts["image"], counts["video"])
    assert (image.threshold, video.threshold) == (20, 9)
    total = sum(counts.values())
    assert [image.counted, video.counted] == ([total, total] if pooled else [counts["image"], counts["video"]])
    assert image.probability == 20 / image.counted
    for modality in (image, video):
        pair_id = folder.query(f"""
            SELECT min(pair_id) FROM matches JOIN entry_counts USING (modality, vocabulary_lang)
            WHERE entry = 'cat' AND list_contains(entry_ids, entry_id) AND modality = '{modality.modality}'""")[0][0]
        (pair,) = why(folder.catalog, pair_id).pairs
        assert {entry.texts for entry in pair.entries if entry.entry == "cat"} == {modality.counted}
        assert (pair.u < pair.keep_probability) == pair.kept


def test_a_changed_modality_is_no_loss_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    runs = [Folder(tmp_path_factory.mktemp("modality"), {"one": links(1, 60), "two": links(2, 40)}) for _ in range(2)]
    runs[0].run(inputs=_two_modalities(runs[0]))
    runs[1].run(inputs=[{**source, "modality": "image"} for source in _two_modalities(runs[1])])
    found = explain_difference(runs[0].catalog, runs[1].catalog, "cat")
    assert sum(part.net for part in found.parts) == found.b.kept - found.a.kept
    assert {part.stage for part in found.parts if part.lost or part.gained} <= {"count", "thresholds"}


def test_rank_is_one_plus_the_entries_with_more_texts(folder: Folder) -> None:
    counts = dict(folder.query("SELECT entry, texts FROM entry_counts WHERE vocabulary_lang = 'en'"))
    ranks = {entry: explain(folder.catalog, entry).entries[0].modalities[0].rank for entry in counts}
    assert ranks == {entry: 1 + sum(n > counts[entry] for n in counts.values()) for entry in counts}
    assert sorted(ranks.values())[0] == 1


def test_texts_whose_critical_threshold_is_the_threshold_are_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"one": [{"url": f"https://i.example/{n}", "alt": "the red cat is in the garden"}
                                       for n in range(4)]})
    folder.run(balance={"t": 4})
    kept = explain(folder.catalog, "cat").entries[0]
    assert (len(kept.kept_samples), kept.modalities[0].kept) == (4, 4)
    exactly = max(sample.critical_threshold for sample in kept.kept_samples)
    folder.run(balance={"t": exactly})
    assert len(explain(folder.catalog, "cat").entries[0].kept_samples) == 4


def test_samples_are_few_by_default_and_always_the_same(folder: Folder) -> None:
    first, again = (explain(folder.catalog, "cat") for _ in range(2))
    assert first == again
    assert 0 < len(first.entries[0].dropped_samples) <= 5


def test_a_concept_in_no_vocabulary_names_the_nearest(folder: Folder) -> None:
    story = explain(folder.catalog, "RIVER")
    assert (story.entries, story.nearest) == ([], [("en", "river")])
    assert explain(folder.catalog, "hous").nearest == [("en", "house")]
    assert explain(folder.catalog, "gardens").nearest == [("en", "garden")]
    assert "no vocabulary" in explain_lines(story)[0]
    assert explain(folder.catalog, "").nearest == []


def test_an_entry_that_can_never_match_says_why(folder: Folder) -> None:
    story = explain(folder.catalog, "St. Louis")
    assert story.entries[0].modalities == []
    text = "\n".join(explain_lines(story))
    assert "no text holds it, and none ever can: it holds '.' beside another character" in text
    assert explain_lines(explain(folder.catalog, "unicorn"))[-1] == "  no text holds it"


@given(entry=st.text(alphabet="ab ,.\n漢)", max_size=8), definition=DEFINITIONS)
def test_never_is_exact(entry: str, definition: Any) -> None:
    """Where a reason is given no text matches; where none is, this text does."""
    searched = pad(entry, definition)
    witness = searched
    for mark in ",.":  # undo the spaces that a text gets around its marks
        witness = witness.replace(f" {mark}", mark).replace(f"{mark} ", mark)
    found = searched in prepare(f"z{witness}z", definition)
    assert (never_matches(entry, definition) is None) == found


def test_never_against_every_short_text() -> None:
    texts = ["".join(signs) for size in range(7) for signs in product("a, ", repeat=size)]
    for definition in ("v1", "v2"):
        prepared = [prepare(text, definition) for text in texts]
        for entry in ("".join(signs) for size in range(4) for signs in product("a, ", repeat=size)):
            found = any(pad(entry, definition) in text for text in prepared)
            assert found == (never_matches(entry, definition) is None), (entry, definition)


_SNOW = [{"url": f"https://img.example/{n}.png", "alt": f"a photograph of the cat called 白雪, number {n}"}
         for n in range(30)]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Folder]:
    """Runs that differ from one with both tables, all texts and t = 20 in something."""
    made: dict[str, Folder] = {}

    def run(name: str, tables: tuple[str, ...] = ("one", "two"), **sections: Any) -> Folder:
        if name not in made:
            content = {"one": links(1, 50), "two": [*links(2, 50), *_SNOW]}
            made[name] = Folder(tmp_path_factory.mktemp(name), {table: content[table] for table in tables})
            made[name].run(**sections)
        return made[name]

    return run


CASES: dict[str, dict[str, Any]] = {
    "archive": {"tables": ("one",)},
    "rule": {"pairs": {"rules": {"max_chars": 45}}},
    "redaction": {"pairs": {"rules": {"redact_emails": False}}},
    "language": {"pairs": {"language": {"keep": ["en"]}}},
    "placeholder": {"pairs": {"placeholder_texts": 2}},
    "vocabulary": {"match": {"vocabularies": {"en": "demo:en"}}},
    "fallback": {"match": {"all_languages": True, "fallback": "en"}},
    "definition": {"match": {"definition": "v2"}},
    "option": {"match": {"options": ["case_fold"]}},
    "pick": {"draw": {"texts_per_media": "one"}},
    "threshold": {"balance": {"t": 35}},
    "seed": {"draw": {"seed": 1}},
    "everything": {"tables": ("two",), "draw": {"seed": 2, "texts_per_media": "one"}, "balance": {"t": 12},
                   "pairs": {"rules": {"max_chars": 60}}},
    "nothing": {},
}
ALLOWED = {  # stages that may be blamed: the one that changed, and counts and thresholds, which follow from it
    "archive": {"extract", "count", "thresholds"}, "rule": {"pairs", "count", "thresholds"},
    "redaction": {"pairs", "count", "thresholds"}, "language": {"pairs", "count", "thresholds"},
    "placeholder": {"pairs", "count", "thresholds"}, "vocabulary": {"match", "count", "thresholds"},
    "fallback": {"match", "count", "thresholds"}, "definition": {"match", "count", "thresholds"},
    "option": {"match", "count", "thresholds"}, "pick": {"pick"},
    "threshold": {"thresholds"}, "seed": {"seed"}, "everything": set(PARTS),
    "nothing": set()}


TELLING = {"language": ("cat", "chat"), "redaction": ("house",), "definition": ("cat", "雪")}  # entries; else:
ENTRIES = ("cat", "house")


@pytest.fixture(scope="module")
def differences(other: Callable[..., Folder]) -> dict[tuple[str, str], Difference]:
    base = other("base")
    runs = {case: other(case, **sections) for case, sections in CASES.items()}
    return {(case, entry): explain_difference(base.catalog, run.catalog, entry)
            for case, run in runs.items() for entry in {"cat", *TELLING.get(case, ENTRIES)}}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_parts_add_up_and_blame_what_changed(differences: dict[tuple[str, str], Difference], case: str) -> None:
    blamed = set()
    for entry in TELLING.get(case, ENTRIES):
        found = differences[case, entry]
        assert sum(part.net for part in found.parts) == found.b.kept - found.a.kept
        assert sum(part.lost for part in found.parts) <= found.a.kept
        assert sum(part.gained for part in found.parts) <= found.b.kept
        blamed |= {part.stage for part in found.parts if part.lost or part.gained}
    assert blamed <= ALLOWED[case]
    assert not blamed if case == "nothing" else blamed


@pytest.mark.parametrize("case", CASES)
def test_what_differs_is_what_the_pairs_say(
        other: Callable[..., Folder], differences: dict[tuple[str, str], Difference], case: str) -> None:
    kept = []
    for run in (other("base"), other(case, **CASES[case])):
        holding = ("SELECT pair_id FROM kept_pairs JOIN entry_counts USING (modality, vocabulary_lang) "
                   "WHERE entry = 'cat' AND list_contains(entry_ids, entry_id)")
        kept.append({row[0] for row in run.query(holding)})
    found = differences[case, "cat"]
    assert (found.a.kept, found.b.kept) == (len(kept[0]), len(kept[1]))
    assert sum(part.lost for part in found.parts) == len(kept[0] - kept[1])
    assert sum(part.gained for part in found.parts) == len(kept[1] - kept[0])


@pytest.mark.parametrize("case", ["archive", "threshold", "everything"])
def test_the_way_back_exchanges_lost_and_gained(
        other: Callable[..., Folder], differences: dict[tuple[str, str], Difference], case: str) -> None:
    back = explain_difference(other(case, **CASES[case]).catalog, other("base").catalog, "cat")
    assert [(part.stage, part.lost, part.gained) for part in differences[case, "cat"].parts] == [
        (part.stage, part.gained, part.lost) for part in back.parts]


def test_every_stage_is_blamed_somewhere(differences: dict[tuple[str, str], Difference]) -> None:
    parts = [part for found in differences.values() for part in found.parts]
    assert {part.stage for part in parts if part.lost or part.gained} == set(PARTS)


def test_what_changed_is_named(differences: dict[tuple[str, str], Difference]) -> None:
    cases = ("archive", "rule", "vocabulary", "option", "threshold", "seed")
    changed = {case: _named(differences[case, "cat"]) for case in cases}
    assert changed["archive"]["extract"][0].startswith("1 archive only in A, or read otherwise there: two.jsonl")
    assert changed["rule"]["pairs"] == ["pairs.rules.max_chars: null -> 45"]
    assert changed["vocabulary"]["match"][0].startswith("vocabulary en: 12 entries from ")
    assert changed["option"]["match"] == ["match.options.case_fold: null -> 1"]
    assert {"t of image/en: 20 -> 35", "balance.t: 20 -> 35"} <= set(changed["threshold"]["thresholds"])
    assert changed["seed"] == {"seed": ["draw.seed: 0 -> 1"]}


def _named(difference: Difference) -> dict[str, list[str]]:
    return {part.stage: part.changes for part in difference.parts if part.changes}


def test_lines_of_a_difference(differences: dict[tuple[str, str], Difference]) -> None:
    lines = difference_lines(differences["everything", "cat"])
    assert lines[0].startswith('"cat": ')
    assert lines[-1].split()[:2] == ["in", "all"] or "without effect" in lines[-1]
    assert all(line.isprintable() for line in lines)


def test_a_concept_in_no_vocabulary_makes_no_difference(folder: Folder) -> None:
    difference = explain_difference(folder.catalog, folder.catalog, "no such entry")
    assert (difference.a.matched, difference.b.matched) == (0, 0)
    assert all((part.lost, part.gained) == (0, 0) for part in difference.parts)


def test_an_unfinished_run_is_said(tmp_path: Path, folder: Folder) -> None:
    begun = Folder(tmp_path, {"one": links(3, 5)})
    begun.run(until="match")
    with pytest.raises(WorkFolderError, match="no balance yet"):
        explain(begun.catalog, "cat")
    with pytest.raises(WorkFolderError, match="no count yet"):
        explain_difference(folder.catalog, begun.catalog, "cat")


def test_files_of_another_version_of_curation_are_said(tmp_path: Path, folder: Folder) -> None:
    shutil.copytree(folder.work, tmp_path, dirs_exist_ok=True)
    older = Catalog(Store.at(tmp_path), STAGES)
    for path in older.files("pairs"):
        pq.write_table(pq.read_table(path).drop_columns(["snapshot"]), path)
    for ask in (lambda: explain(older, "cat"), lambda: explain_difference(folder.catalog, older, "cat")):
        with pytest.raises(StaleDatasetError, match=r"^pairs in .* another version of curation, with other columns"):
            ask()


def test_the_command_takes_one_folder_or_two(folder: Folder, other: Callable[..., Folder]) -> None:
    one = printed(commands.explain, "cat", [str(folder.work)])
    assert '"cat" in vocabulary en: entry 0 of 12' in one
    two = printed(commands.explain, "cat", [str(folder.work), str(other("base").work)])
    assert "kept in A" in two
    with pytest.raises(CurationError, match="one work folder"):
        printed(commands.explain, "cat", [])
