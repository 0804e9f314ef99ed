"""The report in a browser: nothing fetched, no complaint, all pictures there, in light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from card_pools import make_pool, make_recipe, publish
from test_report_gallery import hostile_rows

from curation.inspect.report import write_report
from curation.testing.manifests import write_manifest

pytestmark = pytest.mark.skipif(
    chromium.executable() is None, reason=f"no browser: none of {', '.join(chromium.NAMES)} is installed"
)

PICTURES = "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth, () => 0)))"
GROUND = "getComputedStyle(document.body).backgroundColor"
WIDTH = "document.documentElement.scrollWidth"
CHOSEN = "document.querySelector('#theme-{}').click(); " + GROUND
OVERLAPS = """
[...document.querySelectorAll('svg.chart')].flatMap(chart => {
  const boxes = [...chart.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  return boxes.flatMap(([a, one], i) => boxes.slice(i + 1)
    .filter(([b, two]) => one.left < two.right - 1 && two.left < one.right - 1
                       && one.top < two.bottom - 3 && two.top < one.bottom - 3)
    .map(([b]) => `${chart.getAttribute('aria-label')}: ${a} / ${b}`));
})"""
CUT_OFF = """
[...document.querySelectorAll('svg.chart')].flatMap(chart => {
  const frame = chart.closest('figure').getBoundingClientRect();
  return [...chart.querySelectorAll('text')].filter(t => {
    const box = t.getBoundingClientRect();
    return box.left < frame.left - 14 || box.right > frame.right + 14;
  }).map(t => `${chart.getAttribute('aria-label')}: ${t.textContent}`);
})"""
SMALL = """
[...document.querySelectorAll('svg.chart text')]
  .map(t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a).reduce((a, b) => Math.min(a, b))"""
EMPTY = "[...document.querySelectorAll('svg.chart')].filter(c => c.getBoundingClientRect().height < 100).length"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with chromium.browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    write_manifest(folder, 800, seed=6, with_bytes=True)
    return Path(write_report(folder).location)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write_manifest(folder, hostile_rows(), with_bytes=True)
    return Path(write_report(folder).location)


def outside(seen: chromium.Seen, page: Path) -> list[str]:
    return [url for url in seen.requests if url != page.as_uri() and not url.startswith("data:image/jpeg;base64,")]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_a_file_and_asks_for_nothing(address: str, page: Path, scheme: str, width: int) -> None:
    questions = {"pictures": PICTURES, "width": WIDTH, "empty": EMPTY, "overlaps": OVERLAPS, "cut": CUT_OFF,
                 "smallest": SMALL}  # fmt: skip
    seen = chromium.visit(address, page, questions, width=width, scheme=scheme)
    assert not seen.complaints
    assert outside(seen, page) == []
    pictures = seen.values["pictures"]
    assert len(pictures) == 48 and all(wide > 0 for wide in pictures)
    assert seen.values["width"] <= width  # what is wider scrolls within itself
    assert seen.values["empty"] == 0
    assert seen.values["overlaps"] == [] and seen.values["cut"] == []
    assert seen.values["smallest"] >= 9  # pixels


def test_labels_that_overlap_would_be_found(address: str, page: Path) -> None:
    longer = "document.querySelectorAll('svg.chart text.tick').forEach(t => { t.textContent += ' and much more'; })"
    seen = chromium.visit(address, page, {"before": OVERLAPS, "longer": longer, "after": OVERLAPS, "cut": CUT_OFF})
    assert seen.values["before"] == [] and seen.values["after"] and seen.values["cut"]


def test_light_and_dark_follow_the_system_and_the_buttons(address: str, page: Path) -> None:
    questions = {"system": GROUND, **{name: CHOSEN.format(name) for name in ("dark", "light", "system ")}}
    questions["system "] = CHOSEN.format("system")
    found = {scheme: chromium.visit(address, page, questions, scheme=scheme).values for scheme in ("light", "dark")}
    light, dark = found["light"]["system"], found["dark"]["system"]
    assert light != dark
    for scheme, own in (("light", light), ("dark", dark)):
        assert found[scheme] == {"system": own, "dark": dark, "light": light, "system ": own}


def test_hostile_texts_do_nothing(address: str, hostile: Path) -> None:
    questions = {
        "title": "document.title",
        "scripts": "document.scripts.length",
        "shown": "getComputedStyle(document.body).display",
        "headings": "document.querySelectorAll('h1').length",
        "pictures": PICTURES,
        "width": WIDTH,
        "links": "[...document.links].filter(l => l.protocol !== 'file:').map(l => l.host)",
    }
    seen = chromium.visit(address, hostile, questions, width=400)
    assert not seen.complaints
    assert outside(seen, hostile) == []
    assert seen.values["title"] == "Training set: curation report"
    assert (seen.values["scripts"], seen.values["headings"]) == (0, 1)
    assert seen.values["shown"] == "block"
    assert all(wide > 0 for wide in seen.values["pictures"])
    assert seen.values["width"] <= 400
    assert set(seen.values["links"]) == {"ok.example"}


def test_the_policy_stops_what_would_have_slipped_through(address: str, page: Path, tmp_path: Path) -> None:
    """With markup put into the page by hand, no script runs and nothing is fetched: the policy is a second wall."""
    evil = "<script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">"
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text().replace("</main>", f"{evil}<p style='color:red' id=evil>x</p></main>"))
    questions = {"title": "document.title", "colour": "document.querySelector('#evil').style.color"}
    seen = chromium.visit(address, broken, questions)
    assert seen.values["title"] == "Training set: curation report"
    assert seen.values["colour"] == ""
    assert len(seen.complaints) >= 3  # each is told
    assert outside(seen, broken) == [] and seen.blocked == ["http://127.0.0.1:9/x"]


def test_a_selection_without_media_opens_as_well(address: str, tmp_path: Path) -> None:
    pool = make_pool(3, modalities=("image", "video"))
    publish(tmp_path, pool, make_recipe(pool))
    page = Path(write_report(tmp_path).location)
    questions = {"width": WIDTH, "overlaps": OVERLAPS, "cut": CUT_OFF}
    seen = chromium.visit(address, page, questions, width=400, scheme="dark")
    assert not seen.complaints and outside(seen, page) == []
    assert seen.values == {"width": 400, "overlaps": [], "cut": []}
