"""Shards and manifests as PyTorch reads them (extra `train`); nothing of Spark is imported.

    from curation.training import Loader, Reading, ShardDataset

    reading = Reading(seed=1, t=20_000, text="weighted", size=224, tokenizer=tokenizer)
    batches = Loader(ShardDataset("run", "train", reading), 256, num_workers=8, pin_memory=True)
    for batch in batches:
        batch["image"], batch["text"], batch["key"]

`ShardDataset` reads tars from front to back, `ManifestDataset` the files of a work folder that was not exported. Both
are divided among ranks and workers so that an epoch has every sample once; see `curation.training.plan`. The guide is
docs/training.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from curation.training.faults import Fault, NoSplitError, SampleFaultError
from curation.training.plan import Consumer
from curation.training.reading import Reading
from curation.training.shard_sets import shard_set

if TYPE_CHECKING:
    from curation.training.collation import collate
    from curation.training.datasets import ManifestDataset, ShardDataset
    from curation.training.loading import Loader

__all__ = [
    "Consumer",
    "Fault",
    "Loader",
    "ManifestDataset",
    "NoSplitError",
    "Reading",
    "SampleFaultError",
    "ShardDataset",
    "collate",
    "shard_set",
]

_WITH_TORCH = {
    "Loader": "loading",
    "ManifestDataset": "datasets",
    "ShardDataset": "datasets",
    "collate": "collation",
}


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is first asked for."""
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
