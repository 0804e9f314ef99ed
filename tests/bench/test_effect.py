"""The effect experiment's pool, intervals and verdicts; nothing is trained, and neither torch nor a font is needed."""

from __future__ import annotations

import json
import math
import statistics
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("bench", reason="the benchmarks are in a checkout alone")

from bench.effect import __main__ as command
from bench.effect import glyphs, pool, report, runs, selection, settings, words
from bench.effect.images import CHUNK, _drawn, render
from bench.effect.pool import Pool, make_pool
from bench.effect.statistics import Difference, differences, half_width, verdict
from curation.concepts import Matcher, Vocabulary
from curation.recipe import load_recipe

SIZE = 40_000


@pytest.fixture(scope="module")
def noisy() -> Pool:
    return make_pool(glyphs.names(), SIZE, seed=7)


class TestPool:
    def test_junk_and_wrong_images_have_their_shares(self, noisy: Pool) -> None:
        junk = noisy.said < 0
        wrong = ~junk & (noisy.said != noisy.shown)
        assert abs(junk.mean() - settings.JUNK_SHARE) < 0.01
        assert abs(wrong.mean() - settings.WRONG_SHARE) < 0.01

    def test_frequencies_follow_zipf(self, noisy: Pool) -> None:
        by_rank = noisy.counts[noisy.ranks]
        expected = pool.frequencies(200) * (1 - settings.JUNK_SHARE) * SIZE
        assert np.all(np.abs(by_rank - expected) < 6 * np.sqrt(expected) + 1)
        assert pool.frequencies(200)[1] / pool.frequencies(200)[0] == pytest.approx(2**-1.2)

    def test_a_seed_is_a_pool_and_another_seed_another_one(self, noisy: Pool) -> None:
        again, other = (make_pool(glyphs.names(), SIZE, seed) for seed in (7, 8))
        assert again.texts == noisy.texts and np.array_equal(again.shown, noisy.shown)
        assert not np.array_equal(other.ranks, noisy.ranks)

    def test_pools_of_a_seed_share_their_ranks(self, noisy: Pool) -> None:
        assert np.array_equal(make_pool(glyphs.names(), 100, seed=7).ranks, noisy.ranks)

    def test_the_table_holds_every_row_once_and_urls_lead_back(self, noisy: Pool, tmp_path: Path) -> None:
        pool.write_table(noisy, tmp_path)
        table = pq.read_table(tmp_path)
        rows = [pool.row_of(url) for url in table["url"].to_pylist()]
        assert sorted(rows) == list(range(SIZE))
        assert table["alt"].to_pylist() == [noisy.texts[row] for row in rows]

    def test_a_foreign_url_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no URL of a pool"):
            pool.row_of("https://elsewhere.example/1.jpg")


class TestVocabulary:
    @pytest.mark.slow
    def test_texts_hold_the_concept_they_say_and_no_other(self, noisy: Pool) -> None:
        recipe = load_recipe(selection.RECIPE)
        vocabulary = Vocabulary.load(recipe.match.vocabularies["en"], "en", definition=recipe.match.definition)
        assert vocabulary.entries.to_pylist() == glyphs.names()
        found = _match(Matcher(vocabulary), noisy.texts[:5000])
        assert found == [[concept] if concept >= 0 else [] for concept in noisy.said[:5000].tolist()]

    def test_the_stored_names_are_those_of_the_rule(self) -> None:
        pytest.importorskip("matplotlib", reason="it ships the font")
        assert glyphs.choose() == glyphs.names()

    def test_names_differ_in_their_words(self) -> None:
        assert len({tuple(sorted(name.split())) for name in glyphs.names()}) == settings.CONCEPTS


def _match(matcher: Matcher, texts: list[str]) -> list[list[int]]:
    return matcher.match(pa.array(texts)).to_pylist()


class TestSelection:
    def test_random_rows_are_matched_ones_and_as_many(self, noisy: Pool) -> None:
        matched = np.flatnonzero(noisy.said >= 0)
        rows = {"matched": matched, "balanced-3": matched[:500], "balanced-12": matched[:900]}
        drawn = selection.random_rows(rows, noisy)
        assert {name: len(found) for name, found in drawn.items()} == {"random-3": 500, "random-12": 900}
        for found in drawn.values():
            assert len(np.unique(found)) == len(found)
            assert np.isin(found, matched).all()
        assert np.array_equal(selection.random_rows(rows, noisy)["random-3"], drawn["random-3"])


class TestImages:
    def test_an_image_depends_on_its_seed_and_row_alone(self) -> None:
        shapes = np.zeros((2, 48, 48), np.float32)
        shapes[1, 10:38, 10:38] = 1
        concepts = np.arange(CHUNK + 50) % 2
        all_of_them = render(shapes, concepts, (1, 2), 0.4)
        assert np.array_equal(render(shapes, concepts[: CHUNK + 3], (1, 2), 0.4), all_of_them[: CHUNK + 3])
        assert not np.array_equal(render(shapes, concepts[:3], (1, 3), 0.4), all_of_them[:3])
        assert all_of_them.shape == (CHUNK + 50, 24, 24)

    def test_the_glyph_stays_inside(self) -> None:
        square = np.zeros((1, 48, 48), np.float32)
        square[0, 8:40, 8:40] = 1
        ink = _drawn(square, np.zeros(500, np.int64), np.random.default_rng(0), 24)
        areas = ink.sum((1, 2))
        assert areas.min() > 0.95 * (0.5 * 24) ** 2
        assert areas.max() < 1.05 * (0.8 * 24) ** 2
        room = (24 - np.sqrt(areas)) / 2 + 0.5
        for axis in (1, 2):
            middle = (ink.sum(3 - axis) * (np.arange(24) + 0.5)).sum(1) / areas
            assert np.all(np.abs(middle - 12) < room)


class TestWords:
    def test_words_that_are_not_known(self) -> None:
        known = words.Words(["bullseye"])
        texts = known.read(["A photo of bullseye", "IMG_0421.jpg", "zebra", "—"])
        numbers = [texts.take(np.array([row]))[0].tolist() for row in range(4)]
        assert min(numbers[0]) > words.NUMBER and len(set(numbers[0])) == 4
        assert words.NUMBER in numbers[1]
        assert numbers[2] == numbers[3] == [words.OTHER]

    def test_a_batch_holds_its_texts_in_order(self) -> None:
        texts = words.Words(["bullseye"]).read(["a photo of bullseye", "bullseye", "close up of bullseye"])
        values, starts = texts.take(np.array([2, 0]))
        assert starts.tolist() == [0, 4]
        assert values.tolist() == [*texts.values[5:9], *texts.values[:4]]


class TestStatistics:
    def test_the_interval_of_five_seeds(self) -> None:
        values = [1.0, 2.0, 3.0, 4.0, 5.0]
        assert half_width(values) == pytest.approx(2.776 * statistics.stdev(values) / math.sqrt(5))

    def test_one_seed_has_no_interval(self) -> None:
        assert half_width([3.0]) == math.inf
        assert Difference(0.06, "matched", "tail", (3.0,)).verdict == "undecided"
        assert Difference(0.06, "matched", "tail", (3.0,)).to_json()["half_width"] is None

    def test_more_seeds_than_the_table_knows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="T_95"):
            half_width([float(value) for value in range(11)])

    @pytest.mark.parametrize(
        ("mean", "width", "said"),
        [(2, 1, "helps"), (-2, 1, "hurts"), (0.5, 1, "undecided"), (-0.5, 1, "undecided"), (1, 1, "undecided")],
    )
    def test_verdicts(self, mean: float, width: float, said: str) -> None:
        assert verdict(mean, width) == said

    def test_differences_are_taken_within_seeds(self) -> None:
        # balanced is ahead by 1 to 3 in every seed, while seeds differ by far more
        scores = {
            (seed, arm): dict.fromkeys(("overall", "head", "tail"), 20.0 * seed + ahead)
            for seed in (1, 2, 3)
            for arm, ahead in (("balanced-6", float(seed)), ("matched", 0.0), ("random-6", 30.0))
        }
        del scores[3, "random-6"]
        found = {(each.share, each.against, each.group): each for each in differences(scores)}
        assert set(found) == {(0.06, other, group) for other in ("matched", "random") for group in report.GROUPS}
        assert found[0.06, "matched", "tail"].values == (1.0, 2.0, 3.0)
        assert found[0.06, "random", "tail"].values == (-29.0, -28.0)
        assert found[0.06, "random", "tail"].verdict == "hurts"


class TestReport:
    def test_results_go_between_the_marks(self) -> None:
        page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
        assert report.with_results(page, ["new"]) == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
        with pytest.raises(ValueError, match="put them back"):
            report.with_results("no marks", ["new"])

    def test_the_registration_has_its_place_for_results(self) -> None:
        assert report.with_results(report.README.read_text(encoding="utf-8"), ["x"]).count(report.BEGIN) == 1

    def test_every_arm_and_verdict_is_told_with_its_repetition(self) -> None:
        done = {(seed, arm): _run(seed, arm) for seed in (1, 2) for arm in settings.arm_names()}
        lines = report.section({60_000: done}, {60_000: differences(done)})
        page = "\n".join(lines)
        assert "16 of 40 runs" in lines[0]
        for arm in settings.arm_names():
            assert f"| {arm} |" in page
        assert page.count("**undecided**") == 18  # all differences are 0, with no width
        assert page.count("| 30.0 times |") == len(settings.arm_names()) + 2 * 6

    def test_nothing_stored_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "OUT", tmp_path)
        with pytest.raises(FileNotFoundError, match="no whole seed of the setting gpu"):
            report.write(settings.SETTINGS["gpu"])

    def test_a_seed_counts_when_all_its_arms_are_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "OUT", tmp_path)
        setting = settings.SETTINGS["cpu"]
        for seed, arms in ((1, settings.arm_names()), (2, settings.arm_names()[:-1])):
            folder = runs.folder_of(setting, seed, 60_000)
            folder.mkdir(parents=True)
            for arm in arms:
                (folder / f"{arm}.json").write_text(json.dumps({"setting": setting.to_json(), "arm": arm}))
        assert {seed for seed, _ in report._runs(setting, 60_000)} == {1}


def _run(seed: int, arm: str) -> dict[str, Any]:
    t = 40.0 if arm.startswith("balanced") else None
    scores = {"overall": 50.0 + seed, "head": 60.0, "tail": 40.0}
    return {"seed": seed, "arm": arm, "pairs": 10_000, "repetition": 30.0, "t": t, **scores}


class TestRuns:
    def test_runs_of_another_setting_are_not_taken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "OUT", tmp_path)
        setting = settings.SETTINGS["cpu"]
        folder = runs.folder_of(setting, 1, 60_000)
        folder.mkdir(parents=True)
        run = {"setting": setting.to_json(), "arm": "raw"}
        (folder / "raw.json").write_text(json.dumps(run))
        (folder / "matched.json").write_text(json.dumps({**run, "setting": {**run["setting"], "batch": 1}}))
        (folder / "random-3.unfinished").write_text("{")
        assert set(runs.stored(setting, 1, 60_000)) == {"raw"}

    @pytest.fixture
    def modules(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """torch that sees no GPU, and matplotlib; both hold nothing else."""
        found: dict[str, Any] = {name: ModuleType(name) for name in ("torch", "matplotlib")}
        for name, module in found.items():
            module.__spec__ = ModuleSpec(name, None)
            monkeypatch.setitem(sys.modules, name, module)
        found["torch"].cuda = SimpleNamespace(is_available=lambda: False)

    @pytest.mark.usefixtures("modules")
    def test_gpu_is_refused_without_one(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["bench.effect", "--setting", "gpu"])
        assert command.main() == 2
        assert "the setting gpu needs a GPU" in capsys.readouterr().err

    @pytest.mark.usefixtures("modules")
    def test_without_torch_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        monkeypatch.setattr("sys.argv", ["bench.effect"])
        assert command.main() == 2
        assert capsys.readouterr().err == "error: no torch: pip install torch\n"

    @pytest.mark.parametrize("arguments", [["--pools", "7"], ["--seeds", "6"], ["--processes", "0"]])
    def test_what_was_not_registered_is_refused(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["bench.effect", *arguments])
        with pytest.raises(SystemExit):
            command.main()
        assert arguments[0] in capsys.readouterr().err
