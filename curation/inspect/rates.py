"""What work becomes and costs: rows, bytes and seconds per input, from what a folder has already made or by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from curation.balance import CriticalHistogram
from curation.errors import WorkFolderError
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest, Stage
from curation.runner.units import Unit, UnitReport
from curation.schemas import (
    CANDIDATES,
    CAPTIONS,
    CHOSEN_CAPTIONS,
    CLIPS,
    DRAW_HISTOGRAMS,
    DUPLICATE_GROUPS,
    FINAL_PAIRS,
    KEPT_PAIRS,
    MANIFEST,
    MATCHES,
    MEDIA,
    PAIRS,
    SAMPLES,
    SCENES,
    SCORES,
    SURVIVORS,
)


@dataclass(frozen=True)
class Rates:
    """Of a stage. An input is a byte of an archive (as stored) for extract, else a row of `source`'s first dataset.

    rows: rows of the stage's first dataset per input. size_bytes: bytes of all its datasets per such row. core_s:
    seconds of one core per million inputs.
    """

    source: str
    rows: float
    size_bytes: float
    core_s: float


# Rows and bytes: the six real WAT files under CURATION_REAL_DATA/crawl (3.4 MB, 590 pages, 7,704 candidates), for warc
# the eight WARC files there (13.2 MB, 426 pages, 8,447 candidates), in one media bucket, 442,176 entries, tail share
# 0.06. Seconds, in one process on one AMD EPYC core: extract and pairs from six copies of these files less what one
# takes (WARC: 290 pages a second), the others from 127,460 real captions (flickr8k, multi30k in three languages) less
# what 31,865 of them take, so without loading vocabularies and compiling. What Spark takes to carry rows through the
# shuffle is left out. From fetch on: rows and bytes of the demo, where an image has 17 kB after resizing to 256
# pixels; seconds of fetch 4.5 ms an image (`python -m bench fetch-images`), of the others what 76,000 to a million
# made-up pairs took. Those of videos (scenes to kept_clips) are the demo's too: 91 films of some 8 s and 320 x 180
# pixels, encoded ultrafast; real ones cost by length and size, and a folder's own are taken as soon as it has a
# thousand. Those of captions are the demo's, whose captioners ask no model: what models take is each one's own (`plan`
# says what they are asked). Shards hold 10,000 samples, as by default, of 39 kB, as the demo's; 0.16 ms a sample
# (`python -m bench export`), and 0.1 ms to find where shards begin. Tables are taken for WAT files: how much of a table
# is text is for each its own.
ARCHIVES = {
    "wat": Rates("", 0.002285, 64.0, 0.15),
    "warc": Rates("", 0.000638, 63.5, 0.11),
    "table": Rates("", 0.002285, 64.0, 0.15),
}
DEFAULTS = {
    "extract": ARCHIVES["wat"],
    "pairs": Rates("extract", 0.74, 107.0, 30.0),
    "match": Rates("pairs", 0.665, 61.0, 6.7),
    "count": Rates("match", 2.38, 10.7, 0.1),
    "draw": Rates("match", 1.0, 36.0, 1.2),
    "balance": Rates("match", 0.56, 185.0, 1.6),
    "fetch": Rates("balance", 0.64, 17_500.0, 2_900.0),
    "near": Rates("balance", 0.08, 60.0, 20.0),
    "duplicates": Rates("near", 1.0, 60.0, 5.0),
    "scenes": Rates("fetch", 0.059, 709.0, 3_194.0),
    "clips": Rates("scenes", 1.374, 244_810.0, 224_989.0),
    "scores": Rates("clips", 1.0, 815.0, 24_920.0),
    "near_clips": Rates("clips", 0.0, 60.0, 280.0),
    "kept_clips": Rates("scores", 1.0, 68.0, 208.0),
    "survive": Rates("balance", 0.66, 60.0, 1.3),
    "rebalance": Rates("survive", 1.0, 113.0, 1.6),
    "samples": Rates("rebalance", 0.753, 244.0, 30.0),
    "captions": Rates("samples", 1.42, 113.0, 190.0),
    "caption_scores": Rates("captions", 1.0, 90.0, 20_000.0),
    "chosen_captions": Rates("captions", 0.703, 136.0, 20.0),
    "balanced_captions": Rates("chosen_captions", 0.792, 68.0, 10.0),
    "manifest": Rates("samples", 1.0, 418.0, 20.0),
    "entry_probabilities": Rates("manifest", 1.254, 16.0, 0.5),
    "shards": Rates("manifest", 0.0001, 390_000_000.0, 260.0),
}
MOST_ENTRIES = 500_000  # of a vocabulary (MetaCLIP's): entry_counts stops growing there
_OF_ENTRIES = ("count", "entry_probabilities")

_FIRST_DATASET = {
    "extract": CANDIDATES.name,
    "pairs": PAIRS.name,
    "match": MATCHES.name,
    "balance": KEPT_PAIRS.name,
    "fetch": MEDIA.name,
    "scenes": SCENES.name,
    "clips": CLIPS.name,
    "scores": SCORES.name,
    "near": DUPLICATE_GROUPS.name,
    "survive": SURVIVORS.name,
    "rebalance": FINAL_PAIRS.name,
    "samples": SAMPLES.name,
    "captions": CAPTIONS.name,
    "chosen_captions": CHOSEN_CAPTIONS.name,
    "manifest": MANIFEST.name,
}

_BY_DEFAULT = "default rates"
_ENOUGH_ROWS = 1000  # made by a stage, from which the folder's own rows and bytes are taken
_ENOUGH_S = 30.0  # of one core, from which its seconds are: below, loading and compiling outweigh the work
_UNTIMED = "pairs"  # its reports time the second half of the shuffle only


class RateBook:
    """The rates of one work folder."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def source_stage(self, stage: Stage) -> str:
        """The stage whose rows are a stage's inputs."""
        return DEFAULTS[stage.name].source

    def of(self, stage: Stage) -> tuple[Rates, str]:
        """The rates of a stage that reads rows, and in words where they come from."""
        default = DEFAULTS[stage.name]
        published = self._catalog.current(stage.name)
        inputs = self._input_rows(published) if published else None
        if published is None or not inputs:
            return default, _BY_DEFAULT
        return _measured(default, inputs, stage, list(published.reports.values()))

    def of_archives(self, stage: Stage, units: Sequence[Unit]) -> tuple[Rates, str]:
        """The rates of extract for some archives: those of their kinds (wat, warc, table), weighted by their bytes."""
        sizes = _sizes_by_kind([unit.inputs for unit in units]) or {"wat": None}
        weights = {kind: size or 1.0 for kind, size in sizes.items()}
        of_kinds = {kind: self._of_kind(stage, kind) for kind in weights}
        total = sum(weights.values())
        rates = {kind: rates for kind, (rates, _) in of_kinds.items()}
        rows = sum(weights[kind] * rates[kind].rows for kind in weights) / total
        size = sum(weights[kind] * rates[kind].rows * rates[kind].size_bytes for kind in weights) / total
        core_s = sum(weights[kind] * rates[kind].core_s for kind in weights) / total
        bases = sorted({basis for _, basis in of_kinds.values()})
        basis = bases[0] if len(bases) == 1 else "; ".join(f"{kind}: {of_kinds[kind][1]}" for kind in sorted(of_kinds))
        return Rates("", rows, size / rows if rows else 0.0, core_s), basis

    def _of_kind(self, stage: Stage, kind: str) -> tuple[Rates, str]:
        published = self._catalog.current(stage.name)
        plan = published and self._catalog.store.read_json(f"_runs/{stage.name}/{published.version}/plan.json")
        if not published or not plan:
            return ARCHIVES[kind], _BY_DEFAULT
        units = [unit for unit in plan if _kind(unit["inputs"]) == kind and unit["unit"] in published.reports]
        inputs = _sum_sizes([unit["inputs"].get("size_bytes") for unit in units])
        if not inputs:
            return ARCHIVES[kind], _BY_DEFAULT
        return _measured(ARCHIVES[kind], inputs, stage, [published.reports[unit["unit"]] for unit in units])

    def rows(self, stage: Stage, rates: Rates, inputs: float, vocabularies: int) -> int:
        """Rows of the stage's first dataset that so many inputs would give."""
        rows = round(inputs * rates.rows)
        return min(rows, MOST_ENTRIES * vocabularies) if stage.name in _OF_ENTRIES else rows

    def _input_rows(self, made: Manifest) -> int | None:
        """The rows that a published version was made from."""
        source = DEFAULTS[made.stage].source
        manifest = self._catalog.stored(source, made.inputs[source])
        return None if manifest is None else manifest.rows(_FIRST_DATASET[source])

    def archive_bytes(self, units: Sequence[Unit]) -> float | None:
        """Bytes of the archives that units read; None where none says its size (a web server may not)."""
        return _sum_sizes([unit.inputs.get("size_bytes") for unit in units]) if units else 0.0

    def kept(self, thresholds: dict[str, dict[str, float]]) -> int | None:
        """Pairs that thresholds keep, from the histograms of the draws; None before they are made."""
        try:
            draw = self._catalog.visible("draw")
        except WorkFolderError:
            return None
        table = self._catalog.store.table(draw.paths(DRAW_HISTOGRAMS.name), DRAW_HISTOGRAMS.schema)
        total = 0.0
        for modality, of_lang in thresholds.items():
            for lang, t in of_lang.items():
                rows = table.filter(pc.and_(pc.equal(table.column("modality"), modality),
                                            pc.equal(table.column("vocabulary_lang"), lang)))
                bins, pairs = (np.asarray(rows.column(name)) for name in ("bin", "pairs"))
                total += CriticalHistogram.from_bins(bins, pairs).size(t)
        return round(total)


def _measured(default: Rates, inputs: float, stage: Stage, made: Sequence[UnitReport]) -> tuple[Rates, str]:
    """What a stage made of so many inputs as rates, as far as that was enough to go by, and where they come from."""
    rows = sum(report.rows(stage.outputs[0].name) for report in made)
    if rows < _ENOUGH_ROWS:
        return default, _BY_DEFAULT
    size = sum(file.size_bytes for report in made for files in report.files.values() for file in files)
    rates = replace(default, rows=rows / inputs, size_bytes=size / rows)
    spent = sum(report.cpu_s for report in made)
    if spent < _ENOUGH_S or stage.name == _UNTIMED:
        return rates, "as before in this folder, time by default rates"
    return replace(rates, core_s=spent / inputs * 1e6), "as before in this folder"


def _kind(inputs: Mapping[str, Any]) -> str:
    """Kind of an archive by its unit's inputs."""
    return str(inputs.get("source", {}).get("kind", "wat"))


def _sizes_by_kind(archives: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    kinds = sorted({_kind(inputs) for inputs in archives})
    return {kind: _sum_sizes([inputs.get("size_bytes") for inputs in archives if _kind(inputs) == kind])
            for kind in kinds}


def _sum_sizes(sizes: Sequence[int | None]) -> float | None:
    """The sum, with the mean in place of unknown sizes."""
    known = [size for size in sizes if size is not None]
    return sum(known) / len(known) * len(sizes) if known else None
