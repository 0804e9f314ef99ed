"""`curation vocab lint`: every kind of finding, on the screen and as JSON, texts in every form, and bad input."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from inspect_runs import ENGLISH, FRENCH, Folder, links
from rich.cells import cell_len

from curation import cli
from curation.concepts import pad, prepare
from curation.errors import RecipeError
from curation.recipe import load_recipe

ENTRIES = ["cat", "St. Louis", "Cat", "x", "who?!", "y" * 257, "red cat", "unicorn", "猫", "cat", "a.b", "\x1b[31mred"]
TEXTS = [
    "a cat", "a red cat on the x axis of a very long sentence that goes on and on",
    "nothing here", "red cat, St. Louis",
]  # fmt: skip
FORMS = ["t.txt", "t.txt.gz", "t.csv", "t.csv.gz", "t.tsv", "t.jsonl", "t.jsonl.gz", "t.parquet"]

Lint = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("\n".join(ENTRIES), "utf-8")
    Path("texts.txt").write_text("\n".join(TEXTS), "utf-8")
    return tmp_path


@pytest.fixture
def lint(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lint:
    """Runs the command, which is to end well, and gives what it printed."""

    def run(*arguments: str, width: int = 80) -> str:
        monkeypatch.setattr("sys.argv", ["curation", "vocab", "lint", *arguments])
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        told = capsys.readouterr()
        assert not stopped.value.code, told.err
        assert told.err == ""
        return told.out

    return run


@pytest.fixture
def error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lint:
    """Runs the command, which is to end with one line of error and exit code 2."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["curation", "vocab", "lint", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        told = capsys.readouterr()
        assert stopped.value.code == 2, told
        assert told.out == "" or "--json" in arguments
        assert told.err.startswith("error: ")
        assert len(told.err.strip().splitlines()) == 1
        return told.err

    return run


def section(told: str, heading: str) -> list[str]:
    """The lines below the one that begins so, up to the next empty one."""
    lines = told.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(heading)) + 1
    return lines[first : lines.index("", first) if "" in lines[first:] else None]


def test_findings_of_the_entries_alone(folder: Path, lint: Lint) -> None:
    told = lint("words.txt")
    assert "words.txt: 11 entries, language en\n" in told
    assert "matched by definition v1, options: none\n" in told
    assert "\nentries left out, as they repeat an earlier one exactly: 1\n" in told
    assert "entries that can never match: 3 (27.3%)\n" in told
    assert section(told, "entries that can never") == [
        "  2: it holds '.' beside another character, but texts get spaces around it",
        "    found with spaced_entries, for example",
        '    "St. Louis", "a.b"',
        "  1: it holds '?' beside another character, but texts get spaces around it",
        "    found with spaced_entries, for example",
        '    "who?!"',
    ]
    assert section(told, "entries equal to another but for case") == ['  "cat" = "Cat"']
    assert section(told, "entries of a single character: 2") == ['  "x", "猫"']
    assert section(told, "entries of more than 256 characters: 1") == [f'  "{"y" * 48}"… (257 characters)']
    assert "texts" not in told.splitlines()[-1]


def test_entries_that_look_the_same_are_told_apart(folder: Path, lint: Lint) -> None:
    Path("words.txt").write_text('café\ncafe\u0301\nÉté\nété\nso "he"\nSO "he"', "utf-8")
    assert section(lint("words.txt"), "entries equal to another but for case") == [
        r'  "caf\xe9" = "cafe\u0301"', '  "Été" = "été"', r'  "so \"he\"" = "SO \"he\""',
    ]  # fmt: skip
    Path("words.txt").write_text("one\ntwo")
    Path("texts.txt").write_text("none")
    assert "entries in none of these texts: 2 (100.0%)\n" in lint("words.txt", "--texts", "texts.txt")


def test_options_and_definition_are_those_asked_for(folder: Path, lint: Lint) -> None:
    told = lint("words.txt", "--option", "spaced_entries", "--option", "nfc", "--definition", "v2", "--lang", "de")
    assert "language de\nmatched by definition v2, options: spaced_entries, nfc\n" in told
    assert "entries that can never match: 0\n" in told


def test_demo_lists_bring_their_language(lint: Lint) -> None:
    assert "language zh" in lint("demo:zh")
    assert "language yue" in lint("demo:zh", "--lang", "yue")


def test_findings_with_texts(folder: Path, lint: Lint) -> None:
    told = lint("words.txt", "--texts", "texts.txt")
    assert "tried on 4 texts of texts.txt\n" in told
    assert section(told, "texts without any entry: 1 (25.0%)") == ['  "nothing here"']
    never = section(told, "entries in none of these texts: 8 (72.7%); not listed again: the 3 that can never match")
    assert '"unicorn"' in " ".join(never)
    assert sum(line.count('", "') + 1 for line in never) == 8 - 3
    assert "St. Louis" not in " ".join(never)  # told above: it can never match
    assert '"\\x1b[31mred"' in " ".join(never)
    rows = section(told, "entries in at least one: 3 (27.3%)")
    assert rows[0].split() == ["texts", "share", "entry", "for", "example"]
    assert [row.split()[:3] for row in rows[1:]] == [
        ["3", "75.0%", '"cat"'], ["2", "50.0%", '"red'], ["1", "25.0%", '"x"'],
    ]  # fmt: skip
    assert rows[3].endswith('"a red cat on the x axis of a very long sentence tha…')  # 80 cells


@pytest.mark.parametrize("width", [40, 80, 200])
def test_examples_fit_the_terminal(folder: Path, lint: Lint, width: int) -> None:
    Path("words.txt").write_text("\n".join(f"{'漢字' * (n % 40)}{n}." for n in range(100)) + "\nthe", "utf-8")
    Path("texts.txt").write_text("\n".join(["the " + "猫" * 300, "è" * 500]), "utf-8")
    told = lint("words.txt", "--texts", "texts.txt", "--show", "30", width=width)
    examples = [line for line in told.splitlines() if '"' in line]
    assert len(examples) > 15 and max(map(cell_len, examples)) in (width - 1, width)


def test_show_limits_the_examples(folder: Path, lint: Lint) -> None:
    Path("words.txt").write_text("\n".join(f"w{n}" for n in range(50)))
    Path("texts.txt").write_text("\n".join(f"w{n}" for n in range(20)) + "\nno\n" * 20)
    told = lint("words.txt", "--texts", "texts.txt", "--show", "3")
    assert section(told, "entries in none") == ['  "w20", "w21", "w22"']
    assert len(section(told, "texts without")) == 3
    assert len(section(told, "entries in at least one: 20")) == 4


def test_json_has_everything(folder: Path, lint: Lint) -> None:
    told = lint("words.txt", "--texts", "texts.txt", "--show", "1", "--json", "all.json")
    alone = lint("words.txt", "--texts", "texts.txt", "--show", "1", "--json", "-")
    tree: dict[str, Any] = json.loads(Path("all.json").read_text("utf-8"))
    assert told.startswith("words.txt: ")
    assert json.loads(alone) == tree
    assert tree["vocabulary"]["entries"] == 11 and tree["vocabulary"]["repeated_left_out"] == 1
    assert [(found["entry_id"], found["entry"], found["found_with"]) for found in tree["never_match"]] == [
        (1, "St. Louis", ["spaced_entries"]), (4, "who?!", ["spaced_entries"]), (9, "a.b", ["spaced_entries"]),
    ]  # fmt: skip
    assert [[found["entry"] for found in group] for group in tree["duplicates"]] == [["cat", "Cat"]]
    assert [found["entry_id"] for found in tree["single_characters"]] == [3, 8]
    assert [len(found["entry"]) for found in tree["long"]] == [257]
    texts = tree["texts"]
    assert (texts["texts"], texts["matched"], texts["entries_hit"]) == (4, 3, 3)
    assert texts["hits"] == [
        {"entry_id": 0, "entry": "cat", "texts": 3}, {"entry_id": 6, "entry": "red cat", "texts": 2},
        {"entry_id": 3, "entry": "x", "texts": 1},
    ]  # fmt: skip
    assert [hit["examples"] for hit in texts["most_hit"]] == [["a cat", TEXTS[1], TEXTS[3]]]
    assert texts["unmatched_examples"] == ["nothing here"]
    assert json.loads(lint("words.txt", "--json", "-"))["texts"] is None


def _write(name: str, key: str) -> None:
    rows = [*TEXTS, None, " "]
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"n": range(len(rows)), key: rows}), name)
        return
    if "jsonl" in name:
        content = "".join(json.dumps({"n": 1, key: row}) + "\n" for row in rows)
    elif "csv" in name:
        content = f"n,{key}\n" + "".join(f'1,"{row or ""}"\n' for row in rows)
    elif "tsv" in name:
        content = f"n\t{key}\n" + "".join(f"1\t{row or ''}\n" for row in rows)
    else:
        content = "\ufeff" + "\r\n".join(row or "" for row in rows)
    data = content.encode()
    Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("key", ["text", "caption", "TEXT"])
def test_texts_in_every_form(folder: Path, lint: Lint, name: str, key: str) -> None:
    _write(name, key)
    texts = json.loads(lint("words.txt", "--texts", name, "--json", "-"))["texts"]
    assert (texts["texts"], texts["matched"], texts["unreadable"]) == (4, 3, [])
    assert texts["most_hit"][0]["examples"] == ["a cat", TEXTS[1], TEXTS[3]]


def test_several_places_of_texts(folder: Path, lint: Lint) -> None:
    Path("more.txt").write_text("a unicorn")
    told = lint("words.txt", "--texts", "texts.txt", "--texts", "more.txt")
    assert "tried on 5 texts of texts.txt, more.txt\n" in told


def test_rows_that_cannot_be_read_are_counted(folder: Path, lint: Lint) -> None:
    Path("bad.txt").write_bytes(b"a cat\n\xff\xfe\nred cat\n\x80 cat")
    Path("bad.jsonl").write_text('{"text": "cat"}\n{"text": 3}\n{"tex\n')
    told = lint("words.txt", "--texts", "bad.txt", "--texts", "bad.jsonl")
    assert "tried on 3 texts of" in told
    assert "  could not be read in bad.txt: 2 rows; the first: row 2: 'utf-8' codec" in told
    assert "  could not be read in bad.jsonl: 2 rows; the first: row 2: " in told


def test_damaged_gzip_costs_what_is_damaged(folder: Path, lint: Lint) -> None:
    whole, damaged = gzip.compress(b"a cat\n"), gzip.compress(b"red cat\n" * 500)[:-20]
    Path("bad.txt.gz").write_bytes(whole + damaged)
    told = lint("words.txt", "--texts", "bad.txt.gz")
    assert "tried on 1 text of" in told
    assert "  could not be read in bad.txt.gz: 1 row; the first: member cut off" in told


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("lint"), {"one": links(1, 60)})
    folder.run(until="pairs")
    return folder


@pytest.mark.parametrize(("lang", "entries"), [("en", ENGLISH), ("fr", FRENCH)])
def test_the_pairs_of_a_run_are_texts(
    run_folder: Folder, tmp_path: Path, lint: Lint, lang: str, entries: list[str]
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join(entries), "utf-8")
    told = json.loads(lint(str(words), "--lang", lang, "--texts", str(run_folder.work), "--json", "-"))["texts"]
    pairs = [row[0] for row in run_folder.query(f"SELECT text FROM pairs WHERE lang = '{lang}'")]
    assert told["texts"] == len(pairs) > 5
    hits = {hit["entry"]: hit["texts"] for hit in told["hits"]}
    for entry in entries:
        assert hits.get(entry, 0) == sum(pad(entry, "v1") in prepare(text, "v1") for text in pairs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "no vocabulary at nowhere.txt"),
        (["empty.txt"], "vocabulary empty.txt has no entries"),
        (["latin1.txt"], "line 2 is not UTF-8"),
        (["."], "unknown kind of file"),
        (["/dev/stdin"], "unknown kind of file"),
        (["foo://x.txt"], "cannot read the vocabulary foo://x.txt (Protocol not known: foo): give a .txt"),
        (["memory://x.txt"], "no vocabulary at memory://x.txt: give a .txt"),
        (["http://[x/y.txt"], "no vocabulary at http://[x/y.txt: give a .txt"),
        (["other.parquet"], "write it anew, with a column 'entry'"),
        (["half.json"], r"'\ud800' holds half a character"),
        (["deep.json"], "deep.json is no JSON ("),
        (["pipe.txt"], "cannot read the vocabulary pipe.txt (no regular file): "),
        (["words.txt", "--texts", "pipe.txt"], "cannot read the texts pipe.txt (no regular file): "),
        (["demo:xx"], "'demo:xx' in "),
        (["words.txt", "--option", "spaces"], "unknown matching option 'spaces': choose from spaced_entries, no"),
        (["words.txt", "--definition", "v3"], "unknown definition 'v3': choose one of v1, v2"),
        (["words.txt", "--texts", "nowhere.txt"], "no texts at nowhere.txt: give .txt with one text a line"),
        (["words.txt", "--texts", "nowhere"], "no texts at nowhere: "),
        (["words.txt", "--texts", "texts.txt", "--texts", "photo.jpg"], "unknown kind of texts photo.jpg: "),
        (["words.txt", "--texts", "nosuch://x/y.txt"], "cannot read the texts nosuch://x/y.txt"),
        (["words.txt", "--texts", "empty.txt"], "empty.txt holds no text: "),
        (["words.txt", "--texts", "binary.txt"], "binary.txt holds no text ("),
        (["words.txt", "--texts", "other.csv"], "no column text or caption or TEXT; the file has a, b"),
        (["words.txt", "--texts", "other.jsonl"], "the file has b"),
        (["words.txt", "--texts", "other.parquet"], "no readable Parquet file"),
        (["words.txt", "--texts", "numbers.parquet"], "column text holds int64, not text"),
        (["words.txt", "--texts", "tables"], "no run in tables, but 0.parquet, 1.parquet, 2.parquet and 1 more: give"),
        (["words.txt", "--texts", "nothing"], "no run in nothing: give .txt"),
        (["words.txt", "--texts", "begun"], "has no pairs yet"),
        (["nowhere.txt", "--json", ""], "--json names no file: give one, or - for the screen"),
    ],
)
def test_bad_input(folder: Path, error: Lint, arguments: list[str], message: str) -> None:
    Path("empty.txt").write_text("\n \n")
    Path("latin1.txt").write_bytes("cat\ncafé".encode("latin-1"))
    Path("binary.txt").write_bytes(bytes(range(128, 256)) * 40)
    Path("photo.jpg").write_bytes(b"\xff\xd8")
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("other.jsonl").write_text('{"b": 1}\n')
    Path("other.parquet").write_text("PAR1")
    pq.write_table(pa.table({"text": [1, 2]}), "numbers.parquet")
    Path("half.json").write_text(r'["a", "\ud800"]')
    Path("deep.json").write_text("[" * 100_000)
    os.mkfifo("pipe.txt")
    for name in ("tables", "nothing", "begun/_runs/extract"):
        Path(name).mkdir(parents=True)
    for name in ("0.parquet", "1.parquet", "2.parquet", "3.parquet", "other.bin"):
        Path("tables", name).touch()
    assert message in error(*arguments)


def test_json_that_cannot_be_written_is_told_before_anything_is_read(folder: Path, error: Lint) -> None:
    assert "cannot write words.txt/x.json (Not a directory)" in error("nowhere.txt", "--json", "words.txt/x.json")
    assert "cannot write . (Is a directory)" in error("nowhere.txt", "--json", ".")


def test_json_is_left_as_it_was_where_the_rest_fails(folder: Path, error: Lint) -> None:
    Path("old.json").write_text("[1]")
    for name in ("old.json", "new.json", "new/er/new.json"):
        assert "no vocabulary" in error("nowhere.txt", "--json", name)
    assert Path("old.json").read_text() == "[1]"
    assert not Path("new.json").exists() and not Path("new").exists()


def test_options_that_a_recipe_refuses_are_refused_in_its_words(folder: Path, error: Lint) -> None:
    Path("recipe.yaml").write_text("name: x\ninputs: [{kind: wat, paths: [x]}]\nmatch: {vocabularies: {en: x}}")
    for names in (["no_space_kana"], ["nfc", "nfc"]):
        told = error("words.txt", *(part for name in names for part in ("--option", name)))
        with pytest.raises(RecipeError) as refused:
            load_recipe("recipe.yaml", [f"match.options=[{', '.join(names)}]"])
        assert str(refused.value).endswith(told.removeprefix("error: ").strip())


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (["s3://none/y.txt"], "cannot read the vocabulary s3://none/y.txt: an object store gave no answer: "),
        (["words.txt", "--texts", "s3://none/y.txt"], "cannot read the texts s3://none/y.txt: an object store gave no"),
        (["words.txt", "--texts", "s3://none/run"], "an object store gave no answer: "),
    ],
)
def test_a_store_without_credentials(
    folder: Path, error: Lint, monkeypatch: pytest.MonkeyPatch, arguments: list[str], begins: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    told = error(*arguments)
    assert told.startswith(f"error: {begins}")
    assert told.endswith("; check credentials and endpoint\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["words.txt"], ["words.txt", "--json", "-"]])
@pytest.mark.slow
def test_a_full_disk_behind_the_output_is_one_line(folder: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "curation", "vocab", "lint", *arguments]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr == (
        "error: cannot write the output (No space left on device): free space, or send it elsewhere\n"
    )


def test_a_run_without_that_language(run_folder: Folder, error: Lint) -> None:
    told = error("demo:zh", "--lang", "xx", "--texts", str(run_folder.work))
    assert "has no pair in language 'xx': give another --lang" in told


def test_a_terminal_without_unicode(folder: Path, lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("out.txt").open("w", encoding="ascii") as written:
        monkeypatch.setattr(sys, "stdout", written)
        lint("words.txt", "--texts", "texts.txt")
    assert '"x", "?"' in Path("out.txt").read_text("ascii")
