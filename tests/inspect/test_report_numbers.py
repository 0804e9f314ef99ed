"""Every number of a report equals the one that is counted in plain Python from the rows that were written."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from card_pools import make_pool, make_recipe, publish
from report_reading import Page

from curation.inspect.card import write_card
from curation.inspect.card_words import count, share
from curation.inspect.report import report
from curation.inspect.wording import clock, size
from curation.schemas import MANIFEST
from curation.testing.manifests import manifest_table, write_manifest

Row = dict[str, Any]
SAMPLES = 700


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    table: list[Row] = manifest_table(SAMPLES, seed=3).to_pylist()
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("numbers")
    write_manifest(path, SAMPLES, seed=3)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(report(folder))


def test_the_headline(page: Page, rows: list[Row]) -> None:
    images = [row for row in rows if row["modality"] == "image"]
    texts = sum(len(row["texts"]) for row in rows)
    tiles = page.tiles()
    assert tiles["samples"] == count(len(rows))
    assert tiles["images"] == count(len(images))
    assert tiles["clips and videos"] == count(len(rows) - len(images))
    assert tiles["texts"] == count(texts)
    assert tiles["languages"] == count(len({row["text_lang"] for row in rows}))
    assert tiles["stored media"] == size(sum(row["size_bytes"] for row in rows))
    covered = {(row["vocabulary_lang"], entry) for row in rows for entry in row["entry_ids"]}
    assert tiles["entries covered"] == count(len(covered))


def counted(rows: list[Row], key: Any) -> dict[str, int]:
    return dict(Counter(key(row) for row in rows))


def host(url: str | None) -> str:
    return (urlsplit(url).hostname or "(no page)") if url else "(no page)"


@pytest.mark.parametrize(
    ("section", "key"),
    [("languages", lambda row: row["text_lang"]), ("licences", lambda row: row["licence"] or "(none known)")],
)
def test_what_the_set_is_made_of(page: Page, rows: list[Row], section: str, key: Any) -> None:
    (table,) = page.tables(section)
    wanted = counted(rows, key)
    assert {row[""]: row["number"] for row in table} == {name: count(number) for name, number in wanted.items()}
    assert {row[""]: row["share"] for row in table} == {name: share(n / len(rows)) for name, n in wanted.items()}
    numbers = [wanted[row[""]] for row in table]
    assert numbers == sorted(numbers, reverse=True)


def test_hosts_of_pages_and_media_with_the_others_in_a_sum(page: Page, rows: list[Row]) -> None:
    pages, media, platforms = page.tables("domains")
    for table, key in ((pages, "page_url"), (media, "media_url")):
        wanted = Counter(host(row[key]) for row in rows)
        listed = {row[""]: int(row["number"].replace(",", "")) for row in table}
        (others,) = [name for name in listed if name.endswith(" others")]
        assert others == f"{len(wanted) - len(listed) + 1:,} others"
        assert sum(listed.values()) == len(rows)
        del listed[others]
        assert listed.items() <= wanted.items()
        assert min(listed.values()) >= max(number for name, number in wanted.items() if name not in listed)
    assert {row[""]: row["number"] for row in platforms} == {
        name: count(number) for name, number in counted(rows, lambda row: row["platform"] or "(a file)").items()
    }


def test_text_sources(page: Page, rows: list[Row]) -> None:
    samples: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    for row in rows:
        labels = [f"{said['captioner']}.{said['kind']}" for said in row["texts"]]
        texts.update(labels)
        samples.update(set(labels))
    chosen = Counter(row["text_kind"] for row in rows)
    table = page.table("texts", "captioner and kind")
    found = {row["captioner and kind"]: (row["samples"], row["texts"], row["chosen"]) for row in table}
    assert found == {name: (count(samples[name]), count(texts[name]), count(chosen[name])) for name in texts}


def test_lengths_of_texts_come_to_all_samples(page: Page, rows: list[Row]) -> None:
    table = page.table("texts", "hold an entry", "hold none")
    told = {name: sum(int(row[name].replace(",", "")) for row in table) for name in ("hold an entry", "hold none")}
    wanted = sum(bool(row["entry_ids"]) for row in rows)
    assert told == {"hold an entry": wanted, "hold none": len(rows) - wanted}


def test_image_sizes(page: Page, rows: list[Row]) -> None:
    images = [row for row in rows if row["modality"] == "image"]
    stored = [min(row["width"], row["height"]) for row in images]
    fetched = [min(row["original_width"], row["original_height"]) for row in images]
    for row in page.table("images", "shorter side at least"):
        least = int(row["shorter side at least"].removesuffix(" px"))
        assert row["as stored"] == share(sum(side >= least for side in stored) / len(images))
        assert row["as fetched"] == share(sum(side >= least for side in fetched) / len(images))
    words = page.words("images")
    assert f"have {count(statistics.median(stored))} pixels or more as they are stored" in words
    assert f", {count(statistics.median(fetched))} as they were fetched" in words
    wide = sum(row["original_width"] > row["original_height"] for row in images)
    assert f"{share(wide / len(images))} are wider than tall" in words


def test_bars_of_sizes_hold_every_image_once(page: Page, rows: list[Row]) -> None:
    images = sum(row["modality"] == "image" for row in rows)
    tables = [table for table in page.tables("images") if "pixels" in table[0]]
    assert len(tables) == 2
    for table in tables:
        assert sum(int(row["images"].replace(",", "")) for row in table) == images


def test_clip_lengths(page: Page, rows: list[Row]) -> None:
    clips = [row for row in rows if row["modality"] == "video"]
    words = page.words("clips")
    median = statistics.median(row["duration_ms"] for row in clips)
    assert f"clips {count(len(clips))}" in words
    assert f"of {count(len({row['media_id'] for row in clips}))} videos" in words
    assert f"median length {clock(100 * round(median / 100))} " in words
    table = page.table("clips", "with sound", "without")
    loud = sum(row["has_audio"] for row in clips)
    told = [sum(int(row[name].replace(",", "")) for row in table) for name in ("with sound", "without")]
    assert told == [loud, len(clips) - loud]
    sizes = Counter(min(row["width"], row["height"]) for row in clips)
    assert {row["shorter side"]: row["clips"] for row in page.table("clips", "shorter side")} == {
        f"{side} px": count(number) for side, number in sizes.items()
    }


def test_no_number_is_written_with_a_power_of_ten(tmp_path: Path) -> None:
    table = manifest_table(40, seed=1, videos=0.5).to_pylist()
    for made in table:
        made.update(width=1500, height=1100, original_width=30_000, original_height=20_000)
        if made["modality"] == "video":
            made["duration_ms"] = 1_234_567
    write_manifest(tmp_path, pa.Table.from_pylist(table, schema=MANIFEST.schema))
    page = Page(report(tmp_path))
    assert not re.search(r"\de[+-]\d", page.tree.text())
    assert {row["pixels"] for found in page.tables("images") for row in found if "pixels" in row} == {
        "1,024 to 1,448", "16.38k to 23.17k"
    }  # fmt: skip
    assert "median length 20:34.6 " in page.words("clips")
    assert "20:34.567 long" in page.words("gallery")


def test_the_heat_map_is_explained_for_light_and_dark(page: Page) -> None:
    assert "the stronger the colour, the more" in page.words("images") and "darker" not in page.words("images")


def test_samples_at_parts_of_t(page: Page, rows: list[Row], folder: Path) -> None:
    from curation.inspect.views import connect

    with connect(folder) as database:
        known = database.execute("SELECT DISTINCT modality, vocabulary_lang, threshold FROM entry_probabilities")
        limits = {(modality, lang): t for modality, lang, t in known.fetchall()}
        asked = "SELECT count(*) FROM manifest WHERE modality = ? AND vocabulary_lang = ? AND critical_threshold <= ?"
        dashes = 0
        table = page.table("t", "samples at 0.5 t")
        assert len(table) == min(12, len({(row["modality"], row["vocabulary_lang"]) for row in rows}))
        for told in table:
            modality, lang = told[""].split(" ")
            own = sum((row["modality"], row["vocabulary_lang"]) == (modality, lang) for row in rows)
            t = limits[modality, lang]
            assert told["at t"] == count(own)
            for part in (0.1, 0.2, 0.5):
                kept = database.execute(asked, [modality, lang, part * t]).fetchall()[0][0]
                below = part * t < 1
                dashes += below
                assert told[f"samples at {part:g} t"] == ("–" if below else f"{count(kept)} ({share(kept / own)})")
    assert ("A dash: that part of t would be below 1" in page.words("t")) == bool(dashes)
    assert 0 < dashes < 3 * len(table)


def test_the_curve_of_a_smaller_t_ends_at_all_samples_and_never_falls(page: Page, rows: list[Row]) -> None:
    titles = [node.text() for node in page.section("t").css("title")]
    own = sum((row["modality"], row["vocabulary_lang"]) == ("image", "en") for row in rows)
    assert any(title.startswith(f"image, en: {count(own)} samples at the present t") for title in titles)
    lengths = []
    for path in page.section("t").css("svg.chart path"):
        points = [point.split(" ") for point in re.split("[ML]", str(path.attributes["d"]))[1:]]
        across, down = ([float(point[axis]) for point in points] for axis in (0, 1))
        assert across == sorted(across) and down == sorted(down, reverse=True)
        lengths.append(len(points))
    assert max(lengths) > 5


def test_head_and_tail(page: Page, folder: Path) -> None:
    from curation.inspect.views import connect

    with connect(folder) as database:
        found = database.sql("SELECT * FROM entry_probabilities").to_arrow_table().to_pylist()
    for told in page.table("entries", "entries matched", "entries covered"):
        modality, lang = told[""].split(" ")
        own = [row for row in found if (row["modality"], row["vocabulary_lang"]) == (modality, lang)]
        t = own[0]["threshold"]
        assert told["t"] == count(t)
        assert told["entries matched"] == count(len(own))
        assert told["above t"] == count(sum(row["pool_texts"] > t for row in own))
        assert told["entries covered"] == count(sum(row["samples"] > 0 for row in own))
        for title, column in (("matches in the pool", "pool_texts"), ("matches in the manifest", "samples")):
            tail = sum(row[column] for row in own if row["pool_texts"] < t)
            whole = sum(row[column] for row in own)
            assert told[title] == f"tail {share(tail / whole if whole else None)} of {count(whole)}"


def test_cumulative_shares_are_those_of_the_sorted_entries(page: Page, folder: Path) -> None:
    from curation.inspect.views import connect

    with connect(folder) as database:
        found = database.sql("SELECT * FROM entry_probabilities WHERE modality = 'image'").to_arrow_table()
    entries = sorted(found.to_pylist(), key=lambda row: (row["pool_texts"], row["vocabulary_lang"], row["entry_id"]))
    table = next(rows for rows in page.tables("entries") if rows and "rarest entries" in rows[0])
    assert table[-1]["the pool"] == table[-1]["the manifest"] == "100.0%"
    for told in table:
        first = int(told["rarest entries"].split(" ")[0].replace(",", ""))
        for title, column in (("the pool", "pool_texts"), ("the manifest", "samples")):
            part = sum(row[column] for row in entries[:first]) / sum(row[column] for row in entries)
            assert told[title] == share(part)


def test_the_funnel_of_a_selection_is_the_cards(tmp_path: Path) -> None:
    pool = make_pool(5, modalities=("image", "video"))
    recipe = make_recipe(pool)
    card = write_card(publish(tmp_path, pool, recipe), recipe)
    page = Page(report(tmp_path))
    table = page.table("funnel", "step", "count")
    told = {row["step"].split(" ")[0]: row["count"] for row in table}
    assert told == {step["step"]: count(step["rows"]) for step in card["funnel"]}
    words = page.words("funnel")
    for step in card["funnel"]:
        for number in step["left_out"].values():
            assert count(number) in words
    assert page.tiles()["kept pairs"] == count(len(pool.kept))
    kept = Counter(pair["lang"] or "(unknown)" for pair in pool.kept)
    assert {row[""]: row["kept"] for row in page.tables("languages")[0] if row["kept"] != "0"} == {
        lang: count(number) for lang, number in kept.items()
    }


def test_kept_pairs_at_other_thresholds(tmp_path: Path) -> None:
    pool = make_pool(6)
    publish(tmp_path, pool, make_recipe(pool))
    page = Page(report(tmp_path))
    for told in page.table("t", "at 2 t"):
        modality, lang = told[""].split(", ")
        criticals = [pair["critical_threshold"] for pair in pool.matches if pair["vocabulary_lang"] == lang]
        t = pool.thresholds[modality][lang]
        assert told["at t"] == count(sum(critical <= t for critical in criticals))
        for title, factor in (("at t / 10", 0.1), ("at t / 2", 0.5), ("at 2 t", 2.0), ("at 10 t", 10.0)):
            at = t * factor
            if at < 1:
                assert told[title] == "–"
                continue
            near = [sum(critical <= at * slack for critical in criticals) for slack in (1 / 1.02, 1.02)]
            assert near[0] <= int(told[title].replace(",", "")) <= near[1]


def test_head_and_tail_of_a_selection_are_the_cards(tmp_path: Path) -> None:
    pool = make_pool(7)
    recipe = make_recipe(pool)
    card = write_card(publish(tmp_path, pool, recipe), recipe)
    table = Page(report(tmp_path)).table("entries", "entries matched", "above t")
    for told in table:
        modality, lang = told[""].split(" ")
        (row,) = [row for row in card["balance"] if (row["modality"], row["lang"]) == (modality, lang)]
        assert told["entries matched"] == count(row["entries_matched"])
        assert told["above t"] == count(row["entries_above_t"])
        for title, when in (("matches in the pool", "before"), ("matches in kept pairs", "after")):
            assert told[title] == f"tail {share(row[f'tail_share_{when}'])} of {count(row[f'matches_{when}'])}"
