"""Sections of what clips are scored by, and of the rules that read the scores."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.functional_validators import model_validator

from curation.recipe.fields import Int, PositiveInt, Seconds, Section, spelled

Count = Annotated[Int, Field(ge=0)]
Part = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Aspect = Annotated[str, spelled(r"[1-9]\d{0,4}:[1-9]\d{0,4}", "give width:height in whole numbers, such as 16:9")]

PRESETS: dict[str, dict[str, Any]] = {"hd_vg": {"min_height": 720, "aspect": "16:9"}}
"""Rules of published sets, as far as they are described: hd_vg is HD-VG-130M's "high definition" and "16:9", where 720
is the least height that is called HD; no limits of its own are known."""


class Scores(Section):
    """How clips are scored. Scores are stored; no clip is dropped for one until a rule of `ClipRules` says so."""

    sample_frames: PositiveInt = Field(
        10, description="every so many frames one is looked at for letterbox, sharpness and text (MMTrail's text: 10)"
    )
    silence_db: float = Field(
        -50.0,
        ge=-120,
        lt=0,
        description="peak in dB of full scale below which sound is silence (FFmpeg's silencedetect: -60)",
    )
    silence_seconds: Seconds = Field(
        0.5, description="shortest silence that counts (FFmpeg's silencedetect: 2, too long for clips of seconds)"
    )
    text_finder: (
        Annotated[str, spelled(r"rapidocr|[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", "give rapidocr, or package.module:factory")]
        | None
    ) = Field(
        None,
        description="what finds text in pictures: rapidocr (pip install rapidocr onnxruntime; its models are in the "
        "package), or package.module:factory of a curation.media.video.text_area.TextFinder; null: not scored",
    )


class ClipRules(Section):
    """Which scored clips are kept. null switches a rule off; a clip is counted under the first that refuses it.

    The order is that of the fields. A limit itself is kept: min_height 720 keeps 720.
    """

    preset: Literal["hd_vg"] | None = Field(
        None, description="rules of a published set, under those given here: hd_vg: min_height 720, aspect 16:9"
    )
    unknown: Literal["pass", "refuse"] = Field(
        "pass", description="what a rule says of a clip whose score is null, such as the loudness of one without sound"
    )
    min_width: PositiveInt | None = Field(None, description="pixels, upright and square")
    min_height: PositiveInt | None = Field(None, description="pixels, upright and square")
    aspect: Aspect | None = Field(None, description="width:height, such as 16:9")
    aspect_tolerance: NotNegative = Field(
        0.02, description="relative deviation from aspect: 0.02 keeps 854x480 and 1366x768 as 16:9, not 16:10"
    )
    min_seconds: Seconds | None = Field(None, description="length of the clip, at least")
    max_seconds: Seconds | None = Field(None, description="length of the clip, at most")
    min_fps: Seconds | None = Field(None, description="frames per second, on average")
    min_brightness: Part | None = Field(None, description="0 black, 1 white")
    max_brightness: Part | None = Field(None, description="0 black, 1 white")
    max_black_share: Part | None = Field(None, description="share of frames that are black")
    max_still_share: Part | None = Field(None, description="share of frames equal to the one before")
    max_letterbox: Part | None = Field(None, description="share of the picture that is black bars")
    min_motion_difference: Part | None = Field(None, description="mean change of luma from frame to frame, 0 to 1")
    max_motion_difference: Part | None = Field(None, description="mean change of luma from frame to frame, 0 to 1")
    min_motion_vectors: NotNegative | None = Field(
        None, description="mean motion per frame, in diagonals of the picture (score motion_vectors_diagonal)"
    )
    max_motion_vectors: NotNegative | None = Field(
        None, description="mean motion per frame, in diagonals of the picture (score motion_vectors_diagonal)"
    )
    min_sharpness: NotNegative | None = Field(None, description="variance of the Laplacian at 512 pixels")
    max_text_area: Part | None = Field(None, description="share of the picture in boxes of text")
    with_sound: bool = Field(False, description="refuse clips without a sound track")
    min_loudness: float | None = Field(None, description="LUFS, integrated (EBU R 128; broadcasts have -23)")
    max_loudness: float | None = Field(None, description="LUFS, integrated")
    max_silence_share: Part | None = Field(None, description="share of the sound that is silence")
    max_decode_errors: Count | None = Field(
        None,
        description="packets and frames of the clip's file that the decoder found broken: of copies (clips.cut.mode), "
        "as accurate clips are encoded anew",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, values: Any) -> Any:
        preset = PRESETS.get(str(values.get("preset"))) if isinstance(values, dict) else None
        return values if preset is None else {**preset, **values}

    @model_validator(mode="after")
    def _ranges(self) -> ClipRules:
        for high in (name for name in type(self).model_fields if name.startswith("max_")):
            low = high.replace("max_", "min_")
            least, most = getattr(self, low, None), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} {least} is above {high} {most}: no clip can pass")
        return self
