"""What changed between two manifests: numbers against naive counting, reasons against fates that are known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_fates import FATES, THERE_ONLY, ids, publish

from curation.errors import CurationError, InputError
from curation.inspect.manifest_diff import ManifestDiff, diff_manifests
from curation.inspect.manifest_diff_text import diff_lines, reason_words
from curation.inspect.manifest_reasons import STAGES
from curation.pipeline import ALL_STAGES
from curation.testing.manifests import manifest_table, write_manifest

_T_OF_A = 50.0  # above the critical threshold of the fate lower_t


def reasons(lost: Any) -> Counter[tuple[str, str]]:
    return Counter({(each.stage, each.reason): each.samples for each in lost})


def expected(fates: dict[int, str]) -> Counter[tuple[str, str]]:
    return Counter(FATES[name][:2] for name in fates.values() if FATES[name].stage)


def in_a(name: str) -> str:
    if name == "other_archive":
        return THERE_ONLY
    return "clip" if FATES[name].modality == "video" else "there"


# reasons


@given(st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=25))
@settings(max_examples=12, deadline=None)
@pytest.mark.slow
def test_every_sample_that_left_has_the_reason_of_its_fate(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    """And so have those that came, seen from the other side."""
    folder = tmp_path_factory.mktemp("runs")
    fates = dict(enumerate(names))
    publish(folder / "a", {number: in_a(name) for number, name in fates.items()}, t=_T_OF_A)
    publish(folder / "b", fates)
    diff = diff_manifests(str(folder / "a"), str(folder / "b"))
    back = diff_manifests(str(folder / "b"), str(folder / "a"))
    assert reasons(diff.left) == expected(fates)
    assert sum(reasons(diff.left).values()) == diff.only_a == diff.all_a - diff.both
    assert (diff.came, diff.only_b) == ([], 0)
    assert (back.came, back.left, back.only_b) == (diff.left, [], diff.only_a)
    places = [STAGES.index(each.stage) for each in diff.left]
    assert places == sorted(places)


def test_all_fates_at_once_each_with_an_example(tmp_path: Path) -> None:
    fates = dict(enumerate(sorted(FATES)))
    publish(tmp_path / "a", {number: in_a(name) for number, name in fates.items()}, t=_T_OF_A)
    publish(tmp_path / "b", fates)
    diff = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"))
    assert reasons(diff.left) == expected(fates)
    for each in diff.left:
        own = [ids(number, FATES[name])[1] for number, name in fates.items()
               if FATES[name][:2] == (each.stage, each.reason)]  # fmt: skip
        assert each.example == min(own)
        words = reason_words(each.stage, each.reason)
        assert words and "_" not in words.replace("max_black_share", "").replace("min_chars", "").replace(
            "kept_clips", "")  # fmt: skip


@pytest.mark.parametrize("missing", [stage.name for stage in ALL_STAGES if stage.name != "manifest"])
@pytest.mark.slow
def test_reasons_add_up_whatever_the_folder_lacks(tmp_path: Path, missing: str) -> None:
    fates = dict(enumerate(sorted(FATES)))
    publish(tmp_path / "a", {number: in_a(name) for number, name in fates.items()}, t=_T_OF_A)
    publish(tmp_path / "b", fates, without=(missing,))
    diff = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"))
    assert sum(each.samples for each in diff.left) == diff.only_a > 0


def test_a_threshold_of_the_other_run_is_asked_only_where_there_is_one(tmp_path: Path) -> None:
    publish(tmp_path / "a", {0: "there", 1: "there"}, t=_T_OF_A, without=("balance",))
    publish(tmp_path / "b", {0: "lower_t", 1: "not_drawn"})
    left = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b")).left
    assert reasons(left) == {("balance", "not_drawn"): 2}


def test_links_that_are_nowhere_in_an_archive_that_was_read(tmp_path: Path) -> None:
    publish(tmp_path / "a", {0: "there", 1: "there"})
    publish(tmp_path / "b", {1: "there"})  # which comes from the same archive
    assert reasons(diff_manifests(str(tmp_path / "a"), str(tmp_path / "b")).left) == {("extract", "not_found"): 1}


def test_forgotten_media_are_told_first(tmp_path: Path) -> None:
    publish(tmp_path / "a", {0: "there", 1: "there", 2: "clip"})
    store = publish(tmp_path / "b", {0: "there", 1: "gone", 2: "clip"})
    tombstone = {"media_ids": [ids(0, FATES["there"])[0], ids(2, FATES["clip"])[0]], "sha256": [], "domains": [],
                 "phashes": [], "max_distance": 0}  # fmt: skip
    store.put_json("_forgotten/x.json", tombstone)
    diff = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"))
    assert reasons(diff.left) == {("forget", "forgotten"): 2, ("fetch", "http_4xx"): 1}
    assert diff.all_b == 0


def test_whole_videos_and_clips(tmp_path: Path) -> None:
    """A run that cuts videos against one that does not."""
    no_clips = ("scenes", "clips", "scores", "near_clips", "kept_clips")
    publish(tmp_path / "clips", {0: "clip"})
    publish(tmp_path / "whole", {0: "thinned_clip"}, without=no_clips)
    assert reasons(diff_manifests(str(tmp_path / "clips"), str(tmp_path / "whole")).left) == {
        ("clips", "whole_videos"): 1
    }
    whole = publish_whole(tmp_path / "whole2", no_clips)
    assert reasons(diff_manifests(whole, str(tmp_path / "clips")).left) == {("clips", "cut_into_clips"): 1}


def publish_whole(folder: Path, without: tuple[str, ...]) -> str:
    """Sample 0 as a whole video."""
    table = manifest_table(1, videos=0)
    columns = {"sample_id": "0" * 24, "media_id": "0" * 24, "modality": "video"}
    for name, value in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array([value]))
    folder.mkdir()
    pq.write_table(table, folder / "all.parquet")
    return str(folder / "all.parquet")


# numbers


def _changed(table: pa.Table, keep: list[bool], texts: list[bool], splits: list[bool]) -> pa.Table:
    def marked(name: str, mask: list[bool], value: Any) -> pa.Array:
        return pa.array([value(old) if new else old for old, new in zip(table[name].to_pylist(), mask, strict=True)])

    for name, mask, value in (("text", texts, lambda old: old + "!"), ("split", splits, lambda old: "val")):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), marked(name, mask, value))
    return table.filter(pa.array(keep))


def _naive(diff: ManifestDiff, a: pa.Table, b: pa.Table) -> None:
    """Holds all numbers against what Python counts."""
    rows_a, rows_b = ({row["sample_id"]: row for row in table.to_pylist()} for table in (a, b))
    both = rows_a.keys() & rows_b.keys()
    assert (diff.samples_a, diff.samples_b, diff.both) == (len(rows_a), len(rows_b), len(both))
    assert (diff.only_a, diff.only_b) == (len(rows_a) - len(both), len(rows_b) - len(both))
    columns = {"text": "text", "split": "split", "bytes": "sha256"}
    assert diff.changed == {
        what: sum(rows_a[key][name] != rows_b[key][name] for key in both) for what, name in columns.items()
    }
    columns = {"modality": "modality", "split": "split", "language": "text_lang", "licence": "licence",
               "text kind": "text_kind", "snapshot": "snapshot"}  # fmt: skip
    for changes in diff.changes:
        counts = []
        for rows in (rows_a, rows_b):
            if changes.kind == "concept":
                held = [(row["vocabulary_lang"], entry) for row in rows.values() for entry in row["entry_ids"]]
            elif changes.kind.endswith(" host"):
                urls = [row[f"{changes.kind.split()[0]}_url"] for row in rows.values()]
                held = [(None, url and url.split("/")[2]) for url in urls]
            else:
                held = [(None, row[columns[changes.kind]]) for row in rows.values()]
            counts.append(Counter(held))
        one, two = counts
        told = [*changes.losses, *changes.gains]
        moved = {key: two[key] - one[key] for key in one.keys() | two.keys() if one[key] != two[key]}
        assert len(told) + changes.others == len(moved)
        if changes.kind != "concept":
            assert [(each.a, each.b) for each in told] == [(one[None, e.value], two[None, e.value]) for e in told]
        losses = sorted(change for change in moved.values() if change < 0)[: len(changes.losses)]
        gains = sorted((change for change in moved.values() if change > 0), reverse=True)[: len(changes.gains)]
        assert [each.b - each.a for each in changes.losses] == losses
        assert [each.b - each.a for each in changes.gains] == gains


@given(st.data())
@settings(max_examples=10, deadline=None)
@pytest.mark.slow
def test_numbers_are_those_that_counting_gives(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("pair")
    table = manifest_table(60, videos=0.3)
    masks = [data.draw(st.lists(st.booleans(), min_size=60, max_size=60)) for _ in range(4)]
    a, b = table.filter(pa.array(masks[0])), _changed(table, *masks[1:])
    for name, rows in (("a", a), ("b", b)):
        pq.write_table(rows, folder / f"{name}.parquet", row_group_size=7)
    top = data.draw(st.integers(1, 6))
    _naive(diff_manifests(str(folder / "a.parquet"), str(folder / "b.parquet"), top=top), a, b)


def test_a_folder_and_its_export_are_the_same(tmp_path: Path) -> None:
    table = manifest_table(300)
    write_manifest(tmp_path / "work", table)
    (tmp_path / "out").mkdir()
    for part in range(3):  # in several files, with columns in another order and others beside them
        rows = table.slice(100 * part, 100).select(table.schema.names[::-1] if part else table.schema.names)
        pq.write_table(rows.append_column("jpg", pa.array([b""] * 100)), tmp_path / "out" / f"{part}.parquet")
    pq.write_table(pa.table({"entry": ["dog"]}), tmp_path / "out" / "entries.parquet")
    diff = diff_manifests(str(tmp_path / "work"), str(tmp_path / "out"))
    assert (diff.all_a, diff.all_b, diff.both, diff.only_a, diff.only_b) == (300, 300, 300, 0, 0)
    assert not any(diff.changed.values())
    assert all(not changes.losses and not changes.gains for changes in diff.changes)
    assert len(diff.changes) == 9
    assert diff.notes == [f"{tmp_path}/out does not name its entries: they are taken to be those of {tmp_path}/work"]


def test_columns_that_an_export_lacks_are_not_compared(tmp_path: Path) -> None:
    table = manifest_table(50)
    pq.write_table(table.select(["sample_id", "text", "modality"]), tmp_path / "few.parquet")
    pq.write_table(table, tmp_path / "all.parquet")
    diff = diff_manifests(str(tmp_path / "all.parquet"), str(tmp_path / "few.parquet"))
    assert diff.changed == {"text": 0}
    assert [changes.kind for changes in diff.changes] == ["concept", "modality"] or [
        changes.kind for changes in diff.changes
    ] == ["modality"]
    assert any("not compared, because a side has no such column: split, bytes" in note for note in diff.notes)


# one concept


def test_a_concept_is_followed_through_both(tmp_path: Path) -> None:
    """Fates of the samples with entry 0; others hold other entries."""
    fates = {0: "there", 3: "gone", 6: "not_drawn", 1: "gone", 2: "there", 9: "there"}
    publish(tmp_path / "a", dict.fromkeys(fates, "there"))
    publish(tmp_path / "b", fates)
    _name_entries(tmp_path, ["dog", "cat", "house"])
    diff = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"), "dog")
    assert (diff.samples_a, diff.samples_b, diff.all_a, diff.all_b) == (4, 2, 6, 3)
    assert reasons(diff.left) == {("fetch", "http_4xx"): 1, ("balance", "other_draw"): 1}
    assert "concept" not in [changes.kind for changes in diff.changes]
    lines = "\n".join(diff_lines(diff))
    assert 'a: 4 of 6 samples (66.667%) hold "dog"' in lines
    assert "from A to B -2: 2 left, 0 came, 2 stayed" in lines


def _name_entries(folder: Path, entries: list[str]) -> None:
    from faults_caption_rows import manifest

    from curation.runner.catalog import Catalog
    from curation.schemas import ENTRY_PROBABILITIES
    from curation.storage import Store

    for name in ("a", "b"):
        store = Store.at(folder / name)
        rows = [{"modality": "image", "vocabulary_lang": "en", "entry_id": place, "entry": entry}
                for place, entry in enumerate(entries)]  # fmt: skip
        made = manifest(store, "entry_probabilities", {"all": {ENTRY_PROBABILITIES: rows}})
        Catalog(store, ALL_STAGES).publish(made)


def test_a_sample_whose_text_is_another_is_still_there(tmp_path: Path) -> None:
    table = manifest_table(80, videos=0)
    entry = Counter(entry for row in table["entry_ids"].to_pylist() for entry in row).most_common(1)[0][0]
    holds = [entry in row for row in table["entry_ids"].to_pylist()]
    first, second, *_ = [place for place, held in enumerate(holds) if held]
    entries = table["entry_ids"].to_pylist()
    texts = table["text"].to_pylist()
    entries[first], texts[first] = [], "something else"
    entries[second] = []
    other = table.set_column(table.schema.get_field_index("entry_ids"), table.schema.field("entry_ids"),
                             pa.array(entries, table.schema.field("entry_ids").type))  # fmt: skip
    other = other.set_column(other.schema.get_field_index("text"), other.schema.field("text"), pa.array(texts))
    write_manifest(tmp_path / "a", table)
    write_manifest(tmp_path / "b", other)
    lang = table["vocabulary_lang"][first].as_py()
    word = next(name for name in _names(tmp_path / "a", lang, entry))
    diff = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"), word)
    told = reasons(diff.left)
    assert told["manifest", "other_text"] == 1
    assert told["manifest", "other_entries"] == 1
    assert diff.came == []


def _names(folder: Path, lang: str, entry: int) -> list[str]:
    from curation.inspect.views import connect

    with connect(folder) as database:
        rows = database.execute(
            "SELECT DISTINCT entry FROM entry_probabilities WHERE vocabulary_lang = ? AND entry_id = ?", [lang, entry]
        ).fetchall()
    return [row[0] for row in rows]


def test_an_unknown_concept_is_refused_with_its_neighbours(tmp_path: Path) -> None:
    for name in ("a", "b"):
        publish(tmp_path / name, {0: "there"})
    _name_entries(tmp_path, ["dog", "cat", "dogma"])
    with pytest.raises(InputError, match=r'"doge" is no entry of either side: nearest are "dog", "dogma", "cat"'):
        diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"), "doge")
    assert diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"), "cat").samples_a == 0  # an answer, too


# what cannot be compared


def _bad(folder: Path) -> dict[str, tuple[str, str]]:
    (folder / "empty").mkdir()
    (folder / "a.csv").write_text("sample_id\n1\n")
    (folder / "broken.parquet").write_text("no parquet")
    table = manifest_table(5)
    pq.write_table(table.select(["media_id", "text"]), folder / "keyless.parquet")
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), folder / "twice.parquet")
    pq.write_table(table, folder / "good.parquet")
    (folder / "run" / "_runs").mkdir(parents=True)
    (folder / "run" / "_runs" / "x").touch()
    return {
        "none": ("none", "nothing at .*none: `curation run` makes"),
        "empty": ("empty", "empty has no manifest, "),
        "csv": ("a.csv", "a.csv is no Parquet file: give a work folder"),
        "broken": ("broken.parquet", "cannot read .*broken.parquet"),
        "keyless": ("keyless.parquet", "has no column sample_id; it has media_id, text: give a work folder"),
        "twice": ("twice.parquet", "has 6 rows but 5 different values of sample_id: give each sample once"),
        "unmade": ("run", "has no manifest yet: run `curation run`"),
    }


@pytest.mark.parametrize("case", ["none", "empty", "csv", "broken", "keyless", "twice", "unmade"])
def test_what_is_no_manifest_is_told_in_one_line(tmp_path: Path, case: str) -> None:
    name, message = _bad(tmp_path)[case]
    for pair in ((name, "good.parquet"), ("good.parquet", name)):
        with pytest.raises(CurationError, match=message) as caught:
            diff_manifests(*(str(tmp_path / each) for each in pair))
        assert "\n" not in str(caught.value)


def test_a_stale_manifest_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a", 20)
    store = write_manifest(tmp_path / "b", 20)
    pointer = store.read_json("manifest/_current.json")
    store.put_json("manifest/_current.json", {**pointer, "inputs": {"samples": "an older one"}})
    with pytest.raises(CurationError, match="was made from inputs that have been replaced since"):
        diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"))


def test_empty_manifests(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a", 0)
    write_manifest(tmp_path / "b", 3)
    diff = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (diff.only_a, diff.only_b) == (0, 3)
    assert diff_lines(diff)[2] == "from A to B +3: 0 left, 3 came, 0 stayed"
    back = diff_manifests(str(tmp_path / "b"), str(tmp_path / "a"))
    assert diff_lines(back)
