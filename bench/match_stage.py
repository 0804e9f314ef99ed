"""The whole `match` stage on Spark, beside reading and writing the same columns with bare pyarrow.

The peer reads the columns of `pairs` that match needs and writes those of `matches`, which it has in memory, with the
same compression and row groups, in as many threads as Spark has cores. It does not match, hash, check or sync.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.captions import english
from bench.data import real_data
from bench.harness import OURS, Cost, Row, wall_seconds
from curation.pipeline import STAGES
from curation.recipe import load_recipe
from curation.runner.engine import SparkEngine
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.runner.units import GROUP_ROWS
from curation.session import spark_session, stop_session
from curation.stages.match import PAIR_COLUMNS
from curation.storage import Store

PEER = "pyarrow read and write"
TEXTS = 2_000_000
CORES = 2
BUCKETS = 16
_FILES = 8
_RECIPE = """
name: match-stage
inputs:
  - {{kind: table, paths: ["{tables}"], columns: {{media_url: url, texts: {{caption: caption}}}}}}
pairs: {{media_buckets: {buckets}}}
match: {{definition: v1, vocabularies: {{en: "{vocabulary}"}}, fallback: en, all_languages: true}}
runtime: {{master: "local[{cores}]"}}
"""


def _tables(folder: Path) -> None:
    """Real captions and alt texts, as often as it takes, each with a URL of its own."""
    texts = english()
    folder.mkdir()
    for number in range(_FILES):
        ids = range(number, TEXTS, _FILES)
        captions = texts.take(pa.array(np.arange(number, TEXTS, _FILES) % len(texts)))
        urls = pa.array([f"https://images.example/{image}.jpg" for image in ids])
        pq.write_table(pa.table({"url": urls, "caption": captions}), folder / f"{number}.parquet")


def _matched(run: Run, work: Path) -> float:
    """Seconds of the stage from its plan to its published version, the one before forgotten."""
    for folder in (work / "_runs" / "match", work / "matches", work / "match_counts"):
        shutil.rmtree(folder, ignore_errors=True)
    (stage,) = (stage for stage in STAGES if stage.name == "match")
    return _settled(lambda: run.execute(stage))


def _settled(work: Callable[[], object]) -> float:
    """Seconds of some work, begun when the disk has what was written before: neither side waits for the other's."""
    os.sync()
    return wall_seconds(work)()


def _files(run: Run, stage: str, dataset: str) -> list[list[str]]:
    """A dataset's files, bucket by bucket."""
    reports = run.catalog.snapshot().visible(stage).reports
    return [[run.store.url(path) for path in reports[unit].paths(dataset)] for unit in sorted(reports)]


def _copied(pairs: list[list[str]], matches: list[pa.Table], folder: Path) -> None:
    def copy(bucket: int) -> None:
        for path in pairs[bucket]:
            pq.read_table(path, columns=PAIR_COLUMNS, use_threads=False)
        target = folder / f"copy-{bucket}.parquet"
        pq.write_table(matches[bucket], target, compression="zstd", row_group_size=GROUP_ROWS)

    with ThreadPoolExecutor(CORES) as threads:
        list(threads.map(copy, range(len(pairs))))


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    (vocabulary,) = real_data("vocab/union_real_vocab.tsv.gz")
    with tempfile.TemporaryDirectory() as name:
        folder, work = Path(name), Path(name) / "work"
        _tables(folder / "tables")
        text = _RECIPE.format(tables=folder / "tables", buckets=BUCKETS, vocabulary=vocabulary, cores=CORES)
        (folder / "recipe.yaml").write_text(text)
        recipe = load_recipe(folder / "recipe.yaml")
        spark = spark_session(recipe.runtime, "match-stage", str(folder))
        try:
            run = Run(Store.at(work), recipe, STAGES, lambda: SparkEngine(spark), Silent())
            for stage in STAGES[:2]:
                run.execute(stage)
            _matched(run, work)
            pairs = _files(run, "pairs", "pairs")
            matches = [pa.concat_tables(map(pq.read_table, paths)) for paths in _files(run, "match", "matches")]
            yield {
                OURS: partial(_matched, run, work),
                PEER: partial(_settled, partial(_copied, pairs, matches, folder)),
            }
        finally:
            stop_session(spark)


ROW = Row(
    "match-stage",
    f"the match stage, {TEXTS // 1_000_000} M texts, Parquet to Parquet, Spark on {CORES} cores",
    "s",
    {PEER: 0.5},
    _sides,
)
