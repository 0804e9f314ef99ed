"""shards: the manifest's samples as WebDataset tars, in the order of a salted hash. One unit per tar.

A set of shards lies in a folder that is named after all that is in them (shards/SET/train/00000.tar ...): it never
changes, but for what is forgotten. Another manifest or other settings make another set; tars that an earlier set has
as well are linked, or copied by the object store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.captions.faults import CaptionFaultError
from curation.errors import StageError
from curation.export.sample_bytes import Place, SampleBytes
from curation.export.webdataset import FOLDER, Frames, as_sample, tar_names
from curation.media.shards import Sample
from curation.recipe import Recipe
from curation.recipe import Shards as ShardsSection
from curation.runner.stage import Law, Manifest, Planning, ShuffleStage, Task
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import MANIFEST, REJECTIONS, SHARD_SAMPLES, SHARDS
from curation.stages.shard_cuts import CODE, CUTS, ROWS, frames_of, places, shard_cuts, told
from curation.stages.shard_files import CONTENT, Exported, TarWriter, linked
from curation.stages.shard_index import put_index
from curation.storage import Store

BYTES_GONE: Final = "bytes_gone"
BYTES_CHANGED: Final = "bytes_changed"
NO_FRAMES: Final = "no_frames"
LEFT_OUT: Final = "left-out"
"""Name of the unit that counts what is not asked for."""

_COLUMNS: Final = ("sample_id", "media_id", "modality", "text", "path", "offset", "size_bytes", "sha256", "extension")
_ROWS = pa.schema(
    [
        pa.field("unit", pa.int32()),
        pa.field("place", pa.int64()),
        *(pa.field(name, MANIFEST.schema.field(name).type) for name in _COLUMNS),
        pa.field("duration_ms", pa.int64()),  # 0 for images
        pa.field("json", pa.binary()),
    ]
)

Row = dict[str, Any]


class Shards(ShuffleStage):
    """Every sample of the modalities asked for once, its bytes as they are stored; or clips as frames.

    Bytes that are gone, or no longer have their SHA-256, are rejections, and tried again by the next run. A task holds
    one sample (up to 64 MiB of samples on an object store), and what is said of those of its shard in the shuffle.
    """

    name = "shards"
    about = "export WebDataset tars for trainers"
    after = ("manifest",)
    outputs = (SHARDS, SHARD_SAMPLES, REJECTIONS)
    laws = (
        Law(("in:manifest",), ("rows:shard_samples", "rejected:*", "other_modality:*")),
        Law(("rows:shard_samples",), ("samples:*",)),
    )
    rows = _ROWS
    order = ("place", "sample_id")
    code_version = CODE

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        if recipe.shards is None:
            raise StageError("the recipe has no section shards: add one, e.g. shards: {}")
        return {**recipe.shards.model_dump(), "modalities": sorted(recipe.shards.modalities)}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        return shard_cuts(planning, ShardsSection.model_validate(planning.settings))

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        same = self._earlier(planning.store, context["set"])
        units: list[Unit] = []
        for split, cuts in context["splits"].items():
            for name, content in zip(tar_names(len(cuts["starts"])), cuts["content"], strict=True):
                unit = self._unit(context["set"], split, name, content)
                inputs = {"number": len(units), **unit.inputs, "same": same.get(content, [])}
                units.append(Unit(unit.name, inputs, unit.identity))
        if left_out := context["other_modality"]:
            identity = self.identity(context["set"], LEFT_OUT, left_out)
            units.append(Unit(LEFT_OUT, {"number": len(units), LEFT_OUT: left_out}, identity))
        return units

    def _unit(self, name_of_set: str, split: str, name: str, content: str) -> Unit:
        path = f"{FOLDER}/{name_of_set}/{split}/{name}"
        inputs = {"split": split, "path": path, CONTENT: content}
        return Unit(f"{split}-{name.partition('.')[0]}", inputs, self.identity(name_of_set, split, name))

    def _earlier(self, store: Store, own: str) -> dict[str, list[list[str]]]:
        """Name and identity of units of other sets, by content."""
        found: dict[str, list[list[str]]] = {}
        sets: dict[str, Any] = {}
        for name in sorted(store.names(CUTS)):
            known = store.read_json(f"{CUTS}/{name}")
            if known is not None and known["set"] != own:
                sets[known["set"]] = known
        for name_of_set, known in sets.items():
            for split, cuts in known["splits"].items():
                for name, content in zip(tar_names(len(cuts["starts"])), cuts["content"], strict=True):
                    unit = self._unit(name_of_set, split, name, content)
                    found.setdefault(content, []).append([unit.name, unit.identity])
        return found

    def is_final(self, unit: Unit, report: UnitReport) -> bool:
        """Bytes may be there again."""
        return not {BYTES_GONE, BYTES_CHANGED} & report.rejected.keys()

    def items(self, planning: Planning) -> list[dict[str, Any]]:
        reports = planning.inputs["manifest"].reports
        return [
            {"paths": report.paths(MANIFEST.name)}
            for _, report in sorted(reports.items())
            if report.rows(MANIFEST.name)
        ]

    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        section = ShardsSection.model_validate(task.settings)
        frames, first = frames_of(section), _first_numbers(task.context["splits"])
        for batch in task.store.batches(item["paths"], MANIFEST.columns, ROWS):
            asked = batch.filter(pc.is_in(batch.column("modality"), value_set=pa.array(section.modalities)))
            for split in pc.unique(asked.column("split")).to_pylist():
                rows = asked.filter(pc.equal(asked.column("split"), split))
                where = places(rows.column("sample_id"), section.seed)
                starts = np.array(task.context["splits"][split]["starts"], np.int64)
                numbers = pa.array(first[split] + np.searchsorted(starts, where, "right") - 1, pa.int32())
                mask = pc.is_in(numbers, value_set=wanted)
                yield _shuffled(rows.filter(mask), numbers.filter(mask), pa.array(where).filter(mask), frames)

    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        inputs = writer.unit.inputs
        if LEFT_OUT in inputs:
            writer.counts.update({f"other_modality:{modality}": rows for modality, rows in inputs[LEFT_OUT].items()})
            return
        tar = TarWriter(writer, inputs["split"], inputs["path"])
        if not linked(task.store, self.name, tar, inputs["same"], inputs[CONTENT]):
            export = _Export(task.store, frames_of(ShardsSection.model_validate(task.settings)), writer)
            tar.write(task.store, export.samples(batches), inputs[CONTENT])

    def settle(self, planning: Planning, manifest: Manifest) -> None:
        put_index(planning, manifest)


def _first_numbers(splits: Mapping[str, Mapping[str, list[Any]]]) -> dict[str, int]:
    """Number of each split's first unit."""
    ends = np.cumsum([0, *(len(cuts["starts"]) for cuts in splits.values())])
    return dict(zip(splits, ends.tolist(), strict=False))


def _shuffled(rows: pa.RecordBatch, numbers: pa.Array, where: pa.Array, frames: Frames | None) -> pa.RecordBatch:
    columns = {name: rows.column(name) for name in _COLUMNS}
    columns |= {"unit": numbers, "place": where, "duration_ms": pc.fill_null(rows.column("duration_ms"), 0)}
    columns["json"] = pa.array(told(rows, frames)[0], pa.binary())
    return pa.RecordBatch.from_arrays([columns[name] for name in _ROWS.names], schema=_ROWS)


class _Export:
    """Fills one tar from the sorted rows of its unit."""

    def __init__(self, store: Store, frames: Frames | None, writer: UnitWriter) -> None:
        self._store, self._frames, self._writer = store, frames, writer

    def samples(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Exported, Sample]]:
        """Samples whose bytes are what they were; the others are refused."""
        with SampleBytes(self._store) as source:
            for rows in _listed(batches):
                wanted = [Place(row["path"], row["offset"], row["size_bytes"]) for row in rows]
                for row, data in zip(rows, source.read(wanted), strict=True):
                    media = self._media(row, data)
                    if media is not None:
                        sample = as_sample(row["sample_id"], media, row["text"], row["json"])
                        yield Exported(row["sample_id"], row["media_id"], row["modality"]), sample

    def _media(self, row: Row, data: bytes | None) -> list[tuple[str, bytes]] | None:
        """Extension and data of each file of a sample but its words; None where it has none."""
        if data is None:
            self._refuse(row, BYTES_GONE, f"{row['size_bytes']} bytes are not there")
        elif hashlib.sha256(data).hexdigest() != row["sha256"]:
            self._refuse(row, BYTES_CHANGED, f"their SHA-256 is not {row['sha256']}")
        elif self._frames is None or row["modality"] != "video":
            return [(row["extension"], data)]
        else:
            try:
                frames = self._frames.made(data, row["duration_ms"])
            except CaptionFaultError as fault:
                self._refuse(row, NO_FRAMES, str(fault))
            else:
                return [(f"{number:03d}.jpg", frame) for number, frame in enumerate(frames)]
        return None

    def _refuse(self, row: Row, reason: str, detail: str) -> None:
        about = {"id": row["media_id"], "file": row["path"], "offset": row["offset"]}
        self._writer.reject(reason, **about, detail=f"{row['sample_id']}: {detail}")


def _listed(batches: Iterator[pa.RecordBatch]) -> Iterator[list[Row]]:
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            yield batch.slice(start, ROWS).to_pylist()
