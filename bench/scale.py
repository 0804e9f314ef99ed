"""Generated tables through the pipeline: time, rate, and memory per worker at two sizes, and with a placeholder.

    python -m bench.scale --rows 1000000 --rows 5000000 --vocabulary entries.tsv.gz --out bench/out/scale.json
    python -m bench.scale --rows 2000000 --placeholder 2000000 ...

Memory is the proportional set size (PSS) of Spark's Python workers, sampled twice a second over match, count, draw and
balance: pages shared between workers count once. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from curation.concepts import Vocabulary
from curation.pipeline import STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store
from curation.testing import Traits, build_table

FILES = 8
_RECIPE = """
name: scale
inputs:
  - {{kind: table, paths: ["{tables}"], columns: {{media_url: url, texts: {{alt: caption}}, page_url: page_url}}}}
match: {{definition: v1, vocabularies: {{en: "{vocabulary}"}}, fallback: en, all_languages: true}}
"""


@dataclass
class Measured:
    """One run of the pipeline over a table."""

    rows: int
    placeholder_texts: int
    to_pairs_s: float
    from_pairs_s: float
    stages_s: dict[str, float]
    worker_pss_mb: float
    kept: int
    rejected: int


class _Workers:
    """Samples the memory of the Python workers below a process."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak = 0.0
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(0.5):
            for process in _descendants(self._root):
                try:
                    if "python_daemon" in " ".join(process.cmdline()):
                        self.peak = max(self.peak, process.memory_full_info().pss / 1e6)
                except psutil.Error:
                    continue

    def end(self) -> float:
        self._stop.set()
        self._thread.join()
        return self.peak


def _descendants(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


def _curation(*arguments: str) -> tuple[float, float]:
    """Seconds and peak PSS in MB of the largest worker of one command."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "curation.cli", *arguments], stdout=subprocess.DEVNULL)
    workers = _Workers(process.pid)
    code = process.wait()
    peak = workers.end()
    if code:
        raise SystemExit(f"curation {' '.join(arguments)} ended with {code}")
    return time.monotonic() - started, peak


def measure(rows: int, placeholder: int, vocabulary: str, folder: Path) -> Measured:
    """Builds tables of `rows` rows and takes them through the pipeline in two commands."""
    entries = Vocabulary.load(vocabulary, "en", definition="v1").entries.to_pylist()
    tables = folder / "tables"
    tables.mkdir(parents=True)
    for number in range(FILES):
        traits = Traits(placeholder_texts=placeholder // FILES)
        build_table(
            tables / f"{number}.parquet", rows // FILES, seed=number, vocabulary=entries, zipf=1.0, traits=traits
        )
    location = vocabulary if vocabulary.startswith("demo:") else str(Path(vocabulary).resolve())
    recipe = folder / "recipe.yaml"
    recipe.write_text(_RECIPE.format(tables=tables, vocabulary=location))
    work = str(folder / "work")
    to_pairs, _ = _curation("run", str(recipe), "--work", work, "--until", "pairs")
    from_pairs, peak = _curation("run", str(recipe), "--work", work)
    catalog = Catalog(Store.at(work), STAGES)
    manifests = {stage.name: catalog.visible(stage.name) for stage in STAGES}
    return Measured(
        rows,
        placeholder,
        round(to_pairs, 1),
        round(from_pairs, 1),
        {name: manifest.wall_s for name, manifest in manifests.items()},
        round(peak, 1),
        manifests["balance"].rows("kept_pairs"),
        sum(manifests["pairs"].rejected.values()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", required=True)
    parser.add_argument("--placeholder", type=int, default=0, help="texts of one media URL; measured with and without")
    parser.add_argument("--vocabulary", default="demo:en")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results: list[Measured] = []
    for rows in options.rows:
        for placeholder in sorted({0, options.placeholder}):
            with tempfile.TemporaryDirectory(prefix="curation-scale-") as folder:
                results.append(measure(rows, placeholder, options.vocabulary, Path(folder)))
            print(json.dumps(asdict(results[-1])), flush=True)
    summary = _ratios(results)
    print(json.dumps(summary))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"runs": [asdict(result) for result in results], **summary}, indent=1))


def _ratios(results: list[Measured]) -> dict[str, Any]:
    first, last = results[0], results[-1]
    later = ("match", "count", "draw", "balance")
    seconds = [sum(result.stages_s[name] for name in later) for result in (first, last)]
    return {
        "rows_ratio": last.rows / first.rows,
        "match_to_balance_ratio": round(seconds[1] / seconds[0], 2),
        "match_to_balance_rows_per_s": [round(r.rows / s) for r, s in zip((first, last), seconds, strict=True)],
        "worker_pss_ratio": round(last.worker_pss_mb / first.worker_pss_mb, 3),
        "to_pairs_ratio": round(last.to_pairs_s / first.to_pairs_s, 2),
    }


if __name__ == "__main__":
    main()
