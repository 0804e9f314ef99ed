"""What a shape is: a name, what it is for, and one function that writes it from the common view.

    def _write(export: Export) -> None:
        rules = export.leave_out(NO_VIDEO)
        with json_object(export.folder / "captions.json") as put:
            for row in export.view.rows({"sample_id": "sample_id", "captions": captions(export.selection)}, rules):
                put(row["sample_id"], distinct(row["captions"]))
                export.wrote(rows=len(row["captions"]))

    SHAPES = (Shape("captions", "id -> captions, as JSON", _write),)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from curation.errors import ConservationError
from curation.export.media_files import MediaFiles
from curation.export.view import Rule, Selection, View
from curation.storage import Store

SPLITS: Final = ("train", "val")
Writer = TypeVar("Writer")


@dataclass(frozen=True)
class Options:
    """What a user may choose beside the samples; a shape names those that mean something to it."""

    media: str = "copy"
    """copy, none, or link:DIR: see MediaFiles."""
    labels: str | None = None
    """hashtags, entries, or a file of classes: see curation.export.classes."""
    min_samples: int = 16
    """A class that comes from hashtags or entries is one that so many samples hold, 16 being the largest K of K-shot
    lists."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Of K-shot draws; three, as ViFi-CLIP's s1 to s3 and CoOp's."""
    saliency: int | None = None
    """Constant rating 0 to 4 of relevant clips; None: no ratings, since nobody rated them."""
    online_t: float | None = None
    """The threshold that a trainer draws at; None: that of the manifest, so nothing is drawn again."""


@dataclass
class Export:
    """What a shape's function has at hand, and the account that it keeps: every selected sample once, here or there."""

    view: View
    store: Store
    folder: Path
    files: MediaFiles
    options: Options
    lineage: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 0
    """Written."""
    rows: int = 0
    """Captions, moments, list lines ... that they became."""
    embedded_bytes: int = 0
    """Of media within the shape's own files."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Samples by the reason why they were not written."""
    notes: list[str] = field(default_factory=list)
    """What a user has to know of this export, a sentence each."""

    @property
    def selection(self) -> Selection:
        return self.view.selection

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that the selection may hold."""
        return SPLITS if self.selection.split is None else (self.selection.split,)

    def each_split(
        self, stack: ExitStack, opened: Callable[[str], AbstractContextManager[Writer]]
    ) -> dict[str, Writer]:
        """A file per split, closed with the stack."""
        return {split: stack.enter_context(opened(split)) for split in self.splits}

    def leave_out(self, *rules: Rule) -> tuple[Rule, ...]:
        """Counts the samples that rules leave out; gives the rules back, for `View.rows`."""
        self.left_out.update(self.view.reasons(rules))
        return rules

    def skip(self, reason: str) -> None:
        """One sample more that is not written."""
        self.left_out[reason] += 1

    def wrote(self, rows: int = 1) -> None:
        """One sample more, which became so many rows."""
        self.samples += 1
        self.rows += rows

    def check(self) -> None:
        """Raises ConservationError unless every selected sample was written or left out with a reason."""
        selected = self.view.samples
        if selected != self.samples + self.left_out.total():
            raise ConservationError(
                f"of {selected:,} selected samples {self.samples:,} were written and {self.left_out.total():,} left "
                "out; nothing was published. This is a defect of curation: please report it with the shape"
            )


@dataclass(frozen=True)
class Shape:
    """One layout that some reader reads unchanged."""

    name: str
    about: str
    write: Callable[[Export], None]
    rows: str = "captions"
    """What a sample becomes several of, in words."""
    options: frozenset[str] = frozenset({"media", "texts"})
    """Fields of Options that it looks at; and texts, where it looks at Selection.texts."""
    modality: str | None = None
    """Of the samples if --modality is not given."""
    needs: tuple[str, ...] = ()
    """Datasets that it reads beside the manifest."""
