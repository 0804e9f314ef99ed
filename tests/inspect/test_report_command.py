"""`curation report`: what it prints, and how it ends where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from card_pools import make_pool, make_recipe, publish

from curation.cli import main
from curation.inspect.wording import size
from curation.testing.manifests import write_manifest


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    monkeypatch.setattr("sys.argv", ["curation", "report", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_it_says_where_the_report_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, 20)
    code, out, err = told(capsys, monkeypatch, "--work", str(tmp_path))
    size_bytes = (tmp_path / "report.html").stat().st_size
    assert (code, err) == (0, "")
    assert out == f"report: {tmp_path}/report.html ({size(size_bytes)})\n"


def test_it_says_what_a_reader_must_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(1)
    publish(tmp_path / "work", pool, make_recipe(pool))
    code, out, _ = told(capsys, monkeypatch, "--work", str(tmp_path / "work"), "--to", str(tmp_path / "a.html"))
    assert code == 0 and (tmp_path / "a.html").exists() and not (tmp_path / "work" / "report.html").exists()
    assert out.startswith("note: What follows is about the selection alone: there is no manifest here yet")
    assert out.splitlines()[-1].startswith(f"report: {tmp_path}/a.html (")


@pytest.mark.parametrize(
    ("to", "says"),
    [(None, "holds no published dataset"), ("x/", "names no file"), ("/proc/self/x.html", "")],
)
def test_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, to: str | None, says: str
) -> None:
    if to:
        write_manifest(tmp_path, 3)
    code, out, err = told(capsys, monkeypatch, "--work", str(tmp_path), *(["--to", to] if to else []))
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and says in err and err.count("\n") == 1
