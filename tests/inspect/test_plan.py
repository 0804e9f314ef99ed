"""`plan`: it changes nothing, starts nothing, and a run then does what it said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inspect_runs import Folder, links, printed

from curation import commands
from curation.errors import VocabularyError
from curation.inspect.estimate import Forecast, StageForecast, forecast, usable_cores
from curation.inspect.plan_text import plan_lines
from curation.inspect.rates import ARCHIVES
from curation.pipeline import STAGES


def _plan(folder: Folder, **sections: Any) -> dict[str, StageForecast]:
    return {stage.stage: stage for stage in _forecast(folder, **sections).stages}


def _forecast(folder: Folder, **sections: Any) -> Forecast:
    return forecast(folder.store, folder.recipe(**sections), STAGES)


def _snapshot(folder: Folder) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.root.rglob("*")}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, {"one": links(1, 60), "two": links(2, 60)})


CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "rule": {"pairs": {"rules": {"min_chars": 4}}},
    "buckets": {"pairs": {"media_buckets": 5}},
    "variant": {"extract": {"variant": "v2"}},
    "vocabulary": {"match": {"vocabularies": {"en": "demo:en"}}},
    "definition": {"match": {"definition": "v2"}},
    "option": {"match": {"options": ["nfc"]}},
    "seed": {"draw": {"seed": 4}},
    "pooling": {"count": {"pool_modalities": True}},
    "threshold": {"balance": {"t": 7}},
    "target": {"balance": {"target": {"pairs": 40}}},
    "card": {"card": {"top_entries": 3}},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.slow
def test_a_run_does_what_the_plan_says(folder: Folder, change: str) -> None:
    folder.run()
    before = _snapshot(folder)
    planned = _plan(folder, **CHANGES[change])
    assert _snapshot(folder) == before
    done = folder.run(**CHANGES[change])
    for name, stage in planned.items():
        assert done[name].units_done <= stage.to_do, name
        if stage.exact:
            assert (done[name].units_done, done[name].units_reused) == (stage.to_do, stage.units - stage.to_do), name
        assert bool(stage.reasons) or stage.to_do == 0
    assert all(stage.is_current for stage in _plan(folder, **CHANGES[change]).values())


def test_an_empty_folder_is_not_even_made(folder: Folder) -> None:
    planned = _plan(folder)
    assert not folder.work.exists()
    assert {stage.reasons[0] for stage in planned.values()} == {"never run"}
    assert {name: stage.to_do for name, stage in planned.items()} == {
        "extract": 2, "pairs": 3, "match": 3, "count": 1, "draw": 3, "balance": 3}
    done = folder.run()
    assert {name: outcome.units_done for name, outcome in done.items()} == {
        name: stage.to_do for name, stage in planned.items()}


@pytest.mark.parametrize(("change", "stage", "reason"), [
    ("rule", "pairs", "pairs.rules.min_chars: null -> 4"),
    ("buckets", "pairs", "pairs.media_buckets: 3 -> 5"),
    ("variant", "extract", "extract.variant: default -> v2"),
    ("definition", "match", "match.definition: v1 -> v2"),
    ("option", "match", "match.options.nfc: null -> 1"),
    ("seed", "draw", "draw.seed: 0 -> 4"),
    ("pooling", "draw", "count.pool_modalities: false -> true"),
    ("threshold", "balance", "balance.t: 20 -> 7"),
    ("threshold", "balance", "t of image/en: 20 -> 7"),
])
def test_changed_settings_are_named_where_they_act_first(folder: Folder, change: str, stage: str, reason: str) -> None:
    folder.run()
    planned = _plan(folder, **CHANGES[change])
    assert reason in planned[stage].reasons
    first = next(name for name, found in planned.items() if not found.is_current)
    assert first == stage
    lines = "\n".join(plan_lines(_forecast(folder, **CHANGES[change])))
    assert reason in lines
    assert "it last took" in lines


def test_a_changed_vocabulary_is_named(folder: Folder) -> None:
    folder.run()
    planned = _plan(folder, **CHANGES["vocabulary"])
    assert planned["pairs"].is_current
    assert planned["match"].reasons[0].startswith("vocabulary en: 12 entries from ")
    assert planned["match"].reasons[1].endswith("-> none")


def test_archives_that_come_change_and_go(folder: Folder) -> None:
    folder.run()
    folder.write("three", links(3, 30))
    extract = _plan(folder)["extract"]
    assert (extract.to_do, extract.units) == (1, 3)
    assert extract.reasons[0].startswith("1 new archive: three.jsonl")
    assert _plan(folder)["pairs"].reasons == ["its input extract changes"]
    folder.run()
    folder.write("three", links(4, 31))
    assert _plan(folder)["extract"].reasons[0].startswith("1 changed archive: three.jsonl")
    (folder.root / "three.jsonl").unlink()
    dropped = _plan(folder)["extract"]
    assert (dropped.to_do, dropped.units) == (0, 2)
    assert dropped.reasons[0].startswith("1 dropped archive: three.jsonl")
    assert not _plan(folder)["pairs"].is_current
    folder.run()
    assert _forecast(folder).is_current


def test_a_stopped_run_is_continued(folder: Folder) -> None:
    folder.run(until="pairs")
    planned = _plan(folder)
    assert [planned[name].is_current for name in ("extract", "pairs", "match")] == [True, True, False]
    assert planned["match"].exact
    manifest = folder.work / "pairs" / "_current.json"
    manifest.unlink()  # as if killed before the version was published: the units' reports are there
    next((folder.work / "_runs" / "pairs" / "reports").glob("*.json")).unlink()
    pairs = _plan(folder)["pairs"]
    assert (pairs.to_do, pairs.units) == (1, 3)
    assert pairs.reasons == ["never run", "2 units of it done already, by a run that stopped or an earlier one"]


def test_an_unsolved_target_is_left_to_the_run(folder: Folder) -> None:
    folder.run()
    target = {"balance": {"target": {"pairs": 40, "survival": 0.5}}}
    balance = _plan(folder, **target)["balance"]
    assert balance.reasons[0] == "its target is solved when it runs"
    assert "balance.target.pairs: null -> 40" in balance.reasons
    assert balance.rows == 80
    folder.run(**target)
    assert _forecast(folder, **target).is_current


def test_estimates_follow_what_the_folder_has_made(folder: Folder) -> None:
    folder.write("one", links(1, 1500))
    folder.run()
    folder.write("three", links(3, 1500))
    planned = _plan(folder)
    done = folder.run()
    for name, dataset in (("extract", "candidates"), ("pairs", "pairs"), ("match", "matches"), ("draw", "draws")):
        reports = done[name].manifest.reports
        written = [report.rows(dataset) for unit, report in reports.items() if name != "extract" or "three" in unit]
        assert planned[name].rows == pytest.approx(sum(written), rel=0.1), name
        assert "this folder" in planned[name].basis


def test_kept_rows_at_another_threshold_come_from_the_draws(folder: Folder) -> None:
    folder.write("one", links(1, 1500))
    folder.run()
    for t in (5, 50, 500):
        balance = _plan(folder, balance={"t": t})["balance"]
        kept = folder.run(balance={"t": t})["balance"].manifest.rows("kept_pairs")
        assert balance.rows == pytest.approx(kept, rel=0.02), t


def test_default_rates_say_so(folder: Folder) -> None:
    lines = printed(commands.plan, folder.recipe(), str(folder.work))
    assert "default rates" in lines
    assert "in all " in lines
    assert "it last took" not in lines
    cluster = _forecast(folder, runtime={"master": "spark://head:7077"})
    assert (cluster.cores, cluster.work_s) == (None, None)
    assert " of one core; starting Spark" in plan_lines(cluster)[-1]


def test_cores_of_a_master() -> None:
    assert [usable_cores(master) for master in ("local", "local[3]", "local[3,2]", "yarn")] == [1, 3, 3, None]
    assert usable_cores(None) == usable_cores("local[*]") >= 1


def test_nothing_to_do_is_said(folder: Folder) -> None:
    folder.run()
    found = _forecast(folder)
    assert (found.is_current, found.work_s) == (True, 0)
    assert plan_lines(found)[-1] == "nothing to do: everything is up to date"


def test_errors_are_those_of_the_run(folder: Folder) -> None:
    folder.run(until="pairs")
    with pytest.raises(VocabularyError):
        _plan(folder, match={"vocabularies": {"en": str(folder.root / "missing.txt")}})


def test_spark_is_not_even_imported(folder: Folder) -> None:
    folder.run()
    code = (
        "import sys; from rich.console import Console;"
        "from curation.commands import plan; from curation.recipe import Recipe;"
        "plan(Recipe.model_validate_json(sys.argv[1]), sys.argv[2], Console());"
        "sys.exit(any(name.split('.')[0] in ('pyspark', 'py4j') for name in sys.modules))")
    recipe = folder.recipe(balance={"target": {"pairs": 40}}).model_dump_json()
    command = [sys.executable, "-c", code, recipe, str(folder.work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "its target is solved when it runs" in done.stdout


def test_going_back_redoes_nothing(folder: Folder) -> None:
    folder.run()
    folder.run(balance={"t": 7})
    balance = _plan(folder)["balance"]
    assert (balance.to_do, balance.is_current) == (0, False)
    assert "balance.t: 7 -> 20" in balance.reasons
    assert "3 units of it done already, by a run that stopped or an earlier one" in balance.reasons


@pytest.mark.parametrize(("kind", "tolerance"), [("wat", 0.03), ("warc", 0.25)])
@pytest.mark.slow
def test_default_rates_fit_real_archives(tmp_path: Path, real_data: Path, kind: str, tolerance: float) -> None:
    folder = Folder(tmp_path, {})
    real: dict[str, Any] = {
        "inputs": [{"kind": kind, "paths": [str(real_data / "crawl")]}], "balance": {},
        "pairs": {"media_buckets": 1, "placeholder_texts": 1000,
                  "rules": {"drop_file_names": False, "redact_emails": False}},
        "match": {"vocabularies": {"en": str(real_data / "vocab" / "union_real_vocab.tsv.gz")}, "fallback": "en"}}
    planned = _plan(folder, **real)
    done = folder.run(**real)
    for stage in STAGES:
        manifest, found = done[stage.name].manifest, planned[stage.name]
        assert found.basis.startswith("default rates")
        assert found.rows == pytest.approx(manifest.rows(stage.outputs[0].name), rel=tolerance), stage.name
        size = sum(manifest.size_bytes(dataset.name) for dataset in stage.outputs)
        assert found.size_bytes == pytest.approx(size, rel=max(0.1, tolerance)), stage.name


def test_kinds_of_archives_have_rates_of_their_own(folder: Folder) -> None:
    """A folder that has read tables knows nothing of WARC files."""
    folder.write("one", links(1, 1500))
    folder.run()
    table, (warc, data) = folder.recipe().inputs[0].model_dump(), (folder.root / "a.warc.gz", b"x" * 1_000_000)
    warc.write_bytes(data)
    both = {"inputs": [table, {"kind": "warc", "paths": [str(warc)]}]}
    only_warc = _plan(folder, **both)["extract"]
    assert only_warc.basis == "default rates"
    assert only_warc.rows == round(1e6 * ARCHIVES["warc"].rows)
    assert only_warc.core_s == pytest.approx(ARCHIVES["warc"].core_s)
    folder.write("three", links(3, 1500))
    new = _plan(folder, **both)["extract"]
    assert new.basis == "table: as before in this folder, time by default rates; warc: default rates"
    made = folder.run()["extract"].manifest
    (own,) = [report.rows("candidates") for name, report in made.reports.items() if "three" in name]
    assert new.rows == pytest.approx(own + 1e6 * ARCHIVES["warc"].rows, rel=0.05)
