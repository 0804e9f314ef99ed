"""Lists: what their lines may be, what is said of bad ones, where they may lie, and what they cost."""

import gzip
import hashlib
import os
import time
import tracemalloc

import fsspec
import numpy as np
import pytest
from filter_rows import candidates
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import InputError
from curation.filters import CandidateFilters, files
from curation.filters.names import NameTable, name_keys
from curation.recipe.filters import Domains, Filters

DIGEST = hashlib.md5(b"https://m.example/a.jpg", usedforsecurity=False).hexdigest()


def refused(folder, url="https://m.example/a.jpg"):
    filters = CandidateFilters(Filters(refusals=[str(folder)]))
    [found] = filters.page_verdicts(candidates([{"media_url": url}])).to_pylist()
    return found


def problem(recipe):
    with pytest.raises(InputError) as caught:
        CandidateFilters(recipe)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.lists(st.text("ab", max_size=3), max_size=6)), max_size=6),
    st.lists(st.lists(st.text("ab", max_size=3), max_size=4), max_size=6),
)
def test_a_table_tells_the_first_list_that_holds_a_name(parts, asked):
    table = NameTable([(number, name_keys(names)) for number, names in parts], 5)
    flat = [(name, row) for row, names in enumerate(asked) for name in names]
    found = table.first_lists([name for name, _ in flat], [row for _, row in flat], len(asked))
    expected = [
        min((number for number, names in parts for name in wanted if name in names), default=5) for wanted in asked
    ]
    assert found.tolist() == expected
    assert len(table) == len({name for _, names in parts for name in names})


@pytest.mark.parametrize("line", ["https://m.example/a.jpg", "m.example", ".example", "*.M.example", DIGEST, "EXAMPLE"])
@pytest.mark.parametrize("around", ["{}", "  {} \r\n", "\ufeff{}\n", "# x\n\n{}  # why", "\n\t# x\n{}\t#\n# {}\n"])
def test_lines(tmp_path, line, around):
    (tmp_path / "l.txt").write_bytes(around.format(line, line).encode())
    if line == "EXAMPLE":  # one label is a domain only with a dot in front
        assert "is 'EXAMPLE': give an absolute URL or a domain or a hex digest" in problem(
            Filters(refusals=[str(tmp_path)])
        )
    else:
        assert refused(tmp_path) == "refused:l"
        assert refused(tmp_path, "https://other.test/") is None


@pytest.mark.parametrize(
    "bad",
    ["word", "two words", "//m.example/a.jpg", "/a.jpg", "http://", "https:///a", "abc123", DIGEST[:-1], "g" * 32,
     "m.example/a", "m.example:80", "http:m.example", "\x00", "a..b", "...", "*", "-", "a,b.c", "\u2028a b",
     "m.example x"],
)  # fmt: skip
def test_a_line_that_is_no_item_is_named(tmp_path, bad):
    (tmp_path / "l.txt").write_text("# list\nm.example\n" + bad + "\nm.example\n")
    assert problem(Filters(refusals=[str(tmp_path)])).startswith(f"{tmp_path}/l.txt, line 3, is ")


def test_lines_are_counted_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 100)
    lines = [f"host{number}.example" for number in range(1000)]
    (tmp_path / "l.txt").write_text("\n".join(lines))
    assert refused(tmp_path, "http://host999.example/") == refused(tmp_path, "http://host0.example/") == "refused:l"
    whole = CandidateFilters(Filters(refusals=[str(tmp_path)])).fingerprint
    (tmp_path / "l.txt").write_text("\n".join([*lines[:700], "?", *lines[701:]]))
    assert ", line 701, is '?'" in problem(Filters(refusals=[str(tmp_path)]))
    (tmp_path / "l.txt").write_bytes("\n".join(lines).encode().replace(b"host800.", b"\xff\xfe"))
    assert ", line 801, is not UTF-8" in problem(Filters(refusals=[str(tmp_path)]))
    (tmp_path / "l.txt").write_text("\n".join(lines))
    monkeypatch.undo()
    assert CandidateFilters(Filters(refusals=[str(tmp_path)])).fingerprint == whole


def test_names_zipped_lists_and_their_order(tmp_path):
    for name in ("b.txt", "a.txt.gz", ".hidden.txt", "readme.md", "_c.txt"):
        content = {"b": b"m.example\nonly.b.example", "a": b"m.example", "_": b"c.example"}.get(name[0], b"no item!")
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "z.txt").write_text("not read!")
    assert refused(tmp_path) == "refused:a"
    assert refused(tmp_path, "https://only.b.example/") == "refused:b"
    assert refused(tmp_path, "https://c.example/") == "refused:_c"


def test_folders_come_in_the_recipe_s_order(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of_{name}.txt").write_text("m.example")
    for order in ("xy", "yx"):
        filters = CandidateFilters(Filters(refusals=[str(tmp_path / name) for name in order]))
        assert filters.page_verdicts(candidates([{}])).to_pylist() == [f"refused:of_{order[0]}"]


def test_lists_on_another_file_system():
    fs = fsspec.filesystem("memory")
    fs.pipe({"/lists/far.txt": b"m.example\n", "/lists/d.txt.gz": gzip.compress(b"denied.example\n")})
    recipe = Filters(refusals=["memory://lists"], domains=Domains(deny=["@memory://lists/d.txt.gz", "x.example"]))
    urls = ["https://m.example/", "https://denied.example/", "https://x.example/", "https://y.example/"]
    found = CandidateFilters(recipe).page_verdicts(candidates([{"media_url": url} for url in urls])).to_pylist()
    assert found == ["refused:far", "refused:d", "domain", None]
    assert "nothing at memory://none" in problem(Filters(refusals=["memory://none"]))


def test_what_cannot_be_read(tmp_path):
    assert problem(Filters(refusals=[str(tmp_path / "none")])).startswith(f"nothing at {tmp_path}/none: give a folder")
    assert "no list in" in problem(Filters(refusals=[str(tmp_path)]))
    (tmp_path / "l.txt").write_text("m.example")
    assert "is a file: give the folder that holds it" in problem(Filters(refusals=[str(tmp_path / "l.txt")]))
    assert "cannot read nowhere://x" in problem(Filters(refusals=["nowhere://x"]))
    (tmp_path / "l.txt").rename(tmp_path / "l.txt.gz")
    assert "l.txt.gz (BadGzipFile: Not a gzipped file" in problem(Filters(refusals=[str(tmp_path)]))
    (tmp_path / "l.txt.gz").write_bytes(gzip.compress(os.urandom(9999).hex().encode())[:-2000])
    assert "l.txt.gz (EOFError: " in problem(Filters(refusals=[str(tmp_path)]))
    (tmp_path / "l.txt.gz").write_bytes(gzip.compress(b"a" * (2 << 20)))
    assert "has lines of more than 1,048,576 bytes" in problem(Filters(refusals=[str(tmp_path)]))
    (tmp_path / "l.txt.gz").unlink()
    (tmp_path / "l.txt").mkdir()
    assert "l.txt (IsADirectoryError: " in problem(Filters(refusals=[str(tmp_path)]))
    assert problem(Filters(domains=Domains(deny=[f"@{tmp_path}/none.txt"]))).startswith(f"nothing at {tmp_path}/none")


def test_domains_of_a_recipe(tmp_path):
    assert problem(Filters(domains=Domains(deny=["a.example", "b c"]))) == (
        "domains.deny, item 2, is 'b c': give a domain"
    )
    assert "domains.allow, item 1, is" in problem(Filters(domains=Domains(allow=["https://a.example/"])))
    (tmp_path / "d.txt").write_text(f"a.example\n{DIGEST}")
    assert "d.txt, line 2, is " in problem(Filters(domains=Domains(allow=[f"@{tmp_path}/d.txt"])))
    (tmp_path / "d.txt").write_text("# none\n")
    nothing = CandidateFilters(Filters(domains=Domains(allow=[f"@{tmp_path}/d.txt"])))
    assert nothing.page_verdicts(candidates([{}])).to_pylist() == ["domain"]


def test_a_list_may_be_empty(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"")
    assert refused(tmp_path) is None


def test_the_fingerprint_is_of_names_and_contents(tmp_path):
    recipe = Filters(refusals=[str(tmp_path)], domains=Domains(deny=[f"@{tmp_path}/d.txt"]))
    seen = []
    for name, content in [("l.txt", "a.example"), ("d.txt", "b.example"), ("d.txt", "c.example"), ("m.txt", "")]:
        (tmp_path / name).write_text(content)
        if (tmp_path / "d.txt").exists():
            seen.append(CandidateFilters(recipe).fingerprint)
    (tmp_path / "l.txt").rename(tmp_path / "n.txt")
    seen.append(CandidateFilters(recipe).fingerprint)
    assert len(set(seen)) == len(seen) == 4
    (tmp_path / "n.txt").rename(tmp_path / "l.txt")
    assert CandidateFilters(recipe).fingerprint == seen[2]
    (tmp_path / "l.txt").write_text("a.exampl")
    assert CandidateFilters(recipe).fingerprint not in seen


@pytest.mark.slow
def test_a_long_list_is_small_in_memory(tmp_path):
    """20 bytes an item stay; 200,000 URLs as a set of Python's strings would take some 30 MB."""
    items = 200_000
    urls = [f"https://host{n % 999}.example/picture-{n:09}.jpg" for n in range(items + 5)]
    (tmp_path / "l.txt").write_text("\n".join(urls[:items]))
    tracemalloc.start()
    filters = CandidateFilters(Filters(refusals=[str(tmp_path)]))
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 30 * items
    assert peak < 100 << 20
    found = filters.page_verdicts(candidates([{"media_url": url} for url in urls[-10:]])).to_pylist()
    assert found == ["refused:l"] * 5 + [None] * 5


@pytest.mark.parametrize("line", ["ü" * 500_000, "a." * 400_000, "#" * 900_000, "*." + "-" * 900_000, " " * 900_000])
def test_long_lines_take_linear_time(tmp_path, line):
    (tmp_path / "l.txt").write_text(f"m.example\n{line}\n{line}.example\n")
    start = time.process_time()
    try:
        assert refused(tmp_path) == "refused:l"
    except InputError as error:
        assert ", line " in str(error)
    assert time.process_time() - start < 3


def test_equal_names_of_one_list_are_one():
    table = NameTable([(0, name_keys(["a"] * 1000)), (1, name_keys(["a", "b"]))], 2)
    assert len(table) == 2
    assert table.first_lists(["a", "b", "c"], np.arange(3), 3).tolist() == [0, 1, 2]
