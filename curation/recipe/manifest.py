"""Sections of the last mile: the manifest, and shards for trainers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from pydantic.functional_validators import model_validator

from curation.recipe.fields import Int, PositiveInt, Section

OverlapKey = Literal["url", "sha256", "phash", "text"]


class Decontamination(Section):
    """Samples that another set also has, an evaluation set say: counted, and taken out where it says so."""

    against: str = Field(
        min_length=1,
        description="file of the other set: .txt (a URL or text a line), .csv, .tsv, .jsonl or .parquet with any of "
        "the columns url, sha256, phash (16 hex digits or a number), text; or a work folder with a manifest",
    )
    by: list[OverlapKey] = Field(
        ["url", "sha256", "phash", "text"], min_length=1, description="what counts as the same"
    )
    max_distance: Annotated[Int, Field(ge=0, le=16)] = Field(
        4, description="phash: bits that may differ, of 64 (as duplicates.max_distance)"
    )
    min_text_chars: PositiveInt = Field(
        20, description="text: shorter ones are not compared: `a dog` is in every set; letters and digits count"
    )
    remove: bool = Field(True, description="take these samples out; false: only tell how many there are")


class ManifestSection(Section):
    """What is made of samples: one row each."""

    val_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.01, description="share of sources (media: all clips of a video) that are split val; the rest is train"
    )
    seed: Annotated[Int, Field(ge=0)] = Field(
        0, description="of the split; that of the draw has no part in it: what is val in one draw is in every other"
    )
    text_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {},
        description="captioner, or captioner.kind -> weight by which a trainer draws one of a sample's texts; what is "
        "not named has 1, texts about a part of the sample 0 unless their captioner.kind is; texts of pages that no "
        "captioner gives are alt.SOURCE",
    )
    decontaminate: list[Decontamination] = Field([], description="sets that training must not have seen")

    def anchored(self, anchor: Callable[[str], str]) -> ManifestSection:
        """The same with `anchor` applied to every location."""
        return self.model_copy(
            update={
                "decontaminate": [
                    each.model_copy(update={"against": anchor(each.against)}) for each in self.decontaminate
                ]
            }
        )


class Shards(Section):
    """WebDataset tars for trainers: KEY.jpg or KEY.mp4, KEY.txt (the chosen text) and KEY.json (the row)."""

    max_bytes: PositiveInt = Field(
        1_000_000_000,
        description="of a tar; a larger single sample has one of its own, frames are taken for half a byte a pixel "
        "(webdataset's ShardWriter: 3e9)",
    )
    max_samples: PositiveInt = Field(10_000, description="in a tar (img2dataset's number_sample_per_shard)")
    clips: Literal["video", "frames"] = Field(
        "video", description="clips as the stored file, or as JPEG frames KEY.000.jpg, KEY.001.jpg ..."
    )
    frames: PositiveInt = Field(8, description="clips: frames: pictures of a clip, at even distances")
    longest_side: PositiveInt | None = Field(
        None, description="clips: frames: pixels to which larger pictures are scaled down; null: as they are"
    )
    modalities: list[Literal["image", "video"]] = Field(["image", "video"], min_length=1, description="of samples")
    seed: Annotated[Int, Field(ge=0, lt=2**63)] = Field(
        0, description="of the order, which is by a salted hash of sample_id"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Shards:
        if len(set(self.modalities)) != len(self.modalities):
            raise ValueError("modalities names one twice: leave it out once")
        return self

    @model_validator(mode="after")
    def _frames_are_asked_for(self) -> Shards:
        if self.clips != "frames" and self.longest_side is not None:
            raise ValueError("longest_side is of frames; clips stay as they are: add clips: frames, or leave it out")
        return self
