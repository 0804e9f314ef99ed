"""Which rows of stored files are about forgotten media, whatever version of curation wrote them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.media.refusals import ABOUT, FORGOTTEN, Mask, Tombstones, about_in_lists
from curation.runner.catalog import Catalog
from curation.runner.stage import Stage
from curation.schemas import CANDIDATES, MANIFEST, MEDIA, REJECTIONS, SHARD_SAMPLES, Dataset
from curation.storage import Store

URLS = ("media_url", "final_url")
_BLANK = {MEDIA.name: ("error", FORGOTTEN), CANDIDATES.name: ("text", "")}
"""What tells a blank row where there is no media_url."""


def parquet_files(store: Store, folder: str) -> list[str]:
    """All Parquet files below a folder, of whatever version; not those that a kill left under a scratch name."""
    files = (path for path in store.sizes(folder) if path.endswith(".parquet"))
    return sorted(path for path in files if not path.rpartition("/")[2].startswith("."))


def dataset_folder(stage: Stage, dataset: Dataset) -> str:
    """Where the files lie that a stage writes of a dataset."""
    return f"{dataset.name}/stage={stage.name}" if dataset is REJECTIONS else dataset.name


@dataclass
class ForgottenRows:
    """touched: media_id of media that stay, of which a text was said about one that goes: a copy of it."""

    store: Store
    catalog: Catalog
    tombstones: Tombstones
    touched: pa.Array = field(init=False)

    def __post_init__(self) -> None:
        self.touched = self._with_forgotten_texts()

    def _with_forgotten_texts(self) -> pa.Array:
        found: set[str] = set()
        wanted = ["media_id", "text_media_id"]
        for stage in self.catalog.stages.values():
            for dataset in stage.outputs:
                if not set(wanted) <= set(dataset.columns):
                    continue
                for batch in self.store.batches(parquet_files(self.store, dataset_folder(stage, dataset)), wanted):
                    if not set(wanted) <= set(batch.schema.names):
                        continue
                    nothing = pa.nulls(batch.num_rows, pa.string())
                    gone = self.tombstones.of(batch.column("text_media_id"), nothing)
                    found |= set(batch.column("media_id").filter(pa.array(gone)).to_pylist())
        return pa.array(sorted(found - self.tombstones.media_ids), pa.string())

    def mask(self, batch: pa.RecordBatch, dataset: Dataset | None = None) -> Mask:
        """Rows that are about forgotten media. dataset: whose they are; its columns need not be those of the batch."""
        names = set(batch.schema.names)
        nothing = pa.nulls(batch.num_rows, pa.string())
        mask = np.zeros(batch.num_rows, np.bool_)
        for name in ABOUT:
            if name in names:
                mask |= self.tombstones.of(batch.column(name), nothing)
        for name in URLS:
            if name in names:
                mask |= self.tombstones.of(nothing, batch.column(name))
        touched = np.asarray(pc.is_in(batch.column("media_id") if "media_id" in names else nothing,
                                      value_set=self.touched))  # fmt: skip
        lists = about_in_lists(batch.schema)
        for name, about in lists:
            items = batch.column(name)
            ids = pc.struct_field(items.flatten(), about)
            gone = self.tombstones.of(ids, pa.nulls(len(ids), pa.string()))
            mask[np.asarray(pc.list_parent_indices(items))[gone]] = True
            mask |= touched  # captions of them, too
        if "captioner" in names and "text_media_id" in names:  # what models said may repeat what they were told
            mask |= touched & np.asarray(pc.is_null(batch.column("text_media_id")))
        if dataset is not None and (
            ("text_media_id" in dataset.columns and "text_media_id" not in names)
            or (about_in_lists(dataset.schema) and not lists)
        ):
            mask |= touched  # of another version of curation: whose words they are is not told
        return mask

    def left(self, batch: pa.RecordBatch, dataset: Dataset | None = None) -> Mask:
        """The rows of the mask that are not blank yet."""
        mask = self.mask(batch, dataset)
        name, value = self._blank(batch.schema, dataset)
        if name is not None:
            mask &= np.asarray(pc.fill_null(pc.not_equal(batch.column(name), value), True))
        return mask

    @staticmethod
    def _blank(schema: pa.Schema, dataset: Dataset | None) -> tuple[str | None, str]:
        """The column whose value tells that a row is blank; None where rows never are, or none tells it."""
        if "media_url" in schema.names:
            return "media_url", ""
        name, value = _BLANK.get(dataset.name, (None, "")) if dataset is not None else (None, "")
        return (name, value) if name in schema.names else (None, "")

    def in_file(self, path: str, dataset: Dataset) -> tuple[bool, set[str]]:
        """Whether there is anything left in a file of a dataset, and of which media of the pool."""
        with self.store.parquet(path) as file:
            schema, leaves = file.schema_arrow, [file.schema.column(at).path for at in range(len(file.schema))]
        fields = set(about_in_lists(schema))
        wanted = [name for name in (*ABOUT, *URLS, "captioner") if name in schema.names]
        wanted += [leaf for leaf in leaves if (leaf.partition(".")[0], leaf.rpartition(".")[2]) in fields]
        if not wanted:
            return False, set()
        told, _ = self._blank(schema, dataset)
        if told is not None and told not in wanted:
            wanted.append(told)
        # The manifest holds media that stay, with texts that go.
        tells_media = {"media_id", "media_url"} <= {*dataset.columns, *schema.names} and dataset is not MANIFEST
        dirty, media = False, set()
        for batch in self.store.batches([path], wanted):
            left = self.left(batch, dataset)
            ids = batch.column("media_id") if "media_id" in schema.names else None
            if dataset is SHARD_SAMPLES and ids is not None:
                left |= np.asarray(pc.is_in(ids, value_set=self.touched))
            dirty = dirty or bool(left.any())
            if tells_media and ids is not None:
                media |= set(ids.filter(pa.array(left)).to_pylist())
        return dirty, media
