"""The report as a whole: what it shows of which folder, what it says where something is missing, its stability."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from card_pools import make_pool, make_recipe, publish
from report_reading import Page
from selectolax.lexbor import LexborHTMLParser

from curation.errors import InputError, StaleDatasetError, WorkFolderError
from curation.inspect.card import CARD_JSON, write_card
from curation.inspect.report import report, write_report
from curation.inspect.report_page import REPORT_HTML
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store
from curation.testing.manifests import write_manifest

OF_SELECTION = ["top", "funnel", "entries", "t", "languages", "texts", "domains", "licences", "gallery", "made"]
OF_MANIFEST = [*OF_SELECTION[:-2], "images", "clips", *OF_SELECTION[-2:]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    write_manifest(path, 60, with_bytes=True)
    return path


def drop(folder: Path, stage: str) -> None:
    """Takes a stage out of a folder, as if it had never been published."""
    (folder / stage / "_current.json").unlink()


def test_all_sections_of_a_manifest(folder: Path) -> None:
    page = Page(report(folder))
    assert page.sections() == OF_MANIFEST
    anchors = [str(node.attributes["href"])[1:] for node in page.tree.css("nav a")]
    assert anchors == OF_MANIFEST
    assert "Only the manifest is here" in page.words("funnel")


def test_it_lies_in_the_folder_and_whole(folder: Path) -> None:
    written = write_report(folder)
    assert written.location == str(folder / REPORT_HTML)
    assert (folder / REPORT_HTML).stat().st_size == written.size_bytes
    assert (folder / REPORT_HTML).read_text() == report(folder)
    assert not list(folder.glob(f".{REPORT_HTML}.*"))


@pytest.mark.slow
def test_the_same_folder_gives_the_same_bytes_whatever_the_process(folder: Path) -> None:
    """Hashes of strings, the clock and the number of threads differ between processes."""
    program = (
        "import sys, duckdb\nfrom curation.inspect import views\nmade = views.open_duckdb\n"
        "views.open_duckdb = lambda store, **how: made(store, **{**how, 'threads': int(sys.argv[2])})\n"
        "from curation.inspect.report import report\nsys.stdout.write(report(sys.argv[1]))"
    )
    made = {
        subprocess.run([sys.executable, "-c", program, str(folder), threads], check=True, capture_output=True,
                       env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONUTF8": "1"}).stdout
        for threads, seed, zone in (("1", "1", "UTC"), ("4", "2", "Asia/Tokyo"))
    }  # fmt: skip
    assert made == {report(folder).encode()}


def test_it_fetches_nothing_and_runs_nothing(folder: Path) -> None:
    html = report(folder)
    tree = LexborHTMLParser(html)
    assert not tree.css("script, link, iframe, object, embed, form, base, video, audio, source")
    assert not [node for node in tree.css("*") if any(name.startswith("on") for name in node.attributes)]
    assert not tree.css("[style]")
    assert all(str(node.attributes["src"]).startswith("data:image/jpeg;base64,") for node in tree.css("[src]"))
    assert "url(" not in html.split("</style>")[0] and "@import" not in html


def test_the_policy_allows_this_very_style_alone(folder: Path) -> None:
    tree = LexborHTMLParser(report(folder))
    (policy,) = [str(node.attributes["content"]) for node in tree.css("meta[http-equiv=Content-Security-Policy]")]
    (style,) = [node.text() for node in tree.css("style")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules


def test_ids_are_told_once(folder: Path) -> None:
    ids = [str(node.attributes["id"]) for node in LexborHTMLParser(report(folder)).css("[id]")]
    assert len(ids) == len(set(ids))


def test_every_chart_says_what_it_is(folder: Path) -> None:
    tree = LexborHTMLParser(report(folder))
    charts = tree.css("svg.chart, svg.meter")
    assert len(charts) > 20
    assert all(node.attributes.get("aria-label") and node.attributes.get("role") == "img" for node in charts)
    assert all(node.attributes.get("alt") for node in tree.css("img"))


def test_without_entry_probabilities(tmp_path: Path) -> None:
    write_manifest(tmp_path, 40, entries=False, with_bytes=True)
    page = Page(report(tmp_path))
    assert page.sections() == OF_MANIFEST
    assert "No counts of entries are in this folder." in page.words("entries")
    assert "entries covered" not in page.tiles()
    assert len(page.samples()) > 10


def test_images_alone_have_no_section_on_clips(tmp_path: Path) -> None:
    write_manifest(tmp_path, 30, videos=0.0)
    assert Page(report(tmp_path)).sections() == [name for name in OF_MANIFEST if name != "clips"]


def test_clips_alone_have_no_section_on_images(tmp_path: Path) -> None:
    write_manifest(tmp_path, 30, videos=1.0)
    assert Page(report(tmp_path)).sections() == [name for name in OF_MANIFEST if name != "images"]


def test_an_empty_manifest(tmp_path: Path) -> None:
    write_manifest(tmp_path, 0)
    page = Page(report(tmp_path))
    assert "The manifest is empty" in page.words("top")
    assert "There is no sample to show." in page.words("gallery")


def test_one_sample(tmp_path: Path) -> None:
    write_manifest(tmp_path, 1, videos=0.0, with_bytes=True)
    page = Page(report(tmp_path))
    assert page.tiles()["samples"] == "1"
    assert len(page.samples()) == 3  # it is the one at random, the one of the head, and the one of the tail


def test_a_selection_without_a_manifest_shows_what_there_is(tmp_path: Path) -> None:
    pool = make_pool(3)
    publish(tmp_path, pool, make_recipe(pool))
    written = write_report(tmp_path)
    page = Page((tmp_path / REPORT_HTML).read_text())
    assert page.sections() == OF_SELECTION
    assert len(written.notices) == 2 and "no manifest here yet" in written.notices[0]
    assert "no manifest here yet" in page.words("top")
    assert written.notices[1] == "A <note>"  # of the run
    assert page.samples() and not page.tree.css("#gallery img")


def test_a_selection_without_a_card_is_computed_again(tmp_path: Path) -> None:
    pool = make_pool(4)
    recipe = make_recipe(pool)
    catalog = publish(tmp_path, pool, recipe)
    plain = Page(report(tmp_path))
    write_card(catalog, recipe)
    with_card = Page(report(tmp_path))
    assert with_card.tree.css_first("h1").text() == recipe.name
    for section in OF_SELECTION[1:-1]:
        assert plain.words(section) == with_card.words(section)


def test_a_card_of_an_earlier_run_is_not_believed(tmp_path: Path) -> None:
    pool = make_pool(4)
    recipe = make_recipe(pool)
    card = write_card(publish(tmp_path, pool, recipe), recipe)
    card["versions"]["datasets"]["kept_pairs"]["version"] = "another"
    card["funnel"][-1]["rows"] = 123_456
    (tmp_path / CARD_JSON).write_text(json.dumps(card))
    html = report(tmp_path)
    assert "123,456" not in html and f"{len(pool.kept):,}" in html


@pytest.mark.parametrize("content", ["[]", "{}", '{"versions": 3}', '{"versions": {"datasets": {"pairs": 1}}}'])
def test_a_file_that_is_no_card_is_passed_over(tmp_path: Path, content: str) -> None:
    pool = make_pool(4)
    publish(tmp_path, pool, make_recipe(pool))
    (tmp_path / CARD_JSON).write_text(content)
    assert Page(report(tmp_path)).sections() == OF_SELECTION


def test_kept_pairs_alone(tmp_path: Path) -> None:
    pool = make_pool(2)
    publish(tmp_path, pool, make_recipe(pool))
    catalog = Catalog(Store.at(tmp_path), ALL_STAGES)
    known = catalog.pointer("balance")
    assert known is not None
    for stage in ("candidates", "pairs", "matches", "entry_counts", "draws"):
        drop(tmp_path, stage)
    pointer = json.loads((tmp_path / "kept_pairs/_current.json").read_text())
    (tmp_path / "kept_pairs/_current.json").write_text(json.dumps({**pointer, "inputs": {}}))
    page = Page(report(tmp_path))
    assert page.tiles() == {"kept pairs": f"{len(pool.kept):,}"}
    assert page.samples()


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(WorkFolderError, match="holds no published dataset"):
        report(tmp_path)


def test_candidates_alone_are_too_little(tmp_path: Path) -> None:
    pool = make_pool(2)
    publish(tmp_path, pool, make_recipe(pool), until="pairs")
    with pytest.raises(WorkFolderError, match="has no balance yet: run `curation run`"):
        report(tmp_path)


def test_an_outdated_selection(tmp_path: Path) -> None:
    pool = make_pool(2)
    publish(tmp_path, pool, make_recipe(pool))
    pointer = tmp_path / "matches" / "_current.json"
    pointer.write_text(json.dumps({**json.loads(pointer.read_text()), "inputs": {"pairs": "older"}}))
    with pytest.raises(StaleDatasetError, match="finish `curation run`"):
        report(tmp_path)


def test_an_outdated_manifest_beside_a_selection(tmp_path: Path) -> None:
    pool = make_pool(2)
    publish(tmp_path, pool, make_recipe(pool))
    write_manifest(tmp_path, 5)
    pointer = tmp_path / "manifest" / "_current.json"
    pointer.write_text(json.dumps({**json.loads(pointer.read_text()), "inputs": {"samples": "gone"}}))
    written = write_report(tmp_path)
    assert "the manifest is of an earlier state of this folder" in written.notices[0]
    assert Page((tmp_path / REPORT_HTML).read_text()).sections() == OF_SELECTION


def test_a_manifest_whose_files_are_gone(tmp_path: Path) -> None:
    write_manifest(tmp_path, 5)
    for file in (tmp_path / "manifest").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(WorkFolderError, match=r"gone or damaged: .*manifest.*; start with a fresh folder"):
        write_report(tmp_path)
    assert not (tmp_path / REPORT_HTML).exists()


def test_another_place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_report(folder, tmp_path / "new" / "mine.html")
    assert Path(written.location).read_text() == report(folder)
    monkeypatch.chdir(tmp_path)
    assert write_report(folder, "here.html").location == str(tmp_path / "here.html")
    assert write_report(folder, f"file://{tmp_path}/there.html").location == str(tmp_path / "there.html")


@pytest.mark.parametrize("to", ["", "x/", "s3://", "memory://"])
def test_a_place_that_is_no_file(folder: Path, to: str) -> None:
    with pytest.raises(InputError, match="names no file"):
        write_report(folder, to)


def test_a_folder_is_no_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: give a file in it"):
        write_report(folder, tmp_path)


def test_an_object_store(folder: Path) -> None:
    """In and out: pictures are read from there too."""
    memory = fsspec.filesystem("memory")
    memory.put(f"{folder}/", "/bucket/run", recursive=True)
    try:
        written = write_report("memory://bucket/run")
        assert written.location == f"memory://bucket/run/{REPORT_HTML}"
        assert memory.cat_file(f"/bucket/run/{REPORT_HTML}").decode() == report(folder)
        assert write_report(folder, "memory://bucket/a/b.html").location == "memory://bucket/a/b.html"
        assert memory.exists("/bucket/a/b.html")
    finally:
        memory.rm("/bucket", recursive=True)


def test_themes_are_complete(folder: Path) -> None:
    """Every colour that is used is set, in light and in dark."""
    style = LexborHTMLParser(report(folder)).css_first("style").text()
    used = set(re.findall(r"var\(--([\w-]+)\)", style))
    for block in re.findall(r"color-scheme:(?:light|dark);([^}]*)}", style):
        assert used == set(re.findall(r"--([\w-]+):", block))
    schemes = re.findall(r"{color-scheme:(light|dark)", style)
    assert (schemes.count("light"), schemes.count("dark")) == (3, 2)  # by itself, when chosen, and on paper


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_told_from_their_ground(folder: Path) -> None:
    """WCAG 2.1: 4.5:1 for text, 3:1 for the parts of charts."""
    style = LexborHTMLParser(report(folder)).css_first("style").text()
    for block in re.findall(r"color-scheme:(?:light|dark);([^}]*)}", style):
        colours = dict(re.findall(r"--([\w-]+):(#\w+)", block))
        for ground in ("paper", "sheet"):
            assert all(contrast(colours[name], colours[ground]) >= 4.5 for name in ("ink", "soft", "link"))
            assert all(contrast(colours[f"s{place}"], colours[ground]) >= 3 for place in range(6))
        assert contrast(colours["ink"], colours["note"]) >= 4.5
