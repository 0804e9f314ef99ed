"""The whole build: what comes of it by definition, always the same bytes, and no work twice."""

from __future__ import annotations

import bz2
import gzip
import json
import shutil

import pytest
from vocabulary_case import BUCKETS, RECIPE, Case, case, counted, expected

from curation.errors import CurationError, InputError, StageError
from curation.query import open_query
from curation.schemas import REJECTIONS
from curation.stages import term_counts, terms
from curation.storage import Store
from curation.testing.dumps import FOOTER, HEADER, article_xml, write_dump, write_tab, write_views, write_wndb
from curation.vocabulary_workflow import source_lines

__all__ = ["case"]

LIST = {"kind": "list", "name": "tags", "path": "lists/tags.txt"}


def test_the_vocabulary_is_what_the_definition_says(case: Case) -> None:
    built = case.build()
    rows = case.rows()
    assert [(row["entry"], row["source"], row["source_score"], row["sources"]) for row in rows] == expected(case)
    assert [row["entry_id"] for row in rows] == list(range(len(rows)))
    assert {row["lang"] for row in rows} == {"en"}
    assert built.location == str(case.folder / "out/en.parquet") and not built.checked


def test_the_lock_tells_what_was_counted_and_dropped(case: Case) -> None:
    lock = case.build().lock
    words, pairs = counted(case.texts)
    counts = lock["counts"]
    assert (counts["words"], counts["old_entries"], counts["rejected"]) == (words.total(), 0, {})
    assert list(counts["sources"]) == ["numbers", "wordnet", "unigrams", "bigrams", "titles", "tags"]
    assert counts["sources"]["tags"] == {
        "candidates": 8, "entries": 4, "new": 3, "dropped": {"control_character": 1, "punctuation": 1, "too_long": 1},
    }  # fmt: skip
    assert counts["sources"]["unigrams"]["candidates"] == len(words)
    assert counts["sources"]["bigrams"]["candidates"] == sum(count >= 2 for count in pairs.values())
    assert sum(row["new"] for row in counts["sources"].values()) == lock["output"]["entries"] == len(case.rows())
    assert len(lock["inputs"]) == 7 and "/" not in str(lock["inputs"])
    assert json.loads(case.bytes()[1]) == lock


def test_the_same_again_does_nothing_and_gives_the_same_bytes(case: Case) -> None:
    case.build()
    first = case.bytes()
    case.build()
    assert case.reporter.done == {} and case.bytes() == first
    case.build("elsewhere")
    assert case.bytes("elsewhere") == first


@pytest.mark.parametrize("range_bytes", [200, 1000, 1 << 30])
def test_neither_ranges_nor_buckets_change_a_byte(
    case: Case, monkeypatch: pytest.MonkeyPatch, range_bytes: int
) -> None:
    case.build("first")
    monkeypatch.setattr(term_counts, "_MB", range_bytes)
    monkeypatch.setattr(terms, "BUCKETS", 3)
    case.build(wikipedia={**RECIPE["wikipedia"], "range_mb": 1})
    assert case.bytes() == case.bytes("first")
    assert (case.reporter.done["term_counts"] > 4) == (range_bytes < 1 << 30)


def test_another_number_of_buckets_in_the_same_folder_loses_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.build()
    first = case.bytes()
    monkeypatch.setattr(terms, "BUCKETS", 5)
    case.build()
    assert (case.bytes(), case.reporter.done["terms"]) == (first, 5)


def test_counts_in_many_parts_of_a_unit_are_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.build("first")
    small = term_counts.NgramSettings
    monkeypatch.setattr(term_counts, "NgramSettings", lambda **given: small(**given, batch_terms=5))
    case.build()
    assert case.bytes() == case.bytes("first")


def test_files_that_move_are_not_counted_again(case: Case) -> None:
    case.build()
    first = case.bytes()
    for name in ("dumps", "views"):
        shutil.move(case.folder / name, case.folder / f"moved-{name}")
    sources = [dict(source) for source in RECIPE["sources"]]
    sources[4]["paths"] = ["moved-views/*.gz"]
    case.build(sources=sources, wikipedia={"paths": ["moved-dumps/*.bz2"]})
    assert case.bytes() == first
    assert case.reporter.done == {"source_files": 4}


def test_a_copy_of_a_dump_is_not_counted_twice(case: Case) -> None:
    case.build("first")
    for folder, name in (("dumps", "enwiki-copy.xml.bz2"), ("dumps/sub", "enwiki-0.xml.bz2")):
        (case.folder / folder).mkdir(exist_ok=True)
        shutil.copy(case.folder / "dumps/enwiki-0.xml.bz2", case.folder / folder / name)
    case.build(wikipedia={"paths": ["dumps/enwiki-*.bz2", "dumps/sub/*.bz2"]})
    assert case.entries() == case.entries("first")


@pytest.mark.parametrize("stage", ["source_files", "term_counts", "terms", "vocabulary"])
def test_a_killed_build_continues(case: Case, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    case.build("first")
    written = 0
    put = Store.put_json

    def killed(store: Store, path: str, value: object) -> None:
        nonlocal written
        written += f"_runs/{stage}/reports" in path
        if f"_runs/{stage}/reports" in path and (written > 1 or stage == "vocabulary"):
            raise KeyboardInterrupt
        put(store, path, value)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put_json", killed)
        with pytest.raises(KeyboardInterrupt):
            case.build()
    assert not (case.folder / "out/en.parquet").exists()
    units = {"source_files": 7, "term_counts": 4, "terms": BUCKETS, "vocabulary": 1}
    case.build()
    assert case.bytes() == case.bytes("first")
    names = list(units)
    later = {name: units[name] for name in names[names.index(stage) + 1 :]}
    assert case.reporter.done == {stage: units[stage] - (stage != "vocabulary"), **later}


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"sources": {2: {"min_score": 13}}}, {"vocabulary"}),
        ({"sources": {3: {"min_count": 3}}}, {"terms", "vocabulary"}),
        ({"sources": {4: {"merge_mobile": False}}}, {"term_counts", "terms", "vocabulary"}),
        ({"sources": {4: {"max_entries": 3}}}, {"vocabulary"}),
        ({"sources": {1: {"expected": 3}}}, set()),
        ({"wikipedia": {**RECIPE["wikipedia"], "lower_case": True}}, {"term_counts", "terms", "vocabulary"}),
        ({"runtime": {"driver_memory": "1g"}}, set()),
        ({"name": "renamed"}, set()),
    ],
)
def test_a_changed_parameter_redoes_only_what_depends_on_it(case: Case, change: dict, redone: set[str]) -> None:
    case.build()
    if "sources" in change:
        sources = [dict(source) for source in RECIPE["sources"]]
        for at, update in change["sources"].items():
            sources[at].update(update)
        change = {"sources": sources}
    case.build(**change)
    assert set(case.reporter.done) == redone


def test_only_the_changed_file_is_counted_again(case: Case) -> None:
    case.build()
    write_dump(case.folder / "dumps/enwiki-1.xml.bz2", ["cat cat dog " * 9])
    case.build()
    assert (case.reporter.done["source_files"], case.reporter.done["term_counts"]) == (1, 1)
    words, _ = counted([case.texts[0], ["cat cat dog " * 9]])
    scores = {row["entry"]: row["source_score"] for row in case.rows()}
    assert scores["cat"] == words["cat"]
    write_views(case.folder / "views/pageviews-20220801-000000.gz", {("en", "Cat"): 5})
    case.build()
    assert case.reporter.done["term_counts"] == 1


def test_a_changed_list_wordnet_or_old_vocabulary_is_seen(case: Case) -> None:
    case.build("old", sources=[LIST])
    change = {"sources": [RECIPE["sources"][1], LIST], "extend": "old/en.parquet"}
    case.build(**change)
    case.write("lists/tags.txt", "later\n")
    case.build(**change)
    assert case.entries()[-1] == "later"
    write_wndb(case.folder / "wordnet/data.verb", ["walk"])
    case.build(**change)
    assert case.entries()[-2:] == ["walk", "later"]
    case.build("old", sources=[LIST])
    case.build(**change)
    assert case.entries() == ["later", "dog", "house", "old town", "walk"]


def test_an_old_vocabulary_keeps_its_ids_and_new_entries_follow(case: Case) -> None:
    case.build("old")
    case.write("lists/tags.txt", "new one\nhouse\n")
    sources = [RECIPE["sources"][1], RECIPE["sources"][-1]]
    built = case.build(sources=sources, extend="old/en.parquet")
    old, rows = case.rows("old"), case.rows()
    assert [(r["entry_id"], r["entry"], r["source"], r["source_score"]) for r in rows[: len(old)]] == [
        (r["entry_id"], r["entry"], r["source"], r["source_score"]) for r in old
    ]
    assert [(r["entry_id"], r["entry"], r["sources"]) for r in rows[len(old) :]] == [(len(old), "new one", ["tags"])]
    now = {row["entry"]: row["sources"] for row in rows}
    assert (now["house"], now["0"], now["run"]) == (["wordnet", "tags"], [], ["wordnet"])
    assert (built.lock["counts"]["old_entries"], built.lock["counts"]["sources"]["tags"]["new"]) == (len(old), 1)


def test_an_old_vocabulary_of_another_language_is_refused(case: Case) -> None:
    case.build("old")
    with pytest.raises(StageError, match=r"old/en.parquet is of language en, not fr"):
        case.build(lang="fr", sources=[LIST], extend="old/{lang}.parquet".replace("{lang}", "en"))


def test_dumps_that_no_source_counts_are_not_read(case: Case) -> None:
    lock = case.build(sources=[LIST], wikipedia={"paths": ["none/*.bz2"]}).lock
    assert [row["file"] for row in lock["inputs"]] == ["tags.txt"]


# placeholders


def test_every_wikipedia_of_a_language_is_counted_and_viewed(case: Case) -> None:
    codes = ["zh", "zh_classical", "zh_min_nan", "zh_yue", "wuu", "gan", "hak", "cdo"]
    for number, code in enumerate(codes):
        write_dump(case.folder / f"dumps/{code}wiki-1.xml.bz2", [f"word{number} "] * 3, wiki=f"{code}wiki")
    write_views(case.folder / "views/z.gz", {("zh-yue", "Yue"): 3, ("zh", "Yue"): 4, ("zh_yue", "Other"): 5})
    for code in ("cmn", "qcn"):
        write_tab(case.folder / f"omw/wn-data-{code}.tab", code, [code, "both"])
    sources = [
        {"kind": "wordnet", "format": "tab", "paths": ["omw/wn-data-{wordnet}.tab"]},
        {"kind": "unigrams"},
        {"kind": "titles", "paths": ["views/z.gz"]},
        {**LIST, "path": "lists/{lang}.txt"},
    ]
    case.write("lists/zh.txt", "tag")
    case.build(lang="zh", wikis=None, sources=sources)
    rows = {row["entry"]: row["source_score"] for row in case.rows(lang="zh")}
    assert rows == {
        "both": None, "cmn": None, "qcn": None, **{f"word{n}": 3.0 for n in range(8)}, "Yue": 7.0, "tag": None,
    }  # fmt: skip


def test_bigrams_are_written_as_the_language_does(case: Case) -> None:
    write_dump(case.folder / "dumps/jawiki-1.xml.bz2", ["東京タワーは高い。" * 3])
    case.build(lang="ja", wikis=None, sources=[{"kind": "unigrams"}, {"kind": "bigrams"}])
    bigrams = [row["entry"] for row in case.rows(lang="ja") if row["source"] == "bigrams"]
    assert bigrams and not any(" " in bigram for bigram in bigrams)


@pytest.mark.parametrize("lang", ["la", "other"])
def test_a_language_without_a_wordnet_leaves_it_out(case: Case, lang: str) -> None:
    wordnet = {"kind": "wordnet", "format": "tab", "paths": ["omw/wn-data-{wordnet}.tab"]}
    built = case.build(lang=lang, sources=[wordnet, LIST])
    assert list(built.lock["counts"]["sources"]) == ["tags"]
    assert case.entries(lang=lang) == ["#sunset", "caf\u00e9", "house", "y" * 256]


def test_a_wordnet_file_for_a_language_without_known_codes(case: Case) -> None:
    write_tab(case.folder / "mine.tab", "la", ["feles"])
    case.build(lang="la", sources=[{"kind": "wordnet", "format": "tab", "paths": ["mine.tab"]}])
    assert case.entries(lang="la") == ["feles"]


# bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wikipedia": {"paths": ["none/*.bz2"]}}, "nothing is at .*none/.*: fetch it first, see `curation vocab plan"),
        ({"wikipedia": {"paths": ["dumps"]}}, r"dumps is a folder: name the files in it"),
        ({"sources": [{**LIST, "path": "no.txt"}]}, "nothing is at .*/no.txt: fetch it first"),
        ({"sources": [LIST], "extend": "no.parquet"}, "nothing is at .*/no.parquet"),
        ({"wikipedia": {"paths": ["ftpx://host/a.bz2"]}}, "cannot look at ftpx://host/a.bz2: .*ftpx"),
    ],
)
def test_files_that_are_not_there_are_named(case: Case, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        case.build(**change)
    assert not list((case.folder / "out").glob("en.*"))


@pytest.mark.parametrize("wiki", ["dewiki", "enwiktionary", "simplewiki"])
def test_a_dump_of_another_wiki_is_refused(case: Case, wiki: str) -> None:
    write_dump(case.folder / "dumps/enwiki-1.xml.bz2", ["cat"], wiki=wiki)
    message = rf"enwiki-1.xml.bz2 is a dump of {wiki}, not of the recipe's wikis \(enwiki\)"
    with pytest.raises(StageError, match=message):
        case.build()
    if wiki == "simplewiki":
        case.build(wikis=["en", "simple"], wikipedia={"paths": ["dumps/*"]})


def test_a_vocabulary_is_not_replaced_by_its_own_extension(case: Case) -> None:
    case.build(sources=[LIST])
    kept = case.bytes()
    with pytest.raises(InputError, match=r"out/en.parquet would be replaced by its own extension: extend a copy"):
        case.build(sources=[LIST], extend="out/en.parquet")
    assert case.bytes() == kept


def test_a_glob_passes_over_folders_and_names_may_hold_brackets(case: Case) -> None:
    (case.folder / "wordnet/data.old").mkdir()
    (case.folder / "lists/tags.txt").rename(case.folder / "lists/tags[1].txt")
    sources = [*RECIPE["sources"][:2], {**LIST, "path": "lists/tags[1].txt"}]
    case.build(sources=sources)
    assert {"#sunset", "run"} <= set(case.entries())


def test_a_list_in_several_files_is_read_whole(case: Case) -> None:
    case.write("lists/tags2.txt", "second")
    case.build(sources=[{**LIST, "path": "lists/tags*.txt"}])
    assert {"second", "house"} <= set(case.entries())


def test_broken_dumps_are_counted_and_the_rest_is_used(case: Case) -> None:
    case.build("whole")
    good = (case.folder / "dumps/enwiki-0.xml.bz2").read_bytes()
    (case.folder / "dumps/enwiki-2.xml.bz2").write_bytes(good[: len(good) - 40])
    (case.folder / "dumps/enwiki-3.xml.bz2").write_bytes(b"<html>not found</html>")
    bad_page = article_xml(7, "cat").replace(b"</title>", b"</titel>")
    (case.folder / "dumps/enwiki-4.xml.bz2").write_bytes(bz2.compress(HEADER + bad_page + FOOTER))
    (case.folder / "dumps/enwiki-5.xml.bz2").write_bytes(b"")
    (case.folder / "views/pageviews-x.gz").write_bytes(b"no gzip")
    lines = b"en cat 5\nen cat x 0\nen %FF 5 0\nen " + b"y" * 2000 + b" 5 0\nen - 5 0\nde cat 5 0\nen cat 7 0\n"
    (case.folder / "views/pageviews-y.gz").write_bytes(gzip.compress(lines))
    hour = gzip.compress(b"".join(b"en t%d 9 0\n" % number for number in range(5000)), mtime=0)
    (case.folder / "views/pageviews-z.gz").write_bytes(hour[: len(hour) // 2])
    built = case.build()
    rejected = dict(built.lock["counts"]["rejected"])
    assert rejected.pop("not_an_archive") == 3 and rejected.pop("bad_page") == 1
    assert (rejected.pop("bad_row"), rejected.pop("bad_encoding"), rejected.pop("too_large")) == (2, 1, 1)
    assert set(rejected) <= {"truncated_record", "broken_bzip2", "broken_gzip"} and len(rejected) >= 2
    assert built.lock["counts"]["sources"]["titles"]["candidates"] > 100  # what the broken hour still gave
    line = next(line for line in source_lines(built.lock) if line.startswith("rejected while counting: "))
    assert "bad_page 1" in line and "not_an_archive 3" in line and "_build/en/rejections" in line
    assert any("rejected" in line for line in case.reporter.lines)


def test_nothing_but_broken_dumps_is_an_error_that_leads_to_the_reasons(case: Case) -> None:
    for number in range(2):
        (case.folder / f"dumps/enwiki-{number}.xml.bz2").write_bytes(b"<html>not found</html>")
    with pytest.raises(StageError, match=r"not one word was counted in wikipedia\.paths") as raised:
        case.build()
    assert not list((case.folder / "out").glob("en.*"))
    store = Store.at(case.folder / "out/_build/en")
    assert store.url("rejections/stage=term_counts") in str(raised.value)
    with open_query(store) as query:
        files = [path for path in store.sizes("rejections/stage=term_counts") if path.endswith(".parquet")]
        query.view("rejections", REJECTIONS, files)
        assert {row["reason"] for row in query.rows("SELECT reason FROM rejections")} == {"not_an_archive"}


@pytest.mark.parametrize(
    ("name", "content", "sources", "message"),
    [
        ("lists/tags.txt", "!!!\n...\n", [LIST], "the sources name no entry that could be kept"),
        ("lists/tags.txt", "", [LIST], "tags.txt holds no entry"),
        ("lists/tags.txt", "cat\ndog\n", [{**LIST, "min_score": 3}], "the list tags has no scores: leave min_score"),
        ("a.tab", "# wn\tfra\n1-n\tfra:lemma\tchat\n",
         [{"kind": "wordnet", "format": "tab", "paths": ["a.tab"]}], "a.tab: line 1 is of language 'fra', not 'eng'"),
        ("a.json", '["a\\u0000b"]', [{**LIST, "path": "a.json"}], "the sources name no entry"),
    ],
)  # fmt: skip
def test_empty_results_are_errors(case: Case, name: str, content: str, sources: list, message: str) -> None:
    case.write(name, content)
    with pytest.raises(CurationError, match=message):
        case.build(sources=sources)
    assert not list((case.folder / "out").glob("en.*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"PAR1 no", "cannot read the vocabulary"), (b"", "cannot read the vocabulary")],
)
def test_a_broken_old_vocabulary_is_refused(case: Case, content: bytes, message: str) -> None:
    (case.folder / "old.parquet").write_bytes(content)
    with pytest.raises(StageError, match=message):
        case.build(sources=[LIST], extend="old.parquet")


def test_entries_that_meet_after_normalisation_are_one(case: Case) -> None:
    case.write("a.txt", "  caf\u00e9 noir\nWord\n")
    case.write("b.txt", "cafe\u0301   noir \nword\nWord")
    case.build(sources=[{**LIST, "name": name, "path": f"{name}.txt"} for name in ("b", "a")])
    assert {row["entry"]: row["sources"] for row in case.rows()} == {
        "Word": ["b", "a"], "caf\u00e9 noir": ["b", "a"], "word": ["b"],
    }  # fmt: skip


def test_files_that_come_during_a_build_are_told(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    checksums = term_counts.checksums

    def late(*given: object) -> object:
        (case.folder / "dumps/enwiki-9.xml.bz2").write_bytes(b"late")
        return checksums(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(term_counts, "checksums", late)
    with pytest.raises(InputError, match=r"enwiki-9.xml.bz2 came while the vocabulary was being built"):
        case.build()
