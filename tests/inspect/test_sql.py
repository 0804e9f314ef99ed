"""Questions in SQL: answers, files, and every mistake as one line."""

from __future__ import annotations

import csv
import json
import os
import pty
import stat
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from curation.cli import app
from curation.commands import tell
from curation.commands_manifest import sql
from curation.errors import CurationError, InputError
from curation.inspect.sql import CELL_CHARS, answer, answer_lines, cell, form_of, view_lines, views, write_answer
from curation.testing.manifests import write_manifest

SAMPLES = 60


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sql") / "work"
    write_manifest(folder, SAMPLES)
    return str(folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sql", *arguments])


def files(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_question_and_its_answer(work: str) -> None:
    found = run("SELECT modality, count(*) AS n FROM manifest GROUP BY ALL ORDER BY n DESC", "--work", work)
    assert found.exit_code == 0
    head, rule, *rows, blank, count = found.output.splitlines()
    assert head.split() == ["modality", "n"] and set(rule) == {"-", " "} and blank == ""
    assert count == f"{len(rows)} rows"
    assert sum(int(row.split()[1]) for row in rows) == SAMPLES
    assert [len(row) for row in rows] == [len(head)] * len(rows)  # numbers stand on the right


def test_without_a_question_it_lists_what_there_is(work: str) -> None:
    lines = run("--work", work).output.splitlines()
    told = {line.split()[0]: line.split()[1] for line in lines if line and line[0] != "`" and "not made" not in line}
    assert told["manifest"] == str(SAMPLES)
    assert {"manifest", "entry_probabilities", "stages", "thresholds"} <= set(told)
    assert any(line.startswith("not made, or not up to date: candidates, ") for line in lines)
    assert lines == view_lines(*views(work))


@pytest.mark.parametrize(
    "question",
    ["SELECT 1 AS x;", "  SELECT 1 AS x -- a word", "/* a */ SELECT 1 AS x;  ", "FROM (VALUES (1)) AS t(x)",
     "WITH t AS (SELECT 1 AS x) SELECT * FROM t", "VALUES (1)"],
)  # fmt: skip
def test_all_forms_of_a_question(work: str, tmp_path: Path, question: str) -> None:
    assert answer(question, work).rows == [["1"]]
    assert write_answer(question, work, "json", str(tmp_path / "x.json")) == 1


def test_describe_summarize_and_show_are_questions(work: str, tmp_path: Path) -> None:
    assert "sample_id" in {row[0] for row in answer("DESCRIBE manifest", work, 100).rows}
    assert "manifest" in {row[0] for row in answer("SHOW TABLES", work, 100).rows}
    assert write_answer("SUMMARIZE entry_probabilities", work, "csv", str(tmp_path / "x.csv")) == 9


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("SELEC 1", 'Parser Error: syntax error at or near "SELEC" \\(line 1, at \'SELEC 1\'\\)'),
        ("SELECT nothing FROM manifest", 'Referenced column "nothing" not found'),
        ("SELECT * FROM manifst", 'Table with name manifst does not exist! Did you mean "manifest"'),
        ("SELECT * FROM pairs", "has no pairs yet: run `curation run` to make it"),
        ("SELECT sum(text) FROM manifest", "sum"),
        ("SELECT text::INTEGER FROM manifest", "Could not convert string"),
        ("SELECT 'a", "unterminated"),
        ("SELECT * FROM read_csv('/nowhere.csv')", "nowhere.csv"),
        ("SELECT * FROM work", "Table with name work does not exist"),  # a name of Python's
        ("SELECT list_contain([1], 1)", 'Did you mean "list_contains"'),
        ("", "there is no question in this SQL"),
        ("/* nothing */", "there is no question in this SQL"),
        ("SELECT 1; SELECT 2", "give one question at a time"),
        ("CREATE TABLE x AS SELECT 1", "CREATE is no question: a work folder is only read"),
        ("COPY (SELECT 1) TO '{work}/x.csv'", "COPY is no question"),
        ("EXPORT DATABASE '{work}/x'", "EXPORT is no question"),
        ("ATTACH '{work}/x.db' AS x", "ATTACH is no question"),
        ("INSERT INTO stages SELECT * FROM stages", "INSERT is no question"),
        ("SET memory_limit = '1TB'", "SET is no question"),
        ("INSTALL httpfs", "INSTALL is no question"),
        ("/* y */ -- x\n use memory", "USE is no question"),
        ("WITH x AS (SELECT 1) INSERT INTO stages SELECT * FROM x", "INSERT is no question"),
        ("PIVOT manifest ON split USING count(*)", "^PIVOT has to name its values with IN, .*: PIVOT manifest ON"),
        ("SELECT * FROM (PIVOT manifest ON split)", "^PIVOT has to name its values with IN"),
        ("SELECT 1) TO '{work}/x.csv' (FORMAT csv); --", "Parser Error"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(work: str, tmp_path: Path, question: str, message: str) -> None:
    before = files(work)
    question = question.replace("{work}", work)
    for arguments in ([], ["--to", str(tmp_path / "x.csv")], ["--format", "json"]):
        found = run(question, "--work", work, *arguments)
        assert found.exit_code != 0
        with pytest.raises(CurationError, match=message) as caught:
            raise found.exception or AssertionError(found.output)
        assert "\n" not in str(caught.value)
    assert files(work) == before
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    for arguments in ([], ["SELECT 1"]):
        found = run(*arguments, "--work", str(tmp_path / "none"))
        assert "holds no published dataset" in str(found.exception)
    assert not (tmp_path / "none").exists()


# files


def test_files_hold_all_rows(work: str, tmp_path: Path) -> None:
    question = "SELECT sample_id, text, entry_ids, texts, phash FROM manifest ORDER BY sample_id"
    for name in ("x.csv", "x.json", "x.jsonl", "x.parquet"):
        found = run(question, "--work", work, "--to", str(tmp_path / name), "--limit", "1")
        assert found.output == f"{SAMPLES} rows in {tmp_path / name}\n"
    table = pq.read_table(tmp_path / "x.parquet")
    rows = table.to_pylist()
    assert table.schema.field("phash").type == pa.uint64()
    told = [json.loads(line) for line in (tmp_path / "x.json").read_text().splitlines()]
    assert [row["sample_id"] for row in told] == [row["sample_id"] for row in rows]
    assert [row["texts"][0]["text"] for row in told] == [row["texts"][0]["text"] for row in rows]
    assert [row["phash"] for row in told] == [row["phash"] for row in rows]
    assert (tmp_path / "x.json").read_bytes() == (tmp_path / "x.jsonl").read_bytes()
    with (tmp_path / "x.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [row["text"] for row in rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.json", "x.jsonl", "x.parquet"]


def test_csv_and_json_to_the_screen(work: str) -> None:
    question = "SELECT sample_id, text FROM manifest ORDER BY sample_id"
    lines = run(question, "--work", work, "--format", "csv").output.splitlines()
    assert lines[0] == "sample_id,text" and len(list(csv.reader(lines))) == SAMPLES + 1
    told = [json.loads(line) for line in run(question, "--work", work, "--format", "json").output.splitlines()]
    assert len(told) == SAMPLES and set(told[0]) == {"sample_id", "text"}


def test_an_answer_replaces_a_file_only_when_it_is_whole(work: str, tmp_path: Path) -> None:
    target = tmp_path / "x.csv"
    target.write_text("old")
    with pytest.raises(CurationError, match="Could not convert"):
        write_answer("SELECT text::INTEGER FROM manifest", work, "csv", str(target))
    with target.open() as reader:
        write_answer("SELECT 1 AS x", work, "csv", str(target))
        assert reader.read() == "old"  # who has it open never sees a part of the new one
    assert target.read_text() == "x\n1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_names_that_are_patterns_or_quotes(work: str, tmp_path: Path) -> None:
    for name in ("a[1]*.csv", "it's.csv"):
        assert write_answer("SELECT 1 AS x", work, "csv", str(tmp_path / name)) == 1
        assert (tmp_path / name).read_text() == "x\n1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "{work}/x.csv"], ", which this command only reads: name another place with --to"),
        (["--to", "{work}/../{name}/deep/x.csv"], "which this command only reads"),
        (["--to", "{tmp}/x.txt"], "the name tells no format; end it in .csv, .json, .jsonl, .parquet"),
        (["--to", "{tmp}"], "the name tells no format"),
        (["--to", "{tmp}/folder.csv"], "is a folder: name a file in it"),
        (["--format", "xml"], "--format 'xml': choose one of table, csv, json, parquet"),
        (["--format", "parquet"], "Parquet is no text: name a file with --to"),
        (["--format", "table", "--to", "{tmp}/x.csv"], "a table is for the screen"),
    ],
)
def test_places_and_formats_that_make_no_sense(
    work: str, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    before = files(work)
    places = {"work": work, "tmp": str(tmp_path), "name": Path(work).name}
    found = run("SELECT 1 AS x", "--work", work, *(each.format(**places) for each in arguments))
    assert found.exit_code != 0
    assert message in str(found.exception)
    assert files(work) == before
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_a_format_needs_a_question(work: str) -> None:
    assert "there is no question to answer" in str(run("--work", work, "--format", "csv").exception)


def test_a_link_into_the_work_folder_is_no_way_in(work: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(work)
    with pytest.raises(InputError, match="which this command only reads"):
        write_answer("SELECT 1", work, "csv", str(tmp_path / "link" / "x.csv"))


def test_a_folder_that_cannot_be_written_to(work: str, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        (tmp_path / "x").touch()
        pytest.skip("this user may write everywhere")
    except PermissionError:
        with pytest.raises(CurationError):
            write_answer("SELECT 1", work, "csv", str(tmp_path / "x.csv"))
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_the_format_follows_from_the_name() -> None:
    told = {"a.csv": "csv", "a.JSON": "json", "a.jsonl": "json", "a.parquet": "parquet"}
    assert {name: form_of(None, name) for name in told} == told
    assert form_of("csv", "a.txt") == "csv"
    assert form_of(None, None) == "table"


# tables


def test_the_limit_is_told(work: str) -> None:
    question = "SELECT sample_id FROM manifest ORDER BY sample_id"
    for limit, more in ((SAMPLES - 1, True), (SAMPLES, False), (SAMPLES + 1, False)):
        found = answer(question, work, limit)
        assert (len(found.rows), found.more) == (min(limit, SAMPLES), more)
    last = run(question, "--work", work, "--limit", "3").output.splitlines()[-1]
    assert last == "the first 3 rows; there are more: --limit N shows N, --to FILE.csv writes all"
    assert run(question, "--work", work).output.splitlines()[-1].startswith("the first 40 rows; there are more")
    assert run(question, "--work", work, "--limit", "0").exit_code != 0


def test_wide_cells_are_cut_and_odd_ones_made_safe(work: str) -> None:
    question = "SELECT repeat('x', 1000) AS long, chr(27) || '[31m' || chr(10) AS odd, NULL AS gone, [1, 2] AS many"
    (head, _, row, *_) = answer_lines(answer(question, work), 200)
    assert row.split()[0] == "x" * CELL_CHARS + "…"
    assert "\\x1b[31m\\n" in row and "NULL" in row and "[1, 2]" in row
    assert all(line.isprintable() for line in (head, row))


def test_wide_tables_are_told_row_by_row(work: str) -> None:
    lines = answer_lines(answer("SELECT * FROM manifest", work, 2), 120)
    assert lines[0] == "row 1" and "row 2" in lines
    assert sum(line.startswith("  sample_id ") for line in lines) == 2
    assert max(map(len, lines)) < 450
    assert answer_lines(answer("SELECT * FROM manifest WHERE false", work), 120) == ["0 rows"]


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "NULL"), (True, "true"), (1.0, "1"), (0.5, "0.5"), (1e-9, "1e-09"), (1e20, "1e+20"), (0.0, "0"),
     (float("inf"), "inf"), (float("nan"), "nan"), (12345678.25, "12345678.25"), (b"ab", "6162"), ("a\tb", "a\\tb"),
     ([], "[]"), ([1, None], "[1, NULL]"), (["a"], "['a']"), ({"a": "b", "c": [1.5]}, "{a: 'b', c: [1.5]}"),
     ("\u202eabc", "\\u202eabc"), (2**64 - 1, "18446744073709551615")],
)  # fmt: skip
def test_values_in_words(value: Any, told: str) -> None:
    assert cell(value) == told


def test_the_form_of_pivot_that_is_named_works(work: str) -> None:
    refused = str(run("PIVOT manifest ON split", "--work", work).exception)
    advised = refused.partition(": ")[2]
    assert advised.startswith("PIVOT ")
    found = answer(advised, work)
    assert found.columns[-2:] == ["train", "val"]


# a terminal

EVIL = "\x1b]0;owned\x07\x9b31m\u202e\u2066\r\x7f é😀\ta"


def on_terminal(do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What is written to a terminal that changes nothing."""
    main, other = pty.openpty()
    tty.setraw(other)
    with os.fdopen(other, "w", encoding="utf-8") as screen, os.fdopen(main, "rb", buffering=0) as shown:
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", screen)
            do()
            screen.flush()
        return shown.read(4096)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_texts_do_nothing_to_a_terminal_and_are_as_they_are_in_a_pipe(
    work: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = ", ".join(f"chr({ord(sign)})" for sign in EVIL)
    question = f"SELECT concat({points}) AS text, concat('x', chr(10), 'y') AS two"
    console = Console()
    shown = on_terminal(lambda: sql(question, work, form, None, 40, console), monkeypatch).decode()
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    piped = run(question, "--work", work, "--format", form).stdout_bytes
    if form == "json":
        assert json.loads(shown) == json.loads(piped) == {"text": EVIL, "two": "x\ny"}
        assert "\u202e" in piped.decode()
    else:
        assert piped.decode() == f'text,two\n"{EVIL}","x\ny"\n'
        assert "\\x1b]0;owned\\x07\\x9b31m\\u202e\\u2066\\r\\x7f é😀\ta" in shown


def test_json_of_other_commands_does_nothing_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = json.dumps({"text": EVIL + "\U000e0001"}, ensure_ascii=False, indent=2) + "\n"
    shown = on_terminal(lambda: tell(list, tree, Console(), "-"), monkeypatch).decode()
    assert all(sign.isprintable() or sign == "\n" for sign in shown)
    assert json.loads(shown) == json.loads(tree)
