"""`why`: what it recomputes must agree with what the stages published, for every media of a pool."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from inspect_runs import Folder, links, printed

from curation import commands
from curation.errors import CurationError, StaleDatasetError, WorkFolderError
from curation.forget import Request, forget
from curation.inspect.why import MediaStory, why
from curation.inspect.why_text import why_lines
from curation.media.refusals import Tombstones
from curation.pipeline import STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store

_ODD = [
    *({"url": "https://img.example/spacer.gif", "alt": f"a long sentence about number {n}", "page": "https://p.example/"}
      for n in range(30)),
    {"url": "https://img.example/plain.jpg", "alt": "nothing here is in any of our lists", "page": "https://p.example/"},
    {"url": "https://img.example/de.jpg", "alt": "Das ist ein sehr schönes altes Haus am Fluss", "page": None},
    {"url": "https://img.example/name.jpg", "alt": "IMG_2034.jpg", "page": "https://p.example/"},
    {"url": "https://img.example/esc.jpg", "alt": "the \x1b[31m cat \u202e is here in the house", "page": "https://p.example/"},
    *({"url": "https://img.example/often.jpg", "alt": "the old bridge in the snow near the house",
       "page": f"https://p.example/{n}"} for n in range(50)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    again = links(1, 30)[:20]
    folder = Folder(tmp_path_factory.mktemp("why"), {"one": links(1, 30), "two": [*links(2, 5), *again, *_ODD]})
    folder.run(draw={"texts_per_media": "one"})
    return folder


@pytest.fixture(scope="module")
def stories(folder: Folder) -> dict[str, MediaStory]:
    return {media_id: why(folder.catalog, media_id)
            for (media_id,) in folder.query("SELECT DISTINCT media_id FROM candidates ORDER BY media_id")}


def _media(folder: Folder, name: str) -> str:
    return str(folder.query(f"SELECT any_value(media_id) FROM candidates WHERE media_url LIKE '%/{name}'")[0][0])


def test_every_candidate_of_every_media_is_accounted_for(stories: dict[str, MediaStory]) -> None:
    for story in stories.values():
        told = sum(pair.occurrences for pair in story.pairs) + sum(text.occurrences for text in story.filtered)
        assert story.is_placeholder or told == story.candidates
        assert all(text.rule for text in story.filtered)


def test_rules_are_those_that_the_stage_counted(folder: Folder, stories: dict[str, MediaStory]) -> None:
    told: Counter[str] = Counter()
    for story in stories.values():
        told.update({f"filtered:{text.rule}": text.occurrences for text in story.filtered})
    counts = folder.catalog.visible("pairs").counts
    assert dict(told) == {name: n for name, n in counts.items() if name.startswith("filtered:")}
    assert told  # else nothing was tested


def test_language_settings_are_applied_as_the_stage_does(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"one": [*links(1, 6), *_ODD]})
    folder.run(until="pairs", pairs={"language": {"min_score": 0.5, "keep": ["en", "de"]}})
    told: Counter[str] = Counter()
    for (media_id,) in folder.query("SELECT DISTINCT media_id FROM candidates"):
        told.update({f"filtered:{text.rule}": text.occurrences for text in why(folder.catalog, media_id).filtered})
    counts = folder.catalog.visible("pairs").counts
    assert dict(told) == {name: n for name, n in counts.items() if name.startswith("filtered:")}
    assert told["filtered:language"]


def test_candidates_are_listed_in_order_of_provenance(tmp_path: Path) -> None:
    same = [{"url": "https://img.example/1.jpg", "alt": f"the cat number {n}"} for n in range(3)]
    folder = Folder(tmp_path, {"one": same, "two": same})
    table = {"kind": "table", "columns": {"media_url": "url", "texts": {"alt": "alt"}}}
    folder.run(until="extract", inputs=[
        {**table, "paths": [str(tmp_path / f"{name}.jsonl")], "snapshot": snapshot}
        for name, snapshot in (("one", "later"), ("two", "earlier"))])
    found = why(folder.catalog, folder.query("SELECT media_id FROM candidates")[0][0], occurrences=4).occurrences
    assert [(place.snapshot, place.record_offset) for place in found] == [
        ("earlier", 0), ("earlier", 1), ("earlier", 2), ("later", 0)]


def test_kept_pairs_are_exactly_those_told_as_kept(folder: Folder, stories: dict[str, MediaStory]) -> None:
    kept = {pair.pair_id for story in stories.values() for pair in story.pairs if pair.kept}
    assert kept == {row[0] for row in folder.query("SELECT pair_id FROM kept_pairs")}
    assert all(pair.kept is not None for story in stories.values() for pair in story.pairs)


def test_numbers_agree_with_each_other_and_with_the_sentence(stories: dict[str, MediaStory]) -> None:
    seen: Counter[str] = Counter()
    for pair in (pair for story in stories.values() for pair in story.pairs):
        if not pair.picked:
            seen[pair.verdict.split(":")[0]] += 1
            assert not pair.kept
            continue
        assert None not in (pair.u, pair.keep_probability, pair.critical_threshold, pair.threshold)
        assert (pair.u < pair.keep_probability) == pair.kept == (pair.critical_threshold <= pair.threshold)
        missing = 1.0
        for entry in pair.entries:
            assert entry.probability == (1.0 if entry.texts < pair.threshold else pair.threshold / entry.texts)
            missing *= 1 - entry.probability
        assert pair.keep_probability == 1 - missing
        assert pair.verdict.startswith("kept: its draw" if pair.kept else "not kept: its draw needs t >= ")
        seen[pair.verdict.split(" needs")[0]] += 1
    assert seen.keys() >= {"kept: its draw", "not kept: its draw", "not kept"}, seen


def test_counts_of_entries_are_those_of_the_pool(folder: Folder, stories: dict[str, MediaStory]) -> None:
    rows = folder.query("SELECT vocabulary_lang, entry, texts FROM entry_counts")
    counts = {(lang, entry): n for lang, entry, n in rows}
    for pair in (pair for story in stories.values() for pair in story.pairs):
        assert all(counts[pair.vocabulary_lang, entry.entry] == entry.texts for entry in pair.entries)


def test_a_pair_id_tells_that_pair_only(folder: Folder) -> None:
    pair_id, media_id, text, times = folder.query(
        "SELECT pair_id, media_id, text, occurrences FROM pairs WHERE occurrences > 1 AND NOT contains(text, '<') "
        "AND media_id IN (SELECT media_id FROM pairs GROUP BY 1 HAVING count(*) > 1) ORDER BY pair_id LIMIT 1")[0]
    story = why(folder.catalog, pair_id.upper())
    assert (story.media_id, [pair.pair_id for pair in story.pairs]) == (media_id, [pair_id])
    assert {found.text for found in story.occurrences} == {text}
    assert len(story.occurrences) == times < story.candidates


def test_a_redacted_text_is_found_from_its_pair_id(folder: Folder) -> None:
    pair_id = folder.query("SELECT min(pair_id) FROM pairs WHERE contains(text, '<email>')")[0][0]
    story = why(folder.catalog, pair_id)
    assert {found.text for found in story.occurrences} == {"write to me@example.org about the house"}
    assert "<email>" in story.pairs[0].text


def test_a_placeholder_is_told_as_one(folder: Folder) -> None:
    story = why(folder.catalog, _media(folder, "spacer.gif"))
    assert (story.candidates, story.pairs, story.filtered) == (30, [], [])
    assert story.is_placeholder
    assert any(line.startswith("rejected   by pairs as placeholder: 30 texts") for line in why_lines(story))


def test_texts_that_match_nothing_show_what_was_searched(folder: Folder) -> None:
    (pair,) = why(folder.catalog, _media(folder, "plain.jpg")).pairs
    assert pair.verdict == "not kept: no entry of the vocabulary en stands in the text"
    assert pair.prepared == " nothing here is in any of our lists "
    assert any(pair.prepared in line for line in why_lines(why(folder.catalog, pair.pair_id)))


def test_a_language_without_vocabulary_is_said(folder: Folder) -> None:
    (pair,) = why(folder.catalog, _media(folder, "de.jpg")).pairs
    assert (pair.lang, pair.vocabulary_lang, pair.kept) == ("de", None, False)
    assert "no vocabulary for the language 'de'" in pair.verdict


def test_a_filtered_media_names_the_rule(folder: Folder) -> None:
    lines = why_lines(why(folder.catalog, _media(folder, "name.jpg")))
    assert any("the rule pairs.rules.drop_file_names drops it" in line for line in lines)


def test_listed_candidates_are_capped_and_all_are_counted(folder: Folder) -> None:
    story = why(folder.catalog, _media(folder, "often.jpg"), occurrences=7)
    assert (story.candidates, len(story.occurrences), story.pairs[0].occurrences) == (50, 7, 50)
    offsets = [found.record_offset for found in story.occurrences]
    assert offsets == sorted(offsets)
    assert "the first 7 of them" in "\n".join(why_lines(story))


def test_pairs_are_capped_and_counted_with_kept_ones_first(folder: Folder) -> None:
    media_id, total = folder.query("""
        SELECT media_id, count(*) FROM pairs WHERE media_id IN (SELECT media_id FROM kept_pairs)
        GROUP BY media_id ORDER BY count(*) DESC, media_id LIMIT 1""")[0]
    story = why(folder.catalog, media_id, pairs=1)
    assert (len(story.pairs), story.pairs_in_all, story.pairs[0].kept) == (1, total, True)
    assert f"and {total - 1} more pair" in "\n".join(why_lines(story))
    assert story.filtered == why(folder.catalog, media_id).filtered


def test_lines_carry_no_control_characters(folder: Folder, stories: dict[str, MediaStory]) -> None:
    assert "\\x1b[31m" in "\n".join(why_lines(stories[_media(folder, "esc.jpg")]))
    for story in stories.values():
        assert all(line.isprintable() for line in why_lines(story))


@pytest.mark.parametrize("id", ["", "abc", "g" * 24, "0" * 25, "https://img.example/1.jpg", "'; DROP TABLE pairs"])
def test_malformed_ids_are_explained(folder: Folder, id: str) -> None:
    with pytest.raises(CurationError, match="24 hex digits") as error:
        why(folder.catalog, id)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("id", ["0" * 24, "0" * 32])
def test_unknown_ids_are_not_in_the_pool(folder: Folder, id: str) -> None:
    """Which is plain: how an id looks is no matter where it looks as it should."""
    with pytest.raises(CurationError, match=f"{id} is not in {folder.work}") as error:
        why(folder.catalog, id)
    assert "\n" not in str(error.value)
    assert "hex digits" not in str(error.value)


def test_forgotten_media_are_told_as_such(folder: Folder, tmp_path: Path) -> None:
    """By media_id and sample_id, with the day where a receipt tells it; of a pair it cannot be told whose it was."""
    shutil.copytree(folder.work, tmp_path, dirs_exist_ok=True)
    store = Store.at(tmp_path)
    media_id, later = _media(folder, "often.jpg"), _media(folder, "de.jpg")
    pair_id = why(folder.catalog, media_id).pairs[0].pair_id
    forget(store, Request(media_ids=(media_id,), copies="none"))
    (receipt,) = (tmp_path / "_forgotten").glob("receipt-*.json")
    receipt.write_text(receipt.read_text().replace(json.loads(receipt.read_text())["finished_at"][:10], "2026-03-05"))
    for id in (media_id, media_id.upper(), f"{media_id}-0-1500"):
        lines = printed(commands.why, id, str(tmp_path)).splitlines()
        assert lines[0] == f"media      {media_id}"
        assert lines[1].startswith("forgotten on 2026-03-05 (`curation forget`): nothing of it is kept")
    with pytest.raises(CurationError, match=f"pair {pair_id} is not in .* Of 1 forgotten media no pair is known"):
        printed(commands.why, pair_id, str(tmp_path))
    store.put_json("_forgotten/killed.json", Tombstones(media_ids=frozenset([later])).to_json())
    assert printed(commands.why, later, str(tmp_path)).splitlines()[1].startswith("forgotten (`curation forget`): ")
    assert why_lines(why(folder.catalog, later))[0].startswith(f"media      {later}"), "the other folder has it"


@pytest.mark.parametrize(("until", "verdict"), [
    ("pairs", "match has not run"), ("match", "not been counted"), ("count", "draw has not been made"),
    ("draw", "its draw needs t >= ")])
def test_an_unfinished_run_tells_what_is_known(tmp_path: Path, until: str, verdict: str) -> None:
    folder = Folder(tmp_path, {"one": [{"url": "https://i.example/1.jpg", "alt": "the red cat is in the garden"}]})
    folder.run(until=until)
    story = why(folder.catalog, folder.query("SELECT media_id FROM candidates")[0][0])
    (pair,) = story.pairs
    assert pair.verdict.startswith("not decided: ")
    assert verdict in pair.verdict
    assert pair.kept is None
    assert why_lines(story)[-1].startswith("note ")


def test_outdated_stages_are_not_told(tmp_path: Path) -> None:
    one = [{"url": "https://i.example/1.jpg", "alt": "the red cat is in the garden"}]
    folder = Folder(tmp_path, {"one": one})
    folder.run()
    folder.write("two", one)
    folder.run(until="extract")
    story = why(folder.catalog, folder.query("SELECT media_id FROM candidates")[0][0])
    assert (story.candidates, story.archives, story.pairs) == (2, 2, [])
    assert "made from inputs that have been replaced" in story.notes[0]


def test_files_of_another_version_of_curation_are_said(folder: Folder, tmp_path: Path) -> None:
    shutil.copytree(folder.work, tmp_path, dirs_exist_ok=True)
    catalog = Catalog(Store.at(tmp_path), STAGES)
    media_id = _media(folder, "often.jpg")
    for dataset, column in (("draws", "picked"), ("candidates", "snapshot")):
        for path in catalog.files(dataset):
            pq.write_table(pq.read_table(path).drop_columns([column]), path)
        with pytest.raises(StaleDatasetError, match=f"^{dataset} in .* another version of curation, with"):
            why(catalog, media_id)


def test_nothing_but_candidates(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"one": [{"url": "https://i.example/1.jpg", "alt": "the red cat is in the garden"}]})
    with pytest.raises(WorkFolderError, match="no extract yet"):
        why(folder.catalog, "0" * 24)
    folder.run(until="extract")
    story = why(folder.catalog, folder.query("SELECT media_id FROM candidates")[0][0])
    assert (story.candidates, story.pairs, story.media_bucket) == (1, [], None)
    with pytest.raises(CurationError, match="give a media_id"):
        why(folder.catalog, "0" * 32)


def test_only_the_medias_bucket_is_read(folder: Folder) -> None:
    pair_id, media_id = folder.query("SELECT min(pair_id), arg_min(media_id, pair_id) FROM kept_pairs")[0]
    own = f"bucket-{int(media_id[:8], 16) % 3:05d}"
    hidden = []
    for stage in ("pairs", "match", "draw", "balance"):
        for name, report in folder.catalog.visible(stage).reports.items():
            paths = [path for dataset in report.files for path in report.paths(dataset)]
            hidden += [folder.work / path for path in paths if name != own]
    for path in hidden:
        path.rename(path.with_suffix(".hidden"))
    try:
        assert pair_id in {pair.pair_id for pair in why(folder.catalog, media_id).pairs}
    finally:
        for path in hidden:
            path.with_suffix(".hidden").rename(path)


def test_the_command_writes_the_same_lines(folder: Folder) -> None:
    media_id = _media(folder, "often.jpg")
    assert printed(commands.why, media_id, str(folder.work)).splitlines() == why_lines(why(folder.catalog, media_id))
