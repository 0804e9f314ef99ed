"""What is asked of a data set: order, balance, text and picture of its samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from curation.errors import InputError
from curation.training.plan import Even

Form = Literal["tensor", "array", "pil", "bytes"]
OnError = Literal["raise", "skip"]

_TAKEN: Final = frozenset({"key", "text", "image", "video", "frames"})
_FREE: Final = frozenset({"transform", "tokenizer", "on_error"})  # of no influence on which samples come when


@dataclass(frozen=True)
class Reading:
    """How samples are read; all of it has a default."""

    seed: int = 0
    """of the order and of every draw, from 0"""
    shuffle: int | None = 1000
    """samples of a worker among which order is mixed, and which it may hold in memory; shards are mixed, too. 0: all as
    it lies. None: any order of the worker's whole share, for manifests, or shards that fit into memory"""
    even: Even | None = None
    """None: every sample once; ranks differ by one sample at most, or by what balance leaves out of each. drop: equally
    many for all ranks, without the last of the epoch's order, fewer than there are ranks. repeat: equally many, the
    first of the epoch's order once more, fewer than there are ranks"""
    t: float | Mapping[str, float] | None = None
    """balance at this threshold: for all, or by vocabulary language ("en"), or by modality and language ("image/en")"""
    redraw: bool = False
    """False: texts whose critical_threshold is at most t, the same in every epoch. True: drawn anew per epoch, with
    keep(t) by counts of entries. Samples go with the last of their drawn texts"""
    entries: str | Path | None = None
    """redraw: whose entry_probabilities, a work folder or a Parquet file; None: of the work folder that is read"""
    modality: str | None = None
    """image or video alone; None: both"""
    text: str | tuple[str, ...] = "chosen"
    """chosen: the text that stands for the sample, or the first that t leaves. weighted: one of its texts, drawn by
    their weights anew per epoch; none where all weigh 0. Else brief, detailed, a captioner or CAPTIONER.KIND ("alt",
    "words.detailed"). Several: the first that is there"""
    picture: Form = "tensor"
    """tensor: uint8, RGB, channels first. array: uint8 of numpy, channels last. pil: an image of Pillow. bytes: as
    stored, nothing is decoded"""
    size: int | None = None
    """pixels: scaled until the shorter side has so many, and cut to a square from the middle; None: as it is"""
    as_video: bool = False
    """True: `video` of (frames, channels, height, width), an image being one of one frame. False: `image`, of a clip
    its middle frame"""
    frames: int = 8
    """as_video: of a clip, at even distances; all, where it has fewer"""
    columns: tuple[str, ...] = ()
    """columns of the manifest that samples are to have, too, by their names; None where they are null"""
    transform: Callable[[Any], Any] | None = None
    """of the picture (as_video with pil: of a list of them)"""
    tokenizer: Callable[[str], Any] | None = None
    """of the text"""
    on_error: OnError = "raise"
    """a broken sample: raise, or skip, counted and logged; with `even` the next sound sample stands in for it"""

    def __post_init__(self) -> None:
        """Raises InputError for what cannot be."""
        for name, allowed in (("even", (*get_args(Even), None)), ("picture", get_args(Form)),
                              ("on_error", get_args(OnError)), ("modality", ("image", "video", None))):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}: choose one of {', '.join(map(str, allowed))}")
        for name, least in (("seed", 0), ("shuffle", 0), ("size", 1), ("frames", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value < 1 << 63:
                raise InputError(f"{name} is {value}: give a whole number from {least}")
        if self.redraw and self.t is None:
            raise InputError("redraw needs a threshold: give t")
        for value in self.t.values() if isinstance(self.t, Mapping) else [self.t or 1.0]:
            if not 1 <= value < math.inf:
                raise InputError(f"t is {value}: give a number of texts, at least 1")
        if isinstance(self.columns, str):
            raise InputError(f"columns is {self.columns!r}: give a tuple, ({self.columns!r},)")
        if taken := sorted(_TAKEN & set(self.columns)):
            raise InputError(f"columns names {', '.join(taken)}, which samples have of their own: leave it out")
        if not self.texts:
            raise InputError("text names no kind of text: give chosen, weighted, or a captioner")

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else self.text

    @property
    def is_sifted(self) -> bool:
        """Whether samples are left out that only their rows tell of."""
        return self.t is not None or self.modality is not None

    def told(self) -> dict[str, Any]:
        """What decides which samples come when, as plain values."""
        told = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _FREE}
        return {**told, "t": dict(self.t) if isinstance(self.t, Mapping) else self.t,
                "entries": None if self.entries is None else str(self.entries),
                "text": list(self.texts), "columns": list(self.columns)}  # fmt: skip
