"""`curation vocab build` and `vocab diff` as a user meets them: what is printed, exit codes, and with Spark."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from vocabulary_case import RECIPE, Case, case, expected

from curation import cli
from curation.errors import VocabularyError
from curation.inspect.vocabulary_diff import diff, diff_lines
from curation.testing.dumps import write_dump

__all__ = ["case"]


@pytest.fixture
def curation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; gives exit code, output and what was told."""

    def run(*arguments: str | Path) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr("sys.argv", ["curation", "vocab", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        told = capsys.readouterr()
        return stopped.value.code or 0, told.out.splitlines(), told.err.splitlines()

    return run


def test_a_build_tells_stages_sources_and_where_it_is(case: Case, curation: Any) -> None:
    code, out, err = curation("build", case.recipe_file(), "--out", case.folder / "out")
    assert code == 0
    assert [line.split()[0] for line in err[:4]] == ["source_files", "term_counts", "terms", "vocabulary"]
    entries = len(expected(case))
    assert err[4].startswith(f"{entries} entries in ") and err[4].endswith(f": {case.folder}/out/en.parquet")
    assert [line.split()[0] for line in out] == [
        "source", "numbers", "wordnet", "unigrams", "bigrams", "titles", "tags", "words",
    ]  # fmt: skip
    assert out[6].split() == ["tags", "8", "4", "3", "control_character", "1,", "punctuation", "1,", "too_long", "1"]
    code, again, err = curation("build", case.recipe_file(), "--out", case.folder / "out")
    assert (code, again) == (0, out) and all("up to date" in line for line in err[:4])


def test_languages_extension_inputs_and_settings(case: Case, curation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = case.write("recipes/one.yaml", yaml.safe_dump({**RECIPE, "sources": [RECIPE["sources"][-1]]}))
    first = ["build", recipe, "--inputs", case.folder, "--lang", "fr", "--lang", "de"]
    assert curation(*first, "--out", case.folder / "old")[0] == 0
    case.write("lists/tags.txt", "new\n")
    monkeypatch.chdir(case.folder)
    code, out, _ = curation(*first, "--out", "out", "--extend", "old/{lang}.parquet", "--set", "name=other")
    assert code == 0 and "entries of the vocabulary that was extended: 4" in out
    for lang in ("fr", "de"):
        rows = case.rows(lang=lang)
        assert [row["entry"] for row in rows] == ["caf\u00e9", "house", "sunset", "y" * 256, "new"]
        assert {row["lang"] for row in rows} == {lang}
    code, _, err = curation(*first, "--out", "out2", "--extend", "old/fr.parquet")
    assert code == 2 and "old/fr.parquet is of language fr, not de" in err[-1]


def test_a_lock_beside_the_recipe_is_held(case: Case, curation: Any) -> None:
    build = ["build", case.recipe_file(), "--out", case.folder / "out"]
    assert curation(*build, "--update-lock")[0] == 0
    code, _, err = curation(*build)
    assert code == 0 and err[-1].endswith(f"as the lock {case.folder}/en.lock.json has it")
    case.write("lists/tags.txt", "other\n")
    kept = case.bytes()
    code, out, err = curation(*build)
    assert (code, out, case.bytes()) == (2, [], kept)
    assert err[-1].startswith("error: tags.txt is another file than in the lock ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "sources.0=3"], "error: --set 'sources.0=3': sources holds a value, not a section"),
        (["--lang", "xx"], "error: no vocabulary language is called 'xx'"),
        (["--set", "nmae=x"], "nmae: unknown key"),
        (["--inputs", "nowhere"], "nothing is at "),
        (["--extend", "none.parquet"], "nothing is at "),
    ],
)
def test_mistakes_are_one_line_and_code_2(case: Case, curation: Any, arguments: list[str], message: str) -> None:
    code, out, err = curation("build", case.recipe_file(), "--out", case.folder / "out", *arguments)
    assert (code, out) == (2, []) and message in err[-1]
    assert not list((case.folder / "out").glob("en.*"))


# diff


@pytest.fixture
def two(case: Case) -> tuple[str, str]:
    """Vocabularies of which the second has no titles, one tag more and one less, and other counts."""
    case.build("a")
    case.write("lists/tags.txt", "house\n:cat: [bold]\n")
    write_dump(case.folder / "dumps/enwiki-0.xml.bz2", ["Dog dog cat " * 40])
    case.build("b", sources=[source for source in RECIPE["sources"] if source["kind"] != "titles"])
    return str(case.folder / "a/en.parquet"), str(case.folder / "b/en.parquet")


def test_equal_vocabularies_are_code_0(case: Case, curation: Any) -> None:
    case.build()
    path = f"{case.folder}/out/en.parquet"
    code, out, _ = curation("diff", path, path)
    entries = len(case.entries())
    assert (code, out) == (0, [f"A  {path}: {entries} entries", f"B  {path}: {entries} entries",
                               "the same entries with the same ids"])  # fmt: skip


def test_a_diff_counts_what_sets_say(case: Case, two: tuple[str, str]) -> None:
    rows_a, rows_b = ({row["entry"]: row for row in case.rows(out)} for out in "ab")
    found = diff(*two)
    assert found.removed == [entry for entry in rows_a if entry not in rows_b] != []
    assert found.added == [entry for entry in rows_b if entry not in rows_a] != []
    both = [(rows_a[entry], rows_b[entry]) for entry in rows_a if entry in rows_b]
    assert found.moved == sum(one["entry_id"] != other["entry_id"] for one, other in both) > 0
    assert found.rescored == sum(
        one["source"] == other["source"] and one["source_score"] != other["source_score"] for one, other in both
    ) > 0  # fmt: skip
    for source, (lost, new) in found.by_source.items():
        assert lost == sum(rows_a[entry]["source"] == source for entry in found.removed)
        assert new == sum(rows_b[entry]["source"] == source for entry in found.added)
    assert sum(lost for lost, _ in found.by_source.values()) == len(found.removed)
    assert (found.entries_a, found.entries_b) == (len(rows_a), len(rows_b))


def test_a_diff_in_words(case: Case, two: tuple[str, str], curation: Any) -> None:
    found = diff(*two)
    code, out, _ = curation("diff", *two, "--shown", "2")
    assert code == 1
    kept = found.entries_a - len(found.removed)
    assert out[2] == (
        f"only in A: {len(found.removed)}   only in B: {len(found.added)}   in both: {kept}, of which {found.moved} "
        f"have another id and {found.rescored} another score"
    )
    assert any(line.split() == ["titles", "-3", "+0"] for line in out)
    (shown,) = [line for line in out if line.startswith("only in A: \"")]
    assert shown.count('"') == 4 and shown.endswith(f" ... and {len(found.removed) - 2} more")
    assert any('":cat: [bold]"' in line for line in curation("diff", *two)[1])
    assert out[-1] == "ids of matches made with A do not fit B: match again, or build B with --extend A"
    assert [line[:9] for line in diff_lines(found, *two, shown=0)].count("only in A") == 1  # the numbers alone


def test_a_parquet_and_a_text_file_compare_by_entries(case: Case, curation: Any) -> None:
    case.build()
    entries = case.entries()
    case.write("same.txt", "\n".join(entries))
    case.write("other.txt", "\n".join(["new", *entries[1:]]))
    path = case.folder / "out/en.parquet"
    assert curation("diff", path, case.folder / "same.txt")[0] == 0
    code, out, _ = curation("diff", path, case.folder / "other.txt")
    assert code == 1 and out[2:] == [
        f"only in A: 1   only in B: 1   in both: {len(entries) - 1}, of which 0 have another id",
        'only in A: "0"', 'only in B: "new"',
    ]  # fmt: skip


def test_only_scores_that_change_are_told(case: Case) -> None:
    case.build()
    path = case.folder / "out/en.parquet"
    table = pq.read_table(path)
    scores = table["source_score"].to_pylist()
    counted = next(at for at, score in enumerate(scores) if score is not None)
    for at, score in ((counted, 0.5), (counted, None), (0, 1.0)):
        changed = [score if row == at else old for row, old in enumerate(scores)]
        other = table.set_column(4, table.schema.field(4), [changed])
        pq.write_table(other, case.folder / "b.parquet")
        found = diff(str(path), str(case.folder / "b.parquet"))
        assert (found.rescored, found.moved, found.removed, found.added) == (1, 0, [], [])
        assert not found.is_empty
    sources = ["another" if row == counted else old for row, old in enumerate(table["source"].to_pylist())]
    scores[counted] = 0.5
    other = table.set_column(4, table.schema.field(4), [scores]).set_column(3, table.schema.field(3), [sources])
    pq.write_table(other, case.folder / "b.parquet")
    assert diff(str(path), str(case.folder / "b.parquet")).rescored == 0  # its score is of another kind


@pytest.mark.parametrize("content", [None, b"", b"no parquet"])
def test_what_cannot_be_compared_is_code_2(case: Case, curation: Any, content: bytes | None) -> None:
    other = case.folder / "x.parquet"
    if content is not None:
        other.write_bytes(content)
    good = case.folder / "lists/tags.txt"
    for pair in ((good, other), (other, good)):
        code, out, err = curation("diff", *pair)
        assert (code, out, len(err)) == (2, [], 1) and "x.parquet" in err[0]
    with pytest.raises(VocabularyError):
        diff(str(case.folder), str(good))


# with Spark


@pytest.mark.slow
def test_neither_workers_nor_ranges_change_a_byte(tmp_path: Path) -> None:
    case = Case(tmp_path)
    source = random.Random(5)
    words = ["".join(source.choices("abcdefghij", k=source.randint(2, 9))) for _ in range(20_000)]
    weights = [1 / (at + 1) for at in range(len(words))]
    texts = [". ".join(" ".join(source.choices(words, weights, k=12)) for _ in range(60)) for _ in range(1500)]
    dump = write_dump(tmp_path / "dumps/enwiki-2.xml.bz2", texts, first=1000)
    assert dump.stat().st_size > 2_500_000
    recipe = case.recipe_file()
    made = []
    for master, range_mb in (("local[1]", 64), ("local[3]", 1)):
        out = f"out-{range_mb}"
        command = [sys.executable, "-m", "curation.cli", "vocab", "build", str(recipe), "--out", str(tmp_path / out),
                   "--set", f"runtime.master={master}", "--set", f"wikipedia.range_mb={range_mb}"]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        made.append(case.bytes(out))
        units = {line.split()[0]: line for line in done.stderr.splitlines()}
        assert f" {5 + (range_mb == 1) * 2} units in" in units["term_counts"]
    assert made[0] == made[1]
    case.texts.append(texts)
    rows = case.rows("out-1")
    assert [(row["entry"], row["source"], row["source_score"], row["sources"]) for row in rows] == expected(case)
