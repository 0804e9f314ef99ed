"""Sections of what follows the selection: media fetched and decoded, copies found, the selection balanced again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.functional_validators import model_validator

from curation.recipe.fields import Int, Name, PositiveInt, Seconds, Section, spelled
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings

Interpolation = Literal["nearest", "linear", "cubic", "area", "lanczos"]
_QUALITIES = {"jpg": 100, "png": 9, "webp": 100}


class ImageSettings(Section):
    """How fetched images become stored ones: options of img2dataset's Resizer under their names and defaults there.

    max_pixels and keep_original are ours.
    """

    image_size: PositiveInt = Field(256, description="pixels of the side that resize_mode speaks of")
    resize_mode: Literal["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"] = Field(
        "border", description="as img2dataset's"
    )
    resize_only_if_bigger: bool = Field(False, description="leave smaller pictures as they are")
    upscale_interpolation: Interpolation = Field("lanczos", description="for smaller pictures")
    downscale_interpolation: Interpolation = Field("area", description="for larger pictures")
    encode_quality: Annotated[Int, Field(ge=0, le=100)] = Field(95, description="0 to 100; png: compression 0 to 9")
    encode_format: Literal["jpg", "png", "webp"] = Field("jpg", description="of the stored files")
    skip_reencode: bool = Field(False, description="keep the bytes of what needs no change")
    disable_all_reencoding: bool = Field(False, description="keep all bytes as they came, judged by their header only")
    keep_original: bool = Field(False, description="keep all bytes as they came, after they were decoded once")
    min_image_size: Annotated[Int, Field(ge=0)] = Field(0, description="pixels of the shorter side, at least")
    max_image_area: PositiveInt | None = Field(None, description="width times height, at most; null: no limit")
    max_aspect_ratio: Annotated[float, Field(ge=1)] | None = Field(
        None, description="longer side by shorter side, at most; null: no limit"
    )
    max_pixels: PositiveInt = Field(
        1 << 26,
        description="width times height that may be decoded or made; measured, 6 bytes a pixel are held for most "
        "files, 16 for the worst (16 bits with alpha: 1 GB)",
    )

    @model_validator(mode="after")
    def _quality_of_format(self) -> ImageSettings:
        if self.encode_quality > _QUALITIES[self.encode_format]:
            reason = f"encode_quality {self.encode_quality} is none of {self.encode_format}"
            raise ValueError(f"{reason}: give 0 to {_QUALITIES[self.encode_format]}")
        return self


class Hook(Section):
    """A callable that looks at every decoded picture (see curation.media.hooks); its findings are in the ledger."""

    name: Annotated[str, spelled(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", "give package.module:factory")] = Field(
        description="package.module:factory; called with options it gives the callable picture -> list of findings"
    )
    options: dict[str, Any] = Field({}, description="what the factory is called with")
    refuse_above: float | None = Field(
        None, description="score above which a finding refuses the media (error: unsafe); null: never"
    )
    blur_above: float | None = Field(
        None, description="score above which what was found is blurred beyond recognition; null: never"
    )


class OptOut(Section):
    """What is not fetched, and not kept: text files (local or fsspec), one item a line, # starts a comment.

    A list that grows takes out at the next run what was fetched; what is taken off a list is asked for again.
    """

    domains: list[Name] = Field(
        [], description="lists of domains, each with all below it, of the media's URL or the one it leads to"
    )
    urls: list[Name] = Field(
        [], description="lists of URLs, or hex digests of them (MD5, SHA-1, SHA-256, or a media_id)"
    )
    hashes: list[Name] = Field(
        [],
        description="lists of hashes: SHA-256 of files (64 hex digits), perceptual hashes of pictures (16; for images "
        "alone)",
    )
    max_distance: Annotated[Int, Field(ge=0, le=15)] = Field(
        3, description="bits of 64 in which a picture's perceptual hash differs at most from a listed one"
    )

    def anchored(self, anchor: Callable[[str], str]) -> OptOut:
        """The same with `anchor` applied to every location."""
        kinds = ("domains", "urls", "hashes")
        return self.model_copy(update={kind: [anchor(path) for path in getattr(self, kind)] for kind in kinds})


class Fetch(Section):
    """Kept pairs to media."""

    modalities: list[Literal["image", "video"]] = Field(["image"], min_length=1, description="what is fetched")
    shard_media: PositiveInt = Field(
        10_000, description="planned media of a unit, which fill one tar shard (img2dataset: 10,000)"
    )
    shard_videos: PositiveInt = Field(100, description="planned videos of a unit (video2dataset's shards: 100)")
    shard_seconds: Seconds = Field(
        3600.0, description="wall-clock limit of a unit's fetching; what is left is asked for by a later run"
    )
    retry_days: float = Field(
        7.0,
        ge=0,
        le=36_500,
        description="days since its unit was first done in which every run asks again for a media that failed for a "
        "passing reason",
    )
    image: ImageSettings = Field(ImageSettings(), description="decoding, filtering, resizing, encoding")
    video: VideoSettings = Field(VideoSettings(), description="which form of a video, its subtitles, its limits")
    hooks: list[Hook] = Field(
        [], description="face finders, safety classifiers ...: run on every decoded picture; none with videos"
    )
    network: FetchSettings = Field(FetchSettings(), description="limits, politeness, consent")
    opt_out: OptOut = Field(OptOut(), description="lists of what is neither fetched nor kept")

    @model_validator(mode="after")
    def _hooks_see_all(self) -> Fetch:
        if self.hooks and "video" in self.modalities:
            raise ValueError("hooks look at images alone: fetch videos in a recipe of their own, or leave hooks out")
        return self

    @model_validator(mode="after")
    def _blurred_is_encoded(self) -> Fetch:
        kept = self.image.keep_original or self.image.disable_all_reencoding
        if kept and any(hook.blur_above is not None for hook in self.hooks):
            raise ValueError("hooks with blur_above need pictures that are encoded anew: drop keep_original and "
                             "disable_all_reencoding, or blur_above")  # fmt: skip
        return self


class Duplicates(Section):
    """Media that show the same picture."""

    max_distance: Annotated[Int, Field(ge=0, le=15)] | None = Field(
        3, description="bits of 64 in which perceptual hashes of near copies differ at most; null: exact copies only"
    )
    texts: Literal["best", "all"] = Field(
        "best",
        description="of a picture with many copies: keep the pair with the best text, or all pairs, each with the "
        "largest copy as its media, equal texts too",
    )
